# The session cookie: what is no session, which of several counts, what it is
# bound to, how it is set, and how keys change.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;

$Test::Entitle::GateSession::ASKED = ['/guest', 'header=x-user'];  # nobody is anybody
my @app = ('/whoami', 'header=x-user');
my $site = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/pro', 'lesson');
my $configuration = <<'EOT';
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_session_key_file %%KEYS%%;
entitle_session_scope tests;
large_client_header_buffers 8 80k;
keepalive_requests 100000;

server {
    listen 127.0.0.1:%%PORT%%;
    entitle_session_cookie entitle secure=off;
    entitle_session_bind cookie=app;
    entitle_reauth /guest;
    entitle_reauth_user header=X-User;
    location = /guest { internal; return 401; }
    location = /pro { entitle_require pro; }
    location = /asks { entitle_require pro; entitle_reauth /whoami; try_files /pro =404; }
    location = /two { entitle_require pro; entitle_session_bind cookie=app $http_x_device; try_files /pro =404; }
    location = /whose { entitle on; add_header X-Whose $entitle_user; try_files /pro =404; }
    location = /why { entitle on; error_page 401 = @why; entitle_problem_json off; try_files /pro =404; }
    location @why { return 200 $entitle_reason; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT3%%/; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    %%REAUTH%%
    location = /default { entitle on; try_files /pro =404; }
    location = /short { entitle on; entitle_session_lifetime 90s; try_files /pro =404; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT3%%/; }
}
server {
    listen 127.0.0.1:%%PORT4%%;
    entitle_session_cookie pass domain=example.org path=/shop samesite=strict;
    %%REAUTH%%
    location = /named { entitle on; try_files /pro =404; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT3%%/; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    location / {
        if ($cookie_app = '') { return 401; }
        add_header X-User $cookie_app;
        return 204;
    }
}
EOT

sub with_keys {
    my (@keys) = @_;
    my $file = $site->write_file('keys', join '', map { unpack('H*', $_) . "\n" } @keys);
    return $configuration =~ s/%%KEYS%%/$file/r;
}
my $key1 = $Test::Entitle::GateSession::KEY;
my $key2 = pack 'H*', 'fedcba98' x 8;
$site->start(with_keys($key1));

my $VERSION = 1_767_000_000_000;
put_record($redis, $_, version => $VERSION, subscription('active')) for qw(ada bob);

my @mine = (user => 'ada', version => $VERSION, bind => ['s1']);
my $good = session(@mine);
my $connection = $site->connect;

sub ask {
    my ($uri, $cookies, @headers) = @_;
    my @lines = map { (Cookie => $_) } ref $cookies ? @$cookies : $cookies;
    my $answer = $connection->request(uri => $uri, headers => [@lines, @headers]);
    $connection = $site->connect if !$answer->status;
    return $answer;
}
sub status { return ask('/pro', @_)->status }
sub token { return status("app=s1; entitle=$_[0]") }

is token($good), 200, 'a_session_opens';

# --- no sessions -------------------------------------------------------------

my @opened = grep { token(substr $good, 0, $_) != 401 } 0 .. length($good) - 1;
is "@opened", '', 'no_beginning_of_it_does';

my @alphabet = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');
my %place = map { $alphabet[$_] => $_ } 0 .. 63;
@opened = grep {
    my $altered = $good;
    my $c = substr $altered, $_, 1;
    substr $altered, $_, 1, $c eq '.' ? ',' : $alphabet[$place{$c} ^ 1];
    token($altered) != 401;
} 0 .. length($good) - 1;
is "@opened", '', 'nor with one bit of any character changed';

my ($header, $payload, $mac) = split /\./, $good;
my $plain = session_payload(@mine);
my $none = encode_base64url('{"alg":"none"}');
my $now = time;

# Signed by our own key where a name does not say otherwise.
my $jwt = '{"alg":"HS256","typ":"entitle+jwt"}';
my %refused = (
    'nothing'                => '',
    'one byte'               => 'x',
    'two dots'               => '..',
    'doubled'                => "$good.$good",
    'with a byte more'       => "${good}A",
    'padded'                 => "$good=",
    'in quotes'              => "\"$good\"",
    'percent-encoded'        => $good =~ s/\./%2E/gr,
    'signature missing'      => "$header.$payload.",
    'signature of zeros'     => "$header.$payload." . 'A' x 43,
    'two payloads'           => "$header.$payload.$payload.$mac",
    'alg none, no signature' => "$none.$payload.",
    'alg none, our signature'      => "$none.$payload.$mac",
    'alg none, signed'       => sign('{"alg":"none","typ":"entitle+jwt"}', $plain),
    'alg HS512'              => sign('{"alg":"HS512","typ":"entitle+jwt"}', $plain),
    'another typ'            => sign('{"alg":"HS256","typ":"JWT"}', $plain),
    'header in other order'  => sign('{"typ":"entitle+jwt","alg":"HS256"}', $plain),
    'crit in the header'     =>
        sign('{"alg":"HS256","typ":"entitle+jwt","crit":["b64"],"b64":false}', $plain),
    'another key'            => session(@mine, key => $key2),
    'the raw key'            => do {
        my $message = "$header.$payload";
        "$message." . encode_base64url(Digest::SHA::hmac_sha256($message, $key1));
    },
    'another mode'           => session(@mine, aud => audience([]) =~ s/test/live/r),
    'prefix and mode alone'  => session(@mine, aud => 'entitle:test'),
    'another server'         => session(@mine, aud => audience([], 'server:')),
    'another question'       => session(@mine, asked => \@app),
    'an audience that begins alike' => session(@mine, aud => audience([]) . 'x'),
    'no audience'            => session(@mine, aud => ''),
    'expired'                => session(@mine, iat => $now - 100, exp => $now - 1),
    'expires now'            => session(@mine, iat => $now - 100, exp => $now),
    'issued in the future'   => session(@mine, iat => $now + 600),
    'space'                  => sign($jwt, "$plain "),
    'a member more'          => sign($jwt, $plain =~ s/}$/,"admin":true}/r),
    'members in other order' => sign($jwt, $plain =~ s/("aud":"[^"]*"),("sub":"[^"]*")/$2,$1/r),
    'sub twice'              => sign($jwt, $plain =~ s/,"sv"/,"sub":"bob","sv"/r),
    'version as text'        => sign($jwt, $plain =~ s/"sv":(\d+)/"sv":"$1"/r),
    'version with an exponent' => sign($jwt, $plain =~ s/"sv":\d+/"sv":1767e9/r),
    'version with a zero before' => sign($jwt, $plain =~ s/"sv":/"sv":0/r),
    'version negative'       => session(@mine, version => '-1'),
    'version beyond 64 bits' => session(@mine, version => '9' x 20),
    'no user'                => session(@mine, user => ''),
    'a user of 256 bytes'    => session(@mine, user => 'u' x 256),
    'a control byte'         => session(@mine, user => "a\x01a"),
    'an escape'              => session(@mine, user => 'a\u0064a'),
    'not UTF-8'              => session(@mine, user => "ad\xe9"),
    'not JSON'               => sign($jwt, 'ada'),
    'an empty object'        => sign($jwt, '{}'),
    'a binding cut'          => session(@mine, bnd => substr binding(['s1']), 0, 21),
    'a binding of dots'      => session(@mine, bnd => '.' x 22),
    'no binding'             => session(@mine, bind => []),
    'bound to another'       => session(@mine, bind => ['s2']),
    'bound to more'          => session(@mine, bind => ['s1', 's1']),
    'bound under another key' => session(@mine, bnd => binding(['s1'], $key2)),
    '4 KiB, signed'          => sign($jwt, $plain =~ s/ada/'a' x 3000/er),
    '8 KiB of dots'          => '.' x 8192,
    '8 KiB of quotes'        => '"' x 8192,
    '8 KiB of equals signs'  => '=' x 8192,
    '8 KiB of commas'        => ',' x 8192,
    '8 KiB of bytes'         => join('', map { chr(128 + $_ % 128) } 1 .. 8192),
    '8 KiB of base64'        => encode_base64url(join '', map { chr($_ % 256) } 1 .. 6144),
    '64 KiB'                 => "$header." . 'A' x 65000 . ".$mac",
);
for my $name (sort keys %refused) {
    my $answer = ask('/pro', "app=s1; entitle=$refused{$name}");
    is $answer->status, 401, "refused: $name";
    is $answer->header('Set-Cookie'), undef, '  and nothing is given instead';
}
is token($good), 200, 'and the good one opens still';

