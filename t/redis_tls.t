# Redis over TLS: the server is known before anything is said to it, a
# certificate is shown where it asks for one, and what goes wrong in between is
# a Redis that cannot be reached, with the reason in the log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp;
use IO::Socket::INET;
use IO::Socket::SSL;
use POSIX ();
use Test::Entitle;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

# --- certificates --------------------------------------------------------------

my $keys = File::Temp->newdir;
chmod 0755, "$keys";

sub openssl { system("openssl @_ >>$keys/openssl.log 2>&1") == 0 or die "openssl @_" }

sub authority {
    my ($name) = @_;
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2",
        "-subj /CN=$name -keyout $keys/$name.key -out $keys/$name.pem");
}

sub certificate {
    my ($name, %o) = @_;
    my $ca = $o{ca} // 'ca';
    open my $ext, '>', "$keys/$name.ext" or die $!;
    print $ext 'subjectAltName=' . ($o{for} // "DNS:$name.test") . "\n";
    close $ext;
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name",
        "-keyout $keys/$name.key -out $keys/$name.csr");
    openssl("x509 -req -in $keys/$name.csr -CA $keys/$ca.pem -CAkey $keys/$ca.key",
        "-CAcreateserial -extfile $keys/$name.ext -days " . ($o{days} // 2),
        "-out $keys/$name.pem");
}

authority($_) for qw(ca other);
certificate('redis', for => 'DNS:redis.test,IP:127.0.0.1,IP:::1');
certificate('named');
certificate('expired', for => 'IP:127.0.0.1', days => -1);
certificate('client');
certificate('stranger', ca => 'other');

# --- a site ----------------------------------------------------------------------

my $url     = 'entitle_redis rediss://127.0.0.1:%%REDIS_TLS%%;';
my $trust   = "entitle_redis_ssl_trusted_certificate $keys/ca.pem;";
my $trusted = "$url $trust";

# A Redis that listens with TLS beside the port the test itself uses.
sub tls_redis {
    my ($site, %o) = @_;
    my $server = $o{server} // 'redis';
    $site->redis(options => ['--tls-port', $site->port('TLS'),
        '--tls-cert-file', "$keys/$server.pem", '--tls-key-file', "$keys/$server.key",
        '--tls-ca-cert-file', "$keys/ca.pem",
        '--tls-auth-clients', $o{clients} // 'no', @{ $o{options} // [] }]);
    put_record($site->redis, 'ada', version => 1, subscription('active'));
}

sub configuration {
    my ($site, $directives, %o) = @_;
    my $port = $o{port} // $site->port('TLS');
    return <<"EOF2" =~ s/%%REDIS_TLS%%/$port/gr;
$directives
entitle_redis_timeout 2s;
entitle_redis_connect_timeout 500ms;
entitle_mode test;
entitle_grant pro prod_Pro prod_FxPRO000001;
map \$arg_user \$known { default \$arg_user; }
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /paid {
        entitle_trusted_user \$known;
        entitle_require pro;
        add_header X-Cache \$entitle_cache always;
        try_files /page.html =404;
    }
}
EOF2
}

sub site {
    my ($directives, %o) = @_;
    my $site = Test::Entitle->new(workers => $o{workers} // 1);
    $site->write_file('html/page.html', 'page');
    tls_redis($site, %o) if !$o{port};
    $site->start(configuration($site, $directives, %o));
    return $site;
}

sub works {
    my ($name, $directives, %o) = @_;
    my $site = site($directives, %o);
    is $site->get('/paid?user=ada')->status, 200, $name;
    $site->finish;
}

sub fails {
    my ($name, $why, $directives, %o) = @_;
    my $site  = site($directives, %o);
    my $begin = time;
    is $site->get('/paid?user=ada')->status, 503, $name;
    cmp_ok time - $begin, '<', $o{within} // 3, '  soon';
    ok $site->wait_for_log($why, 5), '  and the log says why' or diag $site->log;
    $site->expect_log(qr/redis/i);
    $site->finish;
}

# --- who the server is -------------------------------------------------------------

works 'a_trusted_server_by_its_address', $trusted;
works 'a_trusted_server_by_its_name', "$trusted entitle_redis_ssl_name named.test;",
    server => 'named';
works 'redis_with_ssl_on', "entitle_redis redis://127.0.0.1:%%REDIS_TLS%%; entitle_redis_ssl on; $trust";
works 'a_server_that_is_not_verified', "$url entitle_redis_ssl_verify off;", server => 'expired';

fails 'another_authority', qr/not to be trusted \(\d+: self-signed/,
    "$url entitle_redis_ssl_trusted_certificate $keys/other.pem;";
fails 'the_systems_authorities_do_not_know_it', qr/not to be trusted \(\d+: self-signed/, $url;
fails 'another_address', qr/not to be trusted \(\d+: IP address mismatch/, $trusted,
    server => 'named';
fails 'another_name', qr/not to be trusted \(\d+: hostname mismatch/,
    "$trusted entitle_redis_ssl_name other.test;";
fails 'an_expired_certificate', qr/not to be trusted \(\d+: certificate has expired/, $trusted,
    server => 'expired';

# --- who we are ----------------------------------------------------------------------

sub as { return "entitle_redis_ssl_certificate $keys/$_[0].pem;"
    . "entitle_redis_ssl_certificate_key $keys/$_[0].key;" }

works 'a_client_certificate_is_shown', $trusted . as('client'), clients => 'yes';
fails 'a_client_certificate_is_demanded', qr/redis .* is unreachable/, $trusted,
    clients => 'yes';
fails 'a_client_certificate_of_a_stranger', qr/redis .* is unreachable/,
    $trusted . as('stranger'), clients => 'yes';

# --- handshakes that go wrong ----------------------------------------------------------

{
    my $plain = Test::Entitle::Redis->new(dir => "$keys/plain");
    fails 'a_server_without_tls', qr/TLS handshake (?:failed|timed out)/, $trusted, port => $plain->port;
    $plain->stop;
}
{
    my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128);
    fails 'a_server_that_hangs_in_the_handshake', qr/TLS handshake timed out/, $trusted,
        port => $silent->sockport;
}

# A server of our own, in a process of its own.
sub serve {
    my ($handle) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128) or die $!;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
        $SIG{PIPE} = 'IGNORE';
        while (my $client = $listener->accept) { eval { $handle->($client) } }
        POSIX::_exit(1);
    }
    my $process = bless { pid => $pid, owner => $$ }, 'Test::Entitle::Process';
    return ($process, $listener->sockport);
}

{
    my ($server, $port) = serve(sub { sysread $_[0], my $hello, 65536; close $_[0] });
    fails 'a_server_that_hangs_up_in_the_handshake', qr/TLS handshake failed/, $trusted,
        port => $port;
    ($server, $port) = serve(sub {
        sysread $_[0], my $hello, 65536;
        syswrite $_[0], pack('CnnCC', 22, 0x0303, 200, 2, 0);
        close $_[0];
    });
    fails 'half_a_handshake', qr/TLS handshake failed/, $trusted, port => $port;
}

# What a server hears before and after it is known.
sub heard {
    my ($name) = @_;
    return serve(sub {
        my ($client) = @_;
        my $sni = 'none';
        my $tls = IO::Socket::SSL->start_SSL($client, SSL_server => 1, Timeout => 5,
            SSL_cert_file => "$keys/$name.pem", SSL_key_file => "$keys/$name.key",
            SSL_verify_mode => 0) or return;
        $sni = $tls->get_servername // 'none';
        my $said = '';
        sysread $tls, $said, 65536;
        open my $out, '>>', "$keys/heard";
        print $out "sni $sni, said ", length $said ? 'something' : 'nothing', "\n";
        close $out;
        close $tls;
    });
}
sub what_was_heard {
    open my $in, '<', "$keys/heard" or return '';
    return scalar <$in> // '';
}
for my $case (
    ['sni_is_the_name', 'named', 'entitle_redis_ssl_name named.test;', 'sni named.test, said something'],
    ['no_sni_for_an_address', 'redis', '', 'sni none, said something'],
    ['nothing_is_said_to_a_stranger', 'stranger', 'entitle_redis_ssl_name stranger.test;',
        'sni stranger.test, said nothing'],
) {
    my ($name, $certificate, $directives, $expected) = @$case;
    unlink "$keys/heard";
    my ($server, $port) = heard($certificate);
    my $site = site("$trusted $directives", port => $port);
    is $site->get('/paid?user=ada')->status, 503, $name;
    ok wait_until(sub { what_was_heard() =~ /\n/ }), '  it heard us';
    is what_was_heard(), "$expected\n", '  and this';
    $site->expect_log(qr/redis/i);
    $site->finish;
}

# --- a life over TLS ---------------------------------------------------------------------

{
    my $site = site($trusted, workers => 2, options => [qw(--appendonly yes)]);
    my $redis = $site->redis;
    is $site->webhook(event_json('customer.subscription.created.active', user => 'bob'))->status,
        200, 'a_webhook_is_stored_over_tls';

    ok wait_until(sub {
        ($site->get('/paid?user=ada')->header('X-Cache') // '') eq 'HIT';
    }), 'changes_are_heard_over_tls';
    $redis->command('DEL', 'entitle:test:{u:ada}');
    ok wait_until(sub { $site->get('/paid?user=ada')->status == 402 }, 3), 'and followed';

    # A hash of 2 MiB for each of eight users, all asked for at once.
    for my $user (map { "big$_" } 1 .. 8) {
        put_record($redis, $user, version => 1, subscription('active'));
        $redis->command('HSET', "entitle:test:{u:$user}", map { ("more$_" => 'x' x 65536) } 1 .. 32);
    }
    my @visitors = map { $site->connect->send(uri => "/paid?user=big$_") } 1 .. 8;
    is $_->receive->status, 200, 'large_answers_over_tls' for @visitors;

    $site->reload;
    is $site->get('/paid?user=big1')->status, 200, 'after_a_reload';

    $redis->stop;
    is $site->get('/paid?user=nobody')->status, 503, 'gone';
    $redis->start;
    ok wait_until(sub { $site->get('/paid?user=big2')->status == 200 }), 'and_back';
    $site->expect_log(qr/redis/i);
    $site->finish;
}

# --- what nginx -t says ------------------------------------------------------------------

{
    my $site = Test::Entitle->new;
    my $say = sub {
        my ($name, $directives, $pattern, $accepted) = @_;
        my ($ok, $output) = $site->config_test("$directives\n");
        is !!$ok, !!$accepted, $name or diag $output;
        like $output, $pattern, '  and says why';
    };
    my $rediss = 'entitle_redis rediss://127.0.0.1;';
    $say->('a_missing_trusted_certificate', "$rediss entitle_redis_ssl_trusted_certificate /nowhere.pem;",
        qr{/nowhere\.pem.*entitle_redis_ssl_trusted_certificate.*:\d+}s);
    $say->('a_file_without_certificates', "$rediss entitle_redis_ssl_trusted_certificate $keys/redis.key;",
        qr{redis\.key});
    $say->('a_certificate_without_key', "$rediss entitle_redis_ssl_certificate $keys/client.pem;",
        qr/need each other.*:\d+/s);
    $say->('a_key_without_certificate', "$rediss entitle_redis_ssl_certificate_key $keys/client.key;",
        qr/need each other.*:\d+/s);
    $say->('a_key_of_another_certificate', "$rediss entitle_redis_ssl_certificate $keys/client.pem;"
        . "entitle_redis_ssl_certificate_key $keys/redis.key;", qr/redis\.key/);
    $say->('ssl_off_with_rediss', "$rediss entitle_redis_ssl off;", qr/contradicts/);
    $say->('ssl_on_a_socket', 'entitle_redis unix:/run/redis.sock; entitle_redis_ssl on;', qr/socket/);
    $say->('ssl_settings_without_ssl', "entitle_redis redis://127.0.0.1; $trust",
        qr/does nothing without.*:\d+/s, 1);
    $say->('rediss_alone', $rediss, qr/successful/, 1);
}

done_testing;
