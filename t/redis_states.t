# A real Redis in each state that refuses something: an event is stored or
# answered 503, the gate goes on with what can be read, and when the state is
# over so is everything else. Nothing is ever let in by it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Time::HiRes qw(sleep time);

our $site = cached_site(workers => 2, lease => '600ms', more => 'entitle_stale 0;');
my $redis = $site->redis;
ok warm($site), 'while all is well';

my $serial = 0;
my $version = 100;

# While a state lasts: a webhook is refused, and taken afterwards.
sub refused_meanwhile {
    my ($name, $during, $after) = @_;
    my $user   = 'u' . ++$serial;
    my $event  = bought($user);
    my $sent   = $site->connect->send($site->webhook_request($event));
    $during->();
    is $site->get('/open')->status, 200, '  the rest of the site does not notice';
    my $answer = $sent->receive;
    is $answer->status, 503, "${name}_stores_nothing_and_says_so";
    like $answer->header('Retry-After'), qr/^[1-9]\d*$/, '  with Retry-After';
    $after->();
    my $taken;
    ok wait_until(sub {
        $taken = $site->webhook($event);
        $taken->status == 200;
    }), '  and afterwards it is stored';
    is $taken->json->{outcome}, 'applied', '  for the first time';
    ok wait_until(sub { seen($site, $user) =~ / allow$/ }), '  and opens';
    ok wait_until(sub { all_seen($site) !~ /error/ }), '  in every worker';
}

# What changed is seen by all workers at once.
sub current {
    my ($name) = @_;
    put($site, 'ada', ++$version);
    sleep 0.02;
    like all_seen($site), qr/^(?:$version (?:HIT|MISS|BYPASS) allow(?:; |$))+$/, $name;
}

# Connections of nginx, to be made anew under the new rules.
sub cut { $redis->command(qw(CLIENT KILL TYPE), $_) for qw(normal pubsub) }

# No gate lets anybody in on what it cannot know.
sub shut {
    my ($name) = @_;
    ok wait_until(sub { all_seen($site) !~ /allow|pay/ }), $name;
}

# --- OOM ----------------------------------------------------------------------

put($site, 'bob', 5);
$redis->command('CONFIG', 'SET', 'maxmemory', '100kb', 'maxmemory-policy', 'noeviction');
refused_meanwhile('OOM', sub {
    unlike all_seen($site), qr/error/, '  the gate goes on';
    like seen($site, 'bob'), qr/^5 MISS allow$/, '  and reads';
    like all_seen($site, 'nobody'), qr/ pay$/, '  and nobody else is let in';
}, sub { $redis->command('CONFIG', 'SET', 'maxmemory', 0) });
current('  and changes are seen');

# --- READONLY, and another role -------------------------------------------------

{
    my $other = Test::Entitle::Redis->new(dir => $site->dir . '/other',
        options => [qw(--repl-diskless-sync-delay 0)]);
    $other->command('HSET', 'entitle:test:{u:ada}', version => 50);
    ok warm($site), 'warm';
    my $lost = () = $site->log =~ /no longer says what changes/g;
    $redis->command('REPLICAOF', '127.0.0.1', free_port());
    refused_meanwhile('READONLY', sub {
        ok wait_until(sub { ($lost + 2) <= (() = $site->log =~
            /no longer says what changes: reads are answered by another instance/g) }),
            'a_changed_role_drops_what_was_known, in every worker';
        ok warm($site), '  what the replica has is read and believed';
        $redis->command('REPLICAOF', '127.0.0.1', $other->port);
        ok wait_until(sub { all_seen($site) =~ /^50 \w+ pay(?:; 50 \w+ pay)*$/ }),
            'what_its_new_primary_has_replaces_it';
        $other->command('HINCRBY', 'entitle:test:{u:ada}', version => 1);
        ok wait_until(sub { $redis->hgetall('entitle:test:{u:ada}')->{version} == 51 }),
            '  a change there';
        like all_seen($site), qr/^(?:51 (?:HIT|MISS|BYPASS) pay(?:; |$))+$/, '  is heard here';
    }, sub {
        # Each worker hears of the promotion, drops what it knew and connects
        # anew; only then is it as it was before.
        $lost = () = $site->log =~ /no longer says what changes/g;
        $redis->command('REPLICAOF', 'NO', 'ONE');
        wait_until(sub { $lost + 2 <= (() = $site->log =~ /no longer says what changes/g) }, 3);
    });
    current('promoted_it_is_believed_again');
    ok warm($site), 'warm';
    $other->stop;
}

