# X-Entitle-* of the request, which nobody but us can set; $entitle_* wherever
# variables are taken; Cache-Control of the answer.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;

my $site = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/page', 'page');
$site->write_file('html/dir/index.html', 'index');

my %apps = map { $_ => Test::Entitle::GateApp->new($site, sub { {
    headers => [
        map { ('Cache-Control' => $_) }
            map { s/\+/ /gr } ($_[0]{uri} =~ /[?&]cc=([^&]*)/g),
    ],
    body => 'app',
} }, protocol => $_) } qw(http fastcgi scgi uwsgi);
my %at = map { $_ => $apps{$_}->port } keys %apps;

# gRPC is HTTP/2: an nginx that knows nothing of us takes it for an app.
$apps{grpc} = Test::Entitle::GateApp->new($site, sub { { body => 'app' } });
$at{grpc} = $site->port('GRPC');
my $h2 = Test::Entitle::GateApp::behind_http2($site, $at{grpc}, $apps{grpc});

$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
%%SESSIONS%%
%%ASKED%%
log_format who '\$request_uri user=\$entitle_user version=\$entitle_version decision=\$entitle_decision reason=\$entitle_reason has=\$entitle_entitlements until=\$entitle_until';
map \$entitle_user \$greeting { default 'hello \$entitle_user'; '' stranger; }
limit_req_zone \$entitle_user zone=each:1m rate=1r/m;
underscores_in_headers on;
ignore_invalid_headers off;
fastcgi_param REQUEST_METHOD \$request_method;
fastcgi_param REQUEST_URI \$request_uri;
scgi_param REQUEST_METHOD \$request_method;
scgi_param REQUEST_URI \$request_uri;
uwsgi_param REQUEST_METHOD \$request_method;
uwsgi_param REQUEST_URI \$request_uri;

