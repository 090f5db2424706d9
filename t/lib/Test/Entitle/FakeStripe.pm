package Test::Entitle::FakeStripe;

# As much of Stripe's API as is asked by entitle_stripe_request: lists, in pages,
# of what was given to new(), for a key that may read them; and how it fails.
#
#   my $stripe = Test::Entitle::FakeStripe->new($site,
#       lists  => { '/v1/checkout/sessions/cs_1/line_items' => [...],
#                   '/v1/subscription_items?subscription=sub_1' => [...] },
#       objects => { prod_1 => {...} },      # what can be expanded
#       faults => { cs_2 => { status => 429 } });
#   $stripe->location                  # location /stripe/ { ... }
#   $stripe->location($key, 'proxy_buffering off;')
#   $stripe->asked                     # "/v1/...", in the order they came
#
# A fault is of the object whose id is in what is asked: status (an error of
# Stripe's with it, and with message and code), permission (403 that names it), raw
# (bytes), headers (beside the list), hang; only from page `from` on (1), and
# only the first `times`, or but for the first `after`.
#
# That npm's official SDK takes it for Stripe: t/sdk/stripe.t.

use strict;
use warnings;

use JSON::PP ();
use Test::Entitle::GateApp;

our $KEY = 'rk_test_fake';

my $JSON = JSON::PP->new->canonical;

sub new {
    my ($class, $site, %o) = @_;
    my $app = Test::Entitle::GateApp->new($site, sub { _answer($_[0], \%o) });
    return bless { app => $app, account => $o{account} }, $class;
}

sub port { $_[0]{app}->port }

sub asked { return map { $_->{uri} } $_[0]{app}->seen }

# The headers of the last one: name => value, names in lower case.
sub last_headers {
    my ($last) = (reverse $_[0]{app}->seen)[0];
    return { map { lc $_->[0] => $_->[1] } @{ $last->{headers} } };
}

sub location {
    my ($self, $key, $more) = @_;
    $key //= $KEY;
    $more //= '';
    return "location /stripe/ { internal; $more "
        . 'proxy_pass http://127.0.0.1:' . $self->port . '/; '
        . qq{proxy_set_header Authorization "Bearer $key"; proxy_set_header Host api.stripe.com; }
        . 'proxy_connect_timeout 2s; proxy_read_timeout 2s; }';
}

my $requests = 0;

sub _json {
    my ($status, $body) = @_;
    return { status => $status, body => $JSON->encode($body),
        headers => ['Content-Type' => 'application/json',
            'Request-Id' => sprintf 'req_Fake%06d', ++$requests] };
}

sub _error {
    my ($status, $message, %more) = @_;
    return _json($status, { error => { message => $message,
                type => $status >= 500 ? 'api_error' : 'invalid_request_error', %more } });
}

sub _fault {
    my ($fault, $page) = @_;
    return if $page < ($fault->{from} // 1);
    return if ($fault->{after} // 0) > 0 && $fault->{after}--;
    return if defined $fault->{times} && $fault->{times}-- <= 0;
    return { hang => 1 } if $fault->{hang};
    return { raw => $fault->{raw} } if defined $fault->{raw};
    return _error(403, "The provided key 'rk_test_****fake' does not have the required permissions "
            . "for this endpoint on account 'acct_1'. Having the '$fault->{permission}' permission "
            . 'would allow this request to continue.') if $fault->{permission};
    return if !$fault->{status};
    my $code = $fault->{code} // ($fault->{status} == 429 ? 'rate_limit' : undef);
    return _error($fault->{status}, $fault->{message} // 'Stripe is not well', defined $code ? (code => $code) : ());
}

# Takes what says which part of a list, and how, out of the arguments: the part,
# or the error that they are.
sub _part {
    my ($args, $list) = @_;
    my %part = (limit => delete $args->{limit} // 10,
        expand => [map { delete $args->{$_} } grep { /^expand\[\d*\]$/ } sort keys %$args]);
    return _error(400, "Invalid integer: $part{limit}", param => 'limit',
        code => 'parameter_invalid_integer') if $part{limit} !~ /^(?:[1-9]\d?|100)$/;
    for my $cursor (qw(starting_after ending_before)) {
        my $id = delete $args->{$cursor};
        next if !defined $id || !$list;
        ($part{$cursor}) = grep { $list->[$_]{id} eq $id } 0 .. $#$list;
        return _error(400, "No such object: '$id'", param => $cursor, code => 'resource_missing')
            if !defined $part{$cursor};
    }
    return \%part;
}

# `data.price.product`: what is an id there is the object.
sub _expand {
    my ($at, $steps, $objects) = @_;
    return map { _expand($_, $steps, $objects) } @$at if ref $at eq 'ARRAY';
    return if ref $at ne 'HASH';
    my ($step, @further) = @$steps;
    return _expand($at->{$step}, \@further, $objects) if @further;
    $at->{$step} = $objects->{ $at->{$step} } // $at->{$step} if defined $at->{$step};
    return;
}

sub _answer {
    my ($r, $o) = @_;
    my ($path, $query) = split /\?/, $r->{uri}, 2;
    my %args = map { s/%([0-9A-Fa-f]{2})/chr hex $1/ger } map { split /=/, $_, 2 }
        split /&/, $query // '';
    return _error(401, 'Invalid API Key provided: rk_test_****')
        if (join '', Test::Entitle::GateApp::header($r, 'Authorization')) ne "Bearer $KEY";
    my ($of) = grep { exists $args{$_} && exists $o->{lists}{"$path?$_=$args{$_}"} } keys %args;
    my $list = $o->{lists}{ defined $of ? "$path?$of=$args{$of}" : $path };
    delete $args{$of} if defined $of;
    my $part = _part(\%args, $list);
    return $part if !$part->{limit};

    my $size = $o->{page} // $part->{limit};    # smaller pages than asked for
    my $start = ($part->{starting_after} // -1) + 1;
    my @more;
    for my $id (keys %{ $o->{faults} // {} }) {
        next if $r->{uri} !~ /\b\Q$id\E\b/;
        push @more, @{ $o->{faults}{$id}{headers} // [] };
        my $answer = _fault($o->{faults}{$id}, 1 + int($start / $size));
        return $answer if $answer;
    }
    if (!$list) {
        my ($kind, $id) = $path =~ m{/(\w+?)s?/(\w+)/\w+$};
        return _error(404, "No such $kind: '$id'", param => $kind, code => 'resource_missing')
            if defined $id;
        return _error(404, 'No such object', code => 'resource_missing');
    }
    if (my ($unknown) = sort keys %args) {
        return _error(400, "Received unknown parameter: $unknown", param => $unknown,
            code => 'parameter_unknown');
    }
    my ($first, $last) = defined $part->{ending_before}
        ? ($part->{ending_before} - $size, $part->{ending_before} - 1) : ($start, $start + $size - 1);
    my $more = defined $part->{ending_before} ? $first > 0 : $last < $#$list;
    $first = 0 if $first < 0;
    $last = $#$list if $last > $#$list;
    my $data = $JSON->decode($JSON->encode([@{$list}[$first .. $last]]));
    _expand({ data => $data }, [split /\./], $o->{objects} // {}) for @{ $part->{expand} };
    return _json(200, { object => 'list', url => $path, data => $data,
            has_more => $more ? JSON::PP::true : JSON::PP::false }, @more);
}

1;
