# entitle_dry_run: all is found out, logged and told as by a gate that is shut, and
# nobody is refused, asked to log in or held. Every location stands here twice,
# behind the gate and behind its dry run, and what is said of a request is compared.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Time::HiRes qw(time);

my $VERSION = 1_767_000_000_000;
my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $app   = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { body => "content $r->{body}" } if $r->{uri} =~ m{^/(?:dry|real|any|pick)};
    my $user = $r->{cookies}{app} // '';
    return { status => 500 } if $user eq 'broken';
    return { status => 401, headers => ['Set-Cookie' => 'visit=1'] } if $user eq '' || $user eq 'out';
    return { status => 204, headers => ['X-User' => $user, 'Set-Cookie' => "seen=$user"] };
});
$site->write_file('html/page', 'page');

sub locations {
    my ($name) = @_;
    return <<"EOT";
    location /$name/ { proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /$name/file { try_files /page =404; }
    location = /$name/poll { entitle_poll 300ms; }
    location = /$name/waits { entitle_wait 20s; try_files /page =404; }
    location = /$name/there { entitle_redirect /elsewhere; }
    location = /$name/buy {
        entitle_require off;
        entitle_redirect https://buy.example/?client_reference_id=\$entitle_client_reference_id;
    }
    location = /$name/known { entitle_trusted_user \$arg_who_known; try_files /page =404; }
EOT
}

my $real = locations('real');
my $dry  = locations('dry') =~ s/\{/{ entitle_dry_run on;/gr;
my $http = <<"EOT";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_lease 1s;
entitle_stale 0;
entitle_grant pro prod_Pro;
entitle_grace 0s;
%%SESSIONS%%
log_format told "\$uri \$status \$entitle_decision \$entitle_reason \$entitle_user";
access_log %%DIR%%/logs/told.log told;
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    %%REAUTH%%
    entitle_require pro;
    entitle_login_url /login;
    error_page 402 /paywall;
    add_header X-Said "\$entitle_user|\$entitle_version|\$entitle_decision|\$entitle_reason|\$entitle_entitlements|\$entitle_until" always;
    set \$known_name \$http_x_known;
    location = /whoami { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /paywall { entitle off; return 402 'please pay'; }
    $real
    $dry
    location = /any/gated { entitle_dry_run on; satisfy any; deny all; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /any/open { entitle_dry_run on; satisfy any; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /dry/on { entitle_dry_run on; try_files /none /real/file; }
    location = /real/on { try_files /none /dry/file; }
    location = /dry/inner { entitle_dry_run on; if (\$arg_x) { add_header X-If 1; } proxy_pass http://127.0.0.1:${\$app->port}; }
    location /inherits/ { entitle_dry_run on; location = /inherits/file { try_files /page =404; }
        location = /inherits/shut { entitle_dry_run off; try_files /page =404; } }
}
EOT
$http =~ s/\$arg_who_known/\$known_name/g;
$site->start($http);
like $site->log, qr/\[warn\] .*entitle: dry run: \d+ locations let everybody by/,
    'the log says at the start that doors stand open';

put_record($redis, 'ada', version => $VERSION, subscription('active'));
put_record($redis, 'eve', version => $VERSION, subscription('canceled', ended_at => int(time) - 60));
my %now = (ada => $VERSION, eve => $VERSION, bob => 0);
sub session_of { return "app=$_[0]; entitle=" . session(user => $_[0], version => $now{ $_[0] }, bind => [$_[0]]) }

my @who = (
    ['nobody', undef], ['an app\'s guest', 'app=out'], ['who has bought', session_of('ada')],
    ['who never bought', session_of('bob')], ['whose time is over', session_of('eve')],
    ['a stale session', 'app=ada; entitle=' . session(user => 'ada', version => 7, bind => ['ada'])],
    ['another\'s session', 'app=eve; entitle=' . session(user => 'ada', version => $VERSION, bind => ['ada'])],
    ['no session yet', 'app=bob'], ['an app that fails', 'app=broken'], ['garbage', 'app=x; entitle=..%00'],
);
my @how = (
    ['a page', GET => (Accept => 'text/html')], ['a script', GET => (Accept => 'application/json')],
    ['HEAD', HEAD => (Accept => 'text/html')],
    ['a form', POST => (Accept => 'text/html', 'Content-Type' => 'application/x-www-form-urlencoded')],
    ['an API', PUT => (Accept => '*/*')],
);

sub ask {
    my ($uri, $method, $cookie, @headers) = @_;
    return $site->request(uri => $uri, method => $method,
        headers => [@headers, defined $cookie ? (Cookie => $cookie) : ()],
        $method =~ /^P/ ? (body => 'sent') : ());
}
sub cookies_of { return join ' ', sort map { /^([^=]+)=/ ? $1 : () } $_[0]->header_all('Set-Cookie') }

# --- what is said of a request is what the gate would have said ------------------------

for (@who) {
    my ($who, $cookie) = @$_;
    for (@how) {
        my ($how, $method, @headers) = @$_;
        my $shut = ask('/real/x', $method, $cookie, @headers);
        my $asked = $app->seen('/whoami');
        $app->forget;
        my $open = ask('/dry/x', $method, $cookie, @headers);
        is $open->status, 200, "$who, $how: is not refused";
        is $open->header('X-Said'), $shut->header('X-Said'), '  and is known as ever';
        is cookies_of($open), cookies_of($shut), '  and gets the cookies';
        is $open->body, $method eq 'HEAD' ? '' : 'content ' . ($method =~ /^P/ ? 'sent' : ''),
            '  and the content, whole';
        like $open->header('Cache-Control'), qr/\bprivate\b/, '  kept from others';
        is $open->header($_), undef, "  without $_" for qw(WWW-Authenticate Location Retry-After);
        my ($seen) = $app->seen('/dry/x');
        my %told = map { lc $_->[0] => $_->[1] } @{ $seen->{headers} };
        my ($user, $version, undef, undef, $entitlements) = split /\|/, $shut->header('X-Said');
        is $told{'x-entitle-user'} // '', $user, '  the app is told who';
        is $told{'x-entitle-entitlements'} // '', $entitlements, '  and what is held';
        $app->forget;
    }
}
my $told = $site->read_file('logs/told.log');
like $told, qr{^/dry/x 200 pay not_entitled bob$}m, 'the access log says what would have been';
like $told, qr{^/dry/x 200 login no_session -$}m, '  of a guest';
like $told, qr{^/dry/x 200 error reauth_failed}m, '  and of trouble';
like $site->log, qr/\[warn\] .*entitle: dry run, let by: login for "nobody": no_session/, 'the error log does';
like $site->log, qr/\[info\] .*entitle: dry run, let by: pay for "bob": not_entitled/, '  for each';
my @loud = $site->log =~ /\[warn\] [^\n]*dry run, let by/g;
cmp_ok scalar(@loud), '<=', 3, '  but aloud once a minute';

# --- the memory -----------------------------------------------------------------------

{
    my $client = $site->connect;
    my $said = '';
    for (1 .. 5) {
        my $answer = $client->request(uri => '/dry/file', headers => [Cookie => session_of('ada')]);
        is $answer->status, 200, 'who is remembered is let in';
        $said = $answer->header('X-Said');
        like $said, qr/^ada\|$VERSION\|allow\|ok\|pro\|\d+$/, '  and known';
    }
    for (1 .. 3) {
        my $answer = $client->request(uri => '/dry/file', headers => [Cookie => session_of('bob')]);
        is $answer->header('X-Said'), 'bob|0|pay|not_entitled||', 'who is let by is decided anew';
        is ask('/real/file', 'GET', session_of('bob'))->status, 402, '  and opens nothing elsewhere';
    }
}

# --- roles ----------------------------------------------------------------------------

my $begin = time;
is ask('/dry/waits', 'GET', session_of('bob'))->status, 200, 'nobody_is_held';
is ask('/dry/waits', 'GET', 'app=bob')->status, 200, '  just asked about, either';
cmp_ok time - $begin, '<', 5 * patience(), '  not even for a moment';
is ask('/dry/there', 'GET')->status, 303, 'a redirect is followed by anybody';
is ask('/dry/buy', 'GET', undef, Accept => 'text/html')->status, 302, 'who buys has to be known';
like ask('/dry/buy', 'GET', undef, Accept => 'text/html')->header('Location'), qr{/login$}, '  and logs in first';
like ask('/dry/buy', 'GET', session_of('bob'))->header('Location'), qr/client_reference_id=[\w-]{20}/, '  then is sent';
is ask('/dry/poll', 'GET')->status, 401, 'a poll says what is so: to a guest';
is ask('/dry/poll', 'GET', session_of('bob'))->status, 204, '  to who has not bought';
is ask('/dry/poll', 'GET', session_of('ada'))->status, 200, '  and to who has';

# --- others' rules, other locations ----------------------------------------------------

is ask('/any/gated', 'GET', session_of('ada'))->status, 200, 'satisfy_any: who would be let in is';
is ask('/any/gated', 'GET', session_of('bob'))->status, 403, '  who would not is left to the other rules';
is ask('/any/open', 'GET')->status, 200, '  which may let him by';
is ask('/dry/on', 'GET', session_of('bob'))->status, 402, 'a redirect to a shut gate is refused there';
is ask('/real/on', 'GET', session_of('bob'))->status, 402, '  and a shut gate leads nowhere';
is ask('/dry/on', 'GET', session_of('ada'))->status, 200, '  but who has bought is in';
is ask('/dry/inner?x=1', 'GET')->status, 200, 'in an if, too';
is ask('/inherits/file', 'GET')->status, 200, 'it is inherited';
is ask('/inherits/shut', 'GET')->status, 401, '  and can be off again';
is ask('/dry/known', 'GET', undef, 'X-Known' => '')->status, 200, 'who is known otherwise';

# --- HTTP/2 ------------------------------------------------------------------------------

{
    my $port = $site->port(2);
    my $h2 = sub {
        my ($uri, @more) = @_;
        my $said = qx(curl -sS --max-time 20 --http2-prior-knowledge -o /dev/null -w '%{http_code} %{http_version}' @more http://127.0.0.1:$port$uri 2>&1);
        return $said;
    };
    is $h2->('/real/x'), '401 2', 'HTTP/2: a guest at the gate';
    is $h2->('/dry/x'), '200 2', '  at its dry run';
    is $h2->('/dry/x', '-d', 'x=1'), '200 2', '  with a form';
}

# --- without Redis --------------------------------------------------------------------------

$site->expect_log(qr/redis/i, qr/re-authentication "\/whoami" answered an error/, qr/access forbidden by rule/);
$redis->stop;
wait_until(sub { ask('/real/file', 'GET', session_of('ada'))->status == 503 }, 20);
my $down = ask('/dry/file', 'GET', session_of('ada'), Accept => 'text/html');
is $down->status, 200, 'without Redis nobody is refused';
like $down->header('X-Said'), qr/\|error\|redis_unreachable\|/, '  and it is said';

# --- what nginx -t says -----------------------------------------------------------------------

my $check = Test::Entitle->new;
my $asks = 'entitle_session_key_file %%KEY%%; entitle_session_cookie e secure=off; entitle_reauth /_who;'
    . ' entitle_reauth_user header=X; entitle_session_bind cookie=s;';
for (
    ['where nobody is asked', 'location / { entitle on; } location /x { entitle_dry_run on; }',
        qr/"entitle_dry_run" does nothing where nobody is asked who is there/],
    ['where nobody is refused', 'location / { entitle optional; entitle_dry_run on; }',
        qr/"entitle_dry_run" does nothing where nobody is refused a page/],
    ['at a poll', 'location / { entitle_poll 3s; entitle_dry_run on; }', qr/does nothing where nobody is refused a page/],
    ['at a checkout', 'location / { entitle on; entitle_redirect https://b.example/?c=$entitle_client_reference_id;'
        . ' entitle_dry_run on; }', qr/does nothing where nobody is refused a page/],
    ['beside satisfy any', 'location / { entitle on; satisfy any; deny all; entitle_dry_run on; }',
        qr/"entitle_dry_run" beside "satisfy any": .* still refused/],
) {
    my ($name, $conf, $warning) = @$_;
    my ($accepted, $said) = $check->config_test("$asks server { listen 127.0.0.1:%%PORT%%; $conf }");
    ok $accepted, "$name: accepted" or diag $said;
    like $said, qr/\[warn\].*$warning.*in \S+nginx\.conf:\d+/, '  with a warning';
}
for ('entitle_dry_run on; location / { entitle on; }', 'location / { entitle on; entitle_dry_run off; }',
    'entitle_dry_run on; location / { entitle on; } location = /p { entitle_poll 3s; }') {
    my ($accepted, $said) = $check->config_test("$asks server { listen 127.0.0.1:%%PORT%%; $_ }");
    ok $accepted, "accepted: $_" or diag $said;
    unlike $said, qr/\[warn\]/, '  without a word';
}
my ($accepted, $said) = $check->config_test("$asks server { listen 127.0.0.1:%%PORT%%; entitle_dry_run maybe; }");
ok !$accepted, 'another word is refused';
like $said, qr/"maybe" in "entitle_dry_run": it must be on or off/, '  saying what is allowed';

done_testing;
