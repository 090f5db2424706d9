package Test::Entitle::LiveClient;

# A client with a response that does not end: whether it still comes, and when it
# ended.
#
#   my $stream = Test::Entitle::LiveClient->get($port, '/sse', Cookie => ...);
#   is $stream->status, 200;
#   ok $stream->flows;                       # something comes
#   ok $stream->ends_within(1);
#   my $socket = Test::Entitle::LiveClient->websocket($port, '/ws', Cookie => ...);
#   is $socket->echo('hello'), 'hello';

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(encode_base64);
use Test::Entitle::Process qw(patience);
use Time::HiRes qw(time);

sub _send {
    my ($class, $port, $uri, @headers) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
        // croak "connect: $!";
    $socket->autoflush(1);
    my $head = "GET $uri HTTP/1.1\r\nHost: localhost\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) { $head .= "$name: $value\r\n" }
    print {$socket} "$head\r\n";
    return bless { socket => $socket, in => '', status => 0 }, $class;
}

# Reads until the headers are there.
sub _read_head {
    my ($self) = @_;
    my $end = time + 10 * patience();
    while (index($self->{in}, "\r\n\r\n") < 0) {
        $self->_more($end - time) or return $self;
    }
    ($self->{head}, $self->{in}) = split /\r\n\r\n/, $self->{in}, 2;
    ($self->{status}) = $self->{head} =~ m{^HTTP/1.1 (\d+)};
    return $self;
}

sub get {
    my ($class, @request) = @_;
    return $class->_send(@request)->_read_head;
}

# Nothing is read: of a poll, or by one who is slow.
sub ask { my ($class, @request) = @_; return $class->_send(@request) }

sub websocket {
    my ($class, $port, $uri, @headers) = @_;
    return $class->get($port, $uri, @headers, Upgrade => 'websocket', Connection => 'Upgrade',
        'Sec-WebSocket-Version' => 13, 'Sec-WebSocket-Key' => encode_base64('0123456789abcdef', ''));
}

sub status { $_[0]{status} }
sub head   { $_[0]{head} // '' }
sub body   { $_[0]{in} }

# False: it ended, or nothing came in time.
sub _more {
    my ($self, $seconds) = @_;
    return 0 if $self->{ended} || $seconds < 0
        || !IO::Select->new($self->{socket})->can_read($seconds);
    my $got = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
    $self->{why} = $! if !defined $got;
    $self->{ended} = time if !$got;
    return $got;
}

# Something comes that was not there.
sub flows {
    my ($self) = @_;
    $self->{in} = '';
    return $self->_more(5 * patience()) ? 1 : 0;
}

# Nothing says, for so long, that it ended.
sub stays {
    my ($self, $seconds) = @_;
    my $end = time + $seconds;
    while (time < $end && !$self->{ended}) {
        $self->{in} = '' if length $self->{in} > 1 << 20;
        $self->_more($end - time);
    }
    return $self->{ended} ? 0 : 1;
}

sub ends_within { my ($self, $seconds) = @_; return $self->stays($seconds * patience()) ? 0 : 1 }

# As a frame that is masked, and the text of the frame that comes back.
sub echo {
    my ($self, $text) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $mask = "\x01\x02\x03\x04";
    $self->{in} = '';
    print { $self->{socket} } pack('CC', 0x81, 0x80 | length $text) . $mask
        . ($text ^ substr($mask x length $text, 0, length $text));
    my $end = time + 5 * patience();
    while (length $self->{in} < 2 + length $text) { $self->_more($end - time) or return undef }
    return substr $self->{in}, 2;
}

sub leave { my ($self) = @_; close $self->{socket}; return }

1;
