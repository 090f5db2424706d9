# A worker dies by SIGKILL while it holds the zone's mutex: the master frees the
# mutex, the next worker finds the zone half written and starts it empty, and
# nobody waits, crashes or is told what is no longer true.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::GateSession;
use Test::Entitle::Zone;
use Time::HiRes qw(sleep time);

my $SIZE = 1 << 20;

sub new_worker {
    my ($site, $dead) = @_;
    ok wait_until(sub {
        my @workers = $site->worker_pids;
        @workers == $site->{workers} && !grep { $_ == $dead } @workers;
    }), 'another worker comes';
}

# Found in the zone by this worker.
sub seen_by {
    my ($site, $worker, $user) = @_;
    return wait_until(sub {
        my $client = $site->connect;
        my $by = $client->request(uri => '/paid?user=ada')->header('X-Worker');
        return $by == $worker
            && told($client->request(uri => "/paid?user=$user")) =~ /^\d+ HIT allow/;
    });
}

my $REBUILT = qr/a worker died while it wrote to the zone; the zone starts empty/;

# --- left as a writer leaves it in the middle --------------------------------------

{
    my $site = cached_site(workers => 2);
    put($site, "u$_", $_) for 1 .. 5;
    ok warm($site), 'the zone is in use';
    ok warm($site, "u$_"), '  by many' for 1 .. 5;
    my ($victim, $other) = $site->worker_pids;
    # In the zone, but not among what the other worker found there lately.
    put($site, 'eve', 1);
    ok seen_by($site, $victim, 'eve'), '  and one by one worker alone';
    my $zone = Test::Entitle::Zone->new(pid => $victim, size => $SIZE);
    Test::Entitle::Zone::stop_worker($victim);
    is $zone->holder, 0, 'a worker that is stopped does not hold the mutex';
    is $zone->writing, 0, '  and writes nothing';

    # The mutex, the flag, and every entry's place in the queue: nowhere.
    $zone->set_holder($victim);
    $zone->set_writing(1);
    ok $zone->lose_entries, 'the queue of entries is where it should be';
    my @waiting = map { $site->connect->send(uri => '/paid?user=eve') } 1 .. 4;
    sleep 0.1;
    ok !(grep { $_->readable(0) } @waiting), 'who needs the zone waits for its holder';
    put($site, $_, 2) for qw(ada eve);
    kill KILL => $victim;
    # A connection that the victim had is cut; all else is answered.
    my %answers = map { $_->status ? (told($_) => 1) : () } map { $_->receive } @waiting;
    like join('; ', sort keys %answers), qr/^(?:2 (?:HIT|MISS|BYPASS) allow(?:; |$))+$/,
        'a_worker_killed_with_the_mutex_held_makes_nobody_wait';
    new_worker($site, $victim);
    ok $site->wait_for_log($REBUILT), 'and_what_it_left_half_written_is_dropped';
    is scalar(() = $site->log =~ /$REBUILT/g), 1, '  once';
    like all_seen($site), qr/^(?:2 (?:HIT|MISS|BYPASS) allow(?:; |$))+$/, '  and it is right';
    ok warm($site), '  and in use again';
    put($site, 'ada', 3, 'canceled');
    sleep 0.02;
    like all_seen($site), qr/^(?:3 (?:HIT|MISS|BYPASS) pay(?:; |$))+$/, '  and hears changes';
    ok((grep { $_ == $other } $site->worker_pids), '  and the other worker lived through it');
    $site->expect_alert(qr/worker process $victim exited on signal 9/,
        qr/shared memory zone "entitle" was locked by $victim/);
    $site->finish;
}

# --- killed in the very moment ------------------------------------------------------

# Under load, stopped again and again until it is found inside, or for some time:
# ENTITLE_LONG=1 for as long as it takes. A great record is long under the mutex.
{
    my $site = cached_site(workers => 2);
    my @great = map { subscription('active', id => "sub_$_",
        identifiers => ['prod_Pro', map { "price_$_" . 'x' x 60 } 1 .. 3]) } 1 .. 60;
    put_record($site->redis, 'ada', version => 1, @great);
    ok warm($site), 'warm';
    my $load = Test::Entitle::Process->new(command => ['h2load', '-D', 60, '-c', 4,
        '--h1', 'http://127.0.0.1:' . $site->port . '/paid?user=ada']);
    my ($victim) = $site->worker_pids;
    my $zone = Test::Entitle::Zone->new(pid => $victim, size => $SIZE);
    my $end = time + ($ENV{ENTITLE_LONG} ? 60 : 3);
    my ($tries, $inside) = (0, 0);
    while (!$inside && time < $end) {
        $tries++;
        Test::Entitle::Zone::stop_worker($victim);
        $inside = $zone->holder == $victim;
        next if $inside;
        kill CONT => $victim;
        sleep rand 0.0005;
    }
    note 'stopped ', $inside ? 'inside' : 'outside', ", at the ${tries}th time";
    ok $inside || !$ENV{ENTITLE_LONG}, 'a worker was stopped with the mutex held';
    my $written = $inside && $zone->writing;
    put_record($site->redis, 'ada', version => 2, @great);
    kill KILL => $victim;
    new_worker($site, $victim);
    like all_seen($site), qr/^(?:2 (?:HIT|MISS|BYPASS) allow(?:; |$))+$/,
        'a_worker_killed_in_the_very_moment_leaves_all_well';
    $load->stop;
    ok warm($site), '  and the zone in use';
    is $site->log =~ $REBUILT ? 1 : 0, $written || 0, '  made anew if it was being written';
    $site->expect_alert(qr/worker process $victim exited on signal 9/,
        qr/shared memory zone "entitle" was locked by $victim/);
    $site->finish;
}

done_testing;
