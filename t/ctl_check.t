# entitlectl check: what a purchase goes through, a line a test, on a real nginx and
# Redis, each broken once.
use strict;
use warnings;
use POSIX ();
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;
use Test::Entitle::FakeStripe;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/login', 'who are you');
$site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
%%SESSIONS%%
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
    location = /status { entitle_status; }
    location / { entitle_require pro; entitle_login_url /login?to=$entitle_return_url; }
    location = /login { entitle off; }
    location = /page/gone { entitle off; }
    location = /whoami { internal; if (-f %%DIR%%/broken) { return 500; } return 401; }
    location /app/ { entitle_require pro; entitle_trusted_user off; entitle_reauth /whoami; entitle_reauth_user header=X-User; }
    location = /rewrite { proxy_pass http://127.0.0.1:%%PORT%%/webhook; proxy_set_body "$request_body "; }
}
EOF_CONF
$site->expect_log(qr/open\(\) .*gone/, qr/re-authentication/, qr/client intended to send too large body: 524288 bytes/);
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
    redis\.permissions webhook\.heard parked unmatched nginx\.configuration webhook\.refused gate gate\.login
    webhook\.route webhook\.body);
cmp_ok $said->{seconds}, '<', 5, 'soon';

# --- the route -------------------------------------------------------------------------

like line('webhook.route', '--url', "$base/moved"), qr/^BAD: .* redirects to .*\/webhook/, 'a_redirect';
like line('webhook.route', '--url', "$base/page"), qr/^BAD: .* answers 200 to GET/, 'another_location';
like line('webhook.route', '--url', "$base/nowhere"), qr/^BAD: .* answers 40[12] to GET/, 'a gate';
like line('webhook.route', '--url', 'http://127.0.0.1:1/'), qr/^BAD: .* does not answer/, 'nobody_there';
like line('webhook.body', '--url', "$base/small"), qr/^BAD: .* 413 -> raise client_max_body_size/, 'a_body_limit';
like $ctl->run('check', @conf)->{out}, qr{^BAD +webhook\.route +https://shop\.test/webhook does not answer}m,
    'the_url_is_the_configuration\'s';

# --- what nginx runs -------------------------------------------------------------------

my $running = $site->read_file('nginx.conf');
sub edited {
    my ($what, $says, $conf) = @_;
    $site->write_file('nginx.conf', $conf);
    like line('nginx.configuration'), qr/^BAD: $says -> nginx -t && nginx -s reload/, $what;
    return;
}
edited('a_grant_that_is_not_loaded', qr/nginx runs, since 20\d\d-.*, other grants.*: shop\.test \(.*nginx\.conf:\d+\)/,
    $running =~ s/(entitle_grant pro) [^;]+/$1 price_New/r);
edited('another_grace', qr/nginx runs.*/, $running =~ s/(?=entitle_grant)/entitle_grace 1h; /r);
edited('a_server_that_is_not_there_yet', qr/nginx runs.*/,
    $running =~ s/\}\s*\z/server { listen 127.0.0.1:1; server_name new.test; } }/r);
$site->write_file('nginx.conf', "$running# edited\n");
utime time + 5, time + 5, "$site->{dir}/nginx.conf";
like line('nginx.configuration'), qr/^BAD: nginx read its configuration on .*nginx\.conf was edited since -> nginx -t/,
    'a_file_that_was_edited';
$site->write_file('nginx.conf', $running);
utime 1, 1, "$site->{dir}/nginx.conf";
like line('nginx.configuration'), qr/^fine: nginx runs it/, 'and as it was';
like line('nginx.configuration', '--status', "$base/page"), qr/^unknown: .* answers 200, and not what/, 'no_status';

# --- the gates -------------------------------------------------------------------------

# What it says where the configuration is told to be another than nginx runs.
sub with {
    my ($what, $name, $says, $from, $to) = @_;
    my $other = $site->write_file('other.conf', $running =~ s/\Q$from\E/$to/r);
    my ($found) = grep { $_->{check} eq $name }
        @{ $ctl->json('check', '--url', "$base/webhook", '--config', $other)->{checks} };
    like join(': ', @{$found}{qw(health says)}) . ' -> ' . ($found->{cure} // ''), $says, $what;
    return;
}
with('a_door_that_is_open', 'gate', qr{^BAD: /page of shop\.test answers 200 to a stranger -> reload nginx, if},
    '{ return 200 "hello"; }', '{ entitle_require pro; }');
with('a_dry_run', 'gate', qr{^BAD: /page of shop\.test lets everybody by: entitle_dry_run -> },
    '{ return 200 "hello"; }', '{ entitle_require pro; entitle_dry_run on; }');
with('a_login_page_that_is_gated', 'gate.login', qr{^BAD: the login page /login is gated itself, by location = /login .* -> have a},
    'location = /login { entitle off; }', 'location = /login { entitle on; }');
with('a_login_page_that_is_not_there', 'gate.login', qr{^BAD: the login page /page/gone answers 404}, '/login?to', '/page/gone?to');
like line('gate.app'), qr{^fine: the app answers \(entitle_reauth /whoami\)}, 'the app is asked';
$site->write_file('broken', '');
like line('gate.app'), qr{^BAD: /app/ of shop\.test answers 503: the app does not say who .* /whoami\) -> have the app answer /whoami: 200},
    'an_app_that_fails';
unlink "$site->{dir}/broken";

# --- the ping --------------------------------------------------------------------------

