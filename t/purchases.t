# What a purchase is known by and for how long, from the webhook to the door:
# quantities, lookup keys that move, invoices, payments by themselves, accounts
# of an organisation, and customers of two names. The oracle is docs/stripe.md.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site  = Test::Entitle->new(workers => 2);
my $redis = $site->redis;
$site->write_file("html/$_", $_) for qw(pro keyed once theirs);
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
entitle_grant keyed lookup_key=pro_monthly;
entitle_grant once price_1Fx000000000000000ONCE metadata.sku=lifetime;
entitle_grant theirs acct_1FxOrg/prod_FxPRO000001;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    location = /webhook {
        entitle_webhook test;
        entitle_webhook_secret_file %%SECRET%%;
        entitle_webhook_account acct_1FxOrg;
    }
    location = /pro    { entitle_require pro;    add_header X-Reason $entitle_reason always; }
    location = /keyed  { entitle_require keyed;  add_header X-Reason $entitle_reason always; }
    location = /once   { entitle_require once;   add_header X-Reason $entitle_reason always; }
    location = /theirs { entitle_require theirs; add_header X-Reason $entitle_reason always; }
}
EOF

# A story is one user's, with a customer, a subscription and a payment of its own.
# Fixtures tell of the days after their now; all of it has happened.
my $SINCE = time - 20 * 86400;
my ($user, $shape, $n) = ('', '', 0);
sub story { ($user, $shape) = (@_, '2026-07-29.dahlia'); $n++; $user = "$n $user $shape"; return }

sub event {
    my ($fixture, %change) = @_;
    my ($kind) = $fixture =~ /^(refund|charge\.dispute|charge|checkout|customer\.subscription
        |invoice_payment|invoice|payment_intent)/x;
    my %id = (refund => 're', charge => 'ch', 'charge.dispute' => 'du', checkout => 'cs_test',
        'customer.subscription' => 'sub', invoice => 'in', invoice_payment => 'inpay', payment_intent => 'pi');
    my %about = ('data.object.id' => "$id{$kind}_$n");
    $about{'data.object.customer'} = "cus_$n" if $kind !~ /dispute|invoice_payment/
        && !($kind eq 'refund' && $shape =~ /^2024/);
    $about{'data.object.payment_intent'} = "pi_$n" if $kind =~ /^(?:refund|charge|checkout)/
        || $kind eq 'invoice' && $shape =~ /^2024/;
    $about{'data.object.charge'} = "ch_$n" if $kind =~ /^(?:refund|charge\.dispute)$/
        || $kind eq 'invoice' && $shape =~ /^2024/;
    if ($kind eq 'invoice_payment') {
        $about{'data.object.invoice'} = "in_$n";
        $about{'data.object.payment.payment_intent'} = "pi_$n";
    }
    return event_json("$shape/$fixture.json", now => $SINCE, user => $user, %about, %change);
}

sub told {
    my $answer = $site->webhook(event(@_));
    like $answer->status, qr/^20[02]$/, "$user: $_[0] is stored" or diag $answer->body;
    return $answer->json;
}

# 'in', or the reason for the 402.
sub door {
    my ($door, $expected, $when) = @_;
    my $answer = $site->get("/$door", 'X-User' => $user);
    my $said = $answer->status == 200 ? 'in'
        : $answer->status == 402 ? $answer->header('X-Reason') : $answer->status;
    is $said, $expected, "$user: $when: $door";
}

my @SHAPES = qw(2024-06-20 2026-07-29.dahlia);
my $ITEM = 'data.object.items.data.0';
my ($CREATED, $UPDATED) = map { "customer.subscription.$_" } 'created.active', 'updated.metadata_only';

# Events of one subscription one second after the other.
sub later { my ($seconds) = @_; return (created => $SINCE + 3600 + $seconds) }

# --- quantities ---------------------------------------------------------------------

