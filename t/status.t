# What entitle_status tells, to whom, and what it says when Redis is away.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
my $redis = $site->redis;
my $http = <<'EOT2';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
%%ASKED%%
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    entitle_require pro;
    location = /status { entitle_status; allow 127.0.0.1; deny all; }
    location = /denied { entitle_status; deny all; }
    location / { }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    entitle_redis_prefix shop:;
    location = /status { entitle_status; }
}
EOT2
$site->start($http);

sub space {
    my ($answer, $prefix, $mode) = @_;
    my ($found) = grep { $_->{prefix} eq $prefix && $_->{mode} eq $mode }
        @{ $answer->json->{spaces} };
    return $found;
}

my $answer = $site->get('/status');
is $answer->status, 200, 'the_status_is_behind_no_gate';
is $answer->header('Content-Type'), 'application/json', 'and in JSON';
is $answer->header('Cache-Control'), 'no-store', 'of this moment';
ok $answer->json->{redis}{reachable}, 'Redis is reachable';
is scalar(@{ $answer->json->{spaces} }), 4, 'each prefix and mode';
is space($answer, 'entitle:', $_)->{parked}, 0, "nothing is parked ($_)" for qw(live test);
is $site->get('/denied')->status, 403, 'allow_and_deny_decide';
is $site->get('/')->status, 401, 'while everything else is gated';
is $site->request(uri => '/status', method => 'POST', body => 'x')->status, 405, 'it is read only';
is $site->request(uri => '/status', method => 'HEAD')->status, 200, 'HEAD';

is $site->webhook(event_json('customer.subscription.created.active',
    'data.object.metadata' => {}))->status, 202, 'an event that names nobody';
is $site->webhook(event_json('customer.subscription.created.active', livemode => JSON::PP::true()))
    ->json->{outcome}, 'mode_mismatch', 'and one of the other mode';
ok wait_until(sub {
    $answer = $site->get('/status');
    my $space = space($answer, 'entitle:', 'test');
    $space->{parked} == 1 && $space->{webhook}{last_received} && $space->{webhook}{last_refused};
}), 'are_seen' or diag $answer->body;
my $webhook = space($answer, 'entitle:', 'test')->{webhook};
like $webhook->{last_received}, qr/^\d{10}$/, 'when';
ok length $webhook->{last_refused_why}, 'and why one was refused';
is space($answer, 'entitle:', 'live')->{parked}, 0, 'only in their mode';
is space($answer, 'shop:', 'test')->{parked}, 0, 'and prefix';
cmp_ok $answer->json->{zone}{free}, '>', 0, 'the zone has room';
cmp_ok $answer->json->{zone}{bytes}, '>', $answer->json->{zone}{free}, 'and is larger than that';
my $endless = event_json('customer.subscription.created.active', user => 'ada',
    'data.object.items.data.0.current_period_end' => undef, 'data.object.customer' => 'cus_Endless');
is $site->webhook($endless)->status, 200, 'a subscription that says nowhere until when it runs' for 1 .. 2;
ok $site->wait_for_log(qr/\[warn\].* so its end is assumed/), '  is warned of';
ok wait_until(sub { (space($answer = $site->get('/status'), 'entitle:', 'test')->{webhook}{assumed_ends} // 0) == 1 }),
    '  and counted, once' or diag $answer->body;
like space($answer, 'entitle:', 'test')->{webhook}{last_assumed_end}, qr/^\d{10}$/, '  with when it was last';
my $secret = $site->read_file('secret') =~ s/\s//gr;
unlike $answer->body, qr/\Q$secret\E|whsec|password/, 'no_secret_is_told';

for my $asked (['/status?format=prometheus'], ['/status', Accept => 'text/plain;version=0.0.4'],
    ['/status', Accept => 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5']) {
    $answer = $site->get(@$asked);
    like $answer->header('Content-Type'), qr{^text/plain}, 'Prometheus asks for text';
    like $answer->body, qr/^entitle_redis_up 1$/m, '  Redis is up';
    like $answer->body, qr/^entitle_parked\{prefix="entitle:",mode="test"\} 1$/m, '  what is parked';
    like $answer->body, qr/^entitle_parked_oldest_seconds\{prefix="shop:",mode="test"\} 0$/m,
        '  for how long';
    like $answer->body, qr/^# TYPE entitle_webhook_assumed_ends_total counter\n
        entitle_webhook_assumed_ends_total\{prefix="entitle:",mode="test"\}\ 1$/mx, '  whose end is assumed';
    like $answer->body, qr/^entitle_webhook_last_received_timestamp_seconds\{prefix="entitle:",mode="test"\} \d{10}$/m,
        '  when something came';
}

# Something else is where a list is kept.
$redis->command('RENAME', 'entitle:test:parked', 'aside');
$redis->command('SET', 'entitle:test:parked', 'x');
$answer = $site->get('/status');
is $answer->json->{well}, JSON::PP::false(), 'a_list_that_cannot_be_read_is_not_well';
like $answer->json->{says}, qr/^parked of entitle:test cannot be read.*WRONGTYPE/, '  and said';
like space($answer, 'entitle:', 'test')->{parked_error}, qr/WRONGTYPE/, '  of the list';
like $site->get('/status', Accept => 'text/html')->body, qr/<h1 class="bad">parked of/, '  on the page';
$answer = $site->get('/status?format=prometheus')->body;
like $answer, qr/^entitle_lists_readable\{prefix="entitle:",mode="test"\} 0$/m, '  and to Prometheus';
unlike $answer, qr/^entitle_parked\{prefix="entitle:",mode="test"\}/m, '  which is told no number';
$redis->command('RENAME', 'aside', 'entitle:test:parked');

$site->expect_log(qr/redis/i, qr/access forbidden by rule/, qr/mode_mismatch/);
$redis->stop;
$answer = $site->get('/status');
is $answer->status, 503, 'without_Redis_it_is_503';
is $answer->json->{redis}{reachable}, JSON::PP::false(), 'and says why';
like $site->get('/status?format=prometheus')->body, qr/^entitle_redis_up 0$/m, 'to Prometheus, too';

my $check = Test::Entitle->new;
for (
    ['a_gate_beside_it', 'entitle on; entitle_status;', qr/entitle_status.*gate/],
    ['a_requirement_beside_it', 'entitle_require a; entitle_status;', qr/entitle_status.*gate/],
    ['another_handler', 'entitle_status; entitle_redirect /x;', qr/stands beside "entitle_status"/],
    ['arguments', 'entitle_status on;', qr/number of arguments/],
) {
    my ($name, $config, $pattern) = @$_;
    my ($accepted, $said) = $check->config_test(
        "entitle_session_key_file %%KEY%%; server { listen 127.0.0.1:%%PORT%%; location / { $config } }");
    ok !$accepted, "$name is refused";
    like $said, $pattern, '  saying why';
}

done_testing;
