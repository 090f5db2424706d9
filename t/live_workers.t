# entitle_live with several workers, through reloads, and while Redis is away.
use strict;
use warnings;
use FindBin;
use IO::Socket::INET;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;
use Test::Entitle::LiveApp;
use Test::Entitle::LiveClient;
use Time::HiRes qw(sleep);

my $VERSION = 1_767_000_000_000;
my $serial = 0;
my ($site, $redis, $app);

sub http {
    my (%o) = @_;
    my ($stale, $lease) = ($o{stale} // '1s', $o{lease} // '1s');
    return <<"EOT";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 200ms;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_grace 0s;
entitle_lease $lease;
entitle_stale $stale;
%%SESSIONS%%
entitle_live on;
log_format live '\$request_uri \$status user=\$entitle_user \$entitle_decision/\$entitle_reason';
access_log %%DIR%%/logs/live.log live;
proxy_http_version 1.1;
server {
    listen 127.0.0.1:%%PORT%%;
    %%REAUTH%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location = /asking { internal; proxy_pass http://127.0.0.1:%%PORT8%%/whoami; }
    location = /late { entitle_reauth /asking; entitle_require pro; alias %%DIR%%/html/page; }
    location = /metrics { entitle_status; allow 127.0.0.1; deny all; }
    location / { entitle_require pro; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location /down/ { entitle_redis_down allow; entitle_require pro; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location = /ws { entitle_require pro; proxy_set_header Upgrade websocket; proxy_set_header Connection upgrade; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location = /pid { entitle off; return 200 \$pid; }
    location = /logout { entitle_logout; }
    location = /page { entitle_require pro; add_header X-Worker \$pid; root %%DIR%%/html; }
}
EOT
}

sub begin {
    my (%o) = @_;
    $site = Test::Entitle->new(workers => $o{workers} // 1, main => $o{main} // '');
    $redis = $site->redis(options => ['--appendonly', 'yes']);
    $app = Test::Entitle::LiveApp->new($site);
    $site->{ports}{9} = $app->port;
    $site->write_file('html/page', 'page');
    return $site->start(http(%o));
}
sub customer {
    my ($name) = @_;
    my $user = $name . ++$serial;
    put_record($redis, $user, version => $VERSION, subscription('active'));
    return $user;
}
sub end_of {
    my ($user) = @_;
    return $redis->command('HSET', "entitle:test:{u:$user}", version => $VERSION + 1,
        subscription('canceled', ended_at => time - 10));
}
sub browser {
    my ($user) = @_;
    return (Cookie => "app=$user; entitle=" . session(user => $user, version => $VERSION,
        iat => time - 60, bind => [$user]));
}
sub stream { my ($uri, $user) = @_; return Test::Entitle::LiveClient->get($site->port, $uri, browser($user)) }
sub websocket { my ($user) = @_; return Test::Entitle::LiveClient->websocket($site->port, '/ws', browser($user)) }
sub logged { my ($pattern) = @_; return wait_until(sub { $site->read_file('logs/live.log') =~ $pattern }) }
sub gone { my (@pids) = @_; return wait_until(sub { !grep { kill 0, $_ } @pids }, 15) }

# --- a worker that was told to go ------------------------------------------------

# With so long a lease only what is heard tells of a change.
begin(stale => '60s', lease => '60s');
{
    my $user = customer('ada');
    my $other = customer('bob');
    my ($sse, $ws, $others) = (stream('/sse', $user), websocket($user), stream('/sse', $other));
    is $ws->echo('hello'), 'hello', 'a_reload finds a stream and a websocket';
    my @old = $site->reload;
    ok $_->stays(1.5), '  which go on' for $sse, $ws, $others;
    ok kill(0, @old), '  in the old worker';
    is $ws->echo('still'), 'still', '  and talk';
    end_of($user);
    ok $_->ends_within(5), '  until the old worker hears of the end' for $sse, $ws;
    ok logged(qr{^/sse 200 user=$user cut/ended$}m), '  and logs it';
    ok $others->stays(0.5), '  and another goes on';
    $others->leave;
    ok gone(@old), '  and with the last of them the worker goes';
    unlike $site->log, qr/ exited on signal/, '  by itself';
    unlike $site->log, qr/open socket/, '  and leaves nothing open';

    # Who is being asked about when the reload comes, while a stream stays.
    my @askers = map { customer('eve') } 1 .. 4;
    my $slow = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $site->port(8),
        Listen => 8, ReuseAddr => 1, Timeout => 10 * patience()) or die "listen: $!";
    $others = stream('/sse', $other);
    my @late = map {
        $site->connect->send(uri => '/late', headers => [Cookie => "app=$_"]);
    } @askers;
    my @asked = map { scalar $slow->accept } @askers;
    is scalar(grep { defined } @asked), @askers, 'a_question to the app is under way at a reload';
    @old = $site->reload;
    for my $question (@asked) {
        sysread $question, my $text, 65536;
        my ($who) = $text =~ /\bapp=(\w+)/;
        print $question "HTTP/1.0 204 No Content\r\nX-User: $who\r\n\r\n";
        close $question;
    }
    is $_->receive->status, 200, '  and its answer counts' for @late;
    end_of($other);
    ok $others->ends_within(5), '  and the stream still ends';
    ok gone(@old), '  and the worker goes';
    like $site->get('/metrics?format=prometheus')->body,
        qr/^entitle_live_cut_total\{reason="ended"\} 3$/m, 'all that was cut is counted';

    # Nothing is under way: it goes at once.
    $user = customer('ada');
    is $site->get('/page', browser($user))->status, 200, 'a worker with nothing under way';
    my $since = Time::HiRes::time();
    @old = $site->reload;
    ok gone(@old), '  goes';
    cmp_ok Time::HiRes::time() - $since, '<', 3 * patience(), '  at once';

    # Two reloads while it is open, and Redis is another one afterwards.
    $user = customer('eve');
    my $long = stream('/sse', $user);
    @old = ($site->reload, $site->reload);
    $redis->stop;
    $site->get('/page', browser($user));    # the new worker says so
    ok $long->stays(0.3), 'two_reloads, and a Redis that went';
    $redis->start;
    ok $long->stays(2), '  and came back: it goes on';
    end_of($user);
    ok $long->ends_within(5), '  until the end';
    ok gone(@old), '  and the worker goes';
}
$site->expect_log(qr/redis ".*" is unreachable/);
$site->finish;

begin(main => "worker_shutdown_timeout 1s;\n");
{
    my $user = customer('ada');
    my $sse = stream('/sse', $user);
    my $since = Time::HiRes::time();
    # A heartbeat may have been on its way.
    $site->expect_alert(qr/is unreachable: the worker must quit now/);
    my @old = $site->reload;
    ok gone(@old), 'worker_shutdown_timeout ends the worker';
    cmp_ok Time::HiRes::time() - $since, '<', 4 * patience(), '  in time';
    ok $sse->ends_within(5), '  and what it served';
    unlike $site->log, qr/open socket/, '  and leaves nothing open';
}
$site->finish;

# --- several workers ---------------------------------------------------------------

begin(workers => 3);
{
    my $user = customer('ada');
    my $other = customer('bob');
    my @streams = map { stream('/sse', $user) } 1 .. 30;
    my @others = map { stream('/sse', $other) } 1 .. 6;
    is join(' ', map { $_->status } @streams), join(' ', (200) x 30), 'three_workers have thirty streams';
    end_of($user);
    ok !(grep { !$_->ends_within(5) } @streams), '  and all of them end';
    ok !(grep { !$_->stays(0.05) } @others), '  and others go on';
    $_->leave for @others;

    # A logout comes to one worker only.
    $user = customer('eve');
    @streams = map { stream('/quiet', $user) } 1 .. 20;
    is $site->get('/logout', browser($user))->status, 204, 'this_browser logs out';
    ok !(grep { !$_->ends_within(5) } @streams), '  and its streams of all workers end';
    ok logged(qr{^/quiet 200 user=$user cut/logged_out$}m), '  and the log says why';
}
ok $app->wait_until_open(0), '  and nothing is left open';
$site->finish;

# --- Redis is away -----------------------------------------------------------------

begin(stale => '2s');
{
    my $user = customer('ada');
    my ($sse, $allowed) = (stream('/sse', $user), stream('/down/sse', $user));
    sleep 1.5;    # the lease holds
    ok $_->flows, 'redis_is_away' for $sse;
    my $since = Time::HiRes::time();
    $redis->freeze;
    ok $sse->ends_within(8), '  and the stream ends';
    my $took = $sse->{ended} - $since;
    cmp_ok $took, '>', 2, "  after what entitle_stale allows ($took)";
    cmp_ok $took, '<', 2 + 1 + 1 + 1.5 * patience(), '  and the lease, and no later';
    ok logged(qr{^/sse 200 user=$user cut/redis_unreachable$}m), '  and the log says why';
    ok $allowed->stays(1), '  where entitle_redis_down allows it goes on';
    $redis->thaw;
    ok $allowed->stays(1), '  and when Redis is back';
    end_of($user);
    ok $allowed->ends_within(4), '  until it hears of the end';
    ok logged(qr{^/down/sse 200 user=$user cut/ended$}m), '  which the log says';

    # Back in time: nobody notices.
    $user = customer('bob');
    $sse = stream('/sse', $user);
    sleep 1.2;
    $redis->freeze;
    ok $sse->stays(1.2), 'redis_is_back_in_time';
    $redis->thaw;
    ok $sse->stays(3), '  and nothing is cut';
    end_of($user);
    ok $sse->ends_within(3), '  but by the end';

}
$site->expect_log(qr/redis ".*" is unreachable/);
$site->finish;

# What changed while nobody heard is found when it is heard again.
begin(lease => '60s', stale => '60s');
{
    my $user = customer('eve');
    my $sse = stream('/sse', $user);
    ok $site->wait_for_log(qr/Redis says what changes/), 'a_change_while_nobody_heard';
    ok $sse->stays(0.5), '  it goes on';
    $redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    end_of($user);
    ok $sse->ends_within(5), '  is found out';
}
$site->finish;

done_testing;
