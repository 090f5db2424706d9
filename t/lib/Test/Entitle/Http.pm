package Test::Entitle::Http;

# HTTP/1.1 on a raw socket, because the tests need what libraries forbid: slow
# bodies, broken framing, clients that leave in the middle.
#
#   my $c = Test::Entitle::Http->new(port => 8080);
#   my $answer = $c->request(method => 'POST', uri => '/x', body => 'abc',
#                            headers => ['X-A' => 1]);
#   is $answer->status, 200;

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use IO::Socket::INET;
use Test::Entitle::Process qw(patience);
use Time::HiRes qw(sleep time);

# new(port => n) or new(port => n, tls => 1); timeout in seconds.
sub new {
    my ($class, %args) = @_;
    my %to = (PeerAddr => '127.0.0.1', PeerPort => $args{port}, Timeout => 5);
    my $socket;
    if ($args{tls}) {
        require IO::Socket::SSL;
        $socket = IO::Socket::SSL->new(%to, SSL_verify_mode => 0);
    } else {
        $socket = IO::Socket::INET->new(%to);
    }
    croak "cannot connect to port $args{port}: $!" if !$socket;
    $socket->autoflush(1);
    return bless {
        socket  => $socket,
        buffer  => '',
        timeout => ($args{timeout} // 15) * patience(),
    }, $class;
}

sub write {
    my ($self, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    print { $self->{socket} } $bytes;
    return $self;
}

sub close { my ($self) = @_; CORE::close $self->{socket} }

# A client that vanishes: RST instead of FIN.
sub reset {
    my ($self) = @_;
    setsockopt $self->{socket}, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
        pack 'ii', 1, 0;
    $self->close;
}

# The request as bytes.
#   method, uri, host      GET, /, localhost
#   headers                a reference to a list: name, value, ...; each is sent
#   body                   with Content-Length
#   chunks                 a reference to a list of strings: chunked instead
#   close                  Connection: close
sub format {
    my (%r) = @_;
    my $method = $r{method} // 'GET';
    my $head = sprintf "%s %s HTTP/1.1\r\nHost: %s\r\n", $method,
        $r{uri} // '/', $r{host} // 'localhost';
    my @headers = @{ $r{headers} // [] };
    while (my ($name, $value) = splice @headers, 0, 2) {
        $head .= "$name: $value\r\n";
    }
    $head .= "Connection: close\r\n" if $r{close};
    if ($r{chunks}) {
        my $body = join '',
            map { sprintf "%x\r\n%s\r\n", length, $_ } @{ $r{chunks} };
        return ("${head}Transfer-Encoding: chunked\r\n\r\n", "${body}0\r\n\r\n");
    }
    $head .= 'Content-Length: ' . length($r{body}) . "\r\n" if defined $r{body};
    return ("$head\r\n", $r{body} // '');
}

# Sends without waiting. pieces => n: the body in n parts, pause => s apart.
sub send {
    my ($self, %r) = @_;
    my ($head, $body) = Test::Entitle::Http::format(%r);
    $self->{method} = $r{method} // 'GET';
    my $pieces = $r{pieces};
    return $self->write($head . $body) if !$pieces;
    $self->write($head);
    my $size = int(length($body) / $pieces) || 1;
    while (length $body) {
        sleep($r{pause} // 0.01);
        $self->write(substr $body, 0, $size, '');
    }
    return $self;
}

sub request { my ($self, %r) = @_; return $self->send(%r)->receive }

# True when there is something to read (an answer or the end) within $seconds.
sub readable {
    my ($self, $seconds) = @_;
    return 1 if length $self->{buffer};
    return IO::Select->new($self->{socket})->can_read($seconds) ? 1 : 0;
}

sub _more {
    my ($self, $end) = @_;
    my $left = $end - time();
    my $pending = $self->{socket}->can('pending') && $self->{socket}->pending;
    return 0 if !$pending
        && ($left <= 0 || !IO::Select->new($self->{socket})->can_read($left));
    return sysread $self->{socket}, $self->{buffer}, 65536,
        length $self->{buffer};
}

# The next answer. Status 0: the connection ended, or nothing came in time.
sub receive {
    my ($self) = @_;
    my $end = time() + $self->{timeout};
    my $none = Test::Entitle::Http::Answer->new(status => 0, headers => [],
        body => '');
    while (1) {
        while ($self->{buffer} !~ /\r\n\r\n/) {
            $self->_more($end) or return $none;
        }
        last if $self->{buffer} !~ /^HTTP\/1\.1 100 /;
        $self->{buffer} =~ s/^.*?\r\n\r\n//s;
    }
    $self->{buffer} =~ s/^(.*?)\r\n\r\n//s;
    my ($line, @lines) = split /\r\n/, $1;
    my ($status) = $line =~ m{^HTTP/1\.[01] (\d{3})} or croak "not HTTP: $line";
    my @headers = map { /^([^:]+):\s*(.*?)\s*$/ ? [lc $1, $2] : () } @lines;
    my $answer = Test::Entitle::Http::Answer->new(status => $status,
        headers => \@headers, body => '');
    return $answer
        if $self->{method} eq 'HEAD' || $status == 204 || $status == 304;

    if (($answer->header('Transfer-Encoding') // '') eq 'chunked') {
        while (1) {
            while ($self->{buffer} !~ /^[0-9a-f]+\r\n/i) {
                $self->_more($end) or return $none;
            }
            $self->{buffer} =~ s/^([0-9a-f]+)\r\n//i;
            my $size = hex $1;
            while (length $self->{buffer} < $size + 2) {
                $self->_more($end) or return $none;
            }
            $answer->{body} .= substr $self->{buffer}, 0, $size, '';
            substr $self->{buffer}, 0, 2, '';
            return $answer if $size == 0;
        }
    }
    my $length = $answer->header('Content-Length');
    if (defined $length) {
        while (length $self->{buffer} < $length) {
            $self->_more($end) or return $none;
        }
        $answer->{body} = substr $self->{buffer}, 0, $length, '';
        return $answer;
    }
    1 while $self->_more($end);
    $answer->{body} = $self->{buffer};
    $self->{buffer} = '';
    return $answer;
}

package Test::Entitle::Http::Answer;

use JSON::PP ();

sub new { my ($class, %fields) = @_; return bless {%fields}, $class }

sub status { $_[0]{status} }
sub body   { $_[0]{body} }

# The first value, or undef; all values in list context via header_all.
sub header { my ($self, $name) = @_; return ($self->header_all($name))[0] }

sub header_all {
    my ($self, $name) = @_;
    return map { $_->[1] } grep { $_->[0] eq lc $name } @{ $self->{headers} };
}

# The body as JSON; undef when it is none.
sub json { my ($self) = @_; return eval { JSON::PP::decode_json($self->{body}) } }

# name => value of what Set-Cookie sets.
sub cookies {
    my ($self) = @_;
    return map { /^([^=]+)=([^;]*)/ ? ($1 => $2) : () }
        $self->header_all('Set-Cookie');
}

package Test::Entitle::Http::Browser;

# Keeps cookies like a browser with one site: name and value, nothing more.
#
#   my $browser = Test::Entitle::Http::Browser->new(port => 8080);
#   my $answer = $browser->get('/lessons/1');

sub new {
    my ($class, %args) = @_;
    return bless { port => $args{port}, cookies => {}, headers => $args{headers} // [] }, $class;
}

sub cookies { $_[0]{cookies} }

sub request {
    my ($self, %r) = @_;
    my %jar = %{ $self->{cookies} };
    my @headers = (@{ $self->{headers} }, @{ $r{headers} // [] });
    push @headers, Cookie => join '; ', map { "$_=$jar{$_}" } sort keys %jar
        if %jar;
    my $answer = Test::Entitle::Http->new(port => $self->{port})
        ->request(%r, headers => \@headers, close => 1);
    for ($answer->header_all('Set-Cookie')) {
        my ($name, $value) = /^([^=]+)=([^;]*)/ or next;
        if (/;\s*Max-Age=0/i || $value eq '') { delete $self->{cookies}{$name} }
        else                                  { $self->{cookies}{$name} = $value }
    }
    return $answer;
}

# As a person who follows a link: Accept says text/html.
sub get {
    my ($self, $uri, @headers) = @_;
    return $self->request(uri => $uri,
        headers => [Accept => 'text/html,application/xhtml+xml', @headers]);
}

sub post {
    my ($self, $uri, $form, @headers) = @_;
    return $self->request(method => 'POST', uri => $uri, body => $form,
        headers => ['Content-Type' => 'application/x-www-form-urlencoded', @headers]);
}

1;
