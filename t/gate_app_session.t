# Visitors known by the app's own session in Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $app = Test::Entitle->new;
$app->start(<<'EOF');
server {
    listen 127.0.0.1:%%PORT%%;
    location = /whoami {
        if ($cookie_sid = '') { return 401; }
        add_header X-User ada;
        return 204;
    }
}
EOF

my $site = Test::Entitle->new;
$site->{ports}{2} = $app->port;
my $redis = $site->redis;
$site->write_file('html/index.html', 'the lesson');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;

server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    add_header X-Who $entitle_user always;
    add_header X-Why $entitle_reason always;

    location /node/ {
        alias %%DIR%%/html/;
        entitle_require pro;
        entitle_session_redis sess:cookie=connect.sid json=/passport/user;
    }
    location /django/ {
        alias %%DIR%%/html/;
        entitle on;
        entitle_session_redis :1:django.contrib.sessions.cache$cookie_sessionid json=/_auth_user_id;
    }
    location /versioned/ {
        alias %%DIR%%/html/;
        entitle on;
        entitle_session_redis sess:${cookie_sid}:web json=/user/id version=/entitle;
        location /versioned/reauth/ {
            alias %%DIR%%/html/;
            entitle_reauth /whoami;
            entitle_reauth_user header=X-User;
        }
    }
    location = /whoami {
        internal;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
}
EOF

my $id  = 'Zx3kQp9_vT-81LmNaAqR';
my $mac = 'a' x 43;
sub node { return $site->get('/node/', Cookie => "connect.sid=$_[0]") }

# --- express and connect-redis -----------------------------------------------

is $site->get('/node/')->status, 401, 'no_cookie_is_a_guest';
is node("s%3A$id.$mac")->status, 401, 'a_session_that_is_not_there_is_a_guest';
is node("s%3A$id.$mac")->header('X-Why'), 'session_expired', '  and told so';

$redis->command('SET', "sess:$id", '{"cookie":{"path":"/"},"passport":{"user":"ada"}}');
my $answer = node("s%3A$id.$mac");
is $answer->status, 402, 'the_session_of_the_app_says_who_it_is';
is $answer->header('X-Who'), 'ada', '  by name';
is $answer->header('Set-Cookie'), undef, '  and no cookie of ours is set';
is node("s:$id.$mac")->status, 402, 'escaped or not';
is node($id)->status, 402, 'signed or not';

is $site->webhook(event_json($_, user => 'ada'))->status, 200, $_
    for qw(checkout.session.completed.subscription customer.subscription.created.active);
is node("s%3A$id.$mac")->status, 200, 'a_purchase_opens_the_door_in_the_same_session';
$redis->command('HSET', 'entitle:test:{u:ada}', 'not_before', time + 60);
is node("s%3A$id.$mac")->status, 200, 'which is the app\'s to end';

my $before = $redis->command('GET', "sess:$id");
is $redis->command('GET', "sess:$id"), $before, 'and is never written';
$redis->command('DEL', "sess:$id");
is node("s%3A$id.$mac")->status, 401, 'logged_out_of_the_app_is_logged_out_here_at_once';

$redis->command('SET', "sess:$id", '{"cookie":{}}');
is node($id)->header('X-Why'), 'no_session', 'a_session_of_nobody_is_a_guest';
$redis->command('SET', "sess:$id", '{"passport":{"user":4711}}');
is node($id)->header('X-Who'), '4711', 'a_number_is_a_user_too';

# --- what a client may try ---------------------------------------------------

$redis->command('SET', 'sess:short', '{"passport":{"user":"ada"}}');
$redis->command('SET', "sess:x:$id", '{"passport":{"user":"ada"}}');
for my $try ('short', "x:$id", "x%3A$id", '*' x 20, 'a' x 300, "s:$id", "s:$id.short", '%00' x 20) {
    is node($try)->status, 401, "\"$try\" reaches no other key";
}

