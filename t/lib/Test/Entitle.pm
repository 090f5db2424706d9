package Test::Entitle;

# End-to-end tests: a real nginx with the module, a real Redis, real sockets,
# in a temporary directory, on ports that are free when the test starts.
#
#   use Test::Entitle;
#
#   my $site = Test::Entitle->new;
#   $site->redis;                              # starts a private redis-server
#   $site->start(<<'EOF');                     # what stands in http { }
#   entitle_redis redis://127.0.0.1:%%REDIS%%;
#   server {
#       listen 127.0.0.1:%%PORT%%;
#       %%WEBHOOK%%
#   }
#   EOF
#   is $site->webhook(event_json('invoice.paid'))->status, 200;
#   done_testing;
#
# done_testing stops everything and adds what every test must show: error.log
# exists and is not empty, and holds no [alert], no [emerg], no worker that
# exited on a signal, no sanitizer or valgrind report, and no [error] or [crit]
# the test has not announced with expect_log.
#
# In a configuration %%PORT%%, %%PORT2%% ... are free ports, %%REDIS%% and
# %%REDIS_SOCKET%% where Redis listens, %%DIR%% the directory, %%SECRET%% a file
# with the secret Test::Entitle::Stripe signs with, %%KEY%% a session key file.
# Pieces that most sites have: %%WEBHOOK%% is the location /webhook, which
# takes test events signed with that secret; %%SESSIONS%% says that sessions are
# sealed with that key, in a cookie "entitle" that needs no TLS; %%REAUTH%% that
# the app behind /whoami answers who somebody is, in X-User, by the cookie "app";
# %%ASKED%% that it would, and nothing is bound to that cookie.
#
# Environment: ENTITLE_TEST_NGINX, ENTITLE_TEST_MODULE (other binaries),
# ENTITLE_VALGRIND=1, ENTITLE_SLOW=1 (five times the patience, as with valgrind),
# ENTITLE_TEST_DEBUG=1 (error_log at debug), ENTITLE_TEST_MEMORY=off (or a size: where
# a test does not say itself what entitle_session_memory is),
# ENTITLE_TEST_LEAVE=1 (keep the directory and say where; a test that fails
# keeps it in any case).

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Temp ();
use Test::More import => ['!done_testing'];
use Time::HiRes ();

use Test::Entitle::Http;
use Test::Entitle::Process qw(free_port patience wait_until);
use Test::Entitle::Redis;
use Test::Entitle::Stripe qw(event_json fixture fixture_files scenario signature);

our @EXPORT = (
    qw(done_testing event_json fixture fixture_files scenario signature
        wait_until free_port patience),
    grep { $_ ne 'done_testing' } @Test::More::EXPORT,
);

our $ROOT = abs_path(dirname(__FILE__) . '/../../..');

my $NGINX  = $ENV{ENTITLE_TEST_NGINX}  // '/usr/sbin/nginx';
my $MODULE = $ENV{ENTITLE_TEST_MODULE} // "$ROOT/build/ngx_http_entitle_module.so";

my @sites;

# A test that hangs is a failure, and leaves nothing running.
$SIG{$_} = sub { die "stopped by SIG$_[0]\n" } for qw(INT TERM HUP);
$SIG{ALRM} = sub { die "the test took too long\n" };
alarm(180 * patience());

# new(workers => 1, main => 'more of the main context',
#     modules => ['/other/module.so', ...] loaded before ours)
sub new {
    my ($class, %args) = @_;
    my $dir = File::Temp->newdir('entitle-XXXXXXXX', TMPDIR => 1);
    chmod 0755, "$dir";
    my $self = bless {
        temp     => $dir,
        dir      => "$dir",
        ports    => {},
        workers  => $args{workers} // 1,
        main     => $args{main} // '',
        modules  => $args{modules} // [],
        expected => [],
        owner    => $$,
    }, $class;
    mkdir "$dir/$_" for qw(html logs temp);
    push @sites, $self;
    return $self;
}

