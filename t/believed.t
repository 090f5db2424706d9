# One list of variables that a client can write: no directive that takes from a
# variable who somebody is believes one of them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
$site->write_file('users', "ada:{PLAIN}secret\n");
my $dir = $site->dir;
system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a"
    . " -keyout $dir/server.key -out $dir/server.pem 2>/dev/null") == 0 or die 'openssl';

# --- the list ------------------------------------------------------------------

# By kind, as nginx's tables have them; upper case and braces are the same names.
my %of_client = (
    header   => [qw($http_x_user ${http_x_user} $HTTP_X_USER $cookie_user $Cookie_user
        $content_type $content_length $host $proxy_add_x_forwarded_for $invalid_referer
        $msie $modern_browser $ancient_browser $slice_range $uid_got $uid_set)],
    question => [qw($arg_user $ARG_user $args $query_string $is_args $secure_link_expires)],
    uri      => [qw($uri $document_uri $request_uri $request $request_method $request_filename
        $request_body $request_body_file $request_length $realpath_root $document_root $entitle_return_url)],
    regex    => [qw($1 $9)],
    connection => [qw($remote_port $realip_remote_port $proxy_protocol_port $connection_requests $scheme $https $http2 $server_protocol)],
    ssl      => [qw($ssl_server_name $ssl_protocol $ssl_cipher $ssl_session_id $ssl_early_data)],
);

sub http {
    my ($directives, $server) = @_;
    return "entitle_session_key_file %%KEY%%;\nserver {\nlisten 127.0.0.1:%%PORT%%;\n"
        . ($server // '') . "\nserver_name a b;\nvalid_referers none example.com;\nuserid log;\n"
        . "location = /who { internal; return 204; }\n"
        . "location ~ ^/x/(.*)\$ {\nentitle on;\n$directives\n}\n}\n";
}
my %directive = (
    entitle_trusted_user => sub { return "entitle_trusted_user $_[0];" },
    entitle_reauth_user  => sub {
        return "entitle_reauth /who; entitle_session_bind cookie=sid;\nentitle_reauth_user $_[0];";
    },
);
for my $directive (sort keys %directive) {
    for my $kind (sort keys %of_client) {
        for my $variable (@{ $of_client{$kind} }) {
            my ($accepted, $said) = $site->config_test(http($directive{$directive}->($variable)));
            ok !$accepted, "${directive}_believes_no_client ($kind): $variable";
            like $said, qr/\[emerg\].*\Q"$variable" in "$directive"\E.*the client fills/, '  and says so'
                or diag $said;
        }
    }
}

# --- what somebody may have verified ---------------------------------------------

my $ssl = "ssl_certificate %%DIR%%/server.pem; ssl_certificate_key %%DIR%%/server.key;\n";
sub verify { return "$ssl ssl_client_certificate %%DIR%%/server.pem; ssl_verify_client $_[0];" }
for my $directive (sort keys %directive) {
    my $uses = $directive{$directive}->('$ssl_client_s_dn');
    for (['nobody asks for it', ''], ['none is asked for', verify('off')],
        ['nobody verifies it', verify('optional_no_ca')]) {
        my ($case, $server) = @$_;
        my ($accepted, $said) = $site->config_test(http($uses, $server));
        ok !$accepted, "${directive}_believes_no_certificate_where $case";
        like $said, qr/\[emerg\].*"$directive".*ssl_verify_client.*nginx\.conf:\d+/, '  and says so'
            or diag $said;
    }
    for my $how (qw(on optional)) {
        my ($accepted, $said) = $site->config_test(http($uses, verify($how)));
        ok $accepted, "${directive} believes a certificate with ssl_verify_client $how" or diag $said;
    }
    # In a server that verifies, and in one that does not.
    my ($accepted, $said) = $site->config_test($uses . http('', verify('on')) =~ s/entitle on;//r
        . "server { listen 127.0.0.1:%%PORT%%; server_name c; location / { entitle on; } }");
    ok !$accepted, "  not in a server beside it" or diag $said;
}
{
    my $basic = 'auth_basic shop; auth_basic_user_file %%DIR%%/users;';
    my ($accepted, $said) =
        $site->config_test(http($directive{entitle_reauth_user}->('$remote_user') . $basic));
    ok !$accepted, 'the_app_is_not_asked_whom_a_password_names';
    like $said, qr/"\$remote_user" in "entitle_reauth_user".*entitle_trusted_user/, '  and it says how';
}
for my $directive (sort keys %directive) {
    for my $variable ($directive eq 'entitle_reauth_user' ? '$upstream_http_x_user' : (), qw($remote_addr $realip_remote_addr $proxy_protocol_addr $known)) {
        my ($accepted, $said) = $site->config_test(
            'map $remote_addr $known { default ada; }' . http($directive{$directive}->($variable)));
        ok $accepted, "$directive believes $variable" or diag $said;
    }
}

# --- what a location requires ---------------------------------------------------------

for my $name (qw($1 course_$1 $9_x)) {
    my ($accepted, $said) = $site->config_test(http("entitle_require $name;"));
    ok !$accepted, "entitle_require_refuses_a_capture_without_a_name: $name";
    like $said, qr/\[emerg\].*\Q"$name" in "entitle_require"\E.*\(\?<name>/, '  and says to name it'
        or diag $said;
}
{
    my ($accepted, $said) =
        $site->config_test(http('%%ASKED%% entitle_require course_$slug $arg_x;') =~ s/\(\.\*\)/(?<slug>.*)/r);
    ok $accepted, 'a capture with a name may say what is required' or diag $said;
}

done_testing;
