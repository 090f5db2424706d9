# entitle_poll: a script asks once and is told when the webhook is there, by one
# answer or by a stream of events.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

my $VERSION = 1_767_000_000_000;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $app   = Test::Entitle::GateApp->new($site, sub {
    my ($user, $renews) = split /\./, $_[0]{cookies}{app} // '';
    return { status => 401 } if !$user;
    return { status => 503 } if $user eq 'broken';
    return { status => 204, headers => ['X-User' => $user,
        $renews ? ('Set-Cookie' => "app=$user.renewed") : ()] };
});
$site->write_file('html/page', 'page');

sub configuration {
    my (%o) = @_;
    my $limit = $o{limit} // 512;
    return <<"EOT";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_lease 1s;
entitle_grant pro prod_Pro prod_FxPRO000001;
entitle_grant team prod_Team;
entitle_wait_limit $limit;
%%SESSIONS%%
limit_conn_zone \$entitle_user zone=waiting:64k;
limit_conn_log_level info;
log_format polls '\$uri \$status \$entitle_user \$entitle_decision \$entitle_reason';
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    access_log %%DIR%%/logs/polls.log polls;
    %%WEBHOOK%%
    %%REAUTH%%
    entitle_login_url /login;
    lingering_timeout 200ms;
    location = /pro   { entitle_require pro; entitle_poll 10s; expires 1h; }
    location = /any   { entitle_poll 10s; }
    location = /short { entitle_require pro; entitle_poll 300ms; }
    location = /pulse { entitle_require pro; entitle_poll 600ms; }
    location = /page  { entitle_require pro; }
    location = /few   { limit_conn waiting 1; entitle_require pro; entitle_poll 10s; }
    location = /open  { satisfy any; allow all; entitle_require pro; entitle_poll 10s; }
    location = /lenient { entitle_redis_down allow; entitle_require pro; entitle_poll 300ms; }
    location = /includes { ssi on; ssi_types text/plain; entitle_require pro; alias %%DIR%%/html/ssi; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
}
EOT
}
$site->start(configuration());

