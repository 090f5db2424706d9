# entitle_stripe_request: what an event leaves out is asked of Stripe before the
# answer: the line items of a payment, the rest of lists that go on. What passes
# is 503, and Stripe comes again; what it refuses is stored as it is and said.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::FakeStripe;

my $site = Test::Entitle->new(workers => 2);
my $redis = $site->redis;

sub line { return map { { id => "li_$_", price => { id => "price_$_", product => "prod_$_" } } } @_ }
sub items { return map { { id => "si_$_", quantity => 1, price => { id => "price_$_", product => "prod_$_" } } } @_ }
sub of { return "/v1/checkout/sessions/$_[0]/line_items" }

my $cut = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    . '{"object":"list","data":[{"id":"li_';
my $stripe = Test::Entitle::FakeStripe->new($site,
    page  => 2,
    lists => {
        of('cs_known')  => [line('pro')],
        of('cs_paged')  => [line(qw(a b c d pro))],
        of('cs_many')   => [line('a' .. 'p')],
        of('cs_other')  => [line('gold')],
        of('cs_passes') => [line(qw(a b pro))],
        of('cs_cut')    => [line('pro')],
        of('cs_hangs')  => [line('pro')],
        of('cs_late')   => [line('pro')],
        of('cs_later')  => [line('pro')],
        (map { ("/v1/subscription_items?subscription=sub_$_" => [items('pro')]) } qw(deleted unpaid canceled)),
        of('cs_halfway') => [line(qw(a pro b c))],
        of('cs_none')   => [{ %{ (line('pro'))[0] }, quantity => 0 }],
        of('cs_conn')   => [line('pro')],
        '/v1/subscription_items?subscription=sub_cut' => [items(qw(a b c pro))],
        '/v1/entitlements/active_entitlements?customer=cus_feat' =>
            [map { { id => "ent_$_", lookup_key => $_ } } qw(a b pro)],
    },
    faults => {
        cs_busy   => { status => 429 },
        cs_limited => { status => 400, code => 'rate_limit' },
        cs_passes => { status => 500, from => 2, times => 1 },
        cs_cut    => { raw => $cut, times => 1 },
        cs_hangs  => { hang => 1, times => 1 },
        cs_halfway => { status => 404, from => 2 },
        cs_later   => { status => 404, after => 1 },
        (map { ("sub_$_" => { status => 500, after => 1 }) } qw(deleted unpaid canceled)),
        cs_denied => { permission => 'rak_checkout_session_read' },
    });
$site->write_file('html/course', 'the course');
my $conf = <<"EOF";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro price_pro plink_known feature=pro acct_1Fx9/price_pro;
map \$http_x_user \$somebody { default \$http_x_user; }
entitle_trusted_user \$somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    @{[$stripe->location]}
    location = /webhook {
        entitle_webhook test;
        entitle_webhook_secret_file %%SECRET%%;
        entitle_webhook_account acct_1Fx9;
        entitle_stripe_request /stripe/;
    }
    location = /course { entitle_require pro; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    @{[$stripe->location('rk_test_wrong')]}
    location = /webhook {
        entitle_webhook test;
        entitle_webhook_secret_file %%SECRET%%;
        entitle_stripe_request /stripe;
    }
}
EOF
$site->start($conf);

my $n = 0;

sub session {
    my ($user, $id, %change) = @_;
    $n++;
    return event_json('checkout.session.completed.payment', user => $user,
        'data.object.id'             => $id,
        'data.object.customer'       => "cus_$n",
        'data.object.payment_intent' => "pi_$n",
        'data.object.payment_link'   => undef,
        'data.object.metadata'       => {},
        'data.object.client_reference_id' => $user, %change);
}

sub in {
    my ($user, $expected, $name) = @_;
    is $site->get('/course', 'X-User' => $user)->status, $expected ? 200 : 402, $name;
}

my @before;

