# entitlectl check: what a purchase goes through, a line a test, on a real nginx and
# Redis, each broken once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;
use Test::Entitle::FakeStripe;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro lookup_key=pro_monthly;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    server_name shop.test;
    client_max_body_size 1m;
    %%WEBHOOK%%
    location = /moved { return 301 /webhook; }
    location = /small { client_max_body_size 1k; entitle_webhook test; entitle_webhook_secret_file %%SECRET%%; }
    location = /page { return 200 "hello"; }
    location / { entitle_require pro; }
}
EOF_CONF
$site->expect_log(qr/client intended to send too large body: 524288 bytes/);
my $stripe = Test::Entitle::FakeStripe->new($site, account => 1);
my $ctl    = Test::Entitle::Ctl->new;
my @conf   = ('--config', "$site->{dir}/nginx.conf");
my $base   = 'http://127.0.0.1:' . $site->port;
my @stripe = ('--stripe', '--stripe-api', $stripe->url, '--stripe-rate', 1000);
$ENV{STRIPE_API_KEY} = $Test::Entitle::FakeStripe::KEY;

sub check { return $ctl->run('check', '--url', "$base/webhook", @conf, @_) }
# What a check says: "health: says -> cure".
sub line {
    my ($name, @words) = @_;
    push @words, '--url', "$base/webhook" if !grep { $_ eq '--url' } @words;
    my ($found) = grep { $_->{check} eq $name } @{ $ctl->json('check', @words, @conf)->{checks} };
    return $found ? "$found->{health}: $found->{says}" . ($found->{cure} ? " -> $found->{cure}" : '') : 'no such check';
}

is $site->webhook(event_json('customer.subscription.created.active'))->json->{outcome}, 'applied', 'an event';
$redis->command('CONFIG', 'SET', 'appendonly', 'yes');

# --- all is well -----------------------------------------------------------------------

my $said = check();
is $said->{exit}, 0, 'all_is_fine' or diag $said->{out}, $said->{err};
like $said->{out}, qr/^fine +$_ /m, "$_ is looked at" for qw(webhook\.location webhook\.secret grants redis\.primary
    redis\.permissions webhook\.heard parked unmatched webhook\.route webhook\.body);
cmp_ok $said->{seconds}, '<', 5, 'soon';

# --- the route -------------------------------------------------------------------------

