# The main job, end to end: a visitor becomes a customer and is let in, in the
# session they already have; a cancellation puts them out. Two workers, so that
# nothing may depend on which of them heard what.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

# The app, which knows only who is logged in, in an nginx of its own: in ours
# the headers it is told by would be taken for a client's.
my $app = Test::Entitle->new;
$app->start(<<'EOF');
map $cookie_app $app_user { s1 ada; s2 bob; default ''; }
server {
    listen 127.0.0.1:%%PORT%%;
    location = /whoami {
        if ($app_user = '') { return 401; }
        add_header X-User $app_user;
        return 204;
    }
    location / {
        return 200 "user=$http_x_entitle_user version=$http_x_entitle_version entitlements=$http_x_entitle_entitlements";
    }
}
EOF

my $site = Test::Entitle->new(workers => 2);
$site->{ports}{2} = $app->port;
$site->redis;
$site->write_file('html/lesson.html',  'the lesson');
$site->write_file('html/paywall.html', 'please pay');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%

server {
    listen 127.0.0.1:%%PORT%%;

    %%WEBHOOK%%

    %%REAUTH%%
    entitle_login_url /login?next=$entitle_return_url;

    location = /lesson.html  { entitle_require pro; error_page 402 /paywall.html; }
    location = /paywall.html { internal; }
    location /app/ {
        entitle_require pro;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
    location = /whoami {
        internal;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
}
EOF

# --- before anybody paid -----------------------------------------------------

my $ada = $site->browser;
my $answer = $ada->get('/lesson.html?page=2');
is $answer->status, 302, 'a_visitor_is_sent_to_the_login';
like $answer->header('Location'), qr{/login\?next=(?:/|%2F)lesson\.html(?:\?|%3F)page(?:=|%3D)2$}i,
    'with the way back';
is $site->get('/lesson.html')->status, 401, 'a_program_is_told_401';

$ada->cookies->{app} = 's1';
$answer = $ada->get('/lesson.html');
is $answer->status, 402, 'logged_in_is_not_yet_paid';
is $answer->body, 'please pay', 'and sees the paywall';
is $ada->request(uri => '/lesson.html')->header('Content-Type'),
    'application/problem+json', 'a program gets a problem it can read';

my $bob = $site->browser;
$bob->cookies->{app} = 's2';
is $bob->get('/lesson.html')->status, 402, 'bob has not paid either';

# --- the purchase ------------------------------------------------------------

my @purchase = map { event_json($_, user => 'ada') }
    qw(checkout.session.completed.subscription customer.subscription.created.active);
for my $event (@purchase) {
    $answer = $site->webhook($event);
    is $answer->status, 200, 'stripe_tells_of_the_purchase';
    is $answer->json->{outcome}, 'applied', 'and it is applied';
}
is_deeply $answer->json->{unlocks}, ['pro'], 'and says what it unlocks';

my %before = %{ $ada->cookies };
$answer = $ada->get('/lesson.html');
is $answer->status, 200,          'the_same_session_is_let_in_at_once';
is $answer->body,   'the lesson', 'and sees the lesson';
is $ada->cookies->{app}, $before{app}, 'with the session the app gave';
isnt $ada->cookies->{entitle}, $before{entitle}, 'and a fresh one of ours';
is $bob->get('/lesson.html')->status, 402, 'and nobody else is';

for (1 .. 10) {
    is $ada->get('/lesson.html')->status, 200, "again, whichever worker it is ($_)";
}

# --- what the app learns -----------------------------------------------------

my $version = $site->redis->hgetall('entitle:test:{u:ada}')->{version};
is $ada->get('/app/')->body, "user=ada version=$version entitlements=pro",
    'the_app_is_told_who_and_what';
is $ada->get('/app/', 'X-Entitle-User' => 'bob', 'X_Entitle_User' => 'bob')->body,
    "user=ada version=$version entitlements=pro", 'and nobody can say it instead';

# --- what stands in Redis ----------------------------------------------------

my $redis  = $site->redis;
my $record = $redis->hgetall('entitle:test:{u:ada}');
like $version, qr/^1\d{12}$/, 'the version began as a time in milliseconds';
ok grep({ /^source:sub_/ } keys %$record), 'the subscription is a source';
ok grep({ /^place:cus_/ } keys %$record),  'its customer is a place of the user';
my @log = map { JSON::PP::decode_json($_) }
    @{ $redis->command('LRANGE', 'entitle:test:{u:ada}:log', 0, -1) };
is scalar @log, 2, 'each event has its line in the log';
for my $event (@purchase) {
    my ($id) = $event =~ /"id":"(evt_test\w+)"/;
    my $ttl = $redis->command('TTL', "entitle:test:event:$id");
    ok $ttl > 34 * 86400 && $ttl <= 35 * 86400, 'and can be looked up for 35 days';
}

# --- again, and forged -------------------------------------------------------

is $site->webhook($purchase[1])->json->{outcome}, 'duplicate',
    'the_same_event_again_is_a_duplicate';
is $redis->hgetall('entitle:test:{u:ada}')->{version}, $version,
    'and the version stands';
is $site->webhook(event_json('customer.subscription.created.active', user => 'bob',
        customer => 'B'), secret => 'whsec_forged')->status, 400,
    'a_forged_purchase_is_refused';
is $bob->get('/lesson.html')->status, 402, 'and opens nothing';

# --- somebody else at the same browser ---------------------------------------

$ada->cookies->{app} = 's2';
is $ada->get('/lesson.html')->status, 402, 'logged_in_as_bob_she_is_bob';
$ada->cookies->{app} = 's1';
is $ada->get('/lesson.html')->status, 200, 'and ada again';
delete $ada->cookies->{app};
is $ada->get('/lesson.html')->status, 302, 'and logged out she is nobody';
$ada->cookies->{app} = 's1';

# --- the end -----------------------------------------------------------------

is $ada->get('/lesson.html')->status, 200, 'still a customer';
$answer = $site->webhook(event_json('customer.subscription.deleted',
    user => 'ada', map { $_ => time } qw(created data.object.ended_at data.object.canceled_at)));
is $answer->json->{outcome}, 'applied', 'a_cancellation_is_applied';
is_deeply $answer->json->{unlocks}, [], 'and leaves nothing';
is $ada->get('/lesson.html')->status, 402, 'and_closes_the_door_at_once';
cmp_ok $redis->hgetall('entitle:test:{u:ada}')->{version}, '>', $version,
    'by a higher version';

done_testing;
