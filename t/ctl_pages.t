# The man page and the completions say what --help says, of every command and
# option: cli/pages writes them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp;
use Test::More;
use Test::Entitle::Ctl;

my $root = "$FindBin::Bin/..";
my $ctl  = Test::Entitle::Ctl->new;

sub text_of {
    my ($name) = @_;
    open my $in, '<', $name or die "$name: $!";
    local $/;
    return readline $in;
}

# --- what is in the tree is what would be written ----------------------------------

my $new = File::Temp->newdir;
is system("$root/cli/pages", '--program', $ctl->program, '--into', "$new"), 0, 'cli/pages works';
for my $page (qw(man/entitlectl.1 completion/bash/entitlectl completion/zsh/_entitlectl)) {
    is text_of("$root/cli/$page"), text_of("$new/$page"), "cli/$page is what --help says: else run cli/pages";
}

# --- and that is all ---------------------------------------------------------------

my $man = text_of("$root/cli/man/entitlectl.1") =~ s/\\-/-/gr;
my $zsh = text_of("$root/cli/completion/zsh/_entitlectl");
my $help = $ctl->run('--help')->{out};
my ($subcommands) = $help =~ /^Subcommands:\n(.*?)(?:^\S|\z)/ms;
my @commands = $subcommands =~ /^  (\w+)/mg;
cmp_ok @commands, '>=', 9, 'there are commands';

# What bash offers where this was typed.
sub offered {
    my (@words) = @_;
    my $said = $ctl->shell_of('bash', q{source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));}
        . q{_entitlectl; printf '%s\n' "${COMPREPLY[@]}"}, "$root/cli/completion/bash/entitlectl", 'entitlectl', @words);
    is $said->{err}, '', "bash is content with: @words";
    return { map { $_ => 1 } split /\n/, $said->{out} };
}

sub options_in { return $_[0] =~ /^ +(?:-\w,)?(--[\w-]+)/mg }

my @common = options_in($help);
my $first  = offered('');
ok $first->{$_}, "bash offers $_" for @common, @commands;
for my $command (@commands) {
    like $man, qr/^\.SS \Q$command\E /m, "the man page has $command";
    like $zsh, qr/'\Q$command\E:/, "zsh offers $command";
    my ($zsh_of) = $zsh =~ /^ {16}\Q$command\E\)\n(.*?);;/ms;
    my ($man_of) = $man =~ /^\.SS \Q$command\E (.*?)^\.S/ms;
    my $offered = offered('--json', $command, '-');
    for my $option (@common, options_in($ctl->run($command, '--help')->{out})) {
        ok $offered->{$option}, "bash offers $option of $command";
        next if grep { $_ eq $option } @common;
        like $zsh_of, qr/'\Q$option\E\[/, "zsh offers $option of $command";
        like $man_of, qr/^\\fB\Q$option\E\\fR/m, "the man page has $option of $command";
    }
}
like $man, qr/\\fB\Q$_\E\\fR/, "the man page has $_" for @common;
is_deeply [sort keys %{ offered('why', '--mode', '') }], ['live', 'test'], 'bash knows the values of --mode';
is_deeply [keys %{ offered('--config', '/x', 'par') }], ['parked'], 'an option takes its value along';
my %files = map { $_ => 1 } keys %{ offered('restore', "$root/cli/p") };
ok $files{"$root/cli/pages"}, 'restore wants a file';
like $man, qr/^\.B $_$/m, "the man page has exit code $_" for 0 .. 4;

SKIP: {
    skip 'no man here', 1 if system('command -v man >/dev/null') != 0;
    my $said = $ctl->shell("man --warnings -E UTF-8 -l $root/cli/man/entitlectl.1");
    is $said->{err}, '', 'man is content with it';
}
SKIP: {
    skip 'no zsh here', 1 if system('command -v zsh >/dev/null') != 0;
    is $ctl->shell("zsh -n $root/cli/completion/zsh/_entitlectl")->{err}, '', 'zsh is content with it';
}

done_testing;