sub dir  { $_[0]{dir} }
sub port { my ($self, $n) = @_; return $self->{ports}{ $n // '' } //= free_port() }

sub write_file {
    my ($self, $name, $content, $mode) = @_;
    my $path = "$self->{dir}/$name";
    mkdir dirname($path);
    open my $out, '>:raw', $path or croak "$path: $!";
    print $out $content;
    close $out or croak "$path: $!";
    chmod $mode // 0644, $path;
    return $path;
}

sub read_file {
    my ($self, $name) = @_;
    open my $in, '<:raw', "$self->{dir}/$name" or return '';
    local $/;
    return scalar(<$in>) // '';
}

# The private Redis; the first call starts it.
sub redis {
    my ($self, %args) = @_;
    return $self->{redis} //= Test::Entitle::Redis->new(
        dir => "$self->{dir}/redis", port => $self->port('REDIS'), %args);
}

# --- nginx -------------------------------------------------------------------

sub _expand {
    my ($self, $text) = @_;
    my %words = (
        DIR          => sub { $self->{dir} },
        REDIS        => sub { $self->port('REDIS') },
        REDIS_SOCKET => sub { "$self->{dir}/redis/redis.sock" },
        SECRET       => sub {
            $self->write_file('secret', "$Test::Entitle::Stripe::SECRET\n");
        },
        KEY => sub { $self->write_file('key', "0123456789abcdef" x 4 . "\n") },
    );
    $words{REAUTH} = sub { 'entitle_reauth /whoami; entitle_reauth_user header=X-User; '
            . 'entitle_session_bind cookie=app;' };
    $words{ASKED} = sub { 'entitle_reauth /whoami; entitle_reauth_user header=X-User; '
            . 'entitle_credentials cookie=app;' };
    $words{WEBHOOK} = sub { 'location = /webhook { entitle_webhook test; '
            . 'entitle_webhook_secret_file ' . $words{SECRET}->() . '; }' };
    $words{SESSIONS} = sub { 'entitle_session_key_file ' . $words{KEY}->() . '; '
            . 'entitle_session_cookie entitle secure=off; entitle_session_scope tests;' };
    $text =~ s/%%PORT(\d*)%%/$self->port($1)/ge;
    $text =~ s/%%([A-Z_]+)%%/($words{$1} or croak "%%$1%%?")->()/ge;
    return $text;
}

# Redis gets more time where everything takes longer.
sub _patient {
    my ($http) = @_;
    for my $name (qw(entitle_redis_timeout entitle_redis_connect_timeout)) {
        $http =~ s/\b($name) (\d+)(m?s);/"$1 " . $2 * patience() . "$3;"/ge
            or $http =~ /\bentitle_redis / and $http = "$name " . 500 * patience() . "ms;\n$http";
    }
    return $http;
}

# The whole nginx.conf; `http` is what stands in http { }, undef: no http { }.
sub configuration {
    my ($self, $http) = @_;
    my $level = $ENV{ENTITLE_TEST_DEBUG} ? 'debug' : 'info';
    my $main  = join '', map { "load_module $_;\n" } @{ $self->{modules} }, $MODULE;
    $main .= "user root;\n" if $> == 0;
    $main .= "env $_;\n" for qw(LD_PRELOAD ASAN_OPTIONS UBSAN_OPTIONS);
    $main .= $self->{main};
    if (defined $http) {
        $http = _patient($http) if patience() > 1;
        $http = "entitle_session_memory $ENV{ENTITLE_TEST_MEMORY};\n$http"
            if $ENV{ENTITLE_TEST_MEMORY} && $http =~ /^\s*entitle_redis /m
            && $http !~ /entitle_session_memory/;
        my $temp = join '', map { "    ${_}_temp_path %%DIR%%/temp/$_;\n" }
            qw(client_body proxy fastcgi uwsgi scgi);
        $http = <<"EOF" . $http . "}\n";
http {
$temp    access_log %%DIR%%/logs/access.log;
    root %%DIR%%/html;
    default_type text/plain;
EOF
    }
    return $self->_expand(<<"EOF" . ($http // ''));
daemon off;
pid %%DIR%%/nginx.pid;
error_log %%DIR%%/logs/error.log $level;
worker_processes $self->{workers};
${main}events {
    worker_connections 1024;
}
EOF
}

sub _command {
    my ($self, @options) = @_;
    my @command = ($NGINX, '-p', "$self->{dir}/", '-e',
        "$self->{dir}/logs/error.log", '-c', "$self->{dir}/nginx.conf", @options);
    unshift @command, 'valgrind', '-q', '--error-exitcode=99',
        "--suppressions=$ROOT/t/valgrind.suppressions",
        "--log-file=$self->{dir}/valgrind.%p"
        if $ENV{ENTITLE_VALGRIND} && !@options;
    return @command;
}

# A module built with sanitizers needs their run time before all else; only what
# a test preloads itself comes before that.
sub sanitizer_environment {
    my ($runtime) = qx(readelf -d $MODULE 2>/dev/null) =~ /\[(libasan\.so[^\]]*)\]/;
    return if !$runtime;
    my @preloaded = grep { defined && length } $ENV{LD_PRELOAD};
    return (
        ASAN_OPTIONS  => 'detect_leaks=0' . (@preloaded ? ':verify_asan_link_order=0' : ''),
        UBSAN_OPTIONS => 'print_stacktrace=1',
        %ENV, LD_PRELOAD => join(' ', @preloaded, $runtime),
    );
}

# Starts nginx and waits until it takes connections.
sub start {
    my ($self, $http) = @_;
    $self->write_file('nginx.conf', $self->configuration($http));
    return $self->run;
}

# Starts it (again) with the nginx.conf that is there. Its sockets listen before
# its master waits for signals: one that came in between would be forgotten until
# the next, so its workers are waited for.
sub run {
    my ($self) = @_;
    local %ENV = (%ENV, sanitizer_environment());
    my @ports = $self->read_file('nginx.conf') =~ /listen\s+127\.0\.0\.1:(\d+)/g;
    $self->{nginx} = Test::Entitle::Process->new(
        command => [$self->_command], output => "$self->{dir}/logs/stderr");
    wait_until(sub {
        return 1 if !$self->{nginx}->running;
        return $self->worker_pids >= $self->{workers} && !grep {
            !IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_)
        } @ports;
    });
    croak "nginx did not start:\n" . $self->read_file('logs/stderr')
        . $self->log if !$self->{nginx}->running;
    return $self;
}

# As start, but as a daemon: only so does nginx take SIGUSR2.
sub start_daemon {
    my ($self, $http) = @_;
    $self->write_file('nginx.conf', $self->configuration($http) =~ s/^daemon off;\n//r);
    local %ENV = (%ENV, sanitizer_environment());
    system($self->_command) == 0 or croak 'nginx did not start: ' . $self->log;
    $self->adopt_daemon or croak 'nginx left no pid';
    return $self;
}

# The process named by the pid file is from now on the one to stop.
sub adopt_daemon {
    my ($self) = @_;
    wait_until(sub { -s "$self->{dir}/nginx.pid" }) or return;
    my ($pid) = $self->read_file('nginx.pid') =~ /(\d+)/;
    return $self->{nginx} = Test::Entitle::Process->adopt($pid);
}

# nginx -t on a configuration: (whether it was accepted, what it said).
sub config_test {
    my ($self, $http) = @_;
    local %ENV = (%ENV, sanitizer_environment());
    $self->write_file('nginx.conf', $self->configuration($http));
    my $output = "$self->{dir}/logs/config-test";
    unlink $output;
    my $test = Test::Entitle::Process->new(output => $output,
        command => [$NGINX, '-t', '-p', "$self->{dir}/", '-e', 'stderr',
            '-c', "$self->{dir}/nginx.conf"]);
    wait_until(sub { !$test->running }) or croak 'nginx -t hangs';
    return ($test->status == 0, $self->read_file('logs/config-test'));
}

sub nginx { $_[0]{nginx} }

# Workers that take connections, by what error.log says of them.
sub worker_pids {
    my ($self) = @_;
    my $log  = $self->log;
    my %gone = map { $_ => 1 }
        $log =~ /(\d+)#\d+: (?:gracefully shutting down|exiting)$/mg,
        $log =~ /worker process (\d+) exited/g;
    return grep { !$gone{$_} } $log =~ /start worker process (\d+)$/mg;
}

# SIGHUP, and waits until the new workers are the ones that take connections.
sub reload {
    my ($self, $http) = @_;
    $self->write_file('nginx.conf', $self->configuration($http)) if defined $http;
    my %old = map { $_ => 1 } $self->worker_pids;
    $self->{nginx}->signal('HUP');
    wait_until(sub {
        my @new = $self->worker_pids;
        @new >= $self->{workers} && !grep { $old{$_} } @new;
    }) or croak 'nginx did not reload: ' . $self->log;
    return keys %old;
}

sub log { $_[0]->read_file('logs/error.log') }

# Waits for a line in error.log.
sub wait_for_log {
    my ($self, $pattern, $seconds) = @_;
    return wait_until(sub { $self->log =~ $pattern }, $seconds);
}

# Lines at [error] or [crit] that this test is about; each must come up.
sub expect_log { my ($self, @patterns) = @_; push @{ $self->{expected} }, @patterns }

# For tests that kill a worker: these [alert] lines, too, are what is expected.
sub expect_alert { my ($self, @patterns) = @_; push @{ $self->{alerts} }, @patterns }

# --- requests ----------------------------------------------------------------

sub connect {
    my ($self, %args) = @_;
    return Test::Entitle::Http->new(port => $self->port, %args);
}

# One request on its own connection; see Test::Entitle::Http::format.
sub request {
    my ($self, %r) = @_;
    return $self->connect(port => $r{port} // $self->port)->request(close => 1, %r);
}

sub get {
    my ($self, $uri, @headers) = @_;
    return $self->request(uri => $uri, headers => \@headers);
}

sub browser {
    my ($self, %args) = @_;
    return Test::Entitle::Http::Browser->new(port => $self->port, %args);
}

# POSTs an event as Stripe does. uri (/webhook), headers (more of them),
# signature (the whole header; undef: none), secret, time; the rest is for
# Test::Entitle::Http.
sub webhook {
    my ($self, $body, %o) = @_;
    return $self->request($self->webhook_request($body, %o));
}

sub webhook_request {
    my ($self, $body, %o) = @_;
    my %sign;
    for (qw(secret time scheme)) { $sign{$_} = delete $o{$_} if exists $o{$_} }
    my $header = exists $o{signature} ? delete $o{signature} : signature($body, %sign);
    my @headers = ('Content-Type' => 'application/json; charset=utf-8',
        'User-Agent' => 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
        defined $header ? ('Stripe-Signature' => $header) : (),
        @{ delete $o{headers} // [] });
    return (method => 'POST', uri => '/webhook', headers => \@headers,
        ($o{chunks} ? () : (body => $body)), %o);
}

# --- the end -----------------------------------------------------------------

sub _log_problems {
    my ($self) = @_;
    my @problems;
    my %seen;
    for my $line (split /\n/, $self->log) {
        my ($level) = $line =~ m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(\w+)\]};
        if (!defined $level) {
            push @problems, $line if $line =~ /Sanitizer|runtime error:/;
            next;
        }
        my ($expected) = grep { $line =~ $_ } @{ $self->{alerts} // [] };
        next if defined $expected;
        if ($line =~ /exited on signal/ || $level =~ /^(?:alert|emerg)$/) {
            push @problems, $line;
        } elsif ($level =~ /^(?:error|crit)$/) {
            my @matching = grep { $line =~ $_ } @{ $self->{expected} };
            $seen{$_} = 1 for @matching;
            push @problems, $line if !@matching;
        }
    }
    push @problems, map { "never logged: $_" }
        grep { !$seen{$_} } @{ $self->{expected} };
    push @problems, $self->read_file('logs/stderr') =~ /^.*(?:Sanitizer|runtime error:).*$/mg;
    for my $report (glob "$self->{dir}/valgrind.*") {
        open my $in, '<', $report or next;
        local $/;
        push @problems, "$report: " . <$in> if -s $report;
    }
    return @problems;
}

# Stops nginx and Redis and shows that the log is clean. done_testing calls it.
sub finish {
    my ($self) = @_;
    return if $self->{finished}++ || $self->{owner} != $$;
    if ($self->{nginx}) {
        ok($self->{nginx}->stop('QUIT'), 'nginx stops gracefully');
        ok(-s "$self->{dir}/logs/error.log",
            'error.log is there and not empty');
        my @problems = $self->_log_problems;
        is(join("\n", @problems), '', 'error.log holds nothing unexpected');
    }
    $self->{redis}->stop if $self->{redis};
}

# What a failed test leaves is what somebody needs to find out why.
sub _keep {
    my ($self) = @_;
    $self->{temp}->unlink_on_destroy(0);
    diag("files stay in $self->{dir}");
}

sub done_testing {
    $_->finish for @sites;
    if ($ENV{ENTITLE_TEST_LEAVE} || !Test::More->builder->is_passing) {
        $_->_keep for grep { $_->{owner} == $$ } @sites;
    }
    Test::More::done_testing();
}

# After a die in the middle: nothing stays behind.
END {
    my $status = $?;
    for my $site (grep { $_->{owner} == $$ && !$_->{finished} } @sites) {
        diag("error.log of the test that stopped:\n" . $site->log)
            if $site->{nginx};
        $site->{nginx}->stop('TERM', 3) if $site->{nginx};
        $site->{redis}->stop if $site->{redis};
        $site->_keep if $status;
    }
    @sites = ();
    $? = $status;
}

1;
