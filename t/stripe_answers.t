# Who answers a question to Stripe need not be Stripe: nginx itself, by a `return`
# that was meant for others or a limit, a firewall with a page, a cache. Only what
# Stripe itself refuses is refused; all else is 503 and said, so that nobody who
# paid is put aside for good. And however nginx is told to pass answers on, they come.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::FakeStripe;

my $site  = Test::Entitle->new;
my $redis = $site->redis;

my %list = map { ("/v1/checkout/sessions/$_/line_items" =>
    [{ id => 'li_1', price => { id => 'price_pro', product => 'prod_pro' } }]) }
    qw(cs_plain cs_gone cs_paid cs_cached cs_hinted);

sub http {
    my ($status, $body, @headers) = @_;
    return join "\r\n", "HTTP/1.1 $status", "Content-Length: @{[length $body]}", @headers, '', $body;
}
my $refusal = '{"error":{"type":"invalid_request_error","message":"no"}}';
my %raw = (
    cs_moved    => http('301 Moved', '', 'Location: https://elsewhere.example/'),
    cs_found    => http('302 Found', $refusal, 'Location: /stripe/v1/balance'),
    cs_empty    => http('204 No Content', ''),
    cs_part     => http('206 Partial Content', '{"object":"list","data":[],"has_more":false}'),
    cs_same     => http('304 Not Modified', ''),
    cs_continue => http('100 Continue', ''),
    cs_firewall => http('403 Forbidden', '<html><title>Attention!', 'Content-Type: text/html'),
    cs_lost     => http('404 Not Found', '<html>nothing here'),
    cs_spa      => http('200 OK', '<!doctype html><div id=root>', 'Content-Type: text/html'),
    cs_json     => http('200 OK', '{"data":[],"has_more":false}'),
    cs_zip      => http('200 OK', 'xxxx', 'Content-Encoding: gzip'),
    cs_huge     => http('200 OK', ' ' x (5 << 20)),
    cs_cut      => "HTTP/1.1 403 Forbidden\r\nContent-Length: 900\r\n\r\n$refusal",
);
my $stripe = Test::Entitle::FakeStripe->new($site,
    lists  => \%list,
    faults => { (map { $_ => { raw => $raw{$_} } } keys %raw),
        cs_hinted => { headers => ['X-Accel-Buffering' => 'no'] },
        cs_two    => { status => 403, message => "Having the 'rak_a_read' and 'rak_b_read' permissions" },
        cs_hang   => { hang => 1 } });

my $webhook = 'location = /webhook { entitle_webhook test; entitle_webhook_secret_file %%SECRET%%;'
    . ' entitle_stripe_request /stripe/; }';
