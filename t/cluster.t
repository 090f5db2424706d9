# Redis Cluster: places, records and look-ups on whichever node has them, slots
# that move and primaries that die while requests run; every change is seen, at
# whichever node it is made.
#
# ENTITLE_FAILOVERS: how many primaries are killed (default 2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::Cluster;
use Test::Entitle::Traffic;
use Time::HiRes qw(sleep time);

my $FAILOVERS = $ENV{ENTITLE_FAILOVERS} // 2;
my $LEASE     = 2;
alarm 90 + 30 * $FAILOVERS;

my $site = Test::Entitle->new(workers => 2);
my $all  = Test::Entitle::Cluster->new(dir => $site->dir . '/all');
$site->write_file('html/page.html', 'page');
$site->start(cached_http(redis => $all->address, lease => "${LEASE}s", sessions => 1,
    more => 'entitle_stale 0;',
    server => <<'EOF'));
location /app {
    entitle_session_redis app:cookie=sid json=/user;
    entitle_require pro;
    try_files /page.html =404;
}
EOF

sub record { return "entitle:test:{u:$_[0]}" }
sub event { my ($user, $type) = @_; return event_json(
    'customer.subscription.' . ($type // 'created.active'), user => $user, customer => "C$user") }
# --- stories across slots -------------------------------------------------------

my @users = map { "u$_" } 1 .. 12;
is $site->webhook(event($_))->status, 200, 'a_webhook_is_stored_whoever_has_its_keys' for @users;
is $site->get("/paid?user=$_")->status, 200, 'and_lets_in' for @users;
my $event = event('u1');
$site->webhook($event);
is $site->webhook($event)->json->{outcome}, 'duplicate', 'what is known is known';
is $site->get('/paid?user=eve')->status, 402, 'not everybody';
my %places = map { $all->server_of("entitle:test:{p:cus_Fx${_}000000001}")->port => 1 } map { "C$_" } @users;
my %records = map { $all->server_of(record($_))->port => 1 } @users;
is keys %records, 3, 'records are on all nodes';
cmp_ok keys %places, '>', 1, 'places on several';
ok warm($site, $_), 'what each node says is cached' for @users;

# --- the app's own sessions -------------------------------------------------------

{
    # Several cookies of one name, whose sessions are on different nodes.
    my %by_node;
    for my $n (1 .. 40) { $by_node{ $all->server_of("app:0123456789abcdef$n")->port } //= "0123456789abcdef$n" }
    my @ids = values %by_node;
    $all->command(SET => "app:$_", '{"user":"u2"}') for @ids;
    is scalar @ids, 3, 'sessions on each node';
    is $site->get('/app', Cookie => "sid=$_")->status, 200, 'the_apps_session_is_read_there' for @ids;
    is $site->get('/app', Cookie => join '; ', map { "sid=$_" } @ids)->status, 200, 'several_at_once';
    is $site->get('/app', Cookie => 'sid=nobody0123456789abcdef')->status, 401, 'nobody is nobody';
}

# --- coherence ------------------------------------------------------------------

{
    my $late = 0;
    for my $round (1 .. 60) {
        my $user = $users[rand @users];
        my $see = $round % 2 ? \&seen : \&seen_by_session;
        $see->($site, $user) for 1 .. 3;
        my $version = $all->command(HINCRBY => record($user), version => 1);
        sleep 0.05;
        my ($saw) = split / /, $see->($site, $user);
        $late++ if $saw < $version;
    }
    is $late, 0, 'a_change_at_any_node_is_seen';
}

# --- a slot moves while requests run ------------------------------------------------

my $user = 'u1';
my $slot = $all->slot(record($user));
my $from = $all->server_of_slot($slot);
my ($to) = grep { $_ != $from && $_->command('ROLE')->[0] eq 'master' } $all->running;
{
    my $traffic = Test::Entitle::Traffic->new(site => $site, paid => $user, not_paid => 'eve');
    ok warm($site, $user), 'cached';
    seen_by_session($site, $user) for 1 .. 10;
    $all->migrating($slot, $from, $to);
    is $site->get("/paid?user=$user")->status, 200, 'migrating, and still there';
    $all->move_keys($slot, $from, $to);
    is $site->get("/paid?user=$user")->status, 200, 'ask_is_followed_by_a_read' for 1 .. 3;
    $all->finish_move($slot, $to);
    my $version = $all->command(HINCRBY => record($user), version => 1);
    sleep 0.05;
    for my $see (\&seen, \&seen_by_session) {
        my ($saw) = split / /, $see->($site, $user);
        is $saw, $version, 'moved_is_followed_and_the_new_node_heard';
    }
    ok warm($site, $user), 'and cached again';
    is $site->webhook(event($user, 'deleted'))->status, 200, 'what_comes_is_stored_there';
    is $site->get("/paid?user=$user")->status, 402, 'and seen';
    my $result = $traffic->stop;
    my @wrong = grep { !/^$user:402/ } @{ $result->{wrong} };
    is "@wrong", '', 'nobody else noticed';
    cmp_ok scalar @{ $result->{stored} }, '>', 5, 'while events came';
}

# --- killed ------------------------------------------------------------------------

{
    my $traffic = Test::Entitle::Traffic->new(site => $site, paid => 'u2',
        not_paid => 'eve', name => 'k');
    my (@back, @killed);
    for my $round (1 .. $FAILOVERS) {
        my $old = $all->server_of(record('u2'));
        sleep 0.5;
        my $when = time;
        $old->kill9;
        push @killed, $when;
        ok wait_until(sub { eval { $all->server_of(record('u2')) != $old } }, 30), 'a replica takes over';
        ok wait_until(sub { $site->get('/paid?user=u2')->status == 200 }, 20), 'and_is_found';
        push @back, time - $when;
        $old->start;
        ok wait_until(sub { $all->settled }, 30), 'the other comes back as its replica';
    }
    my $result = $traffic->stop;
    diag sprintf '%d fail-overs, back after %s s; %d stored, %d refused; gate: %s', $FAILOVERS,
        join(' ', map { sprintf '%.1f', $_ } @back), scalar @{ $result->{stored} },
        $result->{refused}, join ', ', map { "$_ $result->{gate}{$_}" } sort keys %{ $result->{gate} };
    cmp_ok scalar @{ $result->{stored} }, '>', 10 * $FAILOVERS, 'many events were answered 2xx';
    is "@{ $result->{wrong} }", '', 'no_answer_of_a_gate_is_wrong';
    my @lost = $traffic->lost($all);
    my @told = grep { my $at = $_->{at}; !grep { $at > $_ - 0.5 && $at < $_ + 0.5 } @killed } @lost;
    diag scalar(@lost) . ' lost in the moment before a kill' if @lost;
    is join(' ', map { $_->{user} } @told), '', 'what_was_answered_2xx_is_there';
}

# --- hung, and back -----------------------------------------------------------------

{
    ok warm($site, 'u3'), 'cached';
    seen_by_session($site, 'u3') for 1 .. 10;
    my $old = $all->server_of(record('u3'));
    $all->freeze($old);
    ok wait_until(sub { eval { $all->server_of(record('u3')) != $old } }, 30), 'a replica takes over';
    my $version = $all->command(HINCRBY => record('u3'), version => 1);
    my $when = time;
    $all->thaw($old);
    my ($late, $end) = (0, time + $LEASE + 1);
    while (time < $end) {
        for my $see (\&seen, \&seen_by_session) {
            my $asked = time;
            my ($saw) = $see->($site, 'u3') =~ /^(\d+) /;
            $late++ if $saw && $saw < $version && $asked > $when + $LEASE;
        }
        sleep 0.01;
    }
    is $late, 0, 'a_primary_that_was_replaced_is_not_believed_beyond_the_lease';
    ok wait_until(sub { seen($site, 'u3') =~ /^$version / }, 20), 'but who replaced it';
}

for my $n (1 .. 6) {
    $all->command(ZADD => 'entitle:test:unmatched', 7, "u:u$n|cs_gone");
    $all->command(ZADD => 'entitle:test:parked', 7, "pi_gone$n");
}
my @gone = $site->reload;
ok warm($site, 'u2'), 'a_reload_finds_the_nodes';
ok wait_until(sub { !grep { kill 0, $_ } @gone }, 10), 'and the old workers go';
ok wait_until(sub { !grep { $all->command(ZCARD => "entitle:test:$_") } qw(unmatched parked) }, 20),
    'the_lists_are_looked_through_whichever_node_has_what_they_name';
$site->expect_log(qr/is unreachable|not_stored|entitle: Redis answered/);
$site->finish;
$all->stop;
done_testing;
