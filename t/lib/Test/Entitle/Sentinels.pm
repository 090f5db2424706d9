package Test::Entitle::Sentinels;

# A private primary with replicas, and Sentinels that watch over them.
#
#   my $all = Test::Entitle::Sentinels->new(dir => ..., lease => ...);
#   $all->address                 "sentinel://a:p,b:p,c:p/main"
#   $all->primary, $all->replicas Test::Entitle::Redis
#
# Replicas and Sentinels come to the servers as users of their own, so that
# isolate() can keep both away from one that everybody else still reaches.

use strict;
use warnings;

use Carp qw(croak);
use POSIX ();
use Test::Entitle::Process qw(free_port wait_until);
use Test::Entitle::Redis;

$SIG{PIPE} = 'IGNORE';  # servers come and go

our $PASSWORD = 'redis secret';
our $SENTINEL = 'sentinel secret';

# new(dir => where its files go, replicas => 2, sentinels => 3,
#     down_after => 1000 ms, options => [of each server])
sub new {
    my ($class, %args) = @_;
    my $self = bless { %args, servers => [], sentinels => [] }, $class;
    $self->{down_after} //= 1000;
    mkdir $self->{dir};
    $self->_start_server($_) for 0 .. $args{replicas} // 2;
    wait_until(sub { @{ $self->replicas_of($self->{servers}[0]) } == @{ $self->{servers} } - 1 }, 20)
        or croak 'the replicas do not come';
    $self->_start_sentinel($_) for 1 .. $args{count} // 3;
    wait_until(sub { $self->settled }, 20) or croak 'the Sentinels do not agree';
    return $self;
}

sub servers   { @{ $_[0]{servers} } }
sub sentinels { @{ $_[0]{sentinels} } }

