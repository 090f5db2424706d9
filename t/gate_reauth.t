# Asking the app who this is: once for all requests alike, without what belongs
# to the client's own request, whatever the app answers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Digest::SHA ();
use Time::HiRes qw(time);

my $site = Test::Entitle->new;
my $redis = $site->redis;

# The app's cookie says what it does: app=<user>.<behaviour>.<anything>
my $chunk = 'x' x 1024;
my %behaviour = (
    in       => sub { (status => 204, headers => ['X-User' => $_[0]]) },
    slow     => sub { (status => 204, headers => ['X-User' => $_[0]], delay => 0.5) },
    held     => sub { (status => 204, headers => ['X-User' => $_[0]], hold => 1) },
    page     => sub { (headers => ['X-User' => $_[0], 'Content-Type' => 'text/html'],
            body => '<p>hello') },
    401      => sub { (status => 401) },
    403      => sub { (status => 403) },
    302      => sub { (status => 302, headers => [Location => '/login', 'X-User' => $_[0]]) },
    404      => sub { (status => 404) },
    429      => sub { (status => 429) },
    500      => sub { (status => 500, headers => ['X-User' => $_[0]]) },
    503      => sub { (status => 503, headers => ['Set-Cookie' => 'app=; Max-Age=0']) },
    nameless => sub { () },
    empty    => sub { (headers => ['X-User' => '']) },
    twice    => sub { (status => 204, headers => ['X-User' => $_[0], 'X-User' => 'eve']) },
    hang     => sub { (hang => 1) },
    close    => sub { (raw => '') },
    cut      => sub { (raw => "HTTP/1.1 204 ok\r\nX-User: $_[0]") },
    rubbish  => sub { (raw => "\x00\x01 what?\r\n\r\n") },
    big      => sub { (headers => ['X-User' => $_[0]], body => $chunk x 1024) },
    rotate   => sub { (status => 204, headers => ['X-User' => $_[0],
            'Set-Cookie' => "app=$_[0].in.new; Path=/; HttpOnly",
            'Set-Cookie' => 'seen=1']) },
    rotateheld => sub { (status => 204, hold => 1, headers => ['X-User' => $_[0],
            'Set-Cookie' => "app=$_[0].in.new; Path=/; HttpOnly"]) },
    logout   => sub { (status => 401, headers => ['Set-Cookie' => 'app=; Max-Age=0']) },
    accel    => sub { (headers => ['X-User' => $_[0], 'X-Accel-Redirect' => '/secret']) },
    # In the answer's body.
    name     => sub { (body => qq({"user":{"id":"$_[0]"}})) },
    number   => sub { (body => '{"user":{"id":42}}') },
    null     => sub { (body => '{"user":{"id":null}}') },
    false    => sub { (body => '{"user":{"id":false}}') },
    nobody   => sub { (body => '{"user":{"id":""}}') },
    absent   => sub { (body => '{"session":{}}') },
    object   => sub { (body => '{"user":{"id":{"id":1}}}') },
    true     => sub { (body => '{"user":{"id":true}}') },
    text     => sub { (body => 'ada') },
    nothing  => sub { () },
    half     => sub { (raw => "HTTP/1.1 200 ok\r\nContent-Length: 100\r\n\r\n"
            . qq({"user":{"id":"$_[0]"}})) },
    chunked  => sub { (raw => "HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n"
            . "8\r\n{\"user\":\r\nb\r\n{\"id\":\"ada\"\r\n2\r\n}}\r\n0\r\n\r\n") },
    unended  => sub { (raw => "HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n"
            . "15\r\n{\"user\":{\"id\":\"ada\"}}\r\n") },
    long     => sub { (body => qq({"user":{"id":"$_[0]"},"x":") . 'x' x 60000 . '"}') },
    megabyte => sub { (body => qq({"user":{"id":"$_[0]"},"x":") . $chunk x 1024 . '"}') },
    megachunk => sub { (raw => "HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\n"
            . "15\r\n{\"user\":{\"id\":\"ada\"}}\r\n"
            . ("400\r\n" . ' ' x 1024 . "\r\n") x 1024 . "0\r\n\r\n") },
    gzip     => sub { (headers => ['Content-Encoding' => 'gzip'],
            body => "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56") },
);
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { upgrade => 1 } if $r->{uri} eq '/socket';
    return { body => "$r->{method} " . length($r->{body}) . ' '
            . Digest::SHA::sha1_hex($r->{body}) } if $r->{uri} =~ /^\/content/;
    return { status => 204, headers => ['X-User' => 'token'] }
        if ($r->{cookies}{app} // '') eq '' && $r->{uri} eq '/auth';
    my ($user, $does) = split /\./, $r->{cookies}{app} // 'x.401';
    return { $behaviour{$does}->($user) };
});
my $port = $app->port;

$site->write_file('html/file', join '', map { chr(97 + $_ % 26) } 0 .. 9999);
$site->write_file('html/public.html', 'not for errors of the app');
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
%%SESSIONS%%
client_max_body_size 10m;
map \$http_upgrade \$connection_upgrade { default upgrade; '' close; }
map \$upstream_http_x_user \$named { ~^(?<n>.+)\$ \$n; default ''; }
proxy_http_version 1.1;
upstream app { server 127.0.0.1:$port; }

server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    entitle_require pro;
    entitle_reauth /auth;
    entitle_reauth_user header=X-User;
    entitle_session_bind cookie=app;
    location = /auth { internal; proxy_read_timeout 5s; proxy_pass http://app/auth; }
    location = /intercepted {
        internal;
        proxy_intercept_errors on;
        error_page 401 403 404 500 503 =200 /public.html;
        proxy_pass http://app/auth;
    }
    location = /refused { internal; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location = /static { internal; alias %%DIR%%/html/public.html; }
    location = /upgrades {
        internal;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection \$connection_upgrade;
        proxy_pass http://app/auth;
    }
    location = /public.html { entitle off; }
    location = /secret { internal; return 200 secret; }

    location /content { proxy_pass http://app; }
    location = /streamed { proxy_request_buffering off; proxy_pass http://app/content; }
    location = /file { }
    location = /socket {
        entitle_reauth /upgrades;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection \$connection_upgrade;
        proxy_pass http://app;
    }
    location = /optional { entitle_reauth_user header=X-User optional; try_files /file =404; }
    location = /json { entitle_reauth_user json=/user/id; entitle_require pro;
        add_header X-Is \$entitle_user; try_files /file =404; }
    location = /empty { entitle_reauth /void; entitle_reauth_user json=/id; try_files /file =404; }
    location = /void { internal; return 204; }
    location = /variable { entitle_reauth_user \$named; try_files /file =404; }
    location = /intercepts { entitle_reauth /intercepted; try_files /file =404; }
    location = /unreachable { entitle_reauth /refused; try_files /file =404; }
    location = /misconfigured { entitle_reauth /static; try_files /file =404; }
    location = /nowhere { entitle_reauth /no-such-location; try_files /file =404; }
    location /unbound { entitle_session_bind \$scheme; try_files /file =404; }
    location = /tokens { entitle_session_bind \$http_authorization; try_files /file =404; }
}
EOT

my $VERSION = 1_767_000_000_000;
$Test::Entitle::GateSession::ASKED = ['/auth', 'header=x-user'];
put_record($redis, $_, version => $VERSION, subscription('active'))
    for qw(ada bob token 42);

# Logged in at the app, with a session that a purchase has made stale.
sub stale {
    my ($app, %o) = @_;
    my ($user) = split /\./, $app;
    return "app=$app; entitle=" . session(user => $user, version => 7, bind => [$app], %o);
}
sub ask {
    my ($uri, $cookie, %r) = @_;
    return $site->request(uri => $uri, %r,
        headers => [@{ $r{headers} // [] }, defined $cookie ? (Cookie => $cookie) : ()]);
}
sub asked { return scalar(my @seen = $app->seen('/auth')) }
# The app answers so many questions, once everybody has come to the gate: the one
# worker takes whoever comes in order, and a guest is told at once.
sub let_go {
    my ($questions) = @_;
    ask('/file');
    $app->wait_for($questions, '/auth');
    $app->release;
}

# --- once for all requests alike ---------------------------------------------

{
    $app->forget;
    my $cookie = stale('ada.held');
    my @all = map { $site->connect->send(uri => '/file', headers => [Cookie => $cookie]) }
        1 .. 100;
    let_go(1);
    my @answers = map { $_->receive } @all;
    is scalar(grep { $_->status == 200 } @answers), 100,
        'a_hundred_requests_of_one_stale_session_pass';
    is asked(), 1, 'and_the_app_is_asked_once';
    my %cookies = map { join('|', $_->header_all('Set-Cookie')) => 1 } @answers;
    is scalar(keys %cookies), 1, 'all_get_the_same_cookie';
    like((keys %cookies)[0], qr/^entitle=ey[^|]+$/, 'which is a session');
}

{
    $app->forget;
    my @alike = ('app=ada.held', 'app=bob.held', 'app=ada.held; theme=dark', 'app=ada.held');
    my @all = map { $site->connect->send(uri => '/file', headers => [Cookie => $_]) } @alike;
    my @all_hosts = map { $site->connect->send(uri => '/file', host => $_,
        headers => [Cookie => 'app=ada.held']) } qw(a.example b.example);
    my @authorized = map { $site->connect->send(uri => '/file',
        headers => [Cookie => 'app=ada.held', Authorization => $_]) } qw(A B);
    let_go(7);
    my @users = map { ($_->receive->cookies) } @all;
    my %sub;
    for my $connection (@all_hosts, @authorized) { $connection->receive }
    is asked(), 7, 'different_cookies_hosts_and_authorizations_never_share';
}

{
    $app->forget;
    my @pairs = map { my $n = $_; map { [$_, $site->connect->send(uri => '/json',
        headers => [Cookie => "app=$_.name.$n"])] } qw(ada bob) } 1 .. 10;
    my @wrong = grep { ($_->[1]->receive->header('X-Is') // '') ne $_->[0] } @pairs;
    is scalar(@wrong), 0, 'two_users_at_the_same_moment_are_never_mixed_up';
}

{
    $app->forget;
    my @guests = map { $site->connect->send(uri => $_) } ('/file') x 2, ('/unbound') x 2;
    is $_->receive->status, 401, 'a_guest_without_anything' for @guests;
    is asked(), 0, 'is_not_asked_about';
    is ask('/file', 'theme=dark')->status, 200, 'who_lacks_the_bound_cookie_may_be_known_by_another';
    is asked(), 1, 'and is asked about';

    $app->forget;
    @guests = map { $site->connect->send(uri => '/unbound', headers => [Cookie => $_]) }
        'app=a.slow; id=1', 'app=b.401; id=2';
    my @status = map { $_->receive->status } @guests;
    is asked(), 2, 'two_guests_with_cookies_do_not_share';
    is $status[1], 401, 'and one is not the other';

    is ask('/tokens', undef, headers => [Authorization => 'Bearer x'])->status, 200,
        'an Authorization alone is something to go by';
}

# Requests that follow are asked about again only when they need be.
{
    my $answer = ask('/file', stale('ada.in'));
    my %cookies = $answer->cookies;
    $app->forget;
    is ask('/file', "app=ada.in; entitle=$cookies{entitle}")->status, 200,
        'with_the_new_cookie';
    is asked(), 0, 'nobody_asks_again';
}

# --- what it answers ---------------------------------------------------------

my %guest = map { $_ => 401 } qw(401 403 302);
my %failure = map { $_ => 503 }
    qw(404 429 500 503 nameless empty twice hang close cut rubbish accel);
my %passes = map { $_ => 200 } qw(in page big);

for my $does (sort keys %guest, keys %passes, keys %failure) {
    my $want = $guest{$does} // $failure{$does} // $passes{$does};
    $app->forget;
    my $answer = ask('/file', stale("ada.$does"));
    is $answer->status, $want, "answers $does: $want";
    is asked(), 1, '  and is asked once';
    is scalar(my @set = $answer->header_all('Set-Cookie')), $want == 200 ? 1 : 0,
        '  and nobody is logged out';
    is defined $answer->header('Retry-After'), $want == 503, '  come again?';
    unlike $answer->body, qr/secret/, '  and nothing leaks';
}
is ask('/optional', stale("ada.$_"))->status, 401, "optional: $_ is a guest"
    for qw(nameless empty);
is ask('/optional', stale('ada.500'))->status, 503, 'an error is none';
is ask('/empty', stale('ada.in'))->status, 503, 'an empty answer has no JSON';
ok $site->wait_for_log(qr{"/void" answered .*an empty answer, where JSON is read}), 'and_the_log_says_that_it_is_empty';

my %json = (name => 200, number => 200, chunked => 200, long => 200,
    null => 401, false => 401, nobody => 401, absent => 401, 401 => 401,
    object => 503, true => 503, text => 503, nothing => 503, half => 503,
    unended => 503, megabyte => 503, megachunk => 503, gzip => 503, close => 503, 500 => 503);
for my $does (sort keys %json) {
    is ask('/json', "app=ada.$does")->status, $json{$does}, "JSON $does: $json{$does}";
}
is ask('/json', 'app=ada.number')->header('X-Is'), '42', 'numbers_become_decimal_text';
is ask('/json', 'app=bob.name')->header('X-Is'), 'bob', 'names stay';

my %variable = (in => 200, 401 => 401, nameless => 503, 500 => 503);
for my $does (sort keys %variable) {
    is ask('/variable', "app=ada.$does")->status, $variable{$does},
        "variable, $does: $variable{$does}";
}

is ask('/intercepts', "app=ada.$_->[0]")->status, $_->[1],
    "an error page for visitors does not change the app's $_->[0]"
    for [401, 401], [500, 503], ['in', 200];
is ask($_, 'app=ada.in')->status, 503, "nobody is let in by $_"
    for qw(/unreachable /misconfigured /nowhere);

# --- what it is asked with ---------------------------------------------------

{
    $app->forget;
    my $answer = ask('/content/1?x=y', stale('ada.in'), method => 'POST',
        body => 'b' x 100, headers => [
            'Content-Type' => 'text/plain', Range => 'bytes=0-1', Expect => '100-continue',
            'If-None-Match' => '"x"', 'If-Modified-Since' => 'Thu, 01 Jan 2026 00:00:00 GMT',
            'If-Match' => '*', 'If-Unmodified-Since' => 'Thu, 01 Jan 2026 00:00:00 GMT',
            'If-Range' => '"x"', 'Accept-Encoding' => 'gzip', Upgrade => 'websocket', TE => 'trailers',
            'Content-Encoding' => 'identity', 'X-Entitle-User' => 'eve',
            'User-Agent' => 'test', 'Accept-Language' => 'de', Authorization => 'Bearer t',
            'X-Forwarded-For' => '192.0.2.1',
        ]);
    is $answer->status, 200, 'a request with all kinds of headers';
    my ($question) = $app->seen('/auth');
    my %has = map { lc $_->[0] => $_->[1] } @{ $question->{headers} };
    is $question->{method}, 'GET', 'the_question_is_a_GET';
    is $question->{body}, '', 'without a body';
    ok !exists $has{lc $_}, "without $_" for qw(Content-Length Transfer-Encoding
        Content-Type Content-Encoding Range Expect If-None-Match If-Modified-Since
        If-Match If-Unmodified-Since If-Range Accept-Encoding Upgrade TE
        X-Entitle-User X-Entitle-Version X-Entitle-Entitlements);
    like $has{cookie}, qr/^app=ada\.in; entitle=ey/, 'with the cookies';
    is $has{authorization}, 'Bearer t', 'and who it says it is';
    is $has{'user-agent'}, 'test', 'and with what';
    is $has{'accept-language'}, 'de', 'and in which language';
    my ($content) = $app->seen('/content/1');
    %has = map { lc $_->[0] => $_->[1] } @{ $content->{headers} };
    is $content->{uri}, '/content/1?x=y', 'the_request_itself_keeps_its_query';
    is $content->{body}, 'b' x 100, 'and body';
    is $has{$_}, { range => 'bytes=0-1', 'if-none-match' => '"x"',
        'accept-encoding' => 'gzip', 'content-type' => 'text/plain' }->{$_}, "and $_"
        for qw(range if-none-match accept-encoding content-type);
}

# --- the request behind the gate ---------------------------------------------

for my $uri (qw(/content /streamed)) {
    for my $size (0, 1, 8191, 8192, 8193, 20_000, 1_000_000) {
        my $body = join '', map { chr(33 + ($_ * 7) % 90) } 1 .. $size;
        my $want = "$size " . Digest::SHA::sha1_hex($body);
        my $method = $size % 2 ? 'PUT' : 'POST';
        is ask($uri, stale('ada.in'), method => $method, body => $body)->body,
            "$method $want", "$method of $size bytes arrives whole at $uri";
    }
    is ask($uri, stale('ada.in'), method => 'POST', chunks => ['ab' x 5000, 'cd' x 5000])->body,
        'POST 20000 ' . Digest::SHA::sha1_hex('ab' x 5000 . 'cd' x 5000),
        "a chunked one too";
    is $site->connect->request(uri => $uri, method => 'POST', body => 'x' x 50_000,
        pieces => 10, headers => [Cookie => stale('ada.slow')])->body,
        'POST 50000 ' . Digest::SHA::sha1_hex('x' x 50_000),
        'and one that comes while the app thinks';
}
{
    # On a connection that is kept, nothing of the body is left over.
    my $connection = $site->connect;
    is $connection->request(method => 'POST', uri => '/content', body => 'y' x 3000,
        headers => [Cookie => stale('ada.401')])->status, 401, 'a refused POST';
    is $connection->request(uri => '/file', headers => [Cookie => stale('ada.in')])->status,
        200, 'leaves_its_connection_usable';
}

my $answer = ask('/file', stale('ada.in'), headers => [Range => 'bytes=26-29']);
is $answer->status, 206, 'a_range_request_behind_a_question';
is $answer->body, 'abcd', 'gets its range';
my $etag = $answer->header('ETag');
$answer = ask('/file', stale('ada.in'), headers => ['If-None-Match' => $etag]);
is $answer->status, 304, 'a conditional one is answered 304';
ok scalar(grep { /^entitle=ey/ } $answer->header_all('Set-Cookie')), 'and gets its cookie';
is ask('/file', stale('ada.in'), headers => ['If-Match' => '"other"'])->status, 412,
    'or 412';
is ask('/file', stale('ada.in'), method => 'HEAD')->status, 200, 'HEAD';

{
    $app->forget;
    my $socket = $site->connect->send(uri => '/socket', headers => [
        Connection => 'Upgrade', Upgrade => 'websocket', Cookie => stale('ada.in'),
        'Sec-WebSocket-Version' => 13, 'Sec-WebSocket-Key' => 'eA==']);
    wait_until(sub { $socket->_more(time + 1); $socket->{buffer} =~ /\r\n\r\n/ });
    like $socket->{buffer}, qr{^HTTP/1\.1 101 }, 'a_websocket_is_upgraded';
    my ($question) = $app->seen('/auth');
    is scalar(Test::Entitle::GateApp::header($question, 'Upgrade')), 0,
        'and the question was not';
    $socket->{buffer} = '';
    $socket->write('hello');
    ok wait_until(sub { $socket->_more(time + 1); $socket->{buffer} eq 'hello' }),
        'and talks both ways';
    is ask('/socket', stale('ada.401'), headers => [Connection => 'Upgrade',
        Upgrade => 'websocket'])->status, 401, 'a guest gets none';
}

# --- HTTP/2 ------------------------------------------------------------------

{
    $app->forget;
    my $cookie = stale('ada.slow.h2');
    my $out = qx(h2load -n 30 -c 1 -m 30 -H 'cookie: $cookie' http://127.0.0.1:${\$site->port(2)}/file 2>&1);
    like $out, qr/status codes: 30 2xx/, 'thirty streams of one connection pass';
    is asked(), 1, 'after one question';
    my $body = $site->write_file('body', 'z' x 300_000);
    $cookie = stale('ada.in');
    is qx(curl -s --http2-prior-knowledge -X POST --data-binary \@$body -H 'Cookie: $cookie' http://127.0.0.1:${\$site->port(2)}/content),
        'POST 300000 ' . Digest::SHA::sha1_hex('z' x 300_000), 'a_POST_over_HTTP_2_arrives_whole';
    like qx(nghttp -nv -d $body -H 'Cookie: app=ada.401' http://127.0.0.1:${\$site->port(2)}/content 2>&1),
        qr/:status: 401/, 'or is refused';
    $cookie = stale('ada.slow.gone');
    is system("curl -s -m 0.2 --http2-prior-knowledge -H 'Cookie: $cookie' http://127.0.0.1:${\$site->port(2)}/file >/dev/null") >> 8,
        28, 'a stream is given up';
    is ask('/file', stale('ada.in'))->status, 200, 'which the worker survives';
}

# --- clients that leave ------------------------------------------------------

{
    $app->forget;
    my $cookie = stale('ada.held.leave');
    my ($first, @rest) = map {
        $site->connect->send(uri => '/file', headers => [Cookie => $cookie]) } 1 .. 6;
    ask('/file');
    $app->wait_for(1, '/auth');
    $first->close;
    let_go(2);
    is scalar(grep { $_->receive->status == 200 } @rest), 5,
        'when_the_one_that_asks_leaves_the_others_are_answered';
    is asked(), 2, 'after one of them asked again';

    $app->forget;
    my @all = map { $site->connect->send(uri => '/file',
        headers => [Cookie => stale('ada.held.all')]) } 1 .. 6;
    ask('/file');
    $app->wait_for(1, '/auth');
    $_->reset for @all;
    is ask('/file', stale('ada.in'))->status, 200, 'all of them may leave';

    $app->forget;
    my @waiters = map { $site->connect->send(uri => '/file',
        headers => [Cookie => stale('ada.held.wait')]) } 1 .. 6;
    ask('/file');
    $waiters[$_]->reset for 2, 3;
    let_go(1);
    is scalar(grep { $_->receive->status == 200 } @waiters[0, 1, 4, 5]), 4,
        'one that only waited leaves no trace';
}

# --- cookies the app gives on the way ----------------------------------------

{
    my $answer = ask('/file', stale('ada.rotate'));
    my @set = $answer->header_all('Set-Cookie');
    is $set[0], 'app=ada.in.new; Path=/; HttpOnly', 'a_rotated_cookie_reaches_the_client';
    is $set[1], 'seen=1', 'all of them do';
    my %cookies = $answer->cookies;
    is $answer->header('Cache-Control'), 'private, no-store', 'and no cache';
    $app->forget;
    is ask('/file', "app=ada.in.new; entitle=$cookies{entitle}")->status, 200,
        'the_session_is_bound_to_the_new_one';
    is asked(), 0, 'and needs no question';
    ask('/file', "app=ada.rotate; entitle=$cookies{entitle}");
    is asked(), 1, 'with the old one it is worth nothing';

    $app->forget;
    my $cookie = stale('ada.rotateheld');
    my @all = map { $site->connect->send(uri => '/file', headers => [Cookie => $cookie]) } 1 .. 10;
    let_go(1);
    my %got = map { join('|', $_->receive->header_all('Set-Cookie')) => 1 } @all;
    is asked(), 1, 'one question';
    is scalar(keys %got), 1, 'and every request of the flight gets the same cookies';
    like((keys %got)[0], qr/^app=ada\.in\.new; Path=\/; HttpOnly\|entitle=ey/, 'both');

    $answer = ask('/file', stale('ada.logout'));
    is $answer->status, 401, 'an app that logs out with its answer';
    is_deeply [$answer->header_all('Set-Cookie')], ['app=; Max-Age=0'],
        'has its cookie removed, and ours is not renewed';
}

# --- a version that rises in between -----------------------------------------

{
    my $key = 'entitle:test:{u:bob}';
    $app->forget;
    my $waiting = $site->connect->send(uri => '/file', headers => [Cookie => stale('bob.held')]);
    $app->wait_for(1, '/auth');
    $redis->command('HINCRBY', $key, 'version', 1);
    $app->release;
    my $answer = $waiting->receive;
    is $answer->status, 200, 'a version that rises while the app is asked';
    my %cookies = $answer->cookies;
    $waiting = $site->connect->send(uri => '/file',
        headers => [Cookie => "app=bob.held; entitle=$cookies{entitle}"]);
    let_go(2);
    $waiting->receive;
    is asked(), 2, 'is_not_covered_by_its_answer';
    my $now = int time;
    my $session = session(user => 'bob', version => $VERSION + 1, bind => ['bob.in']);
    is ask('/file', "app=bob.in; entitle=$session")->status, 200, 'fresh';
    $app->forget;
    $redis->command('HINCRBY', $key, 'version', 1);
    is ask('/file', "app=bob.in; entitle=$session")->status, 200, 'and one that rose';
    is asked(), 1, 'is noticed by the next request';
    $redis->command('DEL', $key);
    $app->forget;
    is ask('/file', "app=bob.in; entitle=$session")->status, 402, 'a record that is gone opens nothing';
    is asked(), 1, 'and its sessions are stale';
}

$site->expect_log(qr/entitle: re-authentication "\/\S+" answered /,
    qr/upstream (?:timed out|prematurely closed|sent)|connect\(\) failed/,
    qr/open\(\) "\S+no-such-location" failed/);
done_testing;
