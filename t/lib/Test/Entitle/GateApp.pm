package Test::Entitle::GateApp;

# An app that counts and remembers what it was asked, may be slow, and may
# misbehave on the wire. One process, many connections at once.
#
#   my $app = Test::Entitle::GateApp->new($site, sub {
#       my ($r) = @_;                    # method uri headers body params cookies
#       return { status => 204, headers => ['X-User' => $r->{cookies}{app}] };
#   });
#   ... proxy_pass http://127.0.0.1:<$app->port>;
#   is scalar $app->seen('/whoami'), 1;
#
# An answer: status (200), headers, body (with Content-Length), delay (s) or
# hold (until release() lets go of all that are held); instead: raw (bytes as they are, then the end), hang (no answer at all),
# upgrade (101, then every byte comes back). What seen() gives has the first
# 1000 bytes of a body. protocol => 'scgi', 'uwsgi' or
# 'fastcgi' in new(): the request's parameters are in $r->{params}.

use strict;
use warnings;

use Carp qw(croak);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use Time::HiRes qw(time);
use Test::Entitle::Process qw(wait_until);

my $JSON = JSON::PP->new->canonical->latin1;

my %READ = (http => \&_read_http, scgi => \&_read_scgi, uwsgi => \&_read_uwsgi,
    fastcgi => \&_read_fastcgi);

