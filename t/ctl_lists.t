# entitlectl: what it reads, and the lists of those who paid and are not in, on
# a real nginx and Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro metadata.plan=pro;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    server_name shop.test;
    %%WEBHOOK%%
    location /course { entitle_require pro; }
}
EOF_CONF
my $ctl  = Test::Entitle::Ctl->new;
my @conf = ('--config', "$site->{dir}/nginx.conf");

sub session {
    my ($n, $user, %metadata) = @_;
    return $site->webhook(event_json('checkout.session.completed.payment', user => $user,
        'id'                         => "evt_$n",
        'data.object.id'             => "cs_$n",
        'data.object.customer'       => "cus_$n",
        'data.object.payment_intent' => "pi_$n",
        'data.object.payment_link'   => undef,
        'data.object.client_reference_id' => undef,
        'data.object.metadata'       => { $user eq '' ? () : (userId => $user), %metadata },
    ))->json->{outcome};
}

# --- nobody waits ------------------------------------------------------------------

for my $list (qw(parked unmatched)) {
    my $said = $ctl->run($list, @conf);
    is $said->{exit}, 0, "nothing $list is fine";
    like $said->{out}, qr/^Nothing is $list under entitle:test:/, 'and said';
    is_deeply $ctl->json($list, @conf),
        { prefix => 'entitle:', mode => 'test', total => 0, $list => [] }, 'in JSON, too';
}
like $ctl->run('events', @conf)->{out}, qr/^last received: never\n.*No event of the last 35 days/s,
    'no event came yet';
is $ctl->run('ignore', @conf)->{out}, "Nothing is ignored under entitle:test.\n", 'nothing is ignored';

# --- somebody does -----------------------------------------------------------------

is session(1, 'ann', plan => 'pro'), 'applied', 'ann has bought';
is session(2, 'bob', plan => 'gold'), 'unmatched', 'what bob bought no grant knows';
is session(3, '', plan => 'pro'), 'parked', 'and somebody nobody knows';

my $said = $ctl->run('parked', @conf);
is $said->{exit}, 1, 'parked_money_is_found';
like $said->{out}, qr/^1 paid and belong to nobody, under entitle:test; the oldest first:
\ncus_3  for \d+ seconds?, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC  <[^>]+@[^>]+>
    cs_3 \(paid\) carries metadata\.plan=pro
    -> /, 'with its e-mail and what it carries';
my $json = $ctl->json('parked', @conf);
is $json->{total}, 1, 'in JSON, too';
is_deeply [map { $_->{source}, $_->{state}, $_->{paid}, $_->{gives} }
        @{ $json->{parked}[0]{purchases} }],
    ['cs_3', 'paid', JSON::PP::true(), ['pro']], 'what would open what';

$said = $ctl->run('unmatched', @conf);
is $said->{exit}, 1, 'what_opens_nothing_is_found';
like $said->{out}, qr/^u:bob\|cs_2  for .*\n    cs_2 \(paid\) carries metadata\.plan=gold
    -> entitle_grant NAME metadata\.plan=gold;/m, 'with the line that mends it';
my ($command) = $said->{out} =~ /; or (entitlectl ignore .*)$/m;
like $command, qr/^entitlectl ignore --config \S+nginx\.conf cs_2$/,
    'or the command that waves it through';

$said = $ctl->run('events', @conf);
is $said->{exit}, 0, 'events are fine';
like $said->{out}, qr/^last applied: .*, evt_1$/m, 'when the last was applied';
like $said->{out}, qr/^20\d\d\S* \S+ UTC  evt_2  unmatched  cus_2  bob$/m, 'what became of each';
$json = $ctl->json('events', @conf);
is_deeply { map { $_->{event} => $_->{outcome} } @{ $json->{events} } },
    { evt_1 => 'applied', evt_2 => 'unmatched', evt_3 => 'parked' }, 'in JSON, too';
is_deeply [map { $_->{event} } @{ $ctl->json('events', 'ann', @conf)->{events} }], ['evt_1'],
    'events_of_one_user';
like $ctl->run('events', 'ann', @conf)->{out}, qr/evt_1 .*nothing -> metadata\.plan=pro$/m,
    'and what they changed';
like $ctl->run('events', 'nobody', @conf)->{out}, qr/^Nothing is logged of user "nobody"/,
    'nothing of who is not known';

# --- ignore -------------------------------------------------------------------------

$said = $ctl->shell($command);
is $said->{exit}, 0, 'the_command_it_names_works';
is_deeply $redis->command('SMEMBERS', 'entitle:test:ignored'), ['cs_2'], 'cs_2 is ignored';
is_deeply $ctl->json('ignore', 'metadata.shop=books', 'acct_1', @conf)->{ignored},
    ['acct_1', 'cs_2', 'metadata.shop=books'], 'more are added';
is_deeply $ctl->json('ignore', '--remove', 'cs_2', 'acct_1', @conf)->{ignored},
    ['metadata.shop=books'], 'and taken off';
for my $bad ('gold', "cs_1\n", '') {
    $said = $ctl->run('ignore', $bad, @conf);
    is $said->{exit}, 2, 'what_cannot_be_ignored_is_refused';
    like $said->{err}, qr/is no identifier/, 'and said';
}
is_deeply $redis->command('SMEMBERS', 'entitle:test:ignored'), ['metadata.shop=books'],
    'nothing of it was written';

