# entitle_redirect: the way to the checkout, behind the gate and with a name.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $app = Test::Entitle->new;
$app->start(<<'EOF');
map $cookie_app $who { default ''; s1 ada; s2 bob; }
server {
    listen 127.0.0.1:%%PORT%%;
    location / {
        if ($who = '') { return 401; }
        add_header X-User $who;
        return 204;
    }
}
EOF

my $site = Test::Entitle->new;
$site->{ports}{2} = $app->port;
$site->redis;
$site->write_file('html/lesson.html', 'the lesson');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_user_from client_reference_id=signed;
map $arg_to $to { default ''; there https://there.example/; cr "https://x/\ry"; }

server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    %%REAUTH%%
    entitle_login_url /login?next=$entitle_return_url;

    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /lesson.html { entitle_require pro; error_page 402 = @buy; }
    location @buy {
        entitle_redirect https://buy.stripe.com/test?client_reference_id=$entitle_client_reference_id;
    }
    location = /buy {
        entitle on;
        entitle_redirect https://buy.stripe.com/test?client_reference_id=${entitle_client_reference_id};
        if ($arg_x) { set $x 1; }
    }
    location = /nameless { entitle_redirect https://buy.stripe.com/x?client_reference_id=$entitle_client_reference_id; }
    location = /plain    { entitle_redirect /there; }
    location = /301      { entitle_redirect 301 https://there.example/; }
    location = /302      { entitle_redirect 302 https://there.example/; }
    location = /307      { entitle_redirect 307 https://there.example/; }
    location = /308      { entitle_redirect 308 https://there.example/; }
    location = /to       { entitle_redirect $to; }
    location /elsewhere/ { entitle_redirect https://there.example$uri; }
    location /log-in/    { entitle on; entitle_login_url https://there.example$uri; }
}
EOF

# --- where it goes -----------------------------------------------------------

my $answer = $site->get('/plain');
is $answer->status, 303, 'see_other_by_default';
like $answer->header('Location'), qr{^http://localhost(?::\d+)?/there$}, 'to a place of this server';
for my $code (301, 302, 307, 308) {
    $answer = $site->get("/$code");
    is $answer->status, $code, "$code where asked for";
    is $answer->header('Location'), 'https://there.example/', '  to there';
}
is $site->request(method => 'POST', uri => '/plain', body => 'x' x 5000)->status, 303, 'a_post_goes_there_too';
is $site->request(method => 'HEAD', uri => '/plain')->status, 303, 'and HEAD';
is $site->get('/to?to=there')->header('Location'), 'https://there.example/', 'variables_are_allowed';
is $site->get('/to')->status, 500, 'but_nobody_is_sent_nowhere';
is $site->get('/to?to=cr')->status, 500, 'nor_by_control_bytes';
$site->expect_log(qr/entitle_(?:redirect|login_url) is empty or has control bytes/);

# What nginx makes of %0a in $uri is a stranger's to choose.
for my $where (['/elsewhere/%0a', 500], ['/log-in/%0a', 401]) {
    my ($uri, $status) = @$where;
    is $site->get($uri, Accept => 'text/html')->status, $status, "$uri leads nowhere" for 1 .. 20;
}
my @lines = $site->log =~ /^.*(?:entitle_redirect|entitle_login_url) is empty or has control bytes.*$/mg;
cmp_ok scalar(@lines), '>=', 40, 'each of them is in the log';
is scalar(grep { /\[error\]/ } @lines), 2, 'but_strangers_do_not_fill_it_with_errors';

# --- with a name -------------------------------------------------------------

my $ada = $site->browser;
$answer = $ada->get('/buy');
is $answer->status, 302, 'a_guest_logs_in_first';
like $answer->header('Location'), qr{/login\?next=}, '  at the login';
is $site->get('/buy')->status, 401, 'a_program_is_told_401';

$ada->cookies->{app} = 's1';
$answer = $ada->get('/lesson.html');
is $answer->status, 303, 'a_402_goes_to_the_checkout';
my ($reference) = ($answer->header('Location') // '')
    =~ m{^https://buy\.stripe\.com/test\?client_reference_id=([\w-]+)$};
ok $reference, '  with a name that Stripe takes' or diag $answer->header('Location');
like $answer->header('Cache-Control'), qr/no-store/, '  and nobody keeps it';
cmp_ok length $reference, '<=', 200, '  of 200 characters at most';

for my $uri ('/buy', '/buy?x=1') {
    $answer = $ada->get($uri);
    is $answer->status, 303, "$uri, a location of its own, does as well";
    like $answer->header('Location'), qr/client_reference_id=[\w-]{20,}$/, '  with a name';
    like $answer->header('Cache-Control'), qr/private/, '  and no proxy keeps it';
}

my $bought = event_json('checkout.session.completed.subscription',
    'data.object.client_reference_id' => $reference);
$answer = $site->webhook($bought);
is $answer->json->{outcome}, 'applied', 'what is bought that way is known to be ada\'s';
is $site->webhook(event_json('customer.subscription.created.active'))->status, 200, 'and so is the subscription';
is $ada->get('/lesson.html')->status, 200, 'who_is_let_in';

is $site->get('/nameless')->status, 500, 'nobody_buys_without_a_name';
$site->expect_log(qr/entitle_client_reference_id is empty/);

# --- nginx -t ----------------------------------------------------------------

my $check = Test::Entitle->new;
for (
    ['another_code', 'entitle_redirect 304 /x;', qr/"304"/, qr/303/],
    ['no_url', 'entitle_redirect there;', qr/"there"/, qr{https://}],
    ['another_host_by_two_slashes', 'entitle_redirect //evil.example;', qr{"//evil}],
    ['twice', 'entitle_redirect /x; entitle_redirect /y;', qr/duplicate/],
    ['after_proxy_pass', 'proxy_pass http://127.0.0.1:1; entitle_redirect /y;', qr/beside/],
    ['before_proxy_pass', 'entitle_redirect /y; proxy_pass http://127.0.0.1:1;', qr/beside/],
) {
    my ($name, $words, @patterns) = @$_;
    my ($accepted, $said) = $check->config_test(
        "server { listen 127.0.0.1:%%PORT%%; location = /x { $words } }");
    ok !$accepted, "$name is refused";
    like $said, $_, "  naming $_" for qr/\[emerg\]/, @patterns;
}

done_testing;
