# What is built: what it exports, with whom it can be loaded, and that both of
# its modules stand where they must in nginx's order.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $module = $ENV{ENTITLE_TEST_MODULE}
    // "$Test::Entitle::ROOT/build/ngx_http_entitle_module.so";

# --- the file ----------------------------------------------------------------

# nginx loads modules into one symbol space: whatever else were exported could
# be replaced by another module's, or replace it.
my @exports = sort map { (split)[-1] } qx(nm -D --defined-only $module);
is_deeply \@exports,
    [qw(ngx_module_names ngx_module_order ngx_modules)],
    'exports_what_nginx_looks_up_and_nothing_else';
unlike qx(readelf -d $module), qr/hiredis/, 'hiredis_is_linked_statically';

# A few MB: what it takes to load. Line numbers are in a file of their own, which
# tools find by the link; only what the sanitizers report must stand alone. Of a
# package, they are in another package.
my $packaged = $module =~ m{^/usr/lib/nginx/};
my ($function) = qx(nm $module) =~ /^([0-9a-f]+) t _ZN7entitle3ngx/m;
like qx(addr2line -e $module $function), qr{/ngx_module/.*\.(?:cc|h):[1-9]\d*},
    'addresses_lead_to_lines' if !$packaged;
my $sections = qx(readelf -SW $module);
if ($sections =~ /\.debug_info/) {
    like qx(readelf -d $module), qr/libasan/, 'only a sanitized build keeps them inside';
} else {
    cmp_ok -s $module, '<', 4.5e6, 'it_is_small';
    like qx(readelf --string-dump=.gnu_debuglink $module),
        $packaged ? qr/ [0-9a-f]{30,}\.debug$/m : qr/ ngx_http_entitle_module\.so\.debug$/m,
        'and_names_its_debug_file';
}

# --- loaded ------------------------------------------------------------------

{
    my $site = Test::Entitle->new(workers => 2);
    $site->write_file('html/a.txt', 'plain');
    $site->start(<<'EOF');
server { listen 127.0.0.1:%%PORT%%; }
EOF
    my $answer = $site->get('/a.txt');
    is $answer->status, 200, 'loaded_and_unused_it_changes_nothing';
    is $answer->header('Cache-Control'), undef, 'and adds no header';
    $site->reload;
    is $site->get('/a.txt')->status, 200, 'nor after a reload';
    unlike $site->log, qr/redis/i, 'and never looks for Redis';

    my ($version) = qx($Test::Entitle::ROOT/dev version) =~ /^entitle (\d+\.\d+\.\d+)$/;
    is_deeply [$site->log =~ /\[notice\] .* entitle: version (\S+)$/mg], [$version],
        'its_version_is_logged_once_for_all_workers_and_reloads';
    $site->finish;
}

{
    my $site = Test::Entitle->new;
    my ($accepted, $said) = $site->config_test(undef);
    ok $accepted, 'loads_without_an_http_block' or diag $said;
    $site->start(undef);
    ok $site->nginx->running, 'and runs';
    $site->finish;
}

my $folder     = '/usr/lib/nginx/modules';
my @neighbours = map { "$folder/$_.so" }
    qw(ndk_http_module ngx_http_lua_module ngx_http_js_module ngx_nchan_module);
SKIP: {
    my @missing = grep { !-e } @neighbours;
    skip "not installed: @missing", 2 if @missing;

    my $site = Test::Entitle->new(modules => \@neighbours);
    $site->redis;
    $site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 5s;
lua_package_path "/usr/share/lua/5.1/?.lua;;";
lua_load_resty_core off;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    # nchan brings its own, patched hiredis.
    location = /pubsub {
        nchan_pubsub;
        nchan_channel_id news;
        nchan_redis_url redis://127.0.0.1:%%REDIS%%;
    }
}
EOF
    is $site->webhook(event_json('customer.subscription.created.active'))->status,
        202, 'talks_to_redis_beside_nchan_lua_and_njs';
    is $site->request(method => 'POST', uri => '/pubsub', body => 'x')->status,
        202, 'and so does nchan';
    $site->finish;
}

# --- the order of its two modules --------------------------------------------

# No Redis runs here: a question that reaches it would be a 503.
my $site = Test::Entitle->new;
$site->write_file("html/$_", 'content') for qw(open any);
$site->write_file('users', "ada:{PLAIN}secret\n");
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
%%SESSIONS%%
%%ASKED%%
server {
    listen 127.0.0.1:%%PORT%%;

    location = /open     { entitle optional; expires 1h; }
    location = /gated    { entitle on; }

    location = /denied {
        entitle on;
        deny all;
    }
    location = /password {
        entitle on;
        auth_basic closed;
        auth_basic_user_file %%DIR%%/users;
    }
    location = /subrequest {
        entitle on;
        auth_request /forbidden;
    }
    location = /forbidden { return 403; }

    location = /any {
        entitle on;
        satisfy any;
        allow 127.0.0.1;
    }
}
EOF

my $optional = $site->get('/open');
like $optional->header('Cache-Control'), qr/\bprivate\b/,
    'the_header_filter_runs';
like $optional->header('Cache-Control'), qr/max-age=3600/,
    'the_header_filter_sees_what_expires_said';

is $site->get('/gated')->status,      401, 'the_gate_asks_who_it_is';
is $site->get('/denied')->status,     403, 'deny_comes_before_the_gate';
is $site->get('/subrequest')->status, 403, 'auth_request_comes_before_the_gate';
like $site->get('/password')->header('WWW-Authenticate'), qr/^Basic/,
    'auth_basic_comes_before_the_gate';
is $site->get('/any')->status, 200, 'allow_under_satisfy_any_spares_the_gate';
$site->expect_log(qr/access forbidden by rule.*"GET \/denied /);

done_testing;
