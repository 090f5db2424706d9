# What is counted, by whomever of two workers it was done, and that nothing of it
# is lost by a reload: each number is what the test itself has caused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Test::Entitle::Metrics qw(metrics difference);
use Time::HiRes qw(sleep);

my $VERSION = 1_767_000_000_000;
my $site  = Test::Entitle->new(workers => 2);
my $redis = $site->redis;
my $app   = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my $user = $r->{cookies}{app} // '';
    return { status => 500 } if $user eq 'broken';
    return { status => 401 } if $user eq 'out';
    return { status => 204, delay => 0.12, headers => ['X-User' => $user] };
});
$site->write_file('html/page', 'page');
my $http = <<"EOT";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_lease 1s;
entitle_stale 0;
entitle_grant pro prod_Pro prod_FxPRO000001;
entitle_wait_limit 2 per=2;
%%SESSIONS%%
map \$arg_user \$known { default \$arg_user; }
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    %%REAUTH%%
    entitle_require pro;
    location = /whoami { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /status { entitle_status; }
    location = /page { }
    location = /known { entitle_trusted_user \$known; try_files /page =404; }
    location = /optional { entitle optional; try_files /page =404; }
    location = /dry { entitle_dry_run on; try_files /page =404; }
    location = /waits { entitle_trusted_user \$known; entitle_wait 400ms if=\$arg_bought; try_files /page =404; }
    location = /long { entitle_trusted_user \$known; entitle_wait 20s; try_files /page =404; }
    location = /poll { entitle_trusted_user \$known; entitle_poll 300ms; }
}
EOT
$site->start($http);
put_record($redis, 'ada', version => $VERSION, subscription('active'));
put_record($redis, 'eve', version => $VERSION, subscription('canceled', ended_at => time - 60));
my %now = (ada => $VERSION, eve => $VERSION, bob => 0);
sub session_of { return "app=$_[0]; entitle=" . session(user => $_[0], version => $now{ $_[0] }, bind => [$_[0]]) }
sub get { my ($uri, @cookie) = @_; return $site->get($uri, @cookie ? (Cookie => @cookie) : ()) }

# What `do` adds, but for what is zero; only of the families that are named.
sub adds {
    my ($name, $wanted, $do) = @_;
    my $before = metrics($site);
    $do->();
    my %families = map { /^(\w+)/ ? ($1 => 1) : () } keys %$wanted;
    my $added;
    my $same = wait_until(sub {
        my %all = %{ difference($before, metrics($site)) };
        $added = { map { $_ => $all{$_} } grep { /^(\w+)/ && $families{$1} } keys %all };
        return join(' ', map { "$_=$added->{$_}" } sort keys %$added)
            eq join(' ', map { "$_=$wanted->{$_}" } sort grep { $wanted->{$_} } keys %$wanted);
    }, 5);
    ok $same, $name or is_deeply $added, $wanted;
    return;
}
sub decision { return qq(entitle_gate_decisions_total{decision="$_[0]",reason="$_[1]"}) }
sub wait_end { return qq(entitle_wait_total{result="$_[0]"}) }
sub event { return qq(entitle_webhook_events_total{mode="test",outcome="$_[0]"}) }

# --- gates ----------------------------------------------------------------------------

adds('each decision is counted once', {
    decision('login', 'no_session') => 3, decision('pay', 'not_entitled') => 2,
    decision('pay', 'ended') => 1, decision('allow', 'ok') => 4, decision('error', 'reauth_failed') => 1,
}, sub {
    get('/page') for 1 .. 3;
    get('/page', session_of('bob')) for 1 .. 2;
    get('/page', session_of('eve'));
    get('/page', session_of('ada')) for 1 .. 4;
    get('/page', 'app=broken');
});
adds('who is remembered, too, by many connections at once',
    { decision('allow', 'ok') => 400 }, sub {
    my $cookie = session_of('ada');
    my @clients = map { $site->connect } 1 .. 8;
    for (1 .. 50) {
        $_->send(uri => '/page', headers => [Cookie => $cookie]) for @clients;
        $_->receive for @clients;
    }
});
adds('where nobody is refused nothing is decided', { decision('login', 'no_session') => 0 },
    sub { get('/optional') for 1 .. 3 });
