# docs/README.md: every page is there, under what a person wants; nothing is an orphan,
# and every page leads on. That links and their anchors are there is t/docs_words.t's.
use strict;
use utf8;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Entitle::Docs qw(page pages prose tree);

my $index = page('docs/README.md');
is join(', ', $index =~ /^## (.*)$/mg), 'Start, Recipes, Operate, Troubleshoot, Reference, Internals',
    'by what a person wants, in the order of wanting it';

my %linked = map { $_ => 1 } $index =~ /\]\(([^)#\s]+)/g;
for my $page (grep { m{^docs/} && $_ ne 'docs/README.md' } pages()) {
    my $name = $page =~ s{^docs/}{}r;
    ok $linked{$name}, "$page is in the index";
    ok prose($page) =~ /\A# \S.*\n\n\S/, '  and begins with its name and what it is about';
    ok prose($page) =~ /\]\([^)\s]+\.md[)#]/, '  and leads to others';
}
ok $linked{"../$_"}, "$_ is in the index" for qw(README.md CHANGES.md SECURITY.md CONTRIBUTING.md);
like page('README.md'), qr{\]\(docs/README\.md\)}, 'README.md leads there';

# Pictures, too.
my %tree = map { $_ => 1 } tree();
for my $page (pages()) {
    my ($folder) = $page =~ m{^(.*/)?};
    ok $tree{ ($folder // '') . $_ }, "$page shows $_, which is there"
        for page($page) =~ /!\[[^\]]*\]\(([^)\s]+)\)/g;
}
for my $picture (grep { m{^docs/.*\.svg$} } tree()) {
    my $name = $picture =~ s{.*/}{}r;
    ok scalar grep({ page($_) =~ /\Q$name\E/ } pages()), "$picture is shown somewhere";
    like page($picture), qr/<title[ >]/, '  and says what it is to who does not see it';
}
like page('docs/payment.svg'), qr/prefers-color-scheme: dark/, 'the way of a payment is drawn for the dark, too';
done_testing;
