# What is paid for and opens nothing: the commonest one-time purchase of all (a
# price, metadata, no payment link) opens by its metadata, and what no grant
# knows is answered 202, logged, indexed and counted until that changes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new(workers => 2);
my $redis = $site->redis;
my $conf = <<'EOF';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro metadata.plan=pro price=monthly8usd plan_Fx8;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /status { entitle_status; }
    location = /course { entitle_require pro; }
}
EOF
$site->write_file('html/course', 'the course');
$site->start($conf);

my $INDEX = 'entitle:test:unmatched';
my $n = 0;

# A session in payment mode as an app makes it: a price and metadata.
sub session {
    my ($user, %change) = @_;
    $n++;
    return event_json('checkout.session.completed.payment', user => $user,
        'data.object.id'             => "cs_$n",
        'data.object.customer'       => "cus_$n",
        'data.object.payment_intent' => "pi_$n",
        'data.object.payment_link'   => undef,
        'data.object.client_reference_id' => undef,
        %change);
}

sub course {
    my ($user) = @_;
    return $site->get('/course', 'X-User' => $user)->status;
}

sub index_members { return join ' ', sort @{ $redis->command('ZRANGE', $INDEX, 0, -1) } }

# --- by its metadata --------------------------------------------------------------

my $answer = $site->webhook(session('ann',
    'data.object.metadata' => { userId => 'ann', plan => 'pro' }));
is $answer->status, 200, 'a_purchase_is_known_by_its_metadata';
is $answer->json->{outcome}, 'applied', 'it is applied';
is_deeply $answer->json->{unlocks}, ['pro'], 'and unlocks what the grant says';
is course('ann'), 200, 'who bought it is in';
is index_members(), '', 'the index knows nothing of it';

# --- what nobody knows ---------------------------------------------------------------

my $event = session('bob', 'data.object.metadata' => { userId => 'bob', plan => 'gold' });
$answer = $site->webhook($event);
is $answer->status, 202, 'a_purchase_no_grant_knows_is_202';
is $answer->json->{outcome}, 'unmatched', 'it is unmatched';
is_deeply $answer->json->{carries}, ['metadata.plan=gold'], 'and says what it carries';
is course('bob'), 402, 'it opens nothing';
like $site->log, qr/\[warn\].* unmatched: user "bob".* no "entitle_grant" names metadata\.plan=gold/,
    'it is warned of, with what it carries';

$answer = $site->webhook(session('cid', 'data.object.metadata' => { userId => 'cid' }));
is $answer->status, 202, 'one_that_carries_nothing_is_202';
is $answer->json->{outcome}, 'unmatched', 'it is unmatched, too';
like $site->log, qr/unmatched: user "cid".* it carries nothing that an "entitle_grant" could name/,
    'and the log says so';
is index_members(), 'u:bob|cs_2 u:cid|cs_3', 'both_are_in_the_index';
my ($space) = grep { $_->{prefix} eq 'entitle:' && $_->{mode} eq 'test' }
    @{ $site->get('/status')->json->{spaces} };
is $space->{unmatched}, 2, 'the_status_counts_them';
like $site->get('/status?format=prometheus')->body,
    qr/^entitle_unmatched\{prefix="entitle:",mode="test"\} 2$/m, 'for Prometheus, too';

is $site->webhook(session('', 'data.object.metadata' => {}))->json->{outcome}, 'parked',
    'one of nobody is parked';
is index_members(), 'p:cus_4|cs_4 u:bob|cs_2 u:cid|cs_3', 'and_indexed_by_its_place';

# --- and leaves ---------------------------------------------------------------------

is $site->webhook(event_json('charge.refunded.full', user => 'cid',
    'data.object.customer' => 'cus_3', 'data.object.payment_intent' => 'pi_3'))->status, 200,
    'a refund';
is index_members(), 'p:cus_4|cs_4 u:bob|cs_2', 'what_is_refunded_leaves_the_index';

