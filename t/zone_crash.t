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
use Time::HiRes qw(sleep time);

# --- the zone, seen from outside: /proc/<pid>/mem --------------------------------

my $SIZE = 1 << 20;

# Where the zone begins: the one shared mapping of its size.
sub zone_of {
    my ($pid) = @_;
    open my $maps, '<', "/proc/$pid/maps" or die "/proc/$pid/maps: $!";
    no warnings 'portable';
    for (<$maps>) {
        my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw-s/ or next;
        return hex $from if hex($to) - hex($from) == $SIZE;
    }
    die 'no zone';
}

sub memory {
    my ($pid) = @_;
    open my $memory, '+<:raw', "/proc/$pid/mem" or die "/proc/$pid/mem: $!";
    return $memory;
}
sub peek {
    my ($memory, $at, $bytes) = @_;
    sysseek $memory, $at, 0;
    sysread $memory, my $read, $bytes or die "reading $at: $!";
    return $read;
}
sub word { return unpack 'Q<', peek(@_, 8) }
sub poke {
    my ($memory, $at, $bytes) = @_;
    sysseek $memory, $at, 0;
    syswrite($memory, $bytes) == length $bytes or die "writing $at: $!";
}

# The slab pool starts with the mutex: 0, or the pid of its holder. Among its
# last words are `data`, our header, and `addr`, where the pool itself is.
sub header_of {
    my ($memory, $zone) = @_;
    my ($addr) = grep { word($memory, $zone + 8 * $_) == $zone } reverse 1 .. 31;
    return word($memory, $zone + 8 * ($addr - 1));
}
# The header starts with the layout and `writing`, 32 bits each.
sub writing { my ($memory, $zone) = @_; return unpack 'L<', peek($memory, header_of(@_) + 4, 4) }

sub stop_worker {
    my ($pid) = @_;
    kill STOP => $pid;
    for (1 .. 100_000) {
        open my $stat, '<', "/proc/$pid/stat" or last;
        return if <$stat> =~ /^\d+ \(.*\) T /;
    }
    die "worker $pid goes on";
}

sub new_worker {
    my ($site, $dead) = @_;
    ok wait_until(sub {
        my @workers = $site->worker_pids;
        @workers == $site->{workers} && !grep { $_ == $dead } @workers;
    }), 'another worker comes';
}

my $REBUILT = qr/a worker died while it wrote to the zone; the zone starts empty/;

# --- left as a writer leaves it in the middle --------------------------------------

{
    my $site = cached_site(workers => 2);
    put($site, "u$_", $_) for 1 .. 5;
    ok warm($site), 'the zone is in use';
    ok warm($site, "u$_"), '  by many' for 1 .. 5;
    my ($victim, $other) = $site->worker_pids;
    my $zone = zone_of($victim);
    my $memory = memory($victim);
    stop_worker($victim);
    is word($memory, $zone), 0, 'a worker that is stopped does not hold the mutex';
    my $header = header_of($memory, $zone);
    is writing($memory, $zone), 0, '  and writes nothing';

    # The mutex, the flag, and every entry's place in the queue: nowhere.
    poke($memory, $zone, pack 'Q<', $victim);
    poke($memory, $header + 4, pack 'L<', 1);
    my ($pointer) = grep {
        my $entry = word($memory, $header + 8 * $_);
        $entry > $header && $entry < $zone + $SIZE && word($memory, $entry + 8) == $header + 8 * $_;
    } 1 .. 8;
    ok $pointer, 'the queue of entries is where it should be';
    poke($memory, $header + 8 * $pointer, pack 'Q<Q<', 8, 8);
    my @waiting = map { $site->connect->send(uri => '/paid?user=ada') } 1 .. 4;
    sleep 0.1;
    ok !(grep { $_->readable(0) } @waiting), 'who needs the zone waits for its holder';
    put($site, 'ada', 2);
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
    my $zone = zone_of($victim);
    my $memory = memory($victim);
    my $end = time + ($ENV{ENTITLE_LONG} ? 60 : 3);
    my ($tries, $inside) = (0, 0);
    while (!$inside && time < $end) {
        $tries++;
        stop_worker($victim);
        $inside = word($memory, $zone) == $victim;
        next if $inside;
        kill CONT => $victim;
        sleep rand 0.0005;
    }
    note 'stopped ', $inside ? 'inside' : 'outside', ", at the ${tries}th time";
    ok $inside || !$ENV{ENTITLE_LONG}, 'a worker was stopped with the mutex held';
    my $written = $inside && writing($memory, $zone);
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
