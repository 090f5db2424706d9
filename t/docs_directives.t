# docs/directives.md says of every directive what the module's own table says:
# that it is there, where it may stand, what it takes, what it is by default.
use strict;
use utf8;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Commands qw(commands);
use Test::Entitle::Docs qw(literals page sources);

my $commands = commands();
my $reference = page('docs/directives.md');
my $source    = join "\n", values %{ sources() };
my $site      = Test::Entitle->new;

# --- what the page says ---------------------------------------------------------

# { entitle_x => { syntax => [...], default => text or undef, context => text,
# prose } }
my %documented;
for my $section ($reference =~ /^### (entitle.*?)(?=^##|\z)/msg) {
    my ($heading, $rest) = split /\n+/, $section, 2;
    my ($table, $prose) = $rest =~ /\A((?: {4}[^\n]*\n)+)(.*)\z/s;
    ok $table, "$heading: has its table" or next;
    my @syntax   = $table =~ /^ {4}Syntax: +(.*?);$/mg;
    my @defaults = $table =~ /^ {4}Default: +(.*)$/mg;
    my @contexts = $table =~ /^ {4}Context: +(.*)$/mg;
    is scalar @contexts, 1, "$heading: one context";
    for my $name (split /, /, $heading) {
        ok !$documented{$name}, "$name: described once";
        my ($default) = map { /^$name (.*);/ ? $1 : () } @defaults;
        ok defined $default || grep({ /^–/ } @defaults),
            "$name: the default is that directive, or there is none";
        $documented{$name} = { context => $contexts[0], default => $default,
            syntax => [map { /^$name(?: (.*))?$/ ? $1 // '' : () } @syntax] };
        ok scalar @{ $documented{$name}{syntax} }, "$name: has its syntax";
    }
    my %named = map { $_ => 1 } split /, /, $heading;
    is join(' ', grep { !$named{$_} } map { /^(\w+)/ } @syntax, grep { /^entitle/ } @defaults),
        '', "$heading: nothing else in its table";
    cmp_ok length $prose, '>', 60, "$heading: says what it is for";
}

is join(' ', grep { !$documented{$_} } sort keys %$commands), '',
    'every directive there is has its section';
is join(' ', grep { !$commands->{$_} } sort keys %documented), '',
    'and every section has its directive';

# --- where, and with what ---------------------------------------------------------

# How many words the syntax lets follow: [] is optional, a lone … is any number,
# | parts alternatives; what is in brackets counts only for its own.
sub counts {
    my ($syntax) = @_;
    my ($min, $max);
    my @optional;
    $syntax =~ s/ \[([^\]]*)\]|^\[([^\]]*)\] ?/push @optional, $1 \/\/ $2; ''/ge;
    for my $alternative ($syntax eq '' ? '' : split / \| /, $syntax) {
        my @words   = split / /, $alternative;
        my $endless = grep { /^(?:…|\.\.\.)$/ } @words;
        @words = grep { !/^(?:…|\.\.\.)$/ } @words;
        my $most = $endless ? undef : @words + @optional;
        $min = @words if !defined $min || @words < $min;
        if (!defined $most) { $max = 'any' }
        elsif (!defined $max || $max ne 'any' && $most > $max) { $max = $most }
    }
    return ($min, $max);
}

for my $name (grep { $documented{$_} } sort keys %$commands) {
    my ($row, $said) = ($commands->{$name}, $documented{$name});
    is $said->{context},
        join(', ', grep { $row->{$_} } qw(http server location)), "$name: its contexts";

    my ($min, $max);
    for my $syntax (@{ $said->{syntax} }) {
        my ($least, $most) = counts($syntax);
        $min = $least if !defined $min || $least < $min;
        $max = $most if !defined $max || $most eq 'any' || $max ne 'any' && $most > $max;
    }
    is $min, $row->{min}, "$name: at least so many words";
    # Four and more that are optional are too many for nginx to count.
    is $max, $row->{max} // ($max ne 'any' && $max > 3 ? $max : 'any'), "$name: at most";
    is $said->{syntax}[0], 'on | off', "$name: a flag" if $row->{flag};
    my ($choices) = $source =~ /ngx_conf_enum_t \Q$row->{choices}\E\[\] = \{(.*?)ngx_null_string/s
        if $row->{choices};
    is join(' ', sort split / \| /, $said->{syntax}[0]),
        join(' ', sort $choices =~ /ngx_string\("(.*?)"\)/g), "$name: its words" if $choices;
}

# --- by default -------------------------------------------------------------------

# What the source merges into a member that was not set: (kind, expression).
sub merged {
    my ($member) = @_;
    my ($last) = ($member // return) =~ /(\w+)$/;
    my ($kind, $arguments) = $source =~
        /\bngx_conf_(?:merge|init)_(\w*?)_?value\(\s*(?:\w+(?:->|\.))+$last,([^;]*)\);/ or return;
    my ($value) = $arguments =~ /([^,]*(?:\([^()]*\))?)\z/;
    return ($kind, $value =~ s/^\s+//r);
}

# Seconds that a structure of core/ begins with, named as the directive ends.
sub begins_with {
    my ($name) = @_;
    for my $member (map { $name =~ s/^(?:[a-z]+_){$_}//r } 1 .. $name =~ tr/_//) {
        return $1 if $source =~ /\bSeconds $member\{(\d+)\}/;
    }
    return undef;
}

sub number {
    my ($expression) = @_;
    ($expression) = $source =~ /constexpr [\w:]+ $expression(?:\[\])? = ([^;]*);/
        if $expression =~ /^k\w+$/;
    return $expression =~ /^[\d\s*]+$/ ? eval $expression : $expression;
}

my %UNIT = (ms => 0.001, s => 1, m => 60, h => 3600, d => 86400);

# The documented word as the number that the source has.
sub meant {
    my ($kind, $word, $choices) = @_;
    return { on => 1, off => 0 }->{$word} if $word =~ /^o(?:n|ff)$/ && !$choices;
    if ($choices) {
        my ($row) = $source =~ /ngx_conf_enum_t \Q$choices\E\[\] = \{.*?ngx_string\("\Q$word\E"\)\s*,\s*(.*?)\}/s;
        return $row =~ /(\w+::\w+)/ ? $1 : $row;
    }
    return $1 * { k => 1024, m => 1024 * 1024 }->{$2} if $kind eq 'size' && $word =~ /^(\d+)([km])$/;
    return $1 * $UNIT{$2} * ($kind eq 'msec' ? 1000 : 1) if $word =~ /^(\d+)(ms|[smhd])$/;
    return $word;
}

my $compared = 0;
for my $name (sort grep { defined $documented{$_}{default} } keys %documented) {
    my $default = $documented{$name}{default};
    my $row     = $commands->{$name} // next;
    my ($accepted, $said) = $site->config_test($row->{http}
        ? "$name $default;\n" : "server { listen 127.0.0.1:%%PORT%%; $name $default; }\n");
    ok $accepted, "$name $default; is accepted" or diag $said;

    my ($kind, $expression) = merged($row->{member});
    if (!defined $kind && defined(my $seconds = begins_with($name))) {
        ($kind, $expression) = ('sec', $seconds);
    }
    if (!defined $kind) {
        my %known = map { $_ => 1 } map { ($_, "redis://$_") } literals();
        is join(' ', grep { !$known{$_} } split / /, $default =~ s/metadata\.//gr), '',
            "  and \"$default\" stands in the source";
        next;
    }
    my $choices = ($row->{choices} // 'nullptr') eq 'nullptr' ? undef : $row->{choices};
    my $is = $expression =~ /^"(.*)"$/ ? $1
           : $expression =~ /(\w+::\w+)/ ? $1 : number($expression) =~ s/^"(.*)"\z/$1/r;
    # What follows it, name=number, stands in the source as well.
    while ($default =~ s/ \w+=(\d+)$//) {
        like $source, qr/constexpr [\w:]+ k\w+ = $1;/, "  and $1 is in the source";
    }
    is meant($kind, $default, $choices), $is, '  and is what holds when nothing is said';
    $compared++;
}
cmp_ok $compared, '>=', 20, 'most defaults are compared';

for my $name (sort grep { !defined $documented{$_}{default} } keys %documented) {
    my ($kind, $expression) = merged(($commands->{$name} // next)->{member});
    ok !defined $kind, "$name: where a default is merged, it is documented";
}

# --- variables ----------------------------------------------------------------------

my ($table) = $reference =~ /^## Variables\n(.*?)^## /ms;
my %variables = map { $_ => 1 } $table =~ /^\| ((?:`\$entitle_\w+`(?:, )?)+) \| (?!means)/mg;
%variables = map { $_ => 1 } map { /\$(\w+)/g } keys %variables;
cmp_ok scalar keys %variables, '>', 10, 'variables are documented';

sub is_variable {
    my ($accepted) = $site->config_test("log_format x '" . join(' ', map { "\$$_" } @_) . "';\n"
        . "server { listen 127.0.0.1:%%PORT%%; access_log logs/x x; }\n");
    return $accepted;
}

ok is_variable(sort keys %variables), 'and there';
is join(' ', grep { is_variable($_) } sort grep { /^entitle_[a-z_]+$/ && !$commands->{$_}
        && !$variables{$_} } literals()), '', 'and there are no others';

# --- reasons ------------------------------------------------------------------------

my ($reasons) = $reference =~ /^\| `\$entitle_reason` \| means \|\n(.*?)\n\n/ms;
my %literal = map { $_ => 1 } literals();
my @reasons = map { /`(\w+)`/g } map { (split / \| /)[0] } grep { /^\| `/ } split /\n/, $reasons;
cmp_ok scalar @reasons, '>', 10, 'reasons are documented';
is join(' ', grep { !$literal{$_} } @reasons), '', 'and are words of the source';

done_testing;
