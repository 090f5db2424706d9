# docs/reliability.md: each promise of SECURITY.md is there, with tests that are there
# and are about it.
use strict;
use utf8;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Entitle::Docs qw($ROOT page tree);

my %tree = map { $_ => 1 } tree();
my ($promised) = page('SECURITY.md') =~ /^## What is promised\n(.*?)^Not held/ms;
my @promises = $promised =~ /^(\d+)\. /mg;
is "@promises", join(' ', 1 .. 12), 'SECURITY.md has twelve';

my ($table) = page('docs/reliability.md') =~ /^## Promise by promise\n(.*?)^## /ms;
my @rows = map { [split /\s*\|\s*/] } grep { /^\| P/ } split /\n/, $table;
is join(' ', map { $_->[1] =~ s/^P//r } @rows), "@promises", 'docs/reliability.md has a row for each';

for my $row (@rows) {
    my ($name, $files) = @$row[1, 3];
    my @files = $files =~ m{`((?:t|lua-free-tests|fuzz)/[\w./-]+)`}g;
    cmp_ok scalar @files, '>=', 3, "$name: several things try to break it";
    for my $file (@files) {
        ok $tree{$file}, "$name: $file is there" or next;
        like page($file), qr/\b(?:done_testing|cmocka_run_group_tests|LLVMFuzzerTestOneInput)\b/,
            '  and tests something';
    }
}
done_testing;
