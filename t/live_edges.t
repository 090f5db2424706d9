# entitle_live where a request is in an unusual state when it is cut: still reading
# its body, inside a subrequest, filling a cache, leaving by itself, one of hundreds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;
use Test::Entitle::H2;
use Test::Entitle::LiveApp;
use Test::Entitle::LiveClient;
use Time::HiRes qw(sleep);

my $site = Test::Entitle->new(workers => 1);
my $redis = $site->redis;
my $app = Test::Entitle::LiveApp->new($site);
$site->{ports}{9} = $app->port;
$site->write_file('html/page', 'page');
$site->write_file('html/with/it', 'before <!--# include virtual="/sub" --> after');
$site->write_file('html/big', 'x' x (8 << 20));
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
%%SESSIONS%%
entitle_live on;
log_format live '$request_uri $status user=$entitle_user $entitle_decision/$entitle_reason';
access_log %%DIR%%/logs/live.log live;
proxy_http_version 1.1;
proxy_set_header Connection close;
proxy_cache_path %%DIR%%/cache keys_zone=cache:1m;
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    %%REAUTH%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location / { entitle_require pro; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location = /sub { internal; entitle off; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/sse; }
    location /with/ { entitle_require pro; ssi on; ssi_types text/plain; root %%DIR%%/html; }
    location /slow-body/ { entitle_require pro; proxy_request_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location /cached/ { entitle_require pro; proxy_cache cache; proxy_cache_valid 1m; proxy_ignore_headers Cache-Control;
                        proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location /after/ { entitle_require pro; proxy_buffering off; post_action /done; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location = /done { entitle off; internal; return 204; }
    location /dry/ { entitle_require pro; entitle_dry_run on; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location = /page { entitle_require pro; root %%DIR%%/html; }
    location /slowly/ { entitle_require pro; limit_rate 64k; alias %%DIR%%/html/; }
    location = /pid { entitle off; return 200 $pid; }
    location = /deny/sse { satisfy any; deny all; entitle_require pro; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/sse; }
}
EOT

my $VERSION = 1_767_000_000_000;
my $serial = 0;
sub customer {
    my ($name) = @_;
    my $user = $name . ++$serial;
    put_record($redis, $user, version => $VERSION, subscription('active'));
    return $user;
}
sub end_of {
    my ($user) = @_;
    return $redis->command('HSET', "entitle:test:{u:$user}", version => $VERSION + 1,
        subscription('canceled', ended_at => time - 10));
}
sub cookies {
    my ($user) = @_;
    return "app=$user; entitle=" . session(user => $user, version => $VERSION,
        iat => time - 60, bind => [$user]);
}
sub stream {
    my ($uri, $user) = @_;
    return Test::Entitle::LiveClient->get($site->port, $uri, Cookie => cookies($user));
}
sub logged { my ($pattern) = @_; return wait_until(sub { $site->read_file('logs/live.log') =~ $pattern }) }
my $pid = $site->get('/pid')->body;
sub same_worker { return is $site->get('/pid')->body, $pid, '  and the worker is the same' }

# --- states ----------------------------------------------------------------------

for my $case (
    ['in_a_subrequest',        '/with/it'],
    ['while_a_cache_is_filled', '/cached/sse'],
    ['before_a_post_action',   '/after/sse'],
    ['under_satisfy_any',      '/deny/sse'],
) {
    my ($name, $uri) = @$case;
    my $user = customer('ada');
    my $stream = stream($uri, $user);
    is $stream->status, 200, "$name is let in";
    ok $stream->stays(0.2), '  and goes on';
    end_of($user);
    ok $stream->ends_within(5), '  and is cut';
    ok $app->wait_until_open(0), '  with its upstream';
    ok logged(qr{^\Q$uri\E 200 user=$user cut/ended$}m), '  and the log says so';
    same_worker();
}
{
    my $user = customer('ada');
    my $body = Test::Entitle::LiveClient->ask($site->port, '/slow-body/poll', Cookie => cookies($user),
        'Content-Length' => 1000);
    my $whole = Test::Entitle::LiveClient->ask($site->port, '/page', Cookie => cookies($user),
        'Content-Length' => 1000);
    my $waits = Test::Entitle::LiveClient->ask($site->port, '/poll', Cookie => cookies($user),
        'Content-Length' => 1000);
    ok $waits->stays(0.3), 'while_the_body_comes';
    end_of($user);
    ok $_->ends_within(5), '  it is cut' for $body, $waits;
    ok $app->wait_until_open(0), '  and the upstream is closed';
    same_worker();
    $_->leave for $whole;
}
{
    # What is over is over: an idle connection stays.
    my $user = customer('ada');
    my $idle = $site->connect;
    is $idle->request(uri => '/page', headers => [Cookie => cookies($user)])->status, 200, 'an_idle_connection';
    end_of($user);
    sleep 0.3;
    is $idle->request(uri => '/page', headers => [Cookie => cookies($user)])->status, 402, '  is not cut';
}

# --- a dry run -----------------------------------------------------------------------

{
    my $user = customer('ada');
    my $stream = stream('/dry/sse', $user);
    is $stream->status, 200, 'a_dry_run lets in';
    end_of($user);
    ok $site->wait_for_log(qr/\[warn\].*entitle: dry run, not cut for "$user": ended/), '  says what it would have done';
    ok $stream->stays(0.3), '  and does not';
    ok $stream->flows, '  at all';
    $stream->leave;
    ok logged(qr{^/dry/sse 200 user=$user cut/ended$}m), '  and the log says what would have been';
}

# --- many ------------------------------------------------------------------------------

{
    my $user = customer('ada');
    my $other = customer('bob');
    my @all = map { stream('/quiet', $user) } 1 .. 300;
    my $one = stream('/quiet', $other);
    ok $app->wait_until_open(301), 'three_hundred of one user';
    my ($reads) = $redis->command('INFO', 'commandstats') =~ /cmdstat_hgetall:calls=(\d+)/;
    end_of($user);
    ok !(grep { !$_->ends_within(10) } @all), '  all of them end';
    my ($after) = $redis->command('INFO', 'commandstats') =~ /cmdstat_hgetall:calls=(\d+)/;
    cmp_ok $after - $reads, '<', 12, '  by few looks at the record: heartbeats and one';
    ok $one->stays(0.2), '  and nobody else\'s';
    $redis->command('FLUSHALL');
    ok $one->ends_within(5), 'all that Redis forgets ends';
    ok logged(qr{^/quiet 200 user=$other cut/not_entitled$}m), '  and the log says why';
    same_worker();
}

# --- those who leave at the same moment ---------------------------------------------------

for my $round (1 .. 4) {
    my @users = map { customer('eve') } 1 .. 10;
    my @all = map { my $user = $_; map { stream($_, $user) } qw(/sse /quiet /slowly/big /with/it) } @users;
    my @h2 = map { my $h2 = Test::Entitle::H2->new(port => $site->port(2));
        $h2->get($_, cookie => cookies($users[0])) for qw(/sse /quiet /slowly/big);
        $h2->pass(0.05) } 1 .. 3;
    for my $user (@users) {
        end_of($user);
        (splice @all, int rand @all, 1)->leave for 1 .. 2;
        shift(@h2)->leave if @h2 && rand() < 0.5;
    }
    ok !(grep { !$_->ends_within(10) } @all), "round $round: whoever stays is cut";
    ok $app->wait_until_open(0), '  and nothing is left open';
}
same_worker();

done_testing;
