package Test::Entitle::LiveApp;

# An app whose responses do not end by themselves, and that tells which of them
# it still has open. One process, many connections.
#
#   my $app = Test::Entitle::LiveApp->new($site);
#   ... proxy_pass http://127.0.0.1:<$app->port>;
#   ok $app->wait_until_open(3);
#
#   /ws      a WebSocket (RFC 6455) that echoes; without Upgrade 426
#   /sse     an event stream: a comment at once, an event each 20 ms
#   /quiet   one that says nothing after its first event
#   /poll    a long poll: no answer at all
#   /flood   a download without an end, as fast as it is taken
#   /accel   X-Accel-Redirect to what the query says
#   /whoami  who has the cookie `app`: what stands before its dot
#   /short   an ordinary page

use strict;
use warnings;

use Carp qw(croak);
use Digest::SHA qw(sha1_base64);
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Test::Entitle::Process qw(wait_until);
use Time::HiRes qw(time);

sub new {
    my ($class, $site) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024,
        ReuseAddr => 1, Blocking => 0) // croak "listen: $!";
    my $self = bless { owner => $$, port => $listen->sockport,
        file => $site->dir . '/live.' . $listen->sockport }, $class;
    $self->{pid} = fork // croak "fork: $!";
    if (!$self->{pid}) {
        # Nothing of the parent's ends here: no END block, no destructor.
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
        $SIG{PIPE} = 'IGNORE';
        eval { _serve($listen, $self->{file}); 1 } or print STDERR "the app died: $@";
        POSIX::_exit(1);
    }
    close $listen;
    return $self;
}

sub port { $_[0]{port} }

# How many responses it has open, of a path if one is named.
sub open_now {
    my ($self, $path) = @_;
    open my $in, '<', $self->{file} or return 0;
    my %open;
    while (<$in>) {
        my ($word, $id, $of) = split ' ';
        if ($word eq 'open') { $open{$id} = $of }
        else                 { delete $open{$id} }
    }
    return scalar grep { !defined $path || $_ eq $path } values %open;
}

sub wait_until_open {
    my ($self, $count, $path) = @_;
    return wait_until(sub { $self->open_now($path) == $count });
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $!, $@);
    if ($self->{owner} == $$) {
        kill 'TERM', $self->{pid};
        waitpid $self->{pid}, 0;
    }
}

# --- the app -----------------------------------------------------------------

my $MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
my $EVENTS = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    . "Connection: close\r\n\r\n: hello\n\n";

# What is sent at once, and what goes on.
sub _answer {
    my ($head) = @_;
    my ($uri) = $head =~ m{^\S+ (\S+)};
    my ($path, $query) = $uri =~ /^([^?]*)\??(.*)/;
    if ($path eq '/ws') {
        my ($key) = $head =~ /^Sec-WebSocket-Key: *(\S+)/mi
            or return ($path, "HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n\r\n", 'end');
        return ($path, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                . "Connection: Upgrade\r\nSec-WebSocket-Accept: "
                . sha1_base64($key . $MAGIC) . "=\r\n\r\n", 'echo');
    }
    if ($path eq '/whoami') {
        my ($user) = $head =~ /^Cookie:.*?\bapp=(\w+)/mi;
        return ($path, defined $user ? "HTTP/1.1 204 No Content\r\nX-User: $user\r\nConnection: close\r\n\r\n"
            : "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 'end');
    }
    return ($path, $EVENTS, 'events') if $path eq '/sse';
    return ($path, $EVENTS, 'hold')   if $path eq '/quiet';
    return ($path, '',      'hold')   if $path eq '/poll';
    return ($path, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 'flood') if $path eq '/flood';
    return ($path, "HTTP/1.1 200 OK\r\nX-Accel-Redirect: $query\r\n"
            . "Content-Length: 0\r\nConnection: close\r\n\r\n", 'end') if $path eq '/accel';
    return ($path, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nshort", 'end');
}

# A client's frames, whole ones, as a server sends them back: unmasked.
sub _echo {
    my ($in) = @_;
    my $out = '';
    while (length $$in >= 6) {
        my ($first, $length) = unpack 'CC', $$in;
        $length &= 0x7f;
        last if length $$in < 6 + $length;
        my $mask = substr $$in, 2, 4;
        my $data = substr $$in, 6, $length;
        substr $$in, 0, 6 + $length, '';
        $data ^= substr $mask x (1 + $length / 4), 0, $length;
        $out .= pack('CC', $first, $length) . $data;
    }
    return $out;
}

sub _serve {
    my ($listen, $file) = @_;
    open my $log, '>>', $file or croak "$file: $!";
    $log->autoflush;
    my (%of, $serial);
    my $reads = IO::Select->new($listen);
    my $end = sub {
        my ($socket) = @_;
        my $c = delete $of{$socket};
        $reads->remove($socket);
        print $log "end $c->{id}\n" if $c->{id};
        close $socket;
    };
    my $tick = time;
    while (1) {
        my @full = map { $_->{socket} } grep { length $_->{out} || $_->{how} eq 'flood' } values %of;
        my ($read, $write) = IO::Select->select($reads, IO::Select->new(@full), undef, 0.01);
        for my $socket (@{ $read // [] }) {
            if ($socket == $listen) {
                while (my $client = $listen->accept) {
                    $client->blocking(0);
                    $of{$client} = { socket => $client, in => '', out => '', how => '' };
                    $reads->add($client);
                }
                next;
            }
            my $c = $of{$socket};
            my $got = sysread $socket, $c->{in}, 65536, length $c->{in};
            if (!$got) { $end->($socket) if defined $got || !$!{EAGAIN}; next }
            if ($c->{how} eq '' && $c->{in} =~ s/^(.*?\r\n)\r\n//s) {
                (my $path, $c->{out}, $c->{how}) = _answer($1);
                $c->{id} = ++$serial;
                print $log "open $c->{id} $path\n";
            }
            $c->{out} .= _echo(\$c->{in}) if $c->{how} eq 'echo';
        }
        if (time - $tick > 0.02) {
            $tick = time;
            $_->{out} .= "data: $tick\n\n" for grep { $_->{how} eq 'events' } values %of;
        }
        for my $socket (@{ $write // [] }) {
            my $c = $of{$socket} // next;
            $c->{out} = 'x' x 65536 if $c->{how} eq 'flood' && !length $c->{out};
            my $sent = syswrite $socket, $c->{out};
            if (!defined $sent) { $end->($socket) if !$!{EAGAIN}; next }
            substr $c->{out}, 0, $sent, '';
            $end->($socket) if $c->{how} eq 'end' && !length $c->{out};
        }
    }
}

1;