server {
    listen 127.0.0.1:%%PORT%%;
    entitle_require pro;
    location /http    { proxy_pass http://127.0.0.1:$at{http}; }
    location /fastcgi { fastcgi_pass 127.0.0.1:$at{fastcgi}; }
    location /scgi    { scgi_pass 127.0.0.1:$at{scgi}; }
    location /uwsgi   { uwsgi_pass 127.0.0.1:$at{uwsgi}; }
    location /grpc    { grpc_pass grpc://127.0.0.1:$at{grpc}; }
    location /optional/ { entitle optional; proxy_pass http://127.0.0.1:$at{http}; }
    location /known/  { entitle optional; fastcgi_pass 127.0.0.1:$at{fastcgi}; }
    location /off/ {
        entitle off;
        location /off/http    { proxy_pass http://127.0.0.1:$at{http}; }
        location /off/fastcgi { fastcgi_pass 127.0.0.1:$at{fastcgi}; }
        location /off/scgi    { scgi_pass 127.0.0.1:$at{scgi}; }
        location /off/uwsgi   { uwsgi_pass 127.0.0.1:$at{uwsgi}; }
        location /off/grpc    { grpc_pass grpc://127.0.0.1:$at{grpc}; }
    }
    location = /any/allowed { satisfy any; allow all; proxy_pass http://127.0.0.1:$at{http}; }
    location = /any/gated   { satisfy any; deny all; proxy_pass http://127.0.0.1:$at{http}; }
    location = /any/public { satisfy any; allow all; expires 1h;
        add_header Cache-Control "public, s-maxage=600"; try_files /page =404; }
    location = /again { rewrite ^ /http/again; }
    location = /tried { try_files /nothing /http/tried; }
    location = /named { error_page 404 = \@app; return 404; }
    location \@app { proxy_pass http://127.0.0.1:$at{http}; }
    location = /as {
        proxy_set_header X-User "\$entitle_user/\$entitle_version/\$entitle_entitlements";
        proxy_pass http://127.0.0.1:$at{http};
    }

    location = /shown {
        access_log %%DIR%%/logs/who.log who;
        add_header X-User \$entitle_user;
        add_header X-Greeting \$greeting;
        error_page 402 = \@pay;
        try_files /page =404;
    }
    location \@pay { entitle off; access_log %%DIR%%/logs/who.log who;
        add_header X-User \$entitle_user; return 200 "\$entitle_decision:\$entitle_reason"; }
    location = /limited { limit_req zone=each; limit_req_status 429; try_files /page =404; }

    location = /plain   { try_files /page =404; }
    location = /expires { expires 1h; try_files /page =404; }
    location = /never   { expires epoch; try_files /page =404; }
    location = /public  { add_header Cache-Control "public, max-age=60, s-maxage=600"; try_files /page =404; }
    location = /nostore { add_header Cache-Control no-store; try_files /page =404; }
    location = /always  { expires 1h; add_header Cache-Control public always;
        add_header Surrogate-Control max-age=60 always; add_header CDN-Cache-Control max-age=60 always;
        try_files /page =404; }
    location = /left    { entitle_cache_control off; expires 1h; add_header Cache-Control public; try_files /page =404; }
    location = /ungated { entitle off; expires 1h; add_header Cache-Control public; try_files /page =404; }
    location = /asks {
        %%REAUTH%%
        entitle_cache_control off;
        expires 1h;
        add_header Cache-Control public;
        try_files /page =404;
    }
    location = /refused { expires 1h; add_header Cache-Control public always; error_page 401 402 \@refused; try_files /page =404; }
    location \@refused { expires 1h; add_header Cache-Control public; return 200 paywall; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    location / { add_header X-User \$cookie_app; return 204; }
}
EOT

my $VERSION = 1_767_000_000_000;
my $end = time + 86400;
put_record($redis, 'ada', version => $VERSION, subscription('active', period_end => $end));
put_record($redis, 'bob', version => $VERSION, subscription('active', identifiers => ['prod_X']));
put_record($redis, 'a b', version => $VERSION, subscription('active'));
sub cookie { return 'entitle=' . session(user => $_[0], version => $VERSION) }

sub ask {
    my ($user, $uri, @headers) = @_;
    return $site->request(uri => $uri,
        headers => [@headers, defined $user ? (Cookie => cookie($user)) : ()]);
}

# --- nobody else can say it --------------------------------------------------

# Whatever a backend could take for ours.
my @spellings = (
    qw(X-Entitle-User x-entitle-user X-ENTITLE-USER X_Entitle_User X-Entitle_User X_ENTITLE-USER
    x_entitle_version X-Entitle-Version X-Entitle-Entitlements X_Entitle_Entitlements
    X.Entitle.User X-Entitle.User X-Entitle-Admin),
    'X~Entitle~User', 'X-Entitle*User',
);
my @spoofed = map { ($_ => 'eve') } @spellings, @spellings;

# Every name and value that reached the backend and looks like ours.
sub arrived {
    my ($protocol) = @_;
    my ($r) = reverse $apps{$protocol}->seen;
    my @all = $protocol =~ /^(?:http|grpc)$/ ? @{ $r->{headers} }
        : map { [$_->[0] =~ s/^HTTP_//r, $_->[1]] }
          grep { $_->[0] =~ /^HTTP_/ } @{ $r->{params} };
    my @ours = map { [uc($_->[0] =~ s/[^A-Za-z0-9]/_/gr), $_->[1]] }
        grep { $_->[0] =~ /entitle/i && $_->[0] !~ /cookie/i } @all;
    return join ' ', sort map { "$_->[0]=$_->[1]" } @ours;
}
my $ours = "X_ENTITLE_ENTITLEMENTS=pro X_ENTITLE_USER=ada X_ENTITLE_VERSION=$VERSION";

for my $protocol (sort keys %apps) {
    is ask('ada', "/$protocol", @spoofed)->status, 200, "through $protocol";
    is arrived($protocol), $ours, 'the_backend_hears_of_us_alone_and_once';
    is ask(undef, "/off/$protocol", @spoofed)->status, 200, "where $protocol is not gated";
    is arrived($protocol), '', 'it hears nothing';
    for my $spelling (@spellings) {
        ask(undef, "/off/$protocol", $spelling => 'eve');
        is arrived($protocol), '', "not even $spelling alone";
    }
}

is ask(undef, '/optional/', @spoofed)->status, 200, 'optional, unknown';
is arrived('http'), '', 'and not known by name';
is ask('bob', '/optional/', @spoofed)->status, 200, 'optional, known';
is arrived('http'), "X_ENTITLE_ENTITLEMENTS= X_ENTITLE_USER=bob X_ENTITLE_VERSION=$VERSION",
    'is named with what he has';
is ask('ada', '/known/', @spoofed)->status, 200, 'in CGI';
is arrived('fastcgi'), $ours, 'alike';

is ask(undef, '/any/allowed', @spoofed)->status, 200, 'satisfy any, let in by address';
is arrived('http'), '', 'is nobody we know';
is ask('ada', '/any/gated', @spoofed)->status, 200, 'satisfy any, let in by the gate';
is arrived('http'), $ours, 'is known';

is ask('ada', $_, @spoofed)->status, 200, "after an internal redirect: $_"
    and is arrived('http'), $ours, 'set once' for qw(/again /tried);

# Of many headers none is lost on the way, and ours vanish wherever they stand.
for my $every (1, 2, 7, 19, 20, 21) {
    my @many = map { ("X-Other-$_" => "v$_", $_ % $every ? () : ('X-Entitle-User' => 'eve')) } 1 .. 90;
    ask('ada', '/http', @many);
    my ($r) = reverse $apps{http}->seen;
    is scalar(grep { $_->[0] =~ /^X-Other-(\d+)$/ && $_->[1] eq "v$1" } @{ $r->{headers} }), 90,
        "the other ninety headers arrive, every ${every}th being a lie";
    is arrived('http'), $ours, 'which does not';
}
is $site->request(uri => '/http', host => 'h.example', headers => [@spoofed, Cookie => cookie('ada')])
    ->status, 200, 'host and cookie stay known';

# A header of that name never reaches a variable either.
is ask(undef, '/as', @spoofed)->status, 401, 'nor lets in';
ask('ada', '/as', @spoofed);
my ($seen) = reverse $apps{http}->seen;
is +(Test::Entitle::GateApp::header($seen, 'X-User'))[0], "ada/$VERSION/pro",
    'proxy_set_header takes the variables';

# --- variables ---------------------------------------------------------------

my $until = $end + 72 * 3600;
my $answer = ask('ada', '/shown');
is $answer->header('X-User'), 'ada', 'add_header takes them';
is $answer->header('X-Greeting'), 'hello ada', 'and map';
is ask('bob', '/shown', Accept => 'text/html')->body, 'pay:not_entitled', 'and the error page of a refusal';
is ask('bob', '/shown', Accept => 'text/html')->status, 200, 'which may answer as it likes';
ask(undef, '/shown');
wait_until(sub { ($site->read_file('logs/who.log') =~ tr/\n//) >= 4 });
my @lines = split /\n/, $site->read_file('logs/who.log');
is $lines[0], "/shown user=ada version=$VERSION decision=allow reason=ok has=pro until=$until",
    'and log_format';
is $lines[1], "/shown user=bob version=$VERSION decision=pay reason=not_entitled has= until=-",
    'of the refused too';
like $lines[3], qr{^/shown user=- version=- decision=login reason=no_session has=-? until=-},
    'and of strangers';

is ask('ada', '/limited')->status, 200, 'limit_req_zone counts by user';
is ask('ada', '/limited')->status, 429, 'the same one';
is ask('a b', '/limited')->status, 200, 'not another';
is ask('ada', '/limited')->status, 429, 'nor is anything forgotten';

# --- caches on the way -------------------------------------------------------

sub caching {
    my ($answer) = @_;
    return join ', ', sort map { split /\s*,\s*/ } $answer->header_all('Cache-Control');
}
my %caching = (
    '/plain'   => 'no-cache, private',
    '/expires' => 'max-age=3600, private',
    '/never'   => 'no-cache, private',
    '/public'  => 'max-age=60, private',
    '/nostore' => 'no-store',
    '/always'  => 'max-age=3600, private',
    '/left'    => 'max-age=3600, public',
    '/ungated' => 'max-age=3600, public',
    '/http?cc=public,+s-maxage=60'          => 'no-cache, private',
    '/http?cc=public,+s-maxage=60,+max-age=5' => 'max-age=5, private',
    '/http?cc=PUBLIC,S-MaxAge=60'           => 'no-cache, private',
    '/http?cc=public&cc=max-age=9'          => 'max-age=9, private',
    '/http?cc=no-store'                     => 'no-store',
    '/http?cc=private="Set-Cookie",max-age=9' => 'max-age=9, private',
    '/http?cc=proxy-revalidate,must-revalidate' => 'must-revalidate, no-cache, private',
);
is caching(ask(undef, '/any/public')), 'max-age=3600, private',
    'what_other_rules_let_by_is_private_too';
for my $uri (sort keys %caching) {
    my $answer = ask('ada', $uri);
    is $answer->status, 200, $uri;
    is caching($answer), $caching{$uri}, "  may be kept: $caching{$uri}";
}
$answer = ask('ada', '/always');
is $answer->header($_), undef, "$_ goes" for qw(Surrogate-Control CDN-Cache-Control);
is scalar(my @all = ask('ada', '/http?cc=public&cc=max-age=9')->header_all('Cache-Control')), 1,
    'one header remains of several';

for my $method (qw(HEAD GET)) {
    my $answer = $site->request(method => $method, uri => '/expires', headers =>
        [Cookie => cookie('ada'),
        'If-None-Match' => ask('ada', '/expires')->header('ETag')]);
    is $answer->status, 304, "$method answered 304";
    is caching($answer), 'max-age=3600, private', '  is private as well';
}

$answer = $site->request(uri => '/asks', headers => [Cookie => 'app=ada']);
like $answer->header('Set-Cookie'), qr/^entitle=/, 'an answer with our cookie';
is caching($answer), 'no-store, private', '  is not kept, whatever anybody says';
is scalar(@all = $answer->header_all('Cache-Control')), 1, '  in one header';
for (['bob', '402'], [undef, '401']) {
    my ($user, $name) = @$_;
    for my $accept ('text/html', 'application/json') {
        my $answer = ask($user, '/refused', Accept => $accept);
        is caching($answer), 'no-store, private', "a $name for $accept is not kept";
        is scalar(@all = $answer->header_all('Cache-Control')), 1, '  in one header';
    }
}

$site->expect_log(qr/limiting requests, excess: \S+ by zone "each"/);
done_testing;