# --- what is read --------------------------------------------------------------------

my $url = 'redis://127.0.0.1:' . $redis->port;
is $ctl->json('parked', '--redis', $url, '--mode', 'test')->{total}, 1, 'redis_alone_does';
is $ctl->json('parked', '--redis', $url)->{total}, 0, 'live is another mode';
is $ctl->json('parked', '--redis', "unix:" . $redis->socket, '--mode', 'test')->{total}, 1,
    'a_socket_does';
is $ctl->json('parked', '--redis', $url, '--mode', 'test', '--prefix', 'other:')->{total}, 0,
    'another prefix is another site';

my $nginx = $site->write_file('fake-nginx', <<"EOF_SH", 0755);
#!/bin/sh
exec /usr/sbin/nginx -p $site->{dir}/ -c $site->{dir}/nginx.conf "\$@"
EOF_SH
is $ctl->json('parked', '--nginx', $nginx)->{total}, 1, 'it_asks_nginx_what_it_runs';
my $dump = $site->write_file('dump', scalar qx($nginx -T 2>&1));
is $ctl->json('parked', '--config', $dump)->{total}, 1, 'or reads what nginx -T printed';
is $ctl->shell("cat $dump | entitlectl parked --config - --json")->{exit}, 1, 'from a pipe, too';

for my $case (
    [3, qr/cannot read ".*\/nowhere"/, 'parked', '--config', "$site->{dir}/nowhere"],
    [3, qr/-T" does not say what nginx runs/, 'parked', '--nginx', '/bin/false'],
    [3, qr/neither a gate nor a webhook/, 'parked', '--config',
        $site->write_file('plain.conf', 'http { server { listen 80; } }')],
    [3, qr/unexpected end of file/, 'parked', '--config', $site->write_file('cut.conf', 'http { ')],
    [2, qr/has several: name one by --server.*--prefix a: --mode live.*--prefix b: --mode live/,
        'parked', '--config', $site->write_file('two.conf', 'http {'
            . ' server { entitle_redis_prefix a:; entitle on; }'
            . ' server { entitle_redis_prefix b:; entitle on; } }')],
    [2, qr/no server is named "x"/, 'parked', '--server', 'x', @conf],
    [2, qr/--mode: prod not in/, 'parked', '--mode', 'prod', @conf],
    [2, qr/no address of a Redis/, 'parked', '--redis', 'http://x'],
    [2, qr/A subcommand is required/],
    [2, qr/The following argument was not expected/, 'parked', 'x', @conf],
    [2, qr/--most/, 'parked', '--most', '0', @conf],
) {
    my ($exit, $why, @words) = @$case;
    my $said = $ctl->run(@words);
    is $said->{exit}, $exit, "exit code $exit: @words";
    like $said->{err}, $why, 'which says why';
}
my $closed = free_port();
$said = $ctl->run('parked', '--redis', "redis://127.0.0.1:$closed", '--json');
is $said->{exit}, 3, 'a_redis_that_is_not_there_tells_nothing';
like $said->{out}, qr/^\{"error":"Redis at 127\.0\.0\.1:$closed: Connection refused","exit":3\}$/,
    'in JSON, too';
is $ctl->run('--version')->{out}, "entitlectl " . (qx($Test::Entitle::ROOT/dev version) =~ s/^entitle //r),
    'its version is that of the module';

# --- each way to reach Redis ---------------------------------------------------------

$redis->command('CONFIG', 'SET', 'requirepass', 'secret words');
my $password = $site->write_file('password', "secret words\n", 0600);
like $ctl->run('parked', '--redis', $url)->{err}, qr/NOAUTH/, 'without its password it says nothing';
is $ctl->json('parked', '--redis', $url, '--mode', 'test',
    '--redis-password-file', $password)->{total}, 1, 'a_password_from_a_file';
$redis->command('ACL', 'SETUSER', 'ops', 'on', '>ops words', '~*', '+@all');
$site->write_file('password', "ops words\n", 0600);
is $ctl->json('parked', '--redis', "redis://ops\@127.0.0.1:" . $redis->port, '--mode', 'test',
    '--redis-password-file', $password)->{total}, 1, 'an_acl_user';
is $ctl->json('parked', '--redis', $url, '--redis-user', 'ops', '--mode', 'test',
    '--redis-password-file', $password)->{total}, 1, 'named apart';
like $ctl->run('parked', '--redis', $url, '--redis-user', 'eve', '--redis-password-file', $password)
    ->{err}, qr/WRONGPASS/, 'who is nobody is refused';
is $ctl->json('parked', '--redis', "$url/3", '--redis-user', 'ops', '--mode', 'test',
    '--redis-password-file', $password)->{total}, 0, 'another_database_is_another_one';
$redis->command('CONFIG', 'SET', 'requirepass', '');

$redis->freeze;
my $before = time;
$said = $ctl->run('parked', '--redis', $url);
$redis->thaw;
is $said->{exit}, 3, 'one_that_hangs_is_not_waited_for';
like $said->{err}, qr/no answer in time/, 'and said';
cmp_ok time - $before, '<', 10, 'it takes seconds';

done_testing;
