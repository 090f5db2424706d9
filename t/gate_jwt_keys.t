# Keys of the app's JWTs that are fetched: how often, with what, and what a
# provider that misbehaves does to visitors.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::Jwt qw(jwks);
use JSON::PP ();
use Time::HiRes qw(sleep time);

my $rsa  = Test::Entitle::Jwt->rsa;
my $weak = Test::Entitle::Jwt->rsa(1024);
my $ed   = Test::Entitle::Jwt->ed25519;
my $new  = Test::Entitle::Jwt->ed25519;
my $ec   = Test::Entitle::Jwt->ec;
my $good = jwks($rsa->jwk(kid => 'a'), $ed->jwk(kid => 'e'));

my $site = Test::Entitle->new;
$site->redis;
my $private = JSON::PP->new->decode(jwks($ed->jwk(kid => 'p', d => 'AAAA')))->{keys}[0];

my %behaviour = (
    good     => { body => $good },
    shared   => { body => $good },
    asked    => { body => $good },
    slow     => { body => $good, delay => 0.5 },
    leave    => { body => $good, hold => 1 },
    alone    => { body => $good, delay => 0.5 },
    post     => { body => $good, delay => 0.2 },
    h2       => { body => $good, delay => 0.3 },
    abort    => { body => $good, hold => 1 },
    ignore   => { body => $good, hold => 1 },
    reload   => { body => $good, hold => 1 },
    hinted   => { body => $good, headers => ['X-Accel-Buffering' => 'no'] },
    mixed    => { body => $good },
    only     => { body => $good },
    partly   => { body => jwks($weak->jwk(kid => 'w'), { kty => 'XYZ', kid => 'x' },
            $rsa->jwk(kid => 'a'), $ed->jwk(kid => 'a'), $private) },
    padded   => { body => $good . ' ' x (65536 - length $good) },

    hang     => { hang => 1 },
    500      => { status => 500 },
    404      => { status => 404, body => $good },
    204      => { status => 204 },
    302      => { status => 302, headers => [Location => '/keys/good'], body => $good },
    close    => { raw => '' },
    cut      => { raw => "HTTP/1.1 200 ok\r\nContent-Length: 5000\r\n\r\n$good" },
    garbage  => { body => '<html>' },
    twice    => { body => '{"keys":[],"keys":[]}' },
    empty    => { body => '{"keys":[]}' },
    weak     => { body => jwks($weak->jwk(kid => 'a')) },
    private  => { body => jwks($private) },
    gzip     => { headers => ['Content-Encoding' => 'gzip'], body => $good },
    megabyte => { body => $good . ' ' x (1 << 20) },
    over     => { body => $good . ' ' x (65537 - length $good) },
    megachunk => { raw => "HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n"
            . sprintf("%x\r\n%s\r\n", length $good, $good)
            . ("400\r\n" . ' ' x 1024 . "\r\n") x 1024 . "0\r\n\r\n" },
);
my @failures = qw(hang 500 404 204 302 close cut garbage twice empty weak private gzip
    megabyte over megachunk);
# These answer what stands in a file.
my @kept = qw(rotate kidless failing flood);
my %now = map { $_ => { body => $good } } @kept;
sub serve {
    my ($name, $answer) = @_;
    $site->write_file("keys.$name.new", JSON::PP->new->latin1->encode($answer));
    rename $site->dir . "/keys.$name.new", $site->dir . "/keys.$name" or die;
}
serve($_, { body => $good }) for @kept;

my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my ($name) = $r->{uri} =~ m{^/keys/(\w+)} or return { body => length $r->{body} };
    return { hang => 1 } if $name eq 'stuck';
    return { %{ $behaviour{$name} } } if $behaviour{$name};
    return JSON::PP->new->latin1->decode($site->read_file("keys.$name"));
});
my $port = $app->port;

