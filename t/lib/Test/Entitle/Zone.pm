package Test::Entitle::Zone;

# The shared zone of a running site, seen and touched from outside: through
# /proc/<pid>/mem of one of its workers. ngx_module/cache/zone.cc says how it is
# laid out.
#
#   my $zone = Test::Entitle::Zone->new(pid => $worker, size => 1 << 20);
#   $zone->holder;           # pid of who has the mutex, or 0
#   $zone->writing;          # somebody changes it, or died in the middle
#   $zone->set_writing(1);
#   $zone->lose_entries;     # the queue of entries leads nowhere

use strict;
use warnings;

sub new {
    my ($class, %args) = @_;
    my $self = bless {%args}, $class;
    open $self->{memory}, '+<:raw', "/proc/$args{pid}/mem" or die "/proc/$args{pid}/mem: $!";
    $self->{begin} = $self->_find;
    return $self;
}

# The one shared mapping of its size.
sub _find {
    my ($self) = @_;
    open my $maps, '<', "/proc/$self->{pid}/maps" or die "/proc/$self->{pid}/maps: $!";
    no warnings 'portable';
    for (<$maps>) {
        my ($from, $to) = /^([0-9a-f]+)-([0-9a-f]+) rw-s/ or next;
        return hex $from if hex($to) - hex($from) == $self->{size};
    }
    die 'no zone';
}

sub peek {
    my ($self, $at, $bytes) = @_;
    sysseek $self->{memory}, $at, 0;
    sysread $self->{memory}, my $read, $bytes or die "reading $at: $!";
    return $read;
}
sub word { my ($self, $at) = @_; return unpack 'Q<', $self->peek($at, 8) }
sub poke {
    my ($self, $at, $bytes) = @_;
    sysseek $self->{memory}, $at, 0;
    syswrite($self->{memory}, $bytes) == length $bytes or die "writing $at: $!";
    return;
}

# The slab pool starts with the mutex: 0, or the pid of its holder.
sub holder     { my ($self) = @_; return $self->word($self->{begin}) }
sub set_holder { my ($self, $pid) = @_; $self->poke($self->{begin}, pack 'Q<', $pid) }

# Among the pool's last words are `data`, our header, and `addr`, where the pool
# itself is.
sub header {
    my ($self) = @_;
    my ($addr) = grep { $self->word($self->{begin} + 8 * $_) == $self->{begin} } reverse 1 .. 31;
    return $self->word($self->{begin} + 8 * ($addr - 1));
}

# The header starts with the layout and `writing`, 32 bits each.
sub writing { my ($self) = @_; return unpack 'L<', $self->peek($self->header + 4, 4) }
sub set_writing { my ($self, $value) = @_; $self->poke($self->header + 4, pack 'L<', $value) }

# Every entry's place in the queue: nowhere. False: there is no entry.
sub lose_entries {
    my ($self) = @_;
    my $header = $self->header;
    my ($pointer) = grep {
        my $entry = $self->word($header + 8 * $_);
        $entry > $header && $entry < $self->{begin} + $self->{size}
            && $self->word($entry + 8) == $header + 8 * $_;
    } 1 .. 8 or return 0;
    $self->poke($header + 8 * $pointer, pack 'Q<Q<', 8, 8);
    return 1;
}

# Until it really is stopped.
sub stop_worker {
    my ($pid) = @_;
    kill STOP => $pid;
    for (1 .. 100_000) {
        open my $stat, '<', "/proc/$pid/stat" or last;
        return if <$stat> =~ /^\d+ \(.*\) T /;
    }
    die "worker $pid goes on";
}

1;
