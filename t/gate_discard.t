# A body that nginx throws away while the page of its 413 stands behind a gate
# that waits: for the app, for Redis, for a purchase. The worker lives, the answer
# comes, and the request ends when the body does or the client goes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Test::Entitle::Jwt;
use Time::HiRes qw(sleep time);

my $site  = Test::Entitle->new(workers => 1);
my $redis = $site->redis;
my $jwt   = Test::Entitle::Jwt->rsa;
$site->write_file('jwt.pem', $jwt->public_pem);
$site->write_file('html/413.html', 'too large');
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { delay => 0.3, body => "the page of $r->{uri}" } if $r->{uri} ne '/whoami';
    my $user = $r->{cookies}{app} or return { status => 401, delay => 0.3 };
    return { status => 204, delay => 0.3, headers => ['X-User' => $user] };
});
my $whoami = 'location = /whoami { internal; proxy_pass http://127.0.0.1:' . $app->port . '; }';
my $asked  = 'entitle_reauth /whoami; entitle_reauth_user header=X-User; entitle_session_bind cookie=app;';
put_record($redis, $_, version => 1_767_000_000_000, subscription('active')) for 'ada', map { "u$_" } 1 .. 40;

$site->start(<<"EOT2");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 3s;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_grant gold prod_Gold;
entitle_jwt_key_file %%DIR%%/jwt.pem;
%%SESSIONS%%
client_max_body_size 4k;
error_page 413 /413.html;
server {
    listen 127.0.0.1:%%PORT%%;
    $whoami
    location / { $asked entitle optional; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    location / { entitle_jwt \$http_authorization; entitle_require pro; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    location / { entitle_jwt \$http_authorization; entitle_require gold; entitle_wait 1s; }
}
server {
    listen 127.0.0.1:%%PORT4%%;
    location / { entitle_jwt \$http_authorization; entitle_require gold; entitle_poll 1s; }
}
server {
    listen 127.0.0.1:%%PORT5%%;
    $whoami
    location / { entitle_logout all; $asked }
}
server {
    listen 127.0.0.1:%%PORT6%%;
    location / { entitle_status; }
}
server {
    listen 127.0.0.1:%%PORT7%%;
    $whoami
    location / { $asked entitle on; proxy_pass http://127.0.0.1:${\$app->port}; }
}
server {
    listen 127.0.0.1:%%PORT8%%;
    location / {
        entitle_jwt \$http_authorization;
        entitle_require pro;
        proxy_pass http://127.0.0.1:${\$app->port};
    }
}
server {
    listen 127.0.0.1:%%PORT9%%;
    $whoami
    error_page 502 /refused;
    lingering_timeout 1s;
    location / { set \$memcached_key x; memcached_pass 127.0.0.1:1; }
    location = /refused { $asked entitle on; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /another { return 200 another; }
}
EOT2

my $BODY = 'x' x 1_000_000;
my $users = 0;
sub bearer { return 'Authorization: Bearer ' . $jwt->token({ sub => 'u' . ++$users, exp => time + 600 }) }

# Announces a body; whether and when it comes is the caller's.
sub announce {
    my ($port, @headers) = @_;
    my $connection = $site->connect(port => $site->port($port == 1 ? "" : $port), timeout => 15);
    $connection->write(join "\r\n", 'POST / HTTP/1.1', 'Host: localhost', @headers,
        'Content-Length: ' . length $BODY, '', '');
    $connection->{method} = 'POST';
    return $connection;
}

for (
    ['an_app_that_is_asked',  1, qr/^413$/, 0, sub { 'Cookie: app=ada' }],
    ['a_guest_it_says',       1, qr/^413$/, 0, sub { 'Cookie: seen=1' }],
    ['a_token_and_redis',     2, qr/^413$/, 1, \&bearer],
    ['a_wait',                3, qr/^402$/, 0, \&bearer],
    ['a_poll',                4, qr/^(?:204|413)$/, 0, \&bearer],
    ['a_logout',              5, qr/^\d+$/, 1, sub { 'Cookie: app=ada' }],
    ['a_status',              6, qr/^\d+$/, 1, sub { () }],
) {
    my ($name, $port, $status, $slow, $header) = @$_;
    $redis->command('CLIENT', 'PAUSE', 300) if $slow;

    my $connection = announce($port, $header->());
    sleep 0.05;
    $connection->write($BODY);
    my $answer = eval { $connection->receive };
    like $answer ? $answer->status : $@, $status, "${name}_while_a_body_comes";

    $redis->command('CLIENT', 'PAUSE', 300) if $slow;
    $connection = announce($port, $header->());
    $connection->write('x' x 1000);
    $connection->reset;    # leaves in the middle

    $connection = announce($port, $header->());
    $connection->write($BODY) if $port != 1;
    $answer = eval { $connection->receive };
    like $answer ? $answer->status : $@, $status, '  and when another left';
    $connection->close;
}
# Only the header comes, the page of the 413 is the app's, and the client goes: at
# once, while it is asked about, while the app makes the page.
for my $leave (qw(close reset)) {
    $redis->command('CLIENT', 'PAUSE', 300);
    my @waiting;
    for my $n (1 .. 4) {
        push @waiting, [map { announce(@$_) } [7, 'Cookie: app=ada'], [7, 'Cookie: seen=1'],
            [7, "Cookie: app=ada; n=$leave$n"], [8, bearer()]];
    }
    for my $after (0, 0.1, 0.3, 0.3) {
        sleep $after;
        $_->$leave for @{ shift @waiting };
    }
    my $stays = announce(7, 'Cookie: app=ada');
    my $page = $stays->receive;
    is $page->status, 413, "who_stays_is_answered_where_others_${leave}_after_the_header";
    is $page->body, 'the page of /413.html', '  with the page of the app, which waits for no body';
    $stays->close;
}
{
    # The rest of a body that nobody reads is no request of its own.
    my $hidden = "GET /another HTTP/1.1\r\nHost: localhost\r\n\r\n";
    my $connection = $site->connect(port => $site->port(9), timeout => 5);
    $connection->write(join "\r\n", 'GET / HTTP/1.1', 'Host: localhost', 'Cookie: app=ada',
        'Content-Length: ' . 2 * length $hidden, '', '');
    $connection->{method} = 'GET';
    $connection->write($hidden);
    is $connection->receive->status, 502, 'a page of an error that is behind a gate';
    $connection->write($hidden);
    is $connection->receive->status, 0, 'ends_the_connection_with_what_comes_of_the_body';
}
is scalar($site->worker_pids), 1, 'the worker';
unlike $site->log, qr/exited on signal/, 'lived_through_it';
ok wait_until(sub { $site->get('/413.html')->status == 200 }), 'and_serves';
$site->expect_log(qr/client intended to send too large body/, qr/connect\(\) failed/);
done_testing;
