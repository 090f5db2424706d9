package Test::Entitle::FaultyRedis;

# A real Redis behind a hand that spoils the conversation: answers of its own,
# answers cut, delayed, altered. What it does not spoil is the real server's.
#
#   my $faulty = Test::Entitle::FaultyRedis->new(
#       port   => $port, redis => $redis,     # listens there, forwards here
#       answer => sub { my (@words) = @_; ... }); # bytes, or undef: forward
#       spoil  => sub { my ($bytes, $socket) = @_; ... });  # sends them its way
#
# With leave_open, what is said instead of EXEC leaves the real server inside its
# transaction. Both run in a process of its own. spoil returns false to end the connection.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Test::Entitle::Process;

use parent -norequire, 'Test::Entitle::Process';

sub new {
    my ($class, %args) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', ReuseAddr => 1,
        LocalPort => $args{port}, Listen => 128) or die "port $args{port}: $!";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
        $SIG{PIPE} = 'IGNORE';
        eval { _serve($listener, %args) };
        print STDERR "FaultyRedis: $@" if $@;
        POSIX::_exit(1);
    }
    close $listener;
    return bless { pid => $pid, owner => $$, name => 'FaultyRedis' }, $class;
}

sub _serve {
    my ($listener, %args) = @_;
    my $answer = $args{answer} // sub { return undef };
    my $spoil  = $args{spoil}  // \&whole;
    my $select = IO::Select->new($listener);
    my %real;      # our client => its connection to the real server
    my %buffer;    # our client => bytes that are no whole command yet
    while (1) {
        for my $client ($select->can_read) {
            if ($client == $listener) {
                $client = $listener->accept or next;
                setsockopt $client, IPPROTO_TCP, TCP_NODELAY, 1;
                $real{$client}   = $args{redis}->_connect;
                $buffer{$client} = '';
                $select->add($client);
                next;
            }
            my $alive = sysread $client, $buffer{$client}, 65536, length $buffer{$client};
            while ($alive and my @words = _command(\$buffer{$client})) {
                my $bytes = $answer->(@words);
                # What we say instead of EXEC must not leave the real one open.
                @words = 'DISCARD'
                    if defined $bytes && $words[0] eq 'EXEC' && !$args{leave_open};
                if (!defined $bytes || $words[0] eq 'DISCARD') {
                    Test::Entitle::Redis::_send($real{$client}, @words);
                    my $said = _raw_reply($real{$client});
                    $bytes //= $said;
                }
                $alive = $spoil->($bytes, $client);
            }
            if (!$alive) {
                $select->remove($client);
                delete $buffer{$client};
                delete $real{$client};
                close $client;
            }
        }
    }
}

# Takes one whole command off the buffer.
sub _command {
    my ($buffer) = @_;
    my $rest = $$buffer;
    $rest =~ s/^\*(\d+)\r\n// or return;
    my @words;
    for (1 .. $1) {
        $rest =~ s/^\$(\d+)\r\n// or return;
        return if length $rest < $1 + 2;
        push @words, substr $rest, 0, $1, '';
        substr $rest, 0, 2, '';
    }
    $$buffer = $rest;
    return @words;
}

sub _raw_reply {
    my ($socket) = @_;
    local $/ = "\r\n";
    my $line = <$socket> // die 'the real Redis is gone';
    my ($type, $count) = $line =~ /^(.)(-?\d*)/;
    return $line if $type !~ /[\$*]/ || $count < 0;
    return $line . join '', map { _raw_reply($socket) } 1 .. $count if $type eq '*';
    my $text = '';
    while (length $text < $count + 2) {
        read $socket, $text, $count + 2 - length $text, length $text or die 'gone';
    }
    return $line . $text;
}

# --- ways to send ------------------------------------------------------------

sub whole { my ($bytes, $socket) = @_; return syswrite $socket, $bytes }

sub byte_by_byte {
    my ($bytes, $socket) = @_;
    syswrite $socket, $_ or return 0 for split //, $bytes;
    return 1;
}

1;
