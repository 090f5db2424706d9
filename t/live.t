# entitle_live: what is under way ends when access does, whatever it is made of, and
# what has a right to go on goes on.
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

my $site = Test::Entitle->new;
my $redis = $site->redis;
my $app = Test::Entitle::LiveApp->new($site);
$site->{ports}{9} = $app->port;
$site->write_file('html/big', 'x' x (64 << 20));
$site->write_file('html/page', 'page');
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_grant plus prod_Plus;
entitle_grace 0s;
%%SESSIONS%%
entitle_live on;
log_format live '$request_uri $status user=$entitle_user $entitle_decision/$entitle_reason';
access_log %%DIR%%/logs/live.log live;
proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection $connection_of;
map $http_upgrade $connection_of { default upgrade; "" close; }
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    limit_rate 2m;
    %%REAUTH%%
    error_page 402 /pay;
    location = /pay { entitle off; return 402 "pay, please"; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location / { entitle_require pro; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%; }
    location /buffered/ { entitle_require pro; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location /any/ { entitle on; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location /known/ { entitle optional; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location /not/ { entitle_live off; entitle_require pro; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location /named/ { entitle_require $arg_name; proxy_buffering off; proxy_pass http://127.0.0.1:%%PORT9%%/; }
    location /files/ { entitle_require pro; alias %%DIR%%/html/; }
    location /kept/ { internal; entitle off; alias %%DIR%%/html/; }
    location /kept-gated/ { internal; entitle_require pro; alias %%DIR%%/html/; }
    location = /page { entitle_require pro; root %%DIR%%/html; }
    location = /logout { entitle_logout; }
    location = /everywhere { entitle_logout all; }
}
EOT

my $VERSION = 1_767_000_000_000;
my $serial = 0;

sub pro   { return subscription('active', @_) }
sub ended { return subscription('canceled', ended_at => time - 10, @_) }

# Somebody nobody knows yet, with what is bought; and in which browser.
sub customer {
    my ($name, %fields) = @_;
    my $user = $name . ++$serial;
    put_record($redis, $user, version => $VERSION, %fields);
    return $user;
}
sub cookies {
    my ($user, %o) = @_;
    my $device = "$user." . ($o{device} // 'one');
    return "app=$device; entitle=" . session(user => $user, iat => $o{iat} // time - 60,
        version => $o{version} // $VERSION, bind => [$device]);
}
sub browser { return (Cookie => cookies(@_)) }

sub stream { my ($uri, @of) = @_; return Test::Entitle::LiveClient->get($site->port, $uri, browser(@of)) }

# In one command, as a webhook writes it: nothing of it is missing meanwhile.
sub write_of {
    my ($user, %fields) = @_;
    return $redis->command('HSET', "entitle:test:{u:$user}", version => $VERSION + 1, %fields);
}

# What the log has of a URI, the newest.
sub logged {
    my ($uri, $pattern) = @_;
    return wait_until(sub {
        my @all = $site->read_file('logs/live.log') =~ /^(\Q$uri\E .*)$/mg;
        @all && $all[-1] =~ $pattern;
    });
}

# --- what it may be made of ----------------------------------------------------

for my $case (
    ['an_event_stream',             '/sse',            200],
    ['one_that_is_silent',          '/quiet',          200],
    ['one_through_buffers',         '/buffered/sse',   200],
    ['a_download_of_the_app',       '/flood',          200],
    ['a_download_through_buffers',  '/buffered/flood', 200],
    ['a_long_poll',                 '/poll',           444],
    ['a_file',                      '/files/big',      200],
    ['a_file_by_X_Accel_Redirect',  '/accel?/kept/big',       200],
    ['a_file_that_is_gated_itself', '/accel?/kept-gated/big', 200],
    ['a_name_of_the_request',       '/named/sse?name=pro',    200],
) {
    my ($name, $uri, $status) = @$case;
    my $user = customer('ada', pro());
    my $other = customer('bob', pro());
    my ($one, $two) = map { Test::Entitle::LiveClient->ask($site->port, $uri, browser($_)) }
        $user, $other;
    if ($status == 200) { $_->_read_head for $one, $two; is $one->status, 200, "$name is let in" }
    else                { ok $app->wait_until_open(2, '/poll'), "$name is let in" }
    ok $one->stays(0.3), '  and goes on';
    write_of($user, ended());
    ok $one->ends_within(5), '  until the end is written';
    ok logged($uri, qr/ \Q$status\E user=\Q$user\E cut\/ended$/), '  and the log says so';
    ok $two->stays(0.2), '  and another\'s goes on';
    $two->leave;
    ok $app->wait_until_open(0), '  and the upstream is closed';
    is $site->get('/page', browser($user))->status, 402, '  and who comes back is told to pay';
}

{
    my $user = customer('ada', pro());
    my $ws = Test::Entitle::LiveClient->websocket($site->port, '/ws', browser($user));
    is $ws->status, 101, 'a_websocket is let in';
    is $ws->echo('hello'), 'hello', '  and echoes';
    write_of($user, pro());
    ok $ws->stays(0.3), '  and stays when what is written takes nothing';
    is $ws->echo('again'), 'again', '  and echoes';
    write_of($user, ended());
    ok $ws->ends_within(5), '  and ends with what was bought';
    ok logged('/ws', qr/ 101 user=$user cut\/ended$/), '  and the log says so';
    ok $app->wait_until_open(0), '  and the upstream is closed';
    my $again = Test::Entitle::LiveClient->websocket($site->port, '/ws', browser($user));
    is $again->status, 402, '  and a browser that reconnects is told to pay';
}

# A reader so slow that the kernel keeps what it was told.
{
    my $user = customer('ada', pro());
    my $slow = Test::Entitle::LiveClient->ask($site->port, '/files/big', browser($user));
    sleep 0.5;
    write_of($user, ended());
    ok logged('/files/big', qr/ 200 user=$user cut\/ended$/), 'a_slow_reader is cut';
    ok $slow->ends_within(5), '  and what was still to be sent is not';
    cmp_ok length $slow->body, '<', 64 << 20, '  nor all of it';
    ok $slow->{why}, '  which is seen as a reset';
}

# --- who goes on ---------------------------------------------------------------

for my $case (
    ['another_version_alone', '/sse', sub { $redis->command('HINCRBY', "entitle:test:{u:$_[0]}", 'version', 1) }],
    ['a_renewal', '/sse', sub { write_of($_[0], pro(period_end => time + 90 * 86400)) }],
    ['a_location_without', '/not/sse', sub { write_of($_[0], ended()) }],
    ['where_nothing_is_required', '/any/sse', sub { write_of($_[0], ended()) }],
    ['where_nobody_is_refused', '/known/sse', sub { write_of($_[0], ended()) }],
    ['another_name', '/named/sse?name=plus', sub { write_of($_[0], pro(identifiers => ['prod_Plus'])) },
        pro(identifiers => ['prod_Pro', 'prod_Plus'])],
) {
    my ($name, $uri, $change, @bought) = @$case;
    my $user = customer('ada', @bought ? @bought : pro());
    my $stream = stream($uri, $user);
    is $stream->status, 200, "$name is let in";
    $change->($user);
    ok $stream->stays(0.3), '  and goes on';
    ok $stream->flows, '  and comes';
    $stream->leave;
    ok logged($uri, qr/user=$user allow\/ok$/), '  and the log says that it was let in';
}

# --- the end that was known ------------------------------------------------------

{
    my $end = time + 3;
    my $user = customer('ada', pro(period_end => $end));
    my $longer = customer('bob', pro(period_end => $end + 60));
    my ($one, $two, $three) = (stream('/sse', $user), stream('/quiet', $user), stream('/sse', $longer));
    ok $one->stays($end - Time::HiRes::time() - 0.5), 'until_the_end it goes on';
    ok $_->ends_within(5), '  and then it ends' for $one, $two;
    cmp_ok abs($one->{ended} - $end), '<', 1.2, '  at that time';
    ok logged('/quiet', qr/user=$user cut\/ended$/), '  and the log says so';
    ok $three->stays(0.1), '  and what ends later goes on';

    # Renewed meanwhile.
    $end = time + 2;
    $user = customer('eve', pro(period_end => $end));
    my $renewed = stream('/sse', $user);
    write_of($user, pro(period_end => $end + 60));
    ok $renewed->stays($end + 1.2 - Time::HiRes::time()), 'a_renewal before the end is known at the end';
    $_->leave for $renewed, $three;
}

# --- logging out ------------------------------------------------------------------

{
    my $user = customer('ada', pro());
    my %of = map { $_ => stream('/sse', $user, device => $_) } qw(phone desk);
    my $older = stream('/quiet', $user, device => 'desk', iat => time - 600);
    is $site->get('/logout', browser($user, device => 'desk'))->status, 204, 'this_browser logs out';
    ok $_->ends_within(5), '  and its streams end' for $of{desk}, $older;
    ok logged('/sse', qr/user=$user cut\/logged_out$/), '  and the log says why';
    ok $of{phone}->stays(0.3), '  and those of another go on';
    is $site->request(method => 'POST', uri => '/everywhere', headers => [browser($user, device => 'phone')])
        ->status, 204, 'everywhere';
    ok $of{phone}->ends_within(5), '  and they end, too';

    # By somebody else's hand: what is older than not_before.
    $user = customer('bob', pro());
    my $before = stream('/sse', $user, iat => time - 60);
    my $since = stream('/sse', $user, iat => time + 30);
    $redis->command('HSET', "entitle:test:{u:$user}", not_before => int time);
    ok $before->ends_within(5), 'not_before ends what is older';
    ok $since->stays(0.3), '  and nothing newer';
    $since->leave;
}

# --- HTTP/2: one stream of many ----------------------------------------------------

{
    my ($user, $other) = (customer('ada', pro()), customer('bob', pro()));
    my $h2 = Test::Entitle::H2->new(port => $site->port(2));
    my @of = map { $h2->get("/$_", cookie => cookies($user)) } qw(sse quiet poll flood);
    my $file = $h2->get('/files/big', cookie => cookies($user));
    my @others = map { $h2->get("/$_", cookie => cookies($other)) } qw(quiet quiet);
    ok $h2->wait_for($_, 'data'), 'a_stream comes' for @of[0, 1, 3], $file, @others;
    write_of($user, ended());
    ok $h2->wait_for($_, 'reset'), '  and is reset' for @of, $file;
    is $h2->reset($_), 2, '  by INTERNAL_ERROR' for @of;
    $h2->pass(0.2);
    ok !$h2->is_over($_), '  and another goes on' for @others;
    my $page = $h2->get('/page', cookie => cookies($other));
    ok $h2->wait_for($page, 'over'), '  and so does the connection';
    ok !$h2->went, '  which is not told to go';
    ok logged('/quiet', qr/ 200 user=$user cut\/ended$/), '  and the log says so';
    write_of($other, ended());
    ok $h2->wait_for($_, 'reset'), 'the last of them are reset, too' for @others;
}
ok $app->wait_until_open(0), 'and nothing is left open';

done_testing;
