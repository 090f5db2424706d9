# After Redis was silent for a moment, at the worst of moments, everybody is
# served again, and nobody waits without end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::Http;
use Time::HiRes qw(sleep time);

my $site = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/page.html', 'page');
put($site, $_, 1) for 'ada', map { "user$_" } 1 .. 2000;
$site->start(cached_http(timeout => '500ms'));
$site->expect_log(qr/redis "\S+" is unreachable/);

my $buyer = 0;
sub event { return bought('buyer' . ++$buyer) }

sub served { return seen($site, $_[0]) =~ /allow$/ }

ok wait_until(sub { seen($site, 'ada') eq '1 HIT allow' }), 'before';

my $user = 0;
for my $round (1 .. 5) {
    # A time-out opens the breaker, a probe closes it again.
    $redis->freeze;
    $site->get('/paid?user=user' . ++$user);
    $redis->thaw;
    ok wait_until(sub { served('user' . ++$user) }, 5), "round $round: served again";

    # A pooled connection, opened since.
    is $site->webhook(event())->status, 200, '  a webhook, too';

    # Both are late in the same turn of the worker's event loop.
    $redis->freeze;
    my @waiting = map { $site->connect } 1 .. 4;
    my $begin = time;
    $waiting[0]->send(uri => '/paid?user=user' . ++$user);
    $waiting[1]->send($site->webhook_request(event()));
    $waiting[2]->send(uri => '/paid?user=user' . ++$user);
    $waiting[3]->send($site->webhook_request(event()));
    sleep 0.6;
    $redis->thaw;
    for my $waiting (@waiting) {
        my $answer = eval { $waiting->receive };
        like $answer && $answer->status, qr/^(?:200|503)$/, '  whoever waited is answered';
    }
    cmp_ok time - $begin, '<', 3 * patience(), '  in time';
    ok wait_until(sub { served('ada') }, 5), '  then gates are open';
    ok wait_until(sub { served('user' . ++$user) }, 5), '  to who was not known, too';
    ok wait_until(sub { $site->webhook(event())->status == 200 }, 5), '  and webhooks are taken';
}

done_testing;
