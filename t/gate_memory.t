# Who was let in is let in again by the same bytes (entitle_session_memory), and
# whatever ends that ends it at the very next request. Everything twice: with the
# memory, where each case is first seen to be remembered, and without, where the
# answers are the same.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;
use Test::Entitle::Jwt;
use Test::Entitle::Zone;
use Time::HiRes qw(sleep time);

my $SIZE = 1 << 20;
my $key  = Test::Entitle::Jwt->rsa;

sub http {
    my ($memory, %o) = @_;
    my $session_key = $o{key} // '%%KEY%%';
    my $lease = $o{lease} // '1s';
    return <<"EOF2";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_zone 1m;
entitle_lease $lease;
entitle_session_memory $memory;
entitle_grant pro prod_Pro;
entitle_grant plus prod_Plus;
entitle_grace 0s;
entitle_pause_collection revoke;
entitle_session_key_file $session_key;
entitle_session_cookie entitle secure=off;
entitle_problem_json off;
error_log %%DIR%%/logs/debug.log debug;
map \$arg_user \$known { default \$arg_user; }
log_format decided "\$uri \$entitle_user \$entitle_version \$entitle_decision \$entitle_entitlements";
access_log %%DIR%%/logs/decided.log decided;
add_header X-Seen "\$entitle_user \$entitle_version \$entitle_cache \$entitle_decision \$entitle_reason" always;
add_header X-Told "\$http_x_entitle_user \$http_x_entitle_version \$http_x_entitle_entitlements" always;
add_header X-Worker \$pid always;
server {
    listen 127.0.0.1:%%PORT%%;
    entitle_session_scope tests;
    entitle_session_bind cookie=app;
    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    entitle_require pro;
    location = /whoami { internal; return 401; }
    location = /page { }
    location = /plus { entitle_require plus; try_files /page =404; }
    location = /either { entitle_require \$arg_need; try_files /page =404; }
    location = /short { entitle_session_recheck 2s; try_files /page =404; }
    location = /device { entitle_session_bind cookie=app \$http_x_device; try_files /page =404; }
    location = /org { entitle_reauth_key \$arg_org; try_files /page =404; }
    location = /mine { entitle_session_bind cookie=app \$entitle_user; try_files /page =404; }
    location = /optional { entitle optional; satisfy any; deny all; try_files /page =404; }
    location = /mixed { satisfy any; deny all; try_files /page =404; }
    location = /trusted { entitle_trusted_user \$known; try_files /page =404; }
    location = /jwt { entitle_jwt cookie=jwt; entitle_jwt_key_file %%DIR%%/key.pem; try_files /page =404; }
    location = /poll { entitle_poll 1s; }
    location = /on { try_files /none /plus; }
    location = /other { try_files /none /trusted?\$args; }
    location = /same { try_files /none /page; }
    location = /logout { entitle_logout all; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    entitle_session_bind cookie=app;
    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    entitle_require pro;
    location = /page { }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT3%%; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    access_log off;
    error_log %%DIR%%/logs/error.log info;
    location = /whoami { add_header X-User \$cookie_app; return 204; }
}
EOF2
}

my ($site, $redis, $memory);
my $debugged = 0;  # of debug.log

sub begin {
    my ($with, %o) = @_;
    $memory = $with ne 'off';
    $site = Test::Entitle->new(workers => $o{workers} // 1);
    $redis = $site->redis;
    $site->write_file('html/page', 'page');
    $site->write_file('key.pem', $key->public_pem);
    $site->start(http($with, %o));
    $debugged = 0;
    return;
}

# A customer of version 5.
sub customer {
    my ($user, %o) = @_;
    put_record($redis, $user, version => 5, subscription('active', %o));
    return $user;
}

sub cookies {
    my ($user, %o) = @_;
    return "app=of-$user; entitle=" . session(user => $user, version => 5,
        bind => ["of-$user"], %o);
}

# How often somebody was let in as before since this was last asked.
sub recalls {
    my $log = $site->read_file('logs/debug.log');
    my $count = () = substr($log, $debugged) =~ /entitle: let in as before/g;
    $debugged = length $log;
    return $count;
}

# "user version cache decision reason", and "again" where that was remembered.
sub told {
    my ($answer) = @_;
    my $seen = ($answer->header('X-Seen') // '') =~ s/\s+$//r;
    return $seen . (recalls() ? ' again' : '');
}
sub ask {
    my ($uri, $cookies, @headers) = @_;
    return told($site->get($uri, defined $cookies ? (Cookie => $cookies) : (), @headers));
}

# Let in, out of the zone, and remembered where there is a memory.
sub remembered {
    my ($name, @request) = @_;
    my $wanted = $memory ? qr/^\S+ 5 HIT allow ok again$/ : qr/^\S+ 5 HIT allow ok$/;
    my $last = '';
    return ok(wait_until(sub { ($last = ask(@request)) =~ $wanted }, 20), $name)
        || diag($last);
}

my $AGAIN = qr/again/;

# Somebody asks meanwhile, so that the lease holds.
sub wait_until_it_is {
    my ($time) = @_;
    while (time < $time) {
        $site->get('/page', Cookie => cookies('eve'));
        sleep 0.1;
    }
    recalls();
    return;
}

for my $with ('4m', 'off') {
    note "entitle_session_memory $with";
    begin($with);
    my $hit = 'ada 5 HIT allow ok' . ($memory ? ' again' : '');

    # --- the same bytes ---------------------------------------------------------

    customer($_) for qw(ada bob eve);
    my $ada = cookies('ada');
    remembered('who is let in is let in again', '/page', $ada);
    is ask('/page', $ada), $hit, '  by another connection' for 1 .. 3;
    {
        my $client = $site->connect;
        for my $name ('by the same', 'and the next') {
            my $answer = $client->request(uri => '/page', headers => [Cookie => $ada]);
            is told($answer), $hit, "  $name";
            is $answer->header('Cache-Control'), 'private, no-cache', '    and kept private';
        }
        remembered('and somebody else', '/page', cookies('bob'));
        for my $user (qw(bob ada bob ada)) {
            my $answer = $client->request(uri => '/page', headers => [Cookie => cookies($user)]);
            like told($answer), qr/^$user 5 /, 'two_over_one_connection_are_told_apart';
        }
    }
    remembered('what an app would be told', '/page', $ada);
    is $site->get('/page', Cookie => $ada, 'X-Entitle-User' => 'root',
        'X_Entitle_Version' => 9)->header('X-Told'), 'ada 5 pro', '  is the same again';
    recalls();
    like $site->read_file('logs/decided.log'), qr{\n/page ada 5 allow pro\n\z}, '  and the log';

    # --- other bytes ------------------------------------------------------------

    my ($app, $session) = $ada =~ /app=(\S+); entitle=(\S+)/;
    for my $case (
        ['another binding', "app=of-eve; entitle=$session", 'session_unbound'],
        ['no binding', "entitle=$session", 'session_unbound'],
        ['another signature', "app=$app; entitle=" . ($session =~ s/(.)$/$1 eq 'A' ? 'E' : 'A'/er),
            'session_invalid'],
        ['another user\'s session', "app=$app; entitle="
            . (cookies('eve') =~ /entitle=(\S+)/)[0], 'session_unbound'],
        ['none', "app=$app", 'no_session'],
    ) {
        my ($name, $cookies, $reason) = @$case;
        remembered('remembered', '/page', $ada);
        like ask('/page', $cookies), qr/^\S* *login $reason$/, "  and $name is found out";
    }
    is ask('/page', $ada . '; theme=dark'), 'ada 5 HIT allow ok', 'one cookie more is found out';
    remembered('  and remembered by itself', '/page', $ada . '; theme=dark');

    # --- a header spelled twice, a session twice -----------------------------------

    for (1 .. 3) {
        unlike ask('/page', $app ? "app=$app" : '', Cookie => "entitle=$session"), $AGAIN,
            'two_cookie_lines_are_never_remembered';
        like ask('/page', "$ada; entitle=$session"), qr/ada 5 HIT allow ok$/,
            'nor_two_sessions';
    }

    # --- other settings -----------------------------------------------------------

    remembered('remembered here', '/page', $ada);
    is ask('/plus', $ada), 'ada 5 HIT pay not_entitled', 'another_location_asks_for_something_else'
        for 1 .. 3;
    like ask('/device', $ada, 'X-Device' => 'd1'), qr/login session_unbound/, '  or binds to more';
    my $device = cookies('ada', bind => ['of-ada', ['variable', '$http_x_device', 'd1']]);
    remembered('a variable that is bound to', '/device', $device, 'X-Device' => 'd1');
    like ask('/device', $device, 'X-Device' => 'd2'), qr/login session_unbound/,
        '  and_another_value_of_it';
    like ask('/device', $device), qr/login session_unbound/, '  or none';
    my $org = cookies('ada', bind => ['of-ada', ['asked', '$arg_org', 'one']]);
    remembered('what the app was told', '/org?org=one', $org);
    like ask('/org?org=two', $org), qr/login session_unbound/, '  and_another_value_of_it';
    remembered('a variable that is asked for', '/either?need=pro', $ada);
    is ask('/either?need=plus', $ada), 'ada 5 HIT pay not_entitled', '  and_another_value_of_it';
    is ask('/either', $ada), 'ada 5 HIT pay not_entitled', '  or none';
    for (1 .. 3) {
        unlike ask('/mine', cookies('ada', bind => ['of-ada', ['variable', '$entitle_user', '']])),
            $AGAIN, 'a_binding_to_what_we_say_is_never_remembered';
        is ask('/trusted?user=ada'), 'ada 5 HIT allow ok', 'nor_is_a_trusted_variable';
        is ask('/jwt', 'jwt=' . $key->token({ sub => 'ada', exp => time + 600 })),
            'ada 5 HIT allow ok', 'nor_a_jwt';
        unlike ask('/poll', $ada), $AGAIN, 'nor_a_poll';
        remembered('who_is_only_made_known', '/optional', $ada);
        is $site->get('/optional', Cookie => $ada)->status, 403, '  is_not_let_in_by_that';
        recalls();
        is $site->get('/mixed', Cookie => $ada)->status, 200, '  and who is, is';
        recalls();
    }

    # --- an internal redirect -------------------------------------------------------

    remembered("$_ leads on", $_, $ada) for qw(/same);
    remembered('what leads elsewhere', '/page', $ada);
    like ask('/on', $ada), qr/^ada 5 HIT pay not_entitled/, '  is_asked_for_there' for 1 .. 2;
    like ask('/other?user=bob', $ada), qr/^bob 5 HIT allow ok/, '  or_is_somebody_else_there'
        for 1 .. 2;

    # --- changes --------------------------------------------------------------------

    put_record($redis, 'ada', version => 5, subscription('canceled'));
    is ask('/page', $ada), 'ada 5 MISS pay ended', 'a_cancellation_ends_it';
    customer('ada');
    remembered('and what was bought again', '/page', $ada);
    $redis->command('HINCRBY', 'entitle:test:{u:ada}', version => 1);
    like ask('/page', $ada), qr/login session_stale/, 'a_risen_version_ends_it';
    customer('ada');
    remembered('and a record made anew', '/page', $ada);
    $redis->command('HSET', 'entitle:test:{u:ada}', not_before => 1 + int time);
    like ask('/page', $ada), qr/login session_stale/, 'not_before_ends_it';
    $redis->command('HDEL', 'entitle:test:{u:ada}', 'not_before');
    remembered('  and without', '/page', $ada);
    $redis->command('DEL', 'entitle:test:{u:ada}');
    like ask('/page', $ada), qr/login session_stale/, 'a_deleted_record_ends_it';
    customer('ada');
    remembered('  and with one', '/page', $ada);
    $redis->command('FLUSHALL');
    # Who flushes is answered before the workers hear of it.
    ok wait_until(sub { ask('/page', $ada) =~ /login session_stale/ }, 1), 'as_does_a_flush';
    customer($_) for qw(ada bob);
    remembered('a user', '/page', $ada);
    is $site->request(method => 'POST', uri => '/logout', headers => [Cookie => $ada])->status, 204,
        'who logs out everywhere';
    ok wait_until(sub { ask('/page', $ada) =~ /login session_stale/ }, 1), '  is out';
    unlike ask('/page', $ada), $AGAIN, '  and stays out';

    # --- the time -------------------------------------------------------------------

    my $now = time;
    my $ending = cookies('bob', exp => int($now) + 3);
    remembered('a session that ends', '/page', $ending);
    wait_until_it_is(int($now) + 3.1);
    like ask('/page', $ending), qr/login session_expired/, '  has_ended';
    my $bob = cookies('bob');
    remembered('a session that is asked about again', '/short', $bob);
    wait_until_it_is(time + 2.1);
    like ask('/short', $bob), qr/login session_stale/, '  is_asked_about';
    $now = time;
    customer('mia', period_end => int($now) + 3);
    remembered('what was bought until then', '/page', cookies('mia'));
    wait_until_it_is(int($now) + 3.1);
    is ask('/page', cookies('mia')), 'mia 5 HIT pay ended', '  ends_then';
    $now = time;
    put_record($redis, 'pia', version => 5, subscription('active'),
        subscription('active', id => 'sub_2', identifiers => ['prod_Plus'],
            pause_collection => 'void', resumes_at => int($now) + 3));
    remembered('while a collection is paused', '/page', cookies('pia'));
    is $site->get('/page', Cookie => cookies('pia'))->header('X-Told'), 'pia 5 pro',
        '  it gives nothing';
    wait_until_it_is(int($now) + 3.1);
    is $site->get('/page', Cookie => cookies('pia'))->header('X-Told'), 'pia 5 plus,pro',
        '  and_resumes_when_it_says';
    recalls();

    # --- Redis ----------------------------------------------------------------------

    remembered('while Redis is there', '/page', $bob);
    for my $round (1 .. 5) {
        for my $line (split /\n/, $redis->command('CLIENT', 'LIST')) {
            my ($id) = $line =~ /^id=(\d+) .*\bcmd=(?:subscribe|ping)\b/ or next;
            eval { $redis->command('CLIENT', 'KILL', 'ID', $id) };
        }
        put_record($redis, 'bob', version => 5, subscription($round % 2 ? 'canceled' : 'active'));
        sleep 0.05;
        like ask('/page', $bob), $round % 2 ? qr/pay ended/ : qr/allow ok/,
            'what_changes_while_nobody_listens_is_not_missed';
    }
    customer('bob');
    remembered('a lease', '/page', $bob);
    $redis->freeze;
    sleep 1.1 * patience();
    unlike ask('/page', $bob), qr/HIT/, '  ends, and with it what was remembered';
    ok wait_until(sub { ask('/page', $bob) eq 'bob 5 STALE allow_stale ok' }, 5),
        '  and what is stale is said to be';
    unlike ask('/page', $bob), $AGAIN, '  and not remembered';
    $redis->thaw;
    remembered('and all is well again', '/page', $bob);

    # --- the host -------------------------------------------------------------------

    my $browse = sub {
        my ($host, $cookies) = @_;
        my $answer = $site->request(port => $site->port(2), uri => '/page', host => $host,
            headers => [Cookie => $cookies]);
        return ({ $answer->cookies }->{entitle}, told($answer));
    };
    my ($made, $seen) = $browse->('one.example', 'app=bob');
    ok($made, 'a server of many hosts: a session of one') || diag $seen;
    my $there = "app=bob; entitle=$made";
    my $next;
    ok wait_until(sub {
        ($next, $seen) = $browse->('one.example', $there);
        return !$next && $seen eq 'bob 5 HIT allow ok' . ($memory ? ' again' : '');
    }, 5), '  is remembered';
    ($next, $seen) = $browse->('two.example', $there);
    ok $next, '  and_is_worth_nothing_at_another';
    unlike $seen, $AGAIN, '  nor remembered there';

    # --- keys -----------------------------------------------------------------------

    remembered('before the keys change', '/page', $bob);
    $site->reload(http($with, key => $site->write_file('other', 'fedcba98' x 8 . "\n")));
    like ask('/page', $bob), qr/login session_invalid/, 'a_rotated_key_ends_it';
    $site->reload(http($with));
    remembered('  and the old one', '/page', $bob);

    $site->expect_log(qr/redis "\S+" is unreachable|no answer within/);
    $site->finish;
}

# --- no lock -----------------------------------------------------------------------

# A worker is stopped as if it held the zone's mutex: who needs it waits.
{
    begin('4m', workers => 2, lease => '20s');
    customer($_) for qw(ada bob cy);
    my $cookies = cookies('ada');
    my $token = 'jwt=' . $key->token({ sub => 'cy', exp => time + 600 });
    my %clients;
    ok wait_until(sub {
        my $client = $site->connect;
        my $answer = $client->request(uri => '/page', headers => [Cookie => $cookies]);
        $clients{ $answer->header('X-Worker') } = $client;
        return keys %clients == 2;
    }, 20), 'a connection to each worker';
    my ($victim, $other) = sort keys %clients;
    my $get = sub {
        my ($uri, $of) = @_;
        return $clients{$other}->request(uri => $uri, headers => [Cookie => $of // $cookies]);
    };
    my $again = sub { $get->('/page'); sleep 0.1; return recalls() };
    recalls();
    ok wait_until($again, 20), 'remembered';
    # Found anew, so that it is remembered for as long as can be.
    ok wait_until(sub { !$again->() }, 20), 'asked about';
    ok wait_until($again, 5), 'remembered';
    ok wait_until(sub { ($get->('/jwt', $token)->header('X-Seen') // '') =~ / HIT / }, 20),
        'and another found, who is not remembered';

    my $zone = Test::Entitle::Zone->new(pid => $victim, size => $SIZE);
    Test::Entitle::Zone::stop_worker($victim);
    is $zone->holder, 0, 'a worker that is stopped does not hold the mutex';
    $zone->set_holder($victim);
    $zone->set_writing(1);
    is $get->('/page')->status, 200, 'a_remembered_hit_takes_no_lock' for 1 .. 20;
    is recalls(), 20, '  each';
    like $get->('/jwt', $token)->header('X-Seen'), qr/^cy 5 HIT allow ok/,
        'nor_does_who_was_found_lately' for 1 .. 20;
    $clients{$other}->send(uri => '/page', headers => [Cookie => cookies('bob')]);
    sleep 0.1;
    ok !$clients{$other}->readable(0), '  and who is looked for in the zone waits';
    kill KILL => $victim;
    is $clients{$other}->receive->status, 200, '  until the master frees it';
    ok $site->wait_for_log(qr/the zone starts empty/), 'the zone is made anew';
    recalls();
    is $get->('/page')->status, 200, 'who was remembered is let in';
    is recalls(), 1, '  as before';
    put_record($redis, $_, version => 5, subscription('canceled')) for qw(ada cy);
    is $get->('/page')->status, 402, 'until_the_record_changes';
    is recalls(), 0, '  and not as before';
    is $get->('/jwt', $token)->status, 402, '  nor is who was found lately';
    $site->expect_alert(qr/worker process $victim exited on signal 9/,
        qr/shared memory zone "entitle" was locked by $victim/);
    $site->finish;
}

# --- the directive -------------------------------------------------------------------

for (['32k', qr/invalid value "32k" in "entitle_session_memory": it must be a size of at least 64k/],
    ['much', qr/invalid value "much" in "entitle_session_memory"/],
    ['4m; entitle_session_memory 4m', qr/"entitle_session_memory" directive is duplicate/])
{
    my ($value, $message) = @$_;
    my ($fine, $said) = Test::Entitle->new->config_test("entitle_session_memory $value;\n");
    ok !$fine, "entitle_session_memory $value";
    like $said, $message, '  says what is allowed';
}

done_testing;