like line('webhook.route', '--url', "$base/moved"), qr/^BAD: .* redirects to .*\/webhook/, 'a_redirect';
like line('webhook.route', '--url', "$base/page"), qr/^BAD: .* answers 200 to GET/, 'another_location';
like line('webhook.route', '--url', "$base/nowhere"), qr/^BAD: .* answers 40[12] to GET/, 'a gate';
like line('webhook.route', '--url', 'http://127.0.0.1:1/'), qr/^BAD: .* does not answer/, 'nobody_there';
like line('webhook.body', '--url', "$base/small"), qr/^BAD: .* 413 -> raise client_max_body_size/, 'a_body_limit';
like $ctl->run('check', @conf)->{out}, qr{^BAD +webhook\.route +https://shop\.test/webhook does not answer}m,
    'the_url_is_the_configuration\'s';

# --- what is kept ----------------------------------------------------------------------

$redis->command('CONFIG', 'SET', 'maxmemory', '100mb');
$redis->command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
like line('redis.storage'), qr/^BAD: .*allkeys-lru/, 'eviction';
$redis->command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
$redis->command('CONFIG', 'SET', 'appendonly', 'no');
like line('redis.storage'), qr/^BAD: .*append-only file/, 'no_aof';
$redis->command('CONFIG', 'SET', 'appendonly', 'yes');
$redis->command('ACL', 'SETUSER', 'default', '-zadd');
like line('redis.permissions'), qr/^BAD: user "default" may not ZADD -> allow/, 'a_command_that_is_not_allowed';
$redis->command('ACL', 'SETUSER', 'default', '+zadd');
is $site->webhook(event_json('customer.subscription.created.active', 'data.object.id' => 'sub_9',
        'data.object.customer' => 'cus_9', 'data.object.metadata' => {}))->json->{outcome}, 'parked', 'nobody\'s';
like line('parked'), qr/^BAD: 1, the oldest for \d+ seconds? -> entitlectl parked --config/, 'who_paid_and_is_not_in';
$redis->command('DEL', 'entitle:test:parked', 'entitle:test:{p:cus_9}');
$redis->command('HSET', 'entitle:test:webhook', 'last_refused', time + 60, 'last_refused_why', 'mode_mismatch');
like line('webhook.heard'), qr/^BAD: .* was refused: mode_mismatch/, 'the_last_was_refused';
$redis->command('HDEL', 'entitle:test:webhook', 'last_refused');
like line('redis', '--redis', 'redis://127.0.0.1:1'), qr/^BAD: /, 'redis_that_is_not_there';

my $conf = $site->read_file('nginx.conf');
my $other = $site->write_file('other.conf', $conf =~ s{entitle_webhook_secret_file \S+;}{entitle_webhook_secret_file $site->{dir}/bad;}gr);
$site->write_file('bad', "sk_live_1\n");
$said = $ctl->run('check', '--config', $other, '--url', "$base/webhook");
is $said->{exit}, 1, 'a secret that is none';
like $said->{out}, qr/^BAD +webhook\.secret +.*bad.*line 1/m, 'is_said_with_its_line';
unlike $said->{out}, qr/sk_live_1/, 'and not shown';

# --- Stripe's side ---------------------------------------------------------------------

my $LIST = '/v1/webhook_endpoints';
sub endpoint {
    my (%change) = @_;
    return { id => 'we_1', object => 'webhook_endpoint', url => "$base/webhook", status => 'enabled',
        livemode => JSON::PP::false(), api_version => undef, enabled_events => ['*'], %change };
}
like line('stripe.endpoint', @stripe), qr/^BAD: no endpoint .* there is none at all/, 'no_endpoint';
$stripe->put($LIST, endpoint());
$said = check(@stripe);
is $said->{exit}, 0, 'all_is_fine_at_stripe, too' or diag $said->{out}, $said->{err};
like $said->{out}, qr/^fine +clock +as Stripe's/m, 'the clocks agree';
$stripe->put($LIST, endpoint(status => 'disabled'));
like line('stripe.enabled', @stripe), qr/^BAD: we_1 is disabled -> enable it/, 'a_disabled_endpoint';
$stripe->put($LIST, endpoint(enabled_events => ['checkout.session.completed', 'product.updated']));
like line('stripe.events', @stripe), qr/^BAD: not selected: .*customer\.subscription\.deleted/, 'types_that_are_missing';
$stripe->put($LIST, endpoint(url => "$base/webhook/"));
like line('stripe.endpoint', @stripe), qr{^BAD: .*; there is \S+/webhook/ -> add it}, 'another_url';
$stripe->put($LIST, endpoint(), endpoint(id => 'we_2'));
like line('stripe.endpoint', @stripe), qr/^BAD: 2 endpoints have the URL/, 'two_of_one_url';
$stripe->drop($LIST, 'we_2');
$stripe->put($LIST, endpoint(livemode => JSON::PP::true()));
like line('stripe.mode', @stripe), qr/^BAD: /, 'the_other_mode';
$stripe->put($LIST, endpoint(enabled_events => ['product.updated']));
is check(@stripe, '--fix')->{exit}, 4, '--fix asks first';
is check(@stripe, '--fix', '--yes')->{exit}, 0, '--fix adds them';
my ($post) = grep { $_->{method} eq 'POST' } $stripe->{app}->seen;
like $post->{uri}, qr{^/v1/webhook_endpoints/we_1$}, 'to that endpoint';
like $post->{body}, qr/product\.updated.*customer\.subscription\.deleted/, 'and takes none away';
$stripe->fault($LIST, permission => 'rak_webhook_read');
$said = check(@stripe);
is $said->{exit}, 3, 'a_missing_permission';
like $said->{err}, qr/lacks the permission rak_webhook_read/, 'is named';
is check('--fix')->{exit}, 2, '--fix is about Stripe';

done_testing;