sub _start_server {
    my ($self, $number) = @_;
    my $port = free_port();
    my @of   = $number ? ('--replicaof', "127.0.0.1 $self->{servers}[0]{port}") : ();
    push @{ $self->{servers} }, Test::Entitle::Redis->new(
        dir      => "$self->{dir}/server$number",
        port     => $port,
        password => $PASSWORD,
        options  => [
            '--appendonly', 'yes', '--repl-diskless-sync-delay', '0',
            '--repl-ping-replica-period', '1',
            '--user', qw(replica on >r +psync +replconf +ping),
            '--user', qw(sentinel on >s allchannels +@all),
            '--masteruser', 'replica', '--masterauth', 'r', @of,
            @{ $self->{options} // [] },
        ]);
}

sub _start_sentinel {
    my ($self, $number) = @_;
    my $port = free_port();
    my $dir  = "$self->{dir}/sentinel$number";
    mkdir $dir;
    my $quorum = int((($self->{count} // 3)) / 2) + 1;
    open my $out, '>', "$dir/sentinel.conf" or croak "$dir: $!";
    print $out <<"EOF";
port $port
bind 127.0.0.1
dir $dir
requirepass "$SENTINEL"
sentinel sentinel-pass "$SENTINEL"
sentinel monitor main 127.0.0.1 $self->{servers}[0]{port} $quorum
sentinel auth-user main sentinel
sentinel auth-pass main s
sentinel down-after-milliseconds main $self->{down_after}
sentinel failover-timeout main 2000
sentinel parallel-syncs main 2
EOF
    close $out;
    push @{ $self->{sentinels} }, bless {
        dir => $dir, port => $port, password => $SENTINEL,
        process => Test::Entitle::Process->new(output => "$dir/log",
            command => ['redis-sentinel', "$dir/sentinel.conf"]),
    }, 'Test::Entitle::Redis';
}

sub address {
    my ($self) = @_;
    return 'sentinel://' . join(',', map { "127.0.0.1:$_->{port}" } $self->sentinels) . '/main';
}

# Where most Sentinels say the primary is; undef while they do not agree.
sub primary {
    my ($self) = @_;
    my %votes;
    for my $sentinel ($self->sentinels) {
        next if $sentinel->{stopped};
        my $address = eval { $sentinel->command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'main') };
        $sentinel->{client} = undef if !$address;
        $votes{ $address->[1] }++ if $address;
    }
    my ($port) = grep { $votes{$_} > $self->sentinels / 2 } keys %votes;
    return if !defined $port;
    my ($server) = grep { $_->port == $port } $self->servers;
    return $server;
}

# Servers that get what this one writes, as itself says: they do from their first
# acknowledgement.
sub replicas_of {
    my ($self, $server) = @_;
    my $info = eval { $server->command('INFO', 'replication') } // '';
    my %port = map { $_ => 1 } $info =~ /slave\d+:ip=[^,]*,port=(\d+),state=online,offset=[1-9]/g;
    return [grep { $port{ $_->port } } $self->servers];
}

# When the first Sentinel said that the primary was another one, by its log.
sub switched_at {
    my ($self) = @_;
    my %month = (Jan => 0, Feb => 1, Mar => 2, Apr => 3, May => 4, Jun => 5,
        Jul => 6, Aug => 7, Sep => 8, Oct => 9, Nov => 10, Dec => 11);
    my %at;
    for my $sentinel ($self->sentinels) {
        open my $in, '<', "$sentinel->{dir}/log" or croak "$sentinel->{dir}: $!";
        while (<$in>) {
            my ($d, $m, $y, $H, $M, $S, $to) =
                /X (\d+) (\w+) (\d+) (\d+):(\d+):([\d.]+) # \+switch-master \S+ \S+ \d+ \S+ (\d+)/
                or next;
            my $time = POSIX::mktime(int $S, $M, $H, $d, $month{$m}, $y - 1900, 0, 0, -1)
                + $S - int $S;
            push @{ $at{$to} }, $time;
        }
    }
    return map { @$_ } values %at;
}

# Every Sentinel knows all others and all replicas, and sees the primary well.
sub settled {
    my ($self) = @_;
    for my $sentinel ($self->sentinels) {
        my $state = eval { $sentinel->command('SENTINEL', 'MASTER', 'main') };
        if (!$state) { $sentinel->{client} = undef; return 0 }
        my %state = @$state;
        return 0 if $state{flags} ne 'master'
            || $state{'num-other-sentinels'} != $self->sentinels - 1
            || $state{'num-slaves'} != $self->servers - 1;
    }
    return 1;
}

# Waits for a primary other than this one that most agree on.
sub wait_for_other {
    my ($self, $than, $seconds) = @_;
    my $primary;
    wait_until(sub {
        $primary = $self->primary;
        $primary && $primary != $than
            && eval { $primary->command('ROLE')->[0] eq 'master' };
    }, $seconds // 20) or croak 'nobody took over';
    return $primary;
}

# Nobody but its clients reaches it: the Sentinels see it down, and its
# replicas get nothing.
sub isolate {
    my ($self, $server) = @_;
    for my $user (qw(sentinel replica)) {
        $server->command('ACL', 'SETUSER', $user, 'off');
        $server->command('CLIENT', 'KILL', 'USER', $user);
    }
}

# What the Sentinels would do with a deposed primary after ten seconds.
sub follow {
    my ($self, $server) = @_;
    $server->command('ACL', 'SETUSER', $_, 'on') for qw(sentinel replica);
    wait_until(sub {
        my $primary = $self->primary or return;
        eval { $server->command('REPLICAOF', '127.0.0.1', $primary->port) }
            if $primary != $server;
        return $self->settled && @{ $self->replicas_of($primary) } == $self->servers - 1;
    }, 30) or croak 'it does not come back as a replica';
}

sub freeze_sentinel { my ($self, $n) = @_; $self->{sentinels}[$n]{stopped} = 1; $self->{sentinels}[$n]->freeze }
sub thaw_sentinel { my ($self, $n) = @_; $self->{sentinels}[$n]{stopped} = 0; $self->{sentinels}[$n]->thaw }

sub stop {
    my ($self) = @_;
    for (reverse $self->sentinels, $self->servers) {
        $_->{process}->signal('CONT');
        $_->{process}->stop('TERM', 3);
    }
}

1;
