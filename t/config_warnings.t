# What nginx -t accepts with a warning, because nobody can want it; and that the
# right configuration beside it is accepted without one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $check = Test::Entitle->new;
my $dir = $check->dir;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a"
    . " -keyout $dir/a.key -out $dir/a.pem 2>/dev/null") == 0
    && system("openssl pkey -in $dir/a.key -pubout -out $dir/a.pub") == 0 or die 'openssl';

my $asks = 'entitle_reauth /_who; entitle_reauth_user header=X; entitle_session_bind cookie=s;';
my $key = "entitle_session_key_file %%KEY%%;\n$asks\n";
my $plain = "entitle_session_cookie entitle secure=off;\n";
sub server { return "server {\nlisten 127.0.0.1:%%PORT%%;\n$_[0]\n}\n" }
sub site   { return $key . $plain . server($_[0]) }

my $login = qr/"entitle_login_url [^"]*" leads behind the gate of/;
my $page  = qr/"error_page 40[12] [^"]*" leads behind the gate of/;
my $proto = qr/"proxy_set_header" in .* replaces those above it, X-Forwarded-Proto among them/;
my $regex = qr/is tried before the gate of/;
my $cookie = qr/is Secure and its server listens without SSL/;

my $app  = 'proxy_pass http://127.0.0.1:1; proxy_pass_request_body off;';
my $sent = 'proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto $scheme;';
sub question {
    my ($outer, $here) = @_;
    return site("$outer location / { entitle on; $asks } location = /_who { internal; $app $here }");
}
sub regex { return site("location /members/ { entitle on; } location $_[0]") }
sub ssl {
    my ($listen, $more, $cookie) = @_;
    return "ssl_certificate %%DIR%%/a.pem; ssl_certificate_key %%DIR%%/a.key;\n$key"
        . ($cookie // '') . "server { listen 127.0.0.1:%%PORT%% $listen; "
        . ($more // '') . ' location / { entitle on; } }';
}

my $hook = 'entitle_webhook live; entitle_webhook_secret_file %%SECRET%%;';
my $asked = 'location /stripe/ { internal; proxy_pass http://127.0.0.1:1/; }';

# name, which warning, http with it, http without it
my @cases = (
    ['a_question_to_stripe_where_no_webhook_comes',
        qr/"entitle_stripe_request" does nothing where there is no "entitle_webhook"/,
        [server('location /a { entitle_stripe_request /stripe/; }'),
         server('location /a { entitle_stripe_request /stripe/; }') . server("location = /w { $hook }") =~ s/PORT/PORT2/r,
         'entitle_stripe_request /stripe/;' . server('')],
        [server("location /a { entitle_stripe_request /stripe/; location = /a/b { $hook } } $asked"),
         server("location /a { entitle_stripe_request off; }"),
         'entitle_stripe_request /stripe/;' . server("location = /w { $hook } $asked")
            . server('') =~ s/PORT/PORT2/r]],

    ['a_login_page_behind_the_gate', $login,
        [site('entitle on; entitle_login_url /login; location / { }'),
         site('entitle on; entitle_login_url /login?back=$entitle_return_url; location / { }'),
         site('location / { entitle on; entitle_login_url /log/in; } location /log { entitle_require x; }'),
         site('location / { entitle on; entitle_login_url /login; } location ~ ^/LOGIN { }')],
        [site('entitle on; entitle_login_url /login; location / { } location = /login { entitle off; }'),
         site('entitle on; entitle_login_url /login; location / { } location /login { entitle optional; }'),
         site('entitle on; entitle_login_url /login; location / { } location ~ ^/log { entitle off; }'),
         site('location / { entitle on; entitle_login_url /login; } location ~* ^/LOGIN { }'),
         site('entitle on; entitle_login_url https://app.example/login; location / { }'),
         site('entitle on; entitle_login_url $arg_x; location / { }'),
         site('entitle on; entitle_login_url /login; location / { entitle_login_url off; }')]],

    (map { my $code = $_;
        ["a_${code}_page_behind_the_gate", $page,
        [site("error_page $code /pay.html; location / { entitle on; }"),
         site("error_page 404 $code /pay.html?x=1; entitle on; location = /pay.html { }"),
         site("error_page $code = \@pay; location / { entitle on; } location \@pay { entitle on; }"),
         site("error_page $code = \@pay; entitle on; location / { } location \@pay { }"),
         site("error_page $code = \@pay; location / { entitle on; } location \@pay { entitle_require x; entitle_redirect /x; }")],
        [site("error_page $code /pay.html; location / { entitle on; } location = /pay.html { internal; }"),
         site("error_page $code \@pay; location / { entitle on; } location \@pay { return $code; }"),
         site("error_page $code https://app.example/pay; location / { entitle on; }"),
         site('error_page 404 /none.html; location / { entitle on; }'),
         site("error_page $code /pay.html; location / { entitle optional; }")]] } 401, 402),

    ['a_checkout_that_wants_to_know_who_pays', $page,
        [site('error_page 401 = @buy; location / { entitle on; } location @buy { entitle on; entitle_redirect /b; }')],
        [site('error_page 402 = @buy; location / { entitle on; } location @buy { entitle on; entitle_redirect /b; }')]],

    ['a_return_before_the_gate', qr/"return" in .* answers before the gate/,
        [site('location /x { entitle on; return 403; }'), site('entitle on; return 301 https://a.example$uri;'),
         site('entitle on; location / { } location = /health { return 200 fine; }')],
        [site('entitle on; location / { } location ^~ /index.php/ { return 404; }'),
         site('entitle on; location / { } location /x { return 403; }'),
         site('entitle on; location / { } location = /health { entitle off; return 200 fine; }'),
         $key . $plain . 'entitle on;' . server('return 301 https://$host$request_uri;'),
         $key . $plain . 'entitle on;' . server('location / { return 301 https://$host$request_uri; }'),
         site('entitle on; location / { if ($arg_x) { return 200 x; } }')]],
    ['a_rewrite_before_the_gate', qr/"rewrite" that redirects in location "\/x" answers before the gate/,
        [map { site("location /x { entitle on; rewrite ^/x/a /y break; $_; }") }
            'rewrite ^ /y permanent', 'rewrite ^/x/(.*) /y/$1 redirect', 'rewrite ^ https://a.example/y'],
        [site('location /x { entitle on; rewrite ^ /y last; }'), site('location /x { entitle on; rewrite ^ /y break; }'),
         site('location /x { entitle on; if ($arg_x) { rewrite ^ /y permanent; } }'),
         site('entitle on; location / { } location /x { rewrite ^ /y permanent; }')]],

    ['a_question_that_loses_X_Forwarded_Proto', $proto,
        [question($sent, 'proxy_set_header Host app.example;'),
         $sent . question('', 'proxy_set_header Host app.example;')],
        [question($sent, ''), question('', 'proxy_set_header Host app.example;'),
         question($sent, "proxy_set_header x-forwarded-proto https;"),
         site("$sent location / { entitle on; entitle_reauth off; entitle_trusted_user \$remote_addr; $app proxy_set_header Host x; }")]],

    ['a_question_without_a_binding', qr/"entitle_reauth" without "entitle_session_bind"/,
        [site('location / { entitle on; entitle_session_bind off; }')],
        [question('', '')]],

    ['a_cookie_that_browsers_drop', $cookie,
        [$key . server('location / { entitle on; }'), $key . server('location / { entitle optional; }'),
         'entitle_session_cookie __Host-mine;' . $key . server('location / { entitle on; }'),
         ssl('', '', 'entitle_session_cookie __Secure-mine;')],
        [site('location / { entitle on; }'), ssl('ssl'), ssl('', 'listen 127.0.0.1:%%PORT2%% ssl;'),
         ssl('proxy_protocol'), ssl('', 'set_real_ip_from 127.0.0.1;'),
         $key . 'entitle on;' . server('return 301 https://$host$request_uri;'),
         $key . 'entitle on;' . server('location / { return 301 https://$host$request_uri; }'),
         'entitle_session_key_file %%KEY%%;' . server('location / { }'),
         $key . server('location / { entitle on; entitle_trusted_user $remote_addr; }')]],

    ['a_name_that_nothing_gives', qr/"por" in "entitle_require" is given by no "entitle_grant"/,
        [map { "entitle_grant pro price_1;\n$_" } site('location / { entitle_require por; }'),
         site('location / { entitle_require pro por; }'), "entitle_require por;\n" . site('location / { }'),
         site('entitle_require pro; location / { } location /x { entitle_require pro; entitle_require por; }'),
         server('location / { entitle off; }') =~ s/PORT/PORT2/r . site('location / { entitle_require por; }')],
        [site('location / { entitle_require por; }'), 'entitle_grant por price_1;' . site('location / { entitle_require por; }'),
         'entitle_grant pro price_1; entitle_grant por feature=por;' . site('location / { entitle_require por; }'),
         'entitle_grant pro price_1;' . site('location / { entitle_require course_$arg_x pro; }'),
         'entitle_grant pro price_1;' . site('entitle_grant por price_2; location / { entitle_require por; }'),
         'entitle_grant pro price_1; entitle_require por;' . site('entitle_require pro; location / { }')]],
    ['a_checkout_for_nobody', qr/"\$entitle_client_reference_id" in "entitle_redirect" is empty where nobody is asked/,
        [map { site("location / { entitle on; } location = /buy { $_ }") }
            'entitle_redirect https://buy.example/?c=$entitle_client_reference_id;',
            'entitle off; entitle_redirect https://buy.example/?c=${entitle_client_reference_id};'],
        [(map { site("location / { entitle on; } location = /buy { entitle_redirect https://buy.example/?c=\$entitle_client_reference_id; $_ }") }
            'entitle on;', 'entitle optional;', 'internal;'),
         site('error_page 402 /buy?x=1; location / { entitle on; } location = /buy { entitle_redirect https://b.example/?c=$entitle_client_reference_id; }'),
         site('error_page 402 = @buy; location / { entitle on; } location @buy { entitle_redirect https://b.example/?c=$entitle_client_reference_id; }'),
         site('location / { entitle on; } location = /buy { entitle_redirect /there; }')]],

    (map { my ($name, $value) = split / /, $_, 2;
        ["${name}_where_nothing_is_gated", qr/"$name" does nothing where nobody is asked who is there/,
        [site("location /x { $name $value; } location / { entitle on; }"), site("location /x { entitle off; $name $value; } location / { entitle on; }"),
         site("location / { entitle on; location /x { entitle off; $name $value; location /x/y { } } }")],
        [site("location /x { $name off; } location / { entitle on; }")]] }
        'entitle_jwt $http_authorization', 'entitle_trusted_user $remote_addr', 'entitle_session_redis s:$cookie_a json=/id',
        'entitle_jwt_issuer a', 'entitle_reauth /_w', 'entitle_reauth_user header=Y', 'entitle_reauth_key $remote_addr',
        'entitle_login_url /login', 'entitle_claim_email header=E', 'entitle_credentials cookie=c', 'entitle_session_bind cookie=c'),
    ['a_preflight_where_nothing_is_gated', qr/"entitle_preflight" does nothing where nobody is asked/,
        [site('location /x { entitle_preflight allow; } location / { entitle on; }')],
        [site('location /x { entitle_preflight allow; location /x/y { entitle on; } }'),
         site('entitle_preflight allow; location / { entitle on; }')]],
    ['a_server_that_nobody_gated', qr/"entitle_login_url" does nothing where nobody is asked/,
        [server('entitle_login_url /login; location / { }')],
        [site('entitle_login_url /login; location / { entitle on; } location = /login { entitle off; }'),
         site('entitle_login_url /login; location /b { entitle on; }') . 'server { listen 127.0.0.1:%%PORT2%%; entitle_login_url /login; }']],
    ['a_reader_of_answers_without_a_question', qr/"entitle_reauth_user" does nothing without "entitle_reauth"/,
        [site('location / { entitle on; entitle_jwt $arg_t; entitle_jwt_key_file %%DIR%%/a.pub; entitle_reauth off; entitle_reauth_user header=Y; }')],
        [site('location / { entitle on; entitle_reauth_user header=Y; }'),
         site('location / { entitle optional; entitle_reauth_user header=Y; }'),
         site('location = /out { entitle_logout all; entitle_reauth_user header=Y; } location / { entitle on; }')]],
    ['an_email_without_a_question', qr/"entitle_claim_email" does nothing without "entitle_reauth"/,
        [site('location / { entitle on; entitle_trusted_user $remote_addr; entitle_claim_email header=E; }')],
        [site('location / { entitle on; entitle_claim_email header=E; }')]],
    ['rules_for_tokens_nobody_takes', qr/"entitle_jwt_audience" does nothing without "entitle_jwt"/,
        [site('location / { entitle on; entitle_jwt_audience shop; }')],
        [site('location / { entitle on; entitle_jwt $arg_t; entitle_jwt_key_file %%DIR%%/a.pub; entitle_jwt_audience shop; }')]],
    ['a_question_about_who_is_trusted', qr/"entitle_reauth" does nothing beside "entitle_trusted_user"/,
        [site('location / { entitle on; entitle_trusted_user $remote_addr; entitle_reauth /_w; }')], []],
    ['a_binding_of_no_session', qr/"entitle_session_bind" does nothing where visitors are known without a session/,
        [site('location / { entitle on; entitle_trusted_user $remote_addr; entitle_session_bind cookie=c; }')], []],
    ['a_login_page_for_nobody', qr/"entitle_login_url" does nothing where nobody is refused/,
        [site('location / { entitle optional; entitle_login_url /login; }')],
        [site('location / { entitle on; entitle_login_url /login; } location = /login { }')]],

    ['a_regex_that_serves_what_is_gated', $regex,
        [regex('~ \.php$ { }'), regex('~* \.(?:jpg|mp4)$ { expires 30d; }'),
         regex('~ ^/(.*)\.php$ { }'), regex('~ ^/(members|films)/ { }'), regex('~ ^/x$|\.php$ { }'), regex('~ ^/members/.*\.php$ { }'), regex('~ ^/mem?b { }'),
         regex('~ \.php$ { entitle optional; }'),
         site('location / { entitle_require pro; } location ~ \.php$ { }'),
         site('location ~ \.png$ { } location ~ ^/members/ { entitle on; }'),
         site('location ~* \.(?:png|jpe?g)$ { expires 1d; } location ~ ^/(?<what>members|films)(?:/|$) { entitle on; }'),
         site('location ~* ^/mem { } location ~ ^/members/[a-z]+$ { entitle on; }'),
         site('location ~ \.png$ { entitle optional; } location ~ ^/members/ { entitle on; }'),
         site('location /a/ { location ~ \.js$ { } location ~ ^/a/b\d+ { entitle on; } }'),
         site('location ~ ^/a/ { location ~ \.js$ { } location ~ /b/ { entitle on; } }'),
         site('location /members/ { location /members/paid/ { entitle on; } } location ~ \.mp4$ { }')],
        [site('location ^~ /members/ { entitle on; } location ~ \.php$ { }'),
         regex('~ \.php$ { entitle on; }'), regex('~ \.png$ { entitle off; }'),
         regex('~ /\.ht { deny all; }'), regex('~ \.php$ { return 404; }'),
         regex('~ \.php$ { internal; }'), regex('~ ^/api/ { }'), regex('~ ^/log(in|out)$ { }'), regex('~ ^/members/free/ { }'),
         site('location ~ ^/members/ { entitle on; } location ~ \.png$ { }'),
         site('location ~ \.css$ { } location ~ \.php$ { entitle on; }'),
         site('location ~ \.(?:css|js)$ { entitle off; } location ~ ^/members/ { entitle on; }'),
         site('location ~ ^/members/free/ { } location ~ ^/members/ { entitle on; }'),
         site('location ~ ^/api/ { } location ~ \.php$ { entitle on; }'),
         site('location ~ \.png$ { } location /a/ { location ~ ^/a/b { entitle on; } }'),
         site('location ~ \.png$ { deny all; } location ~ ^/members/ { entitle on; }'),
         site('location = /members { entitle on; } location ~ \.php$ { }'),
         site('location /members/ { entitle optional; } location ~ \.php$ { }'),
         site('entitle on; location /members/ { } location ~ \.php$ { }')]],
);
for (@cases) {
    my ($name, $warning, $wrong, $right) = @$_;
    for my $http (@$wrong) {
        my ($accepted, $said) = $check->config_test($http);
        ok $accepted, "$name is accepted" or diag $http, $said;
        like $said, qr/\[warn\].*$warning.*, in \S+nginx\.conf:\d+/, '  with a warning' or diag $http;
        is scalar(() = $said =~ /$warning/g), 1, '  once';
    }
    for my $http (@$right) {
        my ($accepted, $said) = $check->config_test($http);
        ok $accepted, "the right thing is accepted instead of $name" or diag $http, $said;
        unlike $said, qr/\[(?:warn|error|crit)\]/, '  without a word' or diag $http;
    }
}

# --- what is warned about is so ---------------------------------------------------

my $site = Test::Entitle->new;
$site->redis;
$site->write_file('html/pay.html', 'pay here');
$site->write_file('html/members/x.mp4', 'the film');
$site->start("entitle_redis redis://127.0.0.1:%%REDIS%%;\n" . site(<<'EOF'));
error_page 401 /pay.html;
location / { entitle on; entitle_problem_json off; }
location ^~ /members/ { entitle on; entitle_problem_json off; error_page 401 /free.html; }
location = /free.html { try_files /pay.html =404; }
location /films/ { entitle on; alias %%DIR%%/html/members/; }
location ~ ^/(?:films|members)/(.*\.mp4)$ { alias %%DIR%%/html/members/$1; }
EOF
my %person = (Accept => 'text/html');
unlike $site->get('/', %person)->body, qr/pay here/, 'a page behind the gate is not shown';
like $site->get('/members/', %person)->body, qr/pay here/, '  but one before it is';
is $site->get('/films/x.mp4')->status, 200, 'a regular expression goes before a gate';
is $site->get('/members/x.mp4')->status, 401, '  not before one with ^~';

done_testing;
