# Ten thousand requests at once for one user whom nobody has looked up yet: one
# read of Redis a worker, and all are answered.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Time::HiRes qw(sleep time);

my $REQUESTS = 10_000;
my $CLIENTS  = 100;    # each with a hundred streams

my $site = cached_site(workers => 2, timeout => '60s', lease => '120s',
    server => 'listen 127.0.0.1:%%PORT2%% http2; location = /status { stub_status; }');
my $redis = $site->redis;
ok warm($site), 'warm';
put($site, 'cold', 7);

# Answered by a worker that is not kept waiting itself.
sub requests { return ($site->get('/status')->body =~ /^ \d+ \d+ (\d+)/m)[0] }

my $monitor = $redis->monitor;
$redis->freeze;
my $before = requests();
my $crowd = Test::Entitle::Process->new(output => $site->dir . '/crowd', command => [
    'h2load', '-n', $REQUESTS, '-c', $CLIENTS, '-m', $REQUESTS / $CLIENTS,
    'http://127.0.0.1:' . $site->port(2) . '/paid?user=cold']);
ok wait_until(sub { requests() - $before >= $REQUESTS }, 60), 'ten thousand requests wait';
my $begin = time;
is $site->get('/open')->status, 200, '  which nobody else notices';
cmp_ok time - $begin, '<', 10, '  while they wait for sixty seconds if need be';
$redis->thaw;
ok wait_until(sub { !$crowd->running }, 60), 'then all are answered';
like $site->read_file('crowd'), qr/status codes: $REQUESTS 2xx, 0 3xx, 0 4xx, 0 5xx/, '  and let in';

my $reads = grep { /"HGETALL" "[^"]*\{u:cold\}"/ } $monitor->stop;
cmp_ok $reads, '<=', 2, 'a_stampede_makes_one_read_a_worker';
cmp_ok $reads, '>=', 1, '  at least one';
like all_seen($site, 'cold'), qr/^7 HIT allow$/, '  and the record is there for whoever comes next';

done_testing;
