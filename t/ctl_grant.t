# entitlectl grant and revoke: what an operator gives is a source of its own,
# which the gate honours until its end, and no event has anything to do with.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file('html/course', 'the course');
$site->write_file('html/team',   'the team');
$site->write_file('html/room/index.html', 'the room');
$site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro price_Pro metadata.plan=pro;
entitle_grant team metadata=seat;
entitle_grant other metadata=team;
map $http_x_user $somebody { default $http_x_user; }
entitle_trusted_user $somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /course { entitle_require pro; }
    location = /team { entitle_require team; }
    location /room/ { entitle_require room_$http_x_room; }
}
EOF_CONF
my $ctl  = Test::Entitle::Ctl->new;
my @conf = ('--config', "$site->{dir}/nginx.conf");

sub page { my ($path, $user) = @_; return $site->get($path, 'X-User' => $user)->status }
sub version { my ($user) = @_; return $redis->command('HGET', "entitle:test:{u:$user}", 'version') }

sub subscription {
    my ($type, $sub, $user, %more) = @_;
    return $site->webhook(event_json($type, user => $user,
        'id' => "evt_$sub$type", 'data.object.id' => $sub, 'data.object.customer' => "cus_$sub",
        'data.object.metadata' => { userId => $user },
        'data.object.items.data.0.price.id' => 'price_Pro', %more))->json->{outcome};
}

# --- given -------------------------------------------------------------------------

is page('/course', 'ann'), 402, 'ann is out';
my @given = ('grant', 'ann', 'pro', '--for', '30d', '--reason', 'a prize', @conf);
my $said  = $ctl->run(@given);
is $said->{exit}, 4, 'without_yes_nothing_is_written';
like $said->{err}, qr/Under entitle:test, user "ann", of whom nothing is known, is given pro until 20\d\d-\d\d-\d\d .* UTC\.\nNothing was written/,
    'but the plan is shown';
is page('/course', 'ann'), 402, 'ann is out still';
$said = $ctl->run(@given, '--yes', '--by', 'olga');
is $said->{exit}, 0, 'with_yes_it_is' or diag $said->{err};
like $said->{out}, qr/^Done: user "ann" has pro until 20\d\d.* UTC, version \d{13}\.\n\z/, 'end and version are said';
is page('/course', 'ann'), 200, 'ann_is_in';
is page('/team', 'ann'), 402, 'and not elsewhere';
my ($line) = @{ $ctl->json('events', 'ann', @conf)->{events} };
is "$line->{type} $line->{by} $line->{reason}", 'operator.grant olga a prize', 'the_log_says_who_and_why';
my $version = version('ann');
$said = $ctl->run('grant', 'ann', 'pro', '--for', '29d', '--reason', 'twice', '--yes', @conf);
like $said->{out}, qr/^Nothing to do: grant:op_\d+_\d+ gives it at least that long\.$/, 'what_is_given_is_not_given_again';
is version('ann'), $version, 'nor does the version rise';

my $json = $ctl->json('grant', 'ann', 'team', '--until', '2100-01-31', '--reason', 'x', '--yes', @conf);
is_deeply [@$json{qw(prefix mode user name until before after)}],
    ['entitle:', 'test', 'ann', 'team', 4105123200, ['pro'], ['pro', 'team']], 'in JSON' or diag explain $json;
cmp_ok $json->{version}, '>', $version, 'the_version_rises';
is $json->{version}, version('ann'), 'and is said';
is_deeply [map { "$_->{state} $_->{until}" } @{ $json->{giving} }], ['granted 4105123200'], 'what gives it is said';
is page('/team', 'ann'), 200, 'a_name_is_given_whatever_its_namesake_gives';
is $ctl->run('grant', 'ann', 'room_7', '--forever', '--reason', 'x', '--yes', @conf)->{exit}, 0,
    'a_name_that_a_variable_may_make_is_known';
is $site->get('/room/', 'X-User' => 'ann', 'X-Room' => '7')->status, 200, 'and opens that room';
is $site->get('/room/', 'X-User' => 'ann', 'X-Room' => '8')->status, 402, 'and no other';
$said = $ctl->run('why', 'ann', @conf);
like $said->{out}, qr/^User "ann" is in: .*\n\n +paid +whole +grant:\S+: an operator gave it\n +delivered +whole +an operator said it last on 20/, 'why_says_who_gave_it';
like $said->{out}, qr/owner +whole +user "ann", by an operator's grant$/m, 'and whose it is';

# --- taken back --------------------------------------------------------------------

$said = $ctl->run('revoke', 'ann', 'pro', '--reason', 'enough', @conf);
is $said->{exit}, 4, 'without yes nothing is revoked';
$said = $ctl->run('revoke', 'ann', 'pro', '--reason', 'enough', '--yes', @conf);
is $said->{exit}, 0, 'with yes it is';
like $said->{out}, qr/^Done: grant:op_\d+_\d+ ended, version \d+\.\nUser "ann" has pro no more\.$/, 'which is said';
is page('/course', 'ann'), 402, 'ann_is_out_at_once';
is page('/team', 'ann'), 200, 'what else was given stays';
is $ctl->run('grant', 'fay', 'pro', '--forever', '--reason', 'x', '--yes', @conf)->{exit}, 0, 'fay, too';
is $ctl->run('revoke', 'fay', 'pro', '--yes', @conf)->{exit}, 0, 'and no more';
like $ctl->run('why', 'fay', @conf)->{out}, qr/time +BROKEN .*-> entitlectl grant --config \S+ fay NAME$/ms, 'why_names_the_command_that_gives_it_again';
($line) = @{ $ctl->json('events', 'ann', @conf)->{events} };
is "$line->{type} $line->{reason}", 'operator.revoke enough', 'the log says so';
$version = version('ann');
$said = $ctl->run('revoke', 'ann', 'pro', '--yes', @conf);
is "$said->{exit} $said->{out}", qq{0 Nothing to do: user "ann" has no grant of pro.\n}, 'revoked_again_it_changes_nothing';
is version('ann'), $version, 'nor does the version rise';

