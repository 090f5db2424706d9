package Soak::People;

# Who uses the site of bench/soak: each a process that does one thing again and
# again until it is told to stop, rests while there is a file "rest", and writes
# down what it saw:
#
#   answer KIND COUNT MAX        of about a second: how many, the slowest (s)
#   odd FROM TO KIND what        what is wrong unless the weather explains it
#   wrong FROM TO KIND what      what nothing explains
#   slow FROM TO                 Redis did not answer at once, told by who is not nginx
#   stored USER                  an event about USER was answered 2xx
#
# Whether an "odd" is explained is decided by who made the weather.

use strict;
use warnings;

use POSIX ();
use Test::Entitle::Http;
use Test::Entitle::Stripe qw(event_json signature);
use Time::HiRes qw(sleep time);

# Longer than this (s) no answer may take, by kind. nginx waits for Redis 0.3 s a
# question, for the app 1 s, and holds a request for 0.7 s; a webhook tries again
# before it gives up. The rest is for a machine that does something else, too.
our %LATEST = (gate => 2, session => 3, held => 3, webhook => 5);

# new(site, lease): lease in seconds is how old a worker's knowledge may be.
sub new {
    my ($class, %args) = @_;
    return bless { %args, children => [], files => [], owner => $$ }, $class;
}

