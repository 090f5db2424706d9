# One customer, several owners: what becomes of an invoice's payment is of whoever
# has what the invoice sold, in whichever order it is told, and not of the customer's
# owner. The oracle is docs/stripe.md, "Several organisations, and gifts".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
$site->redis;
$site->write_file("html/$_", $_) for qw(pro once);
$site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
entitle_grant once price_1Fx000000000000000ONCE;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /pro  { entitle_require pro;  add_header X-Reason $entitle_reason always; }
    location = /once { entitle_require once; add_header X-Reason $entitle_reason always; }
}
EOF_CONF

my $SINCE = time - 20 * 86400;
my @SHAPES = qw(2024-06-20 2026-07-29.dahlia);
my ($n, $shape) = (0, '');

# A story has a customer, an invoice and a payment of its own. The customer is the
# agency's, what is bought is the client's.
sub story { $shape = shift; $n++; return }
sub client { return "client$n" }
sub agency { return "agency$n" }

sub told {
    my ($fixture, %change) = @_;
    my %about;
    %about = ('data.object.customer' => "cus_$n") if $fixture !~ /^(?:charge\.dispute|invoice_payment)/;
    %about = ('data.object.id' => "ch_$n", %about, 'data.object.payment_intent' => "pi_$n",
        $shape =~ /^2024/ ? ('data.object.invoice' => undef) : ()) if $fixture =~ /^charge\.refunded/;
    %about = ('data.object.id' => "du_$n", 'data.object.charge' => "ch_$n", 'data.object.payment_intent' => "pi_$n")
        if $fixture =~ /^charge\.dispute/;
    %about = ('data.object.id' => "in_$n", %about,
        $shape =~ /^2024/ ? ('data.object.payment_intent' => "pi_$n", 'data.object.charge' => "ch_$n") : ())
        if $fixture =~ /^invoice\.paid/;
    %about = ('data.object.invoice' => "in_$n", 'data.object.payment.payment_intent' => "pi_$n")
        if $fixture =~ /^invoice_payment/;
    my $answer = $site->webhook(event_json("$shape/$fixture.json", now => $SINCE, %about, %change));
    like $answer->status, qr/^20[02]$/, "$shape, $n: $fixture is stored" or diag $answer->body;
    return $answer->json;
}

sub door {
    my ($user, $door, $expected, $when) = @_;
    my $answer = $site->get("/$door", 'X-User' => $user);
    my $said = $answer->status == 200 ? 'in'
        : $answer->status == 402 ? $answer->header('X-Reason') : $answer->status;
    is $said, $expected, "$shape, $n: $when: $user, /$door";
}

sub customer_of_the_agency {
    told('customer.created', 'data.object.id' => "cus_$n", 'data.object.metadata' => { user_id => agency() });
    return;
}

# What is told of the invoice, by name.
my %NAMED = (
    invoice => sub { told('invoice.paid.no_subscription', 'data.object.metadata' => { user_id => client() }) },
    link    => sub { told('invoice_payment.paid') },
    refund  => sub { told('charge.refunded.full', created => time - 300) },
    dispute => sub { told('charge.dispute.created', created => time - 200) },
    won     => sub { told('charge.dispute.closed.won', created => time - 100) },
);

sub orders {
    my ($end) = @_;
    return ([qw(invoice), $end], [$end, 'invoice']) if $shape =~ /^2024/;
    return (['invoice', 'link', $end], ['link', 'invoice', $end],
        [$end, 'invoice', 'link'], [$end, 'link', 'invoice'], ['invoice', $end, 'link'], ['link', $end, 'invoice']);
}

# --- an_invoice_that_names_its_owner ---------------------------------------------------

for my $of (@SHAPES) {
    $shape = $of;
    for my $end (qw(refund dispute)) {
        for my $order (orders($end)) {
            story($of);
            customer_of_the_agency();
            $NAMED{$_}->() for @$order;
            my $reason = $end eq 'refund' ? 'refunded' : 'disputed';
            door(client(), 'once', $reason,        "@$order");
            door(agency(), 'once', 'not_entitled', "@$order");
            next if $end eq 'refund';
            $NAMED{won}->();
            door(client(), 'once', 'in',           'won');
            door(agency(), 'once', 'not_entitled', 'won');
        }
    }
}

# --- an_invoice_of_a_subscription_that_a_session_names ----------------------------------

sub first_invoice {
    my $once = JSON::PP::decode_json(event_json("$shape/invoice.paid.no_subscription.json", now => $SINCE))
        ->{data}{object}{lines}{data}[0];
    my $plan = JSON::PP::decode_json(event_json("$shape/invoice.paid.first.json", now => $SINCE))
        ->{data}{object}{lines}{data}[0];
    $_->{metadata} = {} for $once, $plan;
    my %sub = $shape =~ /^2024/
        ? ('data.object.subscription' => "sub_$n", 'data.object.subscription_details.metadata' => {})
        : ('data.object.parent.subscription_details.subscription' => "sub_$n",
        'data.object.parent.subscription_details.metadata' => {});
    return told('invoice.paid.first', %sub, 'data.object.lines.data' => [$once, $plan]);
}

for my $of (@SHAPES) {
    for my $last (qw(link refund)) {
        story($of);
        customer_of_the_agency();
        told('checkout.session.completed.subscription', 'data.object.id' => "cs_test_$n",
            'data.object.client_reference_id' => client(), 'data.object.metadata' => {},
            'data.object.subscription' => "sub_$n", 'data.object.invoice' => undef);
        first_invoice();
        door(client(), 'once', 'in', 'sold with the subscription');
        $NAMED{refund}->() if $last eq 'link';
        $NAMED{link}->()   if $of !~ /^2024/;
        $NAMED{refund}->() if $last eq 'refund';
        door(client(), 'once', 'refunded',     'given back');
        door(agency(), 'once', 'not_entitled', 'given back');
    }
}

# --- nobody_says_what_the_payment_paid --------------------------------------------------

story('2026-07-29.dahlia');
customer_of_the_agency();
$NAMED{invoice}->();
unlike $site->log, qr/nothing is known to be paid by "pi_$n"/, 'a payment is not missed until it goes back';
$NAMED{refund}->();
door(client(), 'once', 'in', 'its payment is not known');
like $site->log, qr/nothing is known to be paid by "pi_$n", so nothing is taken away: .*"invoice_payment\.paid"/,
    'which is said';
$NAMED{link}->();
door(client(), 'once', 'refunded', 'its payment is known');

$site->done_testing;
