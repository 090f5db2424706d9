package Test::Entitle::Commands;

# The module's table of directives, out of its source as the preprocessor
# leaves it: { entitle_x => { http, server, location => 1, min, max, flag,
# member } }. max is undef where there is none.

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use IPC::Open2 qw(open2);
use Test::Entitle::Docs qw(sources);

our @EXPORT_OK = qw(commands);

# The file without what it includes, its macros expanded.
sub _preprocessed {
    my ($text) = @_;
    $text =~ s/^\s*#\s*include.*$//mg;
    my $pid = open2(my $out, my $in, 'g++', '-E', '-P', '-x', 'c++', '-');
    print $in $text;
    close $in;
    my $expanded = do { local $/; <$out> };
    waitpid $pid, 0;
    croak 'g++ -E failed' if $?;
    return $expanded;
}

# Names in a sum of flags, constants of ours replaced by what they stand for.
sub _flags {
    my ($sum, $constants) = @_;
    my %flags;
    my @names = $sum =~ /\w+/g;
    while (defined(my $name = shift @names)) {
        if (exists $constants->{$name}) { push @names, $constants->{$name} =~ /\w+/g }
        else                            { $flags{$name} = 1 }
    }
    return \%flags;
}

sub _counts {
    my ($flags) = @_;
    return (1, 1) if $flags->{NGX_CONF_FLAG};
    for my $min (1, 2) { return ($min, undef) if $flags->{"NGX_CONF_${min}MORE"} }
    return (0, undef) if $flags->{NGX_CONF_ANY};
    my @counts = map { /^NGX_CONF_TAKE(\d+)$/ ? split(//, $1) : /^NGX_CONF_NOARGS$/ ? 0 : () }
        keys %$flags;
    @counts = sort { $a <=> $b } @counts;
    return @counts[0, -1];
}

sub commands {
    our %commands;
    return \%commands if %commands;
    for my $text (grep { /\bngx_command_t\s+\w+\[\]/ } values %{ sources() }) {
        my $expanded  = _preprocessed($text);
        my %constants = $expanded =~ /constexpr ngx_uint_t (\w+)\s*=\s*([^;]*);/g;
        while ($expanded =~ /ngx_command_t\s+\w+\[\]\s*=\s*\{(.*?)\bngx_null_command\b/sg) {
            my $rows = $1;
            while ($rows =~ /ngx_string\("(entitle\w*)"\)\s*,\s*([\w\s|()]+?)\s*,([^{}]*)/g) {
                my ($name, $sum, $rest) = ($1, $2, $3);
                croak "\"$name\" stands in the table twice" if $commands{$name};
                my $flags = _flags($sum, \%constants);
                my ($min, $max) = _counts($flags);
                $commands{$name} = {
                    http     => $flags->{NGX_HTTP_MAIN_CONF},
                    server   => $flags->{NGX_HTTP_SRV_CONF},
                    location => $flags->{NGX_HTTP_LOC_CONF},
                    flag     => $flags->{NGX_CONF_FLAG},
                    min => $min, max => $max,
                    member => scalar(($rest =~ /offsetof\([^,]*,\s*([\w.]+)\s*\)/)[0]),
                    choices => scalar(($rest =~ /,\s*&?(\w+)\s*$/)[0]),
                };
            }
        }
    }
    croak 'no table of directives was found' if !%commands;
    return \%commands;
}

1;