# The app decides about those who come with a bad one, and is believed.
is ask('/asks', 'app=ada; entitle=rubbish')->status, 200, 'a_bad_cookie_is_as_none';
is ask('/asks', 'app=eve; entitle=' . session(@mine, bind => ['eve'], key => $key2,
    asked => \@app))->status,
    402, 'forged_for_somebody_else_it_says_nothing';

is ask('/why', "app=s1; entitle=$refused{$_->[0]}")->body, $_->[1], "said: $_->[1]"
    for ['another key', 'session_invalid'], ['expired', 'session_expired'],
        ['bound to another', 'session_unbound'], ['8 KiB of dots', 'session_invalid'];
is ask('/why', 'app=s1')->body, 'no_session', 'said: no_session';

# --- among others ------------------------------------------------------------

my $bobs = session(user => 'bob', version => $VERSION, bind => ['s1'], iat => time - 30);
my $older = session(@mine, iat => time - 60);
my @many = map { "c$_=" . 'v' x 20 } 1 .. 300;

is status("entitle=$good; app=s1"), 200, 'before the app\'s';
is status(" \t entitle = $good ;app=s1;"), 200, 'with spaces around';
is status(join '; ', 'app=s1', @many, "entitle=$good"), 200, 'last_of_302_cookies';
is status(join '; ', "entitle=$good", @many, 'app=s1'), 200, 'first';
is status(['app=s1', "entitle=$good"]), 200, 'in_another_line_as_http_2_sends_them';
is status(join '; ', 'app=s1', ('entitle=x') x 300, "entitle=$good"), 200,
    'a_good_one_among_301_of_its_name';