for my $of (@SHAPES) {
    story('none_of_it', $of);
    told($CREATED, "$ITEM.quantity" => 0);
    door('pro', 'not_entitled', 'an item of which there is none');
    told($UPDATED, "$ITEM.quantity" => 2, later(1));
    door('pro', 'in', 'two of it');
    told($UPDATED, "$ITEM.quantity" => 0, later(2));
    door('pro', 'not_entitled', 'none any more');

    story('metered', $of);
    my $event = JSON::PP::decode_json(event($CREATED));
    delete $event->{data}{object}{items}{data}[0]{quantity};
    $event->{data}{object}{items}{data}[0]{price}{recurring}{usage_type} = 'metered';
    is $site->webhook(JSON::PP::encode_json($event))->json->{outcome}, 'applied', 'of a metered one';
    door('pro', 'in', 'nobody says how many');
}

# --- lookup keys that move -----------------------------------------------------------

for my $of (@SHAPES) {
    my $key = "$ITEM.price.lookup_key";
    story('bought_by_its_key', $of);
    told($CREATED);
    door('keyed', 'in', 'bought');
    told('customer.subscription.updated.renewed', $key => undef);
    door('keyed', 'in', 'renewed when another price has the key');
    told($UPDATED, $key => undef, "$ITEM.price.id" => 'price_other', "$ITEM.price.product" => 'prod_other',
        later(31 * 86400));
    door('keyed', 'not_entitled', 'with another price');

    story('came_after_the_key_had_moved', $of);
    told($CREATED, $key => undef);
    door('pro',   'in',           'bought by its product');
    door('keyed', 'not_entitled', 'but not by the key');
}

# --- invoices for no subscription ------------------------------------------------------

# In which order what was bought, its payment and what became of that are told.
my $INVOICE = 'invoice.paid.no_subscription';
for my $of (@SHAPES) {
    my @paid = $of =~ /^2024/ ? ($INVOICE) : ($INVOICE, 'invoice_payment.paid');
    my $tell = sub {
        my ($name, %change) = @_;
        return told($name, %change, $name eq $INVOICE
            ? ('data.object.metadata' => { user_id => $user }) : ());
    };
    for my $order ([@paid], [reverse @paid]) {
        story("an_invoice_paid (@$order)", $of);
        $tell->($_) for @$order;
        door('once', 'in', 'paid');
        $tell->('charge.dispute.created');
        door('once', 'disputed', 'in dispute');
        $tell->('charge.dispute.closed.won');
        door('once', 'in', 'won');
        $tell->('charge.refunded.full', created => time - 120);
        door('once', 'refunded', 'given back');
        $tell->('refund.failed', created => time - 60);
        door('once', 'in', 'which failed');
    }
    for my $first ('charge.dispute.created', 'charge.refunded.full') {
        for my $order ([@paid], [reverse @paid]) {
            story("an_end_that_comes_first: $first (@$order)", $of);
            $tell->($_) for $first, @$order;
            door('once', $first =~ /dispute/ ? 'disputed' : 'refunded', 'it is over');
        }
    }
}

# --- a payment by itself -------------------------------------------------------------------

