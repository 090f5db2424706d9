# entitle_guest_user: a browser that bought is in, with no app and no account.
# Nobody else is, whatever they send; who never buys costs nothing in Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;
use Test::Entitle::Guest;
use Test::Entitle::H2;
use Time::HiRes qw(sleep time);

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/course/1.html', 'the lesson');
$site->write_file('html/pay.html', 'please pay');
$site->write_file('html/film', 'f' x 100_000);
$site->write_file('html/welcome.html', 'welcome');
my $pay = 'https://buy.stripe.com/test?client_reference_id=';

sub configuration {
    my (%o) = @_;
    my $keys = $o{keys} // '%%KEY%%';
    my $more = $o{more} // '';
    return <<"EOT";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro metadata.plan=pro price_Pro;
entitle_session_key_file $keys;
entitle_session_cookie entitle secure=off;
entitle_session_scope tests;
log_format who '\$request_uri \$status user=\$entitle_user \$entitle_decision/\$entitle_reason';
access_log %%DIR%%/logs/who.log who;
entitle_guest_user on;
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    %%WEBHOOK%%
    error_page 402 /pay.html;
    location = /buy     { entitle_redirect $pay\$entitle_client_reference_id; }
    location = /welcome { entitle_require pro; entitle_wait 10s if=\$arg_paid; try_files /welcome.html =404; }
    location /course/   { entitle_require pro; }
    location = /film    { entitle_live on; entitle_require pro; limit_rate 1k; try_files /film =404; }
    location = /trial   { entitle_dry_run on; entitle_require pro; try_files /course/1.html =404; }
    location = /poll    { entitle_require pro; entitle_poll 2s; }
    location = /forget  { entitle_logout; return 200 forgotten; }
    location = /lost    { entitle_redirect /lost.html?browser=\$entitle_user&reference=\$entitle_client_reference_id; }
    location = /short   { entitle_guest_user on lifetime=10s; entitle_require pro; try_files /course/1.html =404; }
    location = /down    { entitle_redis_down allow; entitle_stale 0s; entitle_require pro; try_files /course/1.html =404; }
    location = /off     { entitle_guest_user off; entitle_trusted_user \$nobody; entitle_require pro; }
    $more
}
map \$request_method \$nobody { default ''; }
EOT
}
$site->start(configuration());

