# What Redis' own settings put at risk is said when nginx starts: once, by one
# worker, without a request, and never in the way of anything.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Redis;

my $EVICTION = qr/\[warn\].*redis "[^"]*": maxmemory-policy is "/;
my $LOSS     = qr/\[warn\].*redis "[^"]*": it has neither an append-only file nor a replica/;

my $CONFIGURATION = <<'EOT';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
}
EOT

sub count {
    my ($site, $pattern) = @_;
    return scalar(my @lines = $site->log =~ /^.*$pattern/mg);
}

# Starts nginx with a Redis of these options, and waits until it was asked: what
# is to be said has been said.
sub started {
    my (%with) = @_;
    my $site  = Test::Entitle->new(workers => 2);
    my $redis = $site->redis(options => $with{options} // []);
    $with{prepare}->($redis, $site) if $with{prepare};
    $site->start($CONFIGURATION);
    ok is_asked($redis), "$with{name}: Redis is asked";
    return $site;
}

# INFO came, and whoever asked is gone again.
sub is_asked {
    my ($redis) = @_;
    return wait_until(sub {
        return 0 if $redis->command('INFO', 'commandstats') !~ /^cmdstat_client\|setname:calls/m;
        return $redis->command('CLIENT', 'LIST') !~ /name=entitle/;
    }, 20);
}

my @APPEND_ONLY = qw(--appendonly yes --appendfsync no);
my @LIMIT       = qw(--maxmemory 100mb);

# --- what can drop records ---------------------------------------------------

{
    my $site = started(name => 'allkeys-lru', options => [@LIMIT, qw(--maxmemory-policy allkeys-lru)]);
    is count($site, qr/maxmemory-policy is "allkeys-lru": at 104857600 bytes.*any record/), 1,
        'a_policy_that_drops_records_is_said_once_without_a_request';
    is count($site, $LOSS), 1, 'and_so_is_what_a_crash_takes';

    # Other workers, other connections.
    for my $n (1 .. 3) {
        $site->redis->command('CLIENT', 'KILL', 'TYPE', 'normal');
        is $site->webhook(event_json('customer.subscription.created.active',
            user => "u$n", customer => "c$n"))->status, 200, "webhook $n";
    }
    is count($site, $EVICTION), 1, 'connecting_again_says_nothing_more';
    is count($site, $LOSS), 1, '  of either';

    $site->redis->command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    $site->reload;
    ok $site->wait_for_log(qr/$LOSS.*$LOSS/s), 'a_reload_says_what_still_holds';
    is count($site, $EVICTION), 1, '  and only that';
    $site->finish;
}

{
    my $site = started(name => 'volatile-ttl',
        options => [@LIMIT, @APPEND_ONLY, qw(--maxmemory-policy volatile-ttl)]);
    is count($site, qr/maxmemory-policy is "volatile-ttl".*no record/), 1,
        'a_policy_that_drops_what_expires_is_said_as_such';
    is count($site, qr/\[warn\]/), 1, '  and nothing else';
    $site->finish;
}

# --- what is safe ------------------------------------------------------------

{
    my $site = started(name => 'noeviction',
        options => [@LIMIT, @APPEND_ONLY, qw(--maxmemory-policy noeviction)]);
    is count($site, qr/\[warn\]/), 0, 'noeviction_and_an_append_only_file_are_silent';
    $site->finish;
}

{
    my $replica;
    my $site = started(name => 'no limit', options => [qw(--maxmemory-policy allkeys-lru
            --repl-diskless-sync-delay 0)],
        prepare => sub {
            my ($redis, $made) = @_;
            $replica = Test::Entitle::Redis->new(dir => $made->dir . '/replica',
                options => ['--replicaof', '127.0.0.1 ' . $redis->port]);
            wait_until(sub { $redis->command('INFO', 'replication') =~ /state=online/ }, 20)
                or die 'the replica does not come up';
        });
    is count($site, qr/\[warn\]/), 0, 'a_replica_and_no_limit_are_silent';
    $site->finish;
    $replica->stop;
}

# --- who may take over without having been counted -------------------------------

for my $case ([1, 1], [2, 0]) {
    my ($counted, $warnings) = @$case;
    my $site = Test::Entitle->new(workers => 2);
    my $redis = $site->redis(options => [@APPEND_ONLY, qw(--repl-diskless-sync-delay 0)]);
    my @replicas = map { Test::Entitle::Redis->new(dir => $site->dir . "/replica$_",
        options => ['--replicaof', '127.0.0.1 ' . $redis->port]) } 1 .. 2;
    ok wait_until(sub { 2 == (() = $redis->command('INFO', 'replication') =~ /state=online/g) }, 20),
        'two replicas';
    $site->start("entitle_redis_wait $counted 500ms;\n"
        . $CONFIGURATION =~ s/(?=%%WEBHOOK%%)/location = \/status { entitle_status; } /r);
    ok is_asked($redis), "entitle_redis_wait $counted of 2: Redis is asked";
    is count($site, qr/\[warn\].*it has 2 replicas and "entitle_redis_wait" counts $counted/), $warnings,
        'replicas_that_may_take_over_uncounted_are_said: ' . $warnings;
    my $status = $site->get('/status')->json->{redis};
    is $status->{replicas}, 2, '  the status knows how many there are';
    is $status->{replicas_waited_for}, $counted, '  and how many are counted';
    is defined $status->{warning} ? 1 : 0, $warnings, '  and what that means';
    my $metrics = $site->get('/status?format=prometheus')->body;
    like $metrics, qr/^entitle_redis_replicas 2$/m, '  for Prometheus, too';
    like $metrics, qr/^entitle_redis_replicas_waited_for $counted$/m, '  and whom it waits for';
    $site->finish;
    $_->stop for @replicas;
}

# --- who does not say --------------------------------------------------------

{
    my $site = started(name => 'no INFO', prepare => sub {
        $_[0]->command(qw(ACL SETUSER default -info));
        $_[0]->command(qw(ACL SETUSER watcher on nopass allcommands allkeys allchannels));
        $_[0]->command(qw(AUTH watcher any));
    });
    is count($site, qr/\[warn\]/), 0, 'without_INFO_nothing_is_said';
    ok $site->wait_for_log(qr/\[info\].*INFO is not permitted/), '  but why';
    is $site->webhook(event_json('customer.subscription.created.active'))->status, 200,
        '  and nothing else changes';
    $site->finish;
}

# --- who is not there yet ----------------------------------------------------

{
    my $site = Test::Entitle->new(workers => 2);
    $site->start($CONFIGURATION);
    $site->redis;
    ok $site->wait_for_log($LOSS, 20), 'a_redis_that_comes_later_is_asked_then';
    is count($site, qr/unreachable/), 0, '  and was not missed before';
    is count($site, $LOSS), 1, '  once';
    $site->finish;
}

{
    my $site = Test::Entitle->new;
    my $primary = Test::Entitle::Redis->new(dir => $site->dir . '/primary');
    my $redis = $site->redis(options => ['--replicaof', '127.0.0.1 ' . $primary->port]);
    $site->start($CONFIGURATION);
    ok is_asked($redis), 'a replica is asked';
    is count($site, qr/\[warn\]/), 0, 'a_replica_is_not_warned_about';
    $redis->command(qw(REPLICAOF NO ONE));
    ok $site->wait_for_log($LOSS, 20), 'until_it_is_the_primary';
    $site->finish;
    $primary->stop;
}

done_testing;
