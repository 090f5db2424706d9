# Which server a webhook comes to does not matter for what is known: whoever shares
# the keys in Redis shares what there are grants for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::FakeStripe;

my $site = Test::Entitle->new;
$site->redis;
my $stripe = Test::Entitle::FakeStripe->new($site, lists => {
    '/v1/checkout/sessions/cs_sold/line_items' => [{ id => 'li_1', price => { id => 'price_pro' } }] });
$site->write_file('html/course', 'the course');
my $hooks = $stripe->location . ' location = /webhook { entitle_webhook test;'
    . ' entitle_webhook_secret_file %%SECRET%%; entitle_stripe_request /stripe/; }';
$site->start(<<"EOF");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
map \$http_x_user \$somebody { default \$http_x_user; }
entitle_trusted_user \$somebody;
server { listen 127.0.0.1:%%PORT%%; $hooks }
server { listen 127.0.0.1:%%PORT2%%; entitle_grant pro price_pro metadata.plan=pro;
    location = /course { entitle_require pro; } }
server { listen 127.0.0.1:%%PORT3%%; entitle_redis_prefix other:; $hooks }
EOF

my $n = 0;

sub bought {
    my ($port, $metadata) = @_;
    $n++;
    my $event = event_json('checkout.session.completed.payment', user => "u$n",
        'data.object.id'           => 'cs_sold',
        'data.object.customer'     => "cus_$n",
        'data.object.payment_link' => undef,
        'data.object.metadata'     => $metadata,
        'data.object.client_reference_id' => "u$n");
    return $site->request(port => $site->port($port), method => 'POST', uri => '/webhook',
        body => $event, headers => ['Stripe-Signature' => signature($event)]);
}

my $answer = bought(undef, { plan => 'pro' });
is_deeply $answer->json->{unlocks}, ['pro'], 'what_another_server_grants_is_known' or diag $answer->body;
is scalar(my @none = $stripe->asked), 0, 'so Stripe is not asked about it';
is $site->request(port => $site->port(2), uri => '/course', headers => ['X-User' => 'u1'])->status, 200,
    'and who bought it is in there';
$answer = bought(undef, {});
is_deeply $answer->json->{unlocks}, ['pro'], 'nor_is_what_Stripe_names';
is scalar(my @one = $stripe->asked), 1, 'when it is asked';
$answer = bought(3, { plan => 'pro' });
is $answer->json->{outcome}, 'unmatched', 'who_has_other_keys_has_other_grants';
done_testing;
