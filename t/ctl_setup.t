# entitlectl setup: what a shop needs at Stripe and in nginx; entitlectl send: a
# test event through the whole route, which opens what it says and ends it again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;
use Test::Entitle::FakeStripe;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $conf  = <<'EOF_CONF';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro price_Pro lookup_key=pro_monthly prod_Pro plink_Pro metadata.plan=pro;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    server_name shop.test;
    %%WEBHOOK%%
    location = /course { entitle_require pro; }
}
EOF_CONF
$site->write_file('html/course', 'the course');
$site->start($conf);
my $ctl  = Test::Entitle::Ctl->new;
my @conf = ('--config', "$site->{dir}/nginx.conf");
my $url  = 'http://127.0.0.1:' . $site->port . '/webhook';
sub course { return $site->get('/course', 'X-User' => $_[0])->status }

# --- send ------------------------------------------------------------------------------

sub sent {
    my (@words) = @_;
    my $said = $ctl->json('send', @words, '--url', $url, @conf);
    return "$said->{status} $said->{outcome}: @{ $said->{unlocks} }";
}
for my $of ('price_Pro', 'lookup_key=pro_monthly', 'prod_Pro', 'metadata.plan=pro') {
    my $user = "u-$of";
    is sent('customer.subscription.created', '--user', $user, '--of', $of), '200 applied: pro', "a subscription of $of";
    is course($user), 200, 'opens';
    is sent('customer.subscription.updated', '--user', $user, '--of', $of) =~ /^200 /, 1, 'goes on';
    is sent('customer.subscription.deleted', '--user', $user, '--of', $of), '200 applied: ', 'and ends';
    is course($user), 402, 'which shuts';
}
for my $of ('plink_Pro', 'metadata.plan=pro') {
    my $user = "b-$of";
    is sent('checkout.session.completed', '--user', $user, '--of', $of), '200 applied: pro', "a purchase of $of";
    is course($user), 200, 'opens';
    is sent('charge.refunded', '--user', $user, '--of', $of) =~ /^200 /, 1, 'is given back';
    is course($user), 402, 'which shuts';
}
is sent('invoice.paid', '--user', 'inv', '--of', 'price_Pro'), '200 applied: pro', 'a paid invoice';
is course('inv'), 200, 'opens';
is sent('customer.subscription.created', '--user', 'any'), '200 applied: pro', 'of_what_a_grant_names, if nothing is said';
is sent('checkout.session.completed', '--user', 'any2'), '200 applied: pro', 'whatever the type';
is sent('customer.subscription.created', '--of', 'price_Other'), '202 parked: ', 'of_nobody';
my $said = $ctl->run('send', 'customer.subscription.created', '--user', 'ann', '--url', $url, @conf);
is $said->{exit}, 0, '200 is fine';
like $said->{out}, qr/^customer\.subscription\.created of \S+ for "ann" to \Q$url\E: 200 applied\n    it unlocks pro$/m, 'as text';
is $ctl->run('send', 'customer.subscription.created', '--url', $url, @conf)->{exit}, 1, 'parked is found';
$said = $ctl->run('send', 'product.updated', '--url', $url, @conf);
is $said->{exit}, 2, 'another_type';
like $said->{err}, qr/none of the types that can be made: charge\.refunded, .* and invoice\.paid/, 'and_those_that_there_are';
$said = $ctl->run('send', 'invoice.paid', '--url', $url, @conf, '--mode', 'live');
is $said->{exit}, 4, 'live_is_refused';
like $said->{err}, qr/entitle:live is live/, 'which it says';
is $ctl->run('send', 'invoice.paid', '--of', 'nonsense', '--url', $url, @conf)->{exit}, 2, 'no_identifier';
is $ctl->run('send', 'invoice.paid', '--user', "a\nb", '--url', $url, @conf)->{exit}, 2, 'no_user';
is $ctl->run('send', 'invoice.paid', '--url', 'http://127.0.0.1:1/', @conf)->{exit}, 3, 'nobody_there';
is $redis->command('KEYS', 'entitle:live:*')->@*, 0, 'nothing of live was touched';

# --- setup -----------------------------------------------------------------------------

