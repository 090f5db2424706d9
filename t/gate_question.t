# What the app is asked is a GET of the question's own address, whatever the
# client's request was, and by whatever protocol: what `fastcgi_params` and its
# like hand on is nginx's $request_method and $request_uri.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::Process qw(wait_until);

my $site = Test::Entitle->new;
$site->redis;

# As frameworks do: who writes without a token of this site is refused.
my %apps = map { $_ => Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { body => "$r->{method} $r->{uri}" } if $r->{uri} !~ m{^/whoami};
    return { status => 403 } if $r->{method} ne 'GET';
    return { status => 204, headers => ['X-User' => $r->{cookies}{app}] };
}, protocol => $_) } qw(http fastcgi scgi uwsgi);

my $locations = '';
for my $by (sort keys %apps) {
    my $port = $apps{$by}->port;
    my $pass = $by eq 'http' ? 'proxy_pass http://' : "${by}_pass ";
    my $params = $by eq 'http'
        ? 'proxy_set_header X-Request "$request_method $request_uri";'
        : "${by}_param REQUEST_METHOD \$request_method; ${by}_param REQUEST_URI \$request_uri;"
        . " ${by}_param QUERY_STRING \$query_string; ${by}_param CONTENT_LENGTH \$content_length;";
    $locations .= <<"EOT";
    location /$by/ { entitle on; entitle_reauth /whoami-$by?from=edge; $params ${pass}127.0.0.1:$port; }
    location = /whoami-$by { internal; $params ${pass}127.0.0.1:$port; }
EOT
}
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_session_key_file %%KEY%%;
entitle_session_cookie entitle secure=off;
entitle_reauth_user header=X-User;
entitle_session_bind cookie=app;
log_format asked '\$request_method \$request_uri';
access_log %%DIR%%/logs/asked.log asked;
server {
    listen 127.0.0.1:%%PORT%%;
$locations
}
EOT

for my $by (sort keys %apps) {
    for my $method (qw(GET POST HEAD)) {
        $apps{$by}->forget;
        my $answer = $site->request(uri => "/$by/page?a=b", method => $method,
            headers => [Cookie => "app=ada$method"], $method eq 'POST' ? (body => 'x=y') : ());
        is $answer->status, 200, "who_sends_$method by $by is known";
        my ($question, $page) = $apps{$by}->seen;
        is "$question->{method} $question->{uri}", "GET /whoami-$by?from=edge",
            '  and_the_question_is_a_GET_of_its_own_address';
        is "$page->{method} $page->{uri}", "$method /$by/page?a=b", '  the request is as it was';
        if ($by eq 'http') {
            is [Test::Entitle::GateApp::header($question, 'X-Request')]->[0],
                "GET /whoami-$by?from=edge", '  in what is told besides, too';
            is [Test::Entitle::GateApp::header($page, 'X-Request')]->[0], "$method /$by/page?a=b",
                '  each of itself';
        }
    }
}
wait_until(sub { ($site->read_file("logs/asked.log") =~ tr/\n//) >= 12 });
is scalar(grep { /^(?:GET|POST|HEAD) \/\w+\/page\?a=b$/ } split /\n/, $site->read_file('logs/asked.log')),
    12, 'the log tells of the requests';
$_->stop for values %apps;
done_testing;
