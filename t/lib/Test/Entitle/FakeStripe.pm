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
# A whole account, as an operator's tool sees it:
#
#   my $stripe = Test::Entitle::FakeStripe->new($site, account => 1);
#   $stripe->put('/v1/subscriptions', {...}, ...);     # newest first; by id, so
#   $stripe->drop('/v1/subscriptions', 'sub_1');       # that put() may change one
#   $stripe->fault('/v1/subscriptions', status => 500, from => 2, times => 1);
#   $stripe->skew(3600);               # its clock is ahead by so much
#
# Its lists know `customer`, `status`, `created[gte]`, `type`, `types[]`,
# `charge`, `payment_intent`, `subscription` and `delivery_success`, and each
# object has its own path. A member may be [id, JSON text]: it is given as it is.
# A ping of the event destination ed_1 is the event evt_ed_1: sending it is the test's.
# Here a fault is of a path that begins so. What is asked for between two changes
# is answered by what there is then.
#
# That npm's official SDK takes it for Stripe: t/sdk/stripe.t.

use strict;
use warnings;

use Carp qw(croak);
use JSON::PP ();
use POSIX qw(strftime);
use Test::Entitle::GateApp;
use Time::HiRes ();

our $KEY = 'rk_test_fake';

my $JSON = JSON::PP->new->canonical;

sub new {
    my ($class, $site, %o) = @_;
    my $self = bless { lists => {}, faults => {}, events => 0 }, $class;
    # Another process answers: what it shall know is in this file.
    $o{file} = $self->{file} = $site->dir . '/stripe.json' if $o{account};
    $self->_save if $o{account};
    $self->{app} = Test::Entitle::GateApp->new($site, sub { _answer($_[0], \%o) });
    return $self;
}

sub url { return 'http://127.0.0.1:' . $_[0]->port }