for my $of (@SHAPES) {
    for my $metadata (1, 0) {    # its own, or the customer's
        story('a_payment_with_metadata' . ($metadata ? '' : ', of a customer'), $of);
        my %sku = ('data.object.metadata' => { sku => 'lifetime', $metadata ? (user_id => $user) : () });
        if (!$metadata) {
            is told('payment_intent.succeeded', %sku)->{outcome}, 'parked', 'it names nobody';
            told('checkout.session.completed.payment', 'data.object.id' => "cs_other$n",
                'data.object.payment_intent' => "pi_other$n", 'data.object.payment_link' => undef);
        } else {
            is_deeply told('payment_intent.succeeded', %sku)->{unlocks}, ['once'], 'it opens';
        }
        door('once', 'in', 'paid');
        told('charge.refunded.partial', created => time - 200);
        door('once', 'in', 'a part of it given back');
        told('charge.refunded.full', created => time - 120);
        door('once', 'refunded', 'given back');
        told('refund.failed', created => time - 60);
        door('once', 'in', 'which failed');
        told('charge.dispute.created');
        door('once', 'disputed', 'in dispute');
        told('charge.dispute.closed.won');
        door('once', 'in', 'won');
    }

    # Without a customer everything is kept with the payment.
    story('a_payment_of_a_guest', $of);
    my %guest = ('data.object.customer' => undef);
    told('charge.dispute.created');
    told('payment_intent.succeeded', %guest, 'data.object.metadata' => { sku => 'lifetime', user_id => $user });
    door('once', 'disputed', 'the dispute came first');
    told('charge.dispute.closed.won');
    door('once', 'in', 'won');
}

# --- captured by hand ------------------------------------------------------------------------

for my $of (@SHAPES) {
    for my $guest (0, 1) {
        my %customer = $guest ? ('data.object.customer' => undef) : ();
        my @events = (
            ['checkout.session.completed.payment', %customer, 'data.object.payment_status' => 'unpaid',
                'data.object.payment_link' => undef, 'data.object.metadata' => { sku => 'lifetime' }],
            ['payment_intent.succeeded', %customer, 'data.object.capture_method' => 'manual',
                'data.object.metadata' => {}]);
        for my $order ([0, 1], [1, 0]) {
            story("captured_by_hand (@$order)" . ($guest ? ', of a guest' : ''), $of);
            told(@{ $events[$order->[0]] });
            door('once', $order->[0] ? 'not_entitled' : 'not_paid', 'one of two events');
            told(@{ $events[$order->[1]] });
            door('once', 'in', 'captured');
            told('charge.dispute.created');
            door('once', 'disputed', 'in dispute');
            told('charge.dispute.closed.won');
            door('once', 'in', 'won');
            told('charge.refunded.full', %customer, created => time - 60);
            door('once', 'refunded', 'given back');
        }
    }
}

# --- accounts of an organisation -----------------------------------------------------------------

story('an_organisations');
is told($CREATED, context => 'acct_2')->{outcome}, 'account_not_allowed', 'another shop of it';
door($_, 'not_entitled', 'what that sells') for qw(pro keyed theirs);
is_deeply [grep { /\{/ } $redis->keys("*cus_$n}*")], [], 'nothing of it is stored';
is told($CREATED, context => 'acct_1FxOrg')->{outcome}, 'applied', 'one that is listed';
door('theirs', 'in', 'what that sells opens what is granted for it');
door($_, 'not_entitled', 'and nothing of our own') for qw(pro keyed);
is told($CREATED, context => undef)->{outcome}, 'applied', 'and ours';
door('pro', 'in', 'opens our own');

# --- a customer of two names ------------------------------------------------------------------------

my $session = 'checkout.session.completed.subscription';
for my $order (['named first', 0, 1], ['named last', 1, 0]) {
    my ($when, @order) = @$order;
    story("two_names, $when");
    my %account = ('data.object.customer_account' => "acct_1Twice$n");
    my @events = ([$session, %account],
        [$CREATED, %account, 'data.object.customer' => undef, 'data.object.metadata' => {}]);
    told(@{ $events[$_] }) for @order;
    door('pro', 'in', 'the subscription is the customer\'s by either name');
    is $redis->command('ZSCORE', 'entitle:test:parked', "acct_1Twice$n"), undef, 'nothing waits any more';
    is $redis->hgetall("entitle:test:{p:acct_1Twice$n}")->{to}, "p:cus_$n", 'one is part of the other';
    told('customer.subscription.deleted', %account, 'data.object.metadata' => {});
    door('pro', 'ended', 'and ends by either');
}

$site->expect_log(qr/account_not_allowed/);
done_testing;
