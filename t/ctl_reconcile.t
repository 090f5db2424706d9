# entitlectl reconcile: what Stripe says beside what is kept, found and healed,
# on a real nginx and Redis and a Stripe of our own.
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
entitle_grant team price_TEAM;
entitle_grant lifetime plink_1Fx0000000000000LIFETIME;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    server_name shop.test;
    %%WEBHOOK%%
    location / { entitle_require pro team lifetime; }
    location /team { entitle_require team; }
}
EOF_CONF
$site->write_file("html/$_", 'in') for qw(index.html team);

my $stripe = Test::Entitle::FakeStripe->new($site, account => 1, page => 4);
my $ctl    = Test::Entitle::Ctl->new;
my @conf   = ('--config', "$site->{dir}/nginx.conf");
my @stripe = ('--stripe-api', $stripe->url, '--stripe-rate', 1000);
$ENV{STRIPE_API_KEY} = $Test::Entitle::FakeStripe::KEY;

sub reconcile { return $ctl->run('reconcile', @_, @conf, @stripe) }
sub told      { return $ctl->json('reconcile', @_, @conf, @stripe) }

# --- what Stripe has, and what it says of it ---------------------------------------

# A period that is said twice ends when it ended the first time.
my $NOW = time;

sub of_event { return JSON::PP::decode_json($_[0])->{data}{object} }

# An event about the subscription of customer n, of some time ago: one of the second
# in which Stripe is asked would count for more. As JSON.
sub subscription_event {
    my ($n, $user, $what, %change) = @_;
    return event_json("customer.subscription.$what", now => $NOW, 'created' => time - 100,
        'data.object.id'       => "sub_$n",
        'data.object.customer' => "cus_$n",
        'data.object.metadata' => { defined $user ? (user_id => $user) : () },
        %change);
}
sub subscription { return of_event(subscription_event(@_)) }

sub session_event {
    my ($n, $user) = @_;
    return event_json('checkout.session.completed.payment', now => $NOW, 'created' => time - 100,
        'data.object.id' => "cs_$n", 'data.object.customer' => "cus_$n",
        'data.object.payment_intent' => "pi_$n", 'data.object.client_reference_id' => $user);
}

sub team { return ('data.object.items.data.0.price' => { id => 'price_TEAM', product => 'prod_T' },
        'data.object.items.data.0.plan' => undef) }

