# Until when what is paid for is given, as docs/stripe.md says it, from webhook to
# gate: both bounds of a cancellation, an end for each price, invoices alone, past
# due, and what says nowhere when it ends. In Stripe's shape before and since
# 2025-03-31.basil.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use List::Util qw(max);
use Test::Entitle;

my $site = Test::Entitle->new(workers => 2);
my $redis = $site->redis;
$site->write_file("html/$_", $_) for qw(pro base addon metered vip);
$site->start(<<'EOS');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grace 72h;
entitle_past_due_grace 7d;
entitle_grant pro     price_pro;
entitle_grant base    price_base;
entitle_grant addon   price_addon;
entitle_grant metered price_metered;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location ~ ^/(?<name>pro|base|addon|metered|vip)$ {
        entitle_require $name;
        add_header X-Reason $entitle_reason always;
        add_header X-Until $entitle_until always;
    }
}
EOS

my ($HOUR, $DAY) = (3600, 86400);
my $GRACE = 72 * $HOUR;
my $NOW = time;
sub in_days { return $NOW + int($_[0] * $DAY) }

# --- Stripe, in both shapes -----------------------------------------------------------

my ($basil, $user, $n) = (0, '', 0);

sub event {
    my ($type, $created, $object, $previous) = @_;
    return JSON::PP->new->canonical->utf8->encode({
        id => sprintf('evt_periods%04d', ++$n), object => 'event', type => $type,
        api_version => $basil ? '2025-08-27.basil' : '2024-06-20', created => $created,
        livemode => JSON::PP::false(), pending_webhooks => 1, request => undef,
        data => { object => $object, $previous ? (previous_attributes => $previous) : () } });
}

sub price { return { id => "price_$_[0]", object => 'price', product => "prod_$_[0]",
    recurring => { interval => 'month', interval_count => 1, usage_type => 'licensed' } } }

# items => [[name, end of its period], ...]; the rest are fields.
sub subscription {
    my ($type, $created, $items, %fields) = @_;
    my $previous = delete $fields{previous};
    my @ends = grep { defined } map { $_->[1] } @$items;
    return event("customer.subscription.$type", $created, {
        id => "sub_$user", object => 'subscription', customer => "cus_$user", status => 'active',
        metadata => { user_id => $user }, cancel_at => undef,
        cancel_at_period_end => JSON::PP::false(), ended_at => undef, trial_end => undef,
        (!$basil && @ends ? (current_period_end => max @ends) : ()),
        items => { object => 'list', has_more => JSON::PP::false(), data => [map {
            { id => "si_$_->[0]", object => 'subscription_item', quantity => 1, price => price($_->[0]),
              ($basil && defined $_->[1] ? (current_period_end => $_->[1]) : ()) } } @$items] },
        %fields }, $previous);
}

# [name, start, end, 'proration']
sub line {
    my ($name, $start, $end, $proration) = @_;
    my $is = $proration ? JSON::PP::true() : JSON::PP::false();
    my %line = (object => 'line_item', amount => $proration ? -500 : 1500,
        period => { start => $start, end => $end }, quantity => 1);
    return { %line, type => 'subscription', subscription => "sub_$user", price => price($name),
        proration => $is } if !$basil;
    return { %line, parent => { type => 'subscription_item_details',
            subscription_item_details => { proration => $is, subscription => "sub_$user" } },
        pricing => { type => 'price_details',
            price_details => { price => "price_$name", product => "prod_$name" } } };
}

# Invoices name nobody: the session does.
sub invoice {
    my ($issued, $lines, %fields) = @_;
    my $has_more = delete $fields{has_more} ? JSON::PP::true() : JSON::PP::false();
    return event('invoice.payment_succeeded', $issued + $HOUR, {
        id => "in_$user" . ++$n, object => 'invoice', customer => "cus_$user", status => 'paid',
        created => $issued, billing_reason => 'subscription_cycle',
        ($basil ? (parent => { type => 'subscription_details',
                subscription_details => { subscription => "sub_$user", metadata => {} } })
            : (subscription => "sub_$user")),
        period_start => $issued, period_end => $issued,
        lines => { object => 'list', has_more => $has_more, data => [map { line(@$_) } @$lines] },
        %fields });
}

sub session {
    my ($created, %fields) = @_;
    return event('checkout.session.completed', $created, {
        id => "cs_test_$user", object => 'checkout.session', mode => 'subscription',
        payment_status => 'paid', status => 'complete', client_reference_id => $user,
        customer => "cus_$user", subscription => "sub_$user", metadata => {}, %fields });
}

