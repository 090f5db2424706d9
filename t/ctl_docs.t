# docs/entitlectl.md and --help say the same: every command, every option, and
# each command line that is written anywhere is one that the tool takes.
use strict;
use utf8;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Entitle::Ctl;
use Test::Entitle::Docs qw(anchors line_of page pages);

my $ctl  = Test::Entitle::Ctl->new;
my $help = $ctl->run('--help');
is $help->{exit}, 0, '--help is fine';
my ($subcommands) = $help->{out} =~ /^Subcommands:\n(.*?)(?:^\S|\z)/ms;
my @commands = $subcommands =~ /^  (\w+)/mg;
cmp_ok @commands, '>=', 4, 'it lists its commands';

my %options = (common => { map { $_ => 1 } $help->{out} =~ /(?<![\w-])(--[\w-]+)/g });
for my $command (@commands) {
    my $said = $ctl->run($command, '--help');
    is $said->{exit}, 0, "$command --help is fine";
    $options{$command} = { map { $_ => 1 } $said->{out} =~ /(?<![\w-])(--[\w-]+)/g };
    ok anchors('docs/entitlectl.md')->{$command}, "docs/entitlectl.md has a section on $command";
}
my $text = page('docs/entitlectl.md');
for my $command (sort keys %options) {
    for my $option (sort keys %{ $options{$command} }) {
        next if $option eq '--help';
        like $text, qr/(?<![\w-])\Q$option\E(?![\w-])/, "docs/entitlectl.md has $option of $command";
    }
}
my $lines = 0;
for my $page (pages()) {
    my $text = page($page);
    while ($text =~ /\bentitlectl +([a-z]+)([^\n`#]*)/g) {
        my ($command, $rest, $line) = ($1, $2, line_of($text, $-[0]));
        my @unknown = grep { !$options{$command}{$_} && !$options{common}{$_} }
            $rest =~ /(?<![\w-])(--[\w-]+)/g;
        is join(' ', @unknown), $options{$command} ? '' : 'no such command',
            "$page:$line: entitlectl $command$rest";
        $lines++;
    }
}
cmp_ok $lines, '>=', 5, 'command lines are written';

done_testing;
