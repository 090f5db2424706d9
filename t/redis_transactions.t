# What Redis says to MULTI ... EXEC is believed only where it fits: nothing else
# is answered 2xx, and a connection whose transaction may be open still serves
# nobody any more, so that what was wrong is over when Redis is right again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::FaultyRedis;

my $HTTP = <<'EOF';
entitle_redis redis://127.0.0.1:%%PORT9%%;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_mode test;
server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami { add_header X-User $cookie_app; return 204; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /everywhere { %%REAUTH%% entitle_logout all; }
}
EOF

my $SITES = 6;
my @sites = map { Test::Entitle->new } 1 .. $SITES;
my $redis = $sites[0]->redis;
alarm 240 * patience();

my $count = 0;
sub purchase {
    my $user = 'u' . ++$count;
    return ($user, event_json('customer.subscription.created.active',
        user => $user, customer => $user));
}
sub stored {
    my ($user) = @_;
    return exists $redis->hgetall("entitle:test:{u:$user}")->{version};
}

# A fault is there while the site's file `fault` is: its content is said to EXEC.
my @faulty;
for my $site (@sites) {
    my $fault = $site->dir . '/fault';
    push @faulty, Test::Entitle::FaultyRedis->new(
        port => $site->port(9), redis => $redis, leave_open => 1,
        answer => sub {
            return undef if $_[0] ne 'EXEC';
            open my $in, '<:raw', $fault or return undef;
            local $/;
            return scalar <$in>;
        });
    $site->start($HTTP);
    my ($user, $event) = purchase();
    is $site->webhook($event)->status, 200, 'while all is well';
}

# An event for each site while EXEC says what that site's turn is; then again.
sub suffer {
    my (@said) = @_;
    my (@user, @event, @delivery);
    for my $n (0 .. $#said) {
        $sites[$n]->write_file('fault', $said[$n]);
        ($user[$n], $event[$n]) = purchase();
        $delivery[$n] = $sites[$n]->connect->send($sites[$n]->webhook_request($event[$n]));
    }
    my @name = map { s/\r\n/ /gr } @said;
    is $delivery[$_]->receive->status, 503, "EXEC is answered $name[$_]" for 0 .. $#said;
    unlink $_->dir . '/fault' for @sites;
    for my $n (0 .. $#said) {
        ok !stored($user[$n]), "nothing was stored while EXEC said $name[$n]";
        is $sites[$n]->webhook($event[$n])->status, 200, '  afterwards it is taken at once';
        ok stored($user[$n]), '  and stored';
        my $out = $sites[$n]->request(method => 'POST', uri => '/everywhere',
            headers => [Cookie => "app=$user[$n]"]);
        is $out->status, 204, '  and logging out everywhere works';
    }
}

# The transaction stays open.
suffer map { "-$_\r\n" } 'NOPERM this user has no permissions', 'ERR internal',
    'MISCONF cannot persist', 'OOM command not allowed', 'NOAUTH Authentication required',
    'EXECABORT Transaction discarded';

# What does not fit what was asked.
suffer "*0\r\n", "*2\r\n:1\r\n:1\r\n", "*4\r\n" . "\$-1\r\n" x 4,
    "*4\r\n" . "\$1\r\nx\r\n" x 4, "*4\r\n" . "+QUEUED\r\n" x 4, "+OK\r\n";

# --- MULTI is not permitted --------------------------------------------------

{
    $redis->command(qw(ACL SETUSER clerk on >secret ~* &* +@all));
    my $site = Test::Entitle->new;
    $site->{ports}{REDIS} = $sites[0]->port('REDIS');
    $site->write_file('password', "secret\n");
    $site->start(<<'EOF');
entitle_redis redis://clerk@127.0.0.1:%%REDIS%%;
entitle_redis_password_file %%DIR%%/password;
entitle_grant pro prod_FxPRO000001;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
}
EOF
    my ($user, $event) = purchase();
    is $site->webhook($event)->status, 200, 'while MULTI is permitted';
    $redis->command(qw(ACL SETUSER clerk -multi));
    ($user, $event) = purchase();
    is $site->webhook($event)->status, 503, 'without MULTI nothing is believed';
    ok $site->wait_for_log(qr/MULTI was answered with "NOPERM/), '  and the log says why';
    is $site->webhook($event)->status, 503, '  nor when it comes again';
    $redis->command(qw(ACL SETUSER clerk +multi));
    ok wait_until(sub { $site->webhook($event)->status == 200 }), 'permitted again, it is';
    ok stored($user), '  and stored';
    $site->expect_log(qr{not_stored|entitle: redis "});
}

$_->expect_log(qr{not_stored|entitle: redis "}) for @sites;
done_testing;