my $serial = 0;
sub newcomer { return 'user' . ++$serial }
sub pays {
    my ($user, @sources) = @_;
    @sources = subscription('active') if !@sources;
    $redis->command('HSET', "entitle:test:{u:$user}", version => $VERSION, @sources);
}
sub session_of {
    my ($user, %o) = @_;
    return (Cookie => "app=$user; entitle=" . session(user => $user,
        version => $o{version} // 0, bind => [$user], %o));
}
sub poll {
    my ($uri, @headers) = @_;
    return $site->connect->send(uri => $uri, headers => \@headers);
}
sub stream {
    my ($uri, @headers) = @_;
    return poll($uri, Accept => 'text/event-stream', @headers);
}
sub waits { return !$_[0]->readable($_[1] // 0.1) }
sub seconds { my ($begin) = @_; return time - $begin }

# What comes until it matches, or ends.
sub read_until {
    my ($c, $pattern) = @_;
    my $end = time + 15;
    while ($c->{buffer} !~ $pattern && time < $end) { $c->_more($end) or last }
    return $c->{buffer};
}
sub listens {
    return wait_until(sub {
        $site->get('/short', session_of('nobody'));
        my %hears = map { $_ => 1 } $site->log =~ /(\d+)#\d+: entitle: Redis says what changes/g;
        !grep { !$hears{$_} } $site->worker_pids;
    });
}
ok listens(), 'Redis says what changes';

# --- one answer -----------------------------------------------------------------

# A client library that announces a body with its GET, and sends it late or never.
for my $with (['Content-Length' => 5], ['Transfer-Encoding' => 'chunked']) {
    my $user = newcomer();
    my $held = poll('/pro', session_of($user), @$with);
    ok waits($held, 0.8), "a_poll_that_announces_a_body_waits: @$with";
    pays($user);
    is $held->receive->status, 200, '  and is answered';

    my $late = newcomer();
    $held = poll('/pro', session_of($late), @$with);
    ok waits($held, 0.4), '  and one';
    $held->write($with->[0] eq 'Content-Length' ? 'hello' : "5\r\nhello\r\n0\r\n\r\n");
    ok waits($held, 0.4), '  whose body comes late';
    pays($late);
    is $held->receive->status, 200, '  too';
    is $held->send(uri => '/short', headers => [session_of($late)])->receive->status, 200,
        '  and the next request on that connection';

    my $nobody = newcomer();
    is poll('/short', session_of($nobody), @$with)->receive->status, 204, '  as is one in vain';
    my $events = stream('/pulse', session_of($nobody), @$with);
    like read_until($events, qr/^0\r\n\r\n/m), qr/200 OK.*:\n\n.*^0\r\n\r\n/ms, '  and one of events';
}

{
    my $user = newcomer();
    my $held = poll('/pro', session_of($user));
    ok waits($held), 'a_poll_waits';
    is $site->webhook(event_json('customer.subscription.created.active', user => $user))
        ->json->{outcome}, 'applied', 'the webhook comes';
    my $begin = time;
    my $answer = $held->receive;
    cmp_ok seconds($begin), '<', 0.5 * patience(), 'and is told at once';
    is $answer->status, 200, 'of_the_purchase';
    is $answer->header('Content-Type'), 'application/json', 'as JSON';
    my $version = $redis->hgetall("entitle:test:{u:$user}")->{version};
    my $told = $answer->json;
    cmp_ok delete $told->{until}, '>', time, 'until when,';
    is_deeply $told, { decision => 'allow', entitlements => ['pro'], version => 0 + $version },
        'what, and the version: nothing else';
    is_deeply [$answer->header_all('Cache-Control')], ['private, no-store'], 'which nobody keeps';
    my %set = $answer->cookies;
    like decode_base64url((split /\./, $set{entitle})[1]), qr/"sv":$version,/,
        'the_cookie_is_fresh';
    $app->forget;
    is $site->get('/page', Cookie => "app=$user; entitle=$set{entitle}")->status, 200,
        'so that the page opens';
    is scalar(my @asked = $app->seen), 0, 'and the app is not asked';

    is poll('/pro', Cookie => "app=$user; entitle=$set{entitle}")->receive->status, 200,
        'who_is_entitled_already_is_told_at_once';
    is $site->request(method => 'HEAD', uri => '/pro',
        headers => [Cookie => "app=$user; entitle=$set{entitle}"])->status, 200, 'by HEAD, too';
    for my $method (qw(POST PUT DELETE)) {
        $answer = $site->request(method => $method, uri => '/pro', body => 'x' x 9000,
            headers => [session_of($user)]);
        is $answer->status, 405, "$method is none";
        is $answer->header('Allow'), 'GET, HEAD', 'but these are';
    }
    is $site->request(uri => '/pro', body => 'x' x 9000, headers => [session_of($user)])->status,
        200, 'a GET with a body is';
}

{
    my $user = newcomer();
    my $begin = time;
    my $answer = poll('/short', session_of($user))->receive;
    is $answer->status, 204, 'when_the_time_is_up_there_is_no_content';
    cmp_ok seconds($begin), '>=', 0.3, 'not before';
    is $answer->header('Cache-Control'), 'private, no-store', 'which nobody keeps';
    ok wait_until(sub {
        $site->read_file('logs/polls.log') =~ m{^/short 204 $user pay not_entitled$}m;
    }), 'the log says why';

    $begin = time;
    for my $uri (qw(/pro /any)) {
        for (['*/*'], ['text/event-stream'], ['text/html']) {
            $answer = poll($uri, Accept => $_->[0])->receive;
            is $answer->status, 401, "a_guest_is_told_so ($uri, @$_)";
            is $answer->header('Content-Type'), 'application/problem+json', 'as a program';
            is $answer->json->{decision}, 'login', 'and what it needs';
        }
    }
    is poll('/pro', Cookie => 'app=broken')->receive->status, 503, 'nor_waits_who_nobody_can_tell';
    cmp_ok seconds($begin), '<', 2 * patience(), 'at once';
}

# --- what is demanded --------------------------------------------------------------

{
    my $user = newcomer();
    my ($pro, $any) = map { poll($_, session_of($user)) } qw(/pro /any);
    ok waits($any), 'nobody has anything yet';
    pays($user, subscription('active', identifiers => ['prod_Team']));
    is_deeply $any->receive->json->{entitlements}, ['team'], 'anything_ends_a_poll_for_anything';
    ok waits($pro, 0.3), 'but_not_one_for_something_else';
    pays($user, purchase());
    is_deeply $pro->receive->json->{entitlements}, ['pro', 'team'], 'until that is there';
    ok !exists poll('/any', session_of($user))->receive->json->{until},
        'what has no end says no until';

    my ($ada, $bob) = (newcomer(), newcomer());
    my @held = map { poll('/pro', session_of($_)) } $ada, $bob;
    ok waits($held[1]), 'two wait';
    pays($ada);
    is $held[0]->receive->status, 200, 'one has paid';
    ok waits($held[1], 0.3), 'the_other_is_told_nothing';
    $held[1]->reset;

    my @few = map { poll('/few', session_of($bob)) } 1 .. 2;
    is +(grep { $_->readable(0.5) } @few)[0]->receive->status, 503, 'limit_conn_bounds_a_user';
    $_->reset for @few;

    is poll('/open', session_of($ada))->receive->status, 200, 'under_satisfy_any_it_polls_as_well';
    is poll('/open')->receive->status, 401, 'and a guest is a guest';
    $held[0] = poll('/open', session_of($bob));
    ok waits($held[0]), 'held';
    pays($bob);
    is $held[0]->receive->status, 200, 'told';

    $site->write_file('html/ssi', 'a<!--#include virtual="/pro" -->b');
    is $site->get('/includes', session_of($ada))->status, 200, 'a page that includes a poll';
}

# --- a session that has to be asked for ---------------------------------------------

{
    my $user = newcomer();
    $app->forget;
    my $held = poll('/pro', Cookie => "app=$user.1");
    ok waits($held), 'known by the app alone';
    pays($user);
    my $answer = $held->receive;
    is $answer->status, 200, 'told';
    my %set = $answer->cookies;
    is $set{app}, "$user.renewed", 'with_the_cookie_the_app_renewed';
    is scalar(my @asked = $app->seen), 1, 'after one question';
    is $site->get('/page', Cookie => "app=$set{app}; entitle=$set{entitle}")->status, 200,
        'and the page opens';
}

# --- a stream -------------------------------------------------------------------------

{
    my $user = newcomer();
    my $held = stream('/pro', session_of($user));
    my $head = read_until($held, qr/retry: \d+\n\n/);
    like $head, qr{^HTTP/1\.1 200 }, 'a_stream_begins_at_once';
    like $head, qr{^Content-Type: text/event-stream\r$}m, 'as one';
    like $head, qr{^X-Accel-Buffering: no\r$}m, 'which no proxy collects';
    like $head, qr{^Cache-Control: private, no-store\r$}m, 'nor keeps';
    unlike $head, qr{^Set-Cookie}m, 'without a cookie';
    ok waits(bless({ %$held, buffer => '' }, ref $held), 0.2), 'and waits';
    $app->forget;
    pays($user);
    my $begin = time;
    my $answer = $held->receive;
    cmp_ok seconds($begin), '<', 0.5 * patience(), 'told at once';
    my ($json) = $answer->body =~ /^event: entitled\ndata: (.*)\n\n\z/m;
    is_deeply JSON::PP::decode_json($json // '{}')->{entitlements}, ['pro'],
        'an_event_says_who_is_entitled_to_what';
    is scalar(my @asked = $app->seen), 0, 'and_the_app_is_not_asked_in_the_middle_of_a_stream';
    is $site->get('/page', session_of($user))->status, 200, 'but at the next request';

    $answer = stream('/pro', session_of($user))->receive;
    like $answer->body, qr/^event: entitled$/m, 'who_is_entitled_already_gets_the_event_at_once';
    my %set = $answer->cookies;
    ok $set{entitle}, 'with the fresh cookie';

    # Comments, then the end.
    $held = stream('/pulse', session_of(newcomer()));
    $begin = time;
    $answer = $held->receive;
    like $answer->body, qr/\Aretry: \d+\n\n(?::\n\n){1,3}\z/, 'comments_keep_it_alive_to_its_end';
    cmp_ok seconds($begin), '>=', 0.5, 'when the time is up';

    # Over HTTP/2.
    $user = newcomer();
    my (undef, $cookie) = session_of($user);
    open my $curl, '-|', 'curl', '-sN', '-i', '-m', '15', '--http2-prior-knowledge',
        '-H', 'Accept: text/event-stream', '-H', "Cookie: $cookie",
        "http://127.0.0.1:${\$site->port(2)}/pro" or die "curl: $!";
    my $seen = '';
    while ($seen !~ /retry: \d+\n\n/) { sysread $curl, $seen, 4096, length $seen or last }
    like $seen, qr{^HTTP/2 200.*content-type: text/event-stream}s, 'a stream of HTTP/2';
    pays($user);
    1 while sysread $curl, $seen, 4096, length $seen;
    like $seen, qr/^event: entitled\ndata: \{.*"pro".*\}\n\n\z/m, 'has its event';
    close $curl;
    is $? >> 8, 0, 'and ends well';

    # Logged out on all devices meanwhile.
    $user = newcomer();
    $held = stream('/pro', session_of($user, iat => int(time) - 60));
    read_until($held, qr/retry/);
    $redis->command('HSET', "entitle:test:{u:$user}", version => $VERSION,
        not_before => int(time), subscription('active'));
    unlike $held->receive->body, qr/event/, 'who_is_logged_out_everywhere_is_told_nothing';
}

# --- the limit, clients that leave, workers that go --------------------------------------

{
    my @old = $site->worker_pids;
    $site->reload(configuration(limit => 2));
    wait_until(sub { !grep { kill 0, $_ } @old });
    my @held = (stream('/pro', session_of(newcomer())), poll('/pro', session_of(newcomer())));
    read_until($held[0], qr/retry/);
    ok waits($held[1]), 'two wait';
    is poll('/pro', session_of(newcomer()))->receive->status, 204, 'a_third_gets_no_content_at_once';
    is stream('/pro', session_of(newcomer()))->receive->body, "retry: 2000\n\n", 'or an empty stream';
    $held[0]->close;
    my $user = newcomer();
    ok wait_until(sub {
        $held[2] = poll('/pro', session_of($user));
        waits($held[2], 0.1);
    }, 5), 'a_stream_that_is_left_makes_room';
    $held[1]->reset;
    ok wait_until(sub {
        $held[0] = stream('/pro', session_of($user));
        read_until($held[0], qr/retry/);
        waits(bless({ %{ $held[0] }, buffer => '' }, ref $held[0]), 0.1);
    }, 5), 'and so does a poll';
    my $begin = time;
    @old = $site->worker_pids;
    $site->nginx->signal('HUP');
    is $held[2]->receive->status, 204, 'a_reload_answers_a_poll';
    like $held[0]->receive->body, qr/\Aretry: \d+\n\n\z/, 'and ends a stream';
    cmp_ok seconds($begin), '<', 3 * patience(), 'at once';
    ok wait_until(sub { !grep { kill 0, $_ } @old }), 'and the old worker goes';
    $site->reload(configuration());
    ok listens(), 'Redis says what changes';
}

# --- Redis is away for a while -----------------------------------------------------------

{
    my $user = newcomer();
    my @held = (poll('/pro', session_of($user)), stream('/pro', session_of($user)));
    read_until($held[1], qr/retry/);
    ok waits($held[0]), 'two wait';
    pays($user, subscription('incomplete'));
    $redis->freeze;
    sleep 1;
    is poll('/lenient', session_of(newcomer()))->receive->status, 503,
        'what_nobody_can_tell_is_not_told';
    ok !$held[0]->readable(0), 'while Redis does not answer';
    $redis->thaw;
    pays($user);
    is $held[0]->receive->status, 200, 'who_waits_outlasts_a_Redis_that_is_away';
    like $held[1]->receive->body, qr/^event: entitled$/m, 'in a stream as well';
}

$site->expect_log(qr/redis "redis:\S+" is unreachable/, qr{re-authentication "/whoami" answered an error});
done_testing;
