# entitle_credit and entitle_meter: what a request takes, what the client and the app
# are told of it, what is given back, and what is refused.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::H2;
use Test::Entitle::Metered;
use Test::Entitle::Stripe qw(event_json);
use Time::HiRes qw(sleep time);

my $site  = Test::Entitle->new(workers => 1);
$site->expect_log(qr/connect\(\) failed .* upstream: "http:\/\/127.0.0.1:1\//);
my $redis = $site->redis;
my $app   = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my %h = map { /^(\w+)=(.*)$/ ? ($1 => $2) : () } split /&/, ($r->{uri} =~ /\?(.*)/ ? $1 : '');
    sleep($h{sleep}) if $h{sleep};
    return { status => $h{status} // 200, body => 'served',
        headers => [defined $h{told} ? ('X-Entitle-Cost' => $h{told}) : ()] };
});

my $locations = <<"EOT";
    location /each { entitle_meter api cost=\$cost refund=500,502,503,504; proxy_pass http://127.0.0.1:${\$app->port}; }
    location /block { entitle_meter api block=20; try_files /page =404; }
    location /dry { entitle_dry_run on; entitle_meter api cost=\$cost; try_files /page =404; }
    location /down { entitle_redis_down allow; entitle_meter api; try_files /page =404; }
    location /gone { entitle_meter api refund=502; proxy_pass http://127.0.0.1:1; }
    location /error { entitle_meter api refund=500; proxy_intercept_errors on; error_page 500 =200 /sorry; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /sorry { entitle off; return 200 "sorry"; }
    location /twice { entitle_meter api; try_files /none /block; }
    location /person { entitle_meter api; error_page 402 /buy; try_files /page =404; }
    location = /buy { entitle off; return 402 "buy some"; }
    location /free { entitle on; try_files /page =404; }
    location /inner/ { entitle_meter api; location /inner/off { entitle_meter off; try_files /page =404; }
        location /inner/on { try_files /page =404; } }
EOT
$site->write_file('html/page', 'page');
$site->write_file('webhook.secret', "whsec_test\n");
$site->start(metered_http($locations, server => 'listen 127.0.0.1:%%PORT2%% http2;')
    =~ s/(server \{)/keepalive_requests 100000; $1/r);

my ($serial, $user) = (0);
sub customer { $user = 'u' . ++$serial; pack_of($redis, $user, $_[0] // 1); return $user }
sub ask { my ($uri, @headers) = @_; return $site->get($uri . ($uri =~ /\?/ ? '&' : '?') . "user=$user", @headers) }
sub is_taken {
    my ($n, $name) = @_;
    my $ok = wait_until(sub { taken($redis, $user) == $n }, 5);
    is taken($redis, $user), $n, $name;
    return $ok;
}

# --- one by one -------------------------------------------------------------------

customer();
{
    my $answer = ask('/each');
    is $answer->status, 200, 'a_metered_request_is_served';
    is $answer->header('RateLimit-Policy'), '"api";q=1000', '  and told of how much there is';
    is $answer->header('RateLimit'), '"api";r=999', '  and what is left';
    is $answer->header('X-Left'), 999, '  as the variable says';
    is taken($redis, $user), 1, '  and has taken one';
    is_deeply [header_of('X-Entitle-Credits')], [999], '  and the app is told';
    is ask('/each?cost=25')->header('X-Left'), 974, 'it_takes_what_it_costs';
    is taken($redis, $user), 26, '  of the counter';
    is ask('/each?cost=0')->status, 200, 'nothing_is_free';
    is taken($redis, $user), 26, '  and takes nothing';
    ask('/each', 'X-Entitle-Credits' => 999999, 'X_Entitle_Credits' => 5);
    is join('|', header_of('X-Entitle-Credits'), header_of('X_Entitle_Credits')), 973,
        'what_a_client_says_of_credits_is_removed';
    is taken($redis, $user), 27, '  and one is taken';
}

sub last_request { return ($app->seen)[-1] }
sub header_of { my ($name) = @_; return Test::Entitle::GateApp::header(last_request(), $name) }

for my $bad ('x', '-1', '1.5', '1e3', '9999999999999') {
    my $answer = ask("/each?cost=$bad");
    is $answer->status, 503, "a_cost_of_${bad}_is_refused";
    like $answer->body, qr/"reason":"cost_unknown"/, '  and says why';
}
$site->expect_log(qr/the cost ".*" of a request is no number of credits "api": refused/);
like $site->log, qr/\[error\].*the cost "x" of a request is no number of credits "api": refused/,
    '  and is logged';
is taken($redis, $user), 27, '  and takes nothing';

# --- none left --------------------------------------------------------------------

customer();
is ask('/each?cost=998')->status, 200, 'nearly all are taken';
{
    my $answer = ask('/each?cost=3');
    is $answer->status, 402, 'too_few_is_402';
    is $answer->header('Content-Type'), 'application/problem+json', '  as a problem';
    my $problem = $answer->json;
    is $problem->{reason}, 'credits_exhausted', '  with its reason';
    is_deeply $problem->{credits}, { name => 'api', cost => 3, left => 2 }, '  and how many there are';
    is $answer->header('RateLimit'), '"api";r=2', '  in the header, too';
    is taken($redis, $user), 998, '  and nothing is taken';
    is ask('/each?cost=2')->status, 200, 'what there is can be taken';
    is ask('/each')->status, 402, 'and then nothing';
    like $site->read_file('logs/metered.log'), qr{/each 402 $user pay credits_exhausted 0\n\z}, '  in the log';
    my $person = ask('/person', Accept => 'text/html', 'Sec-Fetch-Mode' => 'navigate');
    is $person->status . $person->body, '402buy some', 'a_person_sees_the_page_of_402';
    pack_of($redis, $user, 1);
    ok wait_until(sub { ask('/each')->status == 200 }, 3), 'what_is_bought_counts_at_once';
    is ask('/each')->header('RateLimit-Policy'), '"api";q=2000', '  and is told';
}
$user = 'nobody' . ++$serial;
is ask('/each')->status, 402, 'who_bought_nothing_has_none';
is $site->get('/each')->status, 401, 'nobody_is_asked_to_log_in_first';
customer(3);
is ask('/each')->header('RateLimit-Policy'), '"api";q=3000', 'three_packs_are_three_times_as_many';

# --- given back -------------------------------------------------------------------

customer();
for my $status (500, 502, 503, 504) {
    is ask("/each?status=$status")->status, $status, "the app answers $status";
    is ask('/free')->status, 200, '  (and something else)';
}
is ask('/each')->header('X-Left'), 999, 'what_failed_was_given_back';
is ask('/each?status=404')->header('X-Left'), 998, 'another_status_costs';
is ask('/each')->header('X-Left'), 997, '  and is not given back';
is ask('/gone')->status, 502, 'an app that is not there';
is ask('/error?status=500')->body, 'sorry', 'an error that error_page makes 200 of';
is ask('/each')->header('X-Left'), 996, 'were_given_back_both';
{
    my $client = $site->connect;
    $client->write("GET /each?user=$user&sleep=1&cost=100 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    ok wait_until(sub { taken($redis, $user) >= 100 }, 3), 'who is under way has taken';
    $client->reset;
    sleep 1.2;
    is ask('/each')->header('X-Left'), 995, 'who_was_never_answered_has_it_back';
}
is_taken(5, 'and what the worker holds is given back when it is idle');

# --- told by the app --------------------------------------------------------------

customer();
{
    my $answer = ask('/each?told=40');
    is $answer->header('X-Entitle-Cost'), undef, 'the_cost_the_app_tells_is_removed';
    is_taken(40, '  and taken');
    ask('/each?cost=100&told=10');
    is_taken(50, 'what_cost_less_is_given_back');
    ask('/each?cost=0&told=7');
    is_taken(57, 'what_was_free_until_it_was_told');
    ask('/each?told=many');
    is_taken(58, 'what_is_no_number_changes_nothing');
    ask('/each?told=5000');
    is_taken(1000, 'never_more_than_there_is');
    ask('/each?told=-1');
    is_taken(1000, '  nor less');
}
$site->expect_log(qr/"X-Entitle-Cost: .*" of the app is no number of credits/);
like $site->log, qr/\[warn\].*"$user" was answered what costs 4058 credits more than there are/,
    '  and is logged';

# --- blocks -----------------------------------------------------------------------

customer();
{
    my $before = commands();
    is ask('/block')->status, 200, 'with a block' for 1 .. 100;
    my $trips = commands() - $before;
    cmp_ok $trips, '<=', 10 + 3, "a hundred requests ask Redis $trips times";
    is ask('/block')->header('X-Left'), 899, '  and count exactly';
    is_taken(101, 'what is left of the block is given back');
}
sub commands { return ($redis->command('INFO', 'commandstats') =~ /cmdstat_incrby:calls=(\d+)/ ? $1 : 0)
    + ($redis->command('INFO', 'commandstats') =~ /cmdstat_hgetall:calls=(\d+)/ ? $1 : 0) }

# --- periods ----------------------------------------------------------------------

$user = 'u' . ++$serial;
my ($from, $until) = (int(time) - 1000, int(time) + 5000);
period_of($redis, $user, $from, $until);
{
    my $answer = ask('/each?cost=2');
    is $answer->header('RateLimit-Policy'), '"api";q=500;w=6000', 'a period is a window';
    like $answer->header('RateLimit'), qr/^"api";r=498;t=(?:49\d\d|5000)$/, '  that ends';
    is taken($redis, $user, $from), 2, '  with a counter of its own';
    cmp_ok $redis->command('TTL', "entitle:test:{u:$user}:used:api:$from"), '>', 45 * 86400, '  that goes';
    is ask('/each?cost=498')->status, 200, 'all of it';
    my $problem = ask('/each')->json;
    is $problem->{credits}{comes_back}, $until, 'a_refusal_says_when_they_come_back';
    pack_of($redis, $user, 1);
    ok wait_until(sub { ask('/each')->status == 200 }, 3), 'a_pack_goes_on_where_the_period_ends';
    is taken($redis, $user, $from), 500, '  which is used up';
    is_taken(1, '  and the pack is not') if taken($redis, $user) == 1;
    my $next = int(time) - 5;
    period_of($redis, $user, $next, $next + 6000);
    ok wait_until(sub { ask('/each'); taken($redis, $user, $next) > 0 }, 3), 'the_next_period_is_another';
}

# --- refunds ----------------------------------------------------------------------

{
    my $id = pack_of($redis, customer(), 1);
    is ask('/each')->header('RateLimit-Policy'), '"api";q=2000', 'two packs';
    $redis->command('HSET', "entitle:test:{u:$user}", version => 1_767_000_009_000,
        "source:pi_$id" => qq({"place":"cus_$user","refunds":[{"event":"evt_r","created":)
            . int(time) . qq(,"charge":"ch_1","full":true}]}));
    ok wait_until(sub { ask('/each')->header('RateLimit-Policy') eq '"api";q=1000' }, 3),
        'what_was_refunded_counts_no_more';
}

# --- a dry run, an inherited one, one that is led on ---------------------------------

customer();
is ask('/dry?cost=50')->status, 200, 'a dry run';
is taken($redis, $user), 0, '  takes_nothing';
is ask('/dry?cost=5000')->status, 200, '  and refuses nobody';
ok $site->wait_for_log(qr/dry run, let by: pay for "$user": credits_exhausted/), '  but says so';
is taken($redis, $user), 0, '  and takes nothing';
ask('/inner/off');
is taken($redis, $user), 0, 'off cancels what is above';
is ask('/inner/on')->header('X-Left'), 999, 'a meter is inherited';
is ask('/twice')->header('X-Left'), 998, 'one account of two locations is paid once';

# --- HTTP/2 -----------------------------------------------------------------------

{
    my $h2 = Test::Entitle::H2->new(port => $site->port(2));
    my @streams = map { $h2->get("/each?user=$user&cost=10") } 1 .. 20;
    $h2->wait_for($_, 'over') for @streams;
    is ask('/each?cost=1')->header('X-Left'), 797, 'streams_take_like_requests';
}

# --- Redis is away ----------------------------------------------------------------

customer();
is ask('/each')->status, 200, 'while Redis is there';
is ask('/down')->status, 200, '  likewise';
$redis->freeze;
is ask('/each')->status, 503, 'nobody_is_served_while_redis_is_silent';
is ask('/down')->status, 200, 'but_who_may_is_let_by' for 1 .. 3;
$redis->thaw;
# What Redis was asked for and did not answer is lost to the user.
is_taken(1 + 1 + 1 + 3, '  and_pays_later');
sleep 1.5;
is taken($redis, $user), 6, '  once';
$site->expect_log(qr/entitle: redis|cannot be counted|unreachable/);

# --- the worker goes --------------------------------------------------------------

customer();
ask('/block');
cmp_ok taken($redis, $user), '>', 1, 'a worker holds a block';
$site->reload;
is_taken(1, 'and_gives_it_back_when_it_goes');
ask('/block');
kill 'KILL', $site->worker_pids;
$site->expect_alert(qr/exited on signal 9/);
ok wait_until(sub { eval { ask('/block')->status == 200 } }, 5), 'after a kill';
cmp_ok taken($redis, $user), '<=', 1 + 20 + 20, '  no more is lost than a block';

# --- what nginx -t says ---------------------------------------------------------------

sub refused {
    my ($pattern, $http, $location, $name) = @_;
    my ($ok, $said) = Test::Entitle->new->config_test(<<"EOT");
map \$uri \$known { default ada; }
entitle_credit api price_1=10;
$http
server { entitle_trusted_user \$known; location / { $location } }
EOT
    ok !$ok, $name;
    like $said, $pattern, '  and says why';
    return;
}
refused(qr/"nonsense=5" in "entitle_credit".*like price_/, 'entitle_credit x nonsense=5;', '', 'a bad identifier');
refused(qr/"price_1" in "entitle_credit"/, 'entitle_credit x price_1;', '', 'no number');
refused(qr/"price_1=0" in "entitle_credit"/, 'entitle_credit x price_1=0;', '', 'none at all');
refused(qr/"per=month" in "entitle_credit".*per=period/, 'entitle_credit x price_1=5 per=month;', '', 'another per');
refused(qr/has a number for it already/, 'entitle_credit api price_1=5;', '', 'the same twice');
refused(qr/name of an account must be/, 'entitle_credit a:b price_1=5;', '', 'a name that is none');
refused(qr/no "entitle_credit other" in this server/, '', 'entitle_meter other;', 'an unknown account');
refused(qr/"entitle_meter" directive is duplicate/, '', 'entitle_meter api; entitle_meter api;', 'two meters');
refused(qr/cannot be trusted/, '', 'entitle_meter api cost=$arg_cost;', 'a cost of the client');
refused(qr/cannot be trusted/, '', 'entitle_meter api cost=$1;', 'a capture');
refused(qr/must be one \$variable/, '', 'entitle_meter api cost=5;', 'a cost that is no variable');
refused(qr/block must be a number/, '', 'entitle_meter api block=0;', 'no block');
refused(qr/statuses from 200 to 599/, '', 'entitle_meter api refund=5xx;', 'no statuses');
refused(qr/cost=\$variable, block=N or refund=/, '', 'entitle_meter api price=5;', 'another word');
refused(qr/whose credits it takes/, '', 'entitle optional; entitle_meter api;', 'nobody to take them of');

done_testing;
