# Everything at once, for some seconds: visitors who leave in the middle, over
# HTTP/1.1 and HTTP/2, requests that are none, webhooks, purchases that come and
# go, reloads, a Redis that falls silent, workers that are killed; in locations
# that stand beside whatever else nginx does to a request. No worker ends, nobody
# is shown what is another's or what is not paid for, and afterwards all is well.
#
# ENTITLE_STORM: for how many seconds (8). ./dev test --storm has the sanitizers.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Test::Entitle::Jwt;
use Time::HiRes qw(sleep time);

my $SECONDS = $ENV{ENTITLE_STORM} // 8;
my @PAID    = qw(ada bob cyd);
my @UNPAID  = qw(eve fay);
my $VERSION = 1_767_000_000_000;
alarm(($SECONDS + 240) * patience());

my $jwt  = Test::Entitle::Jwt->rsa;
my $site = Test::Entitle->new(workers => 2, main => "worker_shutdown_timeout 5s;\n");
my $redis = $site->redis;
$site->write_file('jwt.pem', $jwt->public_pem);
$site->write_file("html/$_/page.html", "LESSON <!--# include virtual='/inner/page.html' -->\n")
    for qw(static asked jwt ssi added caught if limited authed inner optional wait);
$site->write_file("html/$_/big", 'LESSON ' . 'x' x 400_000) for qw(static asked slice);
$site->write_file('html/free.html', 'free');

