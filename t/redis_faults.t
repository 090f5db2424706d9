# A Redis that says the wrong thing, or half of it: no event is answered 2xx
# that was not stored, nobody is let in, nothing hangs, the worker lives, and
# when Redis is right again, so is everything else.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::FaultyRedis;
use Time::HiRes qw(sleep time);

my $HTTP = <<'EOF';
entitle_redis redis://127.0.0.1:%%PORT9%%;
entitle_redis_timeout 400ms;
entitle_redis_connect_timeout 400ms;
entitle_stale 0;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_mode test;
server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami { add_header X-User $cookie_app; return 204; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /page.html {
        entitle_require pro;
        %%REAUTH%%
    }
    location = /open { return 200 open; }
}
EOF

# Most faults take a webhook its retries, three seconds: several sites suffer at
# the same time, each from one fault after the other, and share one Redis.
my $SITES = 7;
my @sites = map { Test::Entitle->new } 1 .. $SITES;
my $redis = $sites[0]->redis;
alarm 300 * patience();

# What stands between a site and Redis from now on.
my %between;
sub put_between {
    my ($site, %how) = @_;
    my $port = $site->port(9);
    delete $between{$port};
    $between{$port} =
        Test::Entitle::FaultyRedis->new(port => $port, redis => $redis, %how);
}
sub visit {
    my ($site, $user) = @_;
    return $site->connect->send(uri => '/page.html', close => 1,
        headers => [Cookie => "app=$user"]);
}
sub purchase {
    my ($user) = @_;
    return event_json('customer.subscription.created.active', user => $user, customer => $user);
}

# Ada has paid, while all was well.
for my $site (@sites) {
    $site->write_file('html/page.html', 'page');
    $site->start($HTTP);
    put_between($site);
}
is $sites[0]->webhook(purchase('ada'))->status, 200, 'while all is well';
is visit($_, 'ada')->receive->status, 200, 'and ada is let in' for @sites;

# One fault, told by name: what a webhook and a visitor get.
my @faults;
sub fault {
    my ($name, $webhook, $gate, %how) = @_;
    push @faults, { name => $name, webhook => $webhook, gate => $gate, how => \%how,
        user => 'u' . @faults, event => purchase('u' . @faults) };
}

# One fault for each of some sites, and that all is well again once it is gone.
sub suffer {
    my (@round) = @_;
    my $begin = time;
    for my $n (0 .. $#round) {
        my $site = $round[$n]{site} = $sites[$n];
        put_between($site, %{ $round[$n]{how} });
        $round[$n]{delivery} =
            $site->connect->send($site->webhook_request($round[$n]{event}));
    }
    $_->{answer} = $_->{delivery}->receive for @round;
    for my $fault (@round) { $fault->{$_} = visit($fault->{site}, $_) for qw(ada eve) }
    for my $fault (@round) {
        like $fault->{answer}->status, $fault->{webhook}, $fault->{name};
        ok exists $redis->hgetall("entitle:test:{u:$fault->{user}}")->{version}, '  stored'
            if $fault->{answer}->status == 200;
        like $fault->{ada}->receive->status, $fault->{gate}, '  at the gate';
        isnt $fault->{eve}->receive->status, 200, '  and nobody else';
        is $fault->{site}->get('/open')->status, 200, '  and the rest is served';
    }
    cmp_ok time - $begin, '<', 15 * patience(), 'nobody waits long';

    put_between($_->{site}) for @round;
    for my $fault (@round) {
        my $site = $fault->{site};
        ok wait_until(sub { visit($site, 'ada')->receive->status == 200 }),
            "after $fault->{name} ada is let in";
        ok wait_until(sub { $site->webhook($fault->{event})->status == 200 }),
            '  and the event is taken when it comes again';
        my $record = $redis->hgetall("entitle:test:{u:$fault->{user}}");
        is scalar(grep { /^source:sub_/ } keys %$record), 1, '  and stored once';
    }
}

my $served  = qr/^200$/;
my $refused = qr/^503$/;

fault 'one_byte_at_a_time', $served, $served,
    spoil => \&Test::Entitle::FaultyRedis::byte_by_byte;

fault 'never_an_answer', $refused, $refused, spoil => sub { 1 };
fault 'half_an_answer_and_silence', $refused, $refused,
    spoil => sub { my ($bytes, $to) = @_; syswrite $to, substr $bytes, 0, length($bytes) / 2; 1 };
