# Which server a webhook comes to does not matter for what is known: whoever shares
# the keys in Redis, prefix and mode, shares what there are grants for.
use strict;
use warnings;
use JSON::PP ();
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
my $conf = <<"EOF";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
map \$http_x_user \$somebody { default \$http_x_user; }
entitle_trusted_user \$somebody;
server { listen 127.0.0.1:%%PORT%%; $hooks }
server { listen 127.0.0.1:%%PORT2%%; entitle_grant pro price_pro metadata.plan=pro;
    location = /course { entitle_require pro; } }
server { listen 127.0.0.1:%%PORT3%%; entitle_redis_prefix other:; $hooks }
server { listen 127.0.0.1:%%PORT4%%; entitle_redis_prefix modes:; entitle_mode live; entitle_grant pro metadata.plan=real;
    location = /webhook { entitle_webhook test; entitle_webhook_secret_file %%SECRET%%; }
    location = /live { entitle_webhook live; entitle_webhook_secret_file %%SECRET%%; }
    location = /course { entitle_require pro; } }
server { listen 127.0.0.1:%%PORT5%%; entitle_redis_prefix modes:; entitle_grant pro metadata.plan=tried;
    location = /course { entitle_require pro; } }
server { listen 127.0.0.1:%%PORT6%%; entitle_redis_prefix lone:; entitle_mode live; entitle_grant pro metadata.plan=real;
    location = /webhook { entitle_webhook test; entitle_webhook_secret_file %%SECRET%%; } }
EOF
$site->start($conf);

my $n = 0;

sub bought {
    my ($port, $metadata, $live) = @_;
    $n++;
    my $event = event_json('checkout.session.completed.payment', user => "u$n",
        'data.object.id'           => 'cs_sold',
        'data.object.customer'     => "cus_$n",
        'data.object.payment_link' => undef,
        'data.object.metadata'     => $metadata,
        'data.object.client_reference_id' => "u$n",
        livemode => $live ? JSON::PP::true : JSON::PP::false);
    return $site->request(port => $site->port($port), method => 'POST', uri => $live ? '/live' : '/webhook',
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

# --- one prefix, two modes ---------------------------------------------------------

sub in_at {
    my ($port) = @_;
    return $site->request(port => $site->port($port), uri => '/course', headers => ['X-User' => "u$n"])->status;
}

for my $case (['test', 'tried', 0, 5, 4], ['live', 'real', 1, 4, 5]) {
    my ($mode, $plan, $live, $own, $other) = @$case;
    $answer = bought(4, { plan => $plan }, $live);
    is_deeply $answer->json->{unlocks}, ['pro'], "$mode: what the servers of this mode grant is known" or diag $answer->body;
    is in_at($own), 200, '  it opens their gates';
    is in_at($other), 402, "  what_is_${mode}_opens_no_gate_of_the_other_mode";
}
for my $case (['test', 'real', 0], ['live', 'tried', 1]) {
    my ($mode, $plan, $live) = @$case;
    $answer = bought(4, { plan => $plan }, $live);
    is $answer->json->{outcome}, 'unmatched', "$mode: what_only_the_other_mode_grants_is_not" or diag $answer->body;
    is_deeply [map { in_at($_) } 4, 5], [402, 402], '  and opens nothing anywhere';
    is join(' ', @{ $site->redis->command('ZRANGE', "modes:$mode:unmatched", 0, -1) }), "u:u$n|cs_sold", '  and is listed';
}

my @listed = map { "modes:$_:unmatched" } qw(test live);
my @stay = map { @{ $site->redis->command('ZRANGE', $_, 0, -1) } } @listed;
is scalar @stay, 2, 'both are listed';
$site->redis->command('ZADD', $_, 1, 'u:nobody|cs_gone') for @listed;
$site->reload($conf);
ok wait_until(sub { !grep { defined $site->redis->command('ZSCORE', $_, 'u:nobody|cs_gone') } @listed }, 20),
    'the lists are looked through';
is_deeply [map { @{ $site->redis->command('ZRANGE', $_, 0, -1) } } @listed], \@stay,
    'what_only_the_other_mode_grants_stays_listed';

# Where no gate reads a mode, what the prefix grants is what is meant.
$answer = bought(6, { plan => 'real' });
is_deeply $answer->json->{unlocks}, ['pro'], 'a mode that no gate reads: the grants of the prefix';
done_testing;
