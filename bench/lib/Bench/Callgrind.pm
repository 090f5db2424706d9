package Bench::Callgrind;

# nginx under valgrind's callgrind, which counts the instructions of its worker
# in user space: much the same number in every run, however busy the machine is.
# Valgrind's processor has no SHA instructions, so hashing counts for more here
# than it takes.
#
#   my $callgrind = Bench::Callgrind->start($site);   # its nginx.conf is written
#   my $text = $callgrind->annotated('hit', sub { ask 1000 times });
#   Bench::Callgrind::total($text);

use strict;
use warnings;

use Carp qw(croak);
use Test::Entitle;

sub start {
    my ($class, $site) = @_;
    $site->{nginx} = Test::Entitle::Process->new(output => $site->dir . '/logs/stderr',
        command => ['valgrind', '--tool=callgrind', '--trace-children=yes',
            '--callgrind-out-file=' . $site->dir . '/callgrind.%p',
            '/usr/sbin/nginx', '-p', $site->dir . '/', '-e', $site->dir . '/logs/error.log',
            '-c', $site->dir . '/nginx.conf']);
    my $worker;
    wait_until(sub { ($worker) = $site->worker_pids }, 60)
        or croak 'nginx does not start: ' . $site->read_file('logs/stderr');
    return bless { site => $site, worker => $worker }, $class;
}

sub _control {
    my ($self, $what) = @_;
    system("callgrind_control $what $self->{worker} >/dev/null 2>&1") == 0
        or croak "callgrind_control $what";
}

# What callgrind_annotate says of what the worker did during $run.
sub annotated {
    my ($self, $name, $run) = @_;
    $self->_control('-z');
    $run->();
    $self->_control("-d=$name");
    my ($file) = grep {
        open my $in, '<', $_ or croak "$_: $!";
        grep { /^desc: Trigger: dump \Q$name\E$/ } <$in>;
    } glob $self->{site}->dir . "/callgrind.$self->{worker}.*";
    croak "callgrind wrote nothing about $name" if !defined $file;
    return scalar qx(callgrind_annotate --inclusive=yes --threshold=100 $file);
}

# All its instructions.
sub total {
    my ($text) = @_;
    my ($all) = $text =~ /^\s*([\d,]+) \(100\.0%\)\s+PROGRAM TOTALS/m
        or croak 'callgrind_annotate says nothing';
    return $all =~ tr/,//dr;
}

1;
