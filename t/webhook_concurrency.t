# Many deliveries at once, two nodes, one Redis: each event is applied once,
# nothing is lost, and Stripe has to come back only rarely.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $http = <<'EOF';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
server {
    listen 127.0.0.1:%%PORT%% backlog=1024;
    %%WEBHOOK%%
}
EOF

my $one   = Test::Entitle->new(workers => 2);
my $redis = $one->redis;
my $two   = Test::Entitle->new(workers => 2);
$two->{ports}{REDIS} = $redis->port;
$_->start($http) for $one, $two;
my @nodes = ($one, $two);

# All requests are out before the first answer is read.
sub at_once {
    my (@deliveries) = @_;
    my @clients = map { $_->[0]->connect } @deliveries;
    for my $i (0 .. $#deliveries) {
        my ($node, $event) = @{ $deliveries[$i] };
        $clients[$i]->send($node->webhook_request($event));
    }
    return map { $_->receive } @clients;
}

# What the log of a user says of an event.
sub applied_in_log {
    my ($user) = @_;
    return grep { /"applied"/ } @{ $redis->command('LRANGE', "entitle:test:{u:$user}:log", 0, -1) };
}

# --- the same event ----------------------------------------------------------

for my $round (1 .. 10) {
    my $user  = "same$round";
    my $event = event_json('customer.subscription.created.active', user => $user,
        customer => "S$round");
    my %outcomes;
    $outcomes{ ($_->json // {})->{outcome} // $_->status }++
        for at_once(map { [$nodes[$_ % 2], $event] } 1 .. 8);
    is_deeply \%outcomes, { applied => 1, duplicate => 7 },
        "the_same_event_on_two_nodes_is_applied_once ($round)";
    is scalar(applied_in_log($user)), 1, '  and so says the log of the user';
}

# --- different events of one user --------------------------------------------

my @events = map { event_json('checkout.session.completed.payment', user => 'busy',
        customer => sprintf('B%02d', $_)) } 1 .. 64;
my @answers = at_once(map { [$nodes[$_ % 2], $events[$_]] } 0 .. $#events);
my @again   = grep { $answers[$_]->status !~ /^20/ } 0 .. $#events;
cmp_ok @events - @again, '>=', 60, 'of_64_at_once_at_least_60_are_taken';
is scalar(grep { $answers[$_]->status != 503 } @again), 0, 'the others are told to come again';
is $one->webhook($events[$_])->status =~ /^20/ ? 1 : 0, 1, 'and then are taken' for @again;
my $record = $redis->hgetall('entitle:test:{u:busy}');
is scalar(grep { /^source:/ } keys %$record), 64, 'and_all_64_are_in_the_record';

# --- who it is, and what was bought, at the same moment -----------------------

for my $round (1 .. 20) {
    my $user = "race$round";
    my @two  = (
        event_json('customer.subscription.created.active', customer => "R$round",
            'data.object.metadata' => {}),
        event_json('checkout.session.completed.subscription', customer => "R$round",
            user => $user),
    );
    my @got = at_once(map { [$nodes[($_ + $round) % 2], $two[$_]] } 0, 1);
    ok !(grep { $_->status !~ /^20/ } @got), "both are taken ($round)";
    my $record = $redis->hgetall("entitle:test:{u:$user}");
    is scalar(grep { /^source:sub_/ } keys %$record), 1,
        "a_purchase_and_its_owner_meet_in_any_order ($round)";
}
is $redis->command('ZCARD', 'entitle:test:parked'), 0, 'and nothing stays parked';

done_testing;
