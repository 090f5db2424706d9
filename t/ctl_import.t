# entitlectl import: a site with customers gets a gate. Of the fake Stripe's
# customers some are named by their subscription, some by the customer's metadata,
# some by their e-mail, some by nobody; some have not paid or have left.
#
# ENTITLE_IMPORT=10000 imports so many.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;
use Test::Entitle::FakeStripe;

my $COUNT = $ENV{ENTITLE_IMPORT} // 2000;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro lookup_key=pro_monthly;
entitle_user_from client_reference_id metadata.user_id email;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    server_name shop.test;
    %%WEBHOOK%%
    location / { entitle_require pro; }
}
EOF_CONF
$site->write_file('html/index.html', 'in');

# --- Stripe's customers --------------------------------------------------------------

my $now = time;
my $end = $now + 20 * 86400;

# Of each 20: who names them, how they stand, and so who is in.
my @KINDS = (
    (['subscription', 'active', 1]) x 6, ['subscription', 'trialing', 1], ['subscription', 'canceled', 0],
    ['subscription', 'unpaid', 0], (['customer', 'active', 1]) x 4, ['customer', 'past_due', 1],
    (['email', 'active', 1]) x 3, ['email', 'canceled', 0], (['nobody', 'active', 0]) x 2,
);

sub user_of {
    my ($n) = @_;
    my ($by) = @{ $KINDS[$n % @KINDS] };
    return $by eq 'nobody' ? undef : $by eq 'email' ? "c$n\@example.com" : "user$n";
}

sub text_of {
    my ($n) = @_;
    my ($by, $status) = @{ $KINDS[$n % @KINDS] };
    my $named = sub { $by eq $_[0] ? qq({"user_id":"user$n"}) : '{}' };
    my $email = $by eq 'email' ? qq("c$n\@example.com") : 'null';
    my $ended = $status eq 'canceled' ? $now - 86400 : 'null';
    my $start = $now - 86400;
    return sprintf '{"id":"sub_%1$d","object":"subscription","livemode":false,"created":%2$d,"status":"%3$s",'
        . '"collection_method":"charge_automatically","cancel_at":null,"cancel_at_period_end":false,'
        . '"ended_at":%4$s,"trial_end":null,"metadata":%5$s,"pause_collection":null,'
        . '"customer":{"id":"cus_%1$d","object":"customer","livemode":false,"email":%6$s,"metadata":%7$s},'
        . '"items":{"object":"list","has_more":false,"data":[{"id":"si_%1$d","object":"subscription_item",'
        . '"quantity":1,"current_period_start":%8$d,"current_period_end":%9$d,"price":{"id":"price_pro",'
        . '"object":"price","product":"prod_pro","lookup_key":"pro_monthly","unit_amount":900,'
        . '"recurring":{"interval":"month","interval_count":1}}}]}}',
        $n, $now - 8640000 - $n, $status, $ended, $named->('subscription'), $email, $named->('customer'), $start, $end;
}

my $stripe = Test::Entitle::FakeStripe->new($site, account => 1,
    lists => { '/v1/subscriptions' => [map { ["sub_$_", text_of($_)] } 1 .. $COUNT] });
$ENV{STRIPE_API_KEY} = $Test::Entitle::FakeStripe::KEY;
my $ctl  = Test::Entitle::Ctl->new;
my @how = ('--config', "$site->{dir}/nginx.conf", '--stripe-api', $stripe->url, '--stripe-rate', 1000);

my %count;
for (map { $KINDS[$_ % @KINDS] } 1 .. $COUNT) {
    my ($by, $status) = @$_;
    $count{paying}++ if $status =~ /^(?:active|trialing|past_due)$/;
    $count{nobody}++ if $by eq 'nobody';
}

# --- look ------------------------------------------------------------------------------

my $said = $ctl->json('reconcile', @how);
is $said->{looked}{subscriptions}, $COUNT, 'all are looked at';
is $said->{drift}{missing}{found}, $count{paying}, 'who pays is missing';
is $said->{drift}{unowned}{found}, $count{nobody}, 'and who is nobody is told';
is $redis->command('DBSIZE'), 0, 'nothing is written';

# --- import ----------------------------------------------------------------------------

$said = $ctl->json('import', '--yes', @how);
diag sprintf '%d subscriptions: %d ms of its own CPU, %d ms in all', $COUNT,
    $said->{cpu_milliseconds}, $said->{milliseconds};
ok $said->{finished}, 'they are imported';
is $said->{drift}{missing}{healed}, $count{paying}, 'who pays is kept';
is $said->{drift}{unowned}{left}, $count{nobody}, 'the_unnamed_are_told';
is $redis->command('ZCARD', 'entitle:test:parked'), $count{nobody}, 'and_listed';

my $wrong = 0;
for my $n (1 .. $COUNT) {
    my ($by, $status, $is_in) = @{ $KINDS[$n % @KINDS] };
    my $user = user_of($n) // next;
    next if $n > 400 && $n % 97;    # some of all
    my $got = $site->get('/', 'X-User' => $user)->status;
    next if $got == ($is_in ? 200 : 402);
    diag "$user, $by, $status: $got";
    $wrong++;
}
is $wrong, 0, 'everyone_is_as_stripe_says';
my $records = () = map { /^entitle:test:\{u:[^}]*\}$/ ? $_ : () } @{ $redis->command('KEYS', '*') };
is $records, $count{paying} - $count{nobody}, 'a record each, and no more';

# --- again -----------------------------------------------------------------------------

my %versions = map { $_ => $redis->command('HGET', "entitle:test:{u:$_}", 'version') } map { user_of($_) // () } 1 .. 60;
my $digest = $redis->digest;
$said = $ctl->json('import', '--yes', @how);
is $said->{drift}{missing}{found}, 0, 'the second time nothing is missing';
is_deeply { map { $_ => $redis->command('HGET', "entitle:test:{u:$_}", 'version') } keys %versions }, \%versions,
    'no_version_rises';
is $redis->digest, $digest, 'a_second_run_changes_nothing';

# --- Stripe goes on --------------------------------------------------------------------

is $site->webhook(event_json('customer.subscription.deleted', 'data.object.id' => 'sub_1',
        'data.object.customer' => 'cus_1', 'data.object.metadata' => { user_id => 'user1' },
        'created' => time + 5))->json->{outcome}, 'applied', 'an event comes after the import';
ok wait_until(sub { $site->get('/', 'X-User' => 'user1')->status == 402 }), 'and counts';

done_testing;
