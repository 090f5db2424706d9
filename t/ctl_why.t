# entitlectl why, in each of the situations an operator is asked about: the
# very link that is broken, what mends it, and that in under a second.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;
use Test::Entitle::Redis;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $conf  = <<'EOF_CONF';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro price_Pro metadata.plan=pro;
entitle_grant team price_Team;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    server_name shop.test *.shop.test;
    %%WEBHOOK%%
    location /course/ {
        entitle_require pro team;
        location ~ \.mp4$ { entitle_require team; }
        location /course/free/ { entitle off; }
    }
    location ^~ /course/any/ { entitle on; }
    location = /course/index.html { entitle_require pro; entitle_require team; }
    location ~ ^/var/(?<what>\w+) { entitle_require course-$what; entitle_require pro; }
}
EOF_CONF
$site->start($conf);
my $ctl  = Test::Entitle::Ctl->new;
my @conf = ('--config', "$site->{dir}/nginx.conf");
my $now  = time;

# What it says, and that every answer comes in time: the machine may be busy with
# something else, but not at every try, and what it computes does not take longer
# for that.
sub why {
    my (@words) = @_;
    push @words, @conf if !grep { $_ eq '--redis' } @words;
    my $said = $ctl->run('why', @words, '--json');
    for (1 .. 9) {
        last if $said->{seconds} < 1;
        select undef, undef, undef, 0.3;
        $said = $ctl->run('why', @words, '--json');
    }
    cmp_ok $said->{seconds}, '<', 1 * patience(), "@words: in under a second";
    cmp_ok $said->{cpu}, '<', 0.5 * patience(), '... most of which is waiting';
    my $json = JSON::PP->new->utf8->decode($said->{out});
    return { %$json, exit => $said->{exit} };
}

sub broken {
    my ($what, $link, $cure, @words) = @_;
    my $said = why(@words);
    is $said->{exit}, 1, "$what: found";
    is $said->{broken}, $link, "$what: the link is $link";
    my ($broken) = grep { $_->{state} eq 'broken' } @{ $said->{chain} };
    like $broken->{cure} // '', $cure, '... and it says what mends it';
    my $text = $ctl->run('why', @words, @conf);
    is $text->{exit}, 1, 'as text, too';
    like $text->{out}, qr/^    \Q$link\E +BROKEN +\S/m, 'the link stands out';
    like $text->{out}, qr/^\Q$broken->{sentence}\E\n    -> \Q$broken->{cure}\E$/m,
        'in a sentence with what mends it';
    return $said;
}

sub state_of { my ($said, $link) = @_; return (grep { $_->{link} eq $link } @{ $said->{chain} })[0]{state} }

sub subscription {
    my ($n, $user, $price, %change) = @_;
    my $type = delete $change{type} // 'customer.subscription.created.active';
    return $site->webhook(event_json($type, user => $user,
        'id'                      => delete $change{event} // "evt_sub_$n",
        'created'                 => delete $change{created} // $now - 1000,
        'data.object.id'          => "sub_$n",
        'data.object.customer'    => "cus_$n",
        'data.object.metadata'    => $user eq '' ? {} : { userId => $user },
        'data.object.items.data.0.price.id'         => $price,
        'data.object.items.data.0.price.product'    => "prod_$n",
        'data.object.items.data.0.price.lookup_key' => undef,
        %change))->json->{outcome};
}

sub session {
    my ($n, $user, %change) = @_;
    my $plan = delete $change{plan} // 'pro';
    return $site->webhook(event_json('checkout.session.completed.payment', user => $user,
        'id'                         => "evt_cs_$n",
        'data.object.id'             => "cs_$n",
        'data.object.customer'       => "cus_$n",
        'data.object.payment_intent' => "pi_$n",
        'data.object.payment_link'   => undef,
        'data.object.client_reference_id' => undef,
        'data.object.metadata' => { $user eq '' ? () : (userId => $user), plan => $plan },
        %change))->json->{outcome};
}

# --- nothing came ------------------------------------------------------------------

broken('no endpoint, or the wrong secret', 'delivered', qr/endpoint of this mode.*webhook refused/, 'ann');
is $site->webhook(event_json('invoice.paid', livemode => JSON::PP::true()))->json->{outcome},
    'mode_mismatch', 'a live event at a test location';
