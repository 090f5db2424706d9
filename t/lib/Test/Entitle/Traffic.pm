package Test::Entitle::Traffic;

# Stripe and visitors in the background, while a test breaks things: events of
# ever new users, and gated requests of one who paid and of one who did not.
#
#   my $traffic = Test::Entitle::Traffic->new(site => $site, paid => 'ada',
#       not_paid => 'eve', writers => 2, name => 'w');
#   ...
#   my $result = $traffic->stop;    # stored, refused, gate, wrong

use strict;
use warnings;

use POSIX ();
use Test::Entitle::Process qw(wait_until);
use Test::Entitle::Stripe qw(event_json);
use Time::HiRes qw(sleep time);

sub new {
    my ($class, %args) = @_;
    my $self = bless { %args, children => [], owner => $$ }, $class;
    $self->{file} = "$args{site}{dir}/traffic";
    $self->_start("$self->{file}.writer$_", \&_write, $_) for 1 .. $args{writers} // 2;
    $self->_start("$self->{file}.visitor", \&_visit) if defined $args{paid};
    return $self;
}

sub _start {
    my ($self, $file, $work, @arguments) = @_;
    push @{ $self->{files} }, $file;
    open my $out, '>', $file or die "$file: $!";
    $out->autoflush;
    my $pid = fork // die "fork: $!";
    if ($pid) {
        push @{ $self->{children} }, $pid;
        return;
    }
    my $go_on = 1;
    $SIG{$_} = 'DEFAULT' for qw(INT HUP ALRM);
    $SIG{TERM} = sub { $go_on = 0 };
    eval { $work->($self, $out, \$go_on, @arguments) };
    print $out "died $@" if $@;
    POSIX::_exit(0);
}

# A line an event: user, when it was answered, status.
sub _write {
    my ($self, $out, $go_on, $writer) = @_;
    for (my $n = 1; $$go_on; $n++) {
        my $user = ($self->{name} // 'w') . "${writer}x$n";
        my $event = event_json('customer.subscription.created.active',
            user => $user, customer => uc $user);
        my $answer = eval { $self->{site}->webhook($event) } or next;
        last if !$$go_on;  # which may have cut it off
        printf $out "%s %.6f %d\n", $user, time, $answer->status;
        sleep($self->{pause} // 0.01);
    }
}

# A line an answer: who, status.
sub _visit {
    my ($self, $out, $go_on) = @_;
    while ($$go_on) {
        for my $user ($self->{paid}, $self->{not_paid}) {
            my $answer = eval { $self->{site}->get("/paid?user=$user") } or next;
            last if !$$go_on;
            printf $out "%s %.6f %d\n", $user, time, $answer->status;
        }
        sleep 0.02;
    }
}

sub _lines {
    my ($self, $pattern) = @_;
    my @lines;
    for my $file (grep { /$pattern/ } @{ $self->{files} }) {
        open my $in, '<', $file or die "$file: $!";
        while (<$in>) {
            die "$file: $_" if /^died/;
            push @lines, { user => $1, at => $2, status => $3 } if /^(\S+) (\S+) (\d+)\n/;
        }
    }
    return sort { $a->{at} <=> $b->{at} } @lines;
}

sub _told { my ($line) = @_; return "$line->{user}:$line->{status}\@$line->{at}" }

# When the first event was stored of those answered a quarter second after
# $time and later.
sub wait_for_stored_after {
    my ($self, $time, $seconds) = @_;
    my $at;
    wait_until(sub {
        ($at) = map { $_->{at} } grep { $_->{status} == 200 && $_->{at} > $time + 0.25 }
            $self->_lines(qr/writer/);
    }, $seconds) or die 'nothing is stored any more';
    return $at;
}

sub stop {
    my ($self) = @_;
    kill TERM => @{ $self->{children} };
    waitpid $_, 0 for splice @{ $self->{children} };
    my @events = $self->_lines(qr/writer/);
    my %result = (
        stored  => [grep { $_->{status} == 200 } @events],
        refused => scalar(grep { $_->{status} == 503 } @events),
        wrong   => [map { _told($_) }
            grep { $_->{status} != 200 && $_->{status} != 503 } @events],
    );
    $self->{stored} = $result{stored};
    for my $answer (defined $self->{paid} ? $self->_lines(qr/visitor/) : ()) {
        my $right = $answer->{user} eq $self->{paid} ? 200 : 402;
        $result{gate}{ $answer->{status} }++;
        push @{ $result{wrong} }, _told($answer)
            if $answer->{status} != $right && $answer->{status} != 503;
    }
    return \%result;
}

# Of those stored, whose record is not at $redis.
sub lost {
    my ($self, $redis) = @_;
    return grep {
        !grep { /^source:/ } CORE::keys %{ $redis->hgetall("entitle:test:{u:$_->{user}}") }
    } @{ $self->{stored} };
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    return if $self->{owner} != $$;
    kill TERM => $_ for @{ $self->{children} };
    waitpid $_, 0 for splice @{ $self->{children} };
}

1;
