# Who paid and is not in, and what opens nothing, is said in the log by itself, by one
# worker, with the command that tells more; not what has only just come, and nothing
# where all is well.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site  = Test::Entitle->new(workers => 2);
my $redis = $site->redis;
my $now   = time;
# Members that nobody can read stay when the lists are looked through.
$redis->command('ZADD', 'entitle:test:parked', $now - 900, 'cus_1', $now - 5, 'cus_2');
$redis->command('ZADD', 'entitle:test:unmatched', $now - 90, 'nonsense');
$redis->command('ZADD', 'shop:live:unmatched', $now - 86400, 'nonsense');
$redis->command('ZADD', 'entitle:live:parked', $now, 'cus_3');
$redis->command('HSET', "entitle:test:{p:$_}", 'claims', 'unreadable') for qw(cus_1 cus_2);
$redis->command('HSET', 'entitle:live:{p:cus_3}', 'claims', 'unreadable');
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
server { listen 127.0.0.1:%%PORT%%; %%WEBHOOK%% location = /status { entitle_status; } }
server { listen 127.0.0.1:%%PORT2%%; entitle_redis_prefix shop:; location = /webhook { entitle_webhook live; entitle_webhook_secret_file %%SECRET%%; } }
EOT

my $line = qr/\[warn\] [^\n]*entitle: /;
ok $site->wait_for_log(qr/$line\d in "entitle:test:parked" paid and belong to nobody, the oldest for 9\d\d s: entitlectl parked --mode test$/m, 30),
    'who paid and is nobody\'s is told of' or diag $site->log;
ok $site->wait_for_log(qr/$line\d in "entitle:test:unmatched" are paid for and open nothing, the oldest for \d+ s: entitlectl unmatched --mode test$/m),
    'and what opens nothing';
ok $site->wait_for_log(qr/$line\d in "shop:live:unmatched" [^\n]*: entitlectl unmatched --mode live --prefix shop:$/m),
    '  of every prefix';
unlike $site->log, qr/"entitle:live:parked" paid/, 'what has just come is not';
unlike $site->log, qr/"shop:test:\w+" (?:paid|are)/, 'nor where there is nothing';
my @lines = $site->log =~ /in "entitle:test:parked" paid/g;
is scalar(@lines), 1, 'once, whatever workers there are';

done_testing;
