# The list of what is nobody's counts what a customer has and nobody is known to
# own: not what only belongs to a purchase, waits for its payment or has ended.
# The oracle is docs/redis.md; each event comes alone, in both of Stripe's shapes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site  = Test::Entitle->new(workers => 2);
my $redis = $site->redis;
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
}
EOF

sub parked { return join ' ', sort @{ $redis->command('ZRANGE', 'entitle:test:parked', 0, -1) } }

# Nobody's, whoever the fixture names.
sub nobodys {
    my ($fixture, %change) = @_;
    my $event = event_json($fixture, user => '', %change);
    $event =~ s/"user_?[iI]d":"[^"]*"/"other":"x"/g if $fixture !~ /payment_intent/;
    return $event;
}

sub told { my $answer = $site->webhook($_[0]);
    like $answer->status, qr/^20[02]$/, '  stored' or diag $answer->body; return $answer->json }

my @counts = qw(
    checkout.session.completed.payment checkout.session.completed.payment_guest
    checkout.session.completed.no_payment_required checkout.session.completed.subscription
    checkout.session.async_payment_succeeded
    customer.subscription.created.active customer.subscription.created.trialing
    customer.subscription.updated.past_due customer.subscription.updated.pause_collection_void
    invoice.paid.first invoice.paid invoice.payment_succeeded invoice.paid.no_subscription
    payment_intent.succeeded entitlements.active_entitlement_summary.updated
);
my @counts_not = qw(
    checkout.session.completed.async_unpaid checkout.session.completed.setup
    customer.subscription.created.incomplete customer.subscription.deleted
    customer.subscription.updated.incomplete_expired customer.subscription.updated.unpaid
    customer.subscription.paused entitlements.active_entitlement_summary.updated.revoked
    payment_intent.succeeded.invoice charge.refunded.full charge.refunded.partial
    refund.created refund.updated refund.failed charge.dispute.created
    charge.dispute.closed.won customer.created customer.deleted
);
for my $shape (qw(2024-06-20 2026-07-29.dahlia)) {
    for my $name (@counts, @counts_not) {
        $redis->command('FLUSHALL');
        my %named = $name =~ /^payment_intent/ ? ('data.object.metadata' => { sku => 'x' }) : ();
        %named = () if $name =~ /invoice$/;
        told(nobodys("$shape/$name.json", %named));
        my $counts = grep { $_ eq $name } @counts;
        is $redis->command('ZCARD', 'entitle:test:parked'), $counts ? 1 : 0,
            "$shape: $name " . ($counts ? 'counts' : 'does not count') or diag parked();
    }
}
$redis->command('FLUSHALL');
told(nobodys('invoice_payment.paid'));
is parked(), '', 'which_payment_paid_an_invoice_is_nobodys_loss';

# --- one after the other ----------------------------------------------------------

$redis->command('FLUSHALL');
my %session = ('data.object.id' => 'cs_later', 'data.object.customer' => 'cus_later');
told(nobodys('checkout.session.completed.async_unpaid', %session));
is parked(), '', 'a session that waits for its payment is not listed';
told(nobodys('checkout.session.async_payment_succeeded', %session));
is parked(), 'cus_later', 'once_it_is_paid_it_is';

$redis->command('FLUSHALL');
my %payment = ('data.object.customer' => undef, 'data.object.metadata' => {});
told(nobodys('payment_intent.succeeded', %payment, 'data.object.id' => 'pi_hand',
    'data.object.capture_method' => 'manual'));
is parked(), 'pi_hand', 'a_payment_captured_by_hand_is_listed_until_its_session_comes';
told(nobodys('checkout.session.completed.payment_guest', %payment, 'data.object.id' => 'cs_hand',
    'data.object.payment_intent' => 'pi_hand', 'data.object.payment_status' => 'unpaid'));
is parked(), 'cs_hand', 'its_session_is_paid_by_it';

# A basil invoice and its payment, in any order, and the refund of it.
for my $order ([0, 1], [1, 0]) {
    $redis->command('FLUSHALL');
    my @events = (nobodys('invoice.paid.no_subscription', 'data.object.id' => 'in_x',
            'data.object.customer' => 'cus_x'),
        nobodys('invoice_payment.paid', 'data.object.invoice' => 'in_x',
            'data.object.payment.payment_intent' => 'pi_x'));
    told($events[$_]) for @$order;
    is parked(), 'cus_x', 'an invoice is listed by its customer alone';
}
$redis->command('FLUSHALL');
told(nobodys('customer.subscription.created.active', 'data.object.customer' => 'cus_x'));
is parked(), 'cus_x', 'a subscription of nobody';
told(event_json('customer.updated.metadata_mapped', user => 'ann', 'data.object.id' => 'cus_x',
    'data.object.metadata' => { user_id => 'ann' }));
is parked(), '', 'leaves_when_it_is_somebodys';

done_testing;
