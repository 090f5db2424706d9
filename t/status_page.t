# The page of entitle_status: what it says to whom, that nothing of what came from
# outside is anything but text in it, and what a browser makes of it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Chromium;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_grant pro prod_FxPRO000001 metadata.plan=<b>;
%%SESSIONS%%
%%ASKED%%
server {
    server_name one.example;
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /status { entitle_status; }
    location /pro/ { entitle_require pro; }
    location /dry/ { entitle_require pro; entitle_dry_run on; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    entitle_redis_prefix shop:;
    entitle_grace 1h;
    entitle_refund keep;
    location = /status { entitle_status; }
}
EOT
my @person = (Accept => 'text/html,application/xhtml+xml,*/*;q=0.8');
sub page { return $site->get('/status', @person) }

# --- for whom ------------------------------------------------------------------------

my $page = page();
is $page->status, 200, 'a browser gets a page';
like $page->header('Content-Type'), qr{^text/html; charset=utf-8$}, '  of HTML';
is $page->header('Cache-Control'), 'no-store', '  of this moment';
my $policy = $page->header('Content-Security-Policy') // '';
like $policy, qr/^default-src 'none'; style-src 'sha256-[\w+\/]{43}=';/, '  that may do nothing but look well';
is $page->header('X-Content-Type-Options'), 'nosniff', '  and is nothing else';
is $site->get('/status?format=json', @person)->header('Content-Type'), 'application/json', 'JSON for who says so';
is $site->get('/status')->header('Content-Type'), 'application/json', '  or nothing';
like $page->header('Vary'), qr/Accept/, 'and nobody takes one for the other';
unlike $page->body, qr/<script|javascript:|\son\w+=|https?:/i, 'no_script_and_nothing_from_elsewhere';

# --- what it says -----------------------------------------------------------------------

like $page->body, qr{<h1 class="warn">Nobody who paid is kept waiting. Dry run: 1 location lets everybody by.</h1>}, 'one sentence first';
like $page->body, qr{<code>metadata\.plan=&lt;b&gt;</code>}, 'grants, escaped';
$site->get('/pro/x') for 1 .. 3;
my $event = event_json('customer.subscription.created.active', 'data.object.metadata' => {});
is $site->webhook($event)->json->{outcome}, 'parked', 'somebody pays whom nobody knows';
my $now = time;
$redis->command('ZADD', 'entitle:test:parked', $now - 14 * 60, ($redis->command('ZRANGE', 'entitle:test:parked', 0, 0))->[0]);
$redis->command('ZADD', 'entitle:test:parked', $now - 60, 'cus_<script>');
$redis->command('HSET', 'entitle:test:webhook', last_refused => $now - 7200, last_refused_why => '<img src=x onerror=alert(1)>');
$redis->command('SET', 'entitle:test:reconcile', '{"time":' . ($now - 3600) . ',"finished":true,"counts":{"missing":2,"stale":0}}');
$page = page();
like $page->body, qr{>2 customers paid and are not in; the oldest for 14 minutes\.}, 'who paid and is not in';
like $page->body, qr{entitlectl parked --mode test}, '  with what to type';
like $page->body, qr{2 hours ago .*&lt;img src=x}, 'why something was refused, as text';
like $page->body, qr{Last reconcile</dt><dd>60 minutes ago .*: 2 missing}, 'what was compared with Stripe';
unlike $page->body, qr/<img|<script/, 'nothing_from_outside_is_more_than_text';
like $page->body, qr{<tr><td>\d\d-\d\d \d\d:00</td><td>0</td><td>3</td><td>0</td><td>0</td></tr>}, 'decisions by the hour';

# --- JSON ---------------------------------------------------------------------------------

my $json = $site->get('/status')->json;
is $json->{well}, JSON::PP::true(), 'the same as JSON';
like $json->{says}, qr/2 customers paid/, '  with the sentence';
is $json->{gates}{decisions}{login}, 3, '  what was decided';
is $json->{gates}{hours}[0]{login}, 3, '  this hour';
is $json->{gates}{dry_runs}, 1, '  who is let by';
my ($space) = grep { $_->{prefix} eq 'entitle:' && $_->{mode} eq 'test' } @{ $json->{spaces} };
is $space->{reconcile}{counts}{missing}, 2, '  what was compared';
my ($one, $two) = @{ $json->{configuration}{servers} };
is $one->{server}, 'one.example', 'each server';
is_deeply $one->{grants}, { pro => ['metadata.plan=<b>', 'prod_FxPRO000001'] }, '  what it grants';
is_deeply [@$one{qw(mode grace past_due_grace refund dispute pause_collection)}],
    ['test', 72 * 3600, 7 * 86400, 'revoke', 'revoke', 'keep'], '  and how long';
is_deeply [@$two{qw(prefix grace refund)}], ['shop:', 3600, 'keep'], '  another otherwise';
like $_->{fingerprint}, qr/^[0-9a-f]{32}$/, '  with a fingerprint' for $one, $two;
isnt $one->{fingerprint}, $two->{fingerprint}, '  of its own';
cmp_ok abs($json->{configuration}{loaded} - time), '<', 60, '  and when it was read';
my $before = $one->{fingerprint};
my $conf = $site->read_file('nginx.conf');
$site->write_file('nginx.conf', $conf =~ s/entitle_grant pro/entitle_grant gold price_1;\nentitle_grant pro/r);
is $site->get('/status')->json->{configuration}{servers}[0]{fingerprint}, $before, 'what is edited and not reloaded does not count';
$site->reload;
isnt $site->get('/status')->json->{configuration}{servers}[0]{fingerprint}, $before, '  and what is reloaded does';

# --- the search ------------------------------------------------------------------------------

sub looked { my ($text, @more) = @_; return $site->get('/status?q=' . $text . join('', @more), @person)->body }
is $site->webhook(event_json('customer.subscription.created.active', user => 'ada lovelace', customer => 'S',
    id => 'evt_1FxSearch000000000000'))->json->{outcome}, 'applied', 'somebody buys';
for my $text ('ada+lovelace', 'u%3Aada%20lovelace', 'evt_1FxSearch000000000000') {
    like looked($text), qr{<h2>User &quot;ada lovelace&quot; holds pro\.</h2>}, "$text: is in";
}
like looked('ada+lovelace'), qr{effective until.*gives pro}s, '  by what';
like looked('ada+lovelace'), qr{entitlectl why --mode test &#39;ada lovelace&#39;}, '  and what tells more';
like looked('ada+lovelace', '&in=0'), qr{Nothing is known of &quot;ada lovelace&quot;}, '  only where it was bought';
like looked('nobody'), qr{Nothing is known of &quot;nobody&quot;}, 'who is not there';
for my $evil ('%3Cscript%3Ealert(1)%3C/script%3E', '%22%3E%3Cimg%20src=x%3E', 'a%00b', 'a%0d%0ab', '%ff%fe', '%', 'x' x 2000) {
    my $body = looked($evil);
    like $body, qr{</html>}, 'whatever is asked for';
    unlike $body, qr{<script|<img|\xff|\0}, '  is text at most';
}
is $site->get('/status?q=ada', Accept => 'application/json')->header('Content-Type'), 'application/json', 'only on the page';

# --- in a browser -------------------------------------------------------------------------------

{
    my $browser = Test::Entitle::Chromium->new($site, size => '390,844');
    $browser->open('http://127.0.0.1:' . $site->port . '/status');
    is $browser->script('return getComputedStyle(document.querySelector("section")).borderRadius'), '8px',
        'the policy lets its own style in';
    is $browser->script('return document.documentElement.scrollWidth <= window.innerWidth'), JSON::PP::true(),
        'nothing sticks out on a phone';
    $browser->open('http://127.0.0.1:' . $site->port . '/status?q=ada+lovelace&in=1');
    like $browser->text, qr/User "ada lovelace" holds pro/, 'and the search is shown';
    $browser->stop;
}

# --- unwell ---------------------------------------------------------------------------------

$site->expect_log(qr/redis/i);
$redis->stop;
$page = page();
is $page->status, 503, 'who is unwell says so by the status';
like $page->body, qr{<h1 class="bad">Redis cannot be reached}, '  and in words';

done_testing;
