# Redis may be gone, hung, killed and back: a webhook is stored or answered 503,
# never half; nobody waits for ever; the worker lives on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession qw(session);
use Time::HiRes qw(sleep time);

my $http = <<'EOF';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 500ms;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_mode test;
server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami { add_header X-User $cookie_app; return 204; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /gated {
        entitle_require pro;
        %%REAUTH%%
        try_files /page.html =404;
    }
    location = /open { return 200 open; }
}
EOF

sub new_event { return event_json('customer.subscription.created.active', @_) }

sub unavailable {
    my ($name, $answer) = @_;
    is $answer->status, 503, $name;
    like $answer->header('Retry-After'), qr/^[1-9]\d*$/, '  with Retry-After';
}

# --- absent from the start ---------------------------------------------------

{
    my $site = Test::Entitle->new;
    $site->write_file('html/page.html', 'page');
    $site->start($http);
    unavailable('no_redis_no_receipt', $site->webhook(new_event(user => 'ada')));
    my $browser = $site->browser;
    $browser->cookies->{app} = 'ada';
    unavailable('no_redis_no_entry', $browser->get('/gated'));
    is $site->get('/open')->status, 200, 'the_rest_of_the_site_does_not_notice';

    my $begin = time;
    my @later = map { $site->connect->send($site->webhook_request(new_event(user => 'ada'))) } 1 .. 5;
    unavailable('nor any later', $_->receive) for @later;
    cmp_ok time - $begin, '<', 10 * patience(), 'and nobody waits long';

    $site->redis;
    my $answer = wait_until(sub {
        my $answer = $site->webhook(new_event(user => 'ada'));
        $answer->status == 200 && $answer;
    }, 20);
    ok $answer, 'redis_comes_and_is_found';
    $site->expect_log(qr/entitle|redis|connect\(\) failed/i);
    $site->finish;
}

# Let in unverified, then led on to where it is looked at anew who it is.
{
    my $site = Test::Entitle->new;
    $site->write_file('html/page.html', 'page');
    $site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_redis_down allow;
%%SESSIONS%%
map $remote_addr $me { default "somebody with a name that is not short"; }
server {
    listen 127.0.0.1:%%PORT%%;
    location = /first { entitle on; entitle_trusted_user $me; try_files /nothing /second; }
    location = /second {
        entitle on;
        %%ASKED%%
        entitle_session_bind $entitle_user;
        add_header X-Is "[$entitle_user]" always;
        try_files /page.html =404;
    }
}
EOF
    my $session = session(user => 'ada', bind => [['variable', '$entitle_user', '']]);
    my $answer = $site->get('/first', Cookie => "entitle=$session");
    is $answer->header('X-Is'), '[ada]', 'while_it_is_looked_anew_nobody_is_known';
    is $answer->status, 200, 'and it is let in as that one';
    $site->expect_log(qr/entitle|redis|connect\(\) failed/i);
    $site->finish;
}

# --- killed, and back --------------------------------------------------------

{
    my $site = Test::Entitle->new(workers => 2);
    $site->write_file('html/page.html', 'page');
    my $redis = $site->redis(options => [qw(--appendonly yes --appendfsync always)]);
    $site->start($http);
    my $browser = $site->browser;
    $browser->cookies->{app} = 'ada';
    is $site->webhook(new_event(user => 'ada'))->status, 200, 'while it runs';
    is $browser->get('/gated')->status, 200, 'and lets in';

    $redis->kill9;
    unavailable('killed', $site->webhook(new_event(user => 'bob', customer => 'B')));
    unavailable('killed_and_the_gate_stays_shut', $browser->get('/gated'));
    $redis->start;
    ok wait_until(sub { $browser->get('/gated')->status == 200 }, 20),
        'restarted_and_open_again';
    ok wait_until(sub {
        $site->webhook(new_event(user => 'bob', customer => 'B'))->status == 200;
    }, 20), 'and what was refused is taken when sent again';
    is_deeply [sort grep { /\{u:[^}]*\}$/ } $redis->keys],
        ['entitle:test:{u:ada}', 'entitle:test:{u:bob}'], 'nothing is half there';
    $site->expect_log(qr/entitle|redis|connect\(\) failed|reset by peer/i);
    $site->finish;
}

