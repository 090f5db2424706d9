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

my %customers;    # user => what tells the ids of the newest purchase apart

# Two events: the paid checkout, which names the user, and the subscription.
sub purchase {
    my ($user) = @_;
    my $customer = $customers{$user} = md5_hex($user . rand);
    return map { event_json($_, user => $user, customer => $customer) }
        qw(checkout.session.completed.subscription
        customer.subscription.created.active);
}

# The subscription ends, now.
sub cancellation {
    my ($user) = @_;
    my %ids = (user => $user, customer => $customers{$user} // return);
    return event_json('customer.subscription.deleted', %ids,
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
