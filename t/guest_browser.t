# A real Chromium buys, with no app and no account: the cookie it keeps, what it
# sends when it comes back from the checkout, which is another site, and what
# another site's page can make it do.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Chromium;
use Test::Entitle::Guest;
use Time::HiRes qw(sleep);

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file("html/$_->[0]", "<title>t</title><p>$_->[1]") for
    ['lessons/1.html', 'the lesson'], ['welcome.html', 'welcome aboard'],
    ['pay.html', 'please <a href="/buy">buy</a>'], ['favicon.ico', ''];

# The checkout, and whoever else has a page, are at another host.
my ($home, $other) = ('http://127.0.0.1:' . $site->port, 'http://127.0.0.2:' . $site->port(2));
$site->write_file('other/checkout.html', "<title>c</title><p>pay <a href='$home/welcome?paid=1'>done</a>");
$site->write_file('other/favicon.ico', '');
$site->write_file('other/form.html',
    "<title>f</title><form id=f method=post action='$home/buy'></form><script>f.submit()</script>");
$site->write_file('other/frame.html', "<title>r</title><iframe src='$home/buy'></iframe><img src='$home/buy'>");
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro metadata.plan=pro;
entitle_session_key_file %%KEY%%;
entitle_session_cookie entitle secure=off;
entitle_guest_user on;
types { text/html html; }
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    error_page 402 /pay.html;
    location = /buy     { entitle_redirect $other/checkout.html?client_reference_id=\$entitle_client_reference_id; }
    location = /welcome { entitle_require pro; entitle_wait 20s if=\$arg_paid; try_files /welcome.html =404; }
    location /lessons/  { entitle_require pro; }
}
server {
    listen 127.0.0.2:%%PORT2%%;
    root %%DIR%%/other;
}
EOT

my $browser = Test::Entitle::Chromium->new($site,
    options => ['--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE 127.0.0.2']);
sub guest { return (grep { $_->{name} eq 'entitle-guest' } $browser->cookies)[0] }

$browser->open("$home/lessons/1.html");
like $browser->text, qr/please buy/, 'a browser nobody knows is asked to pay';
is guest(), undef, 'and_has_no_cookie';
$browser->follow('buy');
like $browser->text, qr/pay done/, 'the buy button leads to the checkout';
my ($reference) = $browser->url =~ /client_reference_id=([\w-]+)/;
like user_of($reference), qr/^guest:/, 'with_the_id_of_this_browser';
is $site->webhook(bought($reference))->json->{outcome}, 'applied', 'the webhook comes';
$browser->follow('done');
like $browser->text, qr/welcome aboard/, 'who_comes_back_from_another_site_is_known_and_in';
my $cookie = guest();
ok $cookie->{httpOnly}, 'no script reads the cookie';
is $browser->script('return document.cookie'), '', '  indeed';
is $cookie->{sameSite}, 'Lax', 'it goes along where a link leads';
cmp_ok $cookie->{expiry} - time, '>', 399 * 86400, 'for_as_long_as_browsers_keep_one';
$browser->open("$home/lessons/1.html");
like $browser->text, qr/the lesson/, 'the lesson opens';

# --- another site's page -----------------------------------------------------------

my $before = guest()->{value};
$browser->open("$other/form.html");
ok wait_until(sub { $browser->url =~ m{/buy} }), 'a form of another site is sent';
like $browser->text, qr/403/, '  and refused';
$browser->open("$other/frame.html");
sleep 1;
$browser->open("$home/lessons/1.html");
is guest()->{value}, $before, 'no_page_of_another_site_replaces_the_id';
like $browser->text, qr/the lesson/, '  so the browser is in';

# A bookmark that somebody gave away opens nothing elsewhere.
my $stranger = Test::Entitle::Chromium->new($site);
$stranger->open("$home/lessons/1.html?client_reference_id=$reference&entitle-guest=$before");
like $stranger->text, qr/please buy/, 'an id in a link opens nothing';
$stranger->stop;

# --- the end -------------------------------------------------------------------------

$site->webhook(event_json('charge.refunded.full', id => 'evt_refund',
    'data.object.payment_intent' => 'pi_guest1', 'data.object.customer' => undef));
$browser->open("$home/lessons/1.html");
like $browser->text, qr/please buy/, 'a_refund_ends_it';
$browser->stop;

done_testing;