fault 'half_an_answer_and_the_end', $refused, $refused,
    spoil => sub { my ($bytes, $to) = @_; syswrite $to, substr $bytes, 0, length($bytes) / 2; 0 };
fault 'the_end_instead_of_an_answer', $refused, $refused, spoil => sub { 0 };
fault 'a_reset_instead_of_an_answer', $refused, $refused,
    spoil => sub {
        setsockopt $_[1], Socket::SOL_SOCKET(), Socket::SO_LINGER(), pack 'ii', 1, 0;
        return 0;
    };
fault 'garbage', $refused, $refused, spoil => sub { syswrite $_[1], "HTTP/1.1 400 Bad\r\n\r\n" };
fault 'more_answers_than_questions', qr/^(?:200|503)$/, qr/^(?:200|503)$/,
    spoil => sub { syswrite $_[1], "$_[0]+more\r\n" };
fault 'an_array_without_end', $refused, $refused,
    spoil => sub { syswrite $_[1], "*1000000000\r\n" };
fault 'nested_without_end', $refused, $refused,
    spoil => sub { syswrite $_[1], "*1\r\n" x 10_000 };
fault 'integers_for_everything', $refused, $refused, answer => sub { ":1\r\n" };
fault 'ok_for_everything',       $refused, $refused, answer => sub { "+OK\r\n" };
fault 'nothing_for_everything',  $refused, $refused, answer => sub { "\$-1\r\n" };

for my $error ('LOADING Redis is loading the dataset in memory',
    'MASTERDOWN Link with MASTER is down', 'NOAUTH Authentication required.',
    'ERR max number of clients reached') {
    fault "$error, to all", $refused, $refused, answer => sub { "-$error\r\n" };
}
for my $error ('READONLY You can not write against a read only replica.',
    'OOM command not allowed when used memory > maxmemory',
    'MISCONF Redis is configured to save RDB snapshots', 'BUSY Redis is busy') {
    fault "$error, to writes", $refused, $served,
        answer => sub { $_[0] =~ /^(?:EXEC|HSET|HDEL|DEL|LPUSH|SET|ZADD|SADD)$/ ? "-$error\r\n" : undef };
}

fault 'a_transaction_that_always_conflicts', $refused, $served,
    answer => sub { $_[0] eq 'EXEC' ? "*-1\r\n" : undef };
{
    my $conflicts = 0;
    fault 'a_transaction_that_conflicts_twice', $served, $served,
        answer => sub { $_[0] eq 'EXEC' && $conflicts++ < 2 ? "*-1\r\n" : undef };
}
# Of EXEC alone: `*0` is the answer to HGETALL and to the greeting, too. Attempt by
# attempt it may all get written.
fault 'the_end_in_place_of_what_exec_said', qr/^(?:200|503)$/, $served,
    spoil => sub { $_[0] =~ /^\*[1-9]/ && $_[0] !~ /\$/ ? 0 : syswrite $_[1], $_[0] };

# --- size --------------------------------------------------------------------

my $MiB = 'x' x (1 << 20);
fault 'an_answer_of_64_MiB', $refused, $refused, spoil => sub {
    syswrite $_[1], "\$67108864\r\n" or return 0;
    for (1 .. 64) { (syswrite $_[1], $MiB) // return 0 }
    return 1;
};
my $large = pop @faults;
suffer(splice @faults, 0, $SITES) while @faults;

sub resident {
    my ($pid) = @_;
    open my $status, '<', "/proc/$pid/status" or return 0;
    return (grep { defined } map { /^VmRSS:\s+(\d+)/ ? $1 : undef } <$status>)[0];
}
SKIP: {
    my ($worker) = $sites[0]->worker_pids;
    my $before   = resident($worker);
    suffer($large);
    skip 'sizes are the tools\' own here', 1
        if $ENV{ENTITLE_VALGRIND} || Test::Entitle::sanitizer_environment();
    cmp_ok resident($worker) - $before, '<', 40 * 1024, 'is not taken into memory';
}

for my $site (@sites) {
    is scalar($site->worker_pids), 1, 'one worker lived through it all';
    $site->expect_log(qr/redis|entitle|not_stored|event "/i);
}
done_testing;