# --- the site -------------------------------------------------------------------------

sub story { $user = $_[0] . ($basil ? '_new' : '_old') }

sub told {
    my ($event, $outcome) = @_;
    my $answer = $site->webhook($event);
    is $answer->json->{outcome}, $outcome // 'applied', "$user: stored" or diag $answer->body;
}

sub asked { return $site->get("/$_[0]", 'X-User' => $user) }

# Until when the user is let in.
sub is_in {
    my ($name, $until, $why) = @_;
    my $answer = asked($name);
    is $answer->status, 200, "$user: $why: $name is in" or diag $answer->header('X-Reason');
    is $answer->header('X-Until'), $until, '  until that';
}

sub is_out {
    my ($name, $reason, $why) = @_;
    my $answer = asked($name);
    is $answer->status, 402, "$user: $why: $name is out";
    is $answer->header('X-Reason'), $reason, '  for that';
}

# --- both bounds ------------------------------------------------------------------------

sub cancellations {
    story('cancel_at_in_eleven_months');
    my %cancelled = (cancel_at => in_days(330));
    told(subscription('updated', in_days(-10), [[pro => in_days(20)]], %cancelled));
    is_in('pro', in_days(20) + $GRACE, 'a month is a month');

    story('cancel_at_in_eleven_months_and_nobody_renewed');
    told(subscription('updated', in_days(-35), [[pro => in_days(-4)]], %cancelled));
    is_out('pro', 'ended', 'the month and its grace are over');
    told(subscription('updated', in_days(-3), [[pro => in_days(27)]], %cancelled));
    is_in('pro', in_days(27) + $GRACE, 'renewed after all');

    story('cancel_at_within_the_grace');
    told(subscription('updated', in_days(-10), [[pro => in_days(20)]], cancel_at => in_days(21)));
    is_in('pro', in_days(21), 'sharp');

    story('cancelled_at_the_end_of_the_period');
    told(subscription('updated', in_days(-10), [[pro => in_days(20)]],
        cancel_at_period_end => JSON::PP::true(), cancel_at => in_days(20)));
    is_in('pro', in_days(20), 'sharp');
}

# --- an end for each price ----------------------------------------------------------------

sub addons {
    story('an_addon_that_is_paid_once');
    told(session(in_days(-40)));
    told(invoice(in_days(-40), [[base => in_days(-40), in_days(325)], [addon => in_days(-40), in_days(-10)]],
        billing_reason => 'subscription_create'));
    is_in('base', in_days(325) + $GRACE, 'paid for a year');
    is_out('addon', 'ended', 'the add-on was for a month');
    told(invoice(in_days(-10), [[addon => in_days(-10), in_days(20)]]));
    is_in('addon', in_days(20) + $GRACE, 'and for one more');
    is_in('base', in_days(325) + $GRACE, 'which says nothing of the year');

    return if !$basil;  # before there was one period for all
    story('an_addon_among_the_items');
    told(subscription('created', in_days(-40), [[base => in_days(325)], [addon => in_days(-10)]],
        metadata => { user_id => $user, entitlements => 'vip' }));
    is_in('base', in_days(325) + $GRACE, 'each item has its own end');
    is_out('addon', 'ended', 'so this one is over');
    is_in('vip', in_days(325) + $GRACE, 'what is said of all holds as long as the last');
    told(invoice(in_days(-10), [[addon => in_days(-10), in_days(20)]]));
    is_in('addon', in_days(20) + $GRACE, 'its invoice is for it');
    is_in('base', in_days(325) + $GRACE, 'alone');
}

# --- three events are enough ----------------------------------------------------------------