$redis->command('SADD', 'entitle:test:ignored', 'metadata.shop=books', 'cus_7');
for my $case (['its metadata' => { userId => 'dan', shop => 'books' }],
    ['nothing'  => { userId => 'dan' }], ['its customer' => { userId => 'dan' }]) {
    my ($by, $metadata) = @$case;
    $answer = $site->webhook(session('dan', 'data.object.metadata' => $metadata));
    is $answer->json->{outcome}, $by eq 'nothing' ? 'unmatched' : 'applied',
        "what_is_ignored_by_name_is_waved_through, by $by";
}
is index_members(), 'p:cus_4|cs_4 u:bob|cs_2 u:dan|cs_6', 'and enters no index';

# A grant that is written afterwards applies to what was bought before.
$site->reload($conf =~ s/(metadata\.plan=pro)/$1 metadata.plan=gold/r);
ok wait_until(sub { course('bob') == 200 }), 'a_grant_of_tomorrow_opens_what_was_bought_today';
is $site->webhook($event)->json->{outcome}, 'duplicate', 'its event again';
is index_members(), 'p:cus_4|cs_4 u:dan|cs_6', 'takes it out of the index';

# No event comes again: what a grant knows by now, what an operator ignores and
# what is gone is found when the lists are looked through after a reload.
for my $user (qw(fay gil)) {
    $site->webhook(session($user,
        'data.object.metadata' => { userId => $user, plan => "by-$user" }));
}
$site->webhook(session('', 'data.object.metadata' => { plan => 'by-fay' }));
is index_members(), "p:cus_10|cs_10 p:cus_4|cs_4 u:dan|cs_6 u:fay|cs_8 u:gil|cs_9",
    'three more open nothing';
$redis->command('ZADD', $INDEX, 7, 'u:dan|cs_gone');
$redis->command('SADD', 'entitle:test:ignored', 'cs_9');
$redis->command('ZADD', 'entitle:test:parked', 7, 'pi_expired');
my $oldest = $site->get('/status?format=prometheus')->body;
like $oldest, qr/^\Q$_\E\{prefix="entitle:",mode="test"\} (?!0$)\d+$/m, "$_ is known"
    for qw(entitle_unmatched_oldest_seconds entitle_parked_oldest_seconds);
$site->reload($conf =~ s/(metadata\.plan=pro)/$1 metadata.plan=gold metadata.plan=by-fay/r);
is course('fay'), 200, 'the grant of tomorrow opens at once';
ok wait_until(sub { index_members() eq 'p:cus_4|cs_4 u:dan|cs_6' }, 20),
    'what_it_knows_leaves_the_index_without_an_event' or diag index_members();
ok wait_until(sub { join(' ', sort @{ $redis->command('ZRANGE', 'entitle:test:parked', 0, -1) })
            eq 'cus_10 cus_4' }), 'and_a_place_that_is_gone_the_parked_ones';
like $site->log, qr/\[notice\].*entitle: 4 taken off "entitle:test:unmatched"/, 'which is logged';
($space) = grep { $_->{prefix} eq 'entitle:' && $_->{mode} eq 'test' }
    @{ $site->get('/status')->json->{spaces} };
is $space->{unmatched}, 2, 'the status counts what stays';
cmp_ok $space->{unmatched_oldest_seconds}, '<', 120, 'and how old that is';
is_deeply [map { $_->{unmatched_oldest_seconds} } grep { $_->{mode} eq 'live' }
        @{ $site->get('/status')->json->{spaces} }], [0], 'nothing is not old';

# --- prices with ids of their own ------------------------------------------------------

for my $id (qw(monthly8usd plan_Fx8)) {
    $n++;
    $answer = $site->webhook(event_json('customer.subscription.created.active', user => "eve$n",
        'data.object.id' => "sub_$n", 'data.object.customer' => "cus_$n",
        'data.object.items.data.0.price.id' => $id));
    is $answer->json->{outcome}, 'applied', "a_price_is_known_by_the_id_it_has: $id"
        or diag $answer->body;
    is course("eve$n"), 200, 'and opens';
}

# --- a subscription that nothing is heard of ----------------------------------------