like line('webhook.ping', '--ping'), qr/^fine: an event signed with the secret that is known comes through/, 'a_ping';
unlike $redis->command('HGETALL', 'entitle:test:webhook') // '', qr/last_applied_event evt_entitlectl/, 'which_changes_nothing';
like line('webhook.ping', '--ping', '--url', "$base/rewrite"), qr/^BAD: .* 400 signature_mismatch -> something before nginx rewrites the body/,
    'a_body_that_is_rewritten';

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
$stripe->put($LIST, endpoint(api_version => '2024-06-20'));
like line('stripe.version', @stripe), qr/^fine: 2024-06-20/, 'an_old_version';
$stripe->put($LIST, endpoint(api_version => '2031-01-01.later'));
like line('stripe.version', @stripe), qr/^unknown: 2031-01-01\.later is newer than 20\d\d-.* -> look for/, 'a_version_that_nobody_knows';
$stripe->put($LIST, endpoint());
like line('stripe.payload', @stripe), qr/^fine: snapshot/, 'a_snapshot';
$stripe->drop($LIST, 'we_1');
my @thin = { id => 'ed_1', event_payload => 'thin', webhook_endpoint => { url => "$base/webhook" } };
$stripe->put('/v2/core/event_destinations', @thin);
like line('stripe.payload', @stripe), qr/^BAD: .* thin, .* -> add an endpoint of the payload style snapshot/, 'a_thin_one';
$stripe->put($LIST, endpoint());

# What is sold.
sub price { my ($n, %more) = @_; return { id => "price_$n", object => 'price', active => JSON::PP::true(), product => "prod_$n", lookup_key => undef, %more } }
$stripe->put('/v1/prices', price('Known', lookup_key => 'pro_monthly'), price('Old', active => JSON::PP::false()));
like line('stripe.prices', @stripe), qr/^fine: each of 1 active prices/, 'prices_that_are_known';
$stripe->put('/v1/prices', price('New'));
like line('stripe.prices', @stripe), qr/^BAD: no entitle_grant names price_New \(prod_New\) -> add "entitle_grant NAME price_New;".*ignore --config \S+ price_New/,
    'a_price_that_no_grant_knows';
$redis->command('SADD', 'entitle:test:ignored', 'prod_New');
like line('stripe.prices', @stripe), qr/^fine/, 'unless it is ignored';
$stripe->fault('/v1/prices', permission => 'rak_plan_read');
$said = check(@stripe);
is $said->{exit}, 3, 'a_permission_that_is_missing_there';
like $said->{out}, qr/^unknown +stripe\.prices +.*lacks the permission rak_plan_read/m, 'is a line';
$stripe->fault('/v1/prices');

# What was sent.
my $lost = JSON::PP::decode_json(event_json('customer.subscription.deleted', id => 'evt_lost', created => time - 900));
$stripe->put('/v1/events', $lost, { %$lost, id => 'evt_new', created => time - 10 }, { %$lost, id => 'evt_any', type => 'product.updated' });
my $metrics = "$site->{dir}/check.prom";
like line('stripe.delivered', @stripe, '--metrics', $metrics),
    qr/^BAD: 1 of 2 events never came: evt_lost \(customer\.subscription\.deleted\) -> entitlectl replay --config \S+ --missing --yes$/,
    'an_event_that_was_lost';
my $told = $site->read_file('check.prom');
like $told, qr/^entitle_events_missing\{mode="test"\} 1$/m, 'and counted for Prometheus';
like $told, qr/^entitle_endpoint_ok\{mode="test",check="enabled"\} 1$/m, 'what is well';
like $told, qr/^entitle_endpoint_ok\{mode="test",check="delivered"\} 0$/m, 'what is not';
is qx(promtool check metrics < $metrics 2>&1), '', 'as Prometheus takes it';
is check('--metrics', $metrics)->{exit}, 2, 'which is about Stripe';
$stripe->drop('/v1/events', $_) for 'evt_lost', 'evt_new';

# Stripe's own ping.
$stripe->put('/v2/core/event_destinations', { id => 'ed_1', event_payload => 'snapshot', webhook_endpoint => { url => "$base/webhook" } });
my $sender = fork // die "fork: $!";
if (!$sender) {
    wait_until(sub { grep { $_->{uri} =~ m{/ping$} } $stripe->{app}->seen });
    $site->webhook(event_json('product.updated', id => 'evt_ed_1'));
    POSIX::_exit(0);
}
like line('stripe.ping', @stripe, '--ping'), qr/^fine: Stripe's ping came/, 'stripes_ping_that_came';
waitpid $sender, 0;
ok((grep { $_->{method} eq 'POST' && $_->{uri} eq '/v2/core/event_destinations/ed_1/ping' } $stripe->{app}->seen), 'was asked for');
$redis->command('HSET', 'entitle:test:webhook', 'last_received_event', 'evt_before');
like line('stripe.ping', @stripe, '--ping'), qr/^BAD: Stripe's ping evt_ed_1 did not come .* -> put the signing secret/, 'and_one_that_did_not';

$stripe->put($LIST, endpoint(enabled_events => ['product.updated']));
is check(@stripe, '--fix')->{exit}, 4, '--fix asks first';
is check(@stripe, '--fix', '--yes')->{exit}, 0, '--fix adds them';
my ($post) = grep { $_->{uri} =~ m{webhook_endpoints/} } $stripe->{app}->seen;
like $post->{uri}, qr{^/v1/webhook_endpoints/we_1$}, 'to that endpoint';
like $post->{body}, qr/product\.updated.*customer\.subscription\.deleted/, 'and takes none away';
$stripe->fault($LIST, permission => 'rak_webhook_read');
$said = check(@stripe);
is $said->{exit}, 3, 'a_missing_permission';
like $said->{err}, qr/lacks the permission rak_webhook_read/, 'is named';
is check('--fix')->{exit}, 2, '--fix is about Stripe';

done_testing;
