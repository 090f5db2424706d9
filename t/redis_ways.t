# The ways to reach Redis that there are: a socket, a database, a user with a
# password, a prefix of one's own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $server = <<'EOF';
entitle_grant pro prod_FxPRO000001;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
}
EOF

# A user who may do what docs/redis.md says the module does, and no more.
my @acl = qw(--user entitle on >s3cret ~entitle:* resetchannels -@all +@read
    +@write +@transaction +@connection +@keyspace +wait +role);

sub way {
    my ($name, $directives, %how) = @_;
    my $site = Test::Entitle->new;
    $site->redis(options => $how{options} // [], password => $how{password});
    $site->write_file('password', "s3cret\n");
    $site->write_file('wrong',    "wrong\n");
    $site->start($directives . $server);
    my $answer = $site->webhook(event_json('customer.subscription.created.active', user => 'ada'));
    is $answer->status, $how{status} // 200, $name;
    if (($how{status} // 200) == 200) {
        $site->redis->command('SELECT', $how{database}) if $how{database};
        my $prefix = $how{prefix} // 'entitle:';
        ok exists $site->redis->hgetall("${prefix}test:{u:ada}")->{version},
            '  and the record is where it should be';
    }
    unlike $site->log, qr/s3cret/, '  and no password in the log';
    $site->expect_log(@{ $how{log} // [] });
    $site->finish;
}

way 'an address', 'entitle_redis redis://127.0.0.1:%%REDIS%%;';
way 'localhost',  'entitle_redis redis://localhost:%%REDIS%%;';
way 'a unix socket', 'entitle_redis unix:%%REDIS_SOCKET%%;';
way 'a database', 'entitle_redis redis://127.0.0.1:%%REDIS%%/3;', database => 3;
way 'a database on a unix socket', 'entitle_redis unix:%%REDIS_SOCKET%%:5;', database => 5;
way 'a prefix', 'entitle_redis redis://127.0.0.1:%%REDIS%%; entitle_redis_prefix shop-7:;',
    prefix => 'shop-7:';
way 'a password', 'entitle_redis redis://127.0.0.1:%%REDIS%%; entitle_redis_password_file %%DIR%%/password;',
    password => 's3cret';
way 'a user and a password',
    'entitle_redis redis://entitle@127.0.0.1:%%REDIS%%; entitle_redis_password_file %%DIR%%/password;',
    options => \@acl;
way 'a user named by a directive', 'entitle_redis redis://127.0.0.1:%%REDIS%%;'
    . 'entitle_redis_user entitle; entitle_redis_password_file %%DIR%%/password;',
    options => \@acl;
way 'a wrong password',
    'entitle_redis redis://entitle@127.0.0.1:%%REDIS%%; entitle_redis_password_file %%DIR%%/wrong;',
    options => \@acl, status => 503, log => [qr/WRONGPASS/, qr/not_stored/];
way 'a user who may not write',
    'entitle_redis redis://entitle@127.0.0.1:%%REDIS%%; entitle_redis_password_file %%DIR%%/password;',
    options => [qw(--user entitle on >s3cret ~entitle:* resetchannels -@all +@read +@transaction +@connection)],
    status => 503, log => [qr/not_stored.*NOPERM/];

done_testing;
