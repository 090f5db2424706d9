# Workers that end while requests wait in them: killed, replaced twice, told to
# hurry, overtaken by a new binary. Who can be answered is, and what was
# answered is so; nothing is left behind.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Time::HiRes qw(sleep time);

# Statuses, of clients that close like the ones out there.
sub statuses {
    return join ' ', map { my $status = $_->receive->status; $_->close; $status } @_;
}
# All of them, once they are said to be there.
sub workers {
    my ($site) = @_;
    wait_until(sub { $site->worker_pids >= $site->{workers} });
    return $site->worker_pids;
}
sub gone { my (@pids) = @_; return wait_until(sub { !grep { kill 0, $_ } @pids }) }
sub sockets_to_redis {
    my ($site) = @_;
    return scalar grep { /name=entitle/ } split /\n/, $site->redis->command('CLIENT', 'LIST');
}

# Visitors of whom nothing is known yet, and deliveries, all waiting for Redis.
sub waiting {
    my ($site, $n, $name, $seconds) = @_;
    put($site, "$name$_", $_) for 1 .. $n;
    $site->redis->freeze;
    my @visitors = map { $site->connect->send(uri => "/paid?user=$name$_") } 1 .. $n;
    my @events   = map { bought("buyer$name$_") } 1 .. $n;
    my @deliveries = map { $site->connect->send($site->webhook_request($_)) } @events;
    sleep($seconds // 0.3);
    ok !(grep { $_->readable(0) } @visitors, @deliveries), "$n visitors and $n events wait for Redis";
    return (\@visitors, \@events, \@deliveries);
}

# --- killed ----------------------------------------------------------------------

{
    # The kernel deals connections out to both.
    my $site = cached_site(workers => 2, listen => 'reuseport', timeout => '20s', lease => '30s');
    ok warm($site), 'warm';
    my ($visitors, $events, $deliveries) = waiting($site, 24, 'k');
    my ($victim) = workers($site);
    kill KILL => $victim;
    ok wait_until(sub { $site->worker_pids == 2 && !grep { $_ == $victim } $site->worker_pids }),
        'one worker is killed, another comes';
    $site->redis->thaw;

    my (%visits, %taken);
    for my $n (1 .. 24) {
        my $answer = $visitors->[$n - 1]->receive;
        $visits{ !$answer->status ? 'cut' : told($answer) =~ /^$n \w+ allow$/ ? 'right' : 'wrong' }++;
        $answer = $deliveries->[$n - 1]->receive;
        $taken{ $answer->status }++;
    }
    ok !$visits{wrong}, 'a_killed_worker_gives_nobody_another_s_answer';
    ok $visits{cut}, '  some were its clients';
    ok $visits{right}, '  the others are answered';
    is join(' ', sort keys %taken), '0 200', '  so are deliveries';
    # What was cut is sent again.
    for my $n (1 .. 24) {
        my $answer = $site->webhook($events->[$n - 1]);
        is $answer->status, 200, 'what_was_cut_off_is_taken_again' if $answer->status != 200;
        my $record = $site->redis->hgetall("entitle:test:{u:buyerk$n}");
        is scalar(grep { /^source:/ } keys %$record), 1, 'and_stored_once'
            if 1 != grep { /^source:/ } keys %$record;
    }
    is seen($site, "k$_") =~ /^$_ \w+ allow$/, 1, 'and is served again' for 1, 24;
    $site->expect_alert(qr/worker process $victim exited on signal 9/);
    $site->finish;
}

# --- two reloads while they wait ----------------------------------------------------

{
    my $site = cached_site(timeout => '20s', lease => '30s');
    my @old = workers($site);
    my ($visitors, $events, $deliveries) = waiting($site, 6, 'r');
    push @old, $site->reload;
    my @later = map { $site->connect->send(uri => "/paid?user=r$_") } 1 .. 3;
    sleep 0.1;
    push @old, $site->reload;
    my ($new) = $site->worker_pids;
    ok !(grep { $_->readable(0) } @$visitors, @$deliveries, @later), 'two reloads later they still wait';
    $site->redis->thaw;
    is statuses(@$visitors, @$deliveries, @later),
        join(' ', (200) x 15), 'two_reloads_during_a_wait_cost_nobody_an_answer';
    ok gone(@old), '  and both old workers go';
    is join(' ', $site->worker_pids), $new, '  the newest serves';
    is $site->webhook($_)->json->{outcome}, 'duplicate', '  each event was stored' for @$events;
    ok warm($site), '  with a cache';
    ok wait_until(sub { sockets_to_redis($site) <= 3 }), '  and no connection is left over';
    $site->finish;
}

# --- worker_shutdown_timeout ----------------------------------------------------------

{
    my $site = cached_site(main => "worker_shutdown_timeout 6s;\n", timeout => '400ms');
    ok warm($site), 'warm';
    my ($old) = workers($site);
    my ($visitors, undef, $deliveries) = waiting($site, 4, 's', 0.1);
    my $begin = time;
    $site->reload;
    is statuses(@$visitors, @$deliveries), join(' ', (503) x 8),
        'worker_shutdown_timeout_lets_all_be_answered';
    ok gone($old), '  then the worker goes';
    cmp_ok time - $begin, '<', 6 * patience(), '  before its time';
    $site->redis->thaw;
    ok wait_until(sub { seen($site) =~ / allow$/ }), '  the new one serves';
    $site->expect_log(qr/redis "\S+" is unreachable|not_stored/);
    $site->finish;
}

{
    my $site = cached_site(main => "worker_shutdown_timeout 400ms;\n", timeout => '20s');
    my ($old) = workers($site);
    my ($visitors, undef, $deliveries) = waiting($site, 4, 't');
    $site->reload;
    ok gone($old), 'worker_shutdown_timeout_ends_who_waits_too_long_for_Redis';
    is statuses(@$visitors, @$deliveries), join(' ', (0) x 8),
        '  as nginx does with all who wait';
    $site->redis->thaw;
    ok warm($site), '  and nothing of it stays in the way';
    $site->expect_log(qr/redis "\S+" is unreachable: the worker must quit now/);
    $site->finish;
}

# --- a new binary beside the old one -----------------------------------------------------

{
    my $site = Test::Entitle->new(workers => 2);
    $site->write_file('html/page.html', 'page');
    my $redis = $site->redis;
    put($site, 'ada', 1);
    $site->start_daemon(cached_http());
    ok warm($site), 'warm';
    my $old = $site->nginx;
    my @old_workers = workers($site);
    $old->signal('USR2');
    ok wait_until(sub { -s $site->dir . '/nginx.pid.oldbin' }), 'a new binary starts';
    my $new = $site->adopt_daemon;
    ok wait_until(sub { $site->worker_pids == 4 }), '  with workers of its own';
    local $site->{workers} = 4;
    ok warm($site), 'old_and_new_have_each_a_warm_cache';
    my $version = 1;
    for (1 .. 10) {
        put($site, 'ada', ++$version);
        sleep 0.02;
        like all_seen($site), qr/^(?:$version (?:HIT|MISS|BYPASS) allow(?:; |$))+$/,
            'both_hear_every_change';
    }
    put($site, 'ada', ++$version, 'canceled');
    sleep 0.02;
    like all_seen($site), qr/^(?:$version (?:HIT|MISS|BYPASS) pay(?:; |$))+$/, '  and a cancellation';
    $site->{workers} = 2;
    $old->signal('QUIT');
    ok wait_until(sub { !$old->running }), 'the old one goes';
    ok gone(@old_workers), '  with its workers';
    put($site, 'ada', ++$version);
    sleep 0.02;
    like all_seen($site), qr/^(?:$version (?:HIT|MISS|BYPASS) allow(?:; |$))+$/, 'the_new_one_goes_on';
    ok warm($site), '  warm';
    $site->finish;
}

done_testing;