is status("app=s1; entitle=; entitle=$good; entitle=$refused{expired}"), 200,
    'bad ones do it no harm';
is status("app=s1; $_=$good"), 401, "not ours: $_"
    for qw(Entitle ENTITLE entitle2 xentitle __Host-entitle entitle[]);

is ask('/whose', "app=s1; entitle=$older; entitle=$bobs")->header('X-Whose'), 'bob',
    'of_two_good_ones_the_newer_counts';
is ask('/whose', "app=s1; entitle=$bobs; entitle=$older")->header('X-Whose'), 'bob',
    'whatever their order';

is status("app=s1; pref=a,b,c; entitle=$good; d=e,f"), 200, 'commas_are_bytes_of_a_value';
is status("app=s1; pref=a,entitle=$good"), 401, 'and separate nothing';
is status("app=s1,2; entitle=" . session(@mine, bind => ['s1,2'])), 200,
    'nor in what a session is bound to';
is status("app=s1,2; entitle=$good"), 401, 'whose first part is not enough';

# --- bound to the app's session ----------------------------------------------

is status("app=s2; entitle=$good"), 401, 'logged_in_as_somebody_else_it_is_worth_nothing';
is status("entitle=$good"), 401, 'nor logged out';
is status("app=; entitle=$good"), 401, 'nor with an empty one';
is status("app=S1; entitle=$good"), 401, 'case counts';
is status("app=s1; app=s2; entitle=$good"), 401, 'nor_with_a_second_one_slipped_in';

