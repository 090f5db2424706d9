# Gates read replicas, and everything that writes goes to the primary. A replica
# that is frozen, cut off, of another primary or gone is left, and what a gate
# says is never older than the lease.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::GateSession;
use Test::Entitle::Redis;
use Test::Entitle::Wire;
use Time::HiRes qw(sleep time);

my $LEASE   = 1;
my $TIMEOUT = 0.3;
my $LATE    = $LEASE + 0.3;  # a machine is not always prompt
my $KEY     = 'entitle:test:{u:%s}';
alarm 90 * patience();

sub replica_of {
    my ($site, $name, $port) = @_;
    return Test::Entitle::Redis->new(dir => $site->dir . "/$name", options => [
        '--replicaof', "127.0.0.1 $port", '--repl-diskless-sync-delay', '0']);
}

sub linked {
    my (@replicas) = @_;
    return wait_until(sub {
        !grep { $_->command('INFO', 'replication') !~ /master_link_status:up/ } @replicas;
    }, 20);
}

my @primary_options = qw(--repl-diskless-sync-delay 0 --repl-ping-replica-period 1);
my $site = Test::Entitle->new;
$site->write_file('html/page.html', 'page');
my $primary = $site->redis(options => [@primary_options]);
my $one = replica_of($site, 'one', $primary->port);
my $two = replica_of($site, 'two', $primary->port);
ok linked($one, $two), 'the replicas follow';
my %server = (primary => $primary, one => $one, two => $two);

put($site, 'ada', 1);
$site->start(cached_http(lease => "${LEASE}s", timeout => '300ms',
    more => "entitle_stale 0;\nentitle_redis_read redis://127.0.0.1:" . $one->port
        . ' redis://127.0.0.1:' . $two->port . ';'));

# Who is asked for a user that nobody has asked for yet.
my $users = 0;
sub readers {
    my (@up) = @_;
    @up = sort keys %server if !@up;
    my $user = 'x' . $users++;
    my %monitor = map { $_ => $server{$_}->monitor } @up;
    seen($site, $user);
    my @asked = grep { grep { /HGETALL.*\{u:$user\}/i } $monitor{$_}->stop } @up;
    return join ' ', @asked;
}
sub read_by { my ($who, @up) = @_; return wait_until(sub { readers(@up) eq $who }, 20) }

# --- near, and far -------------------------------------------------------------

ok read_by('one'), 'gates_read_the_first_replica';
is join(' ', sort { $a cmp $b } keys %{ { map { readers() => 1 } 1 .. 10 } }), 'one',
    'and nobody else';
is $site->webhook(bought('bob'))->status, 200, 'webhooks_go_to_the_primary';
ok $primary->hgetall(sprintf $KEY, 'bob')->{version}, 'which has it';
ok wait_until(sub { seen($site, 'bob') =~ /allow$/ }), 'and the gate sees it through the replica';
ok warm($site), 'what a replica says is cached';

my $version = 1;
sub change { return $version = $primary->command('HINCRBY', sprintf($KEY, 'ada'), version => 1) }

my @delays;
for (1 .. 60) {
    change();
    my $changed = time;
    wait_until(sub { seen($site) =~ /^$version / });
    push @delays, time - $changed;
}
@delays = sort { $a <=> $b } @delays;
diag sprintf 'a change is seen after %.1f ms, at most %.1f', map { 1000 * $delays[$_] } 30, -1;
cmp_ok $delays[45], '<', 0.05, 'a_change_is_heard_through_the_replica';
cmp_ok $delays[-1], '<', $LATE, 'never later than the lease';

# --- a replica that fails ------------------------------------------------------

