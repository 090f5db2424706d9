# The shared zone: a record is read once, every change is seen at the next
# request, whoever made it, and nothing is believed longer than the lease once
# changes can no longer be heard.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

sub new_site { return cached_site(timeout => '300ms', options => [qw(--appendonly yes)], @_) }

sub reads { return scalar grep { /"HGETALL" "[^"]*\{u:$_[0]\}"/ } @{ $_[1] } }

# --- hits, misses, changes ----------------------------------------------------

{
    my $site  = new_site(workers => 2);
    my $redis = $site->redis;
    ok warm($site), 'the zone comes into use';

    my $monitor = $redis->monitor;
    is seen($site), '1 HIT allow', 'a_hit' for 1 .. 20;
    is reads('ada', [$monitor->stop]), 0, 'a_hit_asks_redis_nothing';

    put($site, 'bob', 7);
    $monitor = $redis->monitor;
    is seen($site, 'bob'), '7 MISS allow', 'a_miss';
    # What the other worker hears of the write may come after the first answer.
    ok wait_until(sub { seen($site, 'bob') eq '7 HIT allow' }), 'then a hit';
    is seen($site, 'bob'), '7 HIT allow', '  in any worker' for 1 .. 20;
    cmp_ok reads('bob', [$monitor->stop]), '<=', 2 * patience(),
        'a_miss_asks_redis_once, or again for what it then heard';

    my $late = 0;
    for my $version (2 .. 101) {
        $redis->command('HSET', 'entitle:test:{u:ada}', version => $version);
        $late++ if seen($site) !~ /^$version /;
    }
    is $late, 0, 'a_write_by_anybody_is_seen_at_the_next_request';

    put($site, 'ada', 200, 'canceled');
    is seen($site), '200 MISS pay', 'a_cancellation_is_seen_at_once';
    ok wait_until(sub { seen($site) eq '200 HIT pay' }), 'and a refusal is cached as well';
    put($site, 'ada', 201);
    is seen($site), '201 MISS allow', 'and undone';
    $redis->command('FLUSHALL');
    # Redis writes to those it has to answer last first: who flushed is answered
    # microseconds before the workers hear of it. (Of single keys it tells them
    # at the end of its turn, so before.)
    ok wait_until(sub { seen($site) =~ /^0 \w+ pay$/ }, 1), 'nothing_survives_a_flush';
    is seen($site, 'bob'), '0 MISS pay', 'of nobody';
    put($site, 'ada', 300);
    is seen($site), '300 MISS allow', 'a_record_made_anew_is_seen';

    $site->reload;
    ok warm($site), 'a_reload_listens_again';
    $redis->command('HINCRBY', 'entitle:test:{u:ada}', version => 1);
    is seen($site), '301 MISS allow', 'and hears';

    # The connection that listens is cut: what changed meanwhile is not missed.
    for (1 .. 5) {
        for my $line (split /\n/, $redis->command('CLIENT', 'LIST')) {
            my ($id) = $line =~ /^id=(\d+) .*\bcmd=(?:subscribe|ping)\b/ or next;
            eval { $redis->command('CLIENT', 'KILL', 'ID', $id) };
        }
        my $version = $redis->command('HINCRBY', 'entitle:test:{u:ada}', version => 1);
        sleep 0.05;
        like seen($site), qr/^$version /, 'a_cut_subscription_hides_nothing' for 1 .. 4;
    }
    ok warm($site), 'and is made anew';
    like $site->log, qr/no longer says what changes/, 'and it is said';
    $site->finish;
}

# --- one read for all who ask at the same time --------------------------------

{
    my $site  = new_site(workers => 2);
    my $redis = $site->redis;
    ok warm($site), 'warm';
    put($site, 'cold', 5);
    my @waiting = map { $site->connect } 1 .. 200;
    my $monitor = $redis->monitor;
    $redis->freeze;
    $_->send(uri => '/paid?user=cold') for @waiting;
    sleep 0.1;
    $_->close for splice @waiting, 0, 50;
    $redis->thaw;
    my %answers;
    $answers{ $_->receive->header('X-Seen') }++ for @waiting;
    # Who was read late finds it in the zone.
    my $in_time = delete $answers{'5 MISS allow'} // 0;
    is $in_time + (delete $answers{'5 HIT allow'} // 0), 150, 'a_stampede_is_answered';
    is join('; ', %answers), '', 'and nobody otherwise';
    cmp_ok $in_time, '>', 1, 'together';
    cmp_ok reads('cold', [$monitor->stop]), '<=', 2, 'by_one_read_a_worker';
    $site->finish;
}

# --- Redis does not answer ----------------------------------------------------

{
    my $site  = new_site(more => 'entitle_stale 3s;', server => <<'EOF');
location = /lenient {
    entitle_trusted_user $known;
    entitle_redis_down allow;
    entitle_stale 0;
    entitle_require pro;
    add_header X-Seen "$entitle_user $entitle_decision" always;
    try_files /page.html =404;
}
EOF
    my $redis = $site->redis;
    put($site, $_, 1) for qw(eve mia);
    ok warm($site), 'warm';
    ok warm($site, 'eve'), 'warm';
    put($site, 'gone', 1, 'canceled');
    ok warm($site, 'gone'), 'warm';
    is told($site->get('/lenient?user=ada')), 'ada allow', 'while it answers';

    $redis->freeze;
    my $frozen = time;
    is seen($site), '1 HIT allow', 'a_hit_needs_no_redis';
    sleep 1.3;
    my $begin = time;
    is seen($site), '1 STALE allow_stale',
        'beyond_the_lease_what_is_known_is_stale';
    cmp_ok time - $begin, '<', 1 * patience(), 'after one time-out at most';
    $begin = time;
    is seen($site), '1 STALE allow_stale', 'again' for 1 .. 20;
    cmp_ok time - $begin, '<', 10 * 0.3 * patience(), 'a_hung_redis_costs_no_time_out_each';
    is $site->get('/paid?user=gone')->status, 503, 'what is stale refuses nobody';
    is $site->get('/paid?user=mia')->status, 503, 'who_is_not_known_is_not_let_in';
    is told($site->get('/lenient?user=mia')), 'mia allow_unverified',
        'unless_the_operator_says_so';
    is $site->get('/lenient')->status, 401, 'but nobody without a name';
    is $site->get('/open')->status, 200, 'nothing else notices';
    sleep 4.5 - (time - $frozen) if time - $frozen < 4.5;
    is $site->get('/paid?user=ada')->status, 503, 'stale_has_an_end';

    $redis->thaw;
    ok wait_until(sub { seen($site) =~ /allow$/ }), 'and all is well again';
    $redis->command('HINCRBY', 'entitle:test:{u:ada}', version => 1);
    like seen($site), qr/^2 /, 'and coherent';
    ok warm($site), 'warm';

    $redis->kill9;
    like seen($site), qr/^2 (?:STALE allow_stale|HIT allow)$/, 'killed';
    $redis->start;
    ok wait_until(sub { seen($site) =~ /^2 MISS allow|^2 BYPASS allow/ }),
        'another_server_process_is_read_afresh';
    ok warm($site), 'and then believed';
    $site->expect_log(qr/redis|recv\(\) failed|connect\(\) failed/i);
    $site->finish;
}

{
    my $site = new_site(lease => '5s', more => 'entitle_stale 0;');
    ok warm($site), 'warm';
    $site->redis->kill9;
    my %seen;
    wait_until(sub { $seen{ seen($site) } = 1; return keys %seen > 1 }, 2);
    is join('; ', grep { !/^1 HIT allow$|error$/ } sort keys %seen), '',
        'entitle_stale_0_serves_nothing_stale_not_even_within_the_lease';
    is $site->get('/paid?user=ada')->status, 503, '  but says that it cannot tell';
    $site->redis->start;
    ok wait_until(sub { seen($site) =~ /allow$/ }), '  until it can';
    $site->expect_log(qr/redis|recv\(\) failed|connect\(\) failed/i);
    $site->finish;
}

# --- access ends while Redis is gone -------------------------------------------

{
    my $site = Test::Entitle->new;
    $site->write_file('html/page.html', 'page');
    put_record($site->redis, 'ada', version => 1,
        subscription('active', period_end => int(time) + 4 * patience()));
    $site->start(cached_http(timeout => '300ms', more => 'entitle_grace 0s;'));
    ok warm($site), 'warm';
    $site->redis->kill9;
    ok wait_until(sub { seen($site) =~ /^1 STALE allow_stale/ }, 4), 'served stale';
    ok wait_until(sub { $site->get('/paid?user=ada')->status == 503 }, 6),
        'never_past_its_own_end';
    $site->expect_log(qr/redis|recv\(\) failed|connect\(\) failed/i);
    $site->finish;
}

# --- tracking refused -----------------------------------------------------------

{
    my $site  = Test::Entitle->new;
    my $redis = $site->redis;
    $redis->command(qw(ACL SETUSER default -client|tracking));
    $site->write_file('html/page.html', 'page');
    put($site, 'ada', 1);
    $site->start(cached_http());
    for my $version (2 .. 11) {
        $redis->command('HSET', 'entitle:test:{u:ada}', version => $version);
        is seen($site), "$version BYPASS allow", 'without_tracking_each_request_asks';
    }
    my $said = () = $site->log =~ /does not say what changes/g;
    is $said, 1, 'and_that_is_said_once';
    $site->finish;
}

# --- a zone that is too small ----------------------------------------------------

{
    my $site  = new_site(zone => '64k');
    my $redis = $site->redis;
    put($site, "u$_", $_) for 1 .. 400;
    ok warm($site), 'warm';
    my $wrong = 0;
    for my $round (1, 2) {
        for my $n (1 .. 400) { $wrong++ if seen($site, "u$n") !~ /^$n \w+ allow/ }
    }
    is $wrong, 0, 'a_full_zone_fails_nobody';
    my $hits = grep { seen($site, "u400") =~ /HIT/ } 1 .. 10;
    cmp_ok $hits, '>=', 9, 'and keeps who came last';
    unlike $site->log, qr/no memory/, 'and is quiet about it';
    $site->finish;
}

# --- a worker dies -----------------------------------------------------------------

{
    my $site  = new_site();
    my $redis = $site->redis;
    ok warm($site), 'warm';
    my ($pid) = $site->worker_pids;
    kill KILL => $pid;
    ok wait_until(sub { my ($new) = $site->worker_pids; $new && $new != $pid }),
        'another worker starts';
    ok warm($site), 'a_killed_worker_leaves_the_zone_usable';
    $redis->command('HINCRBY', 'entitle:test:{u:ada}', version => 1);
    like seen($site), qr/^2 MISS allow/, 'and changes are heard';
    $site->expect_alert(qr/exited on signal 9/);
    $site->finish;
}

# --- configuration -----------------------------------------------------------------

{
    my $site = Test::Entitle->new;
    for my $case (
        [zone => '32k', qr/invalid value "32k" in "entitle_zone": it must be a size of at least 64k/],
        [zone => 'big', qr/invalid value "big" in "entitle_zone"/],
        [lease => '0', qr/invalid value "0" in "entitle_lease"/],
    ) {
        my ($name, $value, $message) = @$case;
        my ($fine, $said) = $site->config_test(cached_http($name => $value));
        ok !$fine, "$name $value";
        like $said, $message, 'and it is said';
    }
    my ($fine, $said) = $site->config_test(cached_http(more => 'entitle_redis_down perhaps;'));
    ok !$fine, 'redis_down perhaps';
    like $said, qr/"entitle_redis_down": it must be deny or allow/, 'and it is said';
}

done_testing;