broken('events of the other mode', 'verified', qr/each with its own secret/, 'ann');
# It is noted once a second.
ok wait_until(sub {
    is $site->webhook(event_json('invoice.paid', account => 'acct_9'))->json->{outcome},
        'account_not_allowed', "another account's";
    return $redis->command('HGET', 'entitle:test:webhook', 'last_refused_why') eq 'account_not_allowed';
}), 'it is noted';
broken('events of another account', 'verified', qr/entitle_webhook_account/, 'ann');

# --- all is well -------------------------------------------------------------------

is subscription(1, 'ann', 'price_Pro'), 'applied', 'ann has subscribed';
my $said = why('ann');
is $said->{exit}, 0, 'who_is_in_is_fine';
is $said->{verdict}, 'in', 'and in';
is_deeply [map { $_->{name} } @{ $said->{entitlements} }], ['pro'], 'with what they have';
is_deeply [map { "$_->{link} $_->{state}" } @{ $said->{chain} }],
    ['paid whole', 'delivered whole', 'verified whole', 'stored whole', 'owner whole',
    'record whole', 'grant whole', 'time whole', 'refund whole', 'dispute whole',
    'session unknown'], 'every link is whole, but for what is in the browser';
is_deeply [map { $_->{event} } @{ $said->{log} }], ['evt_sub_1'], 'and the log';
for my $by (qw(u:ann cus_1 sub_1 evt_sub_1)) {
    my $said = why($by);
    is "$said->{exit} $said->{verdict} $said->{user}", '0 in ann', "found_by_its_id: $by";
}
like $ctl->run('why', 'ann', @conf)->{out},
    qr/^User "ann" is in: pro until 20\d\d.*\n\n    paid       whole    sub_1: active$/m, 'as text';

is session(2, 'bob'), 'applied', 'bob has bought';
for my $by (qw(bob cus_2 cs_2 pi_2 evt_cs_2)) {
    my $said = why($by);
    is "$said->{exit} $said->{verdict} $said->{user}", '0 in bob', "found_by_its_id: $by";
}

# --- ours --------------------------------------------------------------------------

is session(3, '', plan => 'pro', 'data.object.customer_details.email' => 'Cid@Example.com'),
    'parked', 'nobody knows whose';
for my $by (qw(cus_3 cs_3 cid@example.com CID@example.com)) {
    broken("a user that nobody names ($by)", 'owner', qr/link --config \S+ c(?:us|s)_3 USER/, $by);
}
is session(4, 'dan', plan => 'gold'), 'unmatched', 'what no grant knows';
broken('a price that is not in the map', 'grant', qr/"entitle_grant NAME metadata\.plan=gold;".*ignore --config .* cs_4$/, $_)
    for qw(dan cs_4 cus_4);
$redis->command('SADD', 'entitle:test:ignored', 'metadata.plan=gold');
broken('an ignored product', 'grant', qr/ignore --config .* --remove metadata\.plan=gold$/, 'dan');
$redis->command('DEL', 'entitle:test:ignored');

is session(5, 'eve'), 'applied', 'eve has bought';
is $site->webhook(event_json('charge.refunded.full', user => 'eve', 'id' => 'evt_re_5',
    'data.object.customer' => 'cus_5', 'data.object.payment_intent' => 'pi_5'))->status, 200, 'a refund';
broken('a refund', 'refund', qr/buy again/, 'eve');
is session(6, 'fay'), 'applied', 'fay has bought';
is $site->webhook(event_json('charge.dispute.created', user => 'fay', 'id' => 'evt_du_6',
    'data.object.payment_intent' => 'pi_6'))->status, 200, 'a dispute';
broken('a dispute', 'dispute', qr/answer the dispute/, 'fay');

my $old = $now - 40 * 86400;
is subscription(7, 'gil', 'price_Pro', created => $old), 'applied', 'gil has subscribed';
is subscription(7, 'gil', 'price_Pro', event => 'evt_due_7', created => $old + 1000,
    type => 'customer.subscription.updated.past_due'), 'applied', 'and the payment fails';
broken('past due, and the grace is over', 'time', qr/open invoice/, 'gil');
is subscription(8, 'hal', 'price_Pro', created => $old), 'applied', 'hal has subscribed';
is subscription(8, 'hal', 'price_Pro', event => 'evt_del_8', created => $old + 1000,
    type => 'customer.subscription.deleted', 'data.object.canceled_at' => $old + 1000,
    'data.object.ended_at' => $old + 1000), 'applied', 'and cancelled';
