# A zone in which a worker died is made anew while the others go on: what they
# read of it without the lock stays where it is and as it is. The zone is large,
# so that making it anew takes long; ENTITLE_LONG=1 for ten times as many.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Socket::INET;
use POSIX ();
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::Zone;
use Time::HiRes qw(sleep time);

my $USERS    = 200;
my $SIZE     = 512 << 20;
my $REBUILDS = $ENV{ENTITLE_LONG} ? 400 : 40;
my $REBUILT  = qr/a worker died while it wrote to the zone; the zone starts empty/;

my $site = cached_site(workers => 3, zone => '512m', lease => '5s',
    more => 'keepalive_requests 10000000; access_log off;');
put($site, "u$_", 1) for 1 .. $USERS;
ok warm($site, 'u1'), 'the zone is in use';

# Everybody asks, and everybody's record changes all the time.
$site->write_file('urls', join '', map { "http://127.0.0.1:" . $site->port . "/paid?user=u$_\n" }
    1 .. $USERS);
my $load = Test::Entitle::Process->new(command => ['h2load', '-D', 120, '-c', 6, '--h1',
    '-i', $site->dir . '/urls']);
my $redis = $site->port('REDIS');
my $changes = fork // die "fork: $!";
if (!$changes) {
    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);
    my $socket = IO::Socket::INET->new("127.0.0.1:$redis") or POSIX::_exit(1);
    while (1) {
        print $socket map { "HINCRBY entitle:test:{u:u$_} version 1\r\n" } 1 .. $USERS;
        my $answers = '';
        while (($answers =~ tr/\n//) < $USERS) {
            sysread $socket, $answers, 65536, length $answers or POSIX::_exit(0);
        }
    }
}

my @workers = $site->worker_pids;
my $zone = Test::Entitle::Zone->new(pid => $workers[0], size => $SIZE);
my $rebuilt = sub { scalar(() = $site->log =~ /$REBUILT/g) };
my ($end, $done) = (time + 60, 0);
while ($done < $REBUILDS && time < $end && join(' ', $site->worker_pids) eq "@workers") {
    # A worker that is inside takes it back.
    $zone->set_writing(1);
    sleep 0.02;
    $done = $rebuilt->();
}
kill TERM => $changes;
waitpid $changes, 0;
$load->stop;

cmp_ok $rebuilt->(), '>=', $REBUILDS, "the zone was made anew again and again";
is join(' ', $site->worker_pids), "@workers", 'no_worker_dies_of_a_zone_that_is_made_anew';
is scalar(() = $site->log =~ /exited on signal/g), 0, '  not even one that came later';
$site->redis->command('HSET', 'entitle:test:{u:u1}', 'version', 7);
ok wait_until(sub { all_seen($site, 'u1') eq '7 HIT allow' }), 'and the zone is in use';
$site->redis->command('HSET', 'entitle:test:{u:u1}', 'version', 8);
sleep 0.05;
like all_seen($site, 'u1'), qr/^(?:8 (?:HIT|MISS|BYPASS) allow(?:; |$))+$/, '  and hears changes';
$site->finish;
done_testing;
