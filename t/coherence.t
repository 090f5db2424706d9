# A writer raises versions at random while readers run on two workers of each
# of two nginx. Who asks 50 ms or more after a write was acknowledged sees it.
# Then the same where changes can no longer be heard: what is old is seen, which
# shows that the test can see it, and only inside the lease. Last, where nobody
# may listen: then each request asks. All but that also with edge sessions, which a
# worker remembers (entitle_session_memory), and with those it does not.
#
# ENTITLE_COHERENCE_WRITES: how many writes (default 1500; 10000 for the whole).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use Test::Entitle;
use Test::Entitle::Cached qw(cached_http member member_seen);
use Test::Entitle::GateSession;
use Test::Entitle::Wire;
use Time::HiRes qw(sleep time);

my $USERS  = 20;
my $WRITES = $ENV{ENTITLE_COHERENCE_WRITES} // 1500;
my $KEY    = 'entitle:test:{u:u%d}';
my $SOON   = 0.05;
my $LEASE  = 1;

sub start {
    my ($site, $redis_port, $memory) = @_;
    $site->write_file('html/page.html', 'page');
    $memory //= 'off';
    return $site->start(cached_http(redis => "redis://127.0.0.1:$redis_port",
        lease => "${LEASE}s", sessions => 1, more => <<"EOF"));
keepalive_requests 10000000;
entitle_session_memory $memory;
EOF
}

my @version = (0) x $USERS;

# What a user asks.
sub paid       { my ($n) = @_; return (uri => "/paid?user=u$n") }
sub by_session { my ($n) = @_; return member("u$n") }

# Writes and reads for a while; what was wrong, and how late.
sub run {
    my ($asks, $redis, $writes, @sites) = @_;
    my @history = map { [] } 1 .. $USERS;  # version, when it was acknowledged
    my @readers = map { my $site = $_; map { { http => $site->connect } } 1 .. 6 } @sites;
    my %seen = (asked => 0, HIT => 0, MISS => 0, BYPASS => 0, late => 0, latest => 0);
    my %by_socket = map { $_->{http}{socket} => $_ } @readers;
    my $select = IO::Select->new(map { $_->{http}{socket} } @readers);
    my $ask = sub {
        my ($reader) = @_;
        $reader->{user} = int rand $USERS;
        $reader->{at} = time;
        $reader->{http}->send($asks->($reader->{user}));
    };
    my $take = sub {
        my ($reader) = @_;
        my $answer = $reader->{http}->receive;
        my ($version, $cache) = split / /,
            $answer->header('X-Seen') ? member_seen("u$reader->{user}", $answer) : '0 NOTHING';
        $seen{asked}++;
        $seen{$cache}++;
        for my $write (@{ $history[ $reader->{user} ] }) {
            my ($newer, $acknowledged) = @$write;
            next if $newer <= $version;
            my $late = $reader->{at} - $acknowledged;
            $seen{late}++ if $late >= $SOON;
            $seen{latest} = $late if $late > $seen{latest};
            last;
        }
    };
    $ask->($_) for @readers;
    my $written = 0;
    while ($written < $writes) {
        for (1 .. 1 + int rand 3) {
            my $n = int rand $USERS;
            $redis->command('HINCRBY', sprintf($KEY, $n), version => 1);
            push @{ $history[$n] }, [++$version[$n], time];
            shift @{ $history[$n] } if @{ $history[$n] } > 200;
            $written++;
        }
        my $until = time + rand 0.02;
        while ((my $left = $until - time) > 0) {
            for my $socket ($select->can_read($left)) {
                my $reader = $by_socket{$socket};
                $take->($reader);
                $ask->($reader);
            }
        }
    }
    $take->($_) for @readers;
    $_->{http}->close for @readers;
    return \%seen;
}

# Until every worker of the sites listens.
sub warm {
    my ($redis, @sites) = @_;
    wait_until(sub {
        run(\&paid, $redis, 20, @sites);
        !grep { 2 > (() = $_->log =~ /Redis says what changes/g) } @sites;
    }, 20) or die 'nobody listens';
}

sub told { my ($seen) = @_; return join ', ', map { "$_ $seen->{$_}" } sort keys %$seen }

# --- heard --------------------------------------------------------------------

my $home  = Test::Entitle->new(workers => 2);
my $redis = $home->redis;
start($home, $redis->port);
my $away = start(Test::Entitle->new(workers => 2), $redis->port);
put_record($redis, "u$_", version => 0, subscription('active')) for 0 .. $USERS - 1;
warm($redis, $home, $away);

sub heard {
    my ($asks, @sites) = @_;
    my $seen = run($asks, $redis, $WRITES, @sites);
    is $seen->{late}, 0, 'no_request_50_ms_after_a_write_sees_what_was_before';
    cmp_ok $seen->{HIT}, '>', $seen->{asked} / 4, 'and most ask Redis nothing';
    cmp_ok $seen->{asked}, '>', $WRITES, 'and there were many';
    diag told($seen);
    return;
}

heard(\&paid, $home, $away);
note 'with sessions';
heard(\&by_session, $home, $away);
note 'with sessions that are remembered';
my @remembering = map { start(Test::Entitle->new(workers => 2), $redis->port, '4m') } 1 .. 2;
warm($redis, @remembering);
heard(\&by_session, @remembering);
$_->finish for @remembering;

# --- no longer heard ------------------------------------------------------------

for my $case ([\&paid, 'off'], [\&by_session, 'off'], [\&by_session, '4m']) {
    my ($asks, $memory) = @$case;
    my $wire = Test::Entitle::Wire->new(to => $redis->port);
    my $deaf = start(Test::Entitle->new(workers => 2), $wire->port, $memory);
    warm($redis, $deaf);
    run($asks, $redis, 20, $deaf);
    $wire->deafen;
    my $seen = run($asks, $redis, 400, $deaf);
    cmp_ok $seen->{late}, '>', 0, 'who_cannot_hear_believes_what_was';
    cmp_ok $seen->{latest}, '<=', $LEASE + 0.2, 'no_longer_than_the_lease';
    cmp_ok $seen->{BYPASS}, '>', 0, 'then asks';
    diag told($seen);
    $deaf->finish;
    $wire->stop;
}

# --- nobody may listen -----------------------------------------------------------

{
    my $site = start(Test::Entitle->new(workers => 2), $redis->port);
    warm($redis, $site);
    my @clients = split /\n/, $redis->command('CLIENT', 'LIST');
    $redis->command('ACL', 'SETUSER', 'default', '-subscribe');
    for (@clients) {
        my ($id) = /^id=(\d+) .*\bcmd=(?:subscribe|ping)\b/ or next;
        $redis->command('CLIENT', 'KILL', 'ID', $id);
    }
    my $seen = run(\&paid, $redis, 200, $site);
    is $seen->{late}, 0, 'kept_from_listening_each_request_asks';
    is $seen->{HIT}, 0, 'and nothing is believed';
    diag told($seen);
}

$_->finish for $away, $home;
done_testing;
