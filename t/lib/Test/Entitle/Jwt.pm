package Test::Entitle::Jwt;

# Tokens as an app makes them, with Perl's own HMAC and the openssl command, so
# that no test depends on the code it tests.
#
#   my $key = Test::Entitle::Jwt->rsa(2048);       # or ->ec, ->ed25519, ->oct
#   my $token = $key->token({ sub => 'ada', exp => time + 60 });
#   $site->write_file('key.pem', $key->public_pem);
#   $site->write_file('jwks.json', jwks($key->jwk(kid => 'k1')));

use strict;
use warnings;

use Carp qw(croak);
use Digest::SHA ();
use Exporter qw(import);
use File::Temp ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

our @EXPORT_OK = qw(jwks);

my $json = JSON::PP->new->canonical->utf8;

sub jwks { return $json->encode({ keys => [@_] }) }

sub oct {
    my ($class, $secret) = @_;
    return bless { alg => 'HS256', secret => $secret // 'k' x 32 }, $class;
}

sub rsa {
    my ($class, $bits) = @_;
    return $class->_generate('RS256', '-algorithm', 'RSA', '-pkeyopt',
        'rsa_keygen_bits:' . ($bits // 2048));
}

sub ec {
    my ($class) = @_;
    return $class->_generate('ES256', '-algorithm', 'EC', '-pkeyopt',
        'ec_paramgen_curve:P-256');
}

sub ed25519 { return $_[0]->_generate('EdDSA', '-algorithm', 'ED25519') }

sub _generate {
    my ($class, $alg, @options) = @_;
    my $dir = File::Temp->newdir;
    system("openssl genpkey @options -out $dir/key 2>/dev/null") == 0
        or croak 'openssl genpkey failed';
    return bless { alg => $alg, dir => $dir }, $class;
}

sub private_pem { my ($self) = @_; return _slurp("$self->{dir}/key") }
sub public_pem  { my ($self) = @_; return scalar qx(openssl pkey -in $self->{dir}/key -pubout) }

sub _slurp {
    my ($path) = @_;
    open my $in, '<:raw', $path or croak "$path: $!";
    local $/;
    return scalar <$in>;
}

sub jwk {
    my ($self, %more) = @_;
    return { kty => 'oct', k => encode_base64url($self->{secret}), %more }
        if $self->{secret};
    if ($self->{alg} eq 'RS256') {
        my ($n) = qx(openssl rsa -in $self->{dir}/key -noout -modulus) =~ /=([0-9A-F]+)/;
        return { kty => 'RSA', e => 'AQAB', n => encode_base64url(pack 'H*', $n), %more };
    }
    my $der = qx(openssl pkey -in $self->{dir}/key -pubout -outform DER);
    return { kty => 'OKP', crv => 'Ed25519', x => encode_base64url(substr $der, -32), %more }
        if $self->{alg} eq 'EdDSA';
    return { kty => 'EC', crv => 'P-256', x => encode_base64url(substr $der, -64, 32),
        y => encode_base64url(substr $der, -32), %more };
}

# token(claims or the payload's text, header => { more }, alg => 'RS256')
sub token {
    my ($self, $claims, %o) = @_;
    my $header = { alg => $o{alg} // $self->{alg}, %{ $o{header} // {} } };
    my $text = encode_base64url($json->encode($header)) . '.'
        . encode_base64url(ref $claims ? $json->encode($claims) : $claims);
    return "$text." . encode_base64url($self->_sign($text));
}

sub _sign {
    my ($self, $text) = @_;
    return Digest::SHA::hmac_sha256($text, $self->{secret}) if $self->{secret};
    my $input = File::Temp->new;
    print $input $text;
    close $input;
    my $key = "$self->{dir}/key";
    return scalar qx(openssl pkeyutl -sign -rawin -inkey $key -in $input)
        if $self->{alg} eq 'EdDSA';
    my $signature = qx(openssl dgst -sha256 -sign $key $input);
    return $signature if $self->{alg} eq 'RS256';

    # ECDSA: two numbers in DER; JOSE wants them in 32 bytes each.
    my (undef, undef, undef, $length) = unpack 'C4', $signature;
    my $r = substr $signature, 4, $length;
    my $s = substr $signature, 6 + $length;
    return join '', map { substr "\0" x 32 . $_, -32 } $r, $s;
}

1;
