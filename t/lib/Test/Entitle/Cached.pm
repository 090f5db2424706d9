package Test::Entitle::Cached;

# A site whose gate tells what it saw, for tests of what happens to the cache
# and to Redis behind it.
#
#   my $site = cached_site(workers => 2, lease => '1s');
#   put($site, 'ada', 7);                     # a paying customer, version 7
#   ok warm($site);                           # her record is in the zone
#   is seen($site, 'ada'), '7 HIT allow';     # version, $entitle_cache, decision
#   is $site->webhook(bought('bob'))->status, 200;

use strict;
use warnings;

use Exporter qw(import);
use Test::Entitle ();
use Test::Entitle::GateSession qw(put_record subscription);
use Test::Entitle::Process qw(wait_until);
use Test::Entitle::Stripe qw(event_json);
use Time::HiRes qw(sleep);

our @EXPORT = qw(cached_http cached_site put bought seen all_seen warm told seen_by_session);
our @EXPORT_OK = qw(member member_seen);

# An app that believes its cookie, and a gate that asks it.
my $APP = <<'EOF';
%%SESSIONS%%
server {
    listen 127.0.0.1:%%PORT2%%;
    location / { add_header X-User $cookie_app; return 204; }
}
EOF
my $MEMBER = <<'EOF';
location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
location = /member {
    %%REAUTH%%
    entitle_require pro;
    add_header X-Seen "$entitle_version $entitle_cache $entitle_decision" always;
    try_files /page.html =404;
}
EOF

# What stands in http { }. redis (redis://127.0.0.1:%%REDIS%%), timeout (500ms) and
# connect (as timeout), zone (1m), lease (1s), listen (options of it), more
# (directives in http), server (in server), sessions (for member(); takes the
# second port).
sub cached_http {
    my (%o) = @_;
    my $redis   = $o{redis} // 'redis://127.0.0.1:%%REDIS%%';
    my $timeout = $o{timeout} // '500ms';
    my $connect = $o{connect} // $timeout;
    my $zone    = $o{zone}  // '1m';
    my $lease   = $o{lease} // '1s';
    my ($listen, $more, $server) = map { $_ // '' } @o{qw(listen more server)};
    ($more, $server) = ($more . $APP, $server . $MEMBER) if $o{sessions};
    return <<"EOF2";
entitle_redis $redis;
entitle_redis_timeout $timeout;
entitle_redis_connect_timeout $connect;
entitle_mode test;
entitle_zone $zone;
entitle_lease $lease;
entitle_grant pro prod_Pro prod_FxPRO000001;
map \$arg_user \$known { default \$arg_user; }
$more
server {
    listen 127.0.0.1:%%PORT%% $listen;
    $server
    %%WEBHOOK%%
    location = /paid {
        entitle_trusted_user \$known;
        entitle_require pro;
        add_header X-Seen "\$entitle_version \$entitle_cache \$entitle_decision" always;
        add_header X-Worker \$pid always;
        try_files /page.html =404;
    }
    location = /open { return 200 open; }
}
EOF2
}

# With its Redis and ada, a customer of version 1. workers, main: of the site;
# options: of redis-server; the rest as above.
sub cached_site {
    my (%o) = @_;
    my $site = Test::Entitle->new(workers => $o{workers} // 1, main => $o{main} // '');
    $site->write_file('html/page.html', 'page');
    $site->redis(options => $o{options} // []);
    put($site, 'ada', 1);
    return $site->start(cached_http(%o));
}

# A record as webhooks leave it.
sub put {
    my ($site, $user, $version, $status) = @_;
    put_record($site->redis, $user, version => $version,
        subscription($status // 'active'));
}

# An event that gives a user who has nothing yet a subscription.
sub bought {
    my ($user) = @_;
    return event_json('customer.subscription.created.active', user => $user,
        customer => $user);
}

# "version CACHE decision" as an answer tells it.
sub told {
    my ($answer) = @_;
    return $answer->header('X-Seen') // 'nothing: ' . $answer->status;
}

# "version CACHE decision" of one request.
sub seen {
    my ($site, $user) = @_;
    return told($site->get('/paid?user=' . ($user // 'ada')));
}

# What the browser of a user asks, with the newest session that it was given; and
# what it is told by that.
my %session;
sub member {
    my ($user) = @_;
    return (uri => '/member', headers => [Cookie => "app=$user" . ($session{$user} // '')]);
}
sub member_seen {
    my ($user, $answer) = @_;
    my %set = $answer->cookies;
    $session{$user} = "; entitle=$set{entitle}" if $set{entitle};
    return told($answer);
}
sub seen_by_session {
    my ($site, $user) = @_;
    return member_seen($user, $site->request(member($user)));
}

# What every worker says, each answer once. One worker that is quicker than its
# clients takes all of them: then those that have answered are stopped while the
# next clients connect.
sub all_seen {
    my ($site, $user) = @_;
    my (%seen, %workers);
    wait_until(sub {
        kill STOP => keys %workers;
        my @crowd = eval { map { $site->connect->send(close => 1,
            uri => '/paid?user=' . ($user // 'ada')) } 1 .. 8 };
        sleep 0.002 if %workers;
        kill CONT => keys %workers;
        die $@ if $@;
        for my $answer (map { $_->receive } @crowd) {
            $seen{ told($answer) } = 1;
            $workers{$_} = 1 for grep { /^\d+$/ } $answer->header('X-Worker') // '';
        }
        return keys %workers >= $site->{workers};
    }) or $seen{ keys(%workers) . " of $site->{workers} workers" } = 1;
    return join '; ', sort keys %seen;
}

# Until the record is in the zone and every worker believes it.
sub warm {
    my ($site, $user) = @_;
    return wait_until(sub { all_seen($site, $user) =~ /^\d+ HIT \w+$/ }, 20);
}

1;
