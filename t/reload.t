# Reloads, crashed workers and new binaries under load: every client gets an
# answer, no event that was taken is lost, and the master does not grow.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use POSIX ();
use Time::HiRes qw(sleep);

my $http = <<'EOF';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
%%ASKED%%
entitle_mode test;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /gated { entitle_require pro; }
}
EOF

sub resident {
    my ($pid) = @_;
    open my $status, '<', "/proc/$pid/status" or return 0;
    return (map { /^VmRSS:\s+(\d+)/ ? $1 : () } <$status>)[0];
}

# Delivers events one after the other until told to stop, in a process of its
# own. Gives what ends it: then answers are known, status => [users].
sub deliveries {
    my ($site, $name) = @_;
    my $answers = $site->write_file("deliveries-$name", '');
    my $stop    = $site->dir . "/stop-$name";
    my $pid     = fork // die "fork: $!";
    if (!$pid) {
        open my $out, '>>', $answers or POSIX::_exit(1);
        my $parent = getppid;
        for (my $i = 0; !-e $stop && getppid == $parent; $i++) {
            my $answer = eval { $site->webhook(event_json(
                'checkout.session.completed.payment', user => "$name$i", customer => "$name$i")) };
            syswrite $out, "$name$i " . ($answer ? $answer->status : 'unreachable') . "\n";
        }
        POSIX::_exit(0);
    }
    return sub {
        $site->write_file("stop-$name", '');
        waitpid $pid, 0;
        my %answers;
        for (split /\n/, $site->read_file("deliveries-$name")) {
            my ($user, $status) = split / /;
            push @{ $answers{$status} }, $user;
        }
        return \%answers;
    };
}

# Everybody who was answered 2xx has a record with what they bought.
sub lost {
    my ($redis, @users) = @_;
    return grep {
        !grep { /^source:/ } keys %{ $redis->hgetall("entitle:test:{u:$_}") }
    } @users;
}

# --- reloads -----------------------------------------------------------------

{
    my $site  = Test::Entitle->new(workers => 2);
    my $redis = $site->redis;
    $site->start($http);
    my @stop = map { deliveries($site, $_) } qw(a b c);
    $site->reload for 1 .. 5;
    my $before = resident($site->nginx->pid);
    $site->reload for 1 .. 15;
    my $after = resident($site->nginx->pid);
    for my $answers (map { $_->() } @stop) {
        is_deeply [grep { !/^20/ } keys %$answers], [],
            'every_delivery_during_twenty_reloads_is_taken';
        my @taken = map { @$_ } values %$answers;
        cmp_ok scalar @taken, '>', 20 / patience() ** 2, '  and there were many';
        is_deeply [lost($redis, @taken)], [], '  and none is lost';
    }
    SKIP: {
        skip 'sizes are the tools\' own here', 1
            if $ENV{ENTITLE_VALGRIND} || Test::Entitle::sanitizer_environment();
        cmp_ok $after - $before, '<', 1024, 'the_master_does_not_grow_with_reloads'
            or diag "from $before KiB to $after KiB in 15 reloads";
    }
    $site->finish;
}

# --- a worker that dies ------------------------------------------------------

{
    my $site  = Test::Entitle->new(workers => 2);
    my $redis = $site->redis;
    $site->start($http);
    my @stop = map { deliveries($site, $_) } qw(a b c);
    for (1 .. 4) {
        sleep 0.3;
        my ($victim) = $site->worker_pids;
        kill 'KILL', $victim;
        ok wait_until(sub { $site->worker_pids == 2 && !grep { $_ == $victim } $site->worker_pids }),
            'a_killed_worker_is_replaced';
    }
    sleep 0.3;
    my @answers = map { $_->() } @stop;
    my @taken   = map { @{ $_->{200} // [] }, @{ $_->{202} // [] } } @answers;
    my @cut     = map { @{ $_->{0} // [] } } @answers;
    cmp_ok scalar @taken, '>', 50 / patience() ** 2, 'the_others_go_on';
    cmp_ok scalar @cut, '<=', 12, 'and only what it had in hand was cut off';
    is_deeply [lost($redis, @taken)], [], 'what_was_taken_before_the_crash_is_kept';
    $site->expect_alert(qr/exited on signal 9/);
    $site->finish;
}

# --- a new binary ------------------------------------------------------------

{
    my $site  = Test::Entitle->new;
    my $redis = $site->redis;
    $site->start_daemon($http);
    my $old  = $site->nginx;
    my $stop = deliveries($site, 'a');
    sleep 0.3;
    $old->signal('USR2');
    ok wait_until(sub { -s $site->dir . '/nginx.pid.oldbin' }),
        'a new binary starts beside the old one';
    my $new = $site->adopt_daemon;
    sleep 0.3;
    $old->signal('QUIT');
    ok wait_until(sub { !$old->running }), 'and the old one goes';
    sleep 0.3;
    my $answers = $stop->();
    is_deeply [grep { !/^20/ } keys %$answers], [],
        'every_delivery_during_a_binary_upgrade_is_taken';
    is_deeply [lost($redis, map { @$_ } values %$answers)], [], 'and none is lost';
    isnt $new->pid, $old->pid, 'it is another process now';
    ok $new->running, 'and goes on';
    $site->finish;
}

done_testing;
