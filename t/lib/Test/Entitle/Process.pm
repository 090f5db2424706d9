package Test::Entitle::Process;

# A program we started: known by its pid, waited for, stopped by us.

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(free_port patience wait_until);

# A port nobody listens on, outside the range the kernel takes for clients.
sub free_port {
    for (1 .. 200) {
        my $port = 10000 + int rand 22000;
        my $socket = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1,
        ) or next;
        close $socket;
        return $port;
    }
    croak 'no free port';
}

# How many times longer than usual things may take here.
sub patience { return $ENV{ENTITLE_VALGRIND} || $ENV{ENTITLE_SLOW} ? 5 : 1 }

# Calls $test until it is true; its last answer, false when the time is up.
sub wait_until {
    my ($test, $seconds) = @_;
    $seconds //= 10;
    my $end = time() + $seconds * patience();
    my $pause = 0.001;
    while (1) {
        my $answer = $test->();
        return $answer if $answer || time() > $end;
        sleep $pause;
        $pause = 0.02 if ($pause *= 1.5) > 0.02;
    }
}

# new(command => [...], output => file): stdout and stderr go there.
sub new {
    my ($class, %args) = @_;
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM PIPE);
        open STDIN,  '<',  '/dev/null';
        open STDOUT, '>>', $args{output} // '/dev/null';
        open STDERR, '>&', \*STDOUT;
        { exec { $args{command}[0] } @{ $args{command} } }
        POSIX::_exit(127);
    }
    return bless { pid => $pid, owner => $$, name => $args{command}[0] }, $class;
}

# A process that is not our child but ours to stop: a daemon.
sub adopt {
    my ($class, $pid) = @_;
    return bless { pid => $pid, owner => $$, adopted => 1 }, $class;
}

sub pid { $_[0]{pid} }

sub running {
    my ($self) = @_;
    return kill 0, $self->{pid} if $self->{adopted};
    return 0 if defined $self->{status};
    if (waitpid($self->{pid}, WNOHANG) == $self->{pid}) {
        $self->{status} = $?;
        return 0;
    }
    return 1;
}

# $? as waitpid gave it, once it is no longer running.
sub status { $_[0]{status} }

sub signal {
    my ($self, $signal) = @_;
    kill $signal, $self->{pid} if $self->running;
}

# Ends it: politely, then not. True when politely was enough.
sub stop {
    my ($self, $signal, $seconds) = @_;
    return 1 if !$self->running;
    $self->signal('CONT');
    $self->signal($signal // 'TERM');
    return 1 if wait_until(sub { !$self->running }, $seconds // 10);
    $self->signal('KILL');
    waitpid $self->{pid}, 0;
    $self->{status} = $?;
    return 0;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    $self->stop('TERM', 2) if $self->{owner} == $$;
}

1;
