# A browser that bought, and then somebody logs in with it: what it bought is the
# user's, and its id is worth nothing. By every way to know a user.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use JSON::PP ();
use Test::Entitle::Ctl;
use Test::Entitle::GateApp;
use Test::Entitle::Guest;
use Test::Entitle::Jwt qw(jwks);
use Time::HiRes qw(sleep);

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/course/1.html', 'the lesson');
$site->write_file('html/jwt/1.html', 'the lesson');
$site->write_file('html/sso/1.html', 'the lesson');
$site->write_file('html/pay.html', 'please pay');

# The app's cookie is app=<user>,<e-mail>; "anonymous" is a session of nobody.
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { body => JSON::PP::encode_json({ map { lc $_->[0] => $_->[1] } @{ $r->{headers} } }) } if $r->{uri} =~ m{^/echo};
    my ($user, $email) = split /,/, $r->{cookies}{app} // '';
    return { status => 500 } if ($user // '') eq 'broken';
    return { status => 401 } if !$user || $user eq 'anonymous';
    return { status => 204, headers => ['X-User' => $user, $email ? ('X-Email' => $email) : ()] };
});
my $port = $app->port;
my $hmac = Test::Entitle::Jwt->oct('0123456789abcdef' x 2);
$site->write_file('jwks.json', jwks($hmac->jwk(kid => 'k')));
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro metadata.plan=pro;
%%SESSIONS%%
map \$arg_sso \$sso { default \$arg_sso; }
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    %%REAUTH%%
    entitle_guest_user on;
    entitle_claim_email header=X-Email;
    error_page 402 /pay.html;
    location = /whoami { internal; proxy_pass http://127.0.0.1:$port/whoami; }
    location = /buy { entitle_redirect https://buy.stripe.com/x?client_reference_id=\$entitle_client_reference_id; }
    location /course/ { entitle_require pro; add_header X-Who "\$entitle_user \$entitle_reason" always; }
    location /echo { entitle optional; proxy_pass http://127.0.0.1:$port/echo; }
    location /sso/ { entitle_trusted_user \$sso; entitle_require pro; add_header X-Who "\$entitle_user" always; }
    location /jwt/ { entitle_reauth off; entitle_jwt \$http_authorization; entitle_jwt_key_file %%DIR%%/jwks.json;
        entitle_require pro; add_header X-Who "\$entitle_user \$entitle_reason" always; }
    location = /logout { entitle_logout; return 200 bye; }
}
EOT

my $ctl  = Test::Entitle::Ctl->new;
my @conf = ('--config', "$site->{dir}/nginx.conf");
my $answer;

sub lesson { my ($browser, $uri) = @_; return $browser->get($uri // '/course/1.html') }
sub guest { my ($browser) = @_; return $browser->cookies->{'entitle-guest'} }
sub buyer {
    my $browser = $site->browser;
    my $reference = reference_of($browser->get('/buy'));
    is $site->webhook(bought($reference, @_))->json->{outcome}, 'applied', 'a browser buys';
    is lesson($browser)->status, 200, '  and is in';
    return ($browser, user_of($reference));
}
sub record { return $redis->hgetall("entitle:test:{u:$_[0]}") }
sub holds { return grep { /^source:/ } keys %{ record($_[0]) } }
sub with_cookie { my ($cookie) = @_;
    return $site->get('/course/1.html', Accept => 'text/html', Cookie => "entitle-guest=$cookie") }

# --- the login -------------------------------------------------------------------

my ($browser, $id) = buyer();
my $stolen = guest($browser);
$browser->cookies->{app} = 'anonymous';
is lesson($browser)->status, 200, 'an_app_that_knows_nobody_changes_nothing';
is guest($browser), $stolen, '  and takes nothing';
$browser->cookies->{app} = 'broken';
is lesson($browser)->status, 503, 'one_that_fails_opens_nothing';
$browser->cookies->{app} = 'ada';
$answer = lesson($browser);
is $answer->status, 200, 'who_logs_in_has_what_the_browser_bought';
is $answer->header('X-Who'), 'ada ok', '  as the user';
is guest($browser), undef, 'and_the_id_is_cleared';
like $answer->header('Cache-Control'), qr/no-store/, '  on an answer that nobody keeps';
is scalar(my @none = holds($id)), 0, 'nothing is left of it';
is scalar(my @one = grep { !/pi_/ } holds('ada')), 1, 'it is in the user\'s record';
like $site->log, qr/\[notice\].*"cs_guest\d+", which the browser "\Q$id\E" bought, is user "ada"'s/, 'and the log says so';
like "@{ $redis->command('LRANGE', 'entitle:test:{u:ada}:log', 0, 0) }", qr/"type":"hand_over"/, 'and the record\'s';
is with_cookie($stolen)->status, 402, 'the_id_is_worth_nothing_afterwards';

$app->forget;
is lesson($browser)->status, 200, 'and so it stays' for 1 .. 3;
is scalar(@none = $app->seen), 0, 'without_another_question';
my $phone = $site->browser;
$phone->cookies->{app} = 'ada';
is lesson($phone)->status, 200, 'on_another_device_too';
delete $browser->cookies->{$_} for qw(app entitle);
is lesson($browser)->status, 402, 'and_not_for_who_comes_to_the_browser_after_the_logout';

my $eve = $site->browser;
$eve->cookies->{$_->[0]} = $_->[1] for ['app', 'eve'], ['entitle-guest', $stolen];
is lesson($eve)->status, 402, 'a_second_user_gets_nothing_by_the_same_id';
is lesson($phone)->status, 200, '  and the first keeps it';
is guest($eve), $stolen, '  (an id that holds nothing is left alone)';

# Stripe says it again, and takes it back.
my ($late, $lates) = buyer('data.object.payment_intent' => 'pi_late', 'data.object.id' => 'cs_late', id => 'evt_late');
$late->cookies->{app} = 'bea';
is lesson($late)->status, 200, 'bea is in';
$site->webhook(bought('guest:none', 'data.object.client_reference_id' => $lates, id => 'evt_late2',
    'data.object.id' => 'cs_late', 'data.object.payment_intent' => 'pi_late'));
is lesson($late)->status, 200, 'an_event_that_comes_again_takes_nothing_from_her';
$site->webhook(event_json('charge.refunded.full', 'data.object.payment_intent' => 'pi_late',
    'data.object.customer' => undef, id => 'evt_late_refund'));
is lesson($late)->status, 402, 'a_refund_does';

# The webhook comes after the login.
my $slow = $site->browser;
my $reference = reference_of($slow->get('/buy'));
$slow->cookies->{app} = 'cid';
is lesson($slow)->status, 402, 'who logs in between checkout and webhook';
ok guest($slow), '  keeps the id';
$site->webhook(bought($reference));
ok wait_until(sub { lesson($slow)->status == 200 }), '  and_has_it_when_the_webhook_comes';
is lesson($slow)->header('X-Who'), 'cid ok', '  as the user';
is guest($slow), undef, '  and the id goes';

# Many requests of one page.
my ($many) = buyer();
my $line = "app=dan; entitle-guest=" . guest($many);
my @open = map { my $c = $site->connect; $c->send(uri => '/course/1.html', headers => [Cookie => $line]); $c } 1 .. 20;
is join(',', map { $_->receive->status } @open), join(',', (200) x 20), 'all_requests_of_a_page_are_in';
is with_cookie(guest($many))->status, 402, 'and the id is worth nothing';

# --- beside the other ways -----------------------------------------------------------

my ($sso) = buyer();
$answer = lesson($sso, '/sso/1.html?sso=fay');
is $answer->status, 200, 'a_trusted_user_has_it';
is $answer->header('X-Who'), 'fay', '  as the user';
is guest($sso), undef, '  and the id goes';
is lesson($site->browser, '/sso/1.html?sso=fay')->status, 200, 'everywhere';

sub bearer { my ($sub, %more) = @_; return 'Bearer ' . $hmac->token({ sub => $sub, exp => time + 60, %more }, header => { kid => 'k' }) }
my ($jwt, $jwts) = buyer();
is lesson($jwt, '/jwt/1.html')->status, 200, 'a browser without a token';
$answer = $jwt->get('/jwt/1.html', Authorization => bearer('kim'));
is $answer->status, 200, 'a_token_has_it';
is $answer->header('X-Who'), 'kim ok', '  as its user';
is guest($jwt), undef, '  and the id goes';
is $site->get('/jwt/1.html', Authorization => bearer('kim'))->status, 200, 'everywhere';
$answer = $site->get('/jwt/1.html', Authorization => bearer('kim', exp => time - 60));
is $answer->status, 401, 'a_token_that_does_not_count_is_401_as_ever';
is $site->get('/jwt/1.html')->status, 402, 'who shows none is asked to pay';

# --- nobody takes a browser's name -------------------------------------------------------

my ($gil, $gils) = buyer();
$answer = $site->get('/course/1.html', Accept => 'text/html', Cookie => "app=$gils");
is $answer->status, 503, 'an_app_that_names_a_browser_is_not_believed';
is lesson($site->browser, "/sso/1.html?sso=$gils")->status, 402, 'nor a trusted variable that does';
is $site->get('/jwt/1.html', Authorization => bearer($gils))->status, 401, 'nor a token that does';
$site->expect_log(qr/"\Q$gils\E" is a browser's own id, which nobody else may name/);
is lesson($gil)->status, 200, '  and the browser is in still';

$site->expect_log(qr/re-authentication "\/whoami" answered an error \(status 500\)/);

# --- what the app is told -----------------------------------------------------------------

$answer = $gil->get('/echo');
my %told = %{ $answer->json };
is $told{'x-entitle-user'}, $gils, 'an_app_is_told_which_browser';
is $told{'x-entitle-entitlements'}, 'pro', '  and what it holds';
$answer = $site->browser->get('/echo');
%told = %{ $answer->json };
is $told{'x-entitle-user'}, undef, 'of_whom_nobody_knows_nothing';
$app->forget;
$gil->get('/course/1.html');
is scalar(@none = $app->seen('/whoami')), 0, 'our_cookie_is_nothing_to_ask_the_app_about';

# --- the cookies are cleared ----------------------------------------------------------------

my ($lost, $losts) = buyer('data.object.customer_details.email' => 'Hal@Example.com', 'data.object.id' => 'cs_hal');
%{ $lost->cookies } = ();
is lesson($lost)->status, 402, 'who_clears_the_cookies_is_out';
my $said = $ctl->run('why', 'hal@example.com', @conf);
like $said->{out}, qr/\Q$losts\E/, 'why_of_the_e-mail_of_the_payment_finds_the_browser' or diag $said->{out}, $said->{err};
like $said->{out}, qr/cs_hal/, '  and the purchase';

# To the browser as it is now: it shows who it is once it goes to buy.
my $now = user_of(reference_of($lost->get('/buy')));
isnt $now, $losts, 'it has another id now';
$said = $ctl->run('link', 'cs_hal', $now, '--move', '--yes', '--by', 'olga', '--reason', 'cookies cleared', @conf);
is $said->{exit}, 0, 'an_operator_links_it' or diag $said->{err};
is lesson($lost)->status, 200, 'and_the_browser_is_in_again';
$lost->cookies->{app} = 'hal';
is lesson($lost)->status, 200, 'what_was_linked_is_handed_over_too';
is guest($lost), undef, '  and the id goes';

# To a user.
my ($away, $aways) = buyer('data.object.customer_details.email' => 'ivy@example.com', 'data.object.id' => 'cs_ivy');
$said = $ctl->run('link', 'cs_ivy', 'ivy', '--move', '--yes', '--by', 'olga', '--reason', 'new phone', @conf);
is $said->{exit}, 0, 'an operator links another' or diag $said->{err};
my $ivy = $site->browser;
$ivy->cookies->{app} = 'ivy';
is lesson($ivy)->status, 200, 'to_a_user';
is lesson($away)->status, 402, '  who_has_it_alone';

# --- logging out ---------------------------------------------------------------------------------

my ($out) = buyer();
$out->get('/logout');
is lesson($out)->status, 402, 'logout_is_for_the_browser_too';

done_testing;
