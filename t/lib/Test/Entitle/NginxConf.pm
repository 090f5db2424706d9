package Test::Entitle::NginxConf;

# nginx's configuration language: read into a tree, changed, written again; and
# what a piece of it needs around it to be a site.

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);

our @EXPORT_OK = qw(parse text walk http_of);

# A list of { words => [...], block => undef or such a list }. Words are as they
# were written, quotes and all.
sub parse {
    my ($text) = @_;
    my @stack = ([]);
    my @words;
    for ($text) {
        while (!/\G\s*\z/gc) {
            next if /\G\s+/gc || /\G#.*/gc;
            if (/\G;/gc) {
                croak 'a ";" that ends nothing' if !@words;
                push @{ $stack[-1] }, { words => [splice @words] };
            } elsif (/\G\{/gc) {
                my $block = [];
                push @{ $stack[-1] }, { words => [splice @words], block => $block };
                push @stack, $block;
            } elsif (/\G\}/gc) {
                croak "\"@words\" without \";\"" if @words;
                pop @stack;
                croak 'a "}" too many' if !@stack;
            } elsif (/\G("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/gcs) {
                push @words, $1;
            } elsif (/\G((?:\$\{|\\.|[^\s;{"'\\]|(?<=\S)["'])(?:\$\{|\\.|[^\s;{\\])*)/gcs) {
                push @words, $1;
            } else {
                croak 'cannot be read: ' . substr $text, pos, 30;
            }
        }
    }
    croak "\"@words\" without \";\"" if @words;
    croak 'a "{" without its "}"' if @stack != 1;
    return $stack[0];
}

sub text {
    my ($tree, $indent) = @_;
    $indent //= '';
    return join '', map {
        $indent . join(' ', @{ $_->{words} })
            . ($_->{block} ? " {\n" . text($_->{block}, "$indent    ") . "$indent}\n" : ";\n")
    } @$tree;
}

# Calls $visit->(directive) for every directive, those in blocks too.
sub walk {
    my ($tree, $visit) = @_;
    for my $directive (@$tree) {
        $visit->($directive);
        walk($directive->{block}, $visit) if $directive->{block};
    }
}

# What stands in http{} once the piece is put where it can stand, which is to be
# seen from the piece: a file has its own http{}; a `server` stands in http{};
# what nginx or we allow in http{} alone goes there, what is allowed in locations
# alone into one; the rest goes beside the piece's locations into a server, or
# where there are none into http{}. `contexts` says where our directives may
# stand: { entitle_x => { http => 1, server => 1, ... } }.
my %HTTP_ONLY = map { $_ => 1 } qw(map geo upstream log_format limit_req_zone
    limit_conn_zone proxy_cache_path split_clients);
my %LOCATION_ONLY = map { $_ => 1 } qw(internal proxy_pass fastcgi_pass);

sub http_of {
    my ($tree, $contexts) = @_;
    my ($http) = grep { $_->{words}[0] eq 'http' } @$tree;
    return $http->{block} if $http;
    return $tree if grep { $_->{words}[0] eq 'server' } @$tree;

    my $has_locations = grep { $_->{words}[0] eq 'location' } @$tree;
    my (@http, @server, @location);
    for my $directive (@$tree) {
        my $name    = $directive->{words}[0];
        my $allowed = $contexts->{$name} // {};
        my $in_location = $LOCATION_ONLY{$name}
            || $allowed->{location} && !$allowed->{server};
        my $in_http = $HTTP_ONLY{$name} || $allowed->{http} && !$allowed->{server}
            || !$has_locations && (!%$allowed || $allowed->{http});
        push @{ $in_location ? \@location : $in_http ? \@http : \@server }, $directive;
    }
    push @server, { words => ['location', '/'], block => \@location } if @location;
    unshift @server, { words => ['listen', '443', 'ssl'] };
    return [@http, { words => ['server'], block => \@server }];
}

1;