broken('cancelled', 'time', qr/buy again/, 'hal');

is $site->webhook(event_json('checkout.session.completed.subscription', user => 'ivy',
    'id' => 'evt_cs_9', 'data.object.id' => 'cs_9', 'data.object.customer' => 'cus_9',
    'data.object.subscription' => 'sub_9', 'data.object.client_reference_id' => 'ivy',
    'data.object.metadata' => { plan => 'pro' }))->status =~ /^20[02]$/, 1, 'a checkout';
broken('event types that are not selected', 'paid', qr/customer\.subscription\.created/, 'ivy');

# Two organisations pay through one customer.
is subscription(10, 'jo', 'price_Pro'), 'applied', 'jo has subscribed';
is $site->webhook(event_json('customer.subscription.created.active', user => 'kay',
    'id' => 'evt_sub_11', 'created' => $now - 900, 'data.object.id' => 'sub_11',
    'data.object.customer' => 'cus_10', 'data.object.metadata' => { userId => 'kay' },
    'data.object.items.data.0.price.id' => 'price_Team'))->json->{outcome}, 'applied', 'and kay';
$said = why('cus_10');
is $said->{exit}, 1, 'a_customer_with_two_owners';
is_deeply [sort @{ $said->{several} }], ['u:jo', 'u:kay'], 'both are listed, and none chosen';
like $ctl->run('why', 'cus_10', @conf)->{out}, qr/^    entitlectl why --config \S+ u:kay$/m, 'with how to ask';
is why('sub_11')->{user}, 'kay', 'a subscription is of one';
is session(12, 'lea', 'data.object.customer_details.email' => 'two@example.com'), 'applied', 'one address';
is session(13, 'max', 'data.object.customer_details.email' => 'two@example.com'), 'applied', 'of two';
is_deeply why('two@example.com')->{several}, ['u:lea', 'u:max'], 'an_e_mail_of_several';