sub lesson { my ($browser, @headers) = @_; return $browser->get('/course/1.html', @headers) }
sub with { my ($cookie, $uri, @headers) = @_;
    return $site->get($uri // '/course/1.html', Accept => 'text/html', Cookie => $cookie, @headers) }
sub cookie_line { my ($browser) = @_;
    return join '; ', map { "$_=$browser->{cookies}{$_}" } keys %{ $browser->cookies } }

# A browser that has bought, and its reference.
sub buyer {
    my $browser = $site->browser;
    my $reference = reference_of($browser->get('/buy'));
    is $site->webhook(bought($reference, @_))->json->{outcome}, 'applied', 'a browser buys';
    return ($browser, $reference);
}

# --- the way ---------------------------------------------------------------------

my $ada = $site->browser;
my $answer = lesson($ada);
is $answer->status, 402, 'whom_nobody_knows_is_asked_to_pay';
is $answer->body, 'please pay', 'by the page for it';
is_deeply [$answer->header_all('Set-Cookie')], [], 'who_only_looks_gets_no_cookie';
is $site->get('/course/1.html')->status, 402, 'a program, too';
is_deeply $site->get('/course/1.html')->json->{missing}, ['pro'], 'is told what is missing';

$answer = $ada->get('/buy');
is $answer->status, 303, 'the_buy_button_leads_to_the_checkout';
my $reference = reference_of($answer);
my $user = user_of($reference);
like $user, qr/^guest:[\w-]{22}$/, 'carrying_an_id_of_this_browser' or diag $answer->header('Location');
my ($cookie) = $answer->header_all('Set-Cookie');
like $cookie, qr/^entitle-guest=1\.[\w.-]+; Max-Age=34560000; Path=\/; HttpOnly; SameSite=Lax$/,
    'in a cookie of its own, for 400 days' or diag $cookie;
like $answer->header('Cache-Control'), qr/no-store/, 'which_nobody_keeps';
$answer = $ada->get('/buy');
is reference_of($answer), $reference, 'the_button_pressed_again_carries_the_same_id';
is_deeply [$answer->header_all('Set-Cookie')], [], '  without a new cookie';
is lesson($ada)->status, 402, 'who_has_not_paid_is_out';

# The checkout leads back before the webhook comes.
my $waiting = $site->connect;
$waiting->send(uri => '/welcome?paid=1', headers => [Accept => 'text/html', Cookie => cookie_line($ada)]);
sleep 0.4;
ok !$waiting->readable(0), 'the_welcome_page_is_held';
$answer = $site->webhook(bought($reference));
is $answer->json->{outcome}, 'applied', 'the webhook comes';
is_deeply $answer->json->{unlocks}, ['pro'], 'and opens';
$answer = $waiting->receive;
is $answer->status, 200, 'the_held_page_opens';
is $answer->body, 'welcome', '  and is the page';
for (1 .. 3) {
    $answer = lesson($ada);
    is $answer->status, 200, 'the_browser_is_in';
    is_deeply [$answer->header_all('Set-Cookie')], [], 'with nothing to renew';
    like $answer->header('Cache-Control'), qr/private/, 'and no proxy keeps it';
}
like $site->read_file('logs/who.log'), qr{/course/1\.html 200 user=\Q$user\E allow/ok}, 'the log says who';
is $ada->get('/poll')->status, 200, 'entitle_poll knows the browser';
is $site->get('/poll')->status, 401, 'and_does_not_hold_whom_it_does_not';
is $ada->get('/off')->status, 401, 'off_is_off';

my $before = time;
$answer = $site->get('/welcome?paid=1', Accept => 'text/html');
is $answer->status, 402, 'who_comes_back_without_a_cookie';
cmp_ok time - $before, '<', 3, '  is_not_held_in_vain';
like $site->log, qr/\[warn\].*a browser without an id came from the checkout: .*entitlectl why .*E-MAIL/,
    '  and_the_operator_is_told';

# --- the same over HTTP/2 ------------------------------------------------------------

my $h2 = Test::Entitle::H2->new(port => $site->port(2));
my %stream = (in => $h2->get('/course/1.html', cookie => cookie_line($ada)), out => $h2->get('/course/1.html'));
$h2->wait_for($stream{$_}, 'over') for qw(in out);
is $h2->data($stream{in}), length 'the lesson', 'in over HTTP/2';
cmp_ok $h2->data($stream{out}), '>', 100, 'and out, with problem JSON';
$h2->leave;

# --- what it costs in Redis -------------------------------------------------------------

# Workers ask Redis how it is, now and then.
sub about_users { return grep { /guest:|%67uest|\{u:|\{p:/ } @_ }
my $monitor = $redis->monitor;
for (1 .. 30) {
    is $site->get('/course/1.html', 'User-Agent' => 'robot')->status, 402, 'a robot' if $_ == 1;
    $site->get($_) for '/course/1.html', '/welcome?paid=1', '/course/none.html';
    $site->get('/buy', 'User-Agent' => 'robot');
    with('entitle-guest=' . guest_token(id => guest_id(chr $_), key => 'x' x 32));
    with("entitle-guest=1.$_");
}
my @seen = about_users($monitor->stop);
is scalar @seen, 0, 'robots_and_who_never_buy_cost_nothing_in_Redis' or diag "@seen[0..2]";
$monitor = $redis->monitor;
my $bea = $site->browser;
$bea->get('/buy');
$bea->get('/course/1.html') for 1 .. 20;
@seen = about_users($monitor->stop);
cmp_ok scalar @seen, '<=', 1, 'who_was_at_the_checkout_and_did_not_buy_costs_one_read' or diag @seen;
like "@seen", qr/HGETALL/, '  which is a read';

# --- nobody else is in ---------------------------------------------------------------------

my ($id) = $user =~ /^guest:(.*)$/;
my ($token) = $ada->cookies->{'entitle-guest'};
is with("entitle-guest=$token")->status, 200, 'the cookie opens';
for (
    ['another_name',        "entitle=$token"],
    ['the_id',              "entitle-guest=$id"],
    ['the_user',            "entitle-guest=$user"],
    ['the_reference',       "entitle-guest=$reference"],
    ['the_reference_there', "entitle=$reference"],
    ['without_signature',   "entitle-guest=1.$id." . time],
    ['signed_by_another_key', 'entitle-guest=' . guest_token(id => $id, key => 'y' x 32)],
    ['of_another_site',     'entitle-guest=' . guest_token(id => $id, scope => 'server:evil')],
    ['of_the_future',       'entitle-guest=' . guest_token(id => $id, iat => time + 3600)],
    ['over',                'entitle-guest=' . guest_token(id => $id, iat => time - 401 * 86400)],
    ['cut',                 'entitle-guest=' . substr($token, 0, -1)],
    ['longer',              "entitle-guest=${token}A"],
    ['a_session_of_the_id', 'entitle=' . session(user => $user)],
    ['a_session_there',     'entitle-guest=' . session(user => $user)],
    ['two_in_one',          "entitle-guest=$token$token"],
    ['quoted',              qq{entitle-guest="$token"}],
) {
    my ($name, $cookie) = @$_;
    is with($cookie)->status, 402, "$name opens nothing";
}
for my $uri ("/course/1.html?entitle-guest=$token", "/course/1.html?client_reference_id=$reference",
    "/course/1.html;entitle-guest=$token") {
    isnt $site->get($uri)->status, 200, 'an_id_in_a_link_opens_nothing';
}
is $site->get('/course/1.html', 'X-Entitle-User' => $user)->status, 402, 'nor in a header';
is $site->get('/course/1.html', Authorization => "Bearer $token")->status, 402, 'nor as a token';
is with("entitle-guest=$token; entitle-guest=garbage")->status, 200, 'garbage_beside_it_does_no_harm';
is with('entitle-guest=' . guest_token(id => $id) . "; entitle-guest=$token")->status, 200,
    'nor does an older cookie of the same id';

# The id of somebody else, planted beside one's own by a neighbour of the domain.
my $planted = guest_token(id => guest_id('e'));
for my $line ("entitle-guest=$planted; entitle-guest=$token", "entitle-guest=$token; entitle-guest=$planted") {
    is with($line)->status, 402, 'of_two_ids_none_counts';
    $answer = with($line, '/buy');
    is $answer->status, 500, 'and_nobody_is_sent_to_buy_for_the_other';
    unlike $answer->header('Location') // '', qr/client_reference_id/, '  by either name';
}
like $site->log, qr/\[warn\].*cookies carry ids of two browsers: none counts/, 'the log says so';

# Another site's page sends a form: the browser sends no cookie along, and must not
# be given another one for it.
for (
    ['another_site',    403 => 'Sec-Fetch-Site' => 'cross-site', Origin => 'https://evil.example'],
    ['without_fetch_metadata', 403 => Origin => 'https://evil.example'],
    ['its_own_page',    303 => 'Sec-Fetch-Site' => 'same-origin'],
) {
    my ($name, $status, @headers) = @$_;
    $answer = $site->request(method => 'POST', uri => '/buy', body => 'a=b',
        headers => ['Content-Type' => 'application/x-www-form-urlencoded', @headers]);
    is $answer->status, $status, "a form of $name";
    is scalar(my @none = $answer->header_all('Set-Cookie')), $status == 303 ? 1 : 0,
        $status == 303 ? '  gets an id' : '  gets_no_id';
}
is $site->request(method => 'POST', uri => '/buy', body => 'a=b', headers => [Cookie => "entitle-guest=$token",
    'Sec-Fetch-Site' => 'cross-site'])->status, 303, 'who sends its id with it is named';

# --- ids are of one browser each -------------------------------------------------------------

my %ids;
$ids{ user_of(reference_of($site->get('/buy'))) }++ for 1 .. 50;
is scalar(keys %ids), 50, 'no_two_browsers_share_an_id';
my $plain = bought('guest:' . guest_id('v'));
is $site->webhook($plain)->json->{outcome}, 'applied', 'anybody_may_buy_for_an_id';
is with('entitle-guest=' . guest_token(id => guest_id('v')))->status, 200, '  which opens it to who has it';

# --- in for as long as the purchase holds --------------------------------------------------------

my $old = guest_token(id => $id, iat => time - 100 * 86400);
my $carl = $site->browser;
$carl->cookies->{'entitle-guest'} = $old;
$answer = lesson($carl);
is $answer->status, 200, 'after_a_hundred_days';
isnt $carl->cookies->{'entitle-guest'}, $old, 'the_cookie_is_renewed';
like join(' ', $answer->header_all('Set-Cookie')), qr/Max-Age=34560000/, '  for 400 days more';
like $answer->header('Cache-Control'), qr/no-store/, '  on an answer that nobody keeps';
$answer = lesson($carl);
is $answer->status, 200, 'the new one opens';
is_deeply [$answer->header_all('Set-Cookie')], [], '  and is not renewed at once';
$answer = with('entitle-guest=' . guest_token(id => guest_id('n'), iat => time - 100 * 86400));
is $answer->status, 402, 'who has nothing';
is_deeply [$answer->header_all('Set-Cookie')], [], '  has_nothing_renewed';
is with("entitle-guest=$old", '/short')->status, 402, 'a_shorter_lifetime_holds_at_once';

# --- keys are rotated, the configuration is loaded anew ------------------------------------------

my $next = 'fedcba9876543210' x 4;
$site->write_file('both', "$next\n" . '0123456789abcdef' x 4 . "\n");
$site->write_file('next', "$next\n");
$site->reload(configuration(keys => '%%DIR%%/both'));
$answer = lesson($ada);
is $answer->status, 200, 'the_old_key_verifies_still';
isnt $ada->cookies->{'entitle-guest'}, $token, 'and_the_id_is_signed_by_the_new_one';
is reference_of($ada->get('/buy')) eq $reference ? 1 : 0, 0, 'as is the reference';
is user_of(reference_of($ada->get('/buy'))), $user, '  of the same browser';
$site->reload(configuration(keys => '%%DIR%%/next'));
is lesson($ada)->status, 200, 'so_the_old_key_can_go';
is with("entitle-guest=$token")->status, 402, 'and what it signed with it';
is lesson($carl)->status, 402, 'also of who has not come by';
$site->reload(configuration());

# --- the end ------------------------------------------------------------------------------------

my ($dan, $dans) = buyer('data.object.payment_intent' => 'pi_dan', 'data.object.customer' => 'cus_dan');
is lesson($dan)->status, 200, 'dan is in';
my $refund = event_json('charge.refunded.full', 'data.object.payment_intent' => 'pi_dan',
    'data.object.customer' => 'cus_dan', id => 'evt_dan_refund');
$site->webhook($refund);
is lesson($dan)->status, 402, 'a_refund_ends_it_at_the_next_request';

# A cookie that got lost to a thief is called in.
my ($eve, $eves) = buyer();
is lesson($eve)->status, 200, 'eve is in';
my $name = user_of($eves);
$redis->command('HSET', "entitle:test:{u:$name}", 'not_before', int(time) + 2);
ok wait_until(sub { lesson($eve)->status == 402 }), 'not_before calls an id in';
isnt user_of(reference_of($eve->get('/buy'))), $name, 'the_browser_gets_a_new_one_when_it_buys_again';

my ($fay) = buyer();
is lesson($fay)->status, 200, 'fay is in';
$answer = $fay->get('/forget');
is $answer->status, 200, 'entitle_logout';
is_deeply [grep { /guest/ } keys %{ $fay->cookies }], [], 'forgets_the_browser';
is lesson($fay)->status, 402, 'which is out';

$answer = $site->browser->get('/lost');
like $answer->header('Location'), qr{/lost\.html\?browser=guest:[\w-]{22}&reference=ent1b-}, 'a page may show who this is';

# --- what is under way --------------------------------------------------------------------------------

sub film {
    my ($browser) = @_;
    my $film = $site->connect;
    $film->write("GET /film HTTP/1.1\r\nHost: localhost\r\nCookie: " . cookie_line($browser) . "\r\n\r\n");
    ok $film->readable(5), 'a film begins';
    return $film->{socket};
}
# Within two seconds, of the hundred that it would take.
sub ends {
    my ($socket) = @_;
    my $end = time + 2 * patience();
    while (time < $end) {
        vec(my $in = '', fileno $socket, 1) = 1;
        select($in, undef, undef, 0.1) or next;
        return 1 if !sysread $socket, my $bytes, 4096;
    }
    return 0;
}
my ($kim) = buyer('data.object.payment_intent' => 'pi_kim', 'data.object.customer' => 'cus_kim');
my $film = film($kim);
ok !ends($film), '  and goes on';
$site->webhook(event_json('charge.refunded.full', 'data.object.payment_intent' => 'pi_kim',
    'data.object.customer' => 'cus_kim', id => 'evt_kim_refund'));
ok ends($film), 'a_refund_ends_what_is_under_way';
my ($lea) = buyer();
$film = film($lea);
$lea->get('/forget');
ok ends($film), 'and_so_does_forgetting_the_browser';
is $site->get('/trial')->status, 200, 'a_dry_run_lets_everybody_by';

# --- Redis is away: nobody is let in who was not ------------------------------------------------------

my ($gil) = buyer();
is lesson($gil)->status, 200, 'gil is in';
$redis->freeze;
sleep 6;
is $site->get('/course/1.html')->status, 402, 'who_has_no_id_needs_no_Redis_to_be_asked_to_pay';
is with('entitle-guest=' . guest_token(id => guest_id('z')))->status, 503, 'who_has_one_is_told_that_it_cannot_be_told';
is with('entitle-guest=' . guest_token(id => guest_id('z')), '/down')->status, 503,
    'nor_is_he_let_in_by_entitle_redis_down_allow';
$redis->thaw;
ok wait_until(sub { lesson($gil)->status == 200 }), 'and_it_goes_on';
$site->expect_log(qr/entitle: .*(?:Redis|unreachable|timed out)/);
$site->expect_log(qr/client_reference_id is empty: nobody is sent to buy without a name/);

done_testing;
