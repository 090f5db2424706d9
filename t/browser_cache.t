# What a real Chromium still shows from its own cache after a cancellation, a
# logout, or when somebody else logs in: by link, address bar, back button,
# fetch and video. The table of docs/gating.md is this test's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Chromium;
use Test::Entitle::GateSession;

my $site = Test::Entitle->new;
my $redis = $site->redis;

# Half a second of silence, in the one format that needs no codec.
my $samples = "\x80" x 4000;
my $wav = 'RIFF' . pack('V', 36 + length $samples) . 'WAVEfmt '
    . pack('VvvVVvv', 16, 1, 1, 8000, 8000, 1, 8) . 'data' . pack('V', length $samples) . $samples;

my @SETTINGS = qw(default hour nostore left);
for my $setting (@SETTINGS) {
    $site->write_file("html/$setting/lesson.html", '<title>l</title><p>the lesson');
    $site->write_file("html/$setting/clip.wav", $wav);
    # As old as what browsers guess a freshness of days from.
    utime 1_600_000_000, 1_600_000_000, map { $site->dir . "/html/$setting/$_" }
        qw(lesson.html clip.wav);
}
$site->write_file('html/start.html', '<title>s</title><p>the start');
$site->write_file('html/favicon.ico', '');

$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_session_key_file %%KEY%%;
types { text/html html; audio/wav wav; }

server {
    listen 127.0.0.1:%%PORT%%;
    entitle_session_cookie entitle secure=off;
    entitle_session_bind cookie=app;
    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    location = /start.html { add_header Cache-Control no-store; }
    location /default/ { entitle_require pro; }
    location /hour/    { entitle_require pro; expires 1h; }
    location /nostore/ { entitle_require pro; add_header Cache-Control no-store; }
    location /left/    { entitle_require pro; entitle_cache_control off; }
    location = /logout { entitle_logout; add_header Set-Cookie "app=; Max-Age=0; Path=/"; return 200 bye; }
    location = /whoami {
        internal;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    location / {
        if ($cookie_app = '') { return 401; }
        add_header X-User $cookie_app;
        return 204;
    }
}
EOF

my $base    = 'http://127.0.0.1:' . $site->port;
my $version = 1_767_000_000_000;
put_record($redis, 'bob', version => $version, subscription('canceled', ended_at => time - 60));

my $browser = Test::Entitle::Chromium->new($site);

# Each loads a URL its own way and says whether the content was shown.
my %shown = (
    address => sub { $browser->open($_[0]); return $browser->text =~ /the lesson/ },
    link    => sub {
        my ($url) = @_;
        $browser->open("$base/start.html");
        $browser->script(<<'EOF', $url);
const a = document.createElement('a');
a.href = arguments[0]; a.textContent = 'go'; document.body.append(a);
EOF
        $browser->follow('go');
        wait_until(sub { $browser->url eq $url });
        return $browser->text =~ /the lesson/;
    },
    fetch => sub {
        return $browser->open("$base/start.html")->script_async(<<'EOF', $_[0]) =~ /the lesson/;
const done = arguments[1];
fetch(arguments[0]).then(r => r.text()).then(done, e => done('' + e));
EOF
    },
    video => sub {
        return $browser->open("$base/start.html")->script_async(<<'EOF', $_[0] =~ s/lesson\.html/clip.wav/r) eq 'plays';
const done = arguments[1], v = document.createElement('video');
v.onloadeddata = () => done('plays'); v.onerror = () => done('error');
v.src = arguments[0]; document.body.append(v);
EOF
    },
);
my @WAYS = qw(address link fetch video);

my %event = (
    cancelled => sub {
        put_record($redis, 'ada', version => ++$version,
            subscription('canceled', ended_at => time - 60));
        return;
    },
    logout => sub { $browser->open("$base/logout"); return },
    another => sub { $browser->set_cookie(app => 'bob'); return },
);

my $number = 0;

# The ways that still show what they showed before the event.
sub still_shown {
    my ($setting, $event) = @_;
    put_record($redis, 'ada', version => ++$version, subscription('active'));
    $browser->open("$base/start.html")->set_cookie(app => 'ada');
    my %url = map { $_ => "$base/$setting/lesson.html?" . ++$number } @WAYS, 'back';
    for my $way (@WAYS) {
        ok $shown{$way}->($url{$way}), "$setting, $way: shown to who has paid";
    }
    ok $shown{address}->($url{back}), "$setting: and before they go on";
    $browser->open("$base/start.html") if $event ne 'logout';
    $event{$event}->();
    $browser->back;
    my @still = $browser->url eq $url{back} && $browser->text =~ /the lesson/ ? ('back') : ();
    push @still, grep { $shown{$_}->($url{$_}) } @WAYS;
    return join ', ', sort @still;
}

# docs/gating.md: a row a setting, a column an event.
sub documented {
    my $docs = do { local (@ARGV, $/) = "$FindBin::Bin/../docs/gating.md"; <> };
    my ($table) = $docs =~ /^\| setting \|[^\n]*\n\|---[^\n]*\n((?:\|[^\n]*\n)+)/m
        or die 'docs/gating.md has no table of settings';
    my %name = ('(nothing)' => 'default', '`expires 1h`' => 'hour',
        '`add_header Cache-Control no-store`' => 'nostore',
        '`entitle_cache_control off`' => 'left');
    my %want;
    for my $row (split /\n/, $table) {
        my (undef, $setting, @cells) = split /\s*\|\s*/, $row;
        for my $event (qw(cancelled logout another)) {
            my $cell = shift @cells;
            $want{"$name{$setting} $event"} = $cell eq 'nothing' ? '' : $cell;
        }
    }
    return %want;
}

my %want = documented();
for my $event (qw(cancelled logout another)) {
    for my $setting (@SETTINGS) {
        is still_shown($setting, $event), $want{"$setting $event"}, "$setting, $event";
    }
}
$browser->stop;
done_testing;
