# Taken never exceeds put: two nodes of four workers, 64 connections and 10,000
# requests on 1,000 credits; workers that are killed, and reloads, in the middle.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Metered;
use Time::HiRes qw(sleep time);

my $home  = Test::Entitle->new(workers => 4);
my $redis = $home->redis;
my $away  = Test::Entitle->new(workers => 4);
for my $node ($home, $away) {
    $node->write_file('html/page', 'page');
    $node->start(metered_http(<<'EOT', redis => $redis->port));
    location = /one { entitle_meter api; try_files /page =404; }
    location = /block { entitle_meter api block=20; try_files /page =404; }
    location = /costs { entitle_meter api cost=$cost block=20; try_files /page =404; }
    location = /plain { entitle on; try_files /page =404; }
EOT
}

# Both nodes at once, half of the requests each: how many were answered so.
sub load {
    my ($uri, $requests, $meanwhile) = @_;
    my @running = map {
        my $port = $_->port;
        open my $out, '-|', 'h2load', '--h1', '-c', 32, '-t', 1, '-n', $requests / 2,
            "http://127.0.0.1:$port$uri" or die "h2load: $!";
        $out;
    } $home, $away;
    $meanwhile->() if $meanwhile;
    my %answers = (served => 0, refused => 0, others => 0);
    for my $out (@running) {
        my $text = join '', <$out>;
        close $out;
        my ($ok, undef, $refused, $errors) =
            $text =~ /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/ or next;
        $answers{served} += $ok;
        $answers{refused} += $refused;
        $answers{others} += $errors;
    }
    return \%answers;
}
sub calls { return $redis->command('INFO', 'commandstats') =~ /cmdstat_incrby:calls=(\d+)/ ? $1 : 0 }

# A worker whose clients had done before the others' has some in hand; it gives
# them back, and who comes then is served: until so many were.
sub to_the_end {
    my ($uri, $user, $cost, $served, $refused, $sent, $most) = @_;
    for (1 .. 5) {
        last if $served >= $most;
        wait_until(sub { taken($redis, $user) == $served * $cost }, 5);
        my $answers = load("$uri?user=$user&cost=$cost", 640);
        $served += $answers->{served};
        $refused += $answers->{refused};
        $sent += 640;
    }
    return ($served, $refused, $sent);
}

for my $case (['/one', 'one by one'], ['/block', 'in blocks']) {
    my ($uri, $name) = @$case;
    my $user = "u$uri" =~ tr{/}{}dr;
    pack_of($redis, $user, 1);
    my $before = calls();
    my $answers = load("$uri?user=$user", 10_000);
    my $asked = calls() - $before;
    is $answers->{served} + $answers->{refused}, 10_000, "all are answered: $name";
    my ($served, $refused, $sent) = (@$answers{qw(served refused)}, 10_000);
    cmp_ok $served, '>=', $uri eq '/one' ? 1000 : 1000 - 8 * 20, '  until nearly all is taken';
    ($served, $refused, $sent) = to_the_end($uri, $user, 1, $served, $refused, $sent, 1000);
    is $served, 1000, 'exactly_what_was_put_is_served';
    is $refused, $sent - 1000, '  and all else is refused';
    ok wait_until(sub { taken($redis, $user) == 1000 }, 5), '  and the counter says so'
        or diag taken($redis, $user);
    note "$asked INCRBY for 10,000 requests";
    cmp_ok $asked, '<=', 1000, '  with at most a tenth of a round trip each' if $uri eq '/block';
}

# Costs that do not go into what is left leave less than one of them.
{
    pack_of($redis, 'costs', 1);
    my $answers = load('/costs?user=costs&cost=7', 2000);
    my ($served) = to_the_end('/costs', 'costs', 7, @$answers{qw(served refused)}, 2000, 142);
    is $served, 142, 'as_many_as_can_be_paid';
    ok wait_until(sub { taken($redis, 'costs') == 142 * 7 }, 5), '  and no more is taken'
        or diag taken($redis, 'costs');
}

# Killed workers take along what they had reserved, and serve nobody twice.
{
    pack_of($redis, 'killed', 10);
    my $killed = 0;
    my $answers = load('/block?user=killed', 12_000, sub {
        for (1 .. 3) {
            sleep 0.15;
            $killed += kill 'KILL', ($home->worker_pids)[0] // next;
        }
    });
    $home->expect_alert(qr/exited on signal 9/);
    cmp_ok $killed, '>', 0, 'workers were killed';
    cmp_ok $answers->{served}, '<=', 10_000, 'no_more_is_served_than_was_put';
    sleep 3;
    my $taken = taken($redis, 'killed');
    cmp_ok $taken, '<=', 10_000, '  nor taken';
    cmp_ok $taken, '>=', $answers->{served}, '  and what was served was taken';
    # A worker that dies has a block in hand, and the answers that it could not send.
    cmp_ok $taken - $answers->{served}, '<=', $killed * (20 + 32 + 20), '  what is lost is a block each';
}

# Reloads lose nothing.
{
    pack_of($redis, 'reloaded', 1);
    my $answers = load('/block?user=reloaded', 6000, sub {
        for (1 .. 2) { sleep 0.2; $home->reload }
    });
    is $answers->{served} + $answers->{refused}, 6000, 'reloads_answer_everybody'
        or diag explain $answers;
    ok wait_until(sub { taken($redis, 'reloaded') == $answers->{served} }, 10),
        '  and give back what was reserved' or diag taken($redis, 'reloaded');
    cmp_ok $answers->{served}, '<=', 1000, '  and serve no more than was put';
}

done_testing;
