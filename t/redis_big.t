# A key too big to be read is the trouble of who it is about: nobody else is
# answered otherwise, Redis counts as well, and the log says which key it is.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/page.html', 'page');
$site->write_file('html/app.html',  'page');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_mode test;
entitle_redis_down allow;
server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami { add_header X-User $cookie_app; return 204; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    add_header X-Why $entitle_reason always;
    location = /page.html { entitle_require pro; %%REAUTH%% }
    location = /app.html  {
        entitle_require pro;
        entitle_session_redis sess:$cookie_sid json=/user;
    }
}
EOF

sub paid {
    my ($user) = @_;
    return event_json('customer.subscription.created.active', user => $user, customer => $user);
}
sub ask {
    my ($uri, $cookie) = @_;
    return $site->connect->send(uri => $uri, close => 1, headers => [Cookie => $cookie]);
}

is $site->webhook(paid('ada'))->status, 200, 'ada has paid';

# Whoever comes while somebody asks for what is too big: strangers, who are
# looked up in Redis each time, one who has paid, and events.
my $count = 0;
sub nobody_else_notices {
    my ($name, $ask) = @_;
    my (%stranger, %paid, %event, @asked);
    for my $round (1 .. 6) {
        push @asked, $ask->();
        my @strangers = map { ask('/page.html', 'app=stranger' . $count++) } 1 .. 5;
        my $ada       = ask('/page.html', 'app=ada');
        my $event     = $site->connect->send($site->webhook_request(paid('u' . $count++)));
        $stranger{ $_->receive->status }++ for @strangers;
        $paid{ $ada->receive->status }++;
        $event{ $event->receive->status }++;
    }
    is join(' ', sort keys %stranger), 402, "$name: strangers are told what they are";
    is join(' ', sort keys %paid), 200, '  who has paid is in';
    is join(' ', sort keys %event), 200, '  and events are stored';
    is join(' ', sort keys %{ { map { $_->receive->status => 1 } @asked } }), 503,
        '  only who asks has trouble';
}

my $MB = 1_000_000;
my $id = 'b' x 20;
for my $size (1, 15, 64) {
    $redis->command('SET', "sess:$id", '"' . 'x' x ($size * $MB) . '"');
    nobody_else_notices("a session of $size MB", sub { ask('/app.html', "sid=$id") });
}
$redis->command('DEL', "sess:$id");
is $site->get('/app.html', Cookie => "sid=$id")->status, 401, 'without it the visitor is a guest';

my $big = 'entitle:test:{u:big}';
$redis->command('HSET', $big, 'version', '1795835953000', 'junk', 'x' x (17 * $MB));
nobody_else_notices('a record of 17 MB', sub { ask('/page.html', 'app=big') });
is ask('/page.html', 'app=big')->receive->header('X-Why'), 'record_unreadable', '  and is told why';
ok $site->wait_for_log(qr/TOOBIG its answer about "\Q$big\E"/), '  the log names the key';
$redis->command('HDEL', $big, 'junk');
ok wait_until(sub { ask('/page.html', 'app=big')->receive->status == 402 }),
    '  made smaller, it is read again';

my $event = paid('large');
is $site->webhook($event)->status, 200, 'large has paid';
my ($place) = grep { /\{p:cus_\w*large\w*\}$/ } $redis->keys;
$redis->command('HSET', $place, 'junk', 'x' x (17 * $MB));
nobody_else_notices('a place of 17 MB',
    sub { $site->connect->send($site->webhook_request($event)) });
ok $site->wait_for_log(qr/not_stored.*TOOBIG its answer about "\Q$place\E"/),
    '  the log names the key';

unlike $site->log, qr/is unreachable/, 'Redis was well all the time';
$site->expect_log(qr/TOOBIG|the app's session cannot be read/);
done_testing;
