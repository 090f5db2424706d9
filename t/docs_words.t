# What the documentation quotes is there: log lines, files, tests, links,
# directives, commands of ./dev, Stripe's events.
#
# A log line is quoted in backticks, in a table column headed "log" or "the log
# says", or in a sentence with "log says", "logs", "logged" or "log line" whose
# quotation follows: only such sentences quote nothing else.
use strict;
use utf8;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Basename qw(basename dirname);
use Test::More;
use Test::Entitle::Commands qw(commands);
use Test::Entitle::Docs qw($ROOT anchors blocks line_of literals page pages prose
    sources tree);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

# --- log lines ----------------------------------------------------------------------

# Text of the source between conversions.
my $fixed = join "\0", map { split /%[uXx\d*.]*[A-Za-z]/ } literals();

# A quotation consists of such texts and of what stands in for a conversion:
# numbers, and what is in quotes or parentheses. Of the rest each piece is one
# text of the source, or two where one is said in the words of the other.
sub is_said {
    my ($quoted) = @_;
    for my $piece (grep { /\w/ } split /"[^"]*(?:"|\z)|\([^()]*(?:\)|\z)|\b\d+\b/, $quoted) {
        $piece =~ s/^\s+|\s+$//g;
        next if index($fixed, $piece) >= 0;
        my @words = split /(?<= )/, $piece;
        return 0 if !grep {
            index($fixed, join('', @words[0 .. $_ - 1]) =~ s/ $//r) >= 0
                && index($fixed, join '', @words[$_ .. $#words]) >= 0
        } 1 .. $#words;
    }
    return 1;
}

sub quotations {
    my ($page) = @_;
    my $text = prose($page);
    my @quoted;
    # Columns of tables.
    while ($text =~ /^(\|.*\|)\n\|[-|: ]+\|\n((?:\|.*\|\n)+)/mg) {
        my ($head, $rows, $line) = ($1, $2, line_of($text, $-[2]));
        my @heads = split /\s*\|\s*/, $head;
        my ($column) = grep { $heads[$_] =~ /^(?:the )?log(?: says)?$/ } 0 .. $#heads;
        for my $row (split /\n/, $rows) {
            my $cell = defined $column ? (split /\s*\|\s*/, $row)[$column] : '';
            push @quoted, map { [$_, $line] } $cell =~ /`([^`]+)`/g;
            $line++;
        }
    }
    # Sentences: what is quoted after the word.
    while ($text =~ /\b(?:log says|logs|logged|log line)\b(?: once)?:?((?:(?!\n\n|\n[-|#])[^.|`]|`[^`]*`)*)/g) {
        my ($sentence, $line) = ($1, line_of($text, $-[0]));
        push @quoted, map { [s/\s*\n\s*/ /gr, $line] } grep { !/^\$/ }
            $sentence =~ /`([^`]+)`/g;
    }
    return @quoted;
}

my $quotations = 0;
for my $page (pages()) {
    for my $quotation (quotations($page)) {
        my ($quoted, $line) = @$quotation;
        my @pieces = grep { /\w/ } split /\s*…\s*/, $quoted;
        is join(' … ', grep { !is_said($_) || !/\w{3}/ } @pieces), '', "$page:$line: \"$quoted\" is logged";
        $quotations++;
    }
}
cmp_ok $quotations, '>=', 20, 'log lines are quoted';
ok !is_said($_), "nobody says \"$_\"" for 'is unreachable: the dog ate it',
    'ambiguous order', 'not to be liked (19: self-signed)';

# --- files, and tests in them -------------------------------------------------------

my %tree = map { $_ => 1 } tree();
my %folders;
for my $path (keys %tree) { $folders{$path} = 1 while $path =~ s{/[^/]*$}{} }
my %named;
push @{ $named{ basename $_ } }, $_ for keys %tree;

# A word that names a file or folder of ours: with a folder it is the path from
# the root, * is anything; without one a file of that name is somewhere.
sub is_there {
    my ($word) = @_;
    return 1 if $tree{$word} || $folders{ $word =~ s{/$}{}r };
    my $pattern = join '[^/]*', map { quotemeta } split /\*/, $word, -1;
    return grep { m{^$pattern$} } keys %tree if $word =~ /\*/;
    return $word !~ m{/} && $named{$word};
}

my ($files, $tests) = (0, 0);
for my $page (pages()) {
    my $text = prose($page);
    while ($text =~ /`([\w.\/*-]+)`/g) {
        my ($word, $line) = ($1, line_of($text, $-[0]));
        next if $word !~ m{^(?:core|ngx_module|lua-free-tests|t|docs|bench|fuzz|examples|cli|\.ci)/}
            && $word !~ /^[\w-]+\.(?:cc|h|t|pm|md)$/;
        ok is_there($word), "$page:$line: $word is there";
        $files++;
    }
    # A file, and names of tests in it.
    while ($text =~ m{`((?:t|lua-free-tests)/[\w./-]+)`((?:,? `[a-z][a-zA-Z_0-9]*_[a-zA-Z_0-9]*`)+)}g) {
        my ($file, $names, $line) = ($1, $2, line_of($text, $-[0]));
        open my $in, '<', "$ROOT/$file" or next;
        my $test = do { local $/; <$in> };
        for my $name ($names =~ /`(\w+)`/g) {
            # The name as it stands, or made of parts around a value.
            ok $test =~ /\b$name\b/, "$page:$line: $file has $name";
            $tests++;
        }
    }
}
cmp_ok $files, '>=', 60, 'files are named';
cmp_ok $tests, '>=', 20, 'and tests';

# --- links --------------------------------------------------------------------------

my $links = 0;
for my $page (pages()) {
    my $text = prose($page);
    while ($text =~ /\]\(([^)\s]+)\)/g) {
        my ($target, $line) = ($1, line_of($text, $-[0]));
        next if $target =~ /^https?:/;
        my ($file, $anchor) = $target =~ /^([^#]*)(?:#(.*))?$/;
        my $path = $file eq '' ? $page : dirname($page) . "/$file";
        $path =~ s{^\./|[^/.]+/\.\./}{}g;
        ok $tree{$path}, "$page:$line: $target is there" or next;
        ok anchors($path)->{$anchor}, "$page:$line: and has #$anchor" if defined $anchor;
        $links++;
    }
}
cmp_ok $links, '>=', 40, 'pages are linked';

# --- directives ---------------------------------------------------------------------

# What rules for Prometheus go by t/ops.t holds to what tells it.
my %word = map { $_ => 1 } literals(), keys %{ commands() },
    page('ops/prometheus/entitle.rules.yml') =~ /\b(entitle_\w+)/g;
for my $page (pages()) {
    my $text = join "\n", prose($page),
        map { $_->{text} } grep { $_->{language} eq 'nginx' } blocks($page);
    my %unknown;
    while ($text =~ /(?<![\w\/.=-])\$?(entitle_\w*\w)(\.\.\.|\w|_?…|\.)?/g) {
        my ($name, $open) = ($1, $2 // '');
        next if $word{$name} || $open =~ /\.\.\.|…/ && grep { /^$name/ } keys %{ commands() };
        $unknown{$name} = 1;
    }
    is join(' ', sort keys %unknown), '',
        "$page: no directive, variable or metric that is not there";
}

# --- ./dev --------------------------------------------------------------------------

open my $dev, '<', "$ROOT/dev" or die "dev: $!";
my ($help) = do { local $/; <$dev> } =~ /cat <<'EOF'\n(.*?)^EOF$/ms;
my (%command, $command);
for (split /\n/, $help) {
    $command = $1 if m{^\./dev (\w+)};
    $command{$command}{$1} = 1 while $command && /(?<![\w-])(--\w+)/g;
    $command{$command} //= {} if $command;
}
my $commands = 0;
for my $page (pages()) {
    my $text = page($page);
    while ($text =~ m{\./dev (\w+)((?: +(?:--\w+|[A-Z.\d/][\w./-]*))*)}g) {
        my ($said, $options, $line) = ($1, $2, line_of($text, $-[0]));
        is join(' ', grep { !$command{$said}{$_} } $options =~ /(--\w+)/g),
            $command{$said} ? '' : 'no such command', "$page:$line: ./dev $said$options";
        $commands++;
    }
}
cmp_ok $commands, '>=', 10, './dev is told of';

# --- events -------------------------------------------------------------------------

# `a.b.c`, `.d` is short for a.b.c and a.b.d.
my ($events) = prose('docs/stripe.md') =~ /^\| event \| what is taken from it \|\n(.*?)\n\n/ms;
my %told;
for my $cell (map { (split /\s*\|\s*/)[1] } grep { /^\| `/ } split /\n/, $events) {
    my $before = '';
    for my $event ($cell =~ /`([\w.]+)`/g) {
        $event = $before . $event if $event =~ /^\./;
        ($before) = $event =~ /^(.*)\./;
        $told{$event} = 1;
    }
}
my ($source) = grep { /\bkEventTypes\b\s*=/ } values %{ sources() };
is join(' ', sort keys %told), join(' ', sort $source =~ /\bEventType\{\s*"([\w.]+)"/g),
    'docs/stripe.md: the events of which something is taken are those of the table';

done_testing;