my $stripe = Test::Entitle::FakeStripe->new($site, account => 1);
my @how = (@conf, '--stripe-api', $stripe->url, '--stripe-rate', 1000, '--url', 'https://shop.test/stripe');
delete $ENV{STRIPE_API_KEY};
$said = $ctl->run('setup', @how);
is $said->{exit}, 2, 'without_a_key' or diag $said->{err};
like $said->{err}, qr{https://dashboard\.stripe\.com/test/apikeys/create\?name=entitlectl&permissions%5B%5D=rak_charge_read&.*rak_webhook_write},
    'the_link_to_make_one';
$ENV{STRIPE_API_KEY} = $Test::Entitle::FakeStripe::KEY;
$stripe->put('/v1/products', { id => 'prod_P', object => 'product', name => 'Pro (yearly)' }, { id => 'prod_N', object => 'product', name => "***" });
$stripe->put('/v1/prices', map { { id => "price_$_->[0]", object => 'price', active => $_->[2], product => $_->[1] } }
    ['1', 'prod_P', JSON::PP::true()], ['2', 'prod_P', JSON::PP::true()], ['3', 'prod_N', JSON::PP::true()], ['4', 'prod_Old', JSON::PP::false()]);
$said = $ctl->run('setup', @how);
is $said->{exit}, 1, 'no_endpoint';
like $said->{out}, qr{^Stripe has no endpoint for https://shop\.test/stripe\. It wants these events:\n.*^    customer\.subscription\.deleted$}ms, 'what_it_needs';
like $said->{out}, qr{^-> entitlectl setup --config .* --url https://shop\.test/stripe --secret-file FILE --yes}m, 'and_what_makes_it';
like $said->{out}, qr/^    entitle_grant pro-yearly prod_P;  # Pro \(yearly\): price_\d and price_\d$/m, 'a_line_of_each_product';
like $said->{out}, qr/^    entitle_grant prod_N prod_N;/m, 'by_its_id_where_its_name_is_no_word';
unlike $said->{out}, qr/price_4|prod_Old/, 'of what is sold';
like $said->{out}, qr/^    location = \/stripe \{\n        entitle_webhook test;$/m, 'and_the_location';
is scalar(grep { $_->{method} eq 'POST' } $stripe->{app}->seen), 0, 'nothing_is_made_unasked';
my ($ok, $why) = $site->config_test($conf =~ s/(?=^server)/join '', map { "$_\n" } $said->{out} =~ m{^    (entitle_grant .*)$}mg/mer);
ok $ok, 'nginx takes these lines' or diag $why;

is $ctl->run('setup', @how, '--yes')->{exit}, 2, 'the secret needs a place';
my $secret = "$site->{dir}/made";
$said = $ctl->run('setup', @how, '--yes', '--secret-file', $secret);
is $said->{exit}, 0, 'made' or diag $said->{out}, $said->{err};
is $site->read_file('made'), "whsec_made\n", 'its_secret_is_kept';
is sprintf('%o', (stat $secret)[2] & 07777), '600', '... for its owner alone';
unlike $said->{out}, qr/whsec_/, 'and not shown';
my ($post) = grep { $_->{method} eq 'POST' } $stripe->{app}->seen;
like $post->{body}, qr{^url=https%3A%2F%2Fshop\.test%2Fstripe&api_version=20\d\d-\d\d-\d\d\.\w+&enabled_events%5B%5D=charge}, 'with_all_that_decides';

$stripe->put('/v1/webhook_endpoints', { id => 'we_1', object => 'webhook_endpoint', url => 'https://shop.test/stripe', status => 'enabled',
    livemode => JSON::PP::false(), enabled_events => ['charge.refunded'] });
my $json = $ctl->json('setup', @how, '--yes', '--secret-file', $secret);
is $json->{endpoint}, 'we_1', 'one_that_is_there';
ok !$json->{made}, '... is no other';
ok((grep { $_ eq 'invoice.paid' } @{ $json->{missing} }), 'the_difference');
ok !(grep { $_ eq 'charge.refunded' } @{ $json->{missing} }), '... alone';
is scalar(grep { $_->{method} eq 'POST' } $stripe->{app}->seen), 1, 'and it is not touched';
$stripe->fault('/v1/prices', permission => 'rak_plan_read');
$said = $ctl->run('setup', @how);
is $said->{exit}, 3, 'a_missing_permission';
like $said->{err}, qr/lacks the permission rak_plan_read/, 'is named';
is $ctl->run('setup', @how, '--mode', 'live')->{exit}, 4, 'the_key_of_the_other_mode';

done_testing;
