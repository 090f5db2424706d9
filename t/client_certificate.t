# A name in a certificate that nginx refused is the client's own word: an
# error_page of 495 leads it to a gate, which takes it for nobody.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;

my $site = Test::Entitle->new;
my $dir  = $site->dir;

sub openssl {
    system("openssl @_ >/dev/null 2>&1") == 0 or die "openssl @_";
}
openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$_->[0]"
    . " -keyout $dir/$_->[1].key -out $dir/$_->[1].pem")
    for ['authority', 'authority'], ['ada', 'forged'];
openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ada -keyout $dir/ada.key -out $dir/ada.csr");
openssl("x509 -req -in $dir/ada.csr -CA $dir/authority.pem -CAkey $dir/authority.key"
    . " -CAcreateserial -days 2 -out $dir/ada.pem");

$site->write_file('html/page', 'the lesson');
put_record($site->redis, 'CN=ada', version => 1, subscription('active'));
my $server = sub {
    my ($port, $verify, $identity) = @_;
    return <<"EOT2";
server {
    listen 127.0.0.1:%%PORT$port%% ssl http2;
    ssl_certificate     %%DIR%%/authority.pem;
    ssl_certificate_key %%DIR%%/authority.key;
    ssl_client_certificate %%DIR%%/authority.pem;
    ssl_verify_client   $verify;
    $identity
    error_page 495 496 = \@elsewhere;
    location = /who { internal; add_header X-Any x always; return 204; }
    location = /page { entitle_require pro; }
    location \@elsewhere { try_files /page =404; entitle_require pro; }
}
EOT2
};
my $trusted = 'entitle_trusted_user $ssl_client_s_dn;';
my $mapped  = 'entitle_trusted_user $by_certificate;';
my $asked   = 'entitle_reauth /who; entitle_reauth_user $ssl_client_s_dn; entitle_session_bind cookie=app;';
$site->start(<<"EOT2");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
%%SESSIONS%%
map \$ssl_client_s_dn \$by_certificate { default \$ssl_client_s_dn; }
${\$server->(1, 'on', $trusted)}
${\$server->(2, 'optional', $trusted)}
${\$server->(3, 'on', $mapped)}
${\$server->(4, 'on', $asked)}
EOT2

sub get {
    my ($port, $certificate, @options) = @_;
    my $with = $certificate ? "--cert $dir/$certificate.pem --key $dir/$certificate.key" : '';
    my $said = qx(curl -sk -m 10 -w '\n%{http_code}' -H 'Cookie: app=1' $with @options https://127.0.0.1:${\$site->port($port)}/page);
    return $said =~ /\A(.*)\n(\d+)\z/s ? ($2, $1) : (0, $said);
}

for (['a_variable', 1], ['where_it_is_optional', 2], ['a_map', 3], ['the_apps_answer', 4]) {
    my ($name, $port) = @$_;
    my ($status, $body) = get($port, 'ada');
    is "$status $body", '200 the lesson', "$name: who is known is let in";
    for my $version ('--http1.1', '--http2') {
        ($status, $body) = get($port, 'forged', $version);
        isnt $status, 200, "${name}_believes_no_refused_certificate $version";
        unlike $body, qr/lesson/, '  and gives nothing';
    }
    ($status) = get($port, '');
    isnt $status, 200, '  nor none';
}
$site->expect_log(qr{re-authentication "/who" answered a success that names no user});
done_testing;
