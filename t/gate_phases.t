# The gate among nginx's other modules: who speaks before it, what happens after
# it, and that a request is asked about once however often nginx redirects it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use MIME::Base64 qw(encode_base64);

my $site = Test::Entitle->new;
my $redis = $site->redis;
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { status => 204, headers => ['X-User' => $r->{cookies}{app}] }
        if $r->{uri} eq '/whoami';
    return { headers => ['X-Accel-Redirect' => "/protected/$1"] }
        if $r->{uri} =~ m{/accel/(\w+)};
    return { headers => ['Cache-Control' => 'max-age=60'], body => "cached $$ $r->{uri}" };
});
my $port = $app->port;

# --- satisfy: every combination ----------------------------------------------

my %access  = (none => '', allow => 'allow all;', deny => 'deny all;');
my %basic   = (none => '', basic => 'auth_basic realm; auth_basic_user_file %%DIR%%/users;');
my %request = map { $_ => "auth_request /auth/$_;" } 204, 401, 403;
$request{none} = '';
my (@combinations, $locations);
for my $satisfy (qw(all any)) {
    for my $access (sort keys %access) {
        for my $basic (sort keys %basic) {
            for my $request (sort keys %request) {
                my $uri = "/s/$satisfy/$access/$basic/$request";
                push @combinations, [$uri, $satisfy, $access, $basic, $request];
                $locations .= "    location = $uri { satisfy $satisfy; $access{$access}"
                    . " $basic{$basic} $request{$request} entitle_require pro;"
                    . " try_files /page =404; }\n";
            }
        }
    }
}

$site->write_file('users', "u:{PLAIN}p\n");
$site->write_file('html/page', 'page');
$site->write_file("html/$_", $_) for qw(dir/index.html list/one list/two protected/file
    protected/other part.html paywall.html login.html sorry.html);
