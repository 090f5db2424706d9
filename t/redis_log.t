# What goes wrong at every request is said at once, with its reason, and then once
# a minute, with how often it was not: nobody fills the log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::FaultyRedis;
use Time::HiRes qw(sleep);

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $fault = $site->dir . '/fault';

# While the file is there: bytes that are the answer to HGETALL, or "reset".
my $faulty = Test::Entitle::FaultyRedis->new(
    port => $site->port(9), redis => $redis,
    answer => sub {
        return "-ERR something is wrong\r\n" if $_[0] eq 'WATCH' && -e "$fault-watch";
        return undef if $_[0] ne 'HGETALL' || $_[1] !~ /\{u:/ || $_[1] =~ /\{u:\}/;
        open my $in, '<:raw', $fault or return undef;
        local $/;
        return scalar <$in>;
    },
    spoil => sub { $_[0] eq 'reset' ? 0 : syswrite $_[1], $_[0] });
$site->write_file('html/page.html', 'page');
$site->write_file('html/app.html',  'page');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%PORT9%%;
entitle_redis_timeout 200ms;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_mode test;
server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami {
        add_header X-User $cookie_app;
        add_header X-Mail $cookie_mail;
        return 204;
    }
}
server {
    listen 127.0.0.1:%%PORT%%;
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /page.html { entitle_require pro; %%REAUTH%% }
    location = /mail.html {
        entitle_require pro;
        %%REAUTH%%
        entitle_claim_email header=X-Mail;
    }
    location = /app.html  {
        entitle_require pro;
        entitle_session_redis sess:$cookie_sid json=/user;
    }
    location = /everywhere { %%REAUTH%% entitle_logout all; }
}
EOF

# Lines of a kind that are more than informative.
sub said {
    my ($what) = @_;
    return grep { /\[(?:warn|error)\]/ && /$what/ } split /\n/, $site->log;
}
my $count = 0;
sub visitors {
    my ($uri, %o) = @_;
    my $cookie = $o{cookie} // '';
    for (1 .. 20) {
        $count++;
        $site->request(method => $o{method} // 'GET', uri => $uri,
            headers => [Cookie => "app=v$count$cookie"]);
    }
}
sub once {
    my ($what, $name) = @_;
    is scalar(said($what)), 1, "$name is said once, not 20 times";
}

$site->write_file('fault', "-ERR something is wrong\r\n");
visitors('/page.html');
once(qr/Redis answered "ERR something is wrong" to a record read/, 'an error to a record read');

$site->write_file('fault', "*3\r\n:1\r\n:1\r\n:1\r\n");
visitors('/page.html');
once(qr/record "entitle:test:\{u:v\d+\}" cannot be read/, 'a record that cannot be read');
unlink $fault;

my $id = 'b' x 20;
$redis->command('SET', "sess:$id", 'no json');
visitors('/app.html', cookie => "; sid=$id");
once(qr/the app's session cannot be read/, 'a session that cannot be read');

$redis->command('SET', 'entitle:test:email:a@example.org', 'no set');
visitors('/mail.html', cookie => '; mail=a@example.org');
once(qr/is not claimed, until the next time: WRONGTYPE/, 'an e-mail that cannot be claimed');

$site->write_file('fault-watch', '');
visitors('/everywhere', method => 'POST');
once(qr/not logged out everywhere: ERR something is wrong/, 'a logout that fails');
unlink "$fault-watch";

$site->write_file('fault', 'reset');
visitors('/page.html');
once(qr/left requests without an answer: it closed the connection/, 'a read that is cut off');
unlink $fault;

# Comes and goes.
for (1 .. 12) {
    my $unreachable = () = $site->log =~ /is unreachable/g;
    $redis->freeze;
    wait_until(sub { visitors_once(); (() = $site->log =~ /is unreachable/g) > $unreachable })
        or fail "it is noticed";
    $redis->thaw;
    ok wait_until(sub { visitors_once() == 402 }), 'comes back';
}
my @unreachable = said(qr/is unreachable/);
cmp_ok scalar(@unreachable), '<=', 6, 'one that comes and goes is not said each time';
cmp_ok scalar(@unreachable), '>=', 2, '  but some times';
like $unreachable[0], qr/its answer timed out/, '  with the reason';

sub visitors_once {
    $count++;
    return $site->get('/page.html', Cookie => "app=v$count")->status;
}

# A minute later it is said again, and how often it was not.
sleep 61;
visitors('/app.html', cookie => "; sid=$id");
is scalar(said(qr/the app's session cannot be read/)), 2, 'after a minute it is said again';
is scalar(said(qr/entitle: 19 lines like the next one were left out/)), 1, '  with how often it was not';

$site->expect_log(qr/entitle: /);
done_testing;