$site->write_file('html/index.html', 'the lesson');
$site->write_file('ec.json', jwks($ec->jwk(kid => 'f')));
my $locations = join '', map { <<"EOT2" } grep { $_ ne 'only' } keys %behaviour, @kept, 'stuck';
    location /$_/ { alias %%DIR%%/html/; entitle on; entitle_jwt_key_request /keys/$_; }
EOT2
$locations =~ s{keys/asked}{keys/asked?for=asked};
my $http = <<"EOT2";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
proxy_http_version 1.1;
proxy_read_timeout 1s;
client_max_body_size 10m;
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    entitle_jwt \$http_authorization;
    add_header X-Who \$entitle_user always;
    add_header X-Why \$entitle_reason always;
    location /keys/ { internal; proxy_pass http://127.0.0.1:$port; }
    location = /unbuffered { internal; proxy_buffering off; proxy_pass http://127.0.0.1:$port/keys/good; }
    location /unbuffered/ { alias %%DIR%%/html/; entitle on; entitle_jwt_key_request /unbuffered; }
    location = /keys/abort  { internal; proxy_read_timeout 30s; proxy_pass http://127.0.0.1:$port; }
    location = /keys/ignore { internal; proxy_read_timeout 30s; proxy_ignore_client_abort on;
        proxy_pass http://127.0.0.1:$port; }
    location = /keys/stuck  { internal; proxy_read_timeout 30s; proxy_pass http://127.0.0.1:$port; }
$locations
    location /shared/too/ { alias %%DIR%%/html/; entitle on; entitle_jwt_key_request /keys/shared;
        entitle_jwt_issuer https://idp.example; }
    location /post/app { entitle on; entitle_jwt_key_request /keys/post; proxy_pass http://127.0.0.1:$port; }
    location /mixed/both/ { alias %%DIR%%/html/; entitle on; entitle_jwt_key_request /keys/mixed;
        entitle_jwt_key_file %%DIR%%/ec.json; }
    location /only/ {
        alias %%DIR%%/html/;
        entitle on;
        entitle_jwt_key_request /keys/only;
        location /only/file/ { alias %%DIR%%/html/; entitle on; entitle_jwt_key_file %%DIR%%/ec.json; }
    }
    location /file/ { alias %%DIR%%/html/; entitle on; entitle_jwt_key_request /keyfile; }
    location = /keyfile { internal; sendfile on; deny all; alias %%DIR%%/ec.json; }
    location /nowhere/ { alias %%DIR%%/html/; entitle on; entitle_jwt_key_request /no/such; }
}
EOT2
$site->start($http);

sub token { my ($key, $kid, %claims) = @_;
    return $key->token({ sub => 'ada', iat => time, exp => int(time) + 600, %claims },
        header => { defined $kid ? (kid => $kid) : () }) }
sub with { my ($token, $uri, @more) = @_;
    return $site->get($uri, Authorization => "Bearer $token", @more) }
sub asked { my ($name) = @_; return scalar(my @seen = $app->seen("/keys/$name")) }
my $known   = token($rsa, 'a');
my $known_e = token($ed, 'e');

# --- how often ---------------------------------------------------------------

is $site->get('/good/')->status, 401, 'a_guest';
is $site->get('/good/', Authorization => 'Bearer nonsense')->status, 401, 'or nonsense';
is with('eyJhbGciOiJub25lIn0.e30.', '/good/')->status, 401, 'or a token of no algorithm';
is asked('good'), 0, 'needs_no_keys';
my $first = with($known, '/good/');
is $first->status, 200, 'a_token_signed_by_a_fetched_key_is_believed';
is $first->header('X-Who'), 'ada', 'and names its user';
is with($known_e, '/good/')->status, 200, 'another key of that set';
is with(token($rsa, 'a', n => $_), '/good/')->status, 200, 'more tokens' for 1 .. 3;
is with(token($ed, 'a'), '/good/')->status, 401, 'a_kid_pins_its_key';
is with(token($new, 'e'), '/good/')->status, 401, 'and a signature must hold';
is with($rsa->token({ sub => 'ada', exp => time - 9 }, header => { kid => 'a' }), '/good/')
    ->header('X-Why'), 'session_expired', 'and so must the claims';
is asked('good'), 1, 'all_by_one_fetch';

{
    my @all = map { $site->connect->send(uri => '/slow/',
        headers => [Authorization => "Bearer $known"]) } 1 .. 100;
    is scalar(grep { $_->receive->status == 200 } @all), 100,
        'a_hundred_requests_that_need_keys_at_once_pass';
    is asked('slow'), 1, 'by_one_fetch';
}
is with($known, '/shared/')->status, 200, 'two_locations_of_one_URI';
is with($known, '/shared/too/')->status, 401, 'have rules of their own';
is with(token($rsa, 'a', iss => 'https://idp.example'), '/shared/too/')->status, 200,
    'and the same keys';
is asked('shared'), 1, 'fetched once';

# --- with what ---------------------------------------------------------------

{
    my $answer = $site->request(uri => '/asked/?x=y', method => 'POST', body => 'b' x 100,
        headers => [Authorization => "Bearer $known", Cookie => 'app=secret', 'X-Api-Key' => 'k',
            'Proxy-Authorization' => 'p', 'X-Forwarded-For' => '192.0.2.9',
            Range => 'bytes=0-1', 'If-None-Match' => '"x"', 'Accept-Encoding' => 'gzip',
            'Content-Type' => 'text/plain', 'User-Agent' => 'client', Referer => 'http://r/']);
    is $answer->status, 405, 'a POST to a file is past the gate';
    my ($question) = $app->seen('/keys/asked');
    my %has = map { lc $_->[0] => $_->[1] } @{ $question->{headers} };
    is $question->{method}, 'GET', 'keys_are_fetched_by_GET';
    is $question->{uri}, '/keys/asked?for=asked', 'with the query that was configured';
    is $question->{body}, '', 'without a body';
    delete $has{connection};    # the proxy's own, where nginx sends one
    is join(' ', sort keys %has), 'accept host user-agent',
        'and_nothing_of_the_client_goes_along';
    is $has{'user-agent'}, 'nginx-entitle', 'not even what it is';
}

is with($known, '/unbuffered/')->status, 200, 'keys_come_without_buffering';
is with($known, '/hinted/')->status, 200, 'or where the answer says so';

# --- the request that waited -------------------------------------------------

{
    my $answer = $site->connect->request(method => 'POST', uri => '/post/app',
        body => 'x' x 200_000, headers => [Authorization => "Bearer $known"]);
    is $answer->body, '200000', 'a_POST_arrives_whole';
    my $out = qx(h2load -n 20 -c 1 -m 20 -H 'authorization: Bearer $known' http://127.0.0.1:${\$site->port(2)}/h2/ 2>&1);
    like $out, qr/status codes: 20 2xx/, 'twenty_streams_of_one_HTTP_2_connection_pass';
    is asked('h2'), 1, 'by one fetch';
}

# --- keys that change --------------------------------------------------------

is with($known, "/$_/")->status, 200, "keys of $_" for @kept;
serve(rotate  => { body => jwks($new->jwk(kid => 'n')) });
serve(kidless => { body => jwks($new->jwk(kid => 'n')) });
serve(failing => { status => 500 });
my $next = token($new, 'n');
is with($next, '/rotate/')->status, 503, 'a_new_key_is_not_looked_for_twice_in_a_moment';
ok with($next, '/rotate/')->header('Retry-After'), '  and who has one is told to come again';
is asked('rotate'), 1, 'and nobody is asked';

my $stuck = $site->connect->send(uri => '/stuck/', headers => [Authorization => "Bearer $known"]);
$app->wait_for(1, '/keys/stuck');
my $behind = $site->connect->send(uri => '/stuck/', headers => [Authorization => "Bearer $known"]);
my $AGAIN = 5.2;    # seconds until a provider is asked once more
my $changed = time;

# --- what comes back ---------------------------------------------------------

$site->expect_log(qr{no keys from "/keys/$_"}) for @failures;
$site->expect_log(qr{upstream}, qr{no keys from "/no/such"}, qr{open\(\) "[^"]*/no/such" failed});
{
    my %sent = map { $_ => $site->connect->send(uri => "/$_/",
        headers => [Authorization => "Bearer $known"]) } @failures;
    for my $name (@failures) {
        my $answer = $sent{$name}->receive;
        is $answer->status, 503, "keys that are $name: nobody is let in, nor logged out";
        is $answer->header('X-Why'), 'jwt_keys_unreachable', '  and why';
        ok $answer->header('Retry-After'), '  come again';
        is with($known, "/$name/")->status, 503, '  again at once';
        is asked($name), 1, '  and the provider is not asked again';
        my @said = $site->log =~ m{no keys from "/keys/$name"}g;
        is scalar(@said), 1, '  one line in the log';
    }
}
is with($known, '/nowhere/')->status, 503, 'no such location';
is with($known, '/padded/')->status, 200, 'exactly_64_KiB_are_read';

is with($known, '/partly/')->status, 200, 'the_good_key_of_a_set_is_used';
is with(token($weak, 'w'), '/partly/')->status, 503, 'a weak one is not: perhaps there is a newer';
is with(token($ed, 'a'), '/partly/')->status, 401, 'nor a second one of its kid';
like $site->log, qr/\[warn\].*"\/keys\/partly" one is not used: key $_/, 'which is logged'
    for '1 \(kid "w"\): .*RSA', '2 \(kid "x"\): unknown "kty"', '4 \(kid "a"\): another',
    '5 \(kid "p"\): holds a private';

is with(token($ec, 'f'), '/file/')->status, 200, 'a_location_that_serves_a_file';

# --- beside files ------------------------------------------------------------

is with(token($ec, 'f'), '/mixed/both/')->status, 200, 'a_key_of_a_file';
is asked('mixed'), 0, 'needs no fetch';
is with($known, '/mixed/both/')->status, 200, 'and_a_fetched_one';
is with(token($ec, 'f'), '/mixed/both/')->status, 200, 'stand side by side';
is with(token($ec, 'f'), '/only/')->status, 401, 'but not where only one is named';
is with($known, '/only/')->status, 200, 'a level';
is with(token($ec, 'f'), '/only/file/')->status, 200, 'that names keys';
is with($known, '/only/file/')->status, 401, 'replaces those of the outer one';

# --- who leaves --------------------------------------------------------------

{
    my ($first, @rest) = map {
        my $c = $site->connect->send(uri => '/leave/', headers => [Authorization => "Bearer $known"]);
        $app->wait_for(1, '/keys/leave');
        $c;
    } 1 .. 6;
    is $site->get('/good/')->status, 401, 'a guest who comes last';    # so all are there
    $first->close;
    $app->release;
    is scalar(grep { $_->receive->status == 200 } @rest), 5,
        'when_the_first_one_leaves_the_others_are_answered';
    is asked('leave'), 1, 'by the fetch that it began';

    my $alone = $site->connect->send(uri => '/alone/', headers => [Authorization => "Bearer $known"]);
    $app->wait_for(1, '/keys/alone');
    $alone->reset;
    is with($known, '/alone/')->status, 200, 'who_comes_after_one_that_left_is_answered';
    is asked('alone'), 1, 'by that fetch';

    # As often as a stranger likes, whatever the location says of such clients.
    for my $name (qw(abort ignore)) {
        for my $i (1 .. 8) {
            my $stranger = $site->connect->send(uri => "/$name/",
                headers => [Authorization => "Bearer $known"]);
            $app->wait_for(1, "/keys/$name");
            $i % 2 ? $stranger->reset : $stranger->close;
            $site->get('/good/');    # so it is known to be gone
        }
        for my $i (1 .. 4) {
            system qw(curl -s -o /dev/null --http2-prior-knowledge -m 0.2 -H),
                "Authorization: Bearer $known", "http://127.0.0.1:${\$site->port(2)}/$name/";
            $site->get('/good/');
        }
        my $honest = $site->connect->send(uri => "/$name/",
            headers => [Authorization => "Bearer $known"]);
        $site->get('/good/');
        $app->release;
        is $honest->receive->status, 200, "strangers_who_leave_starve_nobody_of_keys ($name)";
        is asked($name), 1, '  and cost one fetch';
    }
}

# --- keys that have changed --------------------------------------------------

sleep $AGAIN - (time - $changed) if time < $changed + $AGAIN;

{
    my @tokens = map { token($new, "k$_") } 1 .. 50;    # signed, which takes its time
    my @flood = map { $site->connect->send(uri => '/flood/',
        headers => [Authorization => "Bearer $_"]) } @tokens;
    # Who waited for the fetch knows; who came after it is told to come again.
    is scalar(grep { $_->receive->status =~ /^(?:401|503)$/ } @flood), 50, 'fifty tokens of unknown keys';
    is asked('flood'), 2, 'make_one_fetch';
    is with($known, '/flood/')->status, 200, 'and do nobody else any harm';
}
is with($known, '/rotate/')->status, 200, 'before';
is with($next, '/rotate/')->status, 200, 'a_rotated_key_is_fetched';
is asked('rotate'), 2, 'once';
is with($known, '/rotate/')->status, 503,
    'and_a_token_of_a_key_that_is_gone_is_no_longer_believed';
is with(token($new), '/kidless/')->status, 200, 'also for a token that names no key';
is asked('kidless'), 2, 'once';

is with($next, '/failing/')->status, 503, 'what_cannot_be_known_is_not_a_logout';
is asked('failing'), 2, 'was tried';
$changed = time;

{
    my $answer = $behind->receive;
    is $answer->status, 503, 'nobody_waits_for_ever_behind_a_provider_that_hangs';
    is asked('stuck'), 1, 'which is asked once';
    my $began = time;
    is with($known, '/stuck/')->status, 503, 'and who comes later';
    cmp_ok time - $began, '<', 3, 'is told at once';
    $stuck->close;
}

# --- configuration -----------------------------------------------------------

my $check = Test::Entitle->new;
for (
    ['keys', qr/"keys".*begins with/],
    ['https://idp.example/keys', qr/begins with/],
    ['/keys/$host', qr/takes no variables/],
    ['/a; entitle_jwt_key_request /b', qr/duplicate/],
    ['', qr/number of arguments/],
) {
    my ($value, $pattern) = @$_;
    my ($accepted, $said) = $check->config_test(
        "server { listen 127.0.0.1:%%PORT%%; location / { entitle on; entitle_jwt \$http_authorization;"
            . " entitle_jwt_key_request $value; } }");
    ok !$accepted, "\"$value\" is refused";
    like $said, $pattern, '  saying why';
}

# --- keys that are gone ------------------------------------------------------

sleep $AGAIN - (time - $changed) if time < $changed + $AGAIN;
is with($known, '/rotate/')->status, 401, 'once the newest keys were asked for, a token of none of them is refused';
is with($_, '/failing/')->status, 200, 'and_leaves_the_old_keys_in_use' for $known, $known_e;
$site->expect_log(qr{no keys from "/keys/failing": an error \(status 500\), those of before stay});

# --- reload ------------------------------------------------------------------

{
    my $waits = $site->connect->send(uri => '/reload/', headers => [Authorization => "Bearer $known"]);
    $app->wait_for(1, '/keys/reload');
    $site->reload($http);
    $app->release;
    is $waits->receive->status, 200, 'who_waits_for_keys_at_a_reload_is_answered';
    $waits = $site->connect->send(uri => '/reload/', headers => [Authorization => "Bearer $known"]);
    $app->wait_for(2, '/keys/reload');
    $app->release;
    is $waits->receive->status, 200, 'and the new worker';
    is asked('reload'), 2, 'fetches for itself';
}

done_testing;