sub _save {
    my ($self) = @_;
    open my $out, '>', "$self->{file}.new" or croak "$self->{file}: $!";
    print $out $JSON->encode({ lists => $self->{lists}, faults => $self->{faults},
            skew => $self->{skew} // 0, change => ++$self->{changes} });
    close $out or croak "$self->{file}: $!";
    rename "$self->{file}.new", $self->{file} or croak "$self->{file}: $!";
    return;
}

sub _id { return ref $_[0] eq 'ARRAY' ? $_[0][0] : $_[0]{id} }

sub put {
    my ($self, $list, @members) = @_;
    my %new = map { _id($_) => $_ } @members;
    my $all = $self->{lists}{$list} //= [];
    $_ = delete $new{ _id($_) } // $_ for @$all;
    unshift @$all, grep { defined } map { delete $new{ _id($_) } } @members;
    $self->_save;
    return;
}

sub drop {
    my ($self, $list, $id) = @_;
    @{ $self->{lists}{$list} } = grep { _id($_) ne $id } @{ $self->{lists}{$list} };
    $self->_save;
    return;
}

# Without anything that happens it is well again.
sub fault {
    my ($self, $path, %fault) = @_;
    if (%fault) { $self->{faults}{$path} = \%fault }
    else        { delete $self->{faults}{$path} }
    $self->_save;
    return;
}

# By how many seconds its clock is ahead.
sub skew {
    my ($self, $seconds) = @_;
    $self->{skew} = $seconds;
    $self->_save;
    return;
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
        headers => ['Content-Type' => 'application/json', _date(),
            'Request-Id' => sprintf 'req_Fake%06d', ++$requests] };
}

my $skew = 0;
sub _date { return (Date => strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime time + $skew)) }

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
    my $error = _error($fault->{status}, $fault->{message} // 'Stripe is not well', defined $code ? (code => $code) : ());
    push @{ $error->{headers} }, @{ $fault->{headers} // [] };
    return $error;
}

# --- an account --------------------------------------------------------------

my %known;    # in the process that answers

sub _account {
    my ($o) = @_;
    my @about = Time::HiRes::stat($o->{file});
    if ("@about[1, 7, 9]" ne ($known{about} // '')) {
        open my $in, '<', $o->{file} or die "$o->{file}: $!";
        local $/;
        my $read = $JSON->decode(readline $in);
        # What is left of a fault is known here alone.
        %known = (about => "@about[1, 7, 9]", lists => { %{ $o->{lists} // {} }, %{ $read->{lists} } }, faults => $read->{faults},
            skew => $read->{skew});
    }
    return \%known;
}

my %FILTER = (
    'created[gte]' => sub { $_[0]{created} >= $_[1] },
    'created[lte]' => sub { $_[0]{created} <= $_[1] },
    type           => sub { $_[0]{type} eq $_[1] },
    delivery_success => sub { ($_[0]{pending_webhooks} ? 'false' : 'true') eq $_[1] },
    (map { my $m = $_; ($m => sub { my $v = $_[0]{$m}; $v = $v->{id} if ref $v;
                defined $v && $v eq $_[1] }) } qw(customer charge payment_intent subscription)),
    active => sub { ($_[0]{active} ? 'true' : 'false') eq $_[1] },
);

# Stripe leaves out what is canceled unless it is asked for it.
sub _has_status {
    my ($path, $member, $status) = @_;
    return 1 if defined $status && $status eq 'all';
    return ($member->{status} // '') eq $status if defined $status;
    return $path ne '/v1/subscriptions' || $member->{status} ne 'canceled';
}

sub _filtered {
    my ($path, $list, $args) = @_;
    my $status = delete $args->{status};
    my %types = map { (delete $args->{$_}) => 1 } grep { /^types\[\d*\]$/ } keys %$args;
    my %wanted = map { exists $FILTER{$_} ? ($_ => delete $args->{$_}) : () } keys %$args;
    return grep {
        my $member = $_;
        ref $member eq 'ARRAY' || (_has_status($path, $member, $status)
            && (!%types || $types{ $member->{type} })
            && !grep { !$FILTER{$_}->($member, $wanted{$_}) } keys %wanted)
    } @$list;
}

sub _with_id {
    my ($account, $id) = @_;
    for my $list (values %{ $account->{lists} }) {
        for (@$list) { return $_ if _id($_) eq $id }
    }
    return;
}

# A list, an object of one, or null: neither.
sub _of_account {
    my ($path, $args, $o) = @_;
    my $account = _account($o);
    return { list => [_filtered($path, $account->{lists}{$path} // [], $args)] }
        if $path =~ m{^/v1/(?:subscriptions|invoices|refunds|disputes|charges|events|prices|checkout/sessions|webhook_endpoints)$};
    my ($list, $id) = $path =~ m{^(.*)/(\w+)$} or return;
    my ($object) = grep { _id($_) eq $id } @{ $account->{lists}{$list} // [] };
    return $object ? { object => $object } : undef;
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

# Fault first; then lists as they are given to new(), by what the account has.
sub _answer_of_account {
    my ($path, $args, $r, $o) = @_;
    my $account = _account($o);
    $skew = $account->{skew} // 0;
    my $found = _of_account($path, $args, $o);
    my $page = 1;
    if ($found && $found->{list} && defined(my $after = $args->{starting_after})) {
        my ($at) = grep { _id($found->{list}[$_]) eq $after } 0 .. $#{ $found->{list} };
        $page = 1 + int((1 + ($at // 0)) / ($o->{page} // $args->{limit} // 10));
    }
    for my $begin (sort keys %{ $account->{faults} }) {
        next if index($r->{uri}, $begin) != 0;
        my $answer = _fault($account->{faults}{$begin}, $page);
        return $answer if $answer;
    }
    my $object_of = sub { _with_id($account, $_[0]) };
    # Made, and told with its secret; nothing lists it.
    return _json(200, { id => 'we_made', object => 'webhook_endpoint', secret => 'whsec_made' })
        if $path eq '/v1/webhook_endpoints' && $r->{method} eq 'POST';
    return _json(200, { data => $account->{lists}{$path} // [], next_page_url => undef })
        if $path eq '/v2/core/event_destinations';
    return _json(200, { id => "evt_$1", object => 'v2.core.event', type => 'v2.core.event_destination.ping' })
        if $path =~ m{^/v2/core/event_destinations/(\w+)/ping$};
    if (!$found) {
        my ($id) = $path =~ m{(\w+)$};
        return _error(404, "No such object: '$id'", param => 'id', code => 'resource_missing');
    }
    return _page($found->{list}, $path, $args, $o, $object_of) if $found->{list};
    my ($copy) = map { $JSON->decode($JSON->encode($_)) } $found->{object};
    _expand_by($copy, [split /\./], $object_of)
        for map { delete $args->{$_} } grep { /^expand\[\d*\]$/ } sort keys %$args;
    return _json(200, $copy);
}

# Members that are JSON text already are given as they are.
sub _page {
    my ($list, $path, $args, $o, $object_of) = @_;
    my %at;
    my $part = _part($args, [map { { id => _id($_) } } @$list]);
    return $part if !$part->{limit};
    if (my ($unknown) = sort keys %$args) {
        return _error(400, "Received unknown parameter: $unknown", param => $unknown,
            code => 'parameter_unknown');
    }
    my $size  = $o->{page} // $part->{limit};
    my $first = ($part->{starting_after} // -1) + 1;
    my $last  = $first + $size - 1;
    $last = $#$list if $last > $#$list;
    my @texts = map {
        ref $_ eq 'ARRAY' ? $_->[1] : do {
            my $copy = $JSON->decode($JSON->encode($_));
            _expand_by({ data => $copy }, [split /\./], $object_of) for @{ $part->{expand} };
            $JSON->encode($copy);
        }
    } @{$list}[$first .. $last];
    my $more = $last < $#$list ? 'true' : 'false';
    return { status => 200, headers => ['Content-Type' => 'application/json', _date()],
        body => sprintf '{"object":"list","url":"%s","has_more":%s,"data":[%s]}',
        $path, $more, join ',', @texts };
}

sub _expand_by {
    my ($at, $steps, $object_of) = @_;
    return map { _expand_by($_, $steps, $object_of) } @$at if ref $at eq 'ARRAY';
    return if ref $at ne 'HASH';
    my ($step, @further) = @$steps;
    return _expand_by($at->{$step}, \@further, $object_of) if @further;
    $at->{$step} = $object_of->($at->{$step}) // $at->{$step}
        if defined $at->{$step} && !ref $at->{$step};
    return;
}

sub _answer {
    my ($r, $o) = @_;
    my ($path, $query) = split /\?/, $r->{uri}, 2;
    my %args = map { s/%([0-9A-Fa-f]{2})/chr hex $1/ger } map { split /=/, $_, 2 }
        split /&/, $query // '';
    return _error(401, 'Invalid API Key provided: rk_test_****')
        if (join '', Test::Entitle::GateApp::header($r, 'Authorization')) ne "Bearer $KEY";
    return _answer_of_account($path, \%args, $r, $o) if $o->{file};
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
