# Nobody is ever given what another's credentials opened: not an answer, not a
# cookie of the app's, not a session of another question.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession qw(put_record subscription);
use Time::HiRes qw(sleep);

my $site = Test::Entitle->new;
my $redis = $site->redis;
my $guests = 0;

# Slow enough that everybody comes while it thinks.
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my %has = map { lc $_->[0] => $_->[1] } @{ $r->{headers} };
    my $delay = 0.4;
    return { status => 204, headers => ['X-User' => 'staff'] } if $r->{uri} eq '/staff';
    return { status => 204, headers => ['X-User' => $r->{cookies}{sid}, 'Cache-Control' => 'max-age=60'] }
        if $r->{uri} eq '/cached' && $r->{cookies}{sid};
    return { status => 403, delay => $delay } if grep { $_->[1] eq 'refuse me' } @{ $r->{headers} };
    return { status => 406, delay => $delay } if ($has{accept} // '*/*') !~ m{\*/\*};
    my $user = $has{'x-request-id'} // $has{'x-api-key'} // $has{'x-tenant'} // $r->{cookies}{sid};
    return { status => 302, delay => $delay, headers => [Location => '/'] }
        if ($has{'x-forwarded-host'} // '') eq 'broken';
    return { status => 500, delay => $delay } if ($has{'x-forwarded-host'} // '') eq 'worse';
    return { status => 204, delay => $delay, headers => ['X-User' => $user,
            'Set-Cookie' => "sid=$user; Path=/"] } if $user;
    return { status => 401, delay => $delay,
        headers => ['Set-Cookie' => 'guest=' . $guests++ . '; Path=/'] };
});
my $port = $app->port;
$site->write_file("html/$_", "the $_") for qw(page admin);
mkdir $site->dir . '/cache';

my $common = <<'EOT';
    entitle_reauth_user header=X-User;
    entitle_session_bind cookie=sid;
    add_header X-Who $entitle_user always;
EOT
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_session_key_file %%KEY%%;
entitle_session_cookie entitle secure=off;
proxy_cache_path %%DIR%%/cache keys_zone=answers:1m;
upstream app { server 127.0.0.1:$port; }

server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT6%%;
    $common
    entitle on;
    entitle_reauth /whoami;
    location = /page { }
    location = /poll { entitle_require pro; entitle_poll 1s; }
    location = /keyed { entitle_credentials header=X-Api-Key; try_files /page =404; }
    location = /tenant { set \$tenant \$arg_tenant; entitle_reauth /tenant-of; entitle_reauth_key \$tenant; try_files /page =404; }
    location = /narrow { entitle_credentials cookie=sid* header=Authorization; try_files /page =404; }
    location = /admin { entitle_reauth /staff; try_files /admin =404; }
    location = /admin-named { entitle_reauth_user header=X-Staff; try_files /admin =404; }
    location = /cached { entitle_reauth /cached-whoami; try_files /page =404; }
    location = /whoami { internal; proxy_pass http://app; }
    location = /referred { entitle_reauth /whoami-referred; try_files /page =404; }
    location = /whoami-referred {
        internal;
        proxy_set_header X-Tenant \$http_referer\$http_origin;
        proxy_pass http://app/whoami;
    }
    location = /at-port { entitle_reauth /whoami-at-port; try_files /page =404; }
    location = /whoami-at-port {
        internal;
        proxy_set_header X-Tenant port\$server_port;
        proxy_set_header Host shop.example;
        proxy_pass http://app/whoami;
    }
    location = /tenant-of { internal; proxy_set_header X-Tenant \$tenant; proxy_pass http://app; }
    location = /staff { internal; proxy_pass http://app; }
    location = /cached-whoami {
        internal;
        proxy_cache answers;
        proxy_cache_key whoami;
        proxy_cache_valid any 1m;
        proxy_pass http://app/cached;
    }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    $common
    entitle on;
    entitle_reauth /whoami;
    location = /page { }
    location = /whoami { internal; proxy_pass http://app/staff; }
}
# Not by names of their own.
server {
    listen 127.0.0.1:%%PORT5%%;
    server_name _;
    $common
    entitle on;
    entitle_reauth /whoami;
    location = /page { }
    location = /whoami { internal; proxy_pass http://app; }
}
server {
    listen 127.0.0.1:%%PORT7%%;
    server_name _;
    $common
    entitle on;
    entitle_reauth /whoami;
    location = /page { }
    location = /whoami { internal; proxy_pass http://app/staff; }
}
server {
    listen 127.0.0.1:%%PORT7%%;
    server_name *.tenants.example;
    $common
    entitle on;
    entitle_reauth /whoami;
    location = /page { }
    location = /whoami { internal; proxy_pass http://app; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    entitle_session_scope shop;
    $common
    entitle on;
    entitle_reauth /whoami;
    location = /page { }
    location = /whoami { internal; proxy_pass http://app; }
}
server {
    listen 127.0.0.1:%%PORT4%%;
    entitle_session_scope shop;
    $common
    entitle on;
    entitle_reauth /whoami;
    location = /page { }
    location = /whoami { internal; proxy_pass http://app/staff; }
}
EOT
put_record($redis, $_, version => 1_767_000_000_000, subscription('active'))
    for qw(ada bob eve staff);

# All at once, each on its own connection: the answers in that order.
sub together {
    my ($uri, @headers) = @_;
    my @all = map { $site->connect->send(uri => $uri, headers => $_) } @headers;
    return map { $_->receive } @all;
}
sub who { return join ' ', map { $_->header('X-Who') // $_->status } @_ }
sub asked { return scalar(my @seen = $app->seen(@_)) }

# --- one question for several -------------------------------------------------

is who(together('/keyed', map { ['X-Api-Key' => $_] } qw(ada bob eve))), 'ada bob eve',
    'who_is_told_apart_by_another_header_is_never_taken_for_another';
{
    my ($ada, $nobody) = together('/keyed', ['X-Api-Key' => 'ada'], []);
    is who($ada, $nobody), 'ada 401', 'nor_is_who_has_none';
    is $nobody->header('Set-Cookie'), undef, 'who gets no cookie either';
}
{
    my @shared = (Cookie => 'consent=yes; sid=ada');
    is who(together('/page', [@shared, 'X-Forwarded-Host' => 'worse'], [@shared], [@shared])),
        '503 ada ada', 'one_strangers_header_does_not_answer_for_others';
    is who(together('/page', [@shared, 'X-Forwarded-Host' => 'broken'], [@shared])),
        '401 ada', 'nor does its redirect';
    $site->expect_log(qr/re-authentication "\/whoami" answered an error/);
}
{
    my @sid = (Cookie => 'sid=ada; consent=yes');
    $app->forget;
    my @answers = together('/page', [@sid, Accept => 'text/html', Referer => 'http://x/', 'Sec-Fetch-Mode' => 'navigate',
            'Upgrade-Insecure-Requests' => 1, 'X-Request-Id' => 'a', Priority => 'u=0'],
        [@sid, Accept => 'image/webp', Referer => 'http://y/', 'Sec-Fetch-Mode' => 'no-cors',
            'X-Request-Id' => 'b', 'Cache-Control' => 'no-cache', Pragma => 'no-cache'],
        [@sid, Origin => 'http://x', traceparent => '00-1']);
    is who(@answers), 'ada ada ada', 'the requests of one page';
    is asked(), 1, 'are_one_question';
    $app->forget;
    together('/page', [@sid, 'User-Agent' => 'a'], [@sid, 'User-Agent' => 'b'],
        [@sid, 'Accept-Language' => 'de']);
    is asked(), 3, 'those_of_several_browsers_are_not';
}
{
    # Each on a flight of its own with one who has no such header, and leading it.
    my @kept_back = (qw(Accept Accept-Encoding Cache-Control Origin Pragma Priority Purpose Referer
        Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Sec-Fetch-User Sec-Purpose
        Upgrade-Insecure-Requests B3 CF-Ray Request-Id Sentry-Trace Traceparent Tracestate
        Uber-Trace-Id X-Amzn-Trace-Id X-B3-TraceId X-Cloud-Trace-Context X-Correlation-Id
        X-Datadog-Trace-Id X-Request-Id X-Trace-Id));
    $app->forget;
    my @answers = together('/page', map { my @cookie = (Cookie => "sid=ada; flight=$_");
        ([@cookie, $_ => 'refuse me'], [@cookie]) } @kept_back);
    for my $name (@kept_back) {
        is who(splice @answers, 0, 2), 'ada ada',
            "who_leads_a_flight_answers_for_nobody_else: $name";
    }
    is asked(), @kept_back, 'each was one question';
    is who(together('/page', [Cookie => 'sid=ada', 'X-Request-Id' => 'eve'], [Cookie => 'sid=ada'])),
        'ada ada', 'nor does one name others by it';
    is who(together('/referred', [Cookie => 'sid=ada', Referer => 'eve', Origin => 'eve'],
        [Cookie => 'sid=ada'])), 'ada ada', 'nor where the question is to be sent its variable';
    my ($question) = $app->seen('/whoami');
    is_deeply [Test::Entitle::GateApp::header($question, 'Accept')], ['*/*'],
        'the app may answer with whatever it likes';
    my @ports = ($site->port, $site->port(6));
    my @all = map { $site->connect(port => $_)->send(uri => '/at-port', host => 'shop.example',
        headers => [Cookie => 'x=1']) } @ports;
    is who(map { $_->receive } @all), "port$ports[0] port$ports[1]", 'nor one port for another';
    is $site->get('/poll', Cookie => 'sid=ada', Accept => 'text/event-stream')->status, 200,
        'so_an_EventSource_is_told_by_an_app_that_has_no_such_stream';
}
is who(together('/tenant?tenant=ada', [Cookie => 'x=1']), together('/tenant?tenant=bob', [Cookie => 'x=1'])),
    'ada bob', 'one after the other';
{
    my @all = map { $site->connect->send(uri => "/tenant?tenant=$_") } qw(ada bob);
    is who(map { $_->receive } @all), 'ada bob',
        'what_the_question_is_sent_besides_keeps_it_apart';
}

# --- a guest's cookies ---------------------------------------------------------

{
    $app->forget;
    my @answers = together('/page', ([Cookie => 'consent=yes']) x 4);
    is who(@answers), '401 401 401 401', 'four guests alike';
    is asked(), 1, 'are one question';
    my @given = map { grep { /^guest=/ } $_->header_all('Set-Cookie') } @answers;
    is scalar(@given), 1, 'a_guests_new_cookie_goes_to_one_of_them_alone';
    my ($ada, $too) = together('/page', ([Cookie => 'sid=ada; other=1']) x 2);
    is scalar(grep { /^sid=ada/ } map { $_->header_all('Set-Cookie') } $ada, $too), 2,
        'a_named_users_to_all_of_that_user';
}

# --- what the app goes by -------------------------------------------------------

for (['only our own cookie', '/page', 401, 0, Cookie => 'entitle=rubbish'],
    ['any other cookie', '/page', 401, 1, Cookie => 'consent=yes'],
    ['an analytics cookie where it is narrowed', '/narrow', 401, 0, Cookie => '_ga=1'],
    ['a cookie that begins so', '/narrow', 401, 1, Cookie => 'sid.0=x'],
    ['a header that is named', '/narrow', 401, 1, Authorization => 'Basic eA=='],
    ['a key that is empty', '/tenant', 401, 0],
    ['an unnamed header', '/page', 401, 0, 'X-Api-Key' => 'ada'])
{
    my ($name, $uri, $status, $questions, @headers) = @$_;
    $app->forget;
    is $site->get($uri, @headers)->status, $status, "$name: $status";
    is asked(), $questions, "  asked $questions times";
}

# --- a cached answer -------------------------------------------------------------

is who($site->get('/cached', Cookie => 'sid=ada')), 'ada', 'the first is asked about';
{
    my $answer = $site->get('/cached', Cookie => 'sid=bob');
    is who($answer), '503', 'an_answer_from_a_cache_names_nobody';
    is $answer->header('Set-Cookie'), undef, 'and gives nothing';
    like $site->log, qr/"\/cached-whoami" came from a cache.*"proxy_cache off"/,
        'and_the_log_says_what_to_turn_off';
    $site->expect_log(qr/re-authentication "\/cached-whoami" answered from a cache/,
        qr/came from a cache/);
}

# --- what a session is worth ------------------------------------------------------

sub session_of {
    my ($answer) = @_;
    my %cookies = $answer->cookies;
    return $cookies{entitle};
}
{
    my $visitor = session_of($site->get('/page', Cookie => 'sid=ada'));
    ok $visitor, 'a session of the visitors';
    my %with = (headers => [Cookie => "entitle=$visitor; sid=ada"]);
    $app->forget;
    is who($site->request(uri => '/page', %with)), 'ada', 'opens their door';
    is asked(), 0, 'without a question';
    is who($site->request(uri => '/admin', %with)), 'staff',
        'a_session_of_one_question_opens_nothing_behind_another';
    is asked('/staff'), 1, 'where it is asked';
    is $site->request(uri => '/admin-named', %with)->status, 503, 'nor where the user is read elsewhere';
    is who($site->request(uri => '/page', port => $site->port(2), %with)), 'staff',
        'nor_at_another_server_of_that_key';
    $site->expect_log(qr/answered a success that names no user/);
}
# A server that takes any host, or many by a pattern, has no name that could tell
# it from another, and its hosts may be as many sites.
{
    my $made = session_of($site->request(uri => '/page', port => $site->port(5),
            headers => [Cookie => 'sid=ada']));
    is who($site->request(uri => '/page', port => $site->port(7),
            headers => [Cookie => "entitle=$made; sid=ada"])), 'staff',
        'a_session_of_one_server_for_any_host_opens_no_other';
    for my $case ([5 => 'a.example', 'b.example'],
        [7 => 'a.tenants.example', 'b.tenants.example']) {
        my ($port, $one, $other) = @$case;
        my %at = (uri => '/page', port => $site->port($port));
        my $made = session_of($site->request(%at, host => $one, headers => [Cookie => 'sid=ada']));
        $app->forget;
        is who($site->request(%at, host => $one, headers => [Cookie => "entitle=$made; sid=ada"])),
            'ada', "a session of $one";
        is asked(), 0, '  is worth something there';
        is who($site->request(%at, host => $other, headers => [Cookie => "entitle=$made; sid=ada"])),
            'ada', "  and at $other";
        is asked(), 1, '  the_app_is_asked_again_at_another_host';
    }
}
{
    my $shared = session_of($site->request(uri => '/page', port => $site->port(3),
            headers => [Cookie => 'sid=ada']));
    is who($site->request(uri => '/page', port => $site->port(4),
            headers => [Cookie => "entitle=$shared; sid=ada"])), 'ada',
        'servers_of_one_scope_share_a_session';
}

# --- nginx -t ----------------------------------------------------------------------

my $check = Test::Entitle->new;
for (['entitle_credentials x;', qr/invalid value "x".*cookie=NAME/],
    ['entitle_credentials cookie=;', qr/invalid value "cookie="/],
    ['entitle_credentials header=;', qr/invalid value "header="/],
    ['entitle_credentials header="a b";', qr/invalid value/],
    ['entitle_reauth_key a$b;', qr/one \$variable/],
    ['entitle_session_scope $host;', qr/takes no variables/],
    ['entitle_session_scope "";', qr/a name/])
{
    my ($line, $message) = @$_;
    my ($accepted, $said) = $check->config_test("$line server { listen 127.0.0.1:%%PORT%%; }");
    ok !$accepted, "refused: $line";
    like $said, $message, '  and says why';
}
{
    my ($accepted, $said) = $check->config_test('entitle_credentials header=X;'
        . ' entitle_reauth_key $arg_a; entitle_session_scope a; server { listen 127.0.0.1:%%PORT%%;'
        . ' entitle_credentials off; entitle_reauth_key off; entitle_session_scope off; }');
    ok $accepted, 'each_can_be_turned_off' or diag $said;
}

done_testing;
