# What the object files say: who defines which symbol and who refers to it.
package Objects;
use strict;
use warnings;
use File::Temp;

# Of the objects below $objects (nginx's objs/, so not the tool's): {file => symbols}, where
# symbols has `uses` {mangled => 1}, `defines` {mangled => [type, address]} and
# `refers` {mangled => 1}, what the object's own code and data name.
sub symbols {
    my ($tree, $objects) = @_;
    my (%of, %file, @paths);
    for my $file (grep { /\.cc$/ && !m{^cli/} } $tree->files) {
        my $path = "$objects/addon/" . $tree->object_name($file);
        -f $path or die "no object of $file below $objects: build first\n";
        $file{$path} = $file;
        push @paths, $path;
    }
    for (_run('nm', '-A', '-P', @paths)) {
        my ($from, $name, $type, $value) = /^(\S+): (\S+) (\S)(?: (\S+))?/
            or next;
        my $symbols = $of{$file{$from} // next} //= {};
        if ($type eq 'U') { $symbols->{uses}{$name} = 1 }
        elsif ($type =~ /^[TDBRCG]$/) {
            $symbols->{defines}{$name} = [$type, $value // ''];
        }
    }
    my ($at, $debug);
    for (_run('readelf', '-rW', @paths)) {
        if (/^File: (.*)$/) { $at = $file{$1}; next }
        if (/^Relocation section '([^']*)'/) {
            $debug = $1 =~ /debug|eh_frame/;
            next;
        }
        next if $debug || !$at;
        # Offset, info, type, the symbol's value, the symbol.
        my ($type, $name) = (split ' ')[2, 4];
        $of{$at}{refers}{$name} = 1 if $name && $type =~ /^R_/;
    }
    return \%of;
}

sub _run {
    my @command = @_;
    local $ENV{LC_ALL} = 'C';
    open my $out, '-|', @command or die "$command[0]: $!\n";
    my @lines = <$out>;
    close $out or die "$command[0] failed\n";
    chomp @lines;
    return @lines;
}

# {mangled => readable}
sub readable {
    my (@mangled) = @_;
    my $names = File::Temp->new;
    print {$names} "$_\n" for @mangled;
    close $names or die "$names: $!\n";
    my @lines = _run('sh', '-c', 'exec c++filt <"$1"', 'c++filt', "$names");
    my %readable;
    @readable{@mangled} = @lines;
    return \%readable;
}

# What nginx itself looks up, and what that names: the modules of `config`.
sub entry_points {
    my ($tree, $objects) = @_;
    my ($global) = Tree::slurp("$tree->{root}/ngx_module/exports.map")
        =~ /global:\s*([^:]*?)\s*(?:local:|\})/
        or die "ngx_module/exports.map exports nothing\n";
    my %exported = map { $_ => 1 } $global =~ /(\w+)/g;
    my %entry;
    for my $path (glob "$objects/*_modules.o") {
        my (%uses, $exports);
        for (_run('nm', '-P', $path)) {
            my ($name, $type) = /^(\S+) (\S)/ or next;
            if ($type eq 'U') { $uses{$name} = 1 }
            elsif ($exported{$name}) { $exports = 1 }
        }
        if ($exports) { $entry{$_} = 1 for keys %uses }
    }
    return \%entry;
}

1;
