# Visitors known by the app's own JWT. The tokens are made with openssl and
# Perl, never by the code that is tested.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64url);
use Test::Entitle;
use Test::Entitle::Jwt qw(jwks);

my $rsa   = Test::Entitle::Jwt->rsa;
my $other = Test::Entitle::Jwt->rsa;
my $ec    = Test::Entitle::Jwt->ec;
my $ed    = Test::Entitle::Jwt->ed25519;
my $hmac  = Test::Entitle::Jwt->oct('0123456789abcdef' x 2);

my $app = Test::Entitle->new;
$app->start(<<'EOF');
log_format asked "$uri";
access_log %%DIR%%/logs/asked.log asked;
server {
    listen 127.0.0.1:%%PORT%%;
    location = /refresh {
        if ($cookie_app != s1) { return 401; }
        add_header X-User ada;
        add_header Set-Cookie "token=fresh; Path=/";
        return 204;
    }
}
EOF

my $site = Test::Entitle->new;
$site->{ports}{2} = $app->port;
$site->redis;
$site->write_file('rsa.pem', $rsa->public_pem);
$site->write_file('jwks.json', jwks($ec->jwk(kid => 'ec'), $ed->jwk(kid => 'ed'),
    $hmac->jwk(kid => 'h', alg => 'HS256')));
$site->write_file('html/index.html', 'the lesson');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
large_client_header_buffers 4 32k;

entitle_jwt_key_file %%DIR%%/rsa.pem;
entitle_jwt_key_file %%DIR%%/jwks.json;

server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%

    entitle_jwt $http_authorization;
    add_header X-Who $entitle_user always;
    add_header X-Why $entitle_reason always;

    location /known/ { alias %%DIR%%/html/; entitle on; }
    location /pro/   { alias %%DIR%%/html/; entitle_require pro; }

    location /strict/ {
        alias %%DIR%%/html/;
        entitle on;
        entitle_jwt_issuer https://idp.example https://old.example;
        entitle_jwt_audience shop;
        entitle_jwt_leeway 30s;
        entitle_jwt_user_claim uid;
    }
    location /versioned/ {
        alias %%DIR%%/html/;
        entitle on;
        entitle_jwt_version_claim ver;
    }
    location /cookie/ {
        alias %%DIR%%/html/;
        entitle on;
        entitle_jwt cookie=id.token;
    }
    location /reauth/ {
        alias %%DIR%%/html/;
        entitle on;
        entitle_jwt cookie=token;
        entitle_reauth /whoami;
        entitle_reauth_user header=X-User;
    }
    location = /whoami {
        internal;
        proxy_pass http://127.0.0.1:%%PORT2%%/refresh;
    }
    location /edge/ { alias %%DIR%%/html/; entitle on; entitle_jwt off; %%ASKED%% }
}
EOF

