# The way out: of this browser, beside the app's own, and of every device.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Jwt;

my $jwt = Test::Entitle::Jwt->rsa;
my $app = Test::Entitle->new;
$app->start(<<'EOF');
map $cookie_app $who { default ''; "~^ada" ada; "~^bob" bob; "~^dan" dan; }
server {
    listen 127.0.0.1:%%PORT%%;
    location = /whoami {
        if ($who = '') { return 401; }
        add_header X-User $who;
        return 204;
    }
    location = /logout {
        add_header Set-Cookie "app=; Max-Age=0";
        return 200 "bye $http_x_entitle_user";
    }
}
EOF

my $site = Test::Entitle->new(workers => 2);
$site->{ports}{2} = $app->port;
my $redis = $site->redis;
$site->write_file('jwt.pem', $jwt->public_pem);
$site->write_file('html/index.html', 'the lesson');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_jwt_key_file %%DIR%%/jwt.pem;

server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    entitle on;
    %%REAUTH%%

    location = /index.html    { }
    location = /logout        { entitle_logout; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /logout-alone  { entitle_logout; }
    location = /logout-return { entitle_logout; return 303 /bye; }
    location = /logout-moved  { entitle_logout; rewrite ^ /bye redirect; }
    location = /everywhere    { entitle_logout all; }
    location = /everywhere-app { entitle_logout all; proxy_pass http://127.0.0.1:%%PORT2%%/logout; }
    location = /everywhere-page { error_page 403 /refused.html; entitle_logout all; }
    location = /refused.html { entitle off; expires 1h; alias %%DIR%%/html/index.html; }
    location = /whoami {
        internal;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
}

server {
    listen 127.0.0.1:%%PORT3%%;
    entitle_jwt $http_authorization;
    location /           { entitle on; }
    location = /everywhere { entitle_logout all; }
}

server {
    listen 127.0.0.1:%%PORT4%%;
    entitle optional;
    entitle_redis_down allow;
    entitle_stale 0;
    %%REAUTH%%
    location = /everywhere { entitle_logout all; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
}
EOF

sub device {
    my ($who) = @_;
    my $browser = $site->browser;
    $browser->cookies->{app} = "$who-" . int rand 1e9;
    is $browser->get('/index.html')->status, 200, "$who logs in";
    ok $browser->cookies->{entitle}, '  and has a session';
    return $browser;
}

# Where the gate is optional and lets pass what it cannot verify.
sub everywhere_optionally {
    my ($browser) = @_;
    my %jar = %{ $browser->cookies };
    return $site->request(port => $site->port(4), method => 'POST', uri => '/everywhere',
        body => '', headers => [Cookie => join '; ', map { "$_=$jar{$_}" } sort keys %jar]);
}

# --- this browser ------------------------------------------------------------

my $cleared = qr/^entitle=; .*Max-Age=0/;
for my $uri ('/logout', '/logout-alone', '/logout-return', '/logout-moved') {
    my $ada = device('ada');
    my $answer = $ada->get($uri);
    ok +(grep { $_ =~ $cleared } $answer->header_all('Set-Cookie')), "$uri clears the cookie";
    like $answer->header('Cache-Control'), qr/no-store/, '  and is kept by nobody';
    ok !$ada->cookies->{entitle}, '  so it is gone';
}
is $site->get('/logout')->body, 'bye ', 'the_app_answers_itself';
is $site->get('/logout')->status, 200, 'whoever_comes_may_go';
ok +(grep { /^app=;/ } $site->get('/logout')->header_all('Set-Cookie')), 'its cookies stay';
is $site->get('/logout-alone')->status, 204, 'alone_it_answers_204';
is $site->get('/logout-return')->status, 303, 'return_is_not_in_the_way';
is $site->browser->post('/logout-alone', 'x=' . 'y' x 5000)->status, 204, 'by_post_too';

# --- every device ------------------------------------------------------------

is $site->webhook(event_json($_, user => 'ada'))->status, 200, $_
    for qw(checkout.session.completed.subscription customer.subscription.created.active);
my $key = 'entitle:test:{u:ada}';
my $version = $redis->hgetall($key)->{version};

my ($phone, $laptop, $bob) = (device('ada'), device('ada'), device('bob'));
for my $method (qw(GET HEAD PUT OPTIONS)) {
    my $answer = $phone->request(method => $method, uri => '/everywhere');
    is $answer->status, 405, "$method does not log out everywhere";
    is $answer->header('Allow'), 'POST', '  but says what does';
    is $answer->header('Cache-Control'), 'private, no-store', '  and is kept by nobody';
    ok !(grep { $_ =~ $cleared } $answer->header_all('Set-Cookie')), '  and clears nothing';
}
is $redis->hgetall($key)->{version}, $version, 'nothing has changed';

my $old = $phone->cookies->{entitle};
my $answer = $phone->post('/everywhere', '');
is $answer->status, 204, 'a_post_does';
ok +(grep { $_ =~ $cleared } $answer->header_all('Set-Cookie')), '  and clears the cookie';
my $record = $redis->hgetall($key);
is $record->{version}, $version + 1, '  and raises the version';
cmp_ok abs($record->{not_before} - time), '<=', 5, '  and nothing older is believed';
is JSON::PP::decode_json($redis->command('LRANGE', "$key:log", 0, 0)->[0])->{type}, 'logout',
    '  and the log says so';

# A line is written once its answer has left: what came before the fence is there with it.
my $fences = 0;
my $asked = sub {
    my $fence = 'fence-' . ++$fences . ' ';
    $app->get("/logout?fence-$fences");
    wait_until(sub { index($app->read_file("logs/access.log"), $fence) >= 0 }, 5)
        or die "no $fence in the app's log";
    return scalar(() = $app->read_file('logs/access.log') =~ m{/whoami}g);
};
my $before = $asked->();
is $laptop->get('/index.html')->status, 200, 'the_other_device_has_to_ask';
is $asked->(), $before + 1, '  the app who it is';
$before = $asked->();
is $bob->get('/index.html')->status, 200, 'and_nobody_else';
is $asked->(), $before, '  has to';

$laptop->cookies->{app} = 'nobody';
$phone->cookies->{entitle} = $old;
delete $phone->cookies->{app};
is $phone->get('/index.html')->status, 401, 'the_old_session_is_worth_nothing';

# --- who asks ----------------------------------------------------------------

my $victim = device('ada');
$version = $redis->hgetall($key)->{version};
for (['Sec-Fetch-Site' => 'cross-site'], [Origin => 'https://evil.example'], [Origin => 'null'],
    ['Sec-Fetch-Site' => 'same-site', Origin => 'https://sibling.example'], ['Sec-Fetch-Site' => 'same-site'],
    ['Sec-Fetch-Site' => 'same-site', Origin => 'null']) {
    my $answer = $victim->request(method => 'POST', uri => '/everywhere', headers => $_, body => '');
    is $answer->status, 403, "another_site_logs_nobody_out: @$_";
    is $answer->header('Cache-Control'), 'private, no-store', '  and that is kept by nobody';
    ok !(grep { $_ =~ $cleared } $answer->header_all('Set-Cookie')), '  and clears nothing';
}
is $redis->hgetall($key)->{version}, $version, '  and writes nothing';
is $victim->request(method => 'POST', uri => '/everywhere', body => '',
    headers => ['Sec-Fetch-Site' => 'same-origin', Origin => 'https://other.example'])->status, 204,
    'what the browser says of the site counts before the origin';

is device('ada')->request(method => 'POST', uri => '/everywhere', body => '', host => 'shop.example',
    headers => ['Sec-Fetch-Site' => 'same-site', Origin => 'https://shop.example'])->status, 204,
    'a page of this very host is no sibling';
is $site->request(method => 'POST', uri => '/everywhere-page', body => '',
    headers => [Origin => 'https://evil.example'])->header('Cache-Control'), 'private, no-store',
    'nor is its error page kept';

$victim = device('ada');
$version = $redis->hgetall($key)->{version};
is everywhere_optionally($victim)->status, 204, 'also where the gate is optional';
is $redis->hgetall($key)->{version}, $version + 1, '  it is everywhere';
$version++;

is $site->browser->post('/everywhere', '')->status, 204, 'a_guest_just_goes';
my $dan = device('dan');
is $dan->post('/everywhere', '')->status, 204, 'who_has_no_record';
is_deeply $redis->hgetall('entitle:test:{u:dan}'), {}, '  still has none';
is device('ada')->post('/everywhere-app', 'a=b')->body, 'bye ', 'the_app_answers_itself';
is $redis->hgetall($key)->{version}, $version + 1, '  and it is everywhere';

# --- by JWT ------------------------------------------------------------------

my $token = $jwt->token({ sub => 'ada', iat => time, exp => time + 60 });
$redis->command('HDEL', $key, 'not_before');
my @bearer = (Authorization => "Bearer $token");
my %program = (port => $site->port(3), headers => [@bearer]);
is $site->request(%program, uri => '/index.html')->status, 200, 'a_token_is_believed';
is $site->request(%program, method => 'POST', uri => '/everywhere')->status, 204,
    'until_its_user_logs_out_everywhere';
is $site->request(%program, uri => '/index.html')->status, 401, 'then_it_is_not';

# --- without Redis -----------------------------------------------------------

my $stuck = device('ada');
$redis->stop;
$answer = $stuck->post('/everywhere', '');
is $answer->status, 503, 'without_redis_it_is_not_everywhere';
ok !(grep { $_ =~ $cleared } $answer->header_all('Set-Cookie')), '  and nothing is cleared';
$answer = everywhere_optionally($stuck);
is $answer->status, 503, 'nor_where_the_gate_is_optional_and_lets_pass';
ok !(grep { $_ =~ $cleared } $answer->header_all('Set-Cookie')), '  and nothing is cleared';
is $stuck->post('/logout-alone', '')->status, 204, 'but_this_browser_may_go';
$site->expect_log(qr/redis.*(?:unreachable|refused|closed)/);

# --- nginx -t ----------------------------------------------------------------

my $check = Test::Entitle->new;
my $keyed = 'entitle_session_key_file %%KEY%%; server { listen 127.0.0.1:%%PORT%%; location = /x';
for (
    ['another_word', "$keyed { entitle_logout everywhere; } }", qr/"everywhere"/, qr/all/],
    ['beside_a_gate', "$keyed { entitle_logout; entitle on; } }", qr/cannot be gated/],
    ['beside_a_requirement', "$keyed { entitle_logout; entitle_require pro; } }", qr/cannot be gated/],
    ['twice', "$keyed { entitle_logout; entitle_logout all; } }", qr/duplicate/],
    ['of_nobody', 'server { listen 127.0.0.1:%%PORT%%; location = /x { entitle_logout; } }',
        qr/entitle_session_key_file/],
) {
    my ($name, $http, @patterns) = @$_;
    my ($accepted, $said) = $check->config_test($http);
    ok !$accepted, "$name is refused";
    like $said, qr/\[emerg\].*nginx\.conf:\d+/, '  with its place';
    like $said, $_, "  naming $_" for @patterns;
}

done_testing;
