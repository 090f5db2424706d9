# Whatever we respond ourselves arrives whole, and ends, where a client takes one
# byte at a time (HTTP/2 with a window of one byte).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;

my $site = Test::Entitle->new;
$site->write_file('html/page', 'the page');
put_record($site->redis, 'ada', version => 1, subscription('active'));
$site->start(<<'EOT2');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro prod_FxPRO000001;
map $arg_user $known { default $arg_user; }
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    entitle_trusted_user $known;
    entitle_session_key_file %%KEY%%;
    entitle_session_cookie entitle secure=off;
    %%WEBHOOK%%
    location = /status { entitle_status; }
    location = /page   { entitle_require pro; }
    location = /wait   { entitle_require pro; entitle_wait 100ms; }
    location = /poll   { entitle_require pro; entitle_poll 300ms; }
    location = /buy    { entitle on; entitle_redirect https://example.com/; }
    location = /logout { entitle_logout; }
}
EOT2

my $event = $site->dir . '/event';
my $body = event_json('customer.subscription.created.active', user => 'bob');
my $signature = signature($body);
$site->write_file('event', $body);

# Whether it ended, and all that was said.
sub slowly {
    my ($uri, @options) = @_;
    my $said = qx(timeout 20 nghttp -w1 @options 'http://127.0.0.1:${\$site->port(2)}$uri' 2>&1);
    return ($? == 0, $said);
}

for (
    ['entitle_status',          '/status',           qr/"spaces":\[.*\]\}/],
    ['a_refusal',               '/page?user=eve',    qr/"status":402.*\}/],
    ['the_page',                '/page?user=ada',    qr/the page/],
    ['a_refusal_after_a_wait',  '/wait?user=eve',    qr/"status":402.*\}/],
    ['a_poll_that_is_answered', '/poll?user=ada',    qr/^\{.*\}$/m],
    ['a_poll_that_ends',        '/poll?user=eve',    qr/:status: 20\d/, '-v'],
    ['a_stream_of_a_poll',      '/poll?user=ada',    qr/event: .*\n\n/s, "-H 'Accept: text/event-stream'"],
    ['a_redirect',              '/buy?user=ada',     qr/location: https:\/\/example\.com/, '-v'],
    ['a_logout',                '/logout?user=ada',  qr/:status: [23]0\d/, "-v -H ':method: POST'"],
    ['a_forged_webhook',        '/webhook',          qr/"error":"\w+"\}/, "-d $event"],
    ['a_webhook',               '/webhook',          qr/"outcome":"applied".*\}/,
        "-d $event -H 'Stripe-Signature: $signature'"],
) {
    my ($name, $uri, $whole, @options) = @$_;
    my ($ended, $said) = slowly($uri, @options);
    ok $ended, "${name}_ends";
    like $said, $whole, '  and arrives whole';
}
done_testing;