# --- NOAUTH, WRONGPASS ----------------------------------------------------------

$redis->command('CONFIG', 'SET', 'requirepass', 'secret');
ok wait_until(sub { all_seen($site) =~ /^$version HIT allow$/ }), 'a_password_for_everyone';
cut();
refused_meanwhile('NOAUTH', sub { shut('  the gate shuts') },
    sub { $redis->command('CONFIG', 'SET', 'requirepass', '') });
like $site->log, qr/ was answered with "NOAUTH/, '  and the log says why';
current('  and changes are seen');

{
    my $port = $redis->port;
    my @entitle = qw(ACL SETUSER entitle on resetpass ~* &* +@all);
    $redis->command(@entitle, '>old');
    local $site = Test::Entitle->new;
    $site->{redis} = $redis;
    $site->write_file('html/page.html', 'page');
    my $password = $site->write_file('password', "old\n");
    $site->start(cached_http(lease => '600ms', redis => "redis://entitle\@127.0.0.1:$port",
        more => "entitle_redis_password_file $password; entitle_stale 0;"));
    ok warm($site), 'with a name and a password';
    $redis->command(@entitle, '>new');
    ok wait_until(sub { all_seen($site) =~ /^$version HIT allow$/ }), 'another_password';
    cut();
    refused_meanwhile('WRONGPASS', sub { shut('  the gate shuts') },
        sub { $redis->command(@entitle, '>old') });
    like $site->log, qr/ was answered with "WRONGPASS/, '  and the log says why';
    unlike $site->log, qr/\bold\b/, '  but not the password';
    current('  and changes are seen');
    $site->expect_log(qr/redis|not_stored|recv\(\) failed/i);
    delete $site->{redis};
    $site->finish;
}

# --- maxclients -----------------------------------------------------------------

ok warm($site), 'warm';
$redis->command('CONFIG', 'SET', 'maxclients', 1);
ok wait_until(sub { all_seen($site) =~ /^$version HIT allow$/ }), 'who_is_connected_stays';
cut();
refused_meanwhile('maxclients', sub { shut('  the gate shuts') },
    sub { $redis->command('CONFIG', 'SET', 'maxclients', 1000) });
like $site->log, qr/max number of clients reached/, '  and the log says why';
current('  and changes are seen');

# --- the subscriptions are cut ----------------------------------------------------

ok warm($site), 'warm';
for (1 .. 10) {
    $redis->command(qw(CLIENT KILL TYPE pubsub));
    current('a_cut_subscription_hides_nothing');
}
ok warm($site), 'and is made anew';

# --- the databases are swapped ----------------------------------------------------

# Redis does not tell, so whoever swaps them cuts off who listens.
sub swap {
    $redis->command('SWAPDB', 0, 1);
    $redis->command(qw(CLIENT KILL TYPE pubsub));
}
swap();
ok wait_until(sub { all_seen($site) !~ /allow/ }), 'what_was_swapped_away_is_not_known_any_more';
swap();
ok warm($site), 'and_is_again_once_it_is_back';

# --- LOADING ----------------------------------------------------------------------

# It loads until it is told not to dawdle over each key; otherwise for 20 s. In
# between, every tenth key or so, it answers.
$redis->command('MSET', map { ("noise$_" => 'x' x 100) } 1 .. 4000);
$redis->command('CONFIG', 'SET', 'rdbcompression', 'no');
$redis->command('SAVE');
$redis->stop;
{
    local $redis->{options} = [@{ $redis->{options} },
        qw(--key-load-delay 5000 --loading-process-events-interval-bytes 1024)];
    $redis->start(loading => 1);
    refused_meanwhile('LOADING', sub {
        ok eval { $redis->command('GET', 'x'); 0 } || $@ =~ /LOADING/, '  while it loads';
        isnt seen($site), "$version HIT allow", '  nothing is believed';
        unlike all_seen($site, 'nobody'), qr/allow|pay/, '  and nobody is judged';
    }, sub { $redis->command('CONFIG', 'SET', 'key-load-delay', 0) });
    current('loaded_it_is_as_before');
}

$site->expect_log(qr/redis|not_stored|recv\(\) failed|connect\(\) failed/i);
done_testing;
