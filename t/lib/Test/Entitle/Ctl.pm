package Test::Entitle::Ctl;

# entitlectl as people run it.
#
#   my $ctl = Test::Entitle::Ctl->new;
#   $ctl->run('why', 'ann', '--config', $conf)    { exit, out, err, seconds, cpu }
#   $ctl->json(...)                               what it says with --json
#   $ctl->shell('entitlectl why ann | wc -l')     by a shell
#   $ctl->program                                 where it is
#
# Environment: ENTITLE_TEST_CTL (another binary).

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(time);

my $ROOT = abs_path(dirname(__FILE__) . '/../../../..');

sub new {
    my ($class) = @_;
    my $program = $ENV{ENTITLE_TEST_CTL} // do {
        my ($folder) = ($ENV{ENTITLE_TEST_MODULE} // "$ROOT/build/x") =~ m{^(.*)/};
        "$folder/entitlectl";
    };
    croak "no $program: ./dev build" if !-x $program;
    my $dir = File::Temp->newdir;
    symlink abs_path($program), "$dir/entitlectl" or croak "$dir: $!";
    return bless { dir => $dir }, $class;
}

sub cpu_of_children { my (undef, undef, $user, $system) = times; return $user + $system }

sub _run {
    my ($self, @command) = @_;
    my ($started, $used) = (time, cpu_of_children());
    my $pid = fork // croak "fork: $!";
    if (!$pid) {
        $ENV{PATH} = "$self->{dir}:$ENV{PATH}";
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$self->{dir}/out" or die "out: $!";
        open STDERR, '>', "$self->{dir}/err" or die "err: $!";
        exec { $command[0] } @command or POSIX::_exit(127);
    }
    waitpid $pid, 0;
    my %said = (exit => $? & 127 ? "signal $?" : $? >> 8, seconds => time - $started,
        cpu => cpu_of_children() - $used);
    for my $name (qw(out err)) {
        open my $in, '<:raw', "$self->{dir}/$name" or croak "$name: $!";
        local $/;
        $said{$name} = readline($in) // '';
    }
    return \%said;
}

sub run { my ($self, @words) = @_; return $self->_run('entitlectl', @words) }

sub shell { my ($self, $line) = @_; return $self->_run('sh', '-c', $line) }

# By another shell, with what are its $1, $2 ...
sub shell_of { my ($self, $shell, $line, @words) = @_; return $self->_run($shell, '-c', $line, $shell, @words) }

sub program { return "$_[0]{dir}/entitlectl" }

sub json {
    my ($self, @words) = @_;
    my $said = $self->run(@words, '--json');
    return eval { JSON::PP->new->utf8->decode($said->{out}) }
        // croak "no JSON: $said->{out}$said->{err}";
}

1;
