# What docs/stripe.md says of Stripe's test clocks: an object's times are the
# clock's, a year ahead or back, and gates go by the time of this machine. And
# should the events be dated by the clock, nobody else is touched.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/course', 'the course');
$site->start(<<'EOS');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
entitle_grant lifetime plink_1Fx0000000000000LIFETIME;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
add_header X-Reason $entitle_reason always;
add_header X-Until $entitle_until always;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /pro { alias %%DIR%%/html/course; entitle_require pro; }
    location = /lifetime { alias %%DIR%%/html/course; entitle_require lifetime; }
}
EOS

my ($DAY, $YEAR) = (86400, 365 * 86400);
my $now = time;
my $second = $now - 600;

# Of a customer whose clock is so far ahead; what events say of their own time is
# real, unless said otherwise.
sub event {
    my ($fixture, $user, $ahead, %change) = @_;
    my $kind = $fixture =~ /^customer\.subscription/ ? 'sub' : $fixture =~ /^checkout/ ? 'cs_test' : 'ch';
    return event_json($fixture, now => $now + $ahead, user => $user, created => $second++,
        'data.object.id' => "${kind}_$user", 'data.object.customer' => "cus_$user", %change);
}

sub told {
    my $answer = $site->webhook(event(@_));
    is $answer->status, 200, "$_[1]: $_[0] is stored" or diag $answer->body;
    return $answer->json;
}

sub answer_of {
    my ($user, $uri) = @_;
    my $answer = $site->get($uri // '/pro', 'X-User' => $user);
    return $answer->status == 200 ? 'in' : $answer->header('X-Reason');
}
sub until_of { return $site->get('/pro', 'X-User' => $_[0])->header('X-Until') }

# --- the clock is a year ahead --------------------------------------------------------

told('customer.subscription.created.active', 'ahead', $YEAR);
is answer_of('ahead'), 'in', 'what_comes_by_an_event_holds_at_once';
cmp_ok until_of('ahead'), '>', $now + $YEAR, 'what ends by time alone does not: it is open for that year';
told('customer.subscription.updated.past_due', 'ahead', $YEAR);
is answer_of('ahead'), 'in', 'past due';
cmp_ok until_of('ahead'), '<=', $now + 7 * $DAY, '  counts from the event, in real time';
told('customer.subscription.updated.past_due', 'ahead', $YEAR,
    'data.object.status' => 'unpaid', 'data.previous_attributes' => { status => 'past_due' });
is answer_of('ahead'), 'ended', 'unpaid';
told('customer.subscription.updated.recovered', 'ahead', $YEAR);
is answer_of('ahead'), 'in', 'paid';
my $late = event('customer.subscription.updated.past_due', 'ahead', $YEAR);
told('customer.subscription.deleted', 'ahead', $YEAR);
is answer_of('ahead'), 'ended', 'a cancellation that took place';
is $site->webhook($late)->status, 200, 'an event before it comes late';
is answer_of('ahead'), 'ended', 'and order is by events';

# --- it is a year back ----------------------------------------------------------------

told('customer.subscription.created.active', 'back', -$YEAR);
is answer_of('back'), 'ended', 'a_period_that_ended_last_year_is_shut';
told('customer.subscription.updated.past_due', 'back', -$YEAR);
is answer_of('back'), 'in', 'but what turned past due just now is in its grace';
told('customer.subscription.updated.recovered', 'back', -$YEAR, 'data.object.cancel_at' => $now - $YEAR);
is answer_of('back'), 'ended', 'and cancelled a year ago is cancelled';

# --- the events themselves are dated by it ----------------------------------------------

# What somebody has had, in real time.
sub mix {
    my ($fixture, %change) = @_;
    return event($fixture, 'mix', -40 * $DAY, created => $second++ - 40 * $DAY, %change);
}
sub stored { is $site->webhook($_[0])->status, $_[1] // 200, $_[2] // 'stored' }

my $was = mix('customer.subscription.created.active');
my $bought = mix('checkout.session.completed.payment', 'data.object.payment_intent' => 'pi_mix');
stored($_) for $was, mix('customer.subscription.deleted'), $bought,
    mix('charge.refunded.full', 'data.object.payment_intent' => 'pi_mix');
my $refund_only = mix('charge.refunded.full', 'data.object.payment_intent' => 'pi_mix2', 'data.object.id' => 'ch_mix2');
stored($refund_only);
is answer_of('mix'), 'ended', 'cancelled';
is answer_of('mix', '/lifetime'), 'refunded', 'and refunded';

sub sources {
    my $record = $redis->hgetall('entitle:test:{u:mix}');
    return { map { $_ => $record->{$_} } grep { /^source:/ && !/clock/ } keys %$record };
}
my $before = sources();
is scalar(keys %$before), 4, 'four sources';

for my $clock ([ahead => $YEAR], [back => -$YEAR]) {
    my ($which, $shift) = @$clock;
    my %clock = ('data.object.id' => "sub_clock$which", 'data.object.customer' => "cus_clock$which");
    stored(event('customer.subscription.created.active', 'mix', $shift, created => $now + $shift, %clock),
        200, "dated by a clock that is $which");
    is answer_of('mix'), $which eq 'ahead' ? 'in' : 'ended', '  counts by what it says of its period';
    is_deeply sources(), $before, '  forgets_nothing_of_the_others';
    stored(event('customer.subscription.deleted', 'mix', $shift, created => $now + $shift + 60, %clock),
        200, '  cancelled, by that clock');
    is answer_of('mix'), 'ended', '  holds';
    is_deeply sources(), $before, '  and ends nothing of the others';
    stored(event('customer.subscription.created.active', 'mix', $shift, created => $now + $shift, %clock),
        200, '  what was before it comes again');
    is answer_of('mix'), 'ended', '  and opens nothing';
}
stored($_, 200, 'resent, as anything may be for 45 days') for $was, $bought;
is answer_of('mix'), 'ended', 'what_was_cancelled_stays_so';
is answer_of('mix', '/lifetime'), 'refunded', 'what_was_refunded_stays_so';
stored(mix('checkout.session.completed.payment', 'data.object.id' => 'cs_test_mix2',
    'data.object.payment_intent' => 'pi_mix2'), 200, 'the purchase whose refund came first');
is answer_of('mix', '/lifetime'), 'refunded', 'is_refunded';
is_deeply [$redis->keys('entitle:live:*')], [], 'live mode has nothing to do with it';

done_testing;
