# Who was let in is let in again by the same bytes (entitle_session_memory): without
# the zone's lock, whoever holds it and dies, and not beyond a reload.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateMemory;
use Test::Entitle::GateSession;
use Test::Entitle::Zone;
use Time::HiRes qw(sleep time);

my $SIZE = 1 << 20;

# --- no lock -----------------------------------------------------------------------

# A worker is stopped as if it held the zone's mutex: who needs it waits.
{
    my $site = memory_site('4m', workers => 2, lease => '20s');
    customer($_) for qw(ada bob cy);
    my $cookies = cookies('ada');
    my $token = 'jwt=' . $JWT_KEY->token({ sub => 'cy', exp => time + 600 });
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
    put_record($site->redis, $_, version => 5, subscription('canceled')) for qw(ada cy);
    is $get->('/page')->status, 402, 'until_the_record_changes';
    is recalls(), 0, '  and not as before';
    is $get->('/jwt', $token)->status, 402, '  nor is who was found lately';
    $site->expect_alert(qr/worker process $victim exited on signal 9/,
        qr/shared memory zone "entitle" was locked by $victim/);
    $site->finish;
}

# --- a lease -------------------------------------------------------------------------

# Of several locations, each by its own; none waits for Redis' silence to be noticed.
{
    my $site = memory_site('4m', timeout => '5s');
    customer('ada');
    my $ada = cookies('ada');
    remembered($_, $_, $ada) for qw(/page /long);
    $site->redis->freeze;
    sleep 1.1;
    like ask('/long', $ada), qr/HIT allow ok again$/, 'a_longer_lease_holds';
    my $client = $site->connect->send(uri => '/page', headers => [Cookie => $ada]);
    sleep 0.2;
    ok !$client->readable(0), '  where_a_shorter_one_has_ended';
    $site->redis->thaw;
    is $client->receive->status, 200, '  and is asked for again';
    remembered('and as it was', '/page', $ada);
    $site->finish;
}

# --- other settings ------------------------------------------------------------------

# What was remembered goes with the configuration it was found by.
{
    my $site = memory_site('4m');
    customer('ada');
    my $ada = cookies('ada');
    my $as_it_was = memory_http('4m');
    for my $case (
        ['another_requirement', sub { s/location = \/page \{/$& entitle_require plus;/ },
            qr/pay not_entitled$/],
        ['another_grant', sub { s/entitle_grant pro prod_Pro;/entitle_grant pro prod_Max;/ },
            qr/pay not_entitled$/],
        ['another_binding', sub { s/entitle_session_bind cookie=app;/entitle_session_bind cookie=other;/ },
            qr/login session_unbound$/],
        ['another_scope', sub { s/entitle_session_scope tests;/entitle_session_scope staff;/ },
            qr/login session_invalid$/],
        ['another_prefix', sub { s/\A/entitle_redis_prefix other:;\n/ }, qr/login session_invalid$/],
        ['a_shorter_recheck', sub { s/location = \/page \{/$& entitle_session_recheck 1s;/ },
            qr/login session_stale$/],
        ['no_memory', sub { s/entitle_session_memory 4m;/entitle_session_memory off;/ },
            qr/^ada 5 HIT allow ok$/],
    ) {
        my ($name, $edit, $then) = @$case;
        remembered('as it was', '/page', $ada);
        my $other = $as_it_was;
        $edit->() for $other;
        isnt $other, $as_it_was, "$name is reloaded";
        sleep 1.1 if $name eq 'a_shorter_recheck';
        $site->reload($other);
        my $last = '';
        ok wait_until(sub { ($last = ask('/page', $ada)) =~ $then }, 10), "  $name ends_it"
            or diag $last;
        recalls();
        unlike $last = ask('/page', $ada), qr/again/, '  at once';
        $site->reload($as_it_was);
    }
    $site->finish;
}

done_testing;
