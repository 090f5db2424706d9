# C++ as far as the checks need it: text in, what is named and declared out.
# No parser: it reads declarations, which clang-format has put in order, and
# skips bodies.
package Cpp;
use strict;
use warnings;

# C++ without comments, strings and character literals; every line stays.
sub code {
    my ($text) = @_;
    $text =~ s{
        ( //[^\n]* | /\*.*?\*/ )
        | (?<![\w]) (?:u8|u|U|L)?R"([^()\s\\]*)\( .*? \)\2"
        | "(?:[^"\\\n]|\\.)*"
        | (?<![\w]) '(?:[^'\\\n]|\\.)+'
    }{ my $all = $&; my $lines = $all =~ tr/\n//;
       (defined $1 ? ' ' : '""') . "\n" x $lines }gesx;
    return $text;
}

# How often each identifier is written in code: preprocessor lines, too.
sub words {
    my ($code) = @_;
    my %times;
    $times{$1}++ while $code =~ /\b([A-Za-z_]\w*)/g;
    return \%times;
}

# "entitle::Source::merge" of "entitle::Source::merge(entitle::Source const&)".
sub plain {
    my ($name) = @_;
    $name =~ s/\[abi:\w+\]//g;
    $name =~ s/^(?:vtable|typeinfo|typeinfo name|VTT|construction vtable) for //;
    $name =~ s/^(?:non-virtual|virtual) thunk to //;
    $name =~ s/\(anonymous namespace\)/<anonymous>/g;
    my $out = '';
    my $depth = 0;
    while ($name =~ /\G(operator\s*(?:\(\)|[^\w\s(]+)|.)/gs) {
        my $piece = $1;
        if ($depth == 0 && $piece =~ /^operator/) { $out .= $piece; next }
        if ($piece eq '<') { $depth++; next }
        if ($piece eq '>') { $depth--; next }
        next if $depth;
        last if $piece eq '(';
        $out .= $piece;
    }
    $out =~ s/^.*\s(?=\S*::)//;    # what a template returns
    return $out;
}

# With its arguments, which tell one overload from the other.
sub short {
    my ($name) = @_;
    $name =~ s/\[abi:\w+\]//g;
    $name =~ s/std::basic_string_view<char, std::char_traits<char> >/std::string_view/g;
    $name =~ s/std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >/std::string/g;
    $name =~ s/, std::allocator<[^<>]*(?:<[^<>]*>)? ?>//g;
    $name =~ s/, 18446744073709551615ul//g;
    return $name;
}

sub _tokens {
    my ($code) = @_;
    $code =~ s/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$/"\n" x ($& =~ tr,\n,,)/gem;
    my @tokens;
    my $line = 1;
    while ($code =~ /\G(?:(\n)|([A-Za-z_]\w*)|(\d[\w.']*)|(::|->|\[\[|\]\]|""|[^\s])|[^\S\n]+)/gc) {
        if (defined $1) { $line++ }
        elsif (defined $2) { push @tokens, [$2, $line] }
        elsif (defined $3) { push @tokens, [$3, $line] }
        elsif (defined $4) { push @tokens, [$4, $line] }
    }
    return \@tokens;
}

my %CLOSES = ('(' => ')', '{' => '}', '[' => ']', '[[' => ']]');

# The index after what closes the bracket at $i.
sub _after {
    my ($tokens, $i) = @_;
    my $open = $tokens->[$i][0];
    my $close = $CLOSES{$open};
    my $depth = 0;
    for (; $i < @$tokens; $i++) {
        my $t = $tokens->[$i][0];
        if ($t eq $open) { $depth++ }
        elsif ($t eq $close && --$depth == 0) { return $i + 1 }
    }
    return $i;
}

# {declared => [...], functions => [...]} of code().
#
# declared: [kind, qualified name, line, at once], where kind is function,
# variable, type, enumerator, alias or forward (a type that is only named), and
# `at once` marks a type that is used where it is defined. Operators,
# constructors and destructors are no names.
# functions: [name, first line, lines] of what has a body.
sub scan {
    my ($code) = @_;
    my $tokens = _tokens($code);
    my (@found, @functions);
    my @scopes;    # [kind, name]
    my @head;      # of the statement, brackets as one token
    my $i = 0;
    my $qualified = sub {
        join '::', (grep { length } map { $_->[1] } @scopes), $_[0];
    };
    my $finish = sub {
        push @found, _statement(\@head, \@scopes, $qualified);
        @head = ();
    };
    while ($i < @$tokens) {
        my ($t, $line) = @{$tokens->[$i]};
        if (@scopes && $scopes[-1][0] eq 'enum') {
            if ($t eq '}') {
                my $scope = pop @scopes;
                $i++;
                if ($scope->[3] && $i < @$tokens && $tokens->[$i][0] ne ';') {
                    $scope->[3][3] = 'at once';
                }
                @head = (['}', $line]);
                next;
            }
            if ($t =~ /^[A-Za-z_]/) {
                push @found, ['enumerator', $qualified->($t), $line];
                $i++;
                while ($i < @$tokens && $tokens->[$i][0] !~ /^[,}]$/) {
                    $i = exists $CLOSES{$tokens->[$i][0]} ? _after($tokens, $i)
                        : $i + 1;
                }
                next;
            }
            $i++;
            next;
        }
        if ($t eq '}') {
            my $scope = pop @scopes;
            $i++;
            # `struct Part {...} parts_[2];` uses its name by not needing it.
            if ($scope && $scope->[3] && $i < @$tokens && $tokens->[$i][0] ne ';') {
                $scope->[3][3] = 'at once';
            }
            @head = (['}', $line]);
            next;
        }
        if ($t eq ';') { $finish->(); $i++; next }
        if ($t eq ':' && @head && $head[-1][0] =~ /^(?:public|private|protected)$/)
        {
            @head = ();
            $i++;
            next;
        }
        if ($t eq '(' || $t eq '[' || $t eq '[[') {
            my $end = _after($tokens, $i);
            push @head, [$t, $line, [@$tokens[$i + 1 .. $end - 2]]]
                unless $t eq '[[';
            $i = $end;
            next;
        }
        if ($t eq '<' && @head && $head[-1][0] =~ /^[A-Za-z_]/
            && !grep { $_->[0] eq '=' } @head)
        {
            my ($depth, $j) = (0, $i);
            for (; $j < @$tokens; $j++) {
                my $u = $tokens->[$j][0];
                if ($u eq '<') { $depth++ }
                elsif ($u eq '>') { last if --$depth == 0 }
                elsif ($u eq '(') { $j = _after($tokens, $j) - 1 }
                elsif ($u =~ /^[;{]$/) { last }
            }
            push @head, ['<>', $line];
            $i = $j + 1;
            next;
        }
        if ($t eq '{') {
            my $scope = _opens(\@head);
            if ($scope) {
                if ($scope->[0] ne 'namespace' && length $scope->[1]) {
                    push @found,
                        ['type', $qualified->($scope->[1]), $scope->[2]];
                    $scope->[3] = $found[-1];
                }
                push @scopes, $scope;
                @head = ();
                $i++;
                next;
            }
            # A body, or a value in braces.
            $i = _after($tokens, $i);
            my $function = grep { $_->[0] eq '(' } @head;
            my $next = $i < @$tokens ? $tokens->[$i][0] : '';
            if ($function && $next !~ /^[,;{]$/) {
                push @functions, _function(\@head, $tokens->[$i - 1][1]);
                $finish->();
            }
            else { push @head, ['{}', $line] }
            next;
        }
        push @head, [$t, $line];
        $i++;
    }
    return {declared => \@found, functions => \@functions};
}

sub _function {    # head, the last line
    my ($head, $end) = @_;
    my @head = @$head;
    shift @head while @head && $head[0][0] =~ /^(?:\}|\{\})$/;
    my $name = '';
    for (@head) {
        last if $_->[0] eq '(' && $name =~ /\w$/;
        if ($_->[0] =~ /^(?:\w+|::|~)$/) {
            $name = '' unless $name =~ /(?:::|~)$/ || $_->[0] eq '::';
            $name .= $_->[0];
        }
    }
    return [$name, $head[0][1], $end - $head[0][1] + 1];
}

# The scope that `{` opens after this head; undef: a body or a value.
sub _opens {
    my ($head) = @_;
    my @words = grep { $_ ne '}' } map { $_->[0] } @$head;
    shift @words, (@words && $words[0] eq '<>' ? shift @words : ())
        while @words && $words[0] eq 'template';
    shift @words while @words && $words[0] =~ /^(?:inline|typedef|static|const|constexpr)$/
        && @words > 1 && $words[1] =~ /^(?:namespace|class|struct|union|enum)$/;
    return undef unless @words;
    my $line = @$head ? $head->[-1][1] : 0;
    if ($words[0] eq 'namespace') {
        my $name = join '', grep { /^(?:\w+|::)$/ } @words[1 .. $#words];
        return ['namespace', $name, $line];
    }
    return ['namespace', '', $line]
        if $words[0] eq 'extern' && ($words[1] // '') eq '""';
    if ($words[0] eq 'enum') {
        my ($name) = grep { !/^(?:class|struct)$/ } @words[1 .. $#words];
        return ['enum', $name && $name =~ /^\w/ ? $name : '', $line];
    }
    if ($words[0] =~ /^(?:class|struct|union)$/ && !grep { $_ eq '=' } @words) {
        my @name;
        for (@words[1 .. $#words]) {
            last if $_ eq ':';
            next if /^(?:final|alignas|\()$/;
            push @name, $_ if /^[A-Za-z_]/;
        }
        return ['class', $name[-1] // '', $line];
    }
    return undef;
}

my %NO_NAME = map { $_ => 1 } qw(noexcept alignas decltype requires explicit
    __attribute__ const override final default delete static_assert int void
    char bool auto unsigned long short double float operator);

sub _statement {
    my ($head, $scopes, $qualified) = @_;
    my @head = @$head;
    my $typed = @head && $head[0][0] eq '}';    # by what was just defined
    shift @head while @head && $head[0][0] =~ /^(?:\}|\{\})$/;
    while (@head && $head[0][0] eq 'template') {
        shift @head;
        shift @head if @head && $head[0][0] eq '<>';
    }
    return () unless @head;
    my $first = $head[0][0];
    return () if $first =~ /^(?:friend|static_assert|typedef|requires|concept|namespace)$/
        || grep { $_->[0] eq 'operator' || $_->[0] eq '~' } @head;
    if ($first eq 'using') {
        return () unless @head > 2 && $head[2][0] eq '=';
        return ['alias', $qualified->($head[1][0]), $head[1][1]];
    }
    if ($first eq 'extern') { shift @head; $first = $head[0][0] // '' }
    if ($first =~ /^(?:class|struct|union|enum)$/) {
        my @rest = grep { $_->[0] !~ /^(?:class|struct)$/ } @head[1 .. $#head];
        return ['forward', $qualified->($rest[0][0]), $rest[0][1]]
            if @rest == 1 || (@rest > 1 && $rest[1][0] eq ':');
    }
    my $class = @$scopes && $scopes->[-1][0] eq 'class' ? $scopes->[-1][1] : '';
    my ($equals) = grep { $head[$_][0] =~ /^(?:=|\{\})$/ } 0 .. $#head;
    my $last = defined $equals ? $equals - 1 : $#head;
    for my $k (0 .. $last) {
        next unless $head[$k][0] eq '(';
        my $before = $k > 0 ? $head[$k - 1][0] : '';
        my $inside = $head[$k][2];
        if (@$inside > 1 && $inside->[0][0] =~ /^[*&]$/
            && $k < $last && $head[$k + 1][0] eq '(')
        {
            my ($name) = grep { $_->[0] =~ /^[A-Za-z_]/ } @$inside;
            return $name ? ['variable', $qualified->($name->[0]), $name->[1]] : ();
        }
        next if $NO_NAME{$before} || $before !~ /^[A-Za-z_]/;
        return () if $before eq $class;
        return () if $k > 1 && $head[$k - 2][0] eq '::';
        return ['function', $qualified->($before), $head[$k - 1][1]];
    }
    # Variables and members: `T a, b = 1, c[2];`
    my (@names, $name, $skip);
    for (@head) {
        my $t = $_->[0];
        if ($t eq ',') { push @names, $name if $name; ($name, $skip) = (); next }
        if ($t =~ /^(?:=|\{\}|\[|:)$/) { $skip = 1; next }
        $name = $_ if !$skip && $t =~ /^[A-Za-z_]/ && !$NO_NAME{$t};
    }
    push @names, $name if $name;
    return () if @head < 2 && !$typed;
    return map { ['variable', $qualified->($_->[0]), $_->[1]] } @names;
}

1;
