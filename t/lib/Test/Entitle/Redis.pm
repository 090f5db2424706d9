package Test::Entitle::Redis;

# A private redis-server and a small RESP2 client, so that no test depends on
# the client it tests.

use strict;
use warnings;

use Carp qw(croak);
use Digest::SHA qw(sha1_hex);
use IO::Socket::IP;
use IO::Select;
use Test::Entitle::Process qw(free_port wait_until);

# new(dir => where its files go, options => [extra command line options],
# password => what everyone must give, address => where it listens).
# Data outlive stop() and start() when options say --appendonly yes.
sub new {
    my ($class, %args) = @_;
    my $self = bless {
        dir     => $args{dir},
        port    => $args{port} // free_port(),
        options => $args{options} // [],
        address => $args{address} // '127.0.0.1',
        password => $args{password},
    }, $class;
    push @{ $self->{options} }, '--requirepass', $args{password}
        if defined $args{password};
    $self->start;
    return $self;
}

sub port   { $_[0]{port} }
sub socket { "$_[0]{dir}/redis.sock" }
sub pid    { $_[0]{process}->pid }

# start(loading => 1): also goes on with a server that answers -LOADING.
sub start {
    my ($self, %how) = @_;
    my $dir = $self->{dir};
    mkdir $dir;
    $self->{process} = Test::Entitle::Process->new(
        output  => "$dir/redis.log",
        command => [
            'redis-server',   '--port', $self->{port},
            '--bind',         $self->{address},
            '--unixsocket',   $self->socket,
            '--unixsocketperm', '777',
            '--dir',          $dir,
            '--save',         '',
            '--daemonize',    'no',
            @{ $self->{options} },
        ],
    );
    my $ready = wait_until(sub {
        $self->{client} = undef;
        !$self->{process}->running
            || eval { $self->command('PING') eq 'PONG' }
            || $how{loading} && $@ =~ /LOADING/;
    });
    croak "redis-server did not start; see $dir/redis.log"
        if !$ready || !$self->{process}->running;
    return $self;
}

sub stop { my ($self) = @_; $self->{client} = undef; $self->{process}->stop }

sub kill9 {
    my ($self) = @_;
    $self->{client} = undef;
    $self->{process}->signal('KILL');
    wait_until(sub { !$self->{process}->running });
}

# As a hung server: it accepts, but never answers.
sub freeze { $_[0]{process}->signal('STOP') }
sub thaw   { $_[0]{process}->signal('CONT') }

# --- the client --------------------------------------------------------------

sub _connect {
    my ($self) = @_;
    my $socket = IO::Socket::IP->new(
        PeerHost => $self->{address} // '127.0.0.1', PeerPort => $self->{port}, Timeout => 5,
    ) // croak "cannot connect to Redis: $!";
    if (defined $self->{password}) {
        _send($socket, 'AUTH', $self->{password});
        _receive($socket);
    }
    return $socket;
}

sub _send {
    my ($socket, @words) = @_;
    my $text = '*' . @words . "\r\n";
    $text .= '$' . length($_) . "\r\n$_\r\n" for @words;
    local $SIG{PIPE} = 'IGNORE';
    print $socket $text or croak "write to Redis: $!";
    $socket->flush;
}

# Bulk strings and statuses as text, nil as undef, arrays as references. A
# Redis error dies unless asked for, then it is a Test::Entitle::Redis::Error.
sub _receive {
    my ($socket) = @_;
    local $/ = "\r\n";
    my $line = <$socket> // croak 'Redis closed the connection';
    chomp $line;
    my $type = substr $line, 0, 1, '';
    return $line if $type eq '+' || $type eq ':';
    return bless { message => $line }, 'Test::Entitle::Redis::Error'
        if $type eq '-';
    return undef if $line == -1;
    if ($type eq '$') {
        my $text = '';
        my $want = $line + 2;
        while (length $text < $want) {
            read $socket, $text, $want - length $text, length $text
                or croak 'Redis closed the connection';
        }
        return substr $text, 0, $line;
    }
    return [map { _receive($socket) } 1 .. $line] if $type eq '*';
    croak "Redis answered \"$type$line\"";
}

sub command {
    my ($self, @words) = @_;
    # Nothing is due, so what can be read is the end.
    $self->{client} = undef
        if $self->{client} && IO::Select->new($self->{client})->can_read(0);
    $self->{client} //= $self->_connect;
    my $reply = eval { _send($self->{client}, @words); _receive($self->{client}) };
    if (my $lost = $@) {
        $self->{client} = undef;  # the next command connects again
        croak $lost;
    }
    croak "$words[0]: $reply->{message}"
        if ref $reply eq 'Test::Entitle::Redis::Error';
    return $reply;
}

sub keys {
    my ($self, $pattern) = @_;
    return sort @{ $self->command('KEYS', $pattern // '*') };
}

sub hgetall { my ($self, $key) = @_; return {@{ $self->command('HGETALL', $key) }} }

# Everything there is, as text, for "nothing was written" and the like; but for
# the keys that match.
sub dump {
    my ($self, $but) = @_;
    my %read = (
        string => sub { $self->command('GET', $_[0]) },
        hash   => sub {
            my $hash = $self->hgetall($_[0]);
            join "\n", map { "  $_ = $hash->{$_}" } sort CORE::keys %$hash;
        },
        list => sub { join "\n", @{ $self->command('LRANGE', $_[0], 0, -1) } },
        set  => sub { join ' ', sort @{ $self->command('SMEMBERS', $_[0]) } },
        zset => sub { join ' ', @{ $self->command('ZRANGE', $_[0], 0, -1, 'WITHSCORES') } },
    );
    return join '', map { "$_\n" . $read{ $self->command('TYPE', $_) }->($_) . "\n" }
        grep { !defined $but || $_ !~ $but } $self->keys;
}

# Of all that is kept of customers: two are equal where nothing was written in
# between. Not of whom Stripe or a tool was heard last.
sub digest { my ($self) = @_; return sha1_hex($self->dump(qr/:(?:webhook|reconcile|reconcile:progress)$/)) }

# Starts MONITOR on a connection of its own; the answer's ->stop gives the
# commands seen since, as text, without this client's.
sub monitor {
    my ($self) = @_;
    my $id = $self->command('CLIENT', 'ID');
    my ($own) = $self->command('CLIENT', 'INFO') =~ /addr=(\S+)/;
    my $socket = $self->_connect;
    _send($socket, 'MONITOR');
    _receive($socket);
    return bless { redis => $self, socket => $socket, own => $own },
        'Test::Entitle::Redis::Monitor';
}

package Test::Entitle::Redis::Monitor;

sub stop {
    my ($self) = @_;
    my $mark = "end of monitoring $$";
    $self->{redis}->command('ECHO', $mark);
    my @seen;
    while (1) {
        my $line = Test::Entitle::Redis::_receive($self->{socket});
        last if index($line, $mark) >= 0;
        $line =~ s/^[\d.]+ \[\d+ (\S+)\] // or next;
        push @seen, $line if $1 ne $self->{own};
    }
    CORE::close $self->{socket};
    return @seen;
}

1;
