# entitle_redis_wait: a webhook is answered 2xx only once so many replicas have
# what it wrote, and a delivery that comes again is no exception.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Time::HiRes qw(time);

sub configuration {
    my ($wait) = @_;
    return <<"EOF2";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 200ms;
entitle_redis_wait $wait;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_mode test;
server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami { add_header X-User \$cookie_app; return 204; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /everywhere { %%REAUTH%% entitle_logout all; }
}
EOF2
}

my $site  = Test::Entitle->new;
my $redis = $site->redis(options => [qw(--repl-diskless-sync-delay 0)]);

sub replica {
    my ($name) = @_;
    return Test::Entitle::Redis->new(dir => $site->dir . "/$name", options =>
        ['--replicaof', '127.0.0.1 ' . $redis->port]);
}
sub replicas_are {
    my ($count) = @_;
    wait_until(sub {
        my $info = $redis->command('INFO', 'replication');
        return $count == grep { /^slave\d+:.*state=online/ } split /\r\n/, $info;
    }, 20) or die 'the replicas do not come up';
}
my %event;
sub event {
    return $event{ $_[0] } //= event_json('customer.subscription.created.active', user => $_[0], customer => $_[0]);
}

sub log_out {
    my ($user) = @_;
    return $site->request(method => 'POST', uri => '/everywhere',
        headers => [Cookie => "app=$user"]);
}

my $one = replica('one');
replicas_are(1);
# Longer than entitle_redis_timeout: waiting is no lateness.
$site->start(configuration('1 1500ms'));

is $site->webhook(event('ada'))->status, 200, 'a_replica_that_has_it_makes_it_200';
ok exists $one->hgetall('entitle:test:{u:ada}')->{version}, 'and it has it';

# Frozen between both deliveries, and before.
$one->freeze;
my $begin = time;
my $answer = $site->webhook(event('bob'));
is $answer->status, 503, 'a_frozen_replica_makes_it_503';
like $answer->header('Retry-After'), qr/^[1-9]\d*$/, '  with Retry-After';
cmp_ok time - $begin, '>', 1, '  after it was waited for';
like $site->log, qr/not_stored.*written, but only 0 of 1 replicas/, '  and the log says so';
is scalar(grep { /\{p:/ } $redis->keys), 2,'  what was written stands';
my ($bob, $ada) = map { $site->connect->send($site->webhook_request(event($_))) } qw(bob ada);
is $bob->receive->status, 503, 'and_again_when_it_is_resent';
is $ada->receive->status, 503, 'a_duplicate_of_what_was_answered_200_waits_too';
$one->thaw;
ok wait_until(sub { $site->webhook(event('bob'))->status == 200 }, 20), 'thawed_it_is_200';
$answer = $site->webhook(event('ada'));
is $answer->status . ' ' . $answer->json->{outcome}, '200 duplicate', 'and_so_is_a_duplicate';

my $two = replica('two');
replicas_are(2);
$site->reload(configuration('2 300ms'));
is $site->webhook(event('carl'))->status, 200, 'two_of_two';
is log_out('carl')->status, 204, 'logging_out_everywhere_is_waited_for';
$two->freeze;
is $site->webhook(event('dora'))->status, 503, 'one_of_two_is_not_enough';
is log_out('carl')->status, 503, '  nor for logging out everywhere';
like $site->log, qr/not logged out everywhere: written, but only 1 of 2 replicas/,
    '  and the log says so';
$two->thaw;
$_->stop for $one, $two;
replicas_are(0);
is $site->webhook(event('emil'))->status, 503, 'no_replicas_at_all';
like $site->log, qr/only 0 of 2 replicas/, '  and the log says so';
$site->expect_log(qr/not logged out everywhere/, qr/not_stored.*replicas/);
$site->finish;

for my $case (['0 1s', qr/"0".*1 to 100/], ['x 1s', qr/"x".*1 to 100/], ['1 0', qr/"0".*20s/],
    ['1 1m', qr/"1m".*20s/], ['1 soon', qr/"soon".*20s/]) {
    my ($ok, $said) = Test::Entitle->new->config_test("entitle_redis_wait $case->[0];");
    ok !$ok, "entitle_redis_wait $case->[0] is refused";
    like $said, $case->[1], '  and says why';
}

done_testing;
