# The Dockerfile and compose.yaml, where no Docker is: they are held to the tree and
# to each other, and what they start is started here as they say, with other addresses
# and files: a visitor becomes a customer, also beyond a Redis that was killed.
# ./dev image carries out the steps that build.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use CPAN::Meta::YAML ();
use File::Copy qw(copy);
use Test::Entitle;
use Test::Entitle::Docs qw(page tree);
use Test::Entitle::Dockerfile;

my @stages  = Test::Entitle::Dockerfile::stages(page('Dockerfile'));
my %stage   = map { $_->{name} => $_ } @stages;
my %service = %{ CPAN::Meta::YAML->read_string(page('compose.yaml'))->[0]{services} };

# --- what is built -----------------------------------------------------------

is join(' ', map { $_->{name} } @stages), 'build nginx redis app', 'a stage to build, and one for each service';
is join(' ', sort map { $_->{build}{target} } values %service), 'app nginx redis', 'compose has a service for each';
is_deeply [grep { $_ ne 'debian:bookworm-slim' } map { $_->{from} } @stages], [], 'all of Debian\'s packages alone';

my ($needed) = page('dev') =~ /^BUILD_PACKAGES=\((.*?)\)/ms;
is_deeply [Test::Entitle::Dockerfile::packages($stage{build})], [sort split ' ', $needed],
    'it is built with what ./dev builds with, so that nothing is installed twice';

