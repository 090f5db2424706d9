# Whose a purchase is: two organisations under one Stripe customer, a gift, an
# invoice that is paid late, and two events that contradict each other.
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
    location = /status { entitle_status; }
    location = /pro { alias %%DIR%%/html/course; entitle_require pro; }
    location = /lifetime { alias %%DIR%%/html/course; entitle_require lifetime; }
}
EOF

# The events begin an hour ago; what comes later says when.
my $SINCE = time - 3600;

sub told {
    my ($fixture, %change) = @_;
    my $answer = $site->webhook(event_json($fixture, now => $SINCE, %change));
    is $answer->status, 200, "$fixture is stored" or diag $answer->body;
    return $answer->json;
}

sub subscription {
    my ($event, $id, $user, $after) = @_;
    return told("customer.subscription.$event", user => $user, created => $SINCE + $after,
        'data.object.id' => $id, 'data.object.customer' => 'cus_Agency');
}

sub is_in {
    my ($user, $uri, $expected, $why) = @_;
    is $site->get($uri, 'X-User' => $user)->status, $expected, "$user, $uri: $why";
}

sub field { $redis->command('HGET', 'entitle:test:{p:cus_Agency}', $_[0]) }

# --- two_organisations_of_one_customer ---------------------------------------------

subscription('created.active', 'sub_acme', 'acme', 0);
subscription('created.active', 'sub_bolt', 'bolt', 10);
is_in($_, '/pro', 200, 'each has its own') for qw(acme bolt);
subscription('updated.renewed', 'sub_acme', 'acme', 20);
is_in($_, '/pro', 200, 'a renewal of one takes nothing from the other') for qw(acme bolt);
is field('to'), 'u:acme', 'what nothing names is for whom was named last';
is field('owner:sub_bolt'), 'u:bolt', 'and the other is an exception';
subscription('deleted', 'sub_acme', 'acme', 30);
is_in('acme', '/pro', 402, 'who cancelled is not let in by the money of the other');
is_in('bolt', '/pro', 200, 'who did not is in');
unlike $site->log, qr/claims conflict/, 'nobody contradicted anybody';

# --- a_gift ------------------------------------------------------------------------

told('checkout.session.completed.payment', user => 'friend', created => $SINCE + 40,
    'data.object.created' => $SINCE + 40, 'data.object.customer' => 'cus_Agency',
    'data.object.id' => 'cs_test_gift', 'data.object.payment_intent' => 'pi_gift');
is_in('friend', '/lifetime', 200, 'a gift is whom it is for');
is_in('bolt', '/pro', 200, 'and leaves the buyer what is theirs');
is_in('friend', '/pro', 402, 'but nothing else');
told('charge.refunded.full', created => $SINCE + 50, 'data.object.id' => 'ch_gift',
    'data.object.customer' => 'cus_Agency', 'data.object.payment_intent' => 'pi_gift');
is_in('friend', '/lifetime', 402, 'its refund finds it');

# --- paid_late -----------------------------------------------------------------------

subscription('updated.renewed', 'sub_bolt', 'cord', 60);
is_in('cord', '/pro', 200, 'the subscription is somebody else\'s now');
is_in('bolt', '/pro', 402, 'and no more the one\'s before');
like $site->log, qr/claims conflict/, 'which is said';
is $site->get('/status?format=prometheus')->body =~
    /^entitle_webhook_conflicts_total\{prefix="entitle:",mode="test"\} (\d+)$/m ? $1 : undef, 1,
    'and counted';
told('invoice.paid', user => 'bolt', created => $SINCE + 70,
    'data.object.customer' => 'cus_Agency', 'data.object.created' => $SINCE + 15,
    'data.object.status_transitions' => { finalized_at => $SINCE + 16 },
    map { $_ => 'sub_bolt' } 'data.object.subscription');
is_in('cord', '/pro', 200, 'an invoice from before, paid after, takes nothing back');
is_in('bolt', '/pro', 402, 'nor gives it');

$site->done_testing;
