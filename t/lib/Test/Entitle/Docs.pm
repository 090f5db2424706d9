package Test::Entitle::Docs;

# What people read, as data for the tests that hold it to what is there: the
# pages, their blocks of code, paragraphs and headings; the files of the tree
# and the text in its sources.

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Find ();

our @EXPORT_OK = qw($ROOT pages page blocks prose anchors tree sources
    literals line_of);

our $ROOT = abs_path(dirname(__FILE__) . '/../../../..');

sub _read {
    my ($path) = @_;
    open my $in, '<:encoding(UTF-8)', "$ROOT/$path" or return undef;
    local $/;
    return scalar <$in>;
}

# All files of the tree that belong to it, sorted; without git what is there.
sub tree {
    our @tree;
    return @tree if @tree;
    @tree = split /\0/,
        qx(cd '$ROOT' && git ls-files -z --cached --others --exclude-standard 2>/dev/null);
    File::Find::find({ no_chdir => 1, wanted => sub {
        $File::Find::prune = 1 if m{/(?:build|\.git)$};
        push @tree, substr $_, 1 + length $ROOT if -f;
    } }, $ROOT) if !@tree;
    return @tree = sort grep { -e "$ROOT/$_" } @tree;
}

# The pages for people.
sub pages { return grep { m{^(?:docs/)?[^/]+\.md$} } tree() }

sub page { my ($name) = @_; return _read($name) }

sub line_of { my ($text, $at) = @_; return 1 + (substr($text, 0, $at) =~ tr/\n//) }

# The blocks of code: { page, line, language, text, around }. What is indented
# by four after an empty line is one without a language; `around` is the prose
# from the heading or block before to the paragraph after.
sub blocks {
    my ($page) = @_;
    my $text = page($page);
    my @blocks;
    while ($text =~ /^```(\w*)\n(.*?)^```$ | (?<=\n\n)((?:\x20{4}[^\n]*\n|\n(?=\x20{4}))+)/msxg) {
        my ($from, $to) = ($-[0], $+[0]);
        my ($language, $code) = defined $3 ? ('', $3 =~ s/^ {4}//mgr) : ($1, $2);
        my $before = substr $text, 0, $from;
        my ($said) = $before =~ /(?:\A|^\#.*\n|^```\n)((?:(?!^\#|^```).*\n)*)\z/m;
        my ($after) = substr($text, $to) =~ /\A\n*((?:.+\n)*)/;
        push @blocks, { page => $page, line => line_of($text, $from), language => $language,
            text => $code, around => ($said // '') . "\n" . $after };
    }
    return @blocks;
}

# The page without its blocks of code, line for line.
sub prose {
    my ($page) = @_;
    my $text = page($page);
    $text =~ s/^```\w*\n.*?^```$/$& =~ tr{\n}{}cdr/mesg;
    $text =~ s/(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+/$& =~ tr{\n}{}cdr/meg;
    return $text;
}

# What GitHub makes of the headings: the targets of links.
sub anchors {
    my ($page) = @_;
    my %anchors;
    for my $heading (prose($page) =~ /^#+ +(.*?) *$/mg) {
        my $anchor = lc $heading;
        $anchor =~ s/`//g;
        $anchor =~ s/[^\w\- ]//g;
        $anchor =~ tr/ /-/;
        my $again = $anchors{$anchor}++;
        $anchors{"$anchor-$again"} = 1 if $again;
    }
    return \%anchors;
}

# The C++ of the product: { path => text }.
sub sources {
    our %sources;
    %sources = map { $_ => _read($_) } grep { m{^(?:core|ngx_module|cli)/.*\.(?:cc|h)$} } tree()
        if !%sources;
    return \%sources;
}

# Every string in it, as the compiler joins them.
sub literals {
    our @literals;
    return @literals if @literals;
    my $string = qr/"((?:[^"\\\n]|\\.)*)"/;
    for my $text (values %{ sources() }) {
        while ($text =~ /((?:$string\s*)+)/g) {
            my $joined = join '', $1 =~ /$string/g;
            $joined =~ s/\\(["\\])/$1/g;
            push @literals, $joined;
        }
    }
    my %seen;
    return @literals = grep { length && !$seen{$_}++ } @literals;
}

1;
