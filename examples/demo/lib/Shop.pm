package Shop;

# Stripe's part in the demo: the events of a purchase and of its end, as Stripe
# composes and signs them.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use FindBin;
use HTTP::Tiny;
use lib "$FindBin::Bin/../../t/lib";
use Test::Entitle::Stripe qw(event_json signature);

my %customers;    # reference => what tells the ids of the newest purchase apart

# Two events: the paid checkout, which repeats the reference that says whose it
# is, and the subscription, which only knows Stripe's customer.
sub purchase {
    my ($reference) = @_;
    my $customer = $customers{$reference} = md5_hex($reference . rand);
    my %said = (customer => $customer, 'data.object.metadata' => {});
    return (
        event_json('checkout.session.completed.subscription', %said,
            'data.object.client_reference_id' => $reference),
        event_json('customer.subscription.created.active', %said),
    );
}

# The subscription ends, now.
sub cancellation {
    my ($reference) = @_;
    return event_json('customer.subscription.deleted',
        customer => $customers{$reference} // return,
        'data.object.metadata' => {},
        map { $_ => time } qw(created data.object.ended_at data.object.canceled_at));
}

# POSTs an event as Stripe does: HTTP::Tiny's answer.
sub deliver {
    my ($url, $event, $signature) = @_;
    return HTTP::Tiny->new(timeout => 10)->post($url, {
        content => $event,
        headers => {
            'Content-Type'     => 'application/json; charset=utf-8',
            'Stripe-Signature' => $signature // signature($event),
        },
    });
}

1;
