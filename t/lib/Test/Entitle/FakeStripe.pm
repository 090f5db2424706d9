package Test::Entitle::FakeStripe;

# As much of Stripe's API as is asked by entitle_stripe_request: lists, in pages,
# of what was given to new(), for a key that may read them; and how it fails.
#
#   my $stripe = Test::Entitle::FakeStripe->new($site,
#       lists  => { '/v1/checkout/sessions/cs_1/line_items' => [...],
#                   '/v1/subscription_items?subscription=sub_1' => [...] },
#       faults => { cs_2 => { status => 429 } });
#   $stripe->location                  # location /stripe/ { ... }
#   $stripe->asked                     # "/v1/...", in the order they came
#
# A fault is of the object whose id is in what is asked: status (an error of
# Stripe's with it), permission (403 that names it), raw (bytes), hang; only from
# page `from` on (1), and only the first `times`.

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
    my ($self, $key) = @_;
    $key //= $KEY;
    return 'location /stripe/ { internal; proxy_pass http://127.0.0.1:' . $self->port . '/; '
        . qq{proxy_set_header Authorization "Bearer $key"; proxy_set_header Host api.stripe.com; }
        . 'proxy_connect_timeout 2s; proxy_read_timeout 2s; }';
}

sub _error {
    my ($status, $message, %more) = @_;
    return { status => $status, headers => ['Content-Type' => 'application/json'],
        body => $JSON->encode({ error => { message => $message,
                    type => 'invalid_request_error', %more } }) };
}

sub _fault {
    my ($fault, $page) = @_;
    return if $page < ($fault->{from} // 1);
    return if defined $fault->{times} && $fault->{times}-- <= 0;
    return { hang => 1 } if $fault->{hang};
    return { raw => $fault->{raw} } if defined $fault->{raw};
    return _error(403, "The provided key 'rk_test_****fake' does not have the required permissions "
            . "for this endpoint on account 'acct_1'. Having the '$fault->{permission}' permission "
            . 'would allow this request to continue.') if $fault->{permission};
    return _error($fault->{status}, 'Stripe is not well') if $fault->{status};
    return;
}

sub _answer {
    my ($r, $o) = @_;
    my ($path, $args) = split /\?/, $r->{uri}, 2;
    my %args = map { split /=/, $_, 2 } split /&/, $args // '';
    return _error(401, 'Invalid API Key provided')
        if (join '', Test::Entitle::GateApp::header($r, 'Authorization')) ne "Bearer $KEY";
    my $limit = delete $args{limit}          // 10;
    my $after = delete $args{starting_after} // '';
    my $name  = join '?', $path, map { "$_=$args{$_}" } sort keys %args;
    my $list  = $o->{lists}{$name};
    my $start = 0;
    if ($list && length $after) {
        ($start) = grep { $list->[$_ - 1]{id} eq $after } 1 .. @$list;
        return _error(400, "No such object: '$after'", code => 'resource_missing')
            if !$start;
    }
    for my $id (keys %{ $o->{faults} // {} }) {
        next if $r->{uri} !~ /\b\Q$id\E\b/;
        my $page = 1 + int($start / ($o->{page} // $limit));
        my $answer = _fault($o->{faults}{$id}, $page);
        return $answer if $answer;
    }
    return _error(404, 'No such object', code => 'resource_missing') if !$list;

    my $size = $o->{page} // $limit;    # smaller pages than asked for
    my $end  = $start + $size > @$list ? @$list : $start + $size;
    return { headers => ['Content-Type' => 'application/json'],
        body => $JSON->encode({ object => 'list', url => $path,
                data     => [@{$list}[$start .. $end - 1]],
                has_more => $end < @$list ? JSON::PP::true : JSON::PP::false }) };
}

1;