# Wrong user: where it went, and by what.
is session(14, 'nobody-meant'), 'applied', 'named wrongly';
$said = why('cs_14');
is $said->{user}, 'nobody-meant', 'a_wrong_user_is_shown';
like((grep { $_->{link} eq 'owner' } @{ $said->{chain} })[0]{says},
    qr/user "nobody-meant", by the session's metadata/, 'with who said it');

# --- what cannot be read -----------------------------------------------------------

is session(15, 'ned'), 'applied', 'ned has bought';
$redis->command('HSET', 'entitle:test:{u:ned}', 'source:cs_15', '{broken');
broken('a record that cannot be read', 'record', qr/repair .*\{u:ned\}/, 'ned');
$redis->command('HSET', 'entitle:test:{p:cus_3}', 'claims', '{broken');
broken('a place that cannot be read', 'owner', qr/repair entitle:test:\{p:cus_3\}/, 'cus_3');

# --- nobody, and what is near ------------------------------------------------------

sub unknown {
    my ($what, $near, @words) = @_;
    my $said = why(@words);
    is "$said->{exit} $said->{verdict}", '1 unknown', "$what: not known";
    is_deeply $said->{near}, $near, "$what: and what is near";
    return $said;
}
unknown('nobody', [], 'zoe');
unknown('another case', ['ann'], 'ANN');
$redis->command('HSET', 'entitle:live:{u:zoe}', 'version', 1767225600123);
unknown('another mode', ['zoe under entitle:live'], 'zoe');
$redis->command('HSET', 'shop:test:{u:yan}', 'version', 1767225600123);
unknown('another prefix', ['yan under shop:test'], 'yan');
$redis->command('HSET', 'entitle:test:{p:acct_1/cus_77}', 'epoch', 0);
unknown('another account', ['acct_1/cus_77'], 'cus_77');
$said = unknown('an event that was lost', [], 'evt_lost');
is state_of($said, 'delivered'), 'unknown', 'whether it was sent, Stripe knows';
is $said->{parked}, 1, 'how many are parked is said';
like $ctl->run('why', 'evt_lost', @conf)->{out},
    qr/1 paid and belong to nobody.*\n    -> entitlectl parked --config/, 'with how to look';
unknown('a subscription', [], 'sub_lost');
unknown('an e-mail', [], 'lost@example.com');

# --- a page ------------------------------------------------------------------------

for my $case (
    ['ann', '/course/1', 0, 'in', 'pro team' => 1],
    ['dan', '/course/1', 1, 'out', 'pro team' => 0],
    ['kay', '/course/1', 0, 'in', 'pro team' => 1],
    ['ann', '/course/1.mp4', 1, 'out', 'team' => 0],
    ['kay', '/course/1.mp4', 0, 'in', 'team' => 1],
    ['ann', '/course/any/1.mp4', 0, 'in'],
    ['ann', '/course/index.html', 1, 'out', 'pro' => 1, 'team' => 0],
    ['ann', '/course/free/x', 0, 'in'],
    ['ann', '//course/./x/../1%2emp4?a=b#c', 1, 'out', 'team' => 0],
    ['ann', 'https://shop.test:444/course/1', 0, 'in', 'pro team' => 1],
    ['ann', 'https://www.shop.test/course/1', 0, 'in', 'pro team' => 1],
    ['nobody', '/course/1', 1, 'out', 'pro team' => 0],
    ['ann', '/elsewhere', 0, 'in'],
) {
    my ($user, $url, $exit, $verdict, @lines) = @$case;
    my $said = why($user, '--url', $url);
    is "$said->{exit} $said->{verdict}", "$exit $verdict", "$user at $url";
    my @judged = map { join(' ', @{ $_->{names} }) => ($_->{holds} ? 1 : 0) } @{ $said->{url}{require} };
    is_deeply \@judged, \@lines, '... line by line';
    # The page itself says the same.
    (my $path = $url) =~ s{^https?://[^/]*|#.*}{}g;
    my $status = $site->get($path, 'X-User' => $user)->status;
    is $status == 402 ? 'out' : 'in', $verdict, "... as nginx does ($status)";
}
$said = why('ann', '--url', '/var/one');
is "$said->{exit} $said->{verdict}", '3 unknown', 'what_a_variable_requires_nobody_can_tell';
$said = why('dan', '--url', '/var/one');
is "$said->{exit} $said->{verdict}", '1 out', 'but another line may';
like $ctl->run('why', 'ann', '--url', '/course/1.mp4', @conf)->{out},
    qr/^User "ann" is out at \/course\/1\.mp4: 402 not_entitled, without team\.$/m, 'as text';
for my $case (['course', qr/is neither/], ['https://other.test/', qr/no server with a gate is named "other\.test"; there is shop\.test/],
    ['/../x', qr/leaves the site/], ['/%zz', qr/two hex/]) {
    my $said = $ctl->run('why', 'ann', '--url', $case->[0], @conf);
    is $said->{exit}, 2, "no URL: $case->[0]";
    like $said->{err}, $case->[1], 'which it says';
}
is $ctl->run('why', 'ann', '--redis', 'redis://127.0.0.1:' . $redis->port, '--mode', 'test', '--url', '/x')
    ->{exit}, 2, 'without a configuration there is no page';
$said = JSON::PP->new->utf8->decode($ctl->run('why', 'dan', '--redis',
    'redis://127.0.0.1:' . $redis->port, '--mode', 'test', '--json')->{out});
is state_of($said, 'grant'), 'unknown', 'nor any grant';

# Beside half a million keys: what there was no time for is said, and no answer is late.
my $many = Test::Entitle::Redis->new(dir => "$site->{dir}/many",
    options => ['--enable-debug-command', 'yes']);
my @many = ('--redis', 'redis://127.0.0.1:' . $many->port, '--mode', 'test');
$many->command('DEBUG', 'POPULATE', 50_000, "entitle:test:{u:other$_", 8) for 1 .. 10;
$many->command('HSET', 'entitle:test:{u:ann}', 'version', 1767225600123);
like why('sub_lost', @many)->{exit}, qr/^[13]$/, 'what_is_not_found_in_time_is_not_said_to_be_unknown';
is why('ANN', @many)->{verdict}, 'unknown', 'who is not known is told so';
is why('u:ann', @many)->{known}, JSON::PP::true(), 'who is known is found at once';
$many->stop;

$site->expect_log(qr/mode_mismatch/, qr/account_not_allowed/, qr/open\(\) ".*" failed \(2:/);
done_testing;