my $second = 'second-session-of-somebody';
$redis->command('SET', "sess:$id",     '{"passport":{"user":"ada"}}');
$redis->command('SET', "sess:$second", '{"passport":{"user":"bob"}}');
is node("$id; connect.sid=junk")->status, 200, 'a_bad_cookie_of_the_name_does_no_harm';
is node("gone-gone-gone-gone; connect.sid=$id")->status, 200, 'nor one of a session that is gone';
is node("$id; connect.sid=$second")->status, 401, 'cookies_of_two_users_name_nobody';
is node("$id; connect.sid=$second")->header('X-Who'), undef, '  neither of them';

# --- what cannot be read -----------------------------------------------------

for (
    ['php_serialized', 'passport|a:1:{s:4:"user";s:3:"ada";}'],
    ['python_pickled', "\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94."],
    ['not_json',       'ada'],
    ['a number where a user should be', '{"passport":{"user":["ada"]}}'],
) {
    my ($name, $value) = @$_;
    $redis->command('SET', "sess:$id", $value);
    $answer = node($id);
    is $answer->status, 503, "$name is trouble, never \"logged out\"";
    is $answer->header('X-Why'), 'record_unreadable', '  and told so';
}
$redis->command('DEL', "sess:$id");
$redis->command('RPUSH', "sess:$id", 'x');
is node($id)->status, 503, 'so_is_another_type';
$site->expect_log(qr/the app's session cannot be read/);

# --- Django, versions --------------------------------------------------------

my $django = ':1:django.contrib.sessions.cache' . 'a1b2c3d4e5f6g7h8';
$redis->command('SET', $django, '{"_auth_user_id":"17"}');
$answer = $site->get('/django/', Cookie => 'sessionid=a1b2c3d4e5f6g7h8');
is $answer->status, 200, 'a_key_may_come_from_a_variable';
is $answer->header('X-Who'), '17', '  by name';

my $version = $redis->hgetall('entitle:test:{u:ada}')->{version};
sub versioned {
    my ($value, $uri) = @_;
    $redis->command('SET', "sess:$id:web", qq({"user":{"id":"ada"},"entitle":$value}));
    return $site->get($uri // '/versioned/', Cookie => "sid=$id");
}
is versioned($version)->status, 200, 'a_session_of_this_version';
is versioned($version - 1)->status, 401, 'an_older_one_is_stale';
is versioned('null')->status, 200, 'one_without_is_not_compared';
is versioned('"x"')->status, 503, 'one_that_is_no_number_cannot_be_told';
is versioned($version - 1, '/versioned/reauth/')->status, 200, 'a_stale_one_goes_to_the_app_where_it_can';

# --- without Redis -----------------------------------------------------------

$redis->stop;
wait_until(sub { node($id)->header('X-Why') eq 'redis_unreachable' });
is node($id)->status, 503, 'without_redis_nobody_can_tell';
$site->expect_log(qr/redis.*(?:unreachable|refused|closed)/);

# --- nginx -t ----------------------------------------------------------------

my $check = Test::Entitle->new;
for (
    ['no_pointer', 'sess:cookie=sid', qr/json=/],
    ['no_place_for_the_id', 'sess: json=/user', qr/"sess:"/],
    ['nothing_before_the_id', '$cookie_sid json=/user', qr/\$cookie_sid/],
    ['a_bad_pointer', 'sess:cookie=sid json=user', qr/"json=user"/],
    ['another_word', 'sess:cookie=sid json=/user user=/x', qr/"user=\/x"/],
    ['a_second_pointer', 'sess:cookie=sid json=/user json=/x', qr/"json=\/x"/],
) {
    my ($name, $words, $pattern) = @$_;
    my ($accepted, $said) = $check->config_test('server { listen 127.0.0.1:%%PORT%%;'
            . " location = /x { entitle on; entitle_session_redis $words; } }");
    ok !$accepted, "$name is refused";
    like $said, qr/\[emerg\].*nginx\.conf:\d+/, '  with its place';
    like $said, $pattern, "  naming $pattern";
}

done_testing;