sub with { my ($token, $uri) = @_; return $site->get($uri // '/known/', Authorization => "Bearer $token") }
sub claims { return { sub => 'ada', iat => time, exp => time + 600, @_ } }

# --- who it is ---------------------------------------------------------------

for (['RS256', $rsa], ['ES256', $ec, 'ec'], ['EdDSA', $ed, 'ed'], ['HS256', $hmac, 'h']) {
    my ($alg, $key, $kid) = @$_;
    my $answer = with($key->token(claims(), header => { $kid ? (kid => $kid) : () }));
    is $answer->status, 200, "a_token_signed_with_${alg}_is_believed";
    is $answer->header('X-Who'), 'ada', '  and names its user';
    is $answer->header('Set-Cookie'), undef, '  and no cookie of ours is set';
}
is with($rsa->token(claims(sub => 'Zoë ☂')))->status, 200, 'any_text_can_be_a_user';

# --- who it is not -----------------------------------------------------------

my $good = $rsa->token(claims());
my ($header, $payload, $signature) = split /\./, $good;
my %bad = (
    forged             => $other->token(claims()),
    cut                => substr($good, 0, -10),
    'without signature'=> "$header.$payload.",
    'of two parts'     => "$header.$payload",
    'with alg none'    => encode_base64url('{"alg":"none"}') . ".$payload.",
    'with alg swapped' => Test::Entitle::Jwt->oct($rsa->public_pem)->token(claims()),
    'with a payload of another' =>
        "$header." . encode_base64url('{"sub":"bob"}') . ".$signature",
    'without a user'   => $rsa->token({ exp => time + 60 }),
    'with a number for a user and no text' => $rsa->token({ sub => {} }),
    'with an empty user' => $rsa->token(claims(sub => '')),
    'with a user twice'  => $rsa->token('{"sub":"bob","sub":"ada"}'),
    'with crit'        => $rsa->token(claims(), header => { crit => ['x'], x => 1 }),
    'with b64 false'   => $rsa->token(claims(), header => { b64 => JSON::PP::false() }),
    'not yet valid'    => $rsa->token(claims(nbf => time + 60)),
    'issued tomorrow'  => $rsa->token(claims(iat => time + 86400)),
    'of an unknown kid'=> $rsa->token(claims(), header => { kid => 'gone' }) . 'x',
    'of another kid'   => $hmac->token(claims(), header => { kid => 'ec' }),
    'of over 8192 bytes' => $rsa->token(claims(x => 'x' x 9000)),
    'of nothing'       => '..',
    'of one letter'    => 'X',
);
for my $name (sort keys %bad) {
    my $answer = with($bad{$name});
    is $answer->status, 401, "a token $name is refused";
    is $answer->header('WWW-Authenticate'), 'Bearer error="invalid_token"', '  and told so';
    is $answer->header('Content-Type'), 'application/problem+json', '  as a problem';
    is $answer->header('X-Who'), undef, '  and names nobody';
}
{
    my $base = length $rsa->token(claims());
    my $most = $rsa->token(claims(x => 'x' x int((8192 - $base) * 3 / 4 - 12)));
    cmp_ok length $most, '>', 8000, 'a token of nearly 8 KiB';
    is with($most)->status, 200, '  is believed';
    with($rsa->token(claims(x => 'y' x 9000)));
    my @said = $site->log =~ /\[warn\].*(JWT .*too long.*)/g;
    is @said, 1, 'one_that_is_too_long_is_said_once_a_minute';
    like $said[0], qr/JWT of 1\d{4} bytes .* too long: at most 8192/, '  with its length and the most';
}
is with($rsa->token(claims(exp => time - 1)))->header('X-Why'), 'session_expired',
    'an_expired_token_is_refused_as_such';

for my $authorization ('Basic YWRhOng=', 'Digest a="b"', 'Bearer', '') {
    my $answer = $site->get('/known/', Authorization => $authorization);
    is $answer->status, 401, "no token in \"$authorization\"";
    is $answer->header('WWW-Authenticate'), 'Bearer realm="entitle"',
        '  and nothing is said to be wrong with one';
}
is $site->get('/known/')->status, 401, 'nobody_is_a_guest';
is $site->get('/known/', Authorization => "bEARER  $good ")->status, 200, 'bearer_in_any_case';
is $site->get('/known/', Cookie => "token=$good")->status, 401, 'a_cookie_is_not_the_header';

# --- issuer, audience, leeway, user claim ------------------------------------

sub strict {
    return with($rsa->token({ uid => 'ada', sub => 'x', iss => 'https://idp.example', aud => 'shop', @_ }),
        '/strict/')->status;
}
is strict(), 200, 'issuer_and_audience_as_configured';
is strict(iss => 'https://old.example'), 200, 'either of the issuers';
is strict(iss => 'https://evil.example'), 401, 'another issuer is not';
is strict(aud => ['api', 'shop']), 200, 'the audience among others';
is strict(aud => ['api']), 401, 'another audience is not';
is strict(aud => undef), 401, 'nor none';
is strict(exp => time - 10), 200, 'within the leeway';
is strict(exp => time - 40), 401, 'and beyond it';
is strict(uid => 4711), 200, 'a number is a user, too';
is with($rsa->token(claims()), '/strict/')->status, 401,
    'a_token_good_elsewhere_says_nothing_here';

# --- a token verified once is not believed for longer ------------------------

my $short = $rsa->token(claims(exp => time + 2));
is with($short)->status, 200, 'a_token_is_good_until_it_expires';
is with($short)->status, 200, 'remembered or not';
wait_until(sub { with($short)->status == 401 }, 6);
is with($short)->status, 401, 'and_no_longer';

# --- cookies -----------------------------------------------------------------

is $site->get('/cookie/', Cookie => "id.token=$good")->status, 200, 'a_cookie_carries_it';
is $site->get('/cookie/', Cookie => "id.token=junk; id.token=$good")->status, 200,
    'a_bad_cookie_of_the_name_does_no_harm';
{
    # Each has a signature to verify; the good one, not seen before, is the fifth.
    my $unseen = $rsa->token({ sub => 'ada', iat => time - 3, exp => time + 301 });
    my $forged = join '; ', map { 'id.token=' . substr($good, 0, -4) . sprintf '%04d', $_ } 1 .. 4;
    is $site->get('/cookie/', Cookie => "$forged; id.token=$unseen")->status, 401,
        'strangers_choose_how_many_but_not_how_many_are_verified';
    like $site->log, qr/more than 4 JWTs in one request/, '  and the log says so';
}
is $site->get('/cookie/', Cookie => "id_token=$good")->status, 401, 'another name does not count';
is $site->get('/edge/', Authorization => "Bearer $good")->status, 401,
    'off_is_the_edge_session_again';

# --- purchases, versions, not_before -----------------------------------------

my $before = $rsa->token(claims(iat => time - 60));
is with($before, '/pro/')->status, 402, 'known_is_not_entitled';
is $site->webhook(event_json($_, user => 'ada'))->status, 200, $_
    for qw(checkout.session.completed.subscription customer.subscription.created.active);
is with($before, '/pro/')->status, 200, 'a_purchase_does_not_lock_the_token_out';

my $key = 'entitle:test:{u:ada}';
my $version = $site->redis->hgetall($key)->{version};
is with($rsa->token(claims(ver => $version)), '/versioned/')->status, 200,
    'a token of this version';
is with($rsa->token(claims(ver => $version - 1)), '/versioned/')->header('X-Why'),
    'session_stale', 'a token of an older version is stale';
is with($rsa->token(claims(ver => $version - 1)), '/known/')->status, 200,
    'but not where versions are not compared';
is with($rsa->token(claims()), '/versioned/')->status, 200,
    'a token without a version is never compared';
is with($rsa->token(claims(ver => 'x')), '/versioned/')->status, 401,
    'a version that is no number is no token';

$site->redis->command('HSET', $key, 'not_before', time - 30);
for my $uri ('/known/', '/versioned/') {
    my $answer = with($before, $uri);
    is $answer->status, 401, "issued before not_before ($uri)";
    is $answer->header('WWW-Authenticate'), 'Bearer error="invalid_token"', '  and told so';
    is $answer->header('X-Why'), 'session_stale', '  as stale';
    is with($rsa->token({ sub => 'ada' }), $uri)->status, 401, '  and one that does not say when';
    is with($rsa->token(claims(iat => time - 20)), $uri)->status, 200, '  a later one is good';
}

# --- what the app does about it ----------------------------------------------

my $stale = $rsa->token(claims(iat => time - 60));
my $answer = $site->get('/reauth/', Cookie => "app=s1; token=$stale");
is $answer->status, 200, 'a_stale_token_goes_to_the_app_where_it_can';
is $answer->header('X-Who'), 'ada', '  which says who it is';
is_deeply [$answer->header_all('Set-Cookie')], ['token=fresh; Path=/'],
    '  and its fresh token reaches the visitor, and nothing of ours';
is $site->get('/reauth/', Cookie => "app=s2; token=$stale")->status, 401,
    'and_is_refused_where_the_app_says_so';
is $site->get('/reauth/', Cookie => 'app=s1; token=junk')->status, 200, 'so does a broken one';
my $asked = () = $app->read_file('logs/asked.log') =~ m{/refresh}g;
is $site->get('/reauth/', Cookie => "app=s1; token=$good")->status, 200, 'a good one';
is scalar(() = $app->read_file('logs/asked.log') =~ m{/refresh}g), $asked, '  is not asked about';

# --- nginx -t ----------------------------------------------------------------

my $check = Test::Entitle->new;
$check->write_file('good.pem', $rsa->public_pem);
$check->write_file('weak.pem', Test::Entitle::Jwt->rsa(1024)->public_pem);
$check->write_file('private.pem', $rsa->private_pem);
$check->write_file('junk', 'junk');
$check->write_file('empty', '');
$check->write_file('short.json', jwks(Test::Entitle::Jwt->oct('short')->jwk));
$check->write_file('twice.json', jwks($rsa->jwk(kid => 'a'), $ec->jwk(kid => 'a')));
$check->write_file('strange.json', jwks($rsa->jwk, { kty => 'strange' }));

sub location { return "server { listen 127.0.0.1:%%PORT%%; location = /x { entitle on; $_[0] } }" }
sub file { return location("entitle_jwt \$http_authorization; entitle_jwt_key_file %%DIR%%/$_[0];") }
for (
    ['a_jwt_without_a_key', location('entitle_jwt $http_authorization;'), qr/entitle_jwt_key_file/],
    ['a_key_file_that_is_not_there', file('nowhere'), qr/nowhere/, qr/No such file/],
    ['an_empty_key_file', file('empty'), qr{/empty"}],
    ['a_key_file_of_junk', file('junk'), qr/JSON|PEM/],
    ['a_weak_rsa_key', file('weak.pem'), qr/2048/],
    ['a_private_key', file('private.pem'), qr/private/i],
    ['a_short_secret', file('short.json'), qr/32/],
    ['two_keys_of_one_kid', file('twice.json'), qr/kid/],
    ['a_key_of_an_unknown_kind', file('strange.json'), qr/kty|strange/],
    ['a_literal_token', location('entitle_jwt eyJ;'), qr/cookie=NAME/],
    ['a_leeway_without_end', file('good.pem') =~ s/; \}/; entitle_jwt_leeway 2d; }/r, qr/"2d"/],
    ['a_second_jwt', location('entitle_jwt $a; entitle_jwt $b;'), qr/one way|variable/],
    ['a_jwt_and_a_session', location('entitle_jwt cookie=a;'
            . ' entitle_session_redis sess:cookie=b json=/user;'), qr/entitle_jwt.*one way/],
) {
    my ($name, $http, @patterns) = @$_;
    my ($accepted, $said) = $check->config_test($http);
    ok !$accepted, "$name is refused";
    like $said, qr/\[emerg\].*nginx\.conf:\d+/, '  with its place';
    like $said, $_, "  naming $_" for @patterns;
}
my ($accepted, $said) = $check->config_test(file('good.pem'));
ok $accepted, 'a_jwt_needs_no_session_key' or diag $said;

done_testing;
