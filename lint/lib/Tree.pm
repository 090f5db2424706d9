# The sources as the checks see them: which file is of which room, what it
# includes, what its header declares, and which object is made from it.
package Tree;
use strict;
use warnings;
use Cpp;

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return scalar <$in>;
}

sub new {
    my ($class, $root) = @_;
    my $self = bless {root => $root, rooms => [], rank => {}, of_file => {}}, $class;
    $self->read_rooms("$root/lint/rooms");
    return $self;
}

sub read_rooms {
    my ($self, $path) = @_;
    my $line = 0;
    for (split /\n/, slurp($path)) {
        $line++;
        next if /^\s*(#|$)/;
        if (m{^(core|ngx_module|cli)/(\w+)((?:\s+[\w.]+)*)\s*$}) {
            my ($tree, $name, $files) = ($1, $2, $3);
            my $room = "$tree/$name";
            die "$path:$line: $room is there twice\n"
                if exists $self->{rank}{$room};
            push @{$self->{rooms}}, $room;
            $self->{rank}{$room} = @{$self->{rooms}};
            $self->{of_file}{"$tree/$_"} = $room for split ' ', $files;
            $self->{by_name}{$room} = 1 if $files =~ /\S/;
        } else {
            die "$path:$line: not a room: $_\n";
        }
    }
}

# Sources of all trees, sorted, as paths from the root.
sub files {
    my ($self) = @_;
    return @{$self->{files}} if $self->{files};
    my @found;
    my @folders = grep { -d "$self->{root}/$_" } qw(core ngx_module cli);
    while (my $folder = shift @folders) {
        opendir my $dir, "$self->{root}/$folder" or die "$folder: $!\n";
        for my $name (grep { !/^\./ } readdir $dir) {
            if (-d "$self->{root}/$folder/$name") {
                push @folders, "$folder/$name";
            } elsif ($name =~ /\.(?:cc|h)$/) {
                push @found, "$folder/$name";
            }
        }
    }
    return @{$self->{files} = [sort @found]};
}

sub room {    # undef: none
    my ($self, $file) = @_;
    my $room = $self->{of_file}{$file};
    return $room if $room;
    my ($folder) = $file =~ m{^(\w+/\w+)/} or return undef;
    return undef if $self->{by_name}{$folder};
    return exists $self->{rank}{$folder} ? $folder : undef;
}

sub may_use {
    my ($self, $from, $to) = @_;
    return 0 if $from =~ m{^cli/} && $to =~ m{^ngx_module/};
    return $self->{rank}{$to} <= $self->{rank}{$from};
}

sub text {
    my ($self, $file) = @_;
    return $self->{text}{$file} //= slurp("$self->{root}/$file");
}

sub code_of {
    my ($self, $file) = @_;
    return $self->{code}{$file} //= Cpp::code($self->text($file));
}

sub words_of {
    my ($self, $file) = @_;
    return $self->{words}{$file} //= Cpp::words($self->code_of($file));
}

# [line, header]..., as written between quotes or angle brackets.
sub includes {
    my ($self, $file) = @_;
    my @found;
    my $line = 0;
    for (split /\n/, $self->text($file)) {
        $line++;
        push @found, [$line, $1] if /^\s*#\s*include\s*[<"]([^>"]+)[>"]/;
    }
    return @found;
}

# Of a header mostly: see Cpp::scan.
sub declared {
    my ($self, $file) = @_;
    return @{$self->_scanned($file)->{declared}};
}

# [name, first line, lines]..., of what has a body in this file.
sub functions {
    my ($self, $file) = @_;
    return @{$self->_scanned($file)->{functions}};
}

sub _scanned {
    my ($self, $file) = @_;
    return $self->{scanned}{$file} //= Cpp::scan($self->code_of($file));
}

# nginx names an object after the last folder and the file alone.
sub object_name {
    my ($self, $file) = @_;
    my ($folder, $base) = $file =~ m{([^/]+)/([^/]+)\.cc$} or return undef;
    return "$folder/$base.o";
}

1;