sub new {
    my ($class, $site, $answer, %o) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 512,
        ReuseAddr => 1, Blocking => 0) // croak "listen: $!";
    my $self = bless {
        owner => $$,
        file  => $site->dir . '/app.' . $listen->sockport,
        port  => $listen->sockport,
        since => 0,
    }, $class;
    open my $log, '>>:raw', $self->{file} or croak "$self->{file}: $!";
    $log->autoflush(1);

    $self->{pid} = fork // croak "fork: $!";
    if (!$self->{pid}) {
        # Nothing of the parent's ends here: no END block, no destructor.
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
        $SIG{PIPE} = 'IGNORE';
        eval { _serve($listen, $log, $answer, $READ{ $o{protocol} // 'http' },
            $o{protocol} // 'http'); 1 } or print STDERR "the app died: $@";
        POSIX::_exit(1);
    }
    close $listen;
    return $self;
}

sub port { $_[0]{port} }

# What came in since the last forget(), of this path if one is named.
sub seen {
    my ($self, $path) = @_;
    open my $in, '<:raw', $self->{file} or croak "$self->{file}: $!";
    seek $in, $self->{since}, 0;
    my @all = map { $JSON->decode($_) } <$in>;
    return grep { !defined $path || $_->{uri} =~ /^\Q$path\E(?:\?|$)/ } @all;
}

sub forget { my ($self) = @_; $self->{since} = -s $self->{file}; return }

sub wait_for {
    my ($self, $count, $path) = @_;
    return wait_until(sub { my @seen = $self->seen($path); @seen >= $count });
}

# What is held now is answered: what was seen is held.
sub release { my ($self) = @_; kill 'USR1', $self->{pid}; return }

sub stop {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    $self->{pid} = 0;
}

sub DESTROY { local ($?, $@, $!); $_[0]->stop }

# All values of a header of a request that was seen.
sub header {
    my ($request, $name) = @_;
    return map { $_->[1] } grep { lc $_->[0] eq lc $name } @{ $request->{headers} };
}

# A bare nginx on that port that takes HTTP/2 without TLS for the app.
sub behind_http2 {
    my ($site, $port, $app) = @_;
    my $dir = $site->dir . '/h2';
    mkdir $dir or croak "$dir: $!";
    my $temp = join '', map { "${_}_temp_path $dir/$_;\n" }
        qw(client_body proxy fastcgi uwsgi scgi);
    my $user = $> == 0 ? 'user root;' : '';
    open my $conf, '>', "$dir/nginx.conf" or croak "$dir: $!";
    print $conf <<"EOF";
daemon off;
master_process off;
$user
pid $dir/nginx.pid;
error_log $dir/error.log;
events { }
http {
$temp
access_log off;
underscores_in_headers on;
ignore_invalid_headers off;
server {
    listen 127.0.0.1:$port http2;
    location / { proxy_pass http://127.0.0.1:$app->{port}; }
}
}
EOF
    close $conf;
    my $nginx = Test::Entitle::Process->new(
        command => [$ENV{ENTITLE_TEST_NGINX} // q(/usr/sbin/nginx), q(-e),
            "$dir/error.log", q(-c), "$dir/nginx.conf"],
        output => "$dir/output");
    wait_until(sub {
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
    }) or croak 'no nginx in front of the app';
    return $nginx;
}

# --- the server --------------------------------------------------------------

sub _serve {
    my ($listen, $log, $answer, $read, $protocol) = @_;
    my $select = IO::Select->new($listen);
    my (%state, @later, @held, $release);
    local $SIG{USR1} = sub { $release = 1 };
    my $drop = sub {
        my ($socket) = @_;
        $select->remove($socket);
        delete $state{ fileno $socket };
        close $socket;
    };
    my $reply = sub {
        my ($socket, $a) = @_;
        return if !$socket->opened || !$state{ fileno $socket };
        $socket->blocking(1);
        my $bytes = $a->{raw} // _format($a, $state{ fileno $socket }{head}, $protocol);
        syswrite $socket, $bytes;
        $state{ fileno $socket }{echo} = 1, return if $a->{upgrade};
        $drop->($socket);
    };
    while (1) {
        my $wait = 0.5;
        for (@later) { $wait = $_->[0] - time if $_->[0] - time < $wait }
        for my $socket ($select->can_read($wait > 0 ? $wait : 0)) {
            if ($socket == $listen) {
                my $new = $listen->accept or next;
                $state{ fileno $new } = { buffer => '' };
                $select->add($new);
                next;
            }
            my $at = $state{ fileno $socket };
            if (!sysread $socket, $at->{buffer}, 65536, length $at->{buffer}) {
                $drop->($socket);
                next;
            }
            if ($at->{echo}) {
                syswrite $socket, delete $at->{buffer};
                $at->{buffer} = '';
                next;
            }
            next if $at->{asked};
            my $r = $read->($at->{buffer}) or next;
            $at->{asked} = 1;
            $at->{buffer} = '';
            $r->{cookies} = { map { map { /^\s*([^=;]+)=(.*?)\s*$/ ? ($1 => $2) : () }
                split /;/, $_ } header($r, 'Cookie') };
            $at->{head} = ($r->{method} // '') eq 'HEAD';
            print $log $JSON->encode({ %$r, body => substr $r->{body}, 0, 1000 }), "\n";
            my $a = $answer->($r);
            next if $a->{hang};
            if ($a->{hold}) { push @held, [$socket, $a] }
            elsif ($a->{delay}) { push @later, [time + $a->{delay}, $socket, $a] }
            else { $reply->($socket, $a) }
        }
        if ($release) {
            $release = 0;
            $reply->(@$_) for splice @held;
        }
        my $now = time;
        my @due = grep { $_->[0] <= $now } @later;
        @later = grep { $_->[0] > $now } @later;
        $reply->($_->[1], $_->[2]) for @due;
    }
}

sub _format {
    my ($a, $head, $protocol) = @_;
    my $status = $a->{status} // ($a->{upgrade} ? 101 : 200);
    my @headers = @{ $a->{headers} // [] };
    my $body = $a->{body} // '';
    my $text = $protocol =~ /^(?:scgi|fastcgi)$/ ? "Status: $status ok\r\n"
        : "HTTP/1.1 $status ok\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) { $text .= "$name: $value\r\n" }
    if ($a->{upgrade}) {
        $text .= "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    } else {
        $text .= "Connection: close\r\n" if $protocol eq 'http';
        $text .= 'Content-Length: ' . length($body) . "\r\n"
            if $status != 204 && $status != 304;
    }
    $text .= "\r\n" . ($head ? '' : $body);
    return $text if $protocol ne 'fastcgi';
    my $record = sub { pack('CCnnCC', 1, $_[0], 1, length $_[1], 0, 0) . $_[1] };
    return $record->(6, $text) . $record->(6, '') . $record->(3, "\0" x 8);
}

# Each takes all bytes so far: the request, or undef until it is whole.
sub _read_http {
    my ($bytes) = @_;
    my $end = index $bytes, "\r\n\r\n";
    return if $end < 0;
    my ($line, @lines) = split /\r\n/, substr $bytes, 0, $end;
    my ($method, $uri) = split / /, $line;
    my @headers = map { /^([^:]*):\s*(.*?)\s*$/ ? [$1, $2] : () } @lines;
    my $r = { method => $method, uri => $uri, headers => \@headers, body => '' };
    if (my ($length) = header($r, 'Content-Length')) {
        return if length($bytes) - $end - 4 < $length;
        $r->{body} = substr $bytes, $end + 4, $length;
        return $r;
    }
    my $rest = substr $bytes, $end + 4;
    if (header($r, 'Transfer-Encoding')) {
        while ($rest =~ s/^([0-9a-f]+)\r\n//i) {
            my $size = hex $1;
            return $r if !$size;
            return if length $rest < $size + 2;
            $r->{body} .= substr $rest, 0, $size, '';
            $rest =~ s/^\r\n//;
        }
        return;
    }
    return $r;
}

sub _from_params {
    my (@params) = @_;
    my %params;
    my $list = [];
    while (my ($name, $value) = splice @params, 0, 2) {
        push @$list, [$name, $value];
        $params{$name} = $value;
    }
    return { method => $params{REQUEST_METHOD}, uri => $params{REQUEST_URI} // '',
        headers => [map { [_header_of($_->[0]), $_->[1]] } grep { $_->[0] =~ /^HTTP_/ } @$list],
        params => $list, body => '' };
}

sub _header_of { my ($param) = @_; return lc(substr $param, 5) =~ tr/_/-/r }

sub _read_scgi {
    my ($bytes) = @_;
    my ($length, $rest) = $bytes =~ /^(\d+):(.*)$/s or return;
    return if length $rest < $length + 1;
    return _from_params(split /\0/, substr($rest, 0, $length), -1);
}

sub _read_uwsgi {
    my ($bytes) = @_;
    return if length $bytes < 4;
    my ($size) = unpack 'xv', $bytes;
    return if length $bytes < 4 + $size;
    return _from_params(unpack '(v/a)*', substr $bytes, 4, $size);
}

sub _read_fastcgi {
    my ($bytes) = @_;
    my ($params, $complete) = ('', 0);
    while (length $bytes >= 8) {
        my ($type, $length, $padding) = unpack 'xCx2nC', $bytes;
        return if length $bytes < 8 + $length + $padding;
        $params .= substr $bytes, 8, $length if $type == 4;
        $complete = 1 if $type == 5 && !$length;
        substr $bytes, 0, 8 + $length + $padding, '';
    }
    return if !$complete;
    my @all;
    while (length $params) {
        my @sizes;
        for (1, 2) {
            my $size = unpack 'C', $params;
            if ($size > 127) { $size = unpack('N', $params) & 0x7fffffff; substr $params, 0, 4, '' }
            else             { substr $params, 0, 1, '' }
            push @sizes, $size;
        }
        push @all, substr $params, 0, $_, '' for @sizes;
    }
    return _from_params(@all);
}

1;
