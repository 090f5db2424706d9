# What a refund, a dispute and a checkout whose subscription is not there yet
# mean, as entitle_refund, entitle_dispute and entitle_provisional say: the
# webhook comes in, and the next request of the same user is answered so.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

# Servers that differ in these directives alone. They read the same records.
my %SERVERS = (
    default      => '',
    refund_keep  => 'entitle_refund keep;',
    dispute_keep => 'entitle_dispute keep;',
    both_keep    => 'entitle_refund keep; entitle_dispute keep;',
    both_revoke  => 'entitle_refund revoke; entitle_dispute revoke;',
    provisional  => 'entitle_provisional 1h;',
);

my $site = Test::Entitle->new(workers => 2);
$site->redis;
$site->write_file('html/course', 'the course');
my (%port, $servers);
for my $name (sort keys %SERVERS) {
    $port{$name} = $site->port(10 + keys %port);
    $servers .= <<"EOF";
server {
    listen 127.0.0.1:$port{$name};
    $SERVERS{$name}
    location = /course {
        entitle_require lifetime pro;
        add_header X-Reason \$entitle_reason always;
    }
}
EOF
}
$site->start(<<"EOF" . $servers);
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant lifetime plink_1Fx0000000000000LIFETIME;
map \$http_x_user \$somebody { default \$http_x_user; }
entitle_trusted_user \$somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
}
EOF

# --- a story: one user's payment --------------------------------------------------

# Fixtures tell of the days after their now; all of it has happened.
my $SINCE = time - 90 * 86400;
my ($user, $n) = ('', 0);

sub story { $user = $_[0]; $n++ }

# The event of a fixture about this story's purchase.
sub event {
    my ($fixture, %change) = @_;
    my ($kind) = $fixture =~ /^(refund|charge\.dispute|charge|checkout|customer\.subscription)/;
    my %id = (refund => 're', charge => 'ch', 'charge.dispute' => 'du',
        checkout => 'cs_test', 'customer.subscription' => 'sub');
    my %about = ('data.object.id' => "$id{$kind}_story$n");
    $about{'data.object.customer'} = "cus_Story$n" if $kind ne 'charge.dispute';
    $about{'data.object.payment_intent'} = "pi_story$n" if $kind ne 'customer.subscription';
    $about{'data.object.charge'} = "ch_story$n" if $kind =~ /^(?:refund|charge\.dispute)$/;
    return event_json($fixture, now => $SINCE, user => $user, %about, %change);
}

sub told {
    my ($event, $status) = @_;
    my $answer = $site->webhook($event);
    is $answer->status, $status // 200, "$user: stripe's webhook is stored" or diag $answer->body;
    return $answer->json;
}

# What each of the servers answers: 'in', or the reason for its 402.
sub answers {
    my ($when, %expected) = @_;
    for my $server (sort keys %expected) {
        my $answer = $site->request(uri => '/course', port => $port{$server},
            headers => ['X-User' => $user]);
        my $said = $answer->status == 200 ? 'in'
                 : $answer->status == 402 ? $answer->header('X-Reason') : $answer->status;
        is $said, $expected{$server}, "$user: $when: $server";
    }
}

my @ABOUT_PAYMENTS = qw(default refund_keep dispute_keep both_keep both_revoke);

sub all_answer {
    my ($when, $answer) = @_;
    answers($when, map { $_ => $answer } @ABOUT_PAYMENTS);
}

# Those that keep what was $lapse let in, the others say so.
sub kept_or {
    my ($lapse, $when) = @_;
    my $keep = { refunded => qr/^(?:refund|both)_keep/, disputed => qr/^(?:dispute|both)_keep/ }
        ->{$lapse};
    answers($when, map { $_ => /$keep/ ? 'in' : $lapse } @ABOUT_PAYMENTS);
}

my $PURCHASE = 'checkout.session.completed.payment';

# --- refunds ----------------------------------------------------------------------

story('a_full_refund');
all_answer('before the purchase', 'not_entitled');
is_deeply told(event($PURCHASE))->{unlocks}, ['lifetime'], 'the purchase unlocks';
all_answer('bought', 'in');
my $refund = event('charge.refunded.full');
is_deeply told($refund)->{unlocks}, [], 'and the refund leaves nothing';
kept_or('refunded', 'refunded');
told(event($_)) for qw(refund.created refund.updated);
kept_or('refunded', 'the refund itself has come, too');
is told($refund)->{outcome}, 'duplicate', 'and once more';
kept_or('refunded', 'twice');

story('a_refund_that_failed');
told(event($PURCHASE));
$refund = event('charge.refunded.full');
told($refund);
kept_or('refunded', 'refunded');
told(event('refund.failed'));
all_answer('the money did not go back', 'in');
told($refund);
all_answer('and the same refund again changes nothing', 'in');