sub three_events {
    my $month = 31 * $DAY;  # what a cycle of 30 days is renewed by, at most
    my @ten = map { [seat => in_days(-25), in_days(-10), 'proration'] } 1 .. 10;

    story('ten_prorations_hide_the_plan');
    told(session(in_days(-40)));
    told(invoice(in_days(-40), [[pro => in_days(-40), in_days(-10)]], billing_reason => 'subscription_create'));
    is_out('pro', 'ended', 'the month is over');
    told(invoice(in_days(-10), \@ten, has_more => 1, period_start => in_days(-40), period_end => in_days(-10)));
    is asked('pro')->status, 200, "$user: it goes on";
    my $until = asked('pro')->header('X-Until') // 0;
    cmp_ok $until, '>=', in_days(-10) + 27 * $DAY + $GRACE, '  for a month';
    cmp_ok $until, '<=', in_days(-10) + $month + $GRACE, '  and no longer';
    told(subscription('deleted', in_days(-1), [[pro => in_days(20)]], status => 'canceled',
        ended_at => in_days(-1), metadata => {}));
    is_out('pro', 'ended', 'cancelled');

    story('billed_in_arrears');
    told(session(in_days(-40)));
    told(invoice(in_days(-10), [[metered => in_days(-40), in_days(-10)]]));
    is asked('metered')->status, 200, "$user: it goes on being used";
    $until = asked('metered')->header('X-Until') // 0;
    cmp_ok $until, '>=', in_days(-10) + 27 * $DAY + $GRACE, '  for a month';
    cmp_ok $until, '<=', in_days(-10) + $month + $GRACE, '  and no longer';

    story('an_invoice_that_is_not_paid');
    told(session(in_days(-40)));
    told(invoice(in_days(-40), [[pro => in_days(-40), in_days(-10)]]));
    told(invoice(in_days(-10), [[pro => in_days(-10), in_days(20)]], status => 'open'), 'ignored');
    is_out('pro', 'ended', 'extends nothing');

    for my $order ('in_order', 'invoice_first') {
        story("created_incomplete_and_paid_$order");
        my @events = (subscription('created', in_days(-1), [[pro => in_days(29)]], status => 'incomplete'),
            invoice(in_days(-1), [[pro => in_days(-1), in_days(29)]], billing_reason => 'subscription_create'));
        if ($order eq 'in_order') {
            told(shift @events);
            is_out('pro', 'not_paid', 'not paid yet');
        }
        if ($order eq 'invoice_first') {
            told(pop @events, 'parked');
        }
        told($_) for @events;
        is_in('pro', in_days(29) + $GRACE, 'paid, and nobody says that it is active');
    }
}

# --- past due --------------------------------------------------------------------------------

sub dunning {
    my ($from) = @_;
    my @items = ([[pro => in_days(-9)]]);
    for my $k (1 .. 12) {
        told(subscription('updated', $from + $k * 600, @items, status => 'past_due',
            metadata => { user_id => $user, try => "$k" },
            previous => { metadata => { try => $k - 1 . '' } }));
    }
}

sub past_due {
    my @items = ([[pro => in_days(-9)]]);
    my %turned = (status => 'past_due', previous => { status => 'active' });

    story('past_due_and_told_again_and_again');
    told(subscription('updated', in_days(-40), @items));
    told(subscription('updated', in_days(-3), @items, %turned));
    is_in('pro', in_days(4), 'seven days from when it turned');
    dunning(in_days(-1));
    is_in('pro', in_days(4), 'it does not slide');

    story('past_due_for_too_long');
    told(subscription('updated', in_days(-40), @items));
    told(subscription('updated', in_days(-8), @items, %turned));
    is_out('pro', 'past_due_over', 'eight days ago');
    dunning(in_days(-1));
    is_out('pro', 'past_due_over', 'nor does it begin anew');

    story('past_due_and_its_beginning_was_lost');
    told(subscription('updated', in_days(-40), @items));
    dunning(in_days(-1));
    is_out('pro', 'past_due_over', 'at the earliest as the period ended');
}

# --- what is not said ------------------------------------------------------------------------

sub nothing_said {
    story('provisional_off_and_stripes_clock_ahead');
    told(session($NOW + 200, metadata => { entitlements => 'vip' }));
    is_out('vip', 'not_paid', 'off is off');

    story('no_end_is_known');
    my $before = $redis->command(HGET => 'entitle:test:webhook', 'assumed_ends') // 0;
    told(subscription('updated', in_days(-10), [['pro']]));
    is_in('pro', in_days(-10) + 31 * $DAY + $GRACE, 'for its price\'s interval');
    told(invoice(in_days(-9), [[pro => in_days(-9), in_days(3)]]));
    is_in('pro', in_days(3) + $GRACE, 'until an invoice says it');
    story('no_end_is_known_for_long');
    told(subscription('updated', in_days(-35), [['pro']]));
    is_out('pro', 'ended', 'not for ever');
    is $redis->command(HGET => 'entitle:test:webhook', 'assumed_ends'), $before + 2, 'both are counted';
}

for my $shape (0, 1) {
    $basil = $shape;
    cancellations();
    addons();
    three_events();
    past_due();
    nothing_said();
}
ok $site->wait_for_log(qr/\[warn\].* so its end is assumed/), 'no end known is warned of';

done_testing;