# The libraries that what was built needs, by the packages they are in.
my $module = $ENV{ENTITLE_TEST_MODULE} // "$Test::Entitle::ROOT/build/ngx_http_entitle_module.so";
my ($folder) = $module =~ m{^(.*)/};
my %given = map { $_ => 1 } Test::Entitle::Dockerfile::packages($stage{nginx});
SKIP: {
    skip 'the sanitizers bring their own', 1 if Test::Entitle::sanitizer_environment();
    my @libraries = qx(readelf -d '$module' '$folder/entitlectl') =~ /\(NEEDED\).*\[(lib\S+)\]/g;
    # What is installed, and what that depends on.
    my %there = map { $_ => 1 } keys %given, map { s/[ (:].*//r }
        split /[,|]\s*/, qx(dpkg-query -W -f '\${Depends}, \${Pre-Depends}, ' @{[sort keys %given]});
    my $owned = qx(dpkg -S @{[map { "'*/$_'" } @libraries]});
    my %seen;
    my @missing = grep { !$there{$_} && $_ ne 'libgcc-s1' && !$seen{$_}++ }
        map { $owned =~ m{^([^:\n]+):\S* \S*/\Q$_\E$}m ? $1 : "nobody's $_" } @libraries;
    is join(' ', @missing), '', 'the image has the libraries';
}

my %tree = map { $_ => 1 } tree();
my @ignored = split /\n/, page('.dockerignore');
for my $step (map { Test::Entitle::Dockerfile::all($_, 'COPY') } @stages) {
    my ($stage, $from) = $step =~ /^(?:--from=(\w+) )?(\S+) \S+$/ or fail("COPY $step"), next;
    if (defined $stage) { ok $stage{$stage}, "COPY $step: that stage is there"; next }
    ok $from eq '.' || $tree{$from} || grep({ m{^\Q$from\E/} } keys %tree), "COPY $step: it is in the tree";
    is join(' ', grep { $from eq $_ } @ignored), '', '  and not left out';
}
is scalar grep({ m{^secrets/} } keys %tree), 0, 'no secret is in the tree';
like join(' ', @ignored), qr/\bsecrets\b/, 'nor goes into an image';

# --- what is started ---------------------------------------------------------

my $redis_command = join ' ', Test::Entitle::Dockerfile::command($stage{redis});
like $redis_command, qr/--appendonly yes/, 'Redis keeps what it is told';
is join(' ', @{ $service{redis}{volumes} }), 'records:/data', '  in a volume';
like $redis_command, qr{--dir /data\b}, '  which is where it writes';
ok !exists $service{redis}{ports}, '  and nobody outside reaches it';
is join(' ', Test::Entitle::Dockerfile::all($stage{nginx}, 'STOPSIGNAL')), 'SIGQUIT', 'nginx stops gracefully';

my ($conf) = map { m{^\./(\S+):/etc/nginx/nginx\.conf:ro$} ? $1 : () } @{ $service{nginx}{volumes} };
ok $tree{$conf}, "compose has nginx read $conf";
my $text = page($conf);
my %port = (redis => '6379', app => '8081');
is_deeply [sort map { m{/run/secrets/(\w+)}g } $text], [sort @{ $service{nginx}{secrets} }],
    'it reads the secrets that compose gives it';
for my $name ($text =~ m{\b\w+://(\w+):\d+}g) { ok $service{$name}, "$name is a service" }
like +(Test::Entitle::Dockerfile::command($stage{app}))[-1], qr/^0\.0\.0\.0:$port{app}$/, 'the app listens where nginx asks';
my ($listens) = $text =~ /^ *listen (\d+);/m;
like join(' ', @{ $service{nginx}{ports} }), qr/:$listens\b/, 'what is published is what nginx listens at';

# --- the story ---------------------------------------------------------------

my $site = Test::Entitle->new;
my @redis = Test::Entitle::Dockerfile::command($stage{redis});
my %own = ('--bind' => 1, '--dir' => 1, '--protected-mode' => 1);
my @options;
for (my $i = 1; $i < @redis; $i += 2) { push @options, @redis[$i, $i + 1] if !$own{ $redis[$i] } }
my $redis = $site->redis(options => \@options);
my $app_port = free_port();
my (@app) = map { s{^/app/}{$Test::Entitle::ROOT/examples/demo/}r =~ s/^0\.0\.0\.0:8081$/127.0.0.1:$app_port/r }
    Test::Entitle::Dockerfile::command($stage{app});
my $app = Test::Entitle::Process->new(command => \@app, output => $site->dir . '/app.log');

my ($http) = $text =~ /^http \{\n(.*)^\}/ms;
$http =~ s/^ *access_log .*\n//m;
$http =~ s/^ *resolver .*\n//m or die 'no resolver';
$http =~ s{redis://redis:6379}{redis://127.0.0.1:%%REDIS%%} or die 'no Redis';
$http =~ s{listen 8080;}{listen 127.0.0.1:%%PORT%%;} or die 'no port';
$http =~ s{root /srv/site;}{root $Test::Entitle::ROOT/examples/demo/site;} or die 'no root';
$http =~ s{http://app:8081}{http://127.0.0.1:$app_port}g or die 'no app';
$http =~ s{/run/secrets/entitle_key}{%%KEY%%} or die 'no key';
$http =~ s{/run/secrets/stripe_webhook_secret}{%%SECRET%%} or die 'no secret';
$site->start($http);
ok wait_until(sub { IO::Socket::INET->new("127.0.0.1:$app_port") }), 'the app answers';

my $grace = $site->browser;
is $grace->get('/lessons/1.html')->status, 302, 'a guest is asked to log in';
$grace->post('/login', 'user=grace&next=/lessons/1.html');
is $grace->get('/lessons/1.html')->status, 402, 'who has not paid is asked to';
like $grace->get('/buy')->header('Location'), qr{^https://buy\.stripe\.com/\S+client_reference_id=[\w-]{20,}},
    'by Stripe, with a reference';
my $answer = $site->webhook(event_json('customer.subscription.created.active', user => 'grace'), uri => '/stripe/webhook');
is $answer->status, 200, 'Stripe says that she has' or diag $answer->body;
is $grace->get('/lessons/1.html')->status, 200, 'and she is in';

# Redis has written before it answers; what everysec may lose, only the machine's end does.
$redis->kill9;
$redis->start;
ok wait_until(sub { $grace->get('/lessons/1.html')->status == 200 }), 'also after Redis was killed';
is scalar(grep { /^source:/ } keys %{ $redis->hgetall('entitle:test:{u:grace}') }), 1, '  which has her record';
$app->stop;
$site->expect_alert(qr/\[error\].*redis "/);
$site->finish;
done_testing;
