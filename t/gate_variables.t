# $entitle_* where something looks at them before the gate has asked: nginx
# evaluates a `map` once a request, unless it is volatile.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession qw(put_record subscription);

my $site = Test::Entitle->new;
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { status => 204, headers => ['X-User' => $r->{cookies}{app}] };
});
put_record($site->redis, 'ada', version => 1, subscription('active'));
$site->write_file('html/page', 'the page');
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
%%SESSIONS%%
map \$entitle_user \$plain { default nobody; ada vip; }
map \$entitle_user \$tier { volatile; default nobody; ada vip; }
map \$entitle_entitlements \$holds { volatile; default nothing; pro all; }
limit_req_zone \$plain\$tier\$holds zone=tiers:1m rate=1000r/s;
server {
    listen 127.0.0.1:%%PORT%%;
    %%REAUTH%%
    entitle on;
    limit_req zone=tiers burst=100;
    set \$before "\$entitle_user,\$plain,\$tier";
    add_header X-Before \$before;
    add_header X-After "\$entitle_user,\$plain,\$tier,\$holds";
    location = /page { }
    location = /whoami { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
}
EOT

my $asked = $site->get('/page', Cookie => 'app=ada');
is $asked->header('X-Before'), ',nobody,nobody', 'nobody is known before the app is asked';
is $asked->header('X-After'), 'ada,nobody,vip,all', 'what_is_volatile_is_seen_anew_after_the_gate';

my %cookies = $asked->cookies;
my $known = $site->get('/page', Cookie => "app=ada; entitle=$cookies{entitle}");
is $known->header('X-Before'), 'ada,vip,vip', 'a_valid_session_says_who_it_is_before_the_gate';
is $known->header('X-After'), 'ada,vip,vip,all', 'and after it';

done_testing;
