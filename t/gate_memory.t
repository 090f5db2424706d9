# Who was let in is let in again by the same bytes (entitle_session_memory), and
# whatever ends that ends it at the very next request. Everything twice: with the
# memory, where each case is first seen to be remembered, and without, where the
# answers are the same.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateMemory;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

my ($site, $redis);
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
    $site  = memory_site($with);
    $redis = $site->redis;
    my $memory = $with ne 'off';
    my $hit    = 'ada 5 HIT allow ok' . ($memory ? ' again' : '');

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
        my %of = (ada => $ada, bob => cookies('bob'));
        remembered('and somebody else', '/page', $of{bob});
        for my $user (qw(bob ada bob ada)) {
            my $answer = $client->request(uri => '/page', headers => [Cookie => $of{$user}]);
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
    my $mine = cookies('ada', bind => ['of-ada', ['variable', '$entitle_user', '']]);
    my $token = 'jwt=' . $JWT_KEY->token({ sub => 'ada', exp => time + 600 });
    for (1 .. 3) {
        unlike ask('/mine', $mine), $AGAIN, 'a_binding_to_what_we_say_is_never_remembered';
        is ask('/trusted?user=ada'), 'ada 5 HIT allow ok', 'nor_is_a_trusted_variable';
        is ask('/jwt', $token), 'ada 5 HIT allow ok', 'nor_a_jwt';
        unlike ask('/poll', $ada), $AGAIN, 'nor_a_poll';
        remembered('who_is_only_made_known', '/optional', $ada);
        is $site->get('/optional', Cookie => $ada)->status, 403, '  is_not_let_in_by_that';
        recalls();
        is $site->get('/mixed', Cookie => $ada)->status, 200, '  and who is, is';
        recalls();
    }

    # A map that is not volatile says one thing a request. The memory, which reads
    # it before anybody is known, is not who makes it say it.
    for (1 .. 3) {
        is ask('/opened', 'app=bob'), 'bob 5 HIT pay not_entitled',
            'what_a_map_says_of_nobody_opens_nothing';
        is ask('/closed', 'app=bob'), 'bob 5 HIT allow ok', '  and_closes_nothing';
    }
    {
        my %had = $site->get('/tied', Cookie => 'app=bob')->cookies;
        my $answer = $site->get('/tied', Cookie => "app=bob; entitle=$had{entitle}");
        my %more = $answer->cookies;
        is_deeply [$answer->status, $more{entitle}], [200, undef],
            '  and_a_session_bound_to_it_lasts';
        recalls();
    }

    # --- an internal redirect -------------------------------------------------------

    remembered("$_ leads on", $_, $ada) for qw(/same);
    remembered('what leads elsewhere', '/page', $ada);
    like ask('/on', $ada), qr/^ada 5 HIT pay not_entitled/, '  is_asked_for_there' for 1 .. 2;
    customer('nobody');
    like ask('/leads', $ada), qr/^nobody 5 /, '  or_is_asked_about_and_nobody_until_then' for 1 .. 4;
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
    my $mia = cookies('mia');
    remembered('what was bought until then', '/page', $mia);
    wait_until_it_is(int($now) + 3.1);
    is ask('/page', $mia), 'mia 5 HIT pay ended', '  ends_then';
    $now = time;
    put_record($redis, 'pia', version => 5, subscription('active'),
        subscription('active', id => 'sub_2', identifiers => ['prod_Plus'],
            pause_collection => 'void', resumes_at => int($now) + 3));
    my $pia = cookies('pia');
    remembered('while a collection is paused', '/page', $pia);
    is $site->get('/page', Cookie => $pia)->header('X-Told'), 'pia 5 pro',
        '  it gives nothing';
    wait_until_it_is(int($now) + 3.1);
    is $site->get('/page', Cookie => $pia)->header('X-Told'), 'pia 5 plus,pro',
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
    $site->reload(memory_http($with, key => $site->write_file('other', 'fedcba98' x 8 . "\n")));
    like ask('/page', $bob), qr/login session_invalid/, 'a_rotated_key_ends_it';
    $site->reload(memory_http($with));
    remembered('  and the old one', '/page', $bob);

    $site->expect_log(qr/redis "\S+" is unreachable|no answer within/);
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
