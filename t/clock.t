# The wall clock jumps, forwards and back, under a running nginx (libfaketime).
# What is told in dates goes by it: sessions, paid periods, Stripe's signatures.
# What is told in durations does not: the lease, time-outs, what is stale.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

my ($library) = glob '/usr/lib/*/faketime/libfaketime.so.1';
die 'libfaketime is not installed' if !$library;

my $site = Test::Entitle->new(main => join '', map { "env $_;\n" }
    qw(FAKETIME_TIMESTAMP_FILE FAKETIME_NO_CACHE FAKETIME_DONT_FAKE_MONOTONIC));
my $redis = $site->redis;
$site->write_file('html/page.html', 'page');
my $offset = 0;
$site->write_file('clock', '+0');
put($site, 'ada', 1);
put($site, 'mia', 1);
{
    local %ENV = (%ENV, LD_PRELOAD => $library, FAKETIME_NO_CACHE => 1,
        FAKETIME_DONT_FAKE_MONOTONIC => 1,
        FAKETIME_TIMESTAMP_FILE => $site->dir . '/clock');
    $site->start(cached_http(timeout => '300ms', more => <<'EOF', server => <<'EOF2'));
entitle_stale 2s;
entitle_grace 0s;
entitle_pause_collection revoke;
%%SESSIONS%%
EOF
location = /member {
    %%REAUTH%%
    entitle_credentials cookie=other;  # so that nobody is asked
    entitle_session_recheck 10d;
    entitle_require pro;
    add_header X-Reason $entitle_reason always;
    try_files /page.html =404;
}
location = /now { return 200 $msec; }
EOF2
}

# To so many seconds off the real time.
sub jump {
    my ($seconds) = @_;
    $site->write_file('clock.new', sprintf '%+d', $seconds);
    rename $site->dir . '/clock.new', $site->dir . '/clock';
    $offset = $seconds;
    wait_until(sub { abs($site->get('/now')->body - time - $seconds) < 2 })
        or die 'nginx has another clock';
}

my $cookie = 'app=s1; entitle=' . session(user => 'ada', version => 1, bind => ['s1']);
sub member {
    my $answer = $site->get('/member', Cookie => $cookie);
    return $answer->status . ' ' . $answer->header('X-Reason');
}
sub delivered {
    my ($user, $time) = @_;
    my $answer = $site->webhook(bought($user), time => $time);
    return $answer->status . ' ' . ($answer->json->{outcome} // $answer->json->{error});
}

my $HOUR = 3600;
my $DAY  = 24 * $HOUR;

ok warm($site), 'while the clock is right';
is member(), '200 ok', 'a session';
is delivered('u1', int time), '200 applied', 'an event';

# --- forwards ------------------------------------------------------------------

my $monitor = $redis->monitor;
jump($HOUR);
is seen($site), '1 HIT allow', 'a_jump_forwards_ends_no_lease' for 1 .. 5;
is scalar(grep { /"HGETALL" ".*\{u:ada\}"/ } $monitor->stop), 0, '  and asks nothing';
is member(), '200 ok', '  nor a session that is valid then';
is delivered('u2', int time), '400 timestamp_out_of_tolerance',
    'a_signature_goes_by_the_clock';
is delivered('u2', int time + $offset), '200 applied', '  as it is now';
put($site, 'ada', 2);
is seen($site), '2 MISS allow', 'changes_are_heard';

jump(13 * $HOUR);
is member(), '401 session_expired', 'a_session_ends_by_the_clock';
is seen($site), '2 HIT allow', '  and nothing else';
jump(31 * $DAY);
is seen($site), '2 HIT pay', 'a_paid_period_ends_by_the_clock_without_asking';

# --- and back ------------------------------------------------------------------

jump(0);
is seen($site), '2 HIT allow', 'a_jump_back_is_as_if_nothing_was';
is member(), '401 session_stale', '  to sessions, too: but the version has risen';

# What a worker remembers of a session (entitle_session_memory) held at times that
# are not there yet.
my $old = $cookie;
$cookie = 'app=s1; entitle=' . session(user => 'ada', version => 2, bind => ['s1']);
is member(), '200 ok', 'a session of now' for 1 .. 3;
my $fresh = $cookie;
$cookie = 'app=s2; entitle=' . session(user => 'pia', version => 1, bind => ['s2'],
    iat => int(time) - 2 * $DAY, exp => int(time) + 10 * $DAY);
put_record($redis, 'pia', version => 1, subscription('active',
    pause_collection => 'void', resumes_at => int(time) + $HOUR));
is member(), '402 collection_paused', 'a collection that is paused';
jump(2 * $HOUR);
is member(), '200 ok', '  and has resumed' for 1 .. 3;
jump(0);
is member(), '402 collection_paused', '  is_paused_again_when_the_clock_is_set_back';
jump(-$DAY);
$cookie = $fresh;
is member(), '401 session_invalid', '  and_a_session_is_one_of_later';
$cookie = $old;
is seen($site), '2 HIT allow', 'a_jump_back_ends_no_lease';
is delivered('u3', int time), '400 timestamp_out_of_tolerance', '  but refuses what is signed later';
put($site, 'ada', 3);
is seen($site), '3 MISS allow', '  and changes are heard';

# --- while Redis hangs ----------------------------------------------------------

for my $to (-2 * $DAY, $DAY) {
    my $word = $to < 0 ? 'back' : 'forwards';
    ok warm($site), 'warm';
    $redis->freeze;
    my $frozen = time;
    jump($to);
    is $site->get('/paid?user=mia')->status, 503, "a clock set $word: who is not known waits";
    cmp_ok time - $frozen, '<', 3 * patience(), '  for a time-out, no longer';
    ok wait_until(sub { seen($site) eq '3 STALE allow_stale' }, 3), 'the_lease_ends_all_the_same';
    cmp_ok time - $frozen, '<', 3 * patience(), '  in its time';
    ok wait_until(sub { $site->get('/paid?user=ada')->status == 503 }, 5),
        'and_so_does_what_is_stale';
    cmp_ok time - $frozen, '>', 2, '  in its time';
    $redis->thaw;
    ok wait_until(sub { seen($site) =~ / allow$/ }), 'all is well again';
}

$site->expect_log(qr/redis "\S+" is unreachable|timestamp_out_of_tolerance/);
done_testing;
