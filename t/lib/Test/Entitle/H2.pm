package Test::Entitle::H2;

# As much of an HTTP/2 client (RFC 9113) as it takes to have several streams of one
# connection, and to see which of them are reset. In the clear, by prior knowledge.
#
#   my $h2 = Test::Entitle::H2->new(port => $port);
#   my $stream = $h2->get('/sse', cookie => 'app=...');
#   ok $h2->wait_for($stream, 'data');
#   is $h2->reset($stream), 2;               # the code; undef: it was not

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use IO::Socket::INET;
use Test::Entitle::Process qw(patience);
use Time::HiRes qw(time);

my ($DATA, $HEADERS, $RST_STREAM, $SETTINGS, $PING, $GOAWAY, $WINDOW) = (0, 1, 3, 4, 6, 7, 8);

sub new {
    my ($class, %args) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $args{port})
        // croak "connect: $!";
    $socket->autoflush(1);
    my $self = bless { socket => $socket, in => '', next => 1, streams => {} }, $class;
    my $settings = defined $args{window} ? pack('nN', 4, $args{window}) : '';
    print {$socket} "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", _frame($SETTINGS, 0, 0, $settings);
    return $self;
}

sub _frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}

# A string literal without Huffman coding (RFC 7541, 5.2).
sub _literal {
    my ($text) = @_;
    my $length = length $text;
    return chr($length) . $text if $length < 127;
    my $rest = $length - 127;
    my $out = chr 127;
    while ($rest >= 128) { $out .= chr($rest % 128 + 128); $rest = int $rest / 128 }
    return $out . chr($rest) . $text;
}

# The id of the stream.
sub get {
    my ($self, $uri, @headers) = @_;
    my $id = $self->{next};
    $self->{next} += 2;
    my @all = (':method', 'GET', ':scheme', 'http', ':path', $uri, ':authority', 'localhost', @headers);
    my $block = '';
    while (my ($name, $value) = splice @all, 0, 2) {
        $block .= "\0" . _literal($name) . _literal($value);
    }
    $self->{streams}{$id} = { data => 0 };
    print { $self->{socket} } _frame($HEADERS, 5, $id, $block);
    return $id;
}

# Handles what comes within so many seconds, or until a frame has come.
sub _step {
    my ($self, $seconds) = @_;
    while (length $self->{in} < 9 || length $self->{in} < 9 + $self->_length) {
        return 0 if $seconds < 0 || $self->{ended}
            || !IO::Select->new($self->{socket})->can_read($seconds);
        my $got = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
        $self->{ended} = time if !$got;
    }
    my $length = $self->_length;
    my ($type, $flags, $id) = unpack 'CCN', substr $self->{in}, 3, 6;
    my $payload = substr $self->{in}, 9, $length;
    substr $self->{in}, 0, 9 + $length, '';
    my $stream = $self->{streams}{$id} // {};
    if ($type == $SETTINGS && !($flags & 1)) {
        print { $self->{socket} } _frame($SETTINGS, 1, 0, '');
    } elsif ($type == $HEADERS) {
        $stream->{head} = $payload;
    } elsif ($type == $DATA) {
        $stream->{data} += $length;
        # The connection's window is kept open, a stream's is not.
        print { $self->{socket} } _frame($WINDOW, 0, 0, pack 'N', $length) if $length;
    } elsif ($type == $RST_STREAM) {
        ($stream->{reset}, $stream->{over}) = (unpack('N', $payload), time);
    } elsif ($type == $GOAWAY) {
        $self->{goaway} = 1;
    }
    $stream->{over} //= time if ($type == $DATA || $type == $HEADERS) && $flags & 1;
    return 1;
}

sub _length { unpack 'N', "\0" . substr $_[0]{in}, 0, 3 }

# Until that is there of the stream: head, data, reset, over.
sub wait_for {
    my ($self, $id, $what, $seconds) = @_;
    my $end = time + ($seconds // 10) * patience();
    while (!$self->{streams}{$id}{$what}) {
        $self->_step($end - time) or return 0;
    }
    return 1;
}

# Lets go by what comes.
sub pass { my ($self, $seconds) = @_; my $end = time + $seconds;
    1 while $self->_step($end - time); return $self }

sub reset    { $_[0]{streams}{ $_[1] }{reset} }
sub data     { $_[0]{streams}{ $_[1] }{data} }
sub head     { $_[0]{streams}{ $_[1] }{head} }
sub is_over  { defined $_[0]{streams}{ $_[1] }{over} }
sub went     { $_[0]{ended} || $_[0]{goaway} }

sub leave { my ($self) = @_; close $self->{socket}; return }
sub ping { my ($self) = @_; print { $self->{socket} } _frame($PING, 0, 0, '12345678'); return }

1;