sub deliver { is $site->webhook($_[0])->json->{outcome}, $_[1], $_[2] }
sub in { my ($user, $path) = @_; return $site->get($path // '/', 'X-User' => $user)->status }

my $LIST = '/v1/subscriptions';
$stripe->put('/v1/customers', map { { id => "cus_$_", object => 'customer', livemode => JSON::PP::false(),
            email => "c$_\@example.com", metadata => {} } } 1 .. 20);

# 1: created is lost
$stripe->put($LIST, subscription(1, 'ann', 'created.active'));
# 2: deleted is lost
deliver(subscription_event(2, 'bob', 'created.active'), 'applied', 'bob pays');
$stripe->put($LIST, subscription(2, 'bob', 'deleted'));
# 3: a refund is lost
deliver(session_event(3, 'carl'), 'applied', 'carl buys');
my $charge = { %{ of_event(event_json('charge.refunded.full')) },
    id => 'ch_3', customer => 'cus_3', payment_intent => 'pi_3', refunds => undef };
my $refund = { %{ of_event(event_json('refund.created')) },
    id => 're_3', charge => 'ch_3', payment_intent => 'pi_3', customer => 'cus_3' };
$stripe->put('/v1/checkout/sessions', of_event(session_event(3, 'carl')));
$stripe->put('/v1/charges', $charge);
$stripe->put('/v1/refunds', $refund);
# 4: it was incomplete, and is paid
deliver(subscription_event(4, 'dora', 'created.incomplete'), 'applied', 'dora tries');
$stripe->put($LIST, subscription(4, 'dora', 'created.active'));
# 5: another plan
deliver(subscription_event(5, 'eve', 'created.active'), 'applied', 'eve pays');
$stripe->put($LIST, subscription(5, 'eve', 'created.active', team()));
# 6: another owner
deliver(subscription_event(6, 'fay', 'created.active'), 'applied', 'fay pays');
$stripe->put($LIST, subscription(6, 'gus', 'created.active'));
# 7: a purchase is lost
$stripe->put('/v1/checkout/sessions', of_event(session_event(7, 'hal')));
# 8: nobody's, and nobody was told
$stripe->put($LIST, subscription(8, undef, 'created.active'));
# 9: what no grant knows
my @other = ('data.object.items.data.0.price' => { id => 'price_X', product => 'prod_X' },
    'data.object.items.data.0.plan' => undef);
deliver(subscription_event(9, 'ivy', 'created.active', @other), 'unmatched', 'ivy pays for nothing');
$stripe->put($LIST, subscription(9, 'ivy', 'created.active', @other));
# 10: all is well
deliver(subscription_event(10, 'joe', 'created.active'), 'applied', 'joe pays');
$stripe->put($LIST, subscription(10, 'joe', 'created.active'));
# 11: Stripe has never heard of it
deliver(subscription_event(11, 'kim', 'created.active'), 'applied', 'kim has paid');
# 12: it ended long ago, and nobody was told of it at all
$stripe->put($LIST, subscription(12, 'liv', 'deleted'));
# 13: named by its session alone, which is lost, too
$stripe->put($LIST, subscription(13, undef, 'created.active'));
my $session = of_event(event_json('checkout.session.completed.subscription'));
$stripe->put('/v1/checkout/sessions', { %$session, id => 'cs_13', customer => 'cus_13', invoice => undef,
        subscription => 'sub_13', client_reference_id => 'max', metadata => {} });

my %WANTED = map { $_ => 1 } ('missing sub_1 ann', 'extra sub_2 bob', 'extra cs_3 carl', 'stale sub_4 dora',
    'stale sub_5 eve', 'moved sub_6 gus', 'missing cs_7 hal', 'missing sub_8 -', 'unowned sub_8 -',
    'unmatched sub_9 ivy', 'extra sub_11 kim', 'missing sub_13 -');

# --- a dry run ---------------------------------------------------------------------

sub digest { return $redis->digest }
my $digest = digest();
my $json   = told();
is_deeply { map { join(' ', @$_{qw(kind source)}, $_->{user} // '-') => 1 } @{ $json->{findings} } },
    \%WANTED, 'each_kind_of_drift_is_found';
ok $json->{finished}, 'it is finished';
is $json->{drift}{unowned}{found}, 1, 'a_session_that_comes_later_names_its_subscription';
is digest(), $digest, 'a_dry_run_writes_nothing';

my $said = reconcile();
is $said->{exit}, 1, 'drift is found';
like $said->{out}, qr/^Stripe beside entitle:test: 11 subscriptions, 3 sessions, 1 refunds and \d+ records; \d+ calls/,
    'what was looked at';
like $said->{out}, qr/^stale +sub_5 +cus_5 +eve +active .*price_TEAM.*; here: active .*pro_monthly/m,
    'what Stripe says, and what is kept';
like $said->{out}, qr/^extra +3 +- +3$/m, 'counted by kind';
like $said->{out}, qr/^-> entitlectl reconcile --config \S+ --heal keeps/m, 'and the command that heals';
is digest(), $digest, 'and nothing was written';

# --- heal ---------------------------------------------------------------------------

$said = reconcile('--heal');
is $said->{exit}, 4, 'nobody_is_asked_where_there_is_no_terminal';
like $said->{err}, qr/--yes/, 'and it says how to say it';
is digest(), $digest, 'nothing was written';

is in($_->[0], $_->[2]), $_->[1], "before: $_->[0]" for ['ann', 402], ['bob', 200], ['carl', 200],
    ['dora', 402], ['eve', 402, '/team'], ['fay', 200], ['gus', 402], ['hal', 402], ['kim', 200], ['max', 402];
my $version = $redis->command('HGET', 'entitle:test:{u:joe}', 'version');

$json = told('--heal', '--yes');
ok $json->{finished}, 'it is healed';
is_deeply { map { $_ => $json->{drift}{$_}{left} } keys %{ $json->{drift} } },
    { missing => 0, stale => 0, extra => 0, moved => 0, unowned => 1, unmatched => 1 },
    'what_only_a_person_can_mend_is_left';
for (['ann', 200], ['bob', 402], ['carl', 402], ['dora', 200], ['eve', 200, '/team'], ['fay', 402],
    ['gus', 200], ['hal', 200], ['kim', 402], ['max', 200], ['joe', 200]) {
    my ($user, $status, $path) = @$_;
    ok wait_until(sub { in($user, $path) == $status }), "after: $user $status";
}
is $redis->command('HGET', 'entitle:test:{u:joe}', 'version'), $version,
    'no_version_rises_where_nothing_changed';
is_deeply $redis->command('ZRANGE', 'entitle:test:parked', 0, -1), ['cus_8'], 'who is nobody is parked';
is $redis->command('EXISTS', 'entitle:test:{u:liv}'), 0, 'what_is_over_and_was_never_known_is_not_kept';
like $ctl->run('events', 'ann', @conf)->{out}, qr/api_sub_1_\d+ +reconcile +applied/,
    'the log says where it came from';

# --- again --------------------------------------------------------------------------

$digest = digest();
$said = reconcile('--heal', '--yes');
is $said->{exit}, 1, 'what is left is found again';
like $said->{out}, qr/^missing +0 +0 +0$/m, 'and nothing else';
like $redis->command('HGET', 'entitle:test:reconcile:progress', 'finished'), qr/^\d+$/, 'it is noted when';
like $redis->command('GET', 'entitle:test:reconcile'),
    qr/^\{"time":\d+,"finished":true,"healed":true,"counts":\{"missing":0,.*"unowned":1/, 'for entitle_status, too';
is digest(), $digest, 'a_second_run_changes_nothing';

is $ctl->run('ignore', 'cus_8', 'price_X', @conf)->{exit}, 0, 'what is ignored by name';
$said = reconcile();
is $said->{exit}, 0, 'what_an_operator_ignores_is_no_drift';
like $said->{out}, qr/^Nothing differs\.$/m, 'and it says so';

# An event of the very second in which Stripe answered counts for more.
my $at = $redis->command('HGET', 'entitle:test:{u:eve}', 'source:sub_5');
my ($told_at) = $at =~ /"type":"told","created":(\d+)/;
ok $told_at, 'what was told is marked as told';
deliver(subscription_event(5, 'eve', 'updated.renewed', 'created' => 0 + $told_at,
        'data.object.status' => 'unpaid'), 'applied', 'an event of the same second');
ok wait_until(sub { in('eve', '/team') == 402 }), 'any_event_of_that_second_wins';
$stripe->put($LIST, subscription(5, 'eve', 'updated.unpaid'));

# --- one customer, and what is new ---------------------------------------------------

$stripe->put($LIST, subscription(14, 'nat', 'created.active'), subscription(15, 'olf', 'created.active'));
$json = told('--customer', 'cus_14');
is_deeply [map { $_->{source} } @{ $json->{findings} }], ['sub_14'], 'one_customer_alone';
is $ctl->json('reconcile', '--customer', 'cus_3', @conf, @stripe)->{drift}{extra}{found}, 0,
    'whose refund is known';
$redis->command('HDEL', 'entitle:test:{u:carl}', 'source:pi_3');
is told('--customer', 'cus_3')->{drift}{extra}{found}, 1, 'or not';
told('--customer', 'cus_3', '--heal', '--yes');
is told('--customer', 'cus_3')->{drift}{extra}{left}, 0, 'and healed';
is told('--since', '2020-01-01')->{drift}{missing}{found}, 2, 'since_a_day';
my $old = time - 90 * 86400;
$stripe->put($LIST, { %{ subscription(15, 'olf', 'created.active') }, created => $old });
is_deeply [map { $_->{source} } @{ told('--since', '7d')->{findings} }], ['sub_14'], 'since_a_week';
for my $bad (['--since', 'yesterday'], ['--customer', 'sub_1'], ['--resume', 'nowhere:1'],
    ['--since', '7d', '--resume']) {
    $said = reconcile(@$bad);
    is $said->{exit}, 2, "usage: @$bad";
}

# --- what Stripe does ----------------------------------------------------------------

$stripe->fault($LIST, status => 429, times => 2, headers => ['Retry-After', 0]);
is reconcile()->{exit}, 1, 'a_limit_is_waited_for';
$stripe->fault($LIST, status => 500, from => 2, times => 1);
is told()->{drift}{missing}{found}, 2, 'a_failure_in_the_middle_is_asked_again';
$stripe->fault($LIST, raw => "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 10:00:00 GMT\r\nContent-Length: 99\r\n\r\n{\"obj",
    times => 1);
is told()->{drift}{missing}{found}, 2, 'so is an answer that broke off';

$stripe->fault($LIST, status => 500, from => 2, headers => ['Stripe-Should-Retry', 'false']);
$said = reconcile();
is $said->{exit}, 3, 'a_list_that_breaks_off_is_a_failure';
my ($resume) = $said->{out} =~ /^Not finished: .*\n-> (entitlectl reconcile .*--resume subscriptions:sub_\d+) goes on/m;
ok $resume, 'and it says where to go on';
unlike $said->{out}, qr/^KIND/m, 'nothing is counted as if it were all';
$stripe->fault($LIST);
$said = $ctl->shell("$resume @stripe");
is $said->{exit}, 0, 'it_goes_on_there';
like $said->{out}, qr/: 8 subscriptions, /, 'with the rest alone';

for my $case (['/v1/subscriptions', 'rak_subscription_read'], ['/v1/checkout/sessions', 'rak_checkout_session_read'],
    ['/v1/refunds', 'rak_charge_read'], ['/v1/disputes', 'rak_dispute_read'], ['/v1/invoices', 'rak_invoice_read']) {
    my ($path, $permission) = @$case;
    $stripe->fault($path, permission => $permission);
    $said = reconcile();
    is $said->{exit}, 3, "a_missing_permission_is_no_answer: $permission";
    like $said->{out}, qr/Not finished: the key lacks the permission \Q$permission\E, asked for \Q$path/, 'it is named';
    $stripe->fault($path);
}

# --- cut off -------------------------------------------------------------------------

$stripe->fault($LIST, hang => 1, from => 2);
my $pid = fork // die;
if (!$pid) {
    open STDOUT, '>', '/dev/null';
    exec "$ctl->{dir}/entitlectl", 'reconcile', '--heal', '--yes', @conf, @stripe or die;
}
ok wait_until(sub { grep { /starting_after/ && /subscriptions/ } ($stripe->asked)[-1] }), 'it is at the second page';
kill 'KILL', $pid;
waitpid $pid, 0;
like $redis->command('HGET', 'entitle:test:reconcile:progress', 'cursor'), qr/^subscriptions:sub_\d+$/, 'where it was is noted';
is in('nat'), 200, 'what it had healed is healed';
$stripe->put($LIST, subscription(16, 'pam', 'created.active'));
$stripe->fault($LIST);
$json = told('--heal', '--yes', '--resume');
ok $json->{finished}, 'another_goes_on_after_kill_9';
is $json->{drift}{missing}{found}, 2, 'and counts on';
is $json->{drift}{extra}{found}, 0, 'what_was_seen_before_is_not_taken_for_gone';
is $redis->command('HEXISTS', 'entitle:test:reconcile:progress', 'cursor'), 0, 'then there is nothing to go on with';
is_deeply [map { $_->{source} } @{ told()->{findings} }], ['sub_16'], 'what_came_meanwhile_is_for_the_next';

# --- whose key ------------------------------------------------------------------------

{
    local $ENV{STRIPE_API_KEY} = 'rk_live_fake';
    $said = reconcile();
    is $said->{exit}, 4, 'a_key_of_the_other_mode_is_refused';
    like $said->{err}, qr/is of mode live, and this is entitle:test/, 'and said';
    local $ENV{STRIPE_API_KEY} = 'rk_test_other';
    $said = reconcile();
    is $said->{exit}, 3, 'a key that Stripe does not know';
    like $said->{out}, qr/Not finished: Stripe does not know the key/, 'is said to be that';
    delete local $ENV{STRIPE_API_KEY};
    is reconcile()->{exit}, 2, 'without a key there is nothing to ask with';
    my $file = $site->write_file('stripe.key', "$Test::Entitle::FakeStripe::KEY\n", 0644);
    $said = reconcile('--stripe-key-file', $file);
    is $said->{exit}, 2, 'a_key_that_others_can_read_is_refused';
    like $said->{err}, qr/others can read the key .*chmod o= /, 'with the command that mends it';
    chmod 0600, $file;
    is reconcile('--stripe-key-file', $file)->{exit}, 1, 'else it serves';
    local $ENV{CREDENTIALS_DIRECTORY} = $site->write_file('credentials/stripe_key',
        "$Test::Entitle::FakeStripe::KEY\n", 0400) =~ s{/[^/]*$}{}r;
    is reconcile()->{exit}, 1, 'so does a credential of systemd';
    unlike join('', map { @$_{qw(out err)} } reconcile('--json')), qr/rk_test_fake/, 'a_key_is_never_shown';
}
is $ctl->run('reconcile', @conf, '--stripe-api', 'http://stripe.example')->{exit}, 2,
    'a_key_never_goes_out_in_the_clear';

my $metrics = "$site->{dir}/entitle.prom";
is reconcile('--metrics', $metrics)->{exit}, 1, 'metrics';
my $text = $site->read_file('entitle.prom');
like $text, qr/^entitle_reconcile_last_success_timestamp_seconds\{mode="test"\} \d{10}$/m, 'when it was';
like $text, qr/^entitle_reconcile_drift\{mode="test",kind="missing"\} 1$/m, 'what differs';
$stripe->fault($LIST, permission => 'rak_subscription_read');
unlink $metrics;
is reconcile('--metrics', $metrics)->{exit}, 3, 'what did not finish';
ok !-e $metrics, 'is_no_success';

# Another account's key: nothing that is open here is known there.
my $strange = Test::Entitle::FakeStripe->new($site, account => 1);
$digest = digest();
$said = $ctl->run('reconcile', '--heal', '--yes', @conf, '--stripe-api', $strange->url);
is $said->{exit}, 4, 'a_key_of_another_account_is_refused';
like $said->{err}, qr/seems to be of another account/, 'and said';
is digest(), $digest, 'nothing is ended by it';

$stripe->fault($LIST);

# --- what Stripe says of time ----------------------------------------------------------

# Past due for 40 days: that a period began since does not make it anew.
my $due = 40 * 86400;
for my $event (
    subscription_event('due', 'pat', 'created.active', 'id' => 'evt_due1', 'created' => time - $due - 60 * 86400),
    subscription_event('due', 'pat', 'updated.past_due', 'id' => 'evt_due2', 'created' => time - $due),
) { deliver($event, 'applied', 'events of long ago') }
is in('pat'), 402, 'past due is over';
my $again = subscription('due', 'pat', 'updated.past_due', 'data.object.current_period_start' => time - 2 * 86400,
    'data.object.items.data.0.current_period_start' => time - 2 * 86400);
$stripe->put($LIST, $again);
reconcile('--heal', '--yes');
is in('pat'), 402, 'and_stays_over_whatever_period_began_since';
is_deeply [grep { $_->{source} eq 'sub_due' } @{ told()->{findings} }], [], 'which is no drift';

# Where it was to go on is gone.
$redis->command('HSET', 'entitle:test:reconcile:progress', cursor => 'subscriptions:sub_nowhere');
$said = reconcile('--heal', '--yes', '--resume');
cmp_ok $said->{exit}, '<', 2, 'what_is_gone_is_begun_anew';
like $said->{out}, qr/Where the subscriptions were to go on, Stripe has nothing any more: all of them were looked at again/,
    'and said';

for my $skew (3600, -3600) {
    $stripe->skew($skew);
    $digest = digest();
    $said = reconcile('--heal', '--yes');
    is $said->{exit}, 3, "a_date_that_cannot_be_dates_nothing: $skew";
    like $said->{out}, qr/what answers for Stripe says that it is .* and here it is/, 'and is said';
    is digest(), $digest, 'nothing is written';
}
$stripe->skew(0);

done_testing;
