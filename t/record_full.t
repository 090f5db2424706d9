# A record that is full: what is new waits and says so, what ends or gives back
# something is taken all the same, and what waited comes when there is room.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/course', 'the course');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
entitle_grant lifetime plink_1Fx0000000000000LIFETIME;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /pro { alias %%DIR%%/html/course; entitle_require pro; }
    location = /lifetime { alias %%DIR%%/html/course; entitle_require lifetime; }
}
EOF

my $SINCE = time - 3600;
my $RECORD = 'entitle:test:{u:full}';

sub told {
    my ($fixture, %change) = @_;
    return $site->webhook(event_json($fixture, now => $SINCE, user => 'full',
        'data.object.customer' => 'cus_Full', %change));
}

sub is_in {
    my ($uri, $expected, $why) = @_;
    is $site->get($uri, 'X-User' => 'full')->status, $expected, "$uri: $why";
}

my @subscription = ('customer.subscription.created.active', 'data.object.id' => 'sub_old');
my @refund = ('charge.refunded.full', id => 'evt_full_refund', created => $SINCE + 30, 'data.object.id' => 'ch_Full',
    'data.object.payment_intent' => 'pi_Full');
my @one_more = ('customer.subscription.created.active', created => $SINCE + 20,
    'data.object.id' => 'sub_new');

told(@subscription);
told('checkout.session.completed.payment', created => $SINCE + 10,
    'data.object.id' => 'cs_test_full', 'data.object.payment_intent' => 'pi_Full');
is_in('/pro', 200, 'subscribed');
is_in('/lifetime', 200, 'bought');
$redis->command('HSET', $RECORD, 'of_the_app', 'x' x (3 << 20));

# --- one_more_waits ----------------------------------------------------------------

$site->expect_log(qr/record entitle:test:\{u:full\} is full/);
my $answer = told(@one_more);
is $answer->status, 202, 'a new purchase waits';
is $answer->json->{outcome}, 'parked', 'and says so';
like $site->log, qr/record \Q$RECORD\E is full/, 'so does the log';
unlike $site->log, qr/nobody is named yet/, 'which blames nobody\'s configuration';
is $redis->command('ZSCORE', 'entitle:test:parked', 'cus_Full') ? 1 : 0, 1, 'it is listed';

# --- ends_do_not -------------------------------------------------------------------

$answer = told(@refund);
is $answer->status, 200, 'a refund is taken meanwhile';
is_in('/lifetime', 402, 'and ends what was bought');
is_in('/pro', 200, 'but nothing else');
$answer = told('customer.subscription.deleted', created => $SINCE + 40,
    'data.object.id' => 'sub_old');
is $answer->status, 200, 'a cancellation is taken';
is_in('/pro', 402, 'and ends the subscription');
is told(@refund)->json->{outcome}, 'duplicate', 'a repeat is known';

# --- what_waited_comes ---------------------------------------------------------------

$redis->command('HDEL', $RECORD, 'of_the_app');
is told(@one_more)->status, 200, 'there is room again';
is_in('/pro', 200, 'and what waited is there');
is $redis->command('ZSCORE', 'entitle:test:parked', 'cus_Full'), undef, 'nothing is listed';

$site->done_testing;