sub asked_since {
    my @all = $stripe->asked;
    my @new = @all[scalar(@before) .. $#all];
    @before = @all;
    return join ' ', map { s{^/v1/checkout/sessions/}{}r } @new;
}

# --- what is asked, and when ---------------------------------------------------------

my $answer = $site->webhook(session('ann', 'cs_known'));
is $answer->status, 200, 'line_items_are_asked_for';
is_deeply $answer->json->{unlocks}, ['pro'], 'and open what they are granted for';
in('ann', 1, 'who bought them is in');
is asked_since(), 'cs_known/line_items?limit=100', 'by one request';
my $headers = $stripe->last_headers;
is $headers->{host}, 'api.stripe.com', 'through the location';
ok !(grep { /stripe-signature|content-length|x-user/ } keys %$headers),
    "with nothing of the webhook's own";

$answer = $site->webhook(session('bea', 'cs_known', 'data.object.payment_link' => 'plink_known'));
is_deeply $answer->json->{unlocks}, ['pro'], 'what a grant knows already';
is asked_since(), '', 'is_not_asked_about';
$site->webhook(session('bea', 'cs_known', 'data.object.payment_status' => 'unpaid',
    type => 'checkout.session.expired'));
is asked_since(), '', 'nor_what_is_never_paid';
is $site->request(uri => '/webhook', method => 'POST', body => session('eve', 'cs_known'))->status,
    400, 'an event nobody signed';
is asked_since(), '', 'is_never_asked_about';
is $site->get('/stripe/v1/checkout/sessions/cs_known/line_items')->status, 404,
    'the location is nobody else\'s';

$answer = $site->webhook(session('cid', 'cs_paged'));
is_deeply $answer->json->{unlocks}, ['pro'], 'pages_follow_one_another';
is asked_since(), join(' ', map { "cs_paged/line_items?limit=100$_" } '', '&starting_after=li_b',
    '&starting_after=li_d'), 'by the last id of each';
$answer = $site->webhook(session('dan', 'cs_many'));
is scalar(my @pages = split / /, asked_since()), 3, 'three_pages_at_most';
is $answer->json->{outcome}, 'unmatched', 'what is beyond them is not known';
is scalar @{ $answer->json->{carries} }, 12, 'what is in them is';

$answer = $site->webhook(session('eli', 'cs_other'));
is_deeply $answer->json->{carries}, ['price_gold', 'prod_gold'], 'what_no_grant_knows_is_named';

is $site->webhook(session('ela', 'cs_none'))->json->{outcome}, 'unmatched',
    'of_what_nobody_has_nothing_is_bought';

$redis->command('SADD', 'entitle:test:ignored', 'cus_' . ($n + 1));
asked_since();
is $site->webhook(session('ivy', 'cs_other'))->json->{outcome}, 'applied', 'what_is_ignored_by_name_is_waved_through';
is asked_since(), '', '  and not asked about';

# --- what is paid later -----------------------------------------------------------------

sub captured {
    my ($payment) = @_;
    return event_json('payment_intent.succeeded', 'data.object.id' => $payment,
        'data.object.customer' => "cus_$n", 'data.object.metadata' => {},
        'data.object.capture_method' => 'manual');
}

for my $first ('its completion', 'the capture') {
    asked_since();
    my $user = $first =~ s/\W//gr;
    my $unpaid = session($user, 'cs_known', 'data.object.payment_status' => 'unpaid');
    my $paid = captured("pi_$n");
    my @answers = map { $site->webhook($_) } $first eq 'the capture' ? ($paid, $unpaid) : ($unpaid, $paid);
    if ($first eq 'the capture') {
        is_deeply [$answers[0]->status, $answers[0]->json->{outcome}], [202, 'parked'], 'a_capture_alone_is_202';
        like $site->log, qr/\[warn\].*parked: customer "cus_$n".* captured by hand: what was sold, its session's/,
            '  and the log says what is missing';
    }
    is_deeply $answers[-1]->json->{unlocks}, ['pro'], "what_is_captured_by_hand_opens, after $first";
    is asked_since(), 'cs_known/line_items?limit=100', '  as Stripe was asked about';
    in($user, 1, '  and who bought it is in');
}

my $unpaid = session('eve', 'cs_other', 'data.object.payment_status' => 'unpaid');
is $site->webhook($unpaid)->json->{outcome}, 'applied', 'what nobody has paid for opens nothing';
$answer = $site->webhook(captured("pi_$n"));
is $answer->status, 202, 'what_is_captured_and_opens_nothing_is_202';
is_deeply $answer->json->{carries}, ['price_gold', 'prod_gold'], '  and says what it carries';
like $site->log, qr/\[warn\].*unmatched: user "eve".*no "entitle_grant" names price_gold prod_gold/,
    '  in the log, too';

my %delayed = ('data.object.payment_status' => 'unpaid');
my $completed = session('dee', 'cs_later', %delayed);
$site->webhook($completed);
$answer = $site->webhook($completed
    =~ s/"checkout\.session\.completed"/"checkout.session.async_payment_succeeded"/r
    =~ s/"payment_status"\s*:\s*"unpaid"/"payment_status":"paid"/r
    =~ s/"id"\s*:\s*"(evt_\w+)"/"id":"$1p"/r);
is_deeply $answer->json->{unlocks}, ['pro'], 'what_was_told_once_stays_when_Stripe_tells_no_more'
    or diag $answer->body;

# --- what nobody named, until now --------------------------------------------------------

$site->webhook(session('', 'cs_other', 'data.object.client_reference_id' => undef));
$answer = $site->webhook(event_json('customer.updated.metadata_mapped',
    'data.object.id' => "cus_$n", 'data.object.metadata' => { user_id => 'fin' }));
is $answer->status, 202, 'a_claim_of_what_opens_nothing_is_202';
like $site->log, qr/unmatched: user "fin".*no "entitle_grant" names price_gold prod_gold/,
    '  and says what it is';

# --- what ends --------------------------------------------------------------------------

for my $case (['deleted', type => 'customer.subscription.deleted'],
    ['unpaid', 'data.object.status' => 'unpaid'], ['canceled', 'data.object.status' => 'canceled']) {
    my ($what, @change) = @$case;
    my @of = (user => "end$what", 'data.object.id' => "sub_$what", 'data.object.customer' => "cus_$what");
    $answer = $site->webhook(event_json('customer.subscription.updated.items_has_more', @of,
        created => time));
    is_deeply $answer->json->{unlocks}, ['pro'], "a subscription that will be $what";
    $answer = $site->webhook(event_json('customer.subscription.updated.items_has_more', @of,
        created => time + 5, @change));
    is $answer->status, 200, '  what_ends_waits_for_nobody';
    in("end$what", 0, '  and has ended');
}

# --- what passes -----------------------------------------------------------------------

for my $case (['cs_passes', 'a 500 in the middle'], ['cs_cut', 'an answer that breaks off'],
    ['cs_hangs', 'none at all']) {
    my ($id, $what) = @$case;
    my $event = session("fay$id", $id);
    $answer = $site->webhook($event);
    is $answer->status, 503, "after $what Stripe has to come again";
    ok $answer->header('Retry-After'), '  and is told so';
    is $redis->command('EXISTS', "entitle:test:{u:fay$id}"), 0, '  nothing is stored';
    $answer = $site->webhook($event);
    is_deeply $answer->json->{unlocks}, ['pro'], '  then it is in';
}
is $site->webhook(session('gus', 'cs_busy'))->status, 503, 'so it is with 429';
is $site->webhook(session('gil', 'cs_limited'))->status, 503, 'and with 400 where that is a limit';

# --- what is refused ---------------------------------------------------------------------

$answer = $site->webhook(session('hal', 'cs_denied'));
is $answer->status, 202, 'without_the_permission_it_is_stored';
is $answer->json->{outcome}, 'unmatched', 'and unmatched';
is $redis->command('EXISTS', 'entitle:test:{u:hal}'), 1, 'it is there';
like $site->log, qr/\[error\].*is stored as it is: Stripe refused the line items with status 403: the key lacks the permission rak_checkout_session_read/,
    'the_log_names_the_permission';
is $site->webhook(session('ian', 'cs_unheard'))->json->{outcome}, 'unmatched',
    'so is what Stripe does not know';
like $site->log, qr{status 404: "No such session: 'cs_unheard'" \("resource_missing"\), asked for /v1/checkout/sessions/cs_unheard/line_items\?limit=100},
    'in its own words, with what was asked for';
$answer = $site->webhook(session('ike', 'cs_halfway'));
is_deeply $answer->json->{unlocks}, ['pro'], 'what_it_told_before_it_refused_counts';
sub other { return $site->request(port => $site->port(2), method => 'POST', uri => $_[0],
        body => $_[1], headers => ['Stripe-Signature' => signature($_[1])]) }
is other('/webhook', session('jan', 'cs_known'))->json->{outcome}, 'unmatched', 'and a wrong key';
like $site->log, qr/status 401: it does not know the key/, 'which is said';
unlike $site->log, qr/\Q$Test::Entitle::FakeStripe::KEY\E|rk_test_\*/, 'no_part_of_a_key_is_logged';

# --- lists that go on ---------------------------------------------------------------------

asked_since();
$answer = $site->webhook(event_json('customer.subscription.updated.items_has_more', user => 'kim',
    'data.object.id' => 'sub_cut', 'data.object.customer' => 'cus_kim'));
is_deeply $answer->json->{unlocks}, ['pro'], 'the_rest_of_the_items_is_asked_for' or diag $answer->body;
is asked_since(), '/v1/subscription_items?subscription=sub_cut&limit=100 '
    . '/v1/subscription_items?subscription=sub_cut&limit=100&starting_after=si_b', 'in pages';

$site->webhook(event_json('customer.created', 'data.object.id' => 'cus_feat',
    'data.object.metadata' => { user_id => 'lea' }));
$answer = $site->webhook(event_json('entitlements.active_entitlement_summary.updated.has_more',
    'data.object.customer' => 'cus_feat'));
is_deeply $answer->json->{unlocks}, [qw(a b pro)], 'and_the_rest_of_the_features';

# --- whose -------------------------------------------------------------------------------

my %connected = ('data.object.customer' => 'cus_conn');
$answer = $site->webhook(session('mia', 'cs_conn', account => 'acct_1Fx9', %connected));
is_deeply $answer->json->{unlocks}, ['pro'], 'a_connected_account_is_asked_about';
is $stripe->last_headers->{'stripe-account'}, 'acct_1Fx9', 'by its header';
$answer = $site->webhook(session('ned', 'cs_conn', context => 'acct_1Fx9', %connected));
is $stripe->last_headers->{'stripe-context'}, 'acct_1Fx9', 'an_organisations_by_another';
is $site->webhook(session('oli', 'cs_conn', context => 'acct_2'))->json->{outcome},
    'account_not_allowed', 'another_of_its_accounts_is_not_our_own';

$site->expect_log(qr/not_stored: Stripe answered with status 500/, qr/not_stored: Stripe's answer broke off/,
    qr/not_stored: nginx itself answered with status 504, not Stripe: Stripe took longer/,
    qr/not_stored: Stripe answered with status 429/, qr/not_stored: Stripe refused the line items with status 400.*"rate_limit"/,
    qr/status 403: the key lacks/, qr/status 404/, qr/status 401/, qr/account_not_allowed/,
    qr/upstream timed out/, qr/upstream prematurely closed/);
done_testing;