story('a_refund_that_failed_is_heard_of_first');
told(event($_)) for $PURCHASE, 'refund.failed', 'charge.refunded.full';
all_answer('in the other order', 'in');

story('a_second_refund_after_one_that_failed');
told(event($_)) for $PURCHASE, 'charge.refunded.full', 'refund.failed';
told(event('charge.refunded.full', created => $SINCE + 20 * 86400));
kept_or('refunded', 'this one went through');

story('a_partial_refund');
told(event($_)) for $PURCHASE, 'charge.refunded.partial';
all_answer('changes nothing', 'in');

story('a_refund_under_way');
told(event($_)) for $PURCHASE, 'refund.created.pending';
all_answer('changes nothing yet', 'in');

story('a_refund_before_the_purchase');
told(event('charge.refunded.full'), 202);
all_answer('nobody has bought anything', 'not_entitled');
told(event($PURCHASE));
kept_or('refunded', 'the purchase was refunded already');
told(event('refund.failed'));
all_answer('and that failed', 'in');

# --- disputes ---------------------------------------------------------------------

story('a_dispute_that_is_won');
told(event($_)) for $PURCHASE, 'charge.dispute.created';
kept_or('disputed', 'open');
told(event('charge.dispute.funds_withdrawn'));
kept_or('disputed', 'and the money is withdrawn');
told(event('charge.dispute.closed.won'));
all_answer('won', 'in');

story('a_dispute_that_is_lost');
told(event($_)) for $PURCHASE, 'charge.dispute.created', 'charge.dispute.closed.lost';
kept_or('disputed', 'lost');
told(event('charge.dispute.created'));
kept_or('disputed', 'and stays so when its beginning is heard of again');

story('a_dispute_won_before_it_began');
told(event($_)) for $PURCHASE, 'charge.dispute.closed.won', 'charge.dispute.created';
all_answer('in the other order', 'in');

story('an_inquiry');
told(event($_)) for $PURCHASE, 'charge.dispute.created.inquiry';
all_answer('moved no money', 'in');
told(event('charge.dispute.closed.warning_closed'));
all_answer('and is closed', 'in');

story('a_dispute_before_the_purchase');
told(event('charge.dispute.created'), 202);
told(event($PURCHASE));
kept_or('disputed', 'the purchase is disputed already');
told(event('charge.dispute.closed.won'));
all_answer('won', 'in');

story('refunded_and_disputed');
told(event($_)) for $PURCHASE, 'charge.refunded.full', 'charge.dispute.created';
answers('each is asked about', default => 'refunded', both_revoke => 'refunded',
    refund_keep => 'disputed', dispute_keep => 'refunded', both_keep => 'in');
my $keeper = $user;
told(event('charge.dispute.closed.won'));
kept_or('refunded', 'the dispute is won, the refund stands');

# --- provisional ------------------------------------------------------------------

sub checkout {
    return event('checkout.session.completed.subscription',
        'data.object.subscription' => "sub_story$n",
        'data.object.metadata.entitlements' => 'pro', created => time - 5, @_);
}

sub subscription {
    return event($_[0], now => time, 'data.object.metadata.entitlements' => 'pro');
}

story('paid_and_the_subscription_not_there_yet');
told(checkout());
answers('lets in where it is said', provisional => 'in', default => 'not_paid');
told(subscription('customer.subscription.created.incomplete'));
answers('until the first word of the subscription',
    provisional => 'not_paid', default => 'not_paid');
told(subscription('customer.subscription.updated.activated'));
answers('which is the truth then', provisional => 'in', default => 'in');

story('the_time_is_up');
told(checkout(created => time - 2 * 3600));
answers('an hour is over', provisional => 'not_paid', default => 'not_paid');

story('not_paid_yet');
told(checkout('data.object.payment_status' => 'unpaid'));
answers('gives nothing', provisional => 'not_entitled', default => 'not_entitled');

story('the_subscription_was_first');
told(subscription('customer.subscription.created.incomplete'));
told(checkout());
answers('and the checkout opens nothing', provisional => 'not_paid', default => 'not_paid');

# --- what counts is the configuration of now --------------------------------------

$user = $keeper;
answers('before the reload', both_keep => 'in', provisional => 'refunded');
$site->write_file('nginx.conf', $site->read_file('nginx.conf')
    =~ s/entitle_refund keep; entitle_dispute keep;/entitle_refund revoke;/r
    =~ s/entitle_provisional 1h;/entitle_refund keep;/r);
$site->reload;
answers('after it', both_keep => 'refunded', provisional => 'in');

done_testing;
