# How often a webhook waits for Redis: twice for an event that says whose it is, of a
# customer who is new or whose owner stays, whatever else it says (that a payment, an
# invoice or a session is part of the customer; an e-mail); once more where nobody says
# it and the worker has not heard of the customer yet, or where somebody may have waved it through. Counted between nginx and Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Wire;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $wire  = Test::Entitle::Wire->new(to => $redis->port, told => $site->dir . '/trips');
my $at = $wire->port;
$site->start(<<"EOF");
entitle_redis redis://127.0.0.1:$at;
entitle_grant pro prod_FxPRO000001 prod_FxPRO000002;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
}
EOF

# A connection is made and proved, and the first word of this second written.
$site->webhook(event_json('customer.subscription.created.active', customer => 'w', user => 'w'));

sub trips {
    my ($most, $name, @event) = @_;
    $wire->trips;
    my $answer = $site->webhook(event_json(@event));
    my ($outcome) = $answer->body =~ /"outcome":"(\w+)"/;
    my @writes = grep { !/^(CLIENT|PING|INFO|HSET entitle:test:webhook)/ } $wire->trips;
    is scalar @writes, $most, "$name ($outcome) takes $most" or diag(join "\n", @writes);
    return $outcome;
}

my %of = (customer => 'a', user => 'ada');
is trips(2, 'the first session', 'checkout.session.completed.subscription', %of), 'applied';
is trips(2, 'its subscription', 'customer.subscription.created.active', %of), 'applied';
is trips(2, 'a change of it', 'customer.subscription.updated.metadata_only', %of), 'applied';
is trips(2, 'a renewal', 'customer.subscription.updated.renewed', %of), 'applied';
is trips(2, 'its invoice', 'invoice.paid', %of), 'applied';
is trips(2, 'another session', 'checkout.session.completed.subscription', %of), 'applied';

my @again = ('customer.subscription.updated.metadata_only', %of, id => 'evt_again');
trips(2, 'an event', @again);
is trips(2, 'the same again', @again), 'duplicate';

# As the worker knows whose the customer was.
is trips(2, 'an event that names nobody', 'customer.subscription.updated.renewed',
    customer => 'a', 'data.object.metadata' => {}), 'applied';

is trips(3, 'a subscription of nobody', 'customer.subscription.created.active',
    customer => 'b', 'data.object.metadata' => {}), 'parked';
is trips(2, 'the session that names its user', 'checkout.session.completed.subscription',
    customer => 'b', user => 'bob'), 'applied';
is trips(3, 'what opens nothing', 'checkout.session.completed.payment',
    customer => 'c', user => 'cyd'), 'unmatched';

# What a key is found by is written with all the rest.
ok $redis->hgetall('entitle:test:{u:ada}')->{'source:sub_1Fxa0000000000000000001'},
    'what was said is in the record';
like $redis->command('GET', 'entitle:test:event:evt_again'), qr/"outcome":"applied".*"user":"ada"/,
    'and may be looked up';
is $redis->command('ZCARD', 'entitle:test:parked'), 0, 'nothing is parked any more';

done_testing;
