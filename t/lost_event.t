# Stripe says of an event that it could not make: in the log, and in Redis for who
# compares. Nothing of it is believed without a signature.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::Entitle;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
server { listen 127.0.0.1:%%PORT%%; %%WEBHOOK%% }
EOT

sub thin {
    my ($id, %o) = @_;
    return JSON::PP->new->canonical->encode({
        id => "evt_test_$id", object => 'v2.core.event', context => undef,
        created => '2026-01-01T00:00:00.000Z', livemode => $o{live} ? JSON::PP::true() : JSON::PP::false(),
        type => $o{type} // 'v2.core.health.event_generation_failure.resolved', related_object => $o{related},
        $o{impact} ? (data => { alert_id => 'a', impact => $o{impact} }) : (),
    });
}
my $sub = { id => 'sub_1', type => 'subscription', url => '/v1/subscriptions/sub_1' };

my $answer = $site->webhook(thin(1, impact => { event_type => 'customer.subscription.deleted', related_object => $sub }));
is $answer->status, 200, 'who tells of a lost event has done so';
is $answer->json->{outcome}, 'ignored', '  which changes nothing';
ok $site->wait_for_log(qr/\[error\] .*Stripe could not make the event "customer\.subscription\.deleted" of "sub_1", and nobody will send it: entitlectl why --mode test sub_1/),
    '  but somebody has to look';
ok wait_until(sub { join(' ', @{ $redis->command('ZRANGE', 'entitle:test:lost', 0, -1) }) eq 'sub_1' }), '  and it is kept';

$site->webhook(thin(2, related => { id => 'cs_2', type => 'x', url => '/v1/x' }));
ok $site->wait_for_log(qr/Stripe could not make an event of "cs_2"/), 'a notification alone says as much';
$site->webhook(thin(3, live => 1, related => { id => 'cs_3', type => 'x', url => '/v1/x' }));
ok $site->wait_for_log(qr/Stripe could not make an event of "cs_3"/), 'one of the other mode is told of';
is join(' ', sort @{ $redis->command('ZRANGE', 'entitle:test:lost', 0, -1) }), 'cs_2 sub_1', '  and not kept here';
is $site->webhook(thin(4, related => { id => "x\ny", type => 'x' }))->status, 200, 'one that names nothing';
is $site->webhook(thin(5, type => 'v2.core.event_destination.ping', related => $sub))->json->{outcome}, 'ignored', 'or is another';
my $lines = () = $site->log =~ /could not make/g;
is $lines, 3, '  is none of these';
is $site->request(method => 'POST', uri => '/webhook', body => thin(6, related => $sub))->status, 400, 'without a signature nothing';

$site->expect_log(qr/Stripe could not make/);
done_testing;
