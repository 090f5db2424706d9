# entitle_guest_user and nginx -t: what cannot work is refused with the line, in each
# context; `off` cancels; what has no effect is said.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;

sub http {
    my (%o) = @_;
    my $keys = $o{keys} // 'entitle_session_key_file %%KEY%%;';
    my $cookie = ($o{server} // '') =~ /session_cookie/ ? '' : 'entitle_session_cookie entitle secure=off;';
    return "$keys\n$cookie\n" . ($o{http} // '') . "\nserver {\nlisten 127.0.0.1:%%PORT%%;\n"
        . ($o{server} // '') . "\nlocation /course/ {\n" . ($o{location} // '') . "\n}\n}\n";
}

sub accepted {
    my ($name, %o) = @_;
    my ($accepted, $said) = $site->config_test(http(%o));
    ok $accepted, "$name is accepted" or diag $said;
    is join('', grep { !/test is successful|syntax is ok/ } split /^/, $said), '', '  and nothing is said of it'
        if !$o{warned};
    like $said, $o{warned}, '  with a warning' if $o{warned};
}
sub refused {
    my ($name, $pattern, %o) = @_;
    my ($accepted, $said) = $site->config_test(http(%o));
    ok !$accepted, "$name is refused";
    like $said, qr/\[emerg\].*$pattern/, '  with the reason' or diag $said;
    like $said, qr/in \S+nginx\.conf:\d+/, '  and the line';
}

my $buy  = 'location = /buy { entitle_redirect https://buy.stripe.com/x?client_reference_id=$entitle_client_reference_id; }';
my $gate = 'entitle_require pro;';
my $on   = 'entitle_guest_user on;';

accepted('in_http',     http => $on,   server => $buy, location => $gate);
accepted('in_server',   server => "$on $buy", location => $gate);
accepted('in_location', location => "$on $gate");
accepted('a_lifetime',  server => "entitle_guest_user on lifetime=30d; $buy", location => $gate);
accepted('a_way_to_buy_for_members', server => $on,
    location => $gate . ' } location = /more { entitle_require basic; entitle_redirect https://buy.stripe.com/x?client_reference_id=$entitle_client_reference_id;');
accepted('a_way_to_buy_behind_the_gate', server => "$on $gate $buy", location => '',
    warned => qr/\[warn\].*refused the way to buy by the "entitle_require" of the level above.*nginx\.conf:\d+/);
accepted('a_way_to_buy_before_the_gate', server => "$on $gate " . $buy =~ s/entitle_redirect/entitle optional; entitle_redirect/r,
    location => '');
accepted('off_below',   http => $on, server => $buy,
    location => 'entitle_guest_user off; entitle_reauth /a; entitle_reauth_user header=X; entitle_session_bind cookie=a; entitle on;');
accepted('beside_an_app', server => "$on $buy entitle_reauth /a; entitle_reauth_user header=X; entitle_session_bind cookie=a;",
    location => $gate);
accepted('beside_live_and_a_dry_run', server => "$on $buy entitle_live on;", location => "$gate entitle_dry_run on;");
accepted('beside_a_poll', server => $on, location => 'entitle_poll 5s;');
accepted('beside_a_jwt', server => 'entitle_jwt $http_authorization; entitle_jwt_key_file %%DIR%%/hmac; ' . $on, location => $gate)
    if $site->write_file('hmac', '{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"' . 'A' x 43 . '"}]}');

refused('a_word', qr/invalid value "yes" in "entitle_guest_user": it must be on or off/, server => 'entitle_guest_user yes;');
refused('another_parameter', qr/invalid value "life=3d".*lifetime=TIME/, server => 'entitle_guest_user on life=3d;');
refused('no_time', qr/invalid value "lifetime=soon".*lifetime=400d/, server => 'entitle_guest_user on lifetime=soon;');
refused('no_lifetime', qr/invalid value "lifetime=0".*greater than 0/, server => 'entitle_guest_user on lifetime=0;');
refused('longer_than_browsers_keep_it', qr/invalid value "lifetime=401d".*longer than 400d/,
    server => 'entitle_guest_user on lifetime=401d;');
refused('far_too_long', qr/invalid value "lifetime=9223372036854775807"/, server => 'entitle_guest_user on lifetime=9223372036854775807;');
refused('off_with_more', qr/invalid value "lifetime=3d".*nothing goes with off/, server => 'entitle_guest_user off lifetime=3d;');
refused('twice', qr/"entitle_guest_user" directive is duplicate/, server => "$on $on");
refused('without_a_key', qr/needs "entitle_session_key_file"/, keys => '', location => "$on $gate");
refused('without_a_key_beside_a_trusted_user', qr/"entitle_guest_user" needs "entitle_session_key_file"/, keys => '',
    location => "$on $gate entitle_trusted_user \$remote_user; auth_basic a; auth_basic_user_file a;");
refused('a_cookie_that_does_not_come_back', qr/"samesite=strict" in "entitle_session_cookie" contradicts "entitle_guest_user"/,
    server => "$on entitle_session_cookie __Host-x samesite=strict;", location => $gate);
refused('a_gate_that_requires_nothing', qr/say "entitle_require", or "entitle_guest_user off"/,
    server => $on, location => 'entitle on;');
refused('a_gate_without_any_way', qr/"entitle_guest_user", which knows browsers/, location => $gate);
refused('binding_to_our_own_cookie', qr/"cookie=entitle-guest" in "entitle_session_bind" is our own cookie/,
    server => "$on entitle_reauth /a; entitle_reauth_user header=X; entitle_session_bind cookie=entitle-guest;",
    location => $gate);
accepted('where_nobody_is_asked', http => '', location => $on, warned => qr/\[warn\].*"entitle_guest_user".*nobody/);

done_testing;
