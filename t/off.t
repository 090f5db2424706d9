# Every directive that inherits has an `off`, which cancels what is above it and
# names nothing.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;
use Test::Entitle::Jwt;

my $jwt  = Test::Entitle::Jwt->rsa;
my $site = Test::Entitle->new;
$site->redis;
$site->write_file('html/page.html', 'page');
$site->write_file('jwt.pem', $jwt->public_pem);
put_record($site->redis, 'ada', version => 1, subscription('active'));
put_record($site->redis, 'bob', version => 1);
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_redis_prefix shop:;
entitle_grant pro prod_Pro acct_1/prod_FxPRO000001;
entitle_session_key_file %%KEY%%;
entitle_session_cookie other;
entitle_webhook_secret_file %%SECRET%%;
entitle_webhook_account acct_1;
entitle_jwt_key_file %%DIR%%/jwt.pem;
entitle_jwt_issuer them;
entitle_jwt_audience us;
entitle_jwt_user_claim id;
entitle_jwt_leeway 1h;
map $arg_user $known { default $arg_user; }
server {
    listen 127.0.0.1:%%PORT2%%;
    location / { add_header X-User ada; return 204; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    entitle_redis_prefix off;
    entitle_require pro;
    entitle_trusted_user $known;
    entitle_login_url /login;
    entitle_reauth /_who;
    entitle_reauth_user header=X-User;
    entitle_session_bind cookie=sid;
    location = /_who { internal; proxy_pass http://127.0.0.1:%%PORT2%%; access_log %%DIR%%/asked; log_subrequest on; }
    location = /webhook        { entitle_webhook test; }
    location = /webhook/no-one { entitle_webhook test; entitle_webhook_account off; }
    location = /pro   { try_files /page.html =404; }
    location /any {
        entitle_require off;
        location = /any     { try_files /page.html =404; }
        location = /any/sub { try_files /page.html =404; }
        location = /any/pro { entitle_require pro; try_files /page.html =404; }
    }
    location = /no-login { entitle_login_url off; try_files /page.html =404; }
    location /app {
        entitle_trusted_user off;
        location = /app      { try_files /page.html =404; }
        location = /app/dumb { entitle_jwt $arg_token; entitle_reauth off; try_files /page.html =404; }
        location = /app/word { entitle_jwt $arg_token; entitle_reauth off; entitle_reauth_user off; try_files /page.html =404; }
    }
    location = /token   { entitle_jwt $arg_token; try_files /page.html =404; }
    location = /token/i { entitle_jwt $arg_token; entitle_jwt_issuer off; try_files /page.html =404; }
    location = /token/a { entitle_jwt $arg_token; entitle_jwt_audience off; try_files /page.html =404; }
    location = /token/u { entitle_jwt $arg_token; entitle_jwt_user_claim off; try_files /page.html =404; }
    location = /token/l { entitle_jwt $arg_token; entitle_jwt_leeway off; try_files /page.html =404; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    entitle_redis_prefix off;
    entitle_grant off;
    entitle_session_cookie off;
    location = /pro { entitle_require pro; entitle_trusted_user $known; try_files /page.html =404; }
    location = /log/out { entitle_logout; }
}
server {
    listen 127.0.0.1:%%PORT4%%;
    location = /pro { entitle_require pro; entitle_trusted_user $known; try_files /page.html =404; }
}
EOF

sub status { return $site->get(@_)->status }
my %person = (Accept => 'text/html');
is $site->request(uri => '/pro?user=ada', port => $site->port(4))->status, 402, 'a prefix is there, and nothing under it';
is status('/pro?user=ada'), 200, 'entitle_redis_prefix_off_is_the_default';

is status('/pro?user=bob'), 402, 'a requirement is there';
is status('/any?user=bob'), 200, 'entitle_require_off_cancels_and_names_no_entitlement';
is status('/any'), 401, '  and opens nothing to nobody';
is status('/any/sub?user=bob'), 200, '  also below it';
is status('/any/pro?user=bob'), 402, '  where another may be named';
is status('/any/pro?user=ada'), 200, '  and held';

like $site->get('/pro', %person)->header('Location'), qr{/login$},
    'a login page is there';
is status('/no-login', %person), 401, 'entitle_login_url_off_is_none';

my $asked = sub { scalar(() = $site->read_file('asked') =~ /\n/g) };
is status('/app', Cookie => 'sid=1'), 200, 'the app is asked';
my $before = $asked->();
is $before, 1, '  once';
is status('/app/dumb', Cookie => 'sid=2'), 401, 'entitle_reauth_off_asks_nobody';
is status('/app/word', Cookie => 'sid=3'), 401, '  nor with entitle_reauth_user off beside it';
is $asked->(), $before, '  and nobody was asked';

sub token {
    my (%claims) = @_;
    return $jwt->token({ iss => 'them', aud => 'us', id => 'ada', exp => time + 60, %claims });
}
is status('/token?token=' . token()), 200, 'a token is believed';
my %differs = (i => { iss => 'others' }, a => { aud => 'others' }, u => { id => 'bob', sub => 'ada' });
my %named = (i => 'issuer', a => 'audience', u => 'user_claim');
for my $which (sort keys %differs) {
    my $token = token(%{ $differs{$which} });
    isnt status("/token?token=$token"), 200, "a token that differs is not ($which)";
    is status("/token/$which?token=$token"), 200, "  but with entitle_jwt_$named{$which} off";
}
my $late = token(exp => time - 60);
is status("/token?token=$late"), 200, 'a late token is believed within the leeway';
is status("/token/l?token=$late"), 401, '  not with entitle_jwt_leeway off';

my $event = event_json('customer.subscription.created.active', user => 'eve', account => 'acct_1');
is $site->webhook($event)->status, 200, 'an account is allowed';
like $site->webhook($event, uri => '/webhook/no-one')->body, qr/account_not_allowed/, '  not with entitle_webhook_account off';
$site->expect_log(qr/acct_1/);

my $other = Test::Entitle::Http->new(port => $site->port(3));
is $other->request(uri => '/pro?user=ada')->status, 402, 'entitle_grant_off_gives_nothing';
like $other->request(uri => '/log/out', method => 'POST')->header('Set-Cookie'), qr/^__Host-entitle=/,
    'entitle_session_cookie_off_is_the_default';
$site->finish;

# --- nginx -t -----------------------------------------------------------------------

my $check = Test::Entitle->new;
$check->write_file('jwt.pem', $jwt->public_pem);
sub http {
    my ($above, $here) = @_;
    return "$above\nserver { listen 127.0.0.1:%%PORT%%;\nlocation = /_who { internal; return 204; }\n"
        . "location = /x {\n$here\n}\n}";
}
my $key = 'entitle_session_key_file %%KEY%%;';
my $app = "$key entitle_reauth /_who; entitle_reauth_user header=X;";
for (
    ['entitle_session_key_file off', http($key, '') =~ s/server \{/server { entitle_session_key_file off; entitle on;/r,
        qr/needs "entitle_session_key_file"/],
    ['entitle_webhook_secret_file off', http('entitle_webhook_secret_file %%SECRET%%;',
        'entitle_webhook test; entitle_webhook_secret_file off;'), qr/needs "entitle_webhook_secret_file"/],
    ['entitle_reauth_user off', http($app, 'entitle on; entitle_reauth_user off;'), qr/needs "entitle_reauth_user"/],
    ['entitle_jwt_key_file off', http('entitle_jwt_key_file %%DIR%%/jwt.pem;',
        'entitle on; entitle_jwt $arg_t; entitle_jwt_key_file off;'), qr/needs "entitle_jwt_key_file"/],
    ['entitle_jwt_key_request off', http('entitle_jwt_key_request /_who;',
        'entitle on; entitle_jwt $arg_t; entitle_jwt_key_request off;'), qr/needs "entitle_jwt_key_file"/],
    (map { my ($name, $value) = @$_;
        ["$name off beside another", http($key, "entitle on; $name $value; $name off;"), qr/"$name" directive/],
        ["$name beside its off", http($key, "entitle on; $name off; $name $value;"), qr/"$name" directive/] }
        [entitle_require => 'pro'], [entitle_session_bind => 'cookie=sid'], [entitle_reauth => '/_who'],
        [entitle_reauth_user => 'header=X'], [entitle_login_url => '/l'], [entitle_jwt_issuer => 'i'],
        [entitle_jwt_audience => 'a'], [entitle_jwt_user_claim => 'u'], [entitle_jwt_version_claim => 'v'],
        [entitle_jwt_key_file => '%%DIR%%/jwt.pem'], [entitle_jwt_key_request => '/_who'],
        [entitle_webhook_account => 'acct_1'], [entitle_webhook_secret_file => '%%SECRET%%']),
) {
    my ($name, $http, $pattern) = @$_;
    my ($accepted, $said) = $check->config_test($http);
    ok !$accepted, "$name is refused";
    like $said, qr/\[emerg\].*$pattern/, '  and says why' or diag $said;
}
{
    my ($accepted, $said) = $check->config_test(http("$app entitle_session_bind cookie=sid;",
        'entitle on; entitle_session_bind off;'));
    ok $accepted, 'entitle_session_bind off is accepted';
    like $said, qr/"entitle_reauth" without "entitle_session_bind"/, '  and none is left';
    ($accepted, $said) = $check->config_test("entitle_require off; $app" . http('', 'entitle on;'));
    ok $accepted, 'nothing to cancel is nothing to complain of' or diag $said;
}

done_testing;