# What is meant for visitors meets the question, too: it comes by http, and
# without the headers of the webhook.
my $rules = join "\n", map { "if (\$request_uri ~ cs_own_$_) { return $_; }" } qw(204 400 403 404 429 503);
$site->write_file('html/course', 'the course');
$site->start(<<"EOF");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro price_pro;
map \$http_x_user \$somebody { default \$http_x_user; }
entitle_trusted_user \$somebody;
proxy_cache_path %%DIR%%/cache keys_zone=kept:1m;
limit_req_zone x\$server_name zone=seldom:1m rate=1r/m;
server {
    listen 127.0.0.1:%%PORT%%;
    $rules
    if (\$request_uri ~ cs_own_301) { return 301 https://\$host\$request_uri; }
    @{[$stripe->location]}
    $webhook
    location = /course { entitle_require pro; }
}
server { listen 127.0.0.1:%%PORT2%%; $webhook @{[$stripe->location(undef, 'proxy_buffering off;')]} }
server { listen 127.0.0.1:%%PORT3%%; $webhook @{[$stripe->location(undef,
        'proxy_cache kept; proxy_cache_valid any 10m;')]} }
server { listen 127.0.0.1:%%PORT4%%; $webhook @{[$stripe->location(undef,
        'limit_req zone=seldom; limit_req_status 403;')]} }
server { listen 127.0.0.1:%%PORT5%%; $webhook @{[$stripe->location(undef,
        'proxy_intercept_errors on; error_page 403 404 =200 /page;')]}
    location = /page { return 200 '{"object":"list","data":[],"has_more":false}'; } }
EOF

my $n = 0;

sub session {
    my ($id, %change) = @_;
    $n++;
    return event_json('checkout.session.completed.payment', user => "u$n",
        'data.object.id'             => $id,
        'data.object.customer'       => "cus_$n",
        'data.object.payment_intent' => "pi_$n",
        'data.object.payment_link'   => undef,
        'data.object.metadata'       => {},
        'data.object.client_reference_id' => "u$n", %change);
}

sub post {
    my ($event, $port) = @_;
    return $site->request(port => $site->port($port), method => 'POST', uri => '/webhook',
        body => $event, headers => ['Stripe-Signature' => signature($event)]);
}

sub waits {
    my ($id, $said, $name, $port) = @_;
    my $answer = post(session($id), $port);
    is $answer->status, 503, $name or diag $answer->body;
    is $redis->command('EXISTS', "entitle:test:{u:u$n}"), 0, '  nothing is stored';
    like $site->log, qr/not_stored: $said/, '  and it is said';
    return;
}

sub opens {
    my ($id, $name, $port) = @_;
    my $answer = post(session($id), $port);
    is_deeply $answer->json->{unlocks}, ['pro'], $name or diag $answer->body;
    return;
}

# --- nginx itself ----------------------------------------------------------------------

for my $status (204, 301, 400, 403, 404, 429, 503) {
    waits("cs_own_$status", "nginx itself answered with status $status, not Stripe: look at the location of "
            . '"entitle_stripe_request" and its server for "return", "if"', "a_return_$status\_is_nobodys_refusal");
}
opens('cs_plain', 'what no rule of the server meets opens');
opens('cs_plain', 'what a limit lets by opens', 4);
waits('cs_gone', 'nginx itself answered with status 403, not Stripe', 'a_limit_is_none', 4);
unlike $site->log, qr/nginx itself.*permission/, 'and no permission is named for it';

# --- others ----------------------------------------------------------------------------

my %status = (cs_moved => 301, cs_found => 302, cs_empty => 204, cs_part => 206, cs_same => 304,
    cs_continue => 100, cs_firewall => 403, cs_lost => 404, cs_spa => 200);
for my $id (grep { $_ ne 'cs_empty' } sort keys %status) {
    waits($id, "what answered with status $status{$id} is not Stripe", "$id\_is_no_answer_of_Stripes");
}
waits('cs_empty', '', 'nor is cs_empty');
like $site->log, qr/status 403 is not Stripe: the answer begins "<html><title>Attention!"/,
    'a_firewall_is_shown';
waits('cs_json', 'the answer is JSON, but no list of Stripe', 'nor is any JSON a list');
waits('cs_zip', 'Stripe\'s answer is compressed', 'one_that_is_compressed_is_said_to_be');
waits('cs_huge', 'Stripe\'s answer is too large \(over 4 MiB\)', 'one_that_is_too_large, too');
waits('cs_cut', 'Stripe\'s answer broke off', 'a refusal that breaks off is none');
waits('cs_hang', 'nginx itself answered with status 504, not Stripe: Stripe took longer than "proxy_connect_timeout"',
    'who_waited_in_vain_is_said_to_be_nginx');
waits('cs_two', 'what answered with status 403 is not Stripe', 'a page in the place of a refusal is none', 5);
is post(session('cs_two'))->json->{outcome}, 'unmatched', 'what Stripe refuses is refused';
like $site->log, qr/the key lacks the permissions rak_a_read and rak_b_read/, 'two_permissions_are_both_named';

# --- a cache ---------------------------------------------------------------------------

opens('cs_cached', 'the first answer is Stripe\'s', 3);
waits('cs_cached', 'the answer came from a cache, and may be out of date: say "proxy_cache off"',
    'what_a_cache_kept_is_nobodys_word', 3);

# --- however it is passed on -------------------------------------------------------------

opens('cs_plain',  'without_buffering_answers_come', 2);
opens('cs_hinted', 'or where Stripe\'s says so');

$site->expect_log(qr/not_stored: /, qr/is stored as it is: /, qr/upstream timed out/,
    qr/upstream prematurely closed/, qr/limiting requests/);
done_testing;
