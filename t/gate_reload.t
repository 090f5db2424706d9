# Things that change while somebody is at the gate: versions, configurations,
# workers, and clients that leave, at every point where a request waits.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

my $site = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/page', 'page');
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($user, $seconds) = split /\./, $_[0]{cookies}{app}, 2;
    return { status => 204, headers => ['X-User' => $user],
        $seconds eq 'held' ? (hold => 1) : (delay => $seconds) };
});
my $port = $app->port;
my $http = <<"EOT";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 5s;
entitle_mode test;
entitle_grant pro prod_Pro;
%%SESSIONS%%
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    %%REAUTH%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:$port; }
    location = /page { entitle_require pro; }
    location = /free { return 200 free; }
}
EOT
$site->start($http);

my $VERSION = 1_767_000_000_000;
my @pro = subscription('active');
my $serial = 0;

# A user nobody has looked up yet.
sub customer {
    my $user = 'user' . ++$serial;
    put_record($redis, $user, version => $VERSION, @pro);
    return $user;
}
sub stranger_to_pay {
    my $user = 'poor' . ++$serial;
    put_record($redis, $user, version => $VERSION);
    return $user;
}
# In the browser of a user: logged in, with a session that is fresh or not.
sub cookies {
    my ($user, %o) = @_;
    my $app = "$user." . ($o{seconds} // 0);
    return "app=$app; entitle=" . session(user => $user,
        version => $o{version} // $VERSION, bind => [$app]);
}
sub start_request {
    my ($cookies, %r) = @_;
    return $site->connect->send(uri => '/page', %r, headers => [Cookie => $cookies]);
}
# One worker takes what comes in the order in which it came.
sub all_have_come { return $site->get('/free') }
sub status { return start_request(@_)->receive->status }
sub statuses { return join ' ', map { $_->receive->status } @_ }
sub workers_gone { my (@pids) = @_; return wait_until(sub { !grep { kill 0, $_ } @pids }) }

# --- a version that rises between two requests -------------------------------

{
    my $user = customer();
    my $cookies = cookies($user);
    is status($cookies), 200, 'a fresh session passes';
    $app->forget;
    is status($cookies), 200, 'and again';
    is scalar(my @none = $app->seen), 0, 'unasked';
    for my $round (1 .. 3) {
        $redis->command('HINCRBY', "entitle:test:{u:$user}", 'version', 1);
        $app->forget;
        # It may take a worker a moment to hear of it, never more.
        my $answer;
        ok wait_until(sub {
            $answer = start_request($cookies)->receive;
            $app->seen;
        }, 2), 'a_risen_version_makes_it_stale';
        is $answer->status, 200, '  the app is asked';
        my %set = $answer->cookies;
        $cookies = "app=$user.0; entitle=$set{entitle}";
        $app->forget;
        is status($cookies), 200, '  and the new cookie is fresh';
        is scalar(@none = $app->seen), 0, '  unasked';
    }
    put_record($redis, $user, version => $VERSION + 9);
    ok wait_until(sub { status($cookies) == 402 }, 2), 'and what is taken away is gone';
}

# --- a reload that finds nobody waiting --------------------------------------

{
    my @old = $site->worker_pids;
    my $kept = $site->connect;
    is $kept->request(uri => '/page', headers => [Cookie => cookies(customer())])->status, 200,
        'a kept connection';
    $site->reload;
    ok workers_gone(@old), 'nothing_of_ours_keeps_an_old_worker';
    is status(cookies(customer())), 200, 'and the new one serves';
}

# --- while Redis is asked ----------------------------------------------------

{
    my @users = map { customer() } 1 .. 6;
    my @poor  = map { stranger_to_pay() } 1 .. 6;
    my @gone  = map { customer() } 1 .. 6;
    my @old = $site->worker_pids;
    $redis->freeze;
    my @waiting;
    # Mixed, so that an answer of one who left would hit the wrong one.
    for my $n (0 .. 5) {
        push @waiting, start_request(cookies($users[$n]));
        my $leaving = start_request(cookies($gone[$n]));
        push @waiting, start_request(cookies($poor[$n]));
        sleep 0.02;
        $n % 2 ? $leaving->reset : $leaving->close;
    }
    sleep 0.2;
    ok !(grep { $_->readable(0) } @waiting), 'all wait for Redis';
    is $site->get('/free')->status, 200, 'the rest of the site does not';
    $site->reload;
    $waiting[0]->reset;
    shift @waiting;
    sleep 0.1;
    $redis->thaw;
    is statuses(@waiting), join(' ', 402, map { (200, 402) } 1 .. 5),
        'after_a_reload_and_with_others_leaving_everybody_gets_his_own_answer';
    ok workers_gone(@old), 'and the old worker goes';
}

{
    my @old = $site->worker_pids;
    $site->reload($http =~ s/redis_timeout 5s/redis_timeout 400ms/r);
    workers_gone(@old);
    @old = $site->worker_pids;
    my @users = map { customer() } 1 .. 5;
    $redis->freeze;
    my @waiting = map { start_request(cookies($_)) } @users;
    sleep 0.1;
    $site->reload($http);
    my $begin = time;
    is statuses(@waiting), '503 503 503 503 503',
        'a_Redis_that_never_answers_lets_nobody_wait_through_a_reload';
    cmp_ok time - $begin, '<', 3 * patience(), 'for long';
    $redis->thaw;
    ok workers_gone(@old), 'and the old worker goes';
}

# A POST whose body has not come yet, and one of HTTP/2, given up.
{
    my @users = (customer(), customer());
    $redis->freeze;
    my $post = $site->connect;
    $post->write("POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\nCookie: "
        . cookies($users[0]) . "\r\n\r\n" . 'x' x 5000);
    sleep 0.1;
    $post->reset;
    my $cookie = cookies($users[1]);
    is system("curl -s -m 0.3 --http2-prior-knowledge -H 'Cookie: $cookie' http://127.0.0.1:${\$site->port(2)}/page >/dev/null") >> 8,
        28, 'a stream is given up while Redis is asked';
    $redis->thaw;
    is status(cookies(customer())), 200, 'which nobody else notices';
}

# --- while the app is asked --------------------------------------------------

{
    my $user = customer();
    my $cookies = cookies($user, version => 7, seconds => 'held');
    my @old = $site->worker_pids;
    $app->forget;
    my @waiting = map { start_request($cookies) } 1 .. 8;
    $app->wait_for(1);
    all_have_come();
    $site->reload;
    $app->release;
    is statuses(@waiting), '200 ' x 7 . 200, 'who_waits_for_the_app_gets_through_a_reload';
    is scalar(my @seen = $app->seen), 1, 'after the one question';
    ok workers_gone(@old), 'and the old worker goes';

    @old = $site->worker_pids;
    $app->forget;
    $user = customer();
    $cookies = cookies($user, version => 7, seconds => 'held');
    my $leader = start_request($cookies);
    $app->wait_for(1);
    @waiting = map { start_request($cookies) } 1 .. 5;
    all_have_come();
    $site->reload;
    $leader->reset;
    $waiting[2]->close;
    $app->wait_for(2);
    $app->release;
    is statuses(@waiting[0, 1, 3, 4]), '200 200 200 200',
        'another_one_asks_on_the_old_worker_when_the_first_leaves';
    is scalar(@seen = $app->seen), 2, 'once';
    ok workers_gone(@old), 'and the old worker goes';
}

# Between the app's answer and the record.
{
    my $user = customer();
    my @old = $site->worker_pids;
    $app->forget;
    # The session of a user without a version has to be looked up afterwards.
    my @waiting = map { start_request("app=$user.held") } 1 .. 4;
    $app->wait_for(1);
    $redis->freeze;
    $app->release;
    sleep 0.2;
    ok !(grep { $_->readable(0) } @waiting), 'the app has answered, Redis has not';
    $waiting[1]->reset;
    $site->reload;
    $redis->thaw;
    is statuses(@waiting[0, 2, 3]), '200 200 200', 'and they are answered';
    ok workers_gone(@old), 'and the old worker goes';
}

# --- clients that leave at any moment ----------------------------------------

{
    my @connections;
    for my $n (1 .. 80) {
        my $user = $n % 3 ? customer() : stranger_to_pay();
        push @connections, start_request($n % 2
            ? cookies($user, version => 7, seconds => 0.01 * ($n % 5)) : cookies($user));
        sleep 0.001 * ($n % 7);
        (shift @connections)->reset if $n % 4 == 3;
        (pop @connections)->reset if $n % 5 == 4;
    }
    my @odd = grep { !/^(?:200|402)$/ } map { $_->receive->status } @connections;
    is "@odd", '', 'those_who_stay_are_answered';
    is status(cookies(customer())), 200, 'and so are those who come';
}

# --- a worker told to end ----------------------------------------------------

{
    my $user = customer();
    my @others = map { customer() } 1 .. 3;
    $app->forget;
    my @waiting = map { start_request(cookies($user, version => 7, seconds => 'held')) } 1 .. 3;
    $app->wait_for(1);
    $redis->freeze;
    push @waiting, map { start_request(cookies($_)) } @others;
    sleep 0.1;
    $site->nginx->signal('QUIT');
    sleep 0.3;
    ok !(grep { $_->readable(0) } @waiting), 'told to quit with six of them waiting';
    $redis->thaw;
    $app->release;
    is statuses(@waiting), '200 200 200 200 200 200', 'a_worker_answers_them_all_first';
    ok wait_until(sub { !$site->nginx->running }), 'and ends';
    is $site->nginx->status, 0, 'well';
    $site->run;
    is status(cookies(customer())), 200, 'to be started again';
}

$site->expect_log(qr{^\S+ \S+ \[error\] \S+ entitle: redis "redis://\S+" is unreachable: its answer timed out});
done_testing;
