# entitlectl replay: Stripe's events of 30 days, straight into Redis or through
# the webhook.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
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
    %%WEBHOOK%%
    location = /moved { return 301 /webhook; }
    location / { entitle_require pro; }
}
EOF_CONF
$site->write_file('html/index.html', 'in');
my $stripe = Test::Entitle::FakeStripe->new($site, account => 1, page => 2);
my $ctl    = Test::Entitle::Ctl->new;
my @how    = ('--config', "$site->{dir}/nginx.conf", '--stripe-api', $stripe->url, '--stripe-rate', 1000);
$ENV{STRIPE_API_KEY} = $Test::Entitle::FakeStripe::KEY;

sub event {
    my ($n, $what, $user, %change) = @_;
    return event_json($what, id => "evt_$n", 'data.object.id' => "sub_$user", 'data.object.customer' => "cus_$user",
        'data.object.metadata' => { user_id => $user }, created => time - 1000 + $n, %change);
}
my @events = (
    event(1, 'customer.subscription.created.active', 'ann'),
    event(2, 'customer.subscription.created.active', 'bob'),
    event(3, 'customer.subscription.updated.renewed', 'ann'),
    event(4, 'customer.subscription.created.active', 'cas'),
    event(5, 'customer.subscription.deleted', 'bob'),
);
my $nothing = event_json('product.updated', id => 'evt_6', created => time - 900);
$stripe->put('/v1/events', map { JSON::PP::decode_json($_) } reverse @events, $nothing);

is $site->webhook($_)->json->{outcome}, 'applied', 'delivered' for @events[0, 1, 2];

# --- what is missing -----------------------------------------------------------------

my $said = $ctl->run('replay', '--missing', @how);
is $said->{exit}, 4, 'nothing is replayed unasked';
like $said->{err}, qr/evt_4 .*\n.*evt_5 .*\n2 events of Stripe's, into entitle:test\.\nNothing was written: --yes/, 'what_is_missing_is_listed_oldest_first';
unlike $said->{err}, qr/evt_[1236]/, 'and nothing else';
$said = $ctl->json('replay', '--missing', '--yes', @how);
is_deeply { map { $_->{event} => "$_->{outcome} $_->{user}" } @{ $said->{events} } },
    { evt_4 => 'applied cas', evt_5 => 'applied bob' }, 'and applied';
is $said->{looked}, 5, 'of those that change access';
ok wait_until(sub { $site->get('/', 'X-User' => 'cas')->status == 200 }), 'whose_event_was_lost_is_in';
ok wait_until(sub { $site->get('/', 'X-User' => 'bob')->status == 402 }), 'or out';
$said = $ctl->run('replay', '--missing', @how);
is $said->{exit}, 0, 'then nothing is missing';
like $said->{out}, qr/^Stripe lists 5 events that change access, and entitle:test knows them all\./, 'and it says so';

# --- again ---------------------------------------------------------------------------

my $version = $redis->command('HGET', 'entitle:test:{u:ann}', 'version');
$said = $ctl->json('replay', '--since', '1d', '--yes', @how);
is_deeply [map { $_->{outcome} } @{ $said->{events} }], [('duplicate') x 5], 'what_is_known_is_a_duplicate';
is $redis->command('HGET', 'entitle:test:{u:ann}', 'version'), $version, 'and raises no version';
$said = $ctl->run('replay', 'evt_2', 'evt_9', '--yes', @how);
is $said->{exit}, 1, 'some by name';
like $said->{out}, qr/evt_2 .* duplicate +bob\n.*evt_9 +- +unknown +Stripe has it no more: entitlectl reconcile/,
    'and what Stripe has no more';

# --- through the route ---------------------------------------------------------------

my $url = 'http://127.0.0.1:' . $site->port . '/webhook';
$said = $ctl->json('replay', 'evt_3', 'evt_5', '--through', $url, '--yes', @how);
is_deeply [map { $_->{outcome} } @{ $said->{events} }], ['duplicate', 'duplicate'], 'through_the_whole_route';
like $site->log, qr/event "evt_5" of type "customer\.subscription\.deleted" duplicate/, 'as the log of nginx says';
$redis->command('FLUSHALL');
$said = $ctl->run('replay', '--missing', '--through', $url, '--yes', @how);
is $said->{exit}, 0, 'all that is missing';
like $said->{out}, qr/^5 applied\.$/m, 'is applied by nginx';

my $secret = $site->write_file('other.secret', "whsec_other\n");
$said = $ctl->run('replay', 'evt_1', '--through', $url, '--secret-file', $secret, '--yes', @how);
is $said->{exit}, 1, 'a wrong secret';
like $said->{out}, qr/evt_1 .* signature_mismatch/, 'is_said_as_the_webhook_says_it';
$said = $ctl->run('replay', 'evt_1', '--through', $url =~ s/webhook/moved/r, '--yes', @how);
is $said->{exit}, 1, 'a redirect';
like $said->{out}, qr/evt_1 .* 301 +a redirect to http:\S+\/webhook/, 'is_not_followed';
$said = $ctl->run('replay', 'evt_1', '--through', 'http://127.0.0.1:1/', '--yes', @how);
is $said->{exit}, 3, 'nobody there';

# --- what cannot be ------------------------------------------------------------------

for my $case ([2, qr/lists its events for 30 days.*reconcile/, '--since', '40d'], [2, qr/is no event/, 'sub_1'],
    [2, qr/replay takes either/], [2, qr/replay takes either/, 'evt_1', '--missing']) {
    my ($exit, $why, @words) = @$case;
    $said = $ctl->run('replay', @words, '--yes', @how);
    is $said->{exit}, $exit, "usage: replay @words";
    like $said->{err}, $why, 'which says why';
}
$stripe->fault('/v1/events', permission => 'rak_event_read');
$said = $ctl->run('replay', '--missing', @how);
is $said->{exit}, 3, 'a missing permission';
like $said->{err}, qr/lacks the permission rak_event_read/, 'is named';

done_testing;
