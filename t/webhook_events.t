# Every composed event, in every API shape, gets a 2xx and an outcome: what the
# module does not know must never make Stripe give up on the endpoint.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new(workers => 2);
$site->redis;
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
server {
    listen 127.0.0.1:%%PORT%%;
    location = /webhook {
        entitle_webhook test;
        entitle_webhook_secret_file %%SECRET%%;
        entitle_webhook_account acct_1Fx0000000000001;
    }
}
EOF

my $outcomes = qr/^(?:applied|duplicate|superseded|ignored|parked|unmatched
    |mode_mismatch|account_not_allowed)$/x;
my $client = $site->connect;
my $now = time;
my %seen;

sub told {
    my ($name, $event) = @_;
    my $answer  = $client->request($site->webhook_request($event));
    my $outcome = ($answer->json // {})->{outcome} // '';
    like $answer->status, qr/^20[02]$/, $name;
    like $outcome, $outcomes, "  $outcome";
    $seen{$outcome}++;
}

for my $file (fixture_files('2024-06-20', '2025-03-31.basil', '2026-07-29.dahlia',
        'edge')) {
    told($file, fixture($file, $now));
}
ok $seen{$_}, "some were $_" for qw(applied ignored mode_mismatch);

# Again, all of them: nothing that was stored is stored twice.
my $redis = $site->redis;

# The records, without when they were written.
sub records {
    my %records = map { $_ => $redis->hgetall($_) }
        grep { /\{u:[^}]*\}$/ } $redis->keys('entitle:test:*');
    delete $_->{updated} for values %records;
    return \%records;
}

my $before = records();
$seen{applied} = 0;
told("$_, again", fixture($_, $now)) for fixture_files('2026-07-29.dahlia');
is $seen{applied}, 0, 'events_that_come_again_are_never_applied_again';
is_deeply records(), $before, 'and no record changes';

for my $name (map { m{/(.*)\.json} } fixture_files('scenarios')) {
    $redis->command('FLUSHALL');
    my ($scenario, @events) = scenario($name, $now);
    told("$name, event $_", $events[$_ - 1]) for 1 .. @events;
}

$site->expect_log(qr/ mode_mismatch: /);
done_testing;
