# Every configuration in docs/sessions.md is one that nginx accepts.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Jwt qw(jwks);

my $site = Test::Entitle->new;
$site->write_file('session.key', '0123456789abcdef' x 4 . "\n");
$site->write_file('jwks.json', jwks(Test::Entitle::Jwt->rsa->jwk(kid => 'a')));
my $open = open my $in, '<', "$FindBin::Bin/../docs/sessions.md";
ok $open, 'docs/sessions.md is there';
my $text = do { local $/; <$in> };

my $count = 0;
while ($text =~ /^```nginx\n(.*?)^```/msg) {
    my $http = $1;
    my $line = 1 + (substr($text, 0, $-[0]) =~ tr/\n//);
    $http =~ s{/etc/nginx/entitle/}{%%DIR%%/}g;
    $http =~ s{\blisten 80;}{listen 127.0.0.1:%%PORT%%;}g;
    $http =~ s{include fastcgi_params;}{include /etc/nginx/fastcgi_params;}g;
    my ($accepted, $said) = $site->config_test($http);
    ok $accepted, "the configuration at line $line is accepted" or diag $said;
    unlike $said, qr/\[(?:warn|error|crit)\]/, '  without a complaint';
    $count++;
}
cmp_ok $count, '>=', 8, 'and there are some';

# Each row of the table of stores stands for a directive.
while ($text =~ /`(entitle_session_redis [^`]*;)`/g) {
    my ($accepted, $said) = $site->config_test(
        "server { listen 127.0.0.1:%%PORT%%; location /x { entitle on; $1 } }");
    ok $accepted, "$1 is accepted" or diag $said;
}

done_testing;
