package Test::Entitle::Surroundings;

# What a configuration for readers takes for granted, here: files with keys and
# certificates where it names them, ports that are free, a Redis with and
# without TLS. The rules go by directive, whatever the page.
#
#   my $around = Test::Entitle::Surroundings->new($site);
#   my $as_written = $around->placed($tree);   # only files and ports are others
#   my $here       = $around->moved($tree);    # Redis and other hosts, too

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use Storable qw(dclone);
use Test::Entitle::Jwt qw(jwks);
use Test::Entitle::NginxConf qw(parse text walk);
use Test::Entitle::Stripe qw($SECRET);

sub new {
    my ($class, $site) = @_;
    my $self = bless { site => $site, dir => $site->dir, hosts => {} }, $class;
    $self->_certificate;
    $site->redis(options => ['--appendonly', 'yes',
        '--tls-port', $site->port('TLS'), '--tls-auth-clients', 'no',
        '--tls-cert-file', "$self->{dir}/certificate.pem",
        '--tls-key-file', "$self->{dir}/certificate.key",
        '--tls-ca-cert-file', "$self->{dir}/certificate.pem"]);
    return $self;
}

sub _certificate {
    my ($self) = @_;
    my $at = "$self->{dir}/certificate";
    my $said = qx(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
        -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost \\
        -keyout $at.key -out $at.pem 2>&1);
    die "openssl: $said" if $?;
}

# What the file of a directive holds; undef: it names no file to be made here.
sub _content {
    my ($self, $directive, $path) = @_;
    return "$SECRET\n" if $directive eq 'entitle_webhook_secret_file';
    return '0123456789abcdef' x 4 . "\n" if $directive eq 'entitle_session_key_file';
    return "a password\n" if $directive =~ /_password_file$/;
    return $self->{jwks} //= jwks(Test::Entitle::Jwt->rsa->jwk(kid => 'a'))
        if $directive eq 'entitle_jwt_key_file';
    return $self->{site}->read_file('certificate.key') if $directive =~ /ssl_certificate_key$/;
    return $self->{site}->read_file('certificate.pem')
        if $directive =~ /ssl_(?:trusted_|client_)?certificate$/;
    return qq(proxy_set_header Authorization "Bearer rk_test_123";\n)
        if $directive eq 'include' && $path =~ /stripe_key/;
    return undef;
}

sub _place_file {
    my ($self, $directive) = @_;
    my $content = $self->_content(@{ $directive->{words} }[0, 1]) // return;
    my $name = 'files/' . $directive->{words}[1] =~ s{^/}{}r;
    make_path(dirname("$self->{dir}/$name"));
    $self->{site}->write_file($name, $content);
    $directive->{words}[1] = "$self->{dir}/$name";
}

# The same address is the same port; the certificate of `ssl` is "as usual".
sub _place_listen {
    my ($self, $server) = @_;
    my $ssl;
    for my $directive (@{ $server->{block} }) {
        my ($name, $address, @more) = @{ $directive->{words} };
        next if $name ne 'listen';
        my $port = $self->{listens}{$address} // 1 + keys %{ $self->{listens} };
        $self->{listens}{$address} = $port;
        $directive->{words}[1] = "127.0.0.1:%%PORT$port%%";
        $ssl ||= grep { $_ eq 'ssl' } @more;
    }
    return if !$ssl || grep { $_->{words}[0] eq 'ssl_certificate' } @{ $server->{block} };
    push @{ $server->{block} }, { words => ['ssl_certificate', '/etc/ssl/site.pem'] },
        { words => ['ssl_certificate_key', '/etc/ssl/site.key'] };
}

sub placed {
    my ($self, $http) = @_;
    $http = dclone($http);
    walk($http, sub {
        my ($directive) = @_;
        my $words = $directive->{words};
        $self->_place_listen($directive) if $words->[0] eq 'server' && $directive->{block};
        $self->_place_file($directive) if @$words > 1 && !$directive->{block};
        $words->[1] =~ s{^(?=\w)}{/etc/nginx/} if $words->[0] eq 'include';
        # nginx looks these names up when it starts, and knows none of them here.
        $words->[1] =~ s{^(https?://)(?=[\w.-]*[a-z])[\w.-]+}{${1}127.0.0.1}
            if $words->[0] eq 'proxy_pass';
    });
    return $self->_with_keys($http);
}

# Pieces leave out what they are not about.
sub _with_keys {
    my ($self, $http) = @_;
    my %named;
    walk($http, sub { $named{ $_[0]{words}[0] } = 1 });
    for my $name (qw(entitle_session_key_file entitle_webhook_secret_file)) {
        next if $named{$name};
        my $directive = { words => [$name, '/etc/nginx/left-out'] };
        $directive->{words}[1] .= ".$name";
        $self->_place_file($directive);
        unshift @$http, $directive;
    }
    unshift @$http, @{ parse('entitle_reauth /_whoami; entitle_reauth_user header=X-User;'
            . ' entitle_session_bind cookie=app;') }
        if grep({ $named{$_} } qw(entitle entitle_require entitle_poll))
        && !grep { $named{$_} } qw(entitle_reauth entitle_jwt entitle_session_redis entitle_trusted_user
            entitle_guest_user);
    return $http;
}

# An address of Redis, by how it is reached. Nobody listens where Sentinels or
# the nodes of a cluster are looked for.
sub _redis {
    my ($self, $address) = @_;
    my $site = $self->{site};
    return $address =~ s{^(\w+://(?:[^@/]*@)?)([^/]*)}{
        my ($before, $hosts) = ($1, $2);
        $before . join ',', map { '127.0.0.1:' . $site->port("NOBODY$_") } split /,/, $hosts }er
        if $address =~ m{^(?:sentinel|cluster)://};
    return 'unix:%%REDIS_SOCKET%%' . ($address =~ /(:\d+)$/ ? $1 : '') if $address =~ /^unix:/;
    my $port = $site->port($address =~ /^rediss/ ? 'TLS' : 'REDIS');
    return $address =~ s{^(rediss?://(?:[^@/]*@)?)[^/]*}{${1}127.0.0.1:$port}r;
}

# Whether a Redis is there for what was moved last.
sub reaches_redis { return $_[0]{reached} }

sub moved {
    my ($self, $http) = @_;
    $http = $self->placed($http);
    my ($tls, $trusts);
    $self->{reached} = 1;
    # The default, said aloud so that it is moved like any other.
    unshift @$http, { words => ['entitle_redis', 'redis://127.0.0.1:6379'] }
        if text($http) !~ /^entitle_redis /m;
    walk($http, sub {
        my $words = $_[0]{words};
        push @{ $_[0]{block} }, parse('location = /is-redis-reached { entitle_status; }')->[0]
            if $words->[0] eq 'server' && $_[0]{block};
        $self->{reached} = 0 if $words->[0] eq 'entitle_redis' && $words->[1] =~ m{^(?:sentinel|cluster):};
        if ($words->[0] =~ /^entitle_redis(?:_read)?$/) {
            $tls ||= grep { /^rediss:/ } @$words;
            $_ = $self->_redis($_) for @$words[1 .. $#$words];
        }
        $trusts ||= $words->[0] eq 'entitle_redis_ssl_trusted_certificate';
    });
    if ($tls && !$trusts) {
        my $trust = { words => ['entitle_redis_ssl_trusted_certificate', '/etc/ssl/redis.pem'] };
        $self->_place_file($trust);
        unshift @$http, $trust;
    }
    return $http;
}

1;
