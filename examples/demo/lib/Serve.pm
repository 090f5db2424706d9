package Serve;

# The smallest web server that will do: one request at a time, for the demo.

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();

# Calls $handler->($method, $path, \%form, \%cookies) for each request; it gives
# the status, a reference to a list of headers, and the body; or, as the body, what
# goes on writing one to the client, in a process of its own. $where is a port of this
# machine's, or ADDRESS:PORT.
sub run {
    my ($where, $handler) = @_;
    my ($address, $port) = $where =~ /^(?:(.+):)?(\d+)$/ or die "no port: $where\n";
    my $listener = IO::Socket::INET->new(
        LocalAddr => $address // '127.0.0.1', LocalPort => $port, Listen => 16, ReuseAddr => 1,
    ) or die "$where: $!\n";
    $SIG{PIPE} = 'IGNORE';
    while (1) {
        my $client = $listener->accept or next;
        serve($client, $handler);
        close $client;
    }
}

sub serve {
    my ($client, $handler) = @_;
    my ($method, $target, $header, $body) = in_time(5, $client, \&read_request)
        or return;

    my ($path, $query) = split /\?/, $target, 2;
    my %cookies = map { /^\s*([^=]+)=(.*)/ ? ($1, $2) : () }
        split /;/, $header->{cookie} // '';
    my ($status, $headers, $text) =
        $handler->($method, $path, form(join '&', $query // '', $body), \%cookies);
    my @pairs = @$headers;
    my $answer = "HTTP/1.1 $status\r\nConnection: close\r\n";
    while (my ($name, $value) = splice @pairs, 0, 2) {
        $answer .= "$name: $value\r\n";
    }
    if (ref $text) {
        $SIG{CHLD} = 'IGNORE';
        return if fork;
        $client->autoflush(1);
        print $client "$answer\r\n";
        $text->($client);
        POSIX::_exit(0);
    }
    $answer .= 'Content-Length: ' . length($text) . "\r\n" if $status !~ /^204/;
    print $client "$answer\r\n$text";
}

# What $read->($client) gives; after $seconds the client is cut off, so that one
# who connects and says nothing does not hold up the others.
sub in_time {
    my ($seconds, $client, $read) = @_;
    local $SIG{ALRM} = sub { close $client };
    alarm $seconds;
    my @read = $read->($client);
    alarm 0;    # in every case: later there is nobody who takes the signal
    return @read;
}

# Method, target, headers and body; nothing when no request came.
sub read_request {
    my ($client) = @_;
    my ($method, $target) = (<$client> // '') =~ /^(\w+) (\S+)/ or return;
    my %header;
    while (defined(my $line = <$client>)) {
        last if $line !~ /^([^:]+):\s*(.*?)\r?\n/;
        $header{lc $1} = $2;
    }
    my $body = '';
    read $client, $body, $header{'content-length'} if $header{'content-length'};
    return ($method, $target, \%header, $body);
}

sub form {
    my %form;
    for (split /&/, $_[0]) {
        my ($name, $value) = map { s/\+/ /gr =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger }
            split /=/, $_, 2;
        $form{$name} = $value if defined $value;
    }
    return \%form;
}

sub escape {
    my ($text) = @_;
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    return $text =~ s/([&<>"])/$entity{$1}/gr;
}

# A page of the site's look.
sub page {
    my ($title, $content) = @_;
    return ('200 OK', ['Content-Type' => 'text/html; charset=utf-8'], <<"EOF");
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<link rel="stylesheet" href="/style.css">
<main class="card">
<h1>$title</h1>
$content</main>
</html>
EOF
}

1;
