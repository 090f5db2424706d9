# Requests for which nginx never made a list of headers: HTTP/0.9, what is no
# request at all, a URI that is too long. Some reach a gate all the same.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Time::HiRes qw(time);
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Test::Entitle::Jwt;

my $jwt = Test::Entitle::Jwt->rsa;
my $site = Test::Entitle->new;
my $redis = $site->redis;
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my @known = map { $_->[0] } grep { $_->[0] =~ /^x-entitle/i } @{ $r->{headers} };
    return { status => 204, headers => ['X-User' => 'ada'] } if $r->{uri} eq '/auth';
    return { body => join ',', 'the app', @known };
});
$site->write_file('jwt.pem', $jwt->public_pem);
$site->write_file('html/index.html', 'the lesson');

my %identity = (
    jwt     => 'entitle_jwt $arg_token;',
    app     => 'entitle_session_redis sess:$arg_sid json=/user;',
    trusted => 'entitle_trusted_user $who;',
    edge    => '%%ASKED%%',
    asked   => 'entitle_reauth /auth; entitle_reauth_user header=X-User;'
        . ' entitle_session_bind $who; entitle_reauth_key $arg_key;',
);
my $locations = join '', map { my $kind = $_; map { <<"EOT" } qw(on optional) } sort keys %identity;
    location /$kind-$_/ { alias %%DIR%%/html/; entitle $_; $identity{$kind} }
    location /proxied-$kind-$_ {
        entitle $_; $identity{$kind}
        proxy_pass http://127.0.0.1:${\$app->port}/content;
    }
EOT
my $servers = join '', map { my ($n, $to) = ($_->[0], $_->[1]); <<"EOT" }
server {
    listen 127.0.0.1:%%PORT$n%%;
    error_page 400 414 = $to;
    $locations
    location = /plain { proxy_pass http://127.0.0.1:${\$app->port}/content; }
    location = /auth { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
}
EOT
    ([2, '/proxied-trusted-on'], [3, '/proxied-trusted-optional'], [4, '/edge-on/index.html'],
        [5, '/plain']);
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_session_key_file %%KEY%%;
entitle_jwt_key_file %%DIR%%/jwt.pem;
geo \$who { default ada; }
server {
    listen 127.0.0.1:%%PORT%%;
    $locations
    location = /auth { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /status { entitle_status; }
    location = /webhook { entitle_webhook test; entitle_webhook_secret_file %%SECRET%%; }
    location = /poll { entitle_poll 1s; entitle_trusted_user \$who; entitle_require pro; }
    location = /out { entitle_logout; }
    location = /all { entitle_logout all; entitle_trusted_user \$who; }
    location = /buy { entitle on; entitle_trusted_user \$who; entitle_redirect /x?\$entitle_user; }
}
$servers
EOT
put_record($redis, 'ada', version => 1_767_000_000_000, subscription('active'));
$redis->command('SET', 'sess:s1s1s1s1s1s1s1s1s1s1', '{"user":"ada"}');

# Bytes as they are; what comes back until the end.
sub raw {
    my ($bytes, $server) = @_;
    my $socket = $site->connect(port => $server ? $site->port($server) : $site->port);
    $socket->write($bytes);
    $socket->readable(10);
    1 while $socket->_more(time + 10);
    return $socket->{buffer};
}

my $token = $jwt->token({ sub => 'ada', exp => time + 600, iat => time - 3 });
my %known = (jwt => "?token=$token", app => '?sid=s1s1s1s1s1s1s1s1s1s1', trusted => '', asked => '?key=k');
for my $kind (sort keys %identity) {
    for my $mode (qw(on optional)) {
        my $args = $known{$kind};
        if (defined $args) {
            is raw("GET /$kind-$mode/index.html$args\r\n"), 'the lesson',
                "HTTP_0_9_is_let_in_by_${kind}_$mode";
            like raw("GET /proxied-$kind-$mode$args\r\n"),
                qr/the app,X-Entitle-User,X-Entitle-Version,X-Entitle-Entitlements$/,
                "and_the_app_is_told_by_${kind}_$mode";
        }
        next if $kind eq 'trusted';
        like raw("GET /$kind-$mode/index.html\r\n"),
            $mode eq 'on' ? qr/401/ : qr/^the lesson$/, "a_guest_by_${kind}_$mode";
    }
}

like raw("GET /status\r\n"), qr/^\{/, 'the_status_answers_HTTP_0_9';
like raw("GET /webhook\r\n"), qr/method_not_allowed/, 'the_webhook';
like raw("GET /poll\r\n"), qr/"entitlements"/, 'the_poll';
is raw("GET /out\r\n"), '', 'the_logout';
like raw("GET /all\r\n"), qr/405|POST|^$/, 'the_other_logout';
like raw("GET /buy\r\n"), qr/303/, 'the_redirect';

my $long = 'GET /' . 'x' x 40_000 . " HTTP/1.1\r\nHost: x\r\n\r\n";
my $garbage = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 what\r\n\r\n";
for ([2, qr/the app,X-Entitle-User/], [3, qr/the app,X-Entitle-User/], [4, qr/ 40[01] |401/],
    [5, qr/the app$/]) {
    my ($server, $want) = @$_;
    like raw($garbage, $server), $want, "garbage_in_front_of_server_$server";
    like raw($long, $server), $want, "a_long_URI_in_front_of_server_$server";
}
like raw("GET / HTTP/1.1\r\nHost: x\r\nX-Entitle-User: eve\r\nX-Bad\x01: y\r\n\r\n", 5),
    qr/the app$/, 'what_a_broken_request_says_it_is_is_removed';

# A worker that ended would have left an alert.
is $site->get('/trusted-on/index.html')->status, 200, 'and_the_worker_lives';

done_testing;