# --- hung --------------------------------------------------------------------

{
    my $site = Test::Entitle->new;
    $site->write_file('html/page.html', 'page');
    my $redis = $site->redis;
    $site->start($http =~ s/(entitle_redis_timeout) 500ms/$1 1s/r);
    my $browser = $site->browser;
    $browser->cookies->{app} = 'ada';
    is $site->webhook(new_event(user => 'ada'))->status, 200, 'while it answers';

    $redis->freeze;
    my @waiting = map { $site->connect->send($site->webhook_request(
        new_event(user => "u$_", customer => "U$_"))) } 1 .. 8;
    my $begin = time;
    is $site->get('/open')->status, 200, 'a_hung_redis_blocks_nobody';
    cmp_ok time - $begin, '<', 1 * patience(), 'not even for one time-out';
    unavailable('hung', $_->receive) for @waiting;
    cmp_ok time - $begin, '<', 10 * patience(), 'within the time-out and its retries';
    unavailable('hung_and_shut', $browser->get('/gated'));

    # A client that leaves while Redis is asked.
    for my $how (qw(close reset)) {
        my $client = $site->connect->send($site->webhook_request(
            new_event(user => 'gone', customer => 'G')));
        sleep 0.1;
        $client->$how;
        my $visitor = $site->connect->send(uri => '/gated',
            headers => [Cookie => 'app=ada']);
        sleep 0.1;
        $visitor->$how;
    }
    sleep 0.3;
    is $site->get('/open')->status, 200, 'clients_that_leave_take_nothing_along';
    $redis->thaw;
    ok wait_until(sub { $browser->get('/gated')->status == 200 }, 20),
        'thawed_and_open_again';
    is $site->webhook(new_event(user => 'carl', customer => 'C'))->status, 200,
        'and stores again';

    # What was sent before the time-out may have come to pass; then all of it.
    for my $key (grep { /\{u:[^}]*\}$/ } $redis->keys) {
        my $record = $redis->hgetall($key);
        ok exists $record->{version} && grep({ /^source:/ } CORE::keys %$record),
            "$key is whole";
    }
    $site->expect_log(qr/entitle|redis|timed out/i);
    $site->finish;
}

# --- reload while Redis is asked ---------------------------------------------

{
    my $site = Test::Entitle->new;
    $site->write_file('html/page.html', 'page');
    my $redis = $site->redis;
    $site->start($http =~ s/(entitle_redis_timeout) 500ms;/$1 20s; entitle_redis_connect_timeout 20s;/r);
    is $site->webhook(new_event(user => 'ada'))->status, 200, 'before the reload';

    $redis->freeze;
    my @events  = map { new_event(user => "u$_", customer => "U$_") } 1 .. 4;
    my @waiting = map { $site->connect->send($site->webhook_request($_)) } @events;
    my @visitors = map { $site->connect->send(uri => '/gated',
        headers => [Cookie => 'app=ada']) } 1 .. 4;
    sleep 0.3;
    my ($old) = $site->worker_pids;
    $site->reload;
    my ($new) = $site->worker_pids;
    isnt $new, $old, 'a new worker serves';
    ok !(grep { $_->readable(0) } @waiting, @visitors), 'while all of them wait';
    $redis->thaw;
    is $_->receive->status, 200, 'a_webhook_in_flight_survives_a_reload' for @waiting;
    is $_->receive->status, 200, 'and so does a visitor' for @visitors;
    $_->close for @waiting, @visitors;
    ok wait_until(sub { !kill 0, $old }, 10), 'the_old_worker_goes_when_all_are_answered';
    is $site->webhook($_)->json->{outcome}, 'duplicate', 'and each was stored once'
        for @events;

    # The log tells the same: on the old worker, and after the new one started.
    my $log = $site->log;
    my ($started) = $log =~ /start worker process $new\n(.*)/s;
    like $started, qr/ \Q$old\E#\Q$old\E: \*\d+ .*\bapplied\b/,
        'the old worker finished them after the new one started';
    $site->finish;
}

done_testing;