adds('a dry run counts as ever, and whom it let by', {
    decision('login', 'no_session') => 1, decision('pay', 'not_entitled') => 2, decision('allow', 'ok') => 1,
    'entitle_dry_run_let_by_total{decision="login"}' => 1, 'entitle_dry_run_let_by_total{decision="pay"}' => 2,
}, sub {
    get('/dry');
    get('/dry', session_of('bob')) for 1 .. 2;
    get('/dry', session_of('ada'));
});
is metrics($site)->{entitle_dry_run_locations}, 1, 'how many locations let everybody by';
adds('a poll is no gate', { decision('login', 'no_session') => 0, decision('pay', 'not_entitled') => 0 },
    sub { get('/poll'); get('/poll?user=bob') });

{
    my ($lookups, $added) = (qr/^entitle_record_lookups_total/);
    ok wait_until(sub {
        my $before = metrics($site);
        get('/page', session_of('ada')) for 1 .. 6;
        $added = difference($before, metrics($site));
        return ($added->{'entitle_record_lookups_total{cache="hit"}'} // 0) > 0;
    }, 20), 'records are found in the zone';
    my $sum = 0;
    $sum += $added->{$_} for grep { /$lookups/ } keys %$added;
    is $sum, 6, '  and each look is counted once';
}

# --- the app ----------------------------------------------------------------------------

adds('what the app answers', { 'entitle_reauth_total{result="user"}' => 1,
    'entitle_reauth_total{result="guest"}' => 2, 'entitle_reauth_total{result="failure"}' => 1 }, sub {
    get('/page', 'app=ada');
    get('/page', 'app=out') for 1 .. 2;
    get('/page', 'app=broken');
});
{
    my $before = metrics($site);
    get('/page', 'app=bob');
    my $added = difference($before, metrics($site));
    is $added->{'entitle_reauth_seconds_count'}, 1, 'how long it took is noted';
    cmp_ok $added->{'entitle_reauth_seconds_sum'}, '>=', 0.1, '  in seconds';
    is $added->{'entitle_reauth_seconds_bucket{le="0.1"}'} // 0, 0, '  not in a bucket that is too small';
    is $added->{'entitle_reauth_seconds_bucket{le="10"}'}, 1, '  but in all that are large enough';
}

# --- waiting ----------------------------------------------------------------------------

my $serial = 0;
sub newcomer { return 'new' . ++$serial }
sub waits { return $site->connect->send(uri => $_[0]) }
sub pays { put_record($redis, $_[0], version => $VERSION, subscription('active')) }
sub held { my ($count) = @_; return wait_until(sub { metrics($site)->{entitle_waiting} == $count }, 10) }

adds('a buyer who waits in vain', { wait_end('in_vain') => 1 },
    sub { is get('/waits?bought=1&user=' . newcomer())->status, 402, 'nothing came' });
ok $site->wait_for_log(qr/\[warn\] .*entitle: "new1" came from the checkout and waited 4\d\d ms in vain: entitlectl why --mode test new1/),
    '  is in the log, with what to type';
adds('who does not come from the checkout does not wait', { wait_end('in_vain') => 0, wait_end('timed_out') => 0 },
    sub { get('/waits?user=' . newcomer()) });
adds('a poll that was in vain', { wait_end('timed_out') => 1 }, sub { get('/poll?user=' . newcomer()) });
adds('who is let in', { wait_end('let_in') => 1 }, sub {
    my $user = newcomer();
    my $held = waits("/long?user=$user");
    ok held(1), 'one waits, and it is told';
    pays($user);
    is $held->receive->status, 200, 'and is in';
});
adds('who leaves', { wait_end('left') => 1 }, sub {
    my $held = waits('/long?user=' . newcomer());
    ok held(1), 'one waits';
    $held->close;
});
ok held(0), 'and waits no more';
{
    my $before = metrics($site);
    my (@held, $refused);
    while (!$refused && @held < 6) {  # two workers hold two each
        my $one = waits('/long?user=' . newcomer());
        if ($one->readable(0.5)) { $refused = $one->receive->status } else { push @held, $one }
    }
    is $refused, 402, 'who finds no room is answered at once';
    is difference($before, metrics($site))->{ wait_end('full') }, 1, '  and counted';
    $_->close for @held;
    ok held(0), '  and the others go';
}

# --- webhooks ---------------------------------------------------------------------------

adds('what became of webhooks', { event('applied') => 1, event('duplicate') => 2, event('parked') => 1,
    event('mode_mismatch') => 1, event('signature_mismatch') => 1, event('signature_missing') => 1,
    event('ignored') => 1 }, sub {
    my $event = event_json('customer.subscription.created.active', user => 'kim', customer => 'K', created => time - 40);
    $site->webhook($event) for 1 .. 3;
    $site->webhook(event_json('customer.subscription.created.active', customer => 'P', 'data.object.metadata' => {}));
    $site->webhook(event_json('customer.subscription.created.active', livemode => JSON::PP::true()));
    $site->webhook(event_json('invoice.payment_failed', user => 'kim', customer => 'K'));
    $site->request(method => 'POST', uri => '/webhook', body => $event);
    $site->request(method => 'POST', uri => '/webhook', body => $event,
        headers => ['Stripe-Signature' => 't=' . time . ',v1=' . 'ab' x 32]);
});
{
    my $before = metrics($site);
    $site->webhook(event_json('customer.subscription.created.active', user => 'lou', customer => 'L', created => time - 40));
    my $added = difference($before, metrics($site));
    is $added->{'entitle_webhook_delay_seconds_count{mode="test"}'}, 1, 'how late it came is noted';
    is $added->{'entitle_webhook_delay_seconds_bucket{mode="test",le="30"}'} // 0, 0, '  as more than half a minute';
    is $added->{'entitle_webhook_delay_seconds_bucket{mode="test",le="60"}'}, 1, '  and less than one';
}

# --- what was there before ---------------------------------------------------------------

my $now = metrics($site);
ok exists $now->{$_}, "$_ is there" for 'entitle_redis_up', 'entitle_hears_changes', 'entitle_zone_bytes',
    'entitle_zone_free_bytes', map { qq(entitle_$_\{prefix="entitle:",mode="test"}) }
    qw(parked parked_oldest_seconds parked_paid parked_paid_oldest_seconds unmatched unmatched_oldest_seconds
        webhook_last_received_timestamp_seconds);
is $now->{'entitle_parked_paid{prefix="entitle:",mode="test"}'}, 1, 'who paid and is nobody\'s';
ok((grep { /^entitle_build_info\{version="[\d.]+",nginx="[\d.]+"\}$/ } keys %$now), 'which version it is');

# --- reload ------------------------------------------------------------------------------

my @old = $site->worker_pids;
$site->reload;
wait_until(sub { !grep { kill 0, $_ } @old }) or die 'the old workers stay';
my $after = metrics($site);
my %counters = map { $_ => 1 } grep { /_(?:total|count|sum|bucket)\b/ && !/^entitle_redis_errors|lookups/ } keys %$now;
is_deeply { map { $_ => $after->{$_} } keys %counters }, { map { $_ => $now->{$_} } keys %counters },
    'a_reload_forgets_nothing';
adds('and goes on', { decision('login', 'no_session') => 2 }, sub { get('/page') for 1 .. 2 });

# --- a worker that is killed -----------------------------------------------------------------

{
    my $held = waits('/long?user=' . newcomer());
    ok held(1), 'one waits';
    my @pids = $site->worker_pids;
    kill 'KILL', @pids;
    wait_until(sub { my @new = $site->worker_pids; @new == 2 && !grep { my $p = $_; grep { $_ == $p } @new } @pids });
    ok held(0), 'who waited in a worker that was killed waits no more';
    $site->expect_alert(qr/exited on signal 9/);
    cmp_ok metrics($site)->{ decision('allow', 'ok') }, '>=', $after->{ decision('allow', 'ok') }, 'nothing else is lost';
}

# --- Redis ------------------------------------------------------------------------------------

$site->expect_log(qr/redis/i, qr/re-authentication/, qr/mode_mismatch/);
my $well = metrics($site);
$redis->stop;
ok wait_until(sub {
    get('/page', session_of('eve'));
    my $added = difference($well, metrics($site));
    ($added->{'entitle_redis_errors_total{kind="unavailable"}'} // 0) > 0
        && ($added->{ decision('error', 'redis_unreachable') } // 0) > 0
        && ($added->{'entitle_record_lookups_total{cache="failed"}'} // 0) > 0;
}, 20), 'what Redis does not answer is counted';
my $answer = $site->get('/status?format=prometheus');
is $answer->status, 200, 'who scrapes is answered all the same: of a 503 nothing would be taken';
like $answer->body, qr/^entitle_redis_up 0$/m, '  that Redis is down';

done_testing;
