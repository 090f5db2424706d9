# entitlectl export and restore: what was kept comes back, whole into nothing,
# beside what is there, and never over it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::Entitle;
use Test::Entitle::Cluster;
use Test::Entitle::CtlShop;

my $shop  = Test::Entitle::CtlShop->new;
my $site  = $shop->site;
my $redis = $site->redis;
my $ctl   = $shop->ctl;
my @conf  = $shop->conf;
my @there = ('--redis', 'redis://127.0.0.1:' . $redis->port, '--mode', 'test');
my $file = "$site->{dir}/kept.jsonl";

sub course { return $shop->course(@_) }

sub session { my ($n, $user, $plan) = @_; return $shop->session($n, $user, plan => $plan) }

# All hashes under a prefix, but for versions; and the lists.
sub state_of {
    my ($from, $prefix) = @_;
    my %state;
    for my $key (@{ $from->command('KEYS', "${prefix}test:*") }) {
        (my $name = $key) =~ s/^\Q$prefix\E//;
        my $type = $from->command('TYPE', $key);
        my $value =
              $type eq 'hash' ? { @{ $from->command('HGETALL', $key) } }
            : $type eq 'list' ? $from->command('LRANGE', $key, 0, -1)
            : $type eq 'set'  ? [sort @{ $from->command('SMEMBERS', $key) }]
            : $type eq 'zset' ? $from->command('ZRANGE', $key, 0, -1, 'WITHSCORES')
            :                   $from->command('GET', $key);
        delete $value->{version} if $type eq 'hash';
        $state{$name} = $value;
    }
    return \%state;
}

# --- there and back ----------------------------------------------------------------

is session(1, 'ann'), 'applied', 'ann has bought';
is session(2, 'Zoë {}%|'), 'applied', 'and somebody of an odd name';
is session(3, ''), 'parked', 'and nobody';
is session(4, 'bob', 'gold'), 'unmatched', 'and bob what opens nothing';
is session(5, 'cid'), 'applied', 'cid, too';
is $ctl->run('link', 'cus_5', 'dan', '--move', '--yes', @conf)->{exit}, 0, 'whose it is not';
is $ctl->run('grant', 'eve', 'pro', '--forever', '--reason', 'x', '--yes', @conf)->{exit}, 0, 'eve is given it';
is $ctl->run('ignore', 'prod_Other', @conf)->{exit}, 0, 'something is ignored';
$redis->command('HSET', 'entitle:test:{u:ann}', 'budget', "12\xff\x00");
$redis->command('ZADD', 'entitle:test:lost', 1767225600, 'sub_lost');
$redis->command('SET', 'entitle:test:reconcile', '{"at":1767225600}');

my $said = $ctl->run('export', $file, @conf);
is $said->{exit}, 0, 'it_is_exported' or diag $said->{err};
like $said->{out}, qr/^\S+kept\.jsonl: 6 users and 10 places of entitle:test\.$/, 'how much is said';
is sprintf('%o', (stat $file)[2] & 07777), 600, 'for_its_owner_alone';
my @lines = map { JSON::PP->new->utf8->decode($_) } split /\n/, $site->read_file('kept.jsonl');
is_deeply [@{ $lines[0] }{qw(entitle format prefix mode)}], ['export', 1, 'entitle:', 'test'], 'its format is said';
ok $lines[-1]{end}, 'and its end';
my $streamed = $ctl->run('export', @conf);
is scalar(split /\n/, $streamed->{out}), scalar(@lines), 'the_same_goes_to_standard_output';
is_deeply [@{ $ctl->json('export', $file, @conf) }{qw(users places left_out)}], [6, 10, 0], 'in JSON, too';

my @elsewhere = (@there, '--prefix', 'other:');
$said = $ctl->run('restore', $file, @elsewhere);
is $said->{exit}, 4, 'without_yes_nothing_is_written';
like $said->{err}, qr/Under other:test, what entitle:test was at 20.* UTC is put back, beside what is there\.\nNothing was written/,
    'but the plan is shown';
is_deeply state_of($redis, 'other:'), {}, 'nothing is';
$said = $ctl->run('restore', $file, @elsewhere, '--yes');
is $said->{exit}, 0, 'with yes it is' or diag $said->{err};
like $said->{out}, qr/^Under other:test: 16 made, 0 merged with what is there, 0 were the same; \d+ lists/, 'which is said';
is_deeply state_of($redis, 'other:'), state_of($redis, 'entitle:'), 'into_nothing_it_comes_back_byte_for_byte';
cmp_ok $redis->command('HGET', 'other:test:{u:ann}', 'version'), '>',
    $redis->command('HGET', 'entitle:test:{u:ann}', 'version'), 'no_old_session_comes_back_to_life';
