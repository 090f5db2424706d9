package Test::Entitle::Cluster;

# A private Redis Cluster: primaries and a replica for each.
#
#   my $cluster = Test::Entitle::Cluster->new(dir => ...);
#   $cluster->address               "cluster://127.0.0.1:p,127.0.0.1:q"
#   $cluster->server_of($key)       who has it, as the nodes say
#   $cluster->command(HGETALL => $key)   wherever that is

use strict;
use warnings;

use Carp qw(croak);
use Test::Entitle::Process qw(free_port wait_until);
use Test::Entitle::Redis;

$SIG{PIPE} = 'IGNORE';  # servers come and go

# new(dir => where its files go, primaries => 3, timeout => 1000 ms)
sub new {
    my ($class, %args) = @_;
    my $self = bless { %args, servers => [] }, $class;
    my $primaries = $args{primaries} // 3;
    mkdir $self->{dir};
    $self->add($_) for 0 .. 2 * $primaries - 1;
    my @servers = $self->servers;
    $_->command('CLUSTER', 'MEET', '127.0.0.1', $servers[0]->port, $servers[0]{bus})
        for @servers[1 .. $#servers];
    for my $n (0 .. $primaries - 1) {
        $servers[$n]->command('CLUSTER', 'ADDSLOTSRANGE',
            int(16384 * $n / $primaries), int(16384 * ($n + 1) / $primaries) - 1);
    }
    wait_until(sub { !grep { $_->command('CLUSTER', 'NODES') =~ /handshake/
                || $_->command('CLUSTER', 'INFO') !~ /cluster_known_nodes:${\ scalar @servers}\b/ } @servers }, 20)
        or croak 'the nodes do not meet';
    $servers[$_]->command('CLUSTER', 'REPLICATE', $self->id($servers[ $_ - $primaries ]))
        for $primaries .. $#servers;
    wait_until(sub { $self->settled }, 30) or croak 'the cluster does not come up';
    return $self;
}

sub servers { @{ $_[0]{servers} } }

sub add {
    my ($self, $number) = @_;
    my $port = free_port();
    my $bus  = free_port();
    my $server = Test::Entitle::Redis->new(
        dir     => "$self->{dir}/server$number",
        port    => $port,
        options => [
            '--cluster-enabled', 'yes', '--cluster-port', $bus,
            '--cluster-node-timeout', $self->{timeout} // 1000,
            '--cluster-replica-validity-factor', '0',
            '--appendonly', 'yes', '--repl-diskless-sync-delay', '0',
            '--repl-ping-replica-period', '1',
        ]);
    $server->{bus} = $bus;
    push @{ $self->{servers} }, $server;
    return $server;
}

sub address {
    my ($self) = @_;
    return 'cluster://' . join ',', map { '127.0.0.1:' . $_->port } ($self->servers)[0 .. 1];
}

sub id { my ($self, $server) = @_; return $server->command('CLUSTER', 'MYID') }

sub running { grep { $_->{process}->running && !$_->{frozen} } $_[0]->servers }

# Every node that runs sees the cluster well, no two see another one, and every
# replica gets what its primary writes: it does from its first acknowledgement.
sub settled {
    my ($self) = @_;
    my %views;
    for my $server ($self->running) {
        my $info = eval { $server->command('CLUSTER', 'INFO') } // return 0;
        return 0 if $info !~ /cluster_state:ok/;
        my $nodes = $server->command('CLUSTER', 'NODES');
        return 0 if $nodes =~ /fail\?|handshake/;
        $views{ join ',', sort map { /^(\S+) .*master.* connected (.*)$/ ? "$1 $2" : () }
            split /\n/, $nodes }++;
        my @role = @{ $server->command('ROLE') };
        return 0 if $role[0] eq 'slave' && $role[3] ne 'connected';
        return 0 if grep { !/state=online,offset=[1-9]/ }
            $server->command('INFO', 'replication') =~ /^(slave\d+:.*)/mg;
    }
    return keys %views == 1;
}

sub slot { my ($self, $key) = @_; return ($self->running)[0]->command('CLUSTER', 'KEYSLOT', $key) }

sub server_at {
    my ($self, $port) = @_;
    my ($server) = grep { $_->port == $port } $self->servers;
    return $server // croak "nobody is at $port";
}

# By the first node that knows.
sub server_of_slot {
    my ($self, $slot) = @_;
    for my $asked ($self->running) {
        my $ranges = eval { $asked->command('CLUSTER', 'SLOTS') } or next;
        for (@$ranges) {
            my ($first, $last, $primary) = @$_;
            return $self->server_at($primary->[1]) if $slot >= $first && $slot <= $last;
        }
    }
    croak "nobody has slot $slot";
}

sub server_of { my ($self, $key) = @_; return $self->server_of_slot($self->slot($key)) }

sub command {
    my ($self, @words) = @_;
    my $server = $self->server_of($words[1]);
    for (1 .. 20) {
        my $reply = eval { $server->command(@words) };
        return $reply if !$@;
        die $@ if $@ !~ /MOVED \d+ \S*:(\d+)/;
        $server = $self->server_at($1);
    }
    croak "@words: sent round in circles";
}

sub hgetall { my ($self, $key) = @_; return {@{ $self->command('HGETALL', $key) }} }

# The steps of moving a slot. migrating(): both ends know; move_keys();
# finish_move(): everybody is told.
sub migrating {
    my ($self, $slot, $from, $to) = @_;
    $to->command('CLUSTER', 'SETSLOT', $slot, 'IMPORTING', $self->id($from));
    $from->command('CLUSTER', 'SETSLOT', $slot, 'MIGRATING', $self->id($to));
}

sub move_keys {
    my ($self, $slot, $from, $to) = @_;
    while (my @keys = @{ $from->command('CLUSTER', 'GETKEYSINSLOT', $slot, 100) }) {
        $from->command('MIGRATE', '127.0.0.1', $to->port, '', 0, 5000, 'KEYS', @keys);
    }
}

sub finish_move {
    my ($self, $slot, $to) = @_;
    my %primary = map { $_ => 1 } map { $_->[2][1] } @{ $to->command('CLUSTER', 'SLOTS') };
    $_->command('CLUSTER', 'SETSLOT', $slot, 'NODE', $self->id($to))
        for $to, grep { $_ != $to && $primary{ $_->port } } $self->running;
}

sub freeze { my ($self, $server) = @_; $server->{frozen} = 1; $server->freeze }
sub thaw   { my ($self, $server) = @_; $server->{frozen} = 0; $server->thaw }

sub stop {
    my ($self) = @_;
    for ($self->servers) {
        $_->{process}->signal('CONT');
        $_->{process}->stop('TERM', 3);
    }
}

1;
