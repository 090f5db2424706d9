# Connections that end, or lead elsewhere, at the wrong moment: in the middle of
# the greeting, just before a time-out, again and again under load, and at an
# address that moves to another server while the old one lives on. Everybody is
# answered with what is true of him, or told to come again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::FaultyRedis;
use Test::Entitle::Wire;
use Time::HiRes qw(sleep time);

my $TIMEOUT = 0.8;

# A site whose Redis is reached through what stands at %%PORT9%%; each request
# asks, because nobody may listen.
sub site_behind {
    my (%how) = @_;
    my $site = Test::Entitle->new;
    $site->write_file('html/page.html', 'page');
    my $redis = $site->redis;
    $redis->command(qw(ACL SETUSER default -client|tracking));
    my $faulty = Test::Entitle::FaultyRedis->new(port => $site->port(9), redis => $redis, %how);
    put($site, $_, 1) for qw(ada bob eve);
    $site->start(cached_http(redis => 'redis://127.0.0.1:%%PORT9%%',
        timeout => "${\int 1000 * $TIMEOUT}ms"));
    return ($site, $faulty);
}

# --- a time-out that would fire after its connection has ended -------------------

# Bob's first read is cut off shortly before its time-out; asked again it is
# answered well in time, but later than the first one's time-out.
{
    my $bob;
    my $asked = 0;
    my ($site, $faulty) = site_behind(
        answer => sub { $bob = "@_" =~ /HGETALL .*\{u:bob\}/; return undef },
        spoil  => sub {
            my ($bytes, $socket) = @_;
            if ($bob && ++$asked == 1) { sleep 0.75 * $TIMEOUT; return 0 }
            sleep 0.5 * $TIMEOUT if $bob && $asked == 2;
            return syswrite $socket, $bytes;
        });
    is seen($site), '1 BYPASS allow', 'before';
    my $begin = time;
    is seen($site, 'bob'), '1 BYPASS allow', 'a_time_out_does_not_outlive_its_connection';
    cmp_ok time - $begin, '>', $TIMEOUT, '  though it was due';
    unlike $site->log, qr/timed out/, '  and none is reported';
    is seen($site, 'bob'), '1 BYPASS allow', '  and all goes on';

    # And one that fires when those who waited have left.
    $asked = 99;
    $site->redis->freeze;
    my @leaving = map { $site->connect->send(uri => '/paid?user=bob') } 1 .. 3;
    sleep 0.1;
    $_->reset for @leaving;
    sleep 1.5 * $TIMEOUT;
    is $site->get('/open')->status, 200, 'a_time_out_when_all_have_left_hurts_nobody';
    $site->redis->thaw;
    ok wait_until(sub { seen($site) eq '1 BYPASS allow' }), '  and all goes on';
    $site->expect_log(qr/redis "\S+" is unreachable/);
    $site->finish;
}

# --- a connection that ends before it is ready -----------------------------------

for my $where (qw(CLIENT PING)) {
    my $here;
    my $cuts = 4;
    my ($site, $faulty) = site_behind(
        answer => sub { $here = $_[0] eq $where; return undef },
        spoil  => sub {
            my ($bytes, $socket) = @_;
            return 0 if $here && $cuts-- > 0;
            return syswrite $socket, $bytes;
        });
    my @visits = map { $site->connect->send(uri => "/paid?user=$_") } qw(ada bob eve) x 4;
    my $event = bought('carl');
    is $site->webhook($event)->status, 200,
        "a_connection_cut_at_its_${where}_is_tried_again_within_a_delivery";
    my %seen = map { told($_->receive) => 1 } @visits;
    delete $seen{'1 BYPASS allow'};
    is join('; ', grep { !/error/ } sort keys %seen), '', '  and lets nobody in by mistake';
    ok wait_until(sub { seen($site, 'eve') eq '1 BYPASS allow' }), '  and all goes on';
    ok exists $site->redis->hgetall('entitle:test:{u:carl}')->{version}, '  stored';
    $site->expect_log(qr/redis "\S+" is unreachable/);
    $site->finish;
}

# --- connections cut all the time, under load --------------------------------------

{
    my $site = cached_site(workers => 2);
    my $redis = $site->redis;
    put($site, "u$_", 100 + $_) for 1 .. 40;
    ok warm($site), 'warm';
    my (%visits, %taken, @wrong, @events);
    my $end = time + 2;
    for (my $round = 1; time < $end; $round++) {
        my @users = map { 1 + int rand 40 } 1 .. 8;
        my @visits = map { $site->connect->send(uri => "/paid?user=u$_", close => 1) } @users;
        my $event = bought("buyer$round");
        my $delivery = $site->connect->send($site->webhook_request($event));
        $redis->command(qw(CLIENT KILL TYPE normal));
        $redis->command(qw(CLIENT KILL TYPE pubsub)) if $round % 3 == 0;
        for (@visits) {
            my $said = told($_->receive);
            my $version = 100 + shift @users;
            push @wrong, $said if $said !~ /^$version \w+ allow(?:_stale)?$/ && $said !~ /error/;
        }
        my $status = $delivery->receive->status;
        push @wrong, "event $status" if $status != 200 && $status != 503;
        push @events, "buyer$round" if $status == 200;
    }
    is "@wrong[0 .. ($#wrong > 9 ? 9 : $#wrong)]", '', 'connections_cut_all_the_time_give_no_wrong_answer';
    cmp_ok scalar @events, '>', 10, '  and events get through';
    my @lost = grep { !exists $redis->hgetall("entitle:test:{u:$_}")->{version} } @events;
    is "@lost", '', '  and none that was taken is lost';
    ok wait_until(sub { all_seen($site, 'u7') =~ /^107 \w+ allow/ }), '  then all is well';
    $site->expect_log(qr/redis|not_stored/) if $site->log =~ /\[error\]/;
    $site->finish;
}

# --- an address that moves, and an old primary that lives on ------------------------

{
    my $site = Test::Entitle->new(workers => 2);
    $site->write_file('html/page.html', 'page');
    my $old = $site->redis;
    my $new = Test::Entitle::Redis->new(dir => $site->dir . '/new');
    my $wire = Test::Entitle::Wire->new(to => $old->port, later => $new->port);
    put($site, 'ada', 5);
    my $port = $wire->port;
    $site->start(cached_http(redis => "redis://127.0.0.1:$port"));
    ok warm($site), 'warm';
    $new->command('HSET', 'entitle:test:{u:ada}', version => 6);
    my $moved = time;
    $wire->switch;
    # The subscription still answers PING. What it says nothing about is another
    # server's, and is not believed beyond the lease.
    my $believed = 0;    # when somebody last asked who was told of the old one
    ok wait_until(sub {
        my $asked = time;
        return 1 if all_seen($site) =~ /^6 \w+ pay(?:; 6 \w+ pay)*$/;
        $believed = $asked;
        return 0;
    }), 'an_old_primary_that_still_answers_is_not_believed';
    cmp_ok $believed - $moved, '<', (1 + 0.5) * patience(), '  beyond the lease';
    ok warm($site), '  the new one is, and listened to';
    $new->command('HINCRBY', 'entitle:test:{u:ada}', version => 1);
    sleep 0.02;
    like all_seen($site), qr/^7 \w+ pay(?:; 7 \w+ pay)*$/, '  and heard';
    put($site, 'ada', 9);
    sleep 0.05;
    like all_seen($site), qr/^7 \w+ pay(?:; 7 \w+ pay)*$/, '  and what the old one says is not';
    $_->stop for $wire, $new;
    $site->finish;
}

done_testing;
