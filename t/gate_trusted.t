# Visitors known by a variable that somebody else vouches for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use Test::Entitle;
use Test::Entitle::Jwt;

my $jwt = Test::Entitle::Jwt->rsa;
my $sso = Test::Entitle->new;
$sso->start(<<'EOF');
map $cookie_sso $who { s1 ada; s2 bob; default ''; }
server {
    listen 127.0.0.1:%%PORT%%;
    if ($who = '') { return 401; }
    add_header X-Auth-Request-User $who;
    location / { return 204; }
}
EOF

my $site = Test::Entitle->new;
$site->{ports}{2} = $sso->port;
$site->redis;
$site->write_file('jwt.pem', $jwt->public_pem);
$site->write_file('users', "ada:{PLAIN}secret\n");
$site->write_file('html/index.html', 'the lesson');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
entitle_jwt_key_file %%DIR%%/jwt.pem;
limit_conn_zone $entitle_user zone=of_one:64k;
map $remote_addr $nobody { default ''; }
map $remote_addr $strange { default "a\nb"; }

server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    add_header X-Who $entitle_user always;
    add_header X-Why $entitle_reason always;

    location /sso/ {
        alias %%DIR%%/html/;
        auth_request /auth;
        auth_request_set $sso_user $upstream_http_x_auth_request_user;
        entitle_trusted_user $sso_user;
        entitle_require pro;
    }
    # $entitle_user is looked at before anybody has said who it is.
    location /sso-limited/ {
        alias %%DIR%%/html/;
        limit_conn of_one 5;
        auth_request /auth;
        auth_request_set $sso_user $upstream_http_x_auth_request_user;
        entitle_trusted_user $sso_user;
        entitle on;
    }
    location = /auth {
        internal;
        proxy_pass http://127.0.0.1:%%PORT2%%;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
    }
    location /basic/ {
        alias %%DIR%%/html/;
        auth_basic shop;
        auth_basic_user_file %%DIR%%/users;
        entitle_trusted_user $remote_user;
        entitle on;
    }
    location /nobody/  { alias %%DIR%%/html/; entitle on; entitle_trusted_user $nobody; }
    location /strange/ { alias %%DIR%%/html/; entitle on; entitle_trusted_user ${strange}; }

    # Who it is is asked again where the settings are others.
    location /token-first/ {
        entitle optional;
        entitle_jwt $http_authorization;
        try_files /nothing /nobody/index.html;
    }
}
EOF

is $site->get('/sso-limited/', Cookie => 'sso=s1')->header('X-Who'), 'ada',
    'who_was_asked_about_too_early_is_known_once_it_is_said';

sub sso { return $site->get('/sso/', Cookie => "sso=$_[0]") }

is sso('s1')->status, 402, 'a_trusted_user_is_known';
is sso('s1')->header('X-Who'), 'ada', 'by name';
is sso('x')->status, 401, 'who the sso does not know is not asked about';
is $site->webhook(event_json($_, user => 'ada'))->status, 200, $_
    for qw(checkout.session.completed.subscription customer.subscription.created.active);
my $answer = sso('s1');
is $answer->status, 200, 'and_let_in_once_paid';
is $answer->header('Set-Cookie'), undef, 'without a cookie of ours';
is sso('s2')->status, 402, 'and nobody else is';
$site->redis->command('HSET', 'entitle:test:{u:ada}', 'not_before', time + 3600);
is sso('s1')->status, 200, 'a trusted user is always fresh';

my %ada = (Authorization => 'Basic ' . encode_base64('ada:secret', ''));
is $site->get('/basic/', %ada)->status, 200, 'auth_basic_vouches_for_remote_user';
is $site->get('/basic/', %ada)->header('X-Who'), 'ada', 'by name';
is $site->get('/basic/', Authorization => 'Basic ' . encode_base64('bob:x', ''))->status,
    401, 'and refuses who it does not know';
$site->expect_log(qr/user "bob" was not found/);

is $site->get('/nobody/')->status, 401, 'an_empty_variable_is_a_guest';
is $site->get('/nobody/')->header('X-Why'), 'no_session', '  and told so';
is $site->get('/strange/')->status, 401, 'what_can_be_no_user_is_a_guest';

my $token = $jwt->token({ sub => 'ada', exp => time + 60, iat => time + 3 });
is $site->get('/token-first/', Authorization => "Bearer $token")->status, 401,
    'an_internal_redirect_asks_again_where_settings_differ';

# --- nginx -t ----------------------------------------------------------------

my $check = Test::Entitle->new;
$check->write_file('users', "ada:{PLAIN}secret\n");
my $basic = 'auth_basic shop; auth_basic_user_file %%DIR%%/users;';
sub http { return "server { listen 127.0.0.1:%%PORT%%; $_[0] }" }
sub location { return http("location = /x { entitle on; $_[0] }") }

for (
    ['satisfy_any', location('satisfy any; entitle_trusted_user $remote_addr;'), qr/satisfy any/],
    ['satisfy_any_from_above', http('satisfy any; location = /x { entitle on;'
            . ' entitle_trusted_user $remote_addr; }'), qr/satisfy any/],
    (map { ["what_the_client_says_($_)", location("entitle_trusted_user $_;"), qr/\Q$_\E/, qr/trusted/] }
        qw($http_x_user ${http_x_user} $arg_user $cookie_user $args $request_uri $host $request_body)),
    ['a_literal', location('entitle_trusted_user ada;'), qr/"ada"/],
    ['more_than_a_variable', location('entitle_trusted_user u-$remote_addr;'), qr/one \$variable/],
    ['remote_user_alone', location('entitle_trusted_user $remote_user;'), qr/auth_basic/],
    ['remote_user_with_auth_basic_off', http("$basic location = /x { auth_basic off;"
            . ' entitle on; entitle_trusted_user $remote_user; }'), qr/auth_basic/],
    ['remote_user_with_a_variable_realm', location('auth_basic $host;'
            . ' auth_basic_user_file %%DIR%%/users; entitle_trusted_user $remote_user;'), qr/literal/],
    ['remote_user_without_a_user_file', location('auth_basic shop;'
            . ' entitle_trusted_user $remote_user;'), qr/auth_basic_user_file/],
    ['two_ways_at_one_level', location('entitle_trusted_user $remote_addr;'
            . ' entitle_jwt $http_authorization;'), qr/"entitle_jwt".*"entitle_trusted_user".*one way/],
) {
    my ($name, $http, @patterns) = @$_;
    my ($accepted, $said) = $check->config_test($http);
    ok !$accepted, "$name is refused";
    like $said, qr/\[emerg\].*nginx\.conf:\d+/, '  with its place';
    like $said, $_, "  naming $_" for @patterns;
}
for (
    ['auth_basic above', http("$basic entitle_trusted_user \$remote_user; location = /x { entitle on; }")],
    ['auth_basic in http', "$basic " . location('entitle_trusted_user $remote_user;')],
    ['an inner way replaces the outer', http('entitle_jwt $http_authorization; location = /x'
            . ' { entitle on; entitle_trusted_user $remote_addr; }')],
    ['a gate that is off beside satisfy any', http('location = /x { satisfy any; entitle off;'
            . ' entitle_trusted_user $remote_addr; }')],
) {
    my ($name, $http) = @$_;
    my ($accepted, $said) = $check->config_test($http);
    ok $accepted, "$name is accepted" or diag $said;
}

done_testing;
