package Test::Entitle::GateMemory;

# A site that tells whom it let in as before (entitle_session_memory), for tests of
# what ends that.
#
#   my $site = memory_site('4m');             # or 'off'
#   customer('ada');
#   my $ada = cookies('ada');                 # each call gives other bytes
#   remembered('ada is in', '/page', $ada);   # once and again
#   is ask('/page', $ada), 'ada 5 HIT allow ok again';

use strict;
use warnings;

use Exporter qw(import);
use Test::Entitle;
use Test::Entitle::GateSession;
use Test::Entitle::Jwt;
use Time::HiRes qw(time);

our @EXPORT = qw($JWT_KEY memory_http memory_site customer cookies recalls told ask remembered);

our $JWT_KEY = Test::Entitle::Jwt->rsa;

# What stands in http { }. key, lease, timeout.
sub memory_http {
    my ($memory, %o) = @_;
    my $session_key = $o{key} // '%%KEY%%';
    my $lease = $o{lease} // '1s';
    my $timeout = $o{timeout} // '300ms';
    return <<"EOF2";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout $timeout;
entitle_mode test;
entitle_zone 1m;
entitle_lease $lease;
entitle_session_memory $memory;
entitle_grant pro prod_Pro;
entitle_grant plus prod_Plus;
entitle_grace 0s;
entitle_pause_collection revoke;
entitle_session_key_file $session_key;
entitle_session_cookie entitle secure=off;
entitle_problem_json off;
error_log %%DIR%%/logs/debug.log debug;
map \$arg_user \$known { default \$arg_user; }
map \$entitle_user \$opened { "" pro; default plus; }
map \$entitle_user \$closed { "" plus; default pro; }
log_format decided "\$uri \$entitle_user \$entitle_version \$entitle_decision \$entitle_entitlements";
access_log %%DIR%%/logs/decided.log decided;
add_header X-Seen "\$entitle_user \$entitle_version \$entitle_cache \$entitle_decision \$entitle_reason" always;
add_header X-Told "\$http_x_entitle_user \$http_x_entitle_version \$http_x_entitle_entitlements" always;
add_header X-Worker \$pid always;
server {
    listen 127.0.0.1:%%PORT%%;
    entitle_session_scope tests;
    entitle_session_bind cookie=app;
    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    entitle_require pro;
    location = /whoami { internal; return 401; }
    location = /page { }
    location = /plus { entitle_require plus; try_files /page =404; }
    location = /either { entitle_require \$arg_need; try_files /page =404; }
    location = /long { entitle_lease 10s; try_files /page =404; }
    location = /short { entitle_session_recheck 2s; try_files /page =404; }
    location = /device { entitle_session_bind cookie=app \$http_x_device; try_files /page =404; }
    location = /org { entitle_reauth_key \$arg_org; try_files /page =404; }
    location = /mine { entitle_session_bind cookie=app \$entitle_user; try_files /page =404; }
    location = /optional { entitle optional; satisfy any; deny all; try_files /page =404; }
    location = /mixed { satisfy any; deny all; try_files /page =404; }
    location = /trusted { entitle_trusted_user \$known; try_files /page =404; }
    location = /opened { entitle_reauth /asked; entitle_require \$opened; try_files /page =404; }
    location = /closed { entitle_reauth /asked; entitle_require \$closed; try_files /page =404; }
    location = /tied { entitle_reauth /asked; entitle_session_bind cookie=app \$closed; try_files /page =404; }
    location = /asked { internal; proxy_pass http://127.0.0.1:%%PORT3%%/whoami; }
    location = /jwt { entitle_jwt cookie=jwt; entitle_jwt_key_file %%DIR%%/key.pem; try_files /page =404; }
    location = /poll { entitle_poll 1s; }
    location = /on { try_files /none /plus; }
    location = /other { try_files /none /trusted?\$args; }
    location = /leads { try_files /none /asks; }
    location = /asks { entitle_reauth /whom; try_files /page =404; }
    location = /whom {
        internal;
        proxy_set_header X-Known \$entitle_user;
        proxy_pass http://127.0.0.1:%%PORT3%%/known;
    }
    location = /same { try_files /none /page; }
    location = /logout { entitle_logout all; }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    entitle_session_bind cookie=app;
    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    entitle_require pro;
    location = /page { }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT3%%; }
}
server {
    listen 127.0.0.1:%%PORT3%%;
    access_log off;
    error_log %%DIR%%/logs/error.log info;
    location = /whoami { add_header X-User \$cookie_app; return 204; }
    location = /known { add_header X-User "nobody\$http_x_known"; return 204; }
}
EOF2
}

my ($site, $memory);
my $debugged;  # of debug.log

# A site, which all below is about from now on. workers, main, and what
# memory_http() takes.
sub memory_site {
    my ($with, %o) = @_;
    $memory = $with ne 'off';
    $site = Test::Entitle->new(workers => $o{workers} // 1, main => $o{main} // '');
    $site->redis;
    $site->write_file('html/page', 'page');
    $site->write_file('key.pem', $JWT_KEY->public_pem);
    $site->start(memory_http($with, %o));
    $debugged = 0;
    return $site;
}

# A customer of version 5.
sub customer {
    my ($user, %o) = @_;
    put_record($site->redis, $user, version => 5, subscription('active', %o));
    return $user;
}

sub cookies {
    my ($user, %o) = @_;
    return "app=of-$user; entitle=" . session(user => $user, version => 5,
        bind => ["of-$user"], %o);
}

# How often somebody was let in as before since this was last asked.
sub recalls {
    my $log = $site->read_file('logs/debug.log');
    my $count = () = substr($log, $debugged) =~ /entitle: let in as before/g;
    $debugged = length $log;
    return $count;
}

# "user version cache decision reason", and "again" where that was remembered.
sub told {
    my ($answer) = @_;
    my $seen = ($answer->header('X-Seen') // '') =~ s/\s+$//r;
    return $seen . (recalls() ? ' again' : '');
}
sub ask {
    my ($uri, $cookies, @headers) = @_;
    return told($site->get($uri, defined $cookies ? (Cookie => $cookies) : (), @headers));
}

# Let in, out of the zone, and remembered where there is a memory.
sub remembered {
    my ($name, @request) = @_;
    my $wanted = $memory ? qr/^\S+ 5 HIT allow ok again$/ : qr/^\S+ 5 HIT allow ok$/;
    my $last = '';
    return ok(wait_until(sub { ($last = ask(@request)) =~ $wanted }, 20), $name)
        || diag($last);
}

1;