my $before = index_members();
my @started = map {
    event_json('checkout.session.completed.subscription', user => $_,
        'data.object.id' => "cs_$_", 'data.object.customer' => "cus_$_",
        'data.object.subscription' => "sub_$_", 'data.object.invoice' => undef,
        created => time - 90)
} qw(tom uma);
for my $session (@started) {
    $answer = $site->webhook($session);
    is $answer->json->{outcome}, 'applied', 'a_session_comes_before_its_subscription';
    is $answer->status, 200, 'which is as it should be';
    is $answer->json->{awaits}, 'customer.subscription.created', 'and says what is missing';
}
is index_members(), "$before u:tom|cs_tom u:uma|cs_uma", 'it is in the index';
like $site->log, qr/\[info\].* applied: user "tom".* has told of its subscription yet/,
    'it is logged';
unlike $site->log, qr/\[warn\].*of its subscription yet/, 'and not warned of';
$answer = $site->webhook(event_json('customer.subscription.created.active', user => 'uma',
    'data.object.id' => 'sub_uma', 'data.object.customer' => 'cus_uma',
    'data.object.items.data.0.price.id' => 'plan_Fx8'));
is $answer->json->{outcome}, 'applied', 'then it comes';
is index_members(), "$before u:tom|cs_tom", 'which_settles_it';
$site->reload($conf);
ok wait_until(sub { $site->log =~ /\[warn\].*entitle: 1 in "entitle:test:unmatched" paid for a subscription, and Stripe has not said that it runs/ },
    20), 'what_is_not_heard_of_for_a_minute_is_warned_of';

# --- a payment for a subscription that does not run ---------------------------------

$before = index_members();
my @dun = (user => 'una', 'data.object.id' => 'sub_una', 'data.object.customer' => 'cus_una',
    'data.object.items.data.0.price.id' => 'plan_Fx8');
$site->webhook(event_json('customer.subscription.updated.activated', @dun, id => 'evt_una1',
    created => time - 90, 'data.object.status' => 'unpaid'));
is course('una'), 402, 'who has not paid is out';
$answer = $site->webhook(event_json('invoice.paid', user => 'una', id => 'evt_una2',
    created => time - 30, 'data.object.customer' => 'cus_una',
    'data.object.parent.subscription_details.subscription' => 'sub_una'));
is $answer->status, 202, 'a_payment_of_what_does_not_run_is_202' or diag $answer->body;
is $answer->json->{awaits}, 'customer.subscription.updated', 'and says what is missing';
like $site->log, qr/\[warn\].* unmatched: user "una".* has said that the subscription runs again/,
    'and is warned of';
is index_members(), "$before u:una|sub_una", 'it is in the index';
$answer = $site->webhook(event_json('customer.subscription.updated.activated', @dun, id => 'evt_una3',
    created => time - 10));
is course('una'), 200, 'then it runs';
is index_members(), $before, 'and is in no index';

# --- lists that were cut -------------------------------------------------------------

for (1 .. 2) {
    $n++;
    $answer = $site->webhook(event_json('customer.subscription.updated.items_has_more',
        user => "vic$n", id => "evt_cut_$n", 'data.object.id' => "sub_$n",
        'data.object.customer' => "cus_$n"));
    is $answer->status, $answer->json->{outcome} eq 'applied' ? 200 : 202, 'a cut list is stored';
}
like $site->log, qr/\[warn\].*of event "evt_cut_\d+" Stripe sent only the beginning of its list.*"entitle_stripe_request"/,
    'what_was_not_seen_is_said';

# --- what belongs to nobody's place -----------------------------------------------

$answer = $site->webhook(event_json('customer.subscription.created.active', user => 'sue',
    'data.object.id' => 'sub_alone', 'data.object.customer' => undef));
is $answer->json->{outcome}, 'ignored', 'a_subscription_without_a_customer_is_nowhere_to_keep';
like $site->log, qr/\[warn\].*no id or no customer/, 'and warned of';
$answer = $site->webhook(event_json('invoice.paid.no_subscription',
    type => 'invoice.finalization_failed', id => 'evt_not_finalized'));
is $answer->json->{outcome}, 'ignored', 'an_invoice_that_cannot_be_finalized_changes_nothing';
like $site->log, qr/\[warn\].*could not be finalized/, 'and is warned of';

done_testing;
