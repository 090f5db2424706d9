# A Redis that gives no more connections (maxclients, a small plan) is not a
# Redis that is down: what is connected goes on, and the pool is as large as
# what there is.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Time::HiRes qw(sleep time);

my $site  = cached_site();
my $redis = $site->redis;
put($site, "user$_", 1) for 1 .. 400;
ok warm($site), 'while all is well';

sub clients { return $redis->command('INFO', 'clients') =~ /connected_clients:(\d+)/ ? $1 : 0 }
sub most { $redis->command('CONFIG', 'SET', 'maxclients', $_[0]) }

my ($user, $buyer) = (0, 0);

# So many events and, meanwhile, so many readers whose records are not known.
# How the events were answered, and what was seen that is not "allow".
sub together {
    my ($events, $reads) = @_;
    my @sent = map { $site->connect->send($site->webhook_request(bought('buyer' . ++$buyer))) }
        1 .. $events;
    my @wrong = grep { !/^1 MISS allow$/ }
        map { seen($site, 'user' . ++$user) } 1 .. $reads;
    return ([map { $_->receive->status } @sent], \@wrong);
}

# --- none left -----------------------------------------------------------------

# The gates' connection, the subscription and this test's own are all there are.
most(clients());
{
    my $begin = time;
    my ($answers, $wrong) = together(10, 60);
    is join(' ', grep { $_ != 503 } @$answers), '', 'with_no_connection_left_events_get_503';
    is "@$wrong", '', '  and gates go on reading';
    cmp_ok time - $begin, '<', 5 * patience(), '  nobody waits long';
}
like $site->log, qr/gives no more connections: .*max number of clients reached/,
    '  and the log says why';

# --- a few ---------------------------------------------------------------------

most(clients() + 2);
{
    my $taken;
    ok wait_until(sub {
        $site->webhook(bought('buyer' . ++$buyer))->status == 200;
    }), 'as_soon_as_there_is_one_events_are_taken';
    my ($answers, $wrong) = together(30, 60);
    is join(' ', grep { $_ != 200 } @$answers), '', 'with_two_connections_thirty_events_take_turns';
    is "@$wrong", '', '  and gates go on reading';
}

# --- all again -----------------------------------------------------------------

most(1000);
my ($answers, $wrong) = together(30, 20);
is join(' ', grep { $_ != 200 } @$answers), '', 'and_with_all_as_ever';
is "@$wrong", '', '  and gates go on reading';

unlike $site->log, qr/redis "[^"]*" is unreachable/, 'Redis was never taken for down';
$site->expect_log(qr/no more connections|not_stored|redis is unreachable/i);
done_testing;