my $device = session(@mine, bind => ['s1', ['variable', '$http_x_device', 'd1']]);
is ask('/two', "app=s1; entitle=$device", 'X-Device' => 'd1')->status, 200,
    'bound_to_two_values';
is ask('/two', "app=s1; entitle=$device", 'X-Device' => 'd2')->status, 401, 'to each';
is ask('/two', "app=s1; entitle=$device")->status, 401, 'and none may be missing';
is ask('/two', "app=d1; entitle=$device", 'X-Device' => 's1')->status, 401,
    'nor change places';
is ask('/two', "app=s1d; entitle=" . session(@mine, bind => ['s1', ['variable', '$http_x_device', 'd1']]),
    'X-Device' => '1')->status, 401, 'nor share bytes';

# --- as it is set ------------------------------------------------------------

sub given {
    my ($port, $uri) = @_;
    my ($cookie) = $site->request(port => $site->port($port), uri => $uri,
        headers => [Cookie => 'app=ada'])->header_all('Set-Cookie');
    return $cookie // '';
}

my $begin = time;
my ($token, $attributes) = given('', '/asks') =~ /^entitle=([^;]+)(.*)/;
is $attributes, '; Max-Age=43200; Path=/; HttpOnly; SameSite=Lax', 'for plain HTTP at home';
my $claims = JSON::PP::decode_json(decode_base64url((split /\./, $token)[1]));
ok $claims->{iat} >= $begin && $claims->{iat} <= time, 'its time is now';
is $token, session(user => 'ada', version => $VERSION, bind => ['ada'], asked => \@app, iat => $claims->{iat}),
    'it_is_what_its_specification_says_byte_by_byte';

($token, $attributes) = given(2, '/default') =~ /^__Host-entitle=([^;]+)(.*)/;
is $attributes, '; Max-Age=43200; Path=/; Secure; HttpOnly; SameSite=Lax',
    'by_default_it_is_a_host_cookie';
($token, $attributes) = given(2, '/short') =~ /^__Host-entitle=([^;]+)(.*)/;
like $attributes, qr/^; Max-Age=90;/, 'its lifetime is what the directive says';
$claims = JSON::PP::decode_json(decode_base64url((split /\./, $token)[1]));
is $claims->{exp} - $claims->{iat}, 90, 'in the token too';
like given(4, '/named'),
    qr{^pass=[^;]+; Max-Age=43200; Path=/shop; Domain=example\.org; Secure; HttpOnly; SameSite=Strict$},
    'name, domain, path and samesite are what the directive says';

# A browser keeps 4096 bytes of a cookie, and no more.
put_record($redis, 'u' x 255, version => $VERSION);
my ($long) = $site->request(uri => '/asks', headers => [Cookie => 'app=' . 'u' x 255])
    ->header_all('Set-Cookie');
ok defined $long && length $long < 4096, 'the_longest_user_fits_a_cookie';

# --- other keys --------------------------------------------------------------

$site->reload(with_keys($key2, $key1));
$connection = $site->connect;
is token($good), 200, 'a_session_of_the_key_before_opens';
is token(session(@mine, key => $key2)), 200, 'and one of the new key';
is token(session(@mine, key => $key2, bnd => binding(['s1'], $key1))), 200,
    'bound under either';
($token) = given('', '/asks') =~ /^entitle=([^;]+)/;
$claims = JSON::PP::decode_json(decode_base64url((split /\./, $token)[1]));
is $token, session(user => 'ada', version => $VERSION, bind => ['ada'], asked => \@app, key => $key2,
    iat => $claims->{iat}), 'the_first_key_signs';

$site->reload(with_keys($key2));
$connection = $site->connect;
is token($good), 401, 'a_key_that_is_gone_opens_nothing';
is token(session(@mine, key => $key2)), 200, 'the one that is there does';

done_testing;
