# Who may speak to the webhook, and what everybody else is told: the table of
# answers, from outside.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
$site->redis;
$site->write_file('rolled', "whsec_the_old_one\nwhsec_the_new_one\n");
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
log_format events '$uri $status $entitle_event_id $entitle_event_type $entitle_customer $entitle_outcome';
access_log %%DIR%%/logs/events.log events;
server {
    listen 127.0.0.1:%%PORT%%;
    entitle_webhook_secret_file %%SECRET%%;

    location = /webhook { entitle_webhook test; }
    location = /live    { entitle_webhook live; }
    location = /strict  { entitle_webhook test; entitle_webhook_tolerance 10s; }
    location = /rolled  { entitle_webhook test; entitle_webhook_secret_file %%DIR%%/rolled; }
    location = /two     {
        entitle_webhook test;
        entitle_webhook_secret_file %%SECRET%%;
        entitle_webhook_secret_file %%DIR%%/rolled;
    }
    location = /connect {
        entitle_webhook test;
        entitle_webhook_account acct_first acct_other;
    }
}
EOF

my $now   = time;
my $event = event_json('customer.subscription.created.active', user => 'ada');

# Refused before anything is believed: status 400 and the reason.
sub refused {
    my ($name, $error, $body, %options) = @_;
    my $before = $site->redis->dump;
    my $answer = $site->webhook($body, %options);
    is $answer->status, 400, $name;
    is_deeply $answer->json, { error => $error }, "  $error";
    is $answer->header('Content-Type'), 'application/json', '  as JSON';
    is $site->redis->dump, $before, '  and nothing is written';
}

refused 'no_signature', 'signature_missing', $event, signature => undef;
for my $header ('', 'garbage', "t=$now", 't=,v1=' . 'a' x 64, 'v1=' . 'a' x 64,
    "t=0$now,v1=" . 'a' x 64, "t=$now,t=$now,v1=" . 'a' x 64,
    "t=$now,v0=" . 'a' x 64, 't=' . '9' x 13 . ',v1=' . 'a' x 64) {
    refused "malformed \"$header\"", 'signature_malformed', $event,
        signature => $header;
}
refused 'two_signature_headers', 'signature_malformed', $event,
    headers => ['Stripe-Signature' => signature($event)];
refused 'another_secret', 'signature_mismatch', $event, secret => 'whsec_other';
refused 'the_secret_without_its_prefix', 'signature_mismatch', $event,
    secret => $Test::Entitle::Stripe::SECRET =~ s/^whsec_//r;
refused 'another_body', 'signature_mismatch', "$event ",
    signature => signature($event);
refused 'too_old', 'timestamp_out_of_tolerance', $event, time => $now - 400;
refused 'too_far_ahead', 'timestamp_out_of_tolerance', $event, time => $now + 400;
refused 'a_forged_old_one_is_a_mismatch', 'signature_mismatch', $event,
    time => $now - 400, secret => 'whsec_other';
refused 'stricter_where_told', 'timestamp_out_of_tolerance', $event,
    uri => '/strict', time => $now - 30;
refused 'not_json', 'body_not_json', 'Hello, nginx!';
refused 'no_body', 'body_not_json', '';
refused 'cut_json', 'body_not_json', substr $event, 0, 500;
refused 'nested_too_deep', 'body_not_json', '[' x 100_000;
refused 'json_but_no_event', 'not_an_event', $_
    for '{}', '{"id":"evt_1"}', '{"object":"charge","id":"ch_1"}';

# --- methods -----------------------------------------------------------------

for my $method (qw(GET HEAD PUT DELETE OPTIONS)) {
    my $answer = $site->webhook($event, method => $method);
    is $answer->status, 405, "$method is not how Stripe speaks";
    is $answer->header('Allow'), 'POST', '  and POST is';
}

# --- believed ----------------------------------------------------------------

my $applied = $site->webhook($event);
is $applied->status, 200, 'signed_by_stripe';
is_deeply $applied->json,
    { received => JSON::PP::true(), outcome => 'applied', unlocks => ['pro'] },
    'the answer says what it unlocks';
is $site->webhook($event, time => $now - 250)->json->{outcome}, 'duplicate',
    'an_older_signature_within_tolerance';
is $site->webhook($event, signature => 'v0=' . '0' x 64 . ', '
        . signature($event) . ',v1=' . 'b' x 64)->status,
    200, 'schemes_and_signatures_of_others_do_not_matter';

for my $case (['/rolled', 'whsec_the_old_one'], ['/rolled', 'whsec_the_new_one'],
    ['/two', $Test::Entitle::Stripe::SECRET], ['/two', 'whsec_the_new_one']) {
    my ($uri, $secret) = @$case;
    is $site->webhook($event, uri => $uri, secret => $secret)->json->{outcome},
        'duplicate', "$uri believes $secret";
}
refused 'secrets_of_one_location_are_not_those_of_another', 'signature_mismatch',
    $event, uri => '/rolled';

# --- signed, and yet not for us ----------------------------------------------

sub not_stored {
    my ($name, $status, $outcome, $body, %options) = @_;
    my $before = $site->redis->dump;
    my $answer = $site->webhook($body, %options);
    is $answer->status, $status, $name;
    is $answer->json->{outcome}, $outcome, "  $outcome";
    is $answer->json->{received}, JSON::PP::true(), '  received';
    my $hash = qr/^entitle:(?:test|live):webhook\n(?:  .*\n)*/m;
    is $site->redis->dump =~ s/$hash//gr, $before =~ s/$hash//gr,
        '  and nothing is stored';
}

not_stored 'a test event never opens production', 202, 'mode_mismatch', $event,
    uri => '/live';
not_stored 'a live event never reaches the test world', 202, 'mode_mismatch',
    fixture('edge/livemode_true.json');
my $connect = fixture('edge/connect_account.json');
my ($account) = $connect =~ /"account":\s*"(acct_\w+)"/;
not_stored 'an account nobody listed', 202, 'account_not_allowed', $connect;
not_stored 'a thin event', 200, 'ignored', fixture('edge/thin_event.json');
not_stored 'a type that changes nothing', 200, 'ignored',
    event_json('price.created');
like $site->log, qr/\[(?:warn|error)\].*mode/, 'the wrong mode is in the log';

is $site->webhook($connect =~ s/\Q$account\E/acct_other/gr, uri => '/connect')
    ->status, 202, 'a_listed_account_is_believed';
ok grep({ m{^entitle:test:\{p:acct_other/cus_} } $site->redis->keys),
    'and its customers are its own';

# --- what is left behind -----------------------------------------------------

my $log = $site->log . $site->read_file('logs/events.log');
unlike $log, qr/whsec_/,              'no secret in any log';
unlike $log, qr/user42\@example|FortyTwo/, 'no body in any log';
my ($id) = $event =~ /"id":"(evt_test\w+)"/;
like $site->read_file('logs/events.log'),
    qr{^/webhook 200 \Q$id\E customer\.subscription\.created cus_\w+ applied$}m,
    'variables_for_the_access_log';
like $site->log, qr/\Q$id\E/, 'the event id is in error.log';

$site->expect_log(qr/entitle/);
done_testing;
