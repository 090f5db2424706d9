# recipes/wordpress/entitle.php in PHP, with what it calls of WordPress stood in
# for: whom it lets read what is private, and what it says of who is asking.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use JSON::PP ();

my $site   = Test::Entitle->new;
my $plugin = "$FindBin::Bin/../recipes/wordpress/entitle.php";

like qx(php -l '$plugin' 2>&1), qr/^No syntax errors/, 'PHP reads it';

# One request: from standard input who is logged in, what nginx says and what is
# defined; to standard output what the plugin made of it.
my $stand_in = $site->write_file('stand_in.php', <<'EOT');
<?php
error_reporting(E_ALL);
set_error_handler(function ($no, $text) { fwrite(STDERR, "$text\n"); exit(1); });
$in = json_decode(stream_get_contents(STDIN), true);
define('ABSPATH', '/');
if (isset($in['opens'])) define('ENTITLE_PRIVATE', $in['opens']);
foreach ($in['server'] as $name => $value) $_SERVER[$name] = (string) $value;

$GLOBALS['hooks'] = [];
function add_filter($hook, $f, $priority = 10, $count = 1) { $GLOBALS['hooks'][$hook][] = [$f, $count]; }
function add_action($hook, $f, $priority = 10, $count = 1) { add_filter($hook, $f, $priority, $count); }
function get_current_user_id() { return $GLOBALS['in']['user']; }
function status_header($status) { $GLOBALS['out']['status'] = $status; }
function nocache_headers() { $GLOBALS['out']['nocache'] = true; }
class WP_User { public $ID; function __construct($id) { $this->ID = $id; } }
function run($hook, ...$arguments) {
    foreach ($GLOBALS['hooks'][$hook] ?? [] as [$f, $count])
        $arguments[0] = $f(...array_slice($arguments, 0, $count)) ?? $arguments[0] ?? null;
    return $arguments[0] ?? null;
}

$out = [];
require $argv[1];
$before = ['read' => true];
foreach (['self' => $in['user'], 'other' => 77] as $who => $id)
    $out[$who] = array_keys(run('user_has_cap', $before, ['read_private_pages'], ['read_post', $id, 5], new WP_User($id)));
run('send_headers');
$out['not_cached'] = defined('DONOTCACHEPAGE');
register_shutdown_function(function () { echo json_encode($GLOBALS['out']); });
if (isset($in['ask'])) run($in['ask']);
EOT

sub asked {
    my (%request) = @_;
    $request{server} //= {};
    $site->write_file('request.json', JSON::PP->new->encode(\%request));
    my $said = qx(php '$stand_in' '$plugin' < '$site->{dir}/request.json' 2>&1);
    return JSON::PP->new->decode($said =~ /(\{.*\})/s ? $1 : die "PHP said: $said");
}

sub from_nginx {
    my ($user, $held) = @_;
    return { HTTP_X_ENTITLE_USER => $user, HTTP_X_ENTITLE_ENTITLEMENTS => $held };
}

my @private = qw(read read_private_pages read_private_posts);
for (['who has paid', 7, from_nginx(7, 'pro')], ['among other things', 7, from_nginx(7, 'team,pro,x')]) {
    my ($name, $user, $server) = @$_;
    my $seen = asked(user => $user, opens => 'pro', server => $server);
    is_deeply $seen->{self}, \@private, "$name may read what is private";
    is_deeply $seen->{other}, ['read'], '  and makes nobody else able to';
    ok $seen->{nocache} && $seen->{not_cached}, '  and what he sees is kept by no cache';
}
for (
    ['who has paid for nothing', 7, from_nginx(7, '')],
    ['who has paid for another',  7, from_nginx(7, 'team')],
    ['whose entitlement only begins alike', 7, from_nginx(7, 'pro2,sub-pro,PRO')],
    ['of whom nginx says nothing', 7, {}],
    ['whom nginx takes for another', 7, from_nginx(8, 'pro')],
    ['whom nginx cannot name', 7, { HTTP_X_ENTITLE_ENTITLEMENTS => 'pro' }],
    ['who is not logged in', 0, from_nginx('', 'pro')],
    ['who is not logged in here', 0, from_nginx(7, 'pro')],
) {
    my ($name, $user, $server) = @$_;
    my $seen = asked(user => $user, opens => 'pro', server => $server);
    is_deeply [@$seen{qw(self other not_cached)}], [['read'], ['read'], JSON::PP::false],
        "$name sees nothing private";
}
for ([], [opens => '']) {
    is_deeply asked(user => 7, @$_, server => from_nginx(7, 'pro,'))->{self}, ['read'],
        'without a name to go by nobody does';
}

is asked(user => 7, ask => 'wp_ajax_entitle_whoami')->{status}, 204, 'nginx is told who is logged in';
is asked(user => 0, ask => 'wp_ajax_nopriv_entitle_whoami')->{status}, 401, '  and who is not';

done_testing;
