package Test::Entitle::Wire;

# A wire to a Redis that lets everything through, both ways, until told what to
# do about the connections on which Redis says what changes:
#
#   my $wire = Test::Entitle::Wire->new(to => $port, later => $other_port);
#   ... redis://127.0.0.1:<$wire->port> ...
#   $wire->deafen;    # nothing Redis says on them comes through any more:
#                     # half-open, as far as nginx can tell
#   $wire->switch;    # they stay; all others are cut, and new ones of any kind
#                     # lead to `later`: an address that moved to another server
#                     # while the old one lives on
#   $wire->trips;     # with told => $file: what nginx sent since it was asked last,
#                     # one string of commands for each write: "WATCH x, HGETALL x"

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::Entitle::Process qw(free_port);

use parent -norequire, 'Test::Entitle::Process';

sub new {
    my ($class, %args) = @_;
    my $port = free_port();
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
        LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "wire: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP ALRM);
        $SIG{PIPE} = 'IGNORE';
        eval { _serve($listen, @args{qw(to later told)}) };
        print STDERR "Wire: $@" if $@;
        POSIX::_exit(1);
    }
    close $listen;
    return bless { pid => $pid, owner => $$, name => 'Wire', port => $port,
        told => $args{told}, heard => 0 }, $class;
}

sub port   { $_[0]{port} }
sub deafen { $_[0]->signal('USR1') }
sub switch { $_[0]->signal('USR2') }

# What goes through is on the loopback and small: a write is read at once.
sub trips {
    my ($self) = @_;
    open my $in, '<:raw', $self->{told} or return;
    seek $in, $self->{heard}, 0;
    my @trips;
    while (my $line = <$in>) {
        last if $line !~ /\n\z/;
        $self->{heard} += length $line;
        push @trips, $line =~ s/\n\z//r;
    }
    return @trips;
}

# "MULTI, HSET key, EXEC": the words of each command up to its key.
sub _commands_of {
    my ($bytes) = @_;
    my @commands;
    while ($bytes =~ s/^\*(\d+)\r\n//) {
        my @words;
        for (1 .. $1) {
            $bytes =~ s/^\$(\d+)\r\n// or last;
            push @words, substr $bytes, 0, $1, '';
            substr $bytes, 0, 2, '';
        }
        push @commands, join ' ', map { s/[^!-~]/?/gr } grep { defined } @words[0, 1];
    }
    return join ', ', @commands;
}

sub _serve {
    my ($listen, $to, $later, $told) = @_;
    my (%peer, %listens, $deaf, $switch, $tell);
    if (defined $told) {
        open $tell, '>>:raw', $told or die "$told: $!";
        $tell->autoflush;
    }
    local $SIG{USR1} = sub { $deaf   = 1 };
    local $SIG{USR2} = sub { $switch = 1 };
    my $select = IO::Select->new($listen);
    my $cut = sub {
        my @both = ($_[0], $peer{ $_[0] });
        $select->remove(@both);
        delete @peer{@both};
        delete @listens{@both};
        close $_ for @both;
    };
    while (1) {
        my @ready = $select->can_read;
        if ($switch) {
            ($to, $switch) = ($later, 0);
            for my $server (grep { exists $listens{$_} && !$listens{$_} } $select->handles) {
                $cut->($server);
            }
            next;
        }
        for my $socket (@ready) {
            if ($socket == $listen) {
                my $client = $listen->accept or next;
                my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                    PeerPort => $to) or next;
                @peer{$client, $server} = ($server, $client);
                $select->add($client, $server);
                $listens{$server} = 0;
                next;
            }
            my $other = $peer{$socket} // next;
            my $read = sysread $socket, my $bytes, 65536;
            next if !defined $read && $!{EINTR};
            if (!$read) { $cut->($socket); next }
            $listens{$other} = 1 if exists $listens{$other} && $bytes =~ /SUBSCRIBE/;
            next if $deaf && $listens{$socket};
            print $tell _commands_of($bytes), "\n" if $tell && exists $listens{$other};
            syswrite $other, $bytes;
        }
    }
}

1;
