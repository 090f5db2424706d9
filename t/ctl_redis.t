# entitlectl comes to Redis as the module does: over TLS, by Sentinels, in a
# Cluster; and to nobody whom the module would not believe.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp;
use Test::More;
use Test::Entitle::Cluster;
use Test::Entitle::Ctl;
use Test::Entitle::Process qw(free_port wait_until);
use Test::Entitle::Redis;
use Test::Entitle::Sentinels;

my $dir = File::Temp->newdir;
chmod 0755, "$dir";
my $ctl = Test::Entitle::Ctl->new;

sub write_file {
    my ($name, $text) = @_;
    open my $out, '>', "$dir/$name" or die "$name: $!";
    print $out $text;
    close $out;
    return "$dir/$name";
}

# A user who is out, and whose record says so.
sub put { my ($redis) = @_; $redis->command('HSET', 'entitle:live:{u:ann}', 'version', 1767225600123) }

sub knows_ann {
    my ($name, @redis) = @_;
    my $said = $ctl->run('why', 'ann', '--json', @redis);
    like $said->{out}, qr/"known":true,"user":"ann"/, $name or diag "$said->{out}$said->{err}";
}

sub cannot_tell {
    my ($name, $why, @redis) = @_;
    my $said = $ctl->run('why', 'ann', @redis);
    is $said->{exit}, 3, $name;
    like $said->{err}, $why, '... and says why';
    cmp_ok $said->{seconds}, '<', 20, '... in time';
}

# --- TLS ---------------------------------------------------------------------------

sub openssl { system("openssl @_ >>$dir/openssl.log 2>&1") == 0 or die "openssl @_" }

sub authority {
    my ($name) = @_;
    openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2",
        "-subj /CN=$name -keyout $dir/$name.key -out $dir/$name.pem");
}

sub certificate {
    my ($name, $for) = @_;
    write_file("$name.ext", "subjectAltName=$for\n");
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name",
        "-keyout $dir/$name.key -out $dir/$name.csr");
    openssl("x509 -req -in $dir/$name.csr -CA $dir/ca.pem -CAkey $dir/ca.key",
        "-CAcreateserial -extfile $dir/$name.ext -days 2 -out $dir/$name.pem");
}

authority($_) for qw(ca other);
certificate('redis', 'DNS:redis.test,IP:127.0.0.1');
certificate('named', 'DNS:named.test');
certificate('client', 'DNS:client.test');

sub tls_redis {
    my ($name, $clients) = @_;
    my $port  = free_port();
    my $redis = Test::Entitle::Redis->new(dir => "$dir/tls-$name", options => ['--tls-port', $port,
        '--tls-cert-file', "$dir/$name.pem", '--tls-key-file', "$dir/$name.key",
        '--tls-ca-cert-file', "$dir/ca.pem", '--tls-auth-clients', $clients]);
    put($redis);
    return ($redis, $port);
}

my ($redis, $port) = tls_redis('redis', 'no');
my @tls   = ('--redis', "rediss://127.0.0.1:$port");
my @trust = ('--redis-ssl-trusted-certificate', "$dir/ca.pem");
knows_ann('tls_to_who_is_trusted', @tls, @trust);
knows_ann('asked for by --redis-ssl', '--redis', "redis://127.0.0.1:$port", '--redis-ssl', 'on', @trust);
cannot_tell('who_is_not_trusted_is_told_nothing', qr/not to be trusted \(\d+: /, @tls);
cannot_tell("another's word does not count", qr/not to be trusted/, @tls,
    '--redis-ssl-trusted-certificate', "$dir/other.pem");
knows_ann('unless nobody is asked', @tls, '--redis-ssl-verify', 'off');
cannot_tell('a_certificate_of_another_name', qr/not to be trusted \(62: /, @tls, @trust,
    '--redis-ssl-name', 'else.test');
knows_ann('of the name that is meant', @tls, @trust, '--redis-ssl-name', 'redis.test');
knows_ann('as nginx is told', '--config', write_file('tls.conf', <<"EOF_CONF"));
http { entitle_redis rediss://127.0.0.1:$port; entitle_redis_ssl_trusted_certificate ca.pem;
       server { location / { entitle on; } } }
EOF_CONF
cannot_tell('no file of certificates', qr/no certificates in/, @tls,
    '--redis-ssl-trusted-certificate', "$dir/nowhere.pem");
cannot_tell('a server that speaks no TLS', qr/no answer in time|the TLS handshake failed/,
    '--redis', 'rediss://127.0.0.1:' . $redis->port, @trust);
$redis->stop;

($redis, $port) = tls_redis('named', 'yes');
@tls = ('--redis', "rediss://127.0.0.1:$port", @trust, '--redis-ssl-name', 'named.test');
knows_ann('with_a_certificate_to_show', @tls, '--redis-ssl-certificate', "$dir/client.pem",
    '--redis-ssl-certificate-key', "$dir/client.key");
cannot_tell('who has none to show is not let in', qr/Redis at 127\.0\.0\.1:$port: /, @tls);
$redis->stop;

# --- Sentinels ---------------------------------------------------------------------

{
    my $all = Test::Entitle::Sentinels->new(dir => "$dir/sentinels");
    put($all->primary);
    my @files = ('--redis-password-file', write_file('password', "$Test::Entitle::Sentinels::PASSWORD\n"),
        '--redis-sentinel-password-file',
        write_file('sentinel', "$Test::Entitle::Sentinels::SENTINEL\n"));
    knows_ann('found_by_sentinels', '--redis', $all->address, @files);
    cannot_tell('who may not ask them', qr/no primary "main" was found.*NOAUTH|AUTH was answered/,
        '--redis', $all->address, @files[0, 1]);
    cannot_tell('a name they do not know', qr/no primary "other" was found/,
        '--redis', $all->address =~ s{/main$}{/other}r, @files);
    my ($first, @rest) = $all->sentinels;
    $_->{process}->stop('KILL') for @rest[0, 1];
    cannot_tell('most_of_them_have_to_agree', qr/most Sentinels do not say that it is the primary/,
        '--redis', $all->address, @files);
    $_->{process}->stop('KILL') for $first;
    $_->stop for $all->servers;
}

# --- Cluster -----------------------------------------------------------------------

{
    my $cluster = Test::Entitle::Cluster->new(dir => "$dir/cluster");
    put($cluster);
    my @redis = ('--redis', $cluster->address);
    knows_ann('in_a_cluster', @redis);
    for my $n (1 .. 20) {
        $cluster->command('HSET', "entitle:live:{u:u$n}", 'version', 1767225600123);
        $cluster->command('ZADD', 'entitle:live:parked', $n, "cus_$n");
    }
    is grep({ $ctl->run('why', "u$_", '--json', @redis)->{out} =~ /"known":true/ } 1 .. 20), 20,
        'whoever_has_the_key_is_asked';
    is $ctl->json('parked', @redis)->{total}, 20, 'an index, too';
    is_deeply $ctl->json('why', 'ANN', @redis)->{near}, ['ann'], 'every_node_is_looked_through';
    $_->stop for $cluster->servers;
}

done_testing;