sub begin {
    my ($self, $name, $turn) = @_;
    my $file = "$self->{site}{dir}/people.$name";
    push @{ $self->{files} }, { name => $file, read => 0 };
    my $pid = fork // die "fork: $!";
    if ($pid) { push @{ $self->{children} }, $pid; return }
    $SIG{$_} = 'DEFAULT' for qw(INT HUP ALRM);
    my $go_on = 1;
    $SIG{TERM} = sub { $go_on = 0 };
    $SIG{PIPE} = 'IGNORE';
    srand $$;
    open $self->{out}, '>', $file or POSIX::_exit(1);
    $self->{out}->autoflush;
    my $parent = getppid;
    while ($go_on && getppid == $parent) {
        if (-e "$self->{site}{dir}/rest") {
            if (!-e "$file.rests") { $self->_sum; open my $rests, '>', "$file.rests" }
            sleep 0.05;
            next;
        }
        unlink "$file.rests";
        eval { $turn->($self); 1 } or $self->_say('wrong', time, 'person', "died: $@");
        $self->_sum if time - ($self->{summed} // 0) > 1;
    }
    $self->_sum;
    POSIX::_exit(0);
}

sub _say {
    my ($self, $word, $from, $kind, $what) = @_;
    $what =~ s/\s+/ /g;
    printf { $self->{out} } "%s %.3f %.3f %s %s\n", $word, $from, time, $kind, $what;
}

sub _sum {
    my ($self) = @_;
    my $seen = delete $self->{seen};
    printf { $self->{out} } "answer %s %d %.3f\n", $_, @{ $seen->{$_} } for sort keys %{ $seen // {} };
    $self->{summed} = time;
}

# One request; its status. Late is wrong whatever the weather.
sub _ask {
    my ($self, $kind, %request) = @_;
    my $from = time;
    my $answer = eval {
        Test::Entitle::Http->new(port => $self->{site}->port, timeout => 10)->request(close => 1, %request);
    };
    my $took = time - $from;
    my $seen = $self->{seen}{$kind} //= [0, 0];
    $seen->[0]++;
    $seen->[1] = $took if $took > $seen->[1];
    $self->_say('wrong', $from, $kind, sprintf 'late: %.2f s', $took) if $took > $LATEST{$kind};
    my $status = $answer ? $answer->status : 0;
    $self->_say('odd', $from, $kind, $status ? $status : 'cut off') if $status == 0 || $status == 503;
    return ($status, $from, $answer);
}

# Who has paid is in and sees the page, who has not is out.
sub _judge {
    my ($self, $kind, $paid, $status, $from, $answer) = @_;
    return if $status == 0 || $status == 503;
    my $right = $paid ? 200 : 402;
    $self->_say('wrong', $from, $kind, ($paid ? 'paid' : 'unpaid') . ": $status") if $status != $right;
    $self->_say('wrong', $from, $kind, 'the lesson, unpaid') if !$paid && $answer->body =~ /LESSON/;
}

my (@PAID, @UNPAID) = ();
sub users { my ($class, $paid, $unpaid) = @_; @PAID = @$paid; @UNPAID = @$unpaid }
sub _anybody { my $n = int rand @PAID + @UNPAID; return $n < @PAID ? ($PAID[$n], 1) : ($UNPAID[$n - @PAID], 0) }

# --- what they do ------------------------------------------------------------

sub visit {
    my ($self) = @_;
    my ($user, $paid) = _anybody();
    $self->_judge('gate', $paid, $self->_ask('gate', uri => "/paid/page.html?user=$user"));
    sleep 0.01;
}

# With the app's session: who it is is asked of the app.
sub visit_with_session {
    my ($self) = @_;
    my ($user, $paid) = _anybody();
    my @headers = (Cookie => "app=$user." . int rand 5);
    $self->_judge('session', $paid, $self->_ask('session', uri => '/asked/page.html', headers => \@headers));
    sleep 0.02;
}

# Waits for a payment that does not come.
sub wait_in_vain {
    my ($self) = @_;
    $self->_judge('held', 0, $self->_ask('held', uri => '/wait/page.html?user=' . $UNPAID[rand @UNPAID]));
}

# Stripe: an event is delivered until it is taken. Whether it was.
sub _deliver {
    my ($self, $event) = @_;
    for my $try (1 .. 200) {
        my ($status, $from) = $self->_ask('webhook', method => 'POST', uri => '/webhook',
            headers => ['Content-Type' => 'application/json', 'Stripe-Signature' => signature($event)],
            body => $event);
        return 1 if $status == 200;
        if ($status != 0 && $status != 503) {
            $self->_say('wrong', $from, 'webhook', $status);
            return 0;
        }
        return 0 if -e "$self->{site}{dir}/rest";
        sleep 0.1;
    }
    $self->_say('wrong', time, 'webhook', 'not taken for 20 s');
    return 0;
}

my $bought = 0;

sub buy {
    my ($self) = @_;
    my $user = sprintf 'b%dx%d', $$, ++$bought;
    my $taken = $self->_deliver(event_json('customer.subscription.created.active',
        user => $user, customer => uc $user));
    print { $self->{out} } "stored $user\n" if $taken;
    sleep 0.05;
}

# One whose subscription stops being paid and is paid again: a lease after the
# event was taken the gate says so.
sub come_and_go {
    my ($self) = @_;
    my $user = "f$$";
    my $paid = $self->{paid} = !$self->{paid};
    my $from = time;
    $self->_deliver(event_json('customer.subscription.updated.renewed', user => $user,
        customer => uc $user, created => int $from, 'data.object.status' => $paid ? 'active' : 'unpaid'))
        or $self->{paid} = !$paid, return;
    my $known = time + $self->{lease} + 0.5;
    sleep 0.05 while time < $known;
    my ($status, $asked, $answer) = $self->_ask('gate', uri => "/paid/page.html?user=$user");
    # While Redis is away a worker that did not hear of it may go on (entitle_stale).
    if (!$paid && $status == 200) { $self->_say('odd', $asked, 'gate', 'stale') }
    else                          { $self->_judge('gate', $paid, $status, $asked, $answer) }
    # The next event is of another second.
    sleep 0.05 while int time <= int $from;
}

# Versions that rise: everybody is asked about again.
sub change {
    my ($self) = @_;
    my ($user) = _anybody();
    my $redis = $self->{site}->redis;
    $redis->{client} = undef if !$self->{own}++;
    eval { $redis->command('HINCRBY', "entitle:test:{u:$user}", version => 1) };
    sleep 0.1;
}

# A machine that does something else makes Redis slow, too, or its disk does.
sub watch_redis {
    my ($self) = @_;
    my $redis = $self->{site}->redis;
    $redis->{client} = undef if !$self->{own}++;
    my $from = time;
    my $answered = eval { $redis->command('PING') };
    $self->_say('slow', $from, 'redis', '') if !$answered || time - $from > 0.1;
    sleep 0.03;
}

# --- what was seen -----------------------------------------------------------

# What has been written since the last time, as lists of words.
sub news {
    my ($self) = @_;
    my @news;
    for my $file (@{ $self->{files} }) {
        open my $in, '<', $file->{name} or die "$file->{name}: $!";
        seek $in, $file->{read}, 0;
        while (my $line = <$in>) {
            last if $line !~ /\n\z/;
            $file->{read} = tell $in;
            chomp $line;
            push @news, [split / /, $line, 5];
        }
    }
    return @news;
}

# Everybody has heard that they shall.
sub resting { my ($self) = @_; return !grep { !-e "$_->{name}.rests" } @{ $self->{files} } }

sub stop {
    my ($self) = @_;
    return if $self->{owner} != $$;
    kill TERM => @{ $self->{children} };
    waitpid $_, 0 for splice @{ $self->{children} };
}

sub DESTROY { my ($self) = @_; local ($?, $@); $self->stop }

1;
