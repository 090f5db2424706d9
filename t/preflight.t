# A browser's question whether it may ask: it carries no credentials, so a gate
# would always refuse it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $app = Test::Entitle->new;
$app->start(<<'EOF');
server {
    listen 127.0.0.1:%%PORT%%;
    location / {
        add_header Access-Control-Allow-Origin https://shop.example;
        return 204;
    }
    # As many backends: whatever the method, the page.
    location /allow/page/ { add_header Access-Control-Allow-Origin *; return 200 "the paid page"; }
    location /allow/kept/ { add_header Cache-Control "public, max-age=600"; return 204; }
    location /allow/signed/ {
        add_header Set-Cookie "dl=secret" always;
        add_header Content-Disposition 'attachment; filename="secret"' always;
        add_header Link "<secret>" always;
        add_header X-Secret secret always;
        add_header WWW-Authenticate secret always;
        add_header Access-Control-Allow-Origin * always;
        add_header Vary Origin always;
        add_header Allow "GET, PUT" always;
        location /allow/signed/302 { return 302 https://files.example/?signature=secret; }
        location /allow/signed/200 { default_type application/secret; return 200 secret; }
        location /allow/signed/403 { return 403; }
        location /allow/signed/503 { return 503; }
    }
    location /allow/hands-over/ { add_header X-Accel-Redirect /file; return 200; }
}
EOF

my $site = Test::Entitle->new;
$site->{ports}{2} = $app->port;
$site->redis;
$site->write_file('html/file', 'the paid file');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
%%SESSIONS%%
%%ASKED%%
server {
    listen 127.0.0.1:%%PORT%%;
    location /gate/  { entitle_require pro; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /file { internal; error_page 405 = @get; }
    location @get { rewrite ^ /allow/page/ break; proxy_method GET; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location /allow/ {
        entitle_require pro;
        entitle_preflight allow;
        proxy_pass http://127.0.0.1:%%PORT2%%;
        location /allow/not/ { entitle_preflight gate; proxy_pass http://127.0.0.1:%%PORT2%%; }
        location /allow/static/ { error_page 405 = /file; try_files /file =404; }
        location /allow/cors/ {
            add_header Access-Control-Allow-Origin https://shop.example always;
            proxy_hide_header Access-Control-Allow-Origin;
            proxy_pass http://127.0.0.1:%%PORT2%%;
        }
        location /allow/denied/ { deny all; proxy_pass http://127.0.0.1:%%PORT2%%; }
    }
}
EOF

my @preflight = (Origin => 'https://shop.example', 'Access-Control-Request-Method' => 'PUT');
sub ask {
    my ($uri, $method, @headers) = @_;
    return $site->request(uri => $uri, method => $method, headers => \@headers);
}
is ask('/gate/', 'OPTIONS', @preflight)->status, 401, 'a_preflight_is_gated_by_default';
my $answer = ask('/allow/', 'OPTIONS', @preflight);
is $answer->status, 204, 'and passes where it is allowed';
is $answer->header('Access-Control-Allow-Origin'), 'https://shop.example', '  to the app';
is $answer->header('Cache-Control'), 'private, no-cache', '  whose answer is kept like any of a gate';
is ask('/allow/kept/', 'OPTIONS', @preflight)->header('Cache-Control'), 'private, max-age=600',
    '  also where it says otherwise';
for my $uri (qw(/allow/page/ /allow/hands-over/ /allow/static/)) {
    my $answer = ask($uri, 'OPTIONS', @preflight);
    is $answer->body, '', "the_answer_of_a_preflight_has_no_body: $uri, " . $answer->status;
    is ask($uri, 'GET')->status, 401, '  and what it asks about is gated';
}
# Nor anything else that is no answer to a preflight.
for my $case ([200, 200], [302, 403], [403, 403], [503, 503]) {
    my ($said, $seen) = @$case;
    my $answer = ask("/allow/signed/$said", 'OPTIONS', @preflight);
    is $answer->status, $seen, "a_backend_that_answers_$said";
    unlike join("\n", map { "$_->[0]: $_->[1]" } @{ $answer->{headers} }), qr/secret/, '  tells nothing of it';
    is $answer->header('Access-Control-Allow-Origin'), '*', '  but what a preflight asks';
    is $answer->header($_->[0]), $_->[1], "  $_->[0]" for [Vary => 'Origin'], [Allow => 'GET, PUT'];
}
{
    my $connection = $site->connect;
    is $connection->request(uri => '/allow/page/', method => 'OPTIONS', headers => [@preflight])->status,
        200, 'a preflight that is answered with a page';
    is $connection->request(uri => '/allow/page/')->status, 401, '  leaves the connection as it was';
}
for my $case ([OPTIONS => 204, @preflight[2, 3]], [GET => 401], [POST => 401]) {
    my ($method, $status, @headers) = @$case;
    my $answer = ask('/allow/cors/', $method, Origin => 'https://shop.example', @headers);
    is $answer->status, $status, "$method from another origin";
    is join(', ', $answer->header_all('Access-Control-Allow-Origin')), 'https://shop.example',
        '  a_script_may_see_the_refusal, where add_header says always';
}
is ask('/allow/', 'OPTIONS')->status, 401, 'any_other_options_does_not';
is ask('/allow/', 'OPTIONS', @preflight[0, 1])->status, 401, 'nor one without a method';
is ask('/allow/', 'OPTIONS', @preflight[2, 3])->status, 401, 'nor one without an origin';
is ask('/allow/', 'OPTIONS', Origin => '', @preflight[2, 3])->status, 401, 'nor one with an empty one';
is ask('/allow/', 'OPTIONS', @preflight, Connection => 'upgrade', Upgrade => 'websocket')->status, 401,
    'nor_one_that_asks_for_a_tunnel';
is $site->request(uri => '/allow/', method => 'OPTIONS', headers => \@preflight, body => 'x=1')->status, 401,
    'nor_one_that_brings_a_body';
is ask('/allow/', 'GET', @preflight)->status, 401, 'nor what it asks about';
is ask('/allow/not/', 'OPTIONS', @preflight)->status, 401, 'an inner location may say otherwise';
is ask('/allow/denied/', 'OPTIONS', @preflight)->status, 403, 'and other rules hold';
$site->expect_log(qr/access forbidden by rule/);

my ($accepted, $said) = Test::Entitle->new->config_test('entitle_preflight maybe;');
ok !$accepted, 'another word is refused';
like $said, qr/"maybe".*allow.*gate/, '  with what is allowed';

done_testing;