# Says whom it was told of, at various speeds.
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my ($user) = map { $_->[1] } grep { lc $_->[0] eq 'x-entitle-user' } @{ $r->{headers} };
    my @slow = rand() < 0.2 ? (delay => rand 0.2) : ();
    if ($r->{uri} =~ m{^/whoami}) {
        my $who = ($r->{cookies}{app} // '') =~ /^(\w+)\./ ? $1 : undef;
        return { hang => 1 } if rand() < 0.01;
        return { status => 500, delay => 0.05 } if rand() < 0.02;
        return { status => 401, headers => ['Set-Cookie' => 'guest=' . rand] } if !$who;
        return { status => 204, headers => ['X-User' => $who], @slow };
    }
    return { headers => ['X-Accel-Redirect' => '/inner/page.html'] } if $r->{uri} =~ /accel/;
    return { body => 'PAGE OF ' . ($user // 'nobody') . ' ' . 'y' x int rand 30_000, @slow };
});

sub configuration {
    my $app_at = 'http://127.0.0.1:' . $app->port;
    return <<"EOF";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_redis_connect_timeout 300ms;
entitle_mode test;
entitle_lease 1s;
entitle_grant pro prod_Pro prod_FxPRO000001;
entitle_session_key_file %%KEY%%;
entitle_session_cookie entitle secure=off;
entitle_session_lifetime 3s;
entitle_session_recheck 1s;
entitle_jwt_key_file %%DIR%%/jwt.pem;
limit_conn_zone \$entitle_user zone=each:64k;
map \$arg_user \$known { default \$arg_user; }
log_format storm '\$entitle_user \$entitle_decision \$entitle_reason \$entitle_cache';
access_log %%DIR%%/logs/storm.log storm;
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    keepalive_requests 50;
    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    entitle_session_bind cookie=app;
    error_page 400 414 = /asked/page.html;
    location = /webhook { entitle_webhook test; entitle_webhook_secret_file %%SECRET%%; }
    location = /whoami  { internal; proxy_pass $app_at; proxy_read_timeout 1s; }
    location /asked/    { entitle_require pro; }
    location /optional/ { entitle optional; }
    location /jwt/      { entitle_jwt \$http_authorization; entitle_require pro; }
    location /page/     { entitle on; proxy_pass $app_at; }
    location /unbuffered/ { entitle on; proxy_buffering off; proxy_pass $app_at; }
    location /accel/    { entitle_require pro; proxy_pass $app_at; }
    location /inner/    { internal; entitle_require pro; }
    location /ssi/      { ssi on; ssi_types *; entitle_require pro; }
    location /added/    { entitle_require pro; add_before_body /inner/page.html; addition_types *; }
    location /mirrored/ { entitle on; mirror /mirror; proxy_pass $app_at; }
    location = /mirror  { internal; proxy_pass $app_at; }
    location /slice/    { slice 64k; entitle_require pro; proxy_set_header Range \$slice_range;
                          proxy_pass http://127.0.0.1:%%PORT3%%; }
    location /caught/   { entitle_require pro; entitle_problem_json off; error_page 401 402 503 = /then/page.html; }
    location /then/     { entitle optional; error_page 404 = \@last; }
    location \@last     { return 200 free; }
    location /if/       { entitle_require pro; if (\$arg_x) { add_header X-If yes; } }
    location /limited/  { entitle_require pro; limit_except GET { deny all; } limit_conn each 2; }
    location /authed/   { auth_request /free.html; entitle_require pro; satisfy all; }
    location /wait/     { entitle_trusted_user \$known; entitle_require pro; entitle_wait 700ms; }
    location = /poll    { entitle_trusted_user \$known; entitle_require pro; entitle_poll 500ms; }
    location = /logout  { entitle_logout; }
    location = /logout-all { entitle_logout all; }
    location = /status  { entitle_status; }
    location = /buy     { entitle on; entitle_redirect /x?\$entitle_client_reference_id; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    location /slice/ { }
}
EOF
}
put_record($redis, $_, version => $VERSION, subscription('active'))   for @PAID;
put_record($redis, $_, version => $VERSION, subscription('canceled')) for @UNPAID;
$site->start(configuration());

# --- who takes part --------------------------------------------------------------

my (@children, @files);

# Calls $work again and again until the end; what it returns is a complaint.
sub begin {
    my ($name, $work) = @_;
    my $file = $site->dir . "/storm.$name";
    push @files, $file;
    my $pid = fork // die "fork: $!";
    if ($pid) { push @children, $pid; return }
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
    $SIG{PIPE} = 'IGNORE';
    srand $$;
    open my $out, '>', $file or POSIX::_exit(1);
    $out->autoflush;
    my ($turns, $end) = (0, time + $SECONDS);
    while (time < $end) {
        my @wrong = eval { $work->() };
        print $out "WRONG $_\n" for grep { defined && length } @wrong;
        $turns++;
    }
    print $out "$turns turns\n";
    POSIX::_exit(0);
}

sub one_of { return $_[rand @_] }

my @GATED = map { "/$_/page.html" } qw(asked jwt ssi added if limited authed);
my @URIS  = (@GATED, @GATED, '/caught/page.html', '/optional/page.html', '/asked/big', '/slice/big',
    qw(/page/1 /unbuffered/1 /accel/1 /mirrored/1 /buy /logout /status));

sub visitor {
    my $user = one_of(@PAID, @UNPAID, 'nobody', '');
    my $uri  = one_of(@URIS);
    my @headers = (Accept => one_of('text/html', '*/*'));
    push @headers, Cookie => "app=$user." . int(rand 5) if $user ne '';
    push @headers, Authorization => 'Bearer ' . $jwt->token({ sub => $user, iat => time - 1, exp => time + 9 })
        if $uri =~ /jwt/ && $user ne '';
    push @headers, Range => 'bytes=' . int(rand 300_000) . '-' if rand() < 0.1;
    my $connection = eval { $site->connect(timeout => 20) } or return;
    my ($head, $body) = Test::Entitle::Http::format(uri => $uri, headers => \@headers,
        method => one_of(qw(GET GET GET HEAD POST OPTIONS)), rand() < 0.2 ? (body => 'z' x rand 5000) : ());
    if (rand() < 0.3) {    # leaves, in the middle of what it says or hears
        $connection->write(substr $head . $body, 0, rand() < 0.5 ? rand length $head : length $head);
        sleep rand 0.05;
        rand() < 0.5 ? $connection->reset : $connection->close;
        return;
    }
    $connection->{method} = $head =~ /^(\w+)/ ? $1 : 'GET';
    $connection->write($head . $body);
    my $answer = eval { $connection->receive } or return;
    return judge("$uri for \"$user\"", $user, $answer->status, $answer->body);
}

sub judge {
    my ($what, $user, $status, $body) = @_;
    my $paid = grep { $_ eq $user } @PAID;
    return "$what: the lesson, $status" if $body =~ /LESSON/ && !$paid && $what !~ m{^/optional/|^/then/};
    return "$what: a page of $1, $status" if $body =~ /PAGE OF (\w+)/ && $1 ne $user;
    return "$what: $status" if $status == 500;
    return;
}

sub over_http2 {
    my $user = one_of(@PAID, @UNPAID);
    my @uris = map { 'http://127.0.0.1:' . $site->port(2) . one_of(@URIS) } 1 .. 6;
    my $seconds = one_of(0.02, 0.1, 0.5, 3);
    # Cut off by time, or at the end of what it reads.
    open my $in, '-|', 'timeout', '-s', 'KILL', $seconds, 'nghttp', '-H', "cookie: app=$user.1", @uris
        or return;
    my $text = do { local $/; <$in> } // '';
    close $in;
    return map { "HTTP/2 for $user: a page of $_" } grep { $_ ne $user } $text =~ /PAGE OF (\w+)/g;
}

sub stranger {
    my $socket = eval { $site->connect } or return;
    $socket->write(one_of(
        "GET /asked/page.html\r\n", "GET /wait/page.html?user=ada\r\n", "\x16\x03\x01 what\r\n\r\n",
        'GET /' . 'x' x 40_000 . " HTTP/1.1\r\nHost: x\r\n\r\n", "POST /logout-all HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /asked/page.html HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /asked/page.html HTTP/1.1\r\nHost: x\r\nCookie: " . 'a=b; ' x 500 . "\r\n\r\n", ''));
    $socket->readable(rand 0.3);
    rand() < 0.5 ? $socket->reset : $socket->close;
    return;
}

sub who_waits {
    my $user = one_of(@PAID, @UNPAID, 'new' . int rand 50);
    my $answer = eval { $site->connect(timeout => 20)->request(close => 1,
        uri => one_of('/wait/page.html', '/poll') . "?user=$user") } or return;
    return $user =~ /^new/ ? () : judge("/wait for \"$user\"", $user, $answer->status, $answer->body);
}

my $bought = 0;

sub stripe {
    eval { $site->webhook(event_json('customer.subscription.created.active',
        user => 'new' . int rand 50, customer => 'N' . ++$bought)) };
    sleep 0.02;
    return;
}

# Versions that rise: everybody is asked about again.
sub changes {
    eval { $redis->command('HINCRBY', 'entitle:test:{u:' . one_of(@PAID, @UNPAID) . '}', version => 1) };
    sleep 0.05;
    return;
}

begin("visitor$_", \&visitor)  for 1 .. 3;
begin("http2",     \&over_http2);
begin("stranger",  \&stranger);
begin("waiting$_", \&who_waits) for 1 .. 2;
begin("stripe",    \&stripe);
{
    my $own;
    begin('changes', sub {
        $redis->{client} = undef if !$own++;    # a connection of this process's own
        return changes();
    });
}

# --- the weather -----------------------------------------------------------------

my $killed = 0;
my $end = time + $SECONDS;
for (my $turn = 1; time < $end; $turn++) {
    sleep 0.7;
    if ($turn % 4 == 1) { $site->{nginx}->signal('HUP') }
    if ($turn % 4 == 2) { $redis->freeze; sleep one_of(0.1, 0.4, 0.9); $redis->thaw }
    if ($turn % 4 == 3) { eval { $redis->command(qw(CLIENT KILL TYPE normal)) } }
    if ($turn % 8 == 4 && (my ($pid) = $site->worker_pids)) { $killed += kill KILL => $pid }
}
$redis->thaw;
waitpid $_, 0 for @children;

# --- afterwards ------------------------------------------------------------------

my @said = map { open my $in, '<', $_ or die "$_: $!"; <$in> } @files;
my @turns = map { /^(\d+) turns/ ? $1 : () } @said;
is scalar(@turns), scalar(@files), 'everybody took part to the end';
is scalar(grep { $_ < 3 } @turns), 0, '  more than once';
diag "@turns turns, $killed workers killed";
my @wrong = grep { /^WRONG/ } @said;
is scalar(@wrong), 0, 'nobody_was_shown_what_is_not_theirs' or diag @wrong[0 .. ($#wrong < 9 ? $#wrong : 9)];

$redis->{client} = undef;
ok wait_until(sub {
    $site->get('/wait/page.html?user=ada')->status == 200
        && $site->get('/asked/page.html', Cookie => 'app=ada.1')->status == 200
}, 15), 'and_then_all_is_well';
ok wait_until(sub { $site->get('/asked/page.html', Cookie => 'app=eve.1')->status == 402 }, 10),
    '  for who has not paid, too';
ok wait_until(sub {
    eval { $site->webhook(event_json('customer.subscription.created.active', user => 'last'))->status == 200 }
}, 10), '  and webhooks are stored';

my $log = $site->log;
my @ends = grep { !/signal 9/ } $log =~ /^.*exited on signal.*$/mg;
is "@ends", '', 'no_worker_ended_by_itself';
$site->expect_alert(qr/exited on signal 9/, qr/\[error\]/, qr/\[crit\].*(?:SSL|shutdown)/,
    qr/worker process \d+ exited with code 0/);
done_testing;