cmp_ok $redis->command('TTL', 'other:test:{p:pi_1}'), '>', 500 * 86400, 'what expires expires';
my $before = state_of($redis, 'other:');
my $version = $redis->command('HGET', 'other:test:{u:ann}', 'version');
is_deeply [@{ $ctl->json('restore', $file, @elsewhere, '--yes') }{qw(made whole unreadable)}],
    [0, JSON::PP::true(), []], 'again';
is_deeply state_of($redis, 'other:'), $before, 'done_again_it_changes_nothing';
is $redis->command('HGET', 'other:test:{u:ann}', 'version'), $version, 'and raises no version';

# --- beside what is there ----------------------------------------------------------

$redis->command('FLUSHALL');
is session(1, 'fay'), 'applied', 'all was lost, and ann\'s is said to be fay\'s';
is session(6, 'ann'), 'applied', 'ann bought again';
is join(' ', map { course($_) } qw(ann fay eve)), '200 200 402', 'as it is';
$said = $ctl->run('restore', $file, @conf, '--yes', '--by', 'olga', '--reason', 'the disk');
is $said->{exit}, 0, 'beside what is there' or diag $said->{err};
is join(' ', map { course($_) } qw(ann dan eve bob)), '200 200 200 402', 'what_was_is_again';
like $redis->command('HGET', 'entitle:test:{u:ann}', 'source:cs_6'), qr/evt_6/, 'what_came_meanwhile_stays';
is scalar(grep { defined $redis->command('HGET', "entitle:test:{u:$_}", 'source:cs_1') } qw(ann fay)), 1,
    'nobody_gets_what_is_somebody_elses';

# --- what cannot be ----------------------------------------------------------------

my $text = $site->read_file('kept.jsonl');
sub restores {
    my ($name, $exit, $why, $as, $mode) = @_;
    $site->write_file('other.jsonl', $as);
    my $keys = $redis->command('DBSIZE');
    my $said = $ctl->run('restore', "$site->{dir}/other.jsonl", @there[0, 1], '--prefix', 'third:', '--yes',
        '--mode', $mode // 'test');
    is $said->{exit}, $exit, $name;
    like $said->{err}, $why, 'which says why';
    is $redis->command('DBSIZE'), $keys, 'and writes nothing';
    return;
}
restores('an_unknown_format', 2, qr/format 2 is not known here, 1 is/, $text =~ s/"format":1/"format":2/r);
restores('no_export', 2, qr/that is no export of entitlectl's/, "{}\n$text");
restores('another_mode', 4, qr/that is of mode test, and third:live is not/, $text, 'live');
restores('cut_off', 2, qr/cut off: its last line is not there/, $text =~ s/\n[^\n]+\n\z/\n/r);
restores('cut_out', 2, qr/not whole: its last line counts/, $text =~ s/\n\{"place":[^\n]+//r);
restores('said_to_be_more', 2, qr/not whole: its last line counts 999 places/, $text =~ s/"places":\d+/"places":999/r);
restores('cut_off_in_a_line', 2, qr/line \d+ is none of an export, or not whole/, substr($text, 0, -30));
restores('a_damaged_line', 2, qr/line 2 is none/, $text =~ s/\n\{"place":"[^"]+"/\n{"place":""/r);
is $ctl->run('restore', '/nowhere', @there, '--yes')->{exit}, 2, 'no file';
is $ctl->run('export', '/nowhere/at/all', @there)->{exit}, 3, 'no folder';
$redis->command('SET', 'entitle:test:{u:odd}', 'mine');
$said = $ctl->run('export', $file, @conf);
is $said->{exit}, 1, 'what_cannot_be_read_is_left_out';
like $said->{err}, qr/1 keys were left out.*\n    entitle:test:\{u:odd\}$/, 'and named';
$said = $ctl->shell("entitlectl export @conf 2>/dev/null | entitlectl restore - @there --prefix piped: --yes");
is $said->{exit}, 0, 'by_a_pipe' or diag $said->{err};
is_deeply state_of($redis, 'piped:')->{'test:{u:ann}'}, state_of($redis, 'entitle:')->{'test:{u:ann}'}, 'as by a file';

# --- a Cluster ---------------------------------------------------------------------

{
    my $cluster = Test::Entitle::Cluster->new(dir => "$site->{dir}/cluster");
    my @redis   = ('--redis', $cluster->address, '--mode', 'test');
    $said = $ctl->run('restore', $file, @redis, '--yes');
    is $said->{exit}, 0, 'into a Cluster' or diag $said->{err};
    is_deeply $cluster->command('HGET', 'entitle:test:{u:ann}', 'source:cs_6'),
        $redis->command('HGET', 'entitle:test:{u:ann}', 'source:cs_6'), 'into_a_Cluster';
    my $again = $ctl->json('export', "$site->{dir}/cluster.jsonl", @redis);
    my $first = $ctl->json('export', $file, @conf);
    is_deeply [@$again{qw(users places)}], [@$first{qw(users places)}], 'and out of it';
    $_->stop for $cluster->servers;
}

done_testing;