# --- beside what is paid for -------------------------------------------------------

is subscription('customer.subscription.created.active', 'sub_1', 'bob'), 'applied', 'bob pays';
$said = $ctl->run('revoke', 'bob', 'pro', '--yes', @conf);
is $said->{exit}, 4, "what_is_paid_for_is_not_revoked";
like $said->{err}, qr/has pro by what is paid for, and by no grant:\n    sub_1 \(active\) until .*\nCancel or refund it in Stripe\./,
    'which is said';
is page('/course', 'bob'), 200, 'bob is in';
$said = $ctl->run('grant', 'bob', 'pro', '--forever', '--reason', 'x', '--yes', @conf);
like $said->{out}, qr/has pro for ever.*\nWhat gives it now:\n    grant:\S+ \(granted\) for ever\n    sub_1 \(active\)/,
    'all that gives it is listed';
$said = $ctl->run('revoke', 'bob', 'pro', '--yes', @conf);
is $said->{exit}, 0, 'the grant is revoked';
like $said->{out}, qr/It is paid for, too; cancel or refund that in Stripe\. What gives it still:\n    sub_1 \(active\)/,
    'what_still_gives_access_is_said';
is page('/course', 'bob'), 200, 'bob is in still';
$said = $ctl->run('grant', 'bob', 'pro', '--forever', '--reason', 'x', '--yes', @conf);
is subscription('customer.subscription.deleted', 'sub_1', 'bob', 'data.object.ended_at' => time), 'applied', 'he cancels';
is page('/course', 'bob'), 200, 'no_event_ends_a_grant';

# --- its end -----------------------------------------------------------------------

is $ctl->run('grant', 'cid', 'pro', '--for', '2s', '--reason', 'x', '--yes', @conf)->{exit}, 0, 'for two seconds';
is page('/course', 'cid'), 200, 'cid is in';
ok wait_until(sub { page('/course', 'cid') == 402 }, 10), 'it_ends_by_itself';

# --- what cannot be ----------------------------------------------------------------

for my $case (
    [2, qr/no entitle_grant and no entitle_require of \S+ has "Pro"; there are other, pro, room_\$http_x_room and team/,
        'grant', 'ann', 'Pro', '--forever', '--reason', 'x'],
    [2, qr/--reason is required/, 'grant', 'ann', 'pro', '--forever'],
    [2, qr/until when|exactly 1|--forever/, 'grant', 'ann', 'pro', '--reason', 'x'],
    [2, qr/./, 'grant', 'ann', 'pro', '--reason', 'x', '--forever', '--for', '1d'],
    [2, qr/"soon" must be a date, like 2027-01-31/, 'grant', 'ann', 'pro', '--until', 'soon', '--reason', 'x'],
    [2, qr/2001-01-02 00:00:00 UTC is over already/, 'grant', 'ann', 'pro', '--until', '2001-01-01', '--reason', 'x'],
    [2, qr/must be a time/, 'grant', 'ann', 'pro', '--for', 'ever', '--reason', 'x'],
    [2, qr/--reason takes text of at most 500 bytes/, 'grant', 'ann', 'pro', '--forever', '--reason', "a\nb"],
    [2, qr/a user has 1 to 255 bytes/, 'grant', "a\nb", 'pro', '--forever', '--reason', 'x'],
    [2, qr/"guest:short" is no browser's id/, 'grant', 'guest:short', 'pro', '--forever', '--reason', 'x'],
    [2, qr/is no browser's id/, 'grant', 'guest:' . 'A' x 22 . 'x', 'pro', '--forever', '--reason', 'x'],
    [2, qr/no entitle_grant and no entitle_require/, 'revoke', 'ann', 'gold'],
    [1, qr/nothing is known of user "nobody"/, 'revoke', 'nobody', 'pro'],
) {
    my ($exit, $why, @words) = @$case;
    my $said = $ctl->run(@words, '--yes', @conf);
    is $said->{exit}, $exit, "exit code $exit: @words";
    like "$said->{err}$said->{out}", $why, 'which says why';
}
is $ctl->run('grant', 'dan', 'whatever', '--forever', '--reason', 'x', '--yes', '--mode', 'test',
    '--redis', 'redis://127.0.0.1:' . $redis->port)->{exit}, 0, 'without_a_configuration_every_name_may_be';
$redis->command('HSET', 'entitle:test:{u:eve}', 'version', 7, 'source:sub_1', '{');
$said = $ctl->run('grant', 'eve', 'pro', '--forever', '--reason', 'x', '--yes', @conf);
is $said->{exit}, 3, 'a_record_that_cannot_be_read_is_not_written';
is $redis->command('HGET', 'entitle:test:{u:eve}', 'source:sub_1'), '{', 'nor changed';

done_testing;