# Changes and asks for a while: how often something older than the lease was
# said, and how often nothing, but for the first `$grace` seconds.
sub watch {
    my ($seconds, $grace) = @_;
    my @changes = ([$version, time]);
    my %result = (asked => 0, late => 0, refused => 0);
    my $end = time + $seconds;
    my $from = time + ($grace // 0);
    while (time < $end) {
        my $asked = time;
        my $answer = $site->get('/paid?user=ada');
        my ($saw) = told($answer) =~ /^(\d+) /;
        $result{asked}++;
        if ($answer->status != 200) {
            $result{refused}++ if $asked > $from;
        } elsif (grep { $_->[0] > $saw && $_->[1] + $LATE < $asked } @changes) {
            $result{late}++;
        }
        change();
        push @changes, [$version, time];
        sleep 0.02;
    }
    return \%result;
}

sub goes_on {
    my ($name, $result) = @_;
    is $result->{late}, 0, "$name: nothing older than the lease is believed";
    is $result->{refused}, 0, '  and nobody is turned away';
    cmp_ok $result->{asked}, '>', 10, '  of many';
}

$one->freeze;
goes_on('a_frozen_replica', watch(2 * $LEASE));
ok read_by('two', qw(primary two)), 'another is read';
$one->thaw;
ok read_by('one'), 'until it answers again';

ok warm($site), 'cached again';
$one->command('REPLICAOF', 'NO', 'ONE');
put_record($one, 'eve', version => 7, subscription('active'));
goes_on('a_replica_that_is_none_any_more', watch(1.5 * $LEASE));
ok read_by('two'), 'is left';
is $site->get('/paid?user=eve')->status, 402, 'and opens nothing';
$one->command('REPLICAOF', '127.0.0.1', $primary->port);
ok linked($one) && read_by('one'), 'as a replica it is read again';
ok warm($site), 'and heard';

# A link that only looks up: what its other end says is not the primary's. That
# it was emptied is heard at once, or found out by the next question.
my $other = Test::Entitle::Redis->new(dir => $site->dir . '/other', options => [@primary_options]);
$one->command('REPLICAOF', '127.0.0.1', $other->port);
ok linked($one), 'a replica of somebody else';
goes_on('a_replica_of_another_primary', watch(2 * $LEASE, $LEASE));
ok read_by('two'), 'is left, too';

$one->kill9;
$two->kill9;
goes_on('no_replica_at_all', watch(1.5 * $LEASE));
delete @server{qw(one two)};
ok read_by('primary'), 'the_primary_is_read';
$two->start;
$server{two} = $two;
ok linked($two) && read_by('two'), 'until a replica is back';

# --- the primary fails ---------------------------------------------------------

ok warm($site), 'cached from a replica';
my $frozen = time;
$primary->freeze;
my $last;
my $refused = wait_until(sub {
    my $asked = time;
    return 1 if $site->get('/paid?user=ada')->status == 503;
    $last = $asked;
    return 0;
}, 10);
ok $refused, 'replicas_without_a_primary_are_believed_for_a_lease';
cmp_ok $last - $frozen, '<', $LATE, 'and no longer';
$primary->thaw;
ok wait_until(sub { seen($site) =~ /allow$/ }, 20), 'and when it is back they are believed again';
$site->expect_log(qr/redis|entitle/i);

# --- a session that is newer than the replica ------------------------------------

{
    my $site = Test::Entitle->new;
    $site->write_file('html/page.html', 'page');
    my $primary = $site->redis(options => [@primary_options]);
    my $wire    = Test::Entitle::Wire->new(to => $primary->port);
    my $replica = replica_of($site, 'replica', $wire->port);
    linked($replica);
    put($site, 'ada', 1);
    my $port = $replica->port;
    $site->start(<<"EOF2");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_read redis://127.0.0.1:$port;
entitle_lease 20s;
entitle_mode test;
entitle_grant pro prod_Pro;
%%SESSIONS%%
server { listen 127.0.0.1:%%PORT2%%; return 401; }
server {
    listen 127.0.0.1:%%PORT%%;
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /paid {
        entitle_require pro;
        %%REAUTH%%
        add_header X-Seen "\$entitle_version \$entitle_cache" always;
        try_files /page.html =404;
    }
}
EOF2
    my $get = sub {
        my ($version, $user) = @_;
        my $browser = $site->browser;
        $browser->cookies->{app}     = 's1';
        $browser->cookies->{entitle} = session(user => $user // 'ada', version => $version, bind => ['s1']);
        my $answer = $browser->get('/paid');
        return $answer->status . ' ' . ($answer->header('X-Seen') // '');
    };
    ok wait_until(sub { $get->(1) eq '200 1 HIT' }), 'a session as old as the record';
    my $read = sub {
        my $monitor = $replica->monitor;
        my $user = 'x' . $users++;
        $get->(0, $user);
        return scalar grep { /HGETALL.*\{u:$user\}/i } $monitor->stop;
    };
    ok wait_until(sub { $get->(1); $read->() }), 'which is read from the replica';
    $wire->signal('STOP');
    $primary->command('HINCRBY', sprintf($KEY, 'ada'), version => 1);
    is $replica->hgetall(sprintf $KEY, 'ada')->{version}, 1, 'the replica is behind';
    like $get->(2), qr/^200 2 /, 'a_session_newer_than_the_replica_is_not_sent_to_log_in_again';
    like $get->(2), qr/^200 2 /, 'nor the next time';
    like $get->(3), qr/^401/, 'one that is newer than the primary is';
    $wire->signal('CONT');
    ok wait_until(sub { $get->(2) eq '200 2 HIT' }, 20), 'and once it caught up it is cached';
    $site->finish;
    $replica->stop;
    $wire->stop;
}

# --- what nginx -t refuses -------------------------------------------------------

my @refused = (
    ['Sentinels as replicas', 'entitle_redis_read sentinel://a/main;',
        qr{"sentinel://a/main" in "entitle_redis_read"}, qr{redis://host}],
    ['a cluster as a replica', 'entitle_redis_read cluster://127.0.0.1;', qr{redis://host}],
    ['replicas of a cluster',
        'entitle_redis cluster://127.0.0.1; entitle_redis_read redis://127.0.0.2;',
        qr/does not go with "entitle_redis cluster/],
    ['an address that is none', 'entitle_redis_read redis://127.0.0.1 http://127.0.0.2;',
        qr{"http://127\.0\.0\.2"}],
    ['another user', 'entitle_redis_read redis://bob@127.0.0.1;', qr/replicas know the user/],
    ['another database', 'entitle_redis redis://127.0.0.1/2; entitle_redis_read redis://127.0.0.2;',
        qr/the database must be that of "entitle_redis"/],
    ['TLS for the replica alone', 'entitle_redis_read rediss://127.0.0.2;', qr/entitle_redis_ssl on/],
    ['a name without a resolver', 'entitle_redis_read redis://replica.example;',
        qr/"replica\.example" is a name/],
    ['two of them', "entitle_redis_read redis://127.0.0.2;\nentitle_redis_read redis://127.0.0.3;",
        qr/duplicate/],
    ['a socket with a long path', 'entitle_redis_read unix:/' . 'x' x 110 . ';', qr/107 bytes/],
);
my $server = 'server { listen 127.0.0.1:%%PORT%%; location = /x { entitle_webhook test;'
    . ' entitle_webhook_secret_file %%SECRET%%; } }';
my $unstarted = Test::Entitle->new;
for my $case (@refused) {
    my ($name, $http, @says) = @$case;
    my ($accepted, $said) = $unstarted->config_test("$http\n$server");
    ok !$accepted, "refused: $name";
    like $said, $_, '  and says why' for @says;
}

$site->finish;
done_testing;