$site->write_file('html/ssi.html', 'main <!--# include virtual="/part.html" --> end');
$site->write_file('html/open.shtml', 'open <!--# include virtual="/part.html" --> end');
$site->write_file('html/big', join '', map { chr(97 + $_ % 26) } 1 .. 10_000);
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_grant other prod_Other;
%%SESSIONS%%
%%ASKED%%
large_client_header_buffers 8 32k;
keepalive_requests 10000;
proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;
server {
    listen 127.0.0.1:%%PORT%%;
    location = /auth/204 { internal; return 204; }
    location = /auth/401 { internal; return 401; }
    location = /auth/403 { internal; return 403; }
$locations
}
server {
    listen 127.0.0.1:%%PORT2%%;
    entitle_require pro;
    %%REAUTH%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:$port; }

    location / { }
    location /dir/ { index index.html; }
    location /list/ { autoindex on; }
    location /alias/ { alias %%DIR%%/html/list/; }
    location /tries/ { try_files /nothing\$uri /page; }
    location = /page { }
    location = /stricter { try_files /nothing /needs-other; }
    location = /needs-other { entitle_require other; alias %%DIR%%/html/page; }
    location = /falls { entitle off; try_files /nothing \@app; }
    location \@app { proxy_pass http://127.0.0.1:$port; }

    location /accel/ { proxy_pass http://127.0.0.1:$port; }
    location /free/ { entitle off; proxy_pass http://127.0.0.1:$port; }
    location /protected/ { internal; }
    location = /protected/other { internal; entitle_require other; }

    location = /ssi.html { ssi on; default_type text/html; }
    location = /open.shtml { entitle off; ssi on; ssi_types text/plain; }
    location = /part.html { }
    location /cached/ {
        proxy_cache cache;
        proxy_cache_key \$uri;
        proxy_cache_valid 200 1h;
        add_header X-Cache \$upstream_cache_status;
        proxy_pass http://127.0.0.1:$port;
    }
    location /mirrored/ { mirror /mirror; proxy_pass http://127.0.0.1:$port; }
    location = /mirror { internal; proxy_pass http://127.0.0.1:$port/mirror; }
    location = /slices { slice 1k; proxy_set_header Range \$slice_range;
        proxy_pass http://127.0.0.1:%%PORT3%%/big; }

    # What is shown to those who are refused.
    location /uri/ { error_page 401 /login.html; error_page 402 /paywall.html; error_page 503 /sorry.html; alias %%DIR%%/html/; }
    location /named/ { error_page 401 402 503 \@why; alias %%DIR%%/html/; }
    location \@why { add_header X-Decision \$entitle_decision always; return 418 \$entitle_reason; }
    location /as-said/ { error_page 401 402 503 = \@why; alias %%DIR%%/html/; }
    location /changed/ { error_page 401 402 =200 /paywall.html; alias %%DIR%%/html/; }
    location /away/ { error_page 401 402 https://example.org/buy; alias %%DIR%%/html/; }
    location /shut/ { error_page 401 402 /needs-other; alias %%DIR%%/html/; }
    location /gone/ { error_page 401 402 /no-such-page; alias %%DIR%%/html/; }
    location = /login.html { entitle off; }
    location = /paywall.html { entitle off; }
    location = /sorry.html { entitle off; }
    location = /no-such-page { entitle off; }

    location /login/ { entitle_login_url /login?next=\$entitle_return_url; }
    location /sso/ { entitle_login_url https://login.example/?rd=\$entitle_return_url; }
    location /broken/ { entitle_login_url \$arg_to; }
}
server { listen 127.0.0.1:%%PORT3%%; }
server {
    listen 127.0.0.1:%%PORT4%%;
    entitle on;
    entitle_login_url /login?next=\$entitle_return_url;
}
EOT

my $VERSION = 1_767_000_000_000;
my @pro = subscription('active');
put_record($redis, 'ada', version => $VERSION, @pro);
put_record($redis, 'bob', version => $VERSION, subscription('active', identifiers => ['prod_Other']));
put_record($redis, 'both', version => $VERSION,
    subscription('active', identifiers => [qw(prod_Other prod_Pro)]));

sub edge { return 'entitle=' . session(user => $_[0], version => $VERSION, @_[1 .. $#_]) }

{
    my $connection = $site->connect;
    my %holder = (customer => edge('ada'), stranger => undef, poor => edge('bob'));
    my %said = (stranger => 401, poor => 402);
    my $credentials = encode_base64('u:p', '');
    for (@combinations) {
        my ($uri, $satisfy, $access, $basic, $request) = @$_;
        my (%got, %want);
        for my $password ($basic eq 'basic' ? ('right', 'wrong') : 'none') {
            for my $who (sort keys %holder) {
                # Those who speak before the gate, in nginx's order.
                my @verdicts = (
                    $access eq 'allow' ? 200 : $access eq 'deny' ? 403 : (),
                    $password eq 'right' ? 200 : $password eq 'wrong' ? 401 : (),
                    $request eq 'none' ? () : $request eq '204' ? 200 : $request,
                    $said{$who} // 200,
                );
                my ($refusal) = grep { $_ != 200 } @verdicts;
                $want{"$password $who"} = $satisfy eq 'all' ? $refusal // 200
                    : (grep { $_ == 200 } @verdicts) ? 200
                    : $said{$who};    # nobody let them in: the gate, the last, says so
                my $answer = $connection->request(uri => $uri, headers => [
                    $holder{$who} ? (Cookie => $holder{$who}) : (),
                    $password eq 'right' ? (Authorization => "Basic $credentials") : ()]);
                $got{"$password $who"} = $answer->status;
            }
        }
        is_deeply \%got, \%want, "satisfy $satisfy, access $access, $basic, auth_request $request";
    }

    my $monitor = $redis->monitor;
    $connection->request(uri => $_, headers => [Cookie => edge('ada')])
        for '/s/all/deny/none/none', '/s/all/none/none/403', '/s/any/allow/none/none';
    is scalar(grep { /u:ada/ } $monitor->stop), 0,
        'nobody_is_looked_up_when_another_has_decided';
}

# --- asked once --------------------------------------------------------------

my $two = $site->connect(port => $site->port(2));
sub ask {
    my ($user, $uri, %r) = @_;
    my $cookie = !defined $user ? undef
        : ref $user ? $$user : 'app=x; ' . edge($user, bind => ['x']);
    return $two->request(uri => $uri, %r, headers => [@{ $r{headers} // [] },
        defined $cookie ? (Cookie => $cookie) : ()]);
}

my $users = 0;
for (['/page', 'page'], ['/dir/', 'dir/index.html'], ['/tries/x', 'page'],
    ['/accel/file', 'protected/file'], ['/ssi.html', 'main part.html end'])
{
    my ($uri, $body) = @$_;
    my $user = 'once' . ++$users;
    put_record($redis, $user, version => $VERSION, @pro);
    $app->forget;
    my $monitor = $redis->monitor;
    my $answer = ask(\"app=$user", $uri);
    is $answer->body, $body, "$uri is served";
    is scalar(grep { /u:$user\b/ } $monitor->stop), 1, '  after one look at the record';
    is scalar(my @questions = $app->seen('/whoami')), 1, '  and one question to the app';
    is scalar(my @set = $answer->header_all('Set-Cookie')), 1, '  with one cookie';
    is scalar(@set = $answer->header_all('Cache-Control')), 1, '  and one Cache-Control';
}

# --- what is behind the gate -------------------------------------------------

for my $uri (qw(/page /dir/ /list/ /list/one /alias/two /tries/x /stricter /falls /accel/file
    /accel/other /ssi.html /cached/x /mirrored/x /slices))
{
    is ask(undef, $uri)->status, 401, "a stranger gets nothing from $uri";
    is ask('nobody', $uri)->status, 401, "  nor a stale one the app does not know"
        if $uri eq '/no';
    is ask('bob', $uri)->status, 402, '  nor one who has not paid';
}
like ask('ada', '/list/')->body, qr/one.*two/s, 'autoindex lists';
is ask('ada', '/alias/two')->body, 'list/two', 'alias serves';
is ask('ada', '/dir')->status, 301, 'a directory without its slash is redirected';
is ask(undef, '/dir')->status, 401, 'for those who may';

is ask('ada', '/stricter')->status, 402, 'try_files_into_another_location_asks_what_that_requires';
is ask('bob', '/stricter')->status, 402, 'besides what the first one required';
is ask('both', '/stricter')->status, 200, 'both';
like ask('ada', '/falls')->body, qr/^cached/, 'a_named_location_has_its_own_gate';
is ask('ada', '/accel/other')->status, 402, 'X-Accel-Redirect_asks_what_the_file_requires';
is ask('both', '/accel/other')->body, 'protected/other', 'and serves it';
is ask(undef, '/free/accel/file')->status, 401, 'also where the app itself is open';
is ask('ada', '/free/accel/file')->body, 'protected/file', 'and lets in';
is ask('ada', '/protected/file')->status, 404, 'nobody gets there directly';
is ask('ada', '/whoami')->status, 404, 'nor at the app\'s own answer';

is ask('ada', '/ssi.html')->body, 'main part.html end', 'SSI works behind the gate';
is ask(undef, '/open.shtml')->body, 'open part.html end',
    'a_subrequest_passes_under_the_gate_of_its_page';
is ask('ada', '/slices')->body, ask('ada', '/big')->body, 'slices make one file';
is ask('ada', '/slices', headers => [Range => 'bytes=1020-1029'])->body,
    substr(ask('ada', '/big')->body, 1020, 10), 'and ranges of it';

$app->forget;
ask(undef, '/mirrored/no');
ask('bob', '/mirrored/no', method => 'POST', body => 'x');
is scalar(my @none = $app->seen), 0, 'nothing_is_mirrored_of_those_who_are_refused';
ask('ada', '/mirrored/yes', method => 'POST', body => 'mirrored body');
$app->wait_for(2);
is_deeply [sort map { "$_->{uri} $_->{body}" } $app->seen],
    ['/mirror mirrored body', '/mirrored/yes mirrored body'], 'all of those who are not';

# --- a cache behind the gate -------------------------------------------------

{
    my $cookie = 'app=ada; ' . edge('ada', version => 7, bind => ['ada']);
    my $first = ask(\$cookie, '/cached/lesson');
    is $first->header('X-Cache'), 'MISS', 'the first one fills the cache';
    like $first->header('Set-Cookie'), qr/^entitle=/, 'and gets a cookie';
    my $second = ask('both', '/cached/lesson');
    is $second->header('X-Cache'), 'HIT', 'the next one is served from it';
    is $second->header('Set-Cookie'), undef, 'without_the_cookie_of_the_first';
    is $second->header('Cache-Control'), 'private, max-age=60', 'and for himself alone';
    is ask(undef, '/cached/lesson')->status, 401, 'a_copy_is_never_served_past_the_gate';
    is ask('bob', '/cached/lesson')->status, 402, 'to nobody';
    put_record($redis, 'ada', version => $VERSION + 1,
        subscription('canceled', ended_at => time - 1));
    is ask(\'app=ada', '/cached/lesson')->status, 402, 'nor to one who has left';
    put_record($redis, 'ada', version => $VERSION, @pro);
}

# --- what they are shown -----------------------------------------------------

my @html = (headers => [Accept => 'text/html']);
for my $case (
    # uri, the stranger's status and body, and those of the one who has not paid
    ['/uri/page',     401, 'login.html',   402, 'paywall.html'],
    ['/named/page',   401, undef,          402, undef],
    ['/as-said/page', 418, 'no_session',   418, 'not_entitled'],
    ['/changed/page', 200, 'paywall.html', 200, 'paywall.html'],
    ['/away/page',    302, undef,          302, undef],
    ['/shut/page',    401, undef,          402, undef],
    ['/gone/page',    404, undef,          404, undef],
) {
    my ($uri, @expected) = @$case;
    for my $user (undef, 'ada_poor') {
        put_record($redis, 'ada_poor', version => $VERSION);
        my ($status, $body) = splice @expected, 0, 2;
        my $answer = ask($user, $uri, @html);
        is $answer->status, $status, ($user // 'a stranger') . " at $uri";
        is $answer->body, $body, '  sees what he should' if defined $body;
        is $answer->header('Cache-Control'), 'private, no-store', '  for this once';
        my $program = ask($user, $uri);
        is $program->status, defined $user ? 402 : 401, '  a program gets its status';
        is $program->header('Content-Type'), 'application/problem+json', '  and a problem';
        my $form = ask($user, $uri, method => 'POST', body => 'x', @html);
        is $form->status, $status == 404 ? 404 : defined $user ? 402 : 401, '  and so does a form';
        isnt $form->header('Content-Type'), 'application/problem+json', '  with a page';
        is $form->body, $body, '  that of the site' if defined $body && $status == $form->status;
    }
}
is ask(undef, '/uri/page', @html)->header('WWW-Authenticate') // '', 'Cookie realm="entitle"',
    'a 401 with a page has its challenge';
is ask(undef, '/changed/page', @html)->header('WWW-Authenticate'), undef, 'a 200 has none';
is ask('ada_poor', '/named/page', @html)->header('X-Decision'), 'pay', 'and knows why';
is ask(undef, '/away/page', @html)->header('Location'), 'https://example.org/buy', 'or sends away';
is ask('both', '/uri/page')->body, 'page', 'and none of it is in the way';

# --- the way back from the login ---------------------------------------------

sub location { return ask(undef, @_, @html)->header('Location') // 'none' }
sub unescape { return $_[0] =~ s/%([0-9a-f]{2})/chr hex $1/gier }

for my $uri ('/login/', '/login/a/b?c=d&e=f', '/login/%C3%BC?q=%20%2B+%26', '/login/x?next=/y#',
    '/login/?a=%2F%2Fevil.example', '/login/ü')
{
    my ($next) = location($uri) =~ m{^(?:http://[^/]+)?/login\?next=(\S+)$};
    $next = 'none' if !defined $next;
    unlike $next, qr/[?&#=]/, "the way back to $uri is one argument";
    is unescape($next), $uri, '  and the whole of it';
}
for my $path ('//evil.example', '/\\evil.example', '/%5Cevil.example', '///evil.example',
    '/%2Fevil.example', '/%2f%2fevil.example', '/%09/evil.example', '/%20/evil.example',
    '/./%5C/evil.example', '/x%0d%0aSet-Cookie:%20a=b', '/x%00y', '//login/%0a//evil')
{
    for my $uri ($path, "/..$path", "$path/login?$path", "http://evil.example$path") {
        my $answer = $site->request(port => $site->port(4), uri => $uri, @html);
        my ($next) = ($answer->header('Location') // '')
            =~ m{^(?:http://[^/]+)?/login\?next=(.*)$};
        if (!defined $next) {
            is $answer->status, 400, "no way back from $uri";
            next;
        }
        like unescape($next), qr{^/(?![/\\])[^\r\n\0]*$}, "the way back from $uri stays here";
        is $answer->header('Set-Cookie'), undef, '  and sets nothing';
    }
}
{
    my $host = 'http://evil.example';
    my $to = location("$host/login/page");
    like $to, qr{next=/login/page$}, 'the host of an absolute request is left out';
    my $long = '/login/' . 'x' x 8192;
    $to = location($long);
    ok length $to < 4500, 'eight_KiB_of_path_are_not_carried_along';
    like $to, qr{next=/$}, 'but the front page';
    like location('/login/page?' . 'x' x 8192), qr{next=/login/page$}, 'or the path alone';
    is location('/sso/page?a=b'), 'https://login.example/?rd=/sso/page%3Fa%3Db',
        'a login elsewhere';
    is ask(undef, '/broken/page', @html)->status, 401, 'no login URL, no redirect';
}

$site->expect_log(qr/access forbidden by rule|no user\/password|was not found|password mismatch/,
    qr/open\(\) "\S+no-such-page" failed/, qr/entitle_login_url is empty/);
$site->expect_alert(qr/\[error\] .*(?:"\S*" is not found|directory index of|is forbidden)/);
done_testing;
