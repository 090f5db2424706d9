# entitle_wait: whoever comes back from the checkout before the webhook does is
# held until it is there. Nobody is held for nothing, nobody longer than said,
# and nobody by what is another's.
#
# ENTITLE_LONG: wait 5 s instead of 3 s while Redis' commands are counted.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(max sum);
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

my $VERSION = 1_767_000_000_000;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $app   = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { body => "read $r->{body}" } if $r->{uri} =~ m{^/app};
    return { delay => 0.5, headers => ['X-Accel-Redirect' => $1] } if $r->{uri} =~ m{^/via\?to=(.*)};
    my ($user, $renewed) = split /\./, $r->{cookies}{app} // '';
    return { status => 401 } if !$user;
    return { status => 204, headers => ['X-User' => $user,
        $renewed ? ('Set-Cookie' => "app=$user.renewed") : ()] };
});
$site->write_file('html/page', 'page');

sub configuration {
    my (%o) = @_;
    my $limit = $o{limit} // '512 per=512';
    return <<"EOT";
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_lease 1s;
entitle_grant pro prod_Pro prod_FxPRO000001;
entitle_wait_limit $limit;
set_real_ip_from 127.0.0.1;
real_ip_header X-Real-IP;
limit_req_zone \$server_port zone=held:64k rate=1r/m;
%%SESSIONS%%
map \$arg_user \$known { default \$arg_user; }
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    %%WEBHOOK%%
    location /known {
        entitle_trusted_user \$known;
        entitle_require pro;
        entitle_wait 10s;
        add_header X-Seen "\$entitle_version \$entitle_decision" always;
        try_files /page =404;
        location = /known/short { entitle_wait 300ms; try_files /page =404; }
        location = /known/never { entitle_wait off;   try_files /page =404; }
        location = /known/optional { entitle optional; try_files /page =404; }
        location = /known/via {
            entitle optional;
            proxy_pass http://127.0.0.1:${\$app->port}/via?to=/known/behind?user=\$known;
        }
        location = /known/behind { internal; try_files /page =404; }
        location = /known/app   { proxy_pass http://127.0.0.1:${\$app->port}/app; }
    }
    location = /welcome {
        entitle_trusted_user \$known;
        entitle_require pro;
        entitle_wait 10s if=\$arg_session_id;
        error_page 402 = /known/short?user=\$known;
        try_files /page =404;
    }
    location / {
        %%REAUTH%%
        entitle_login_url /login;
        entitle_require pro;
        entitle_wait 10s;
        location = /page { }
        location = /any/allowed { satisfy any; allow all; try_files /page =404; }
        location = /any/gated { satisfy any; deny all; try_files /page =404; }
    }
    location = /whoami { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
    location = /plain { limit_req zone=held burst=1000; log_not_found off; }
}
EOT
}
$site->start(configuration());

my $serial = 0;

# Somebody Redis knows nothing of, nor any cache.
sub newcomer { return 'user' . ++$serial }
sub pays {
    my ($user, $version) = @_;
    my %fields = (version => $version // $VERSION, subscription('active'));
    $redis->command('HSET', "entitle:test:{u:$user}", %fields);
}
sub start_request {
    my ($uri, %r) = @_;
    return $site->connect->send(uri => $uri, %r);
}
sub visit { my ($user, $where) = @_; return start_request("/known$where?user=$user") }
sub cookies {
    my ($user, %o) = @_;
    return (Cookie => "app=$user; entitle=" . session(user => $user,
        version => $o{version} // 0, bind => [$user]));
}
sub statuses { return join ' ', map { $_->receive->status } @_ }
sub waits    { return !$_[0]->readable($_[1] // 0.1) }
sub workers_gone { my (@pids) = @_; return wait_until(sub { !grep { kill 0, $_ } @pids }) }

# Seconds until the answer after something was done.
sub seconds { my ($begin) = @_; return time - $begin }

# Until every worker hears what changes.
sub listens {
    my ($at) = @_;
    return wait_until(sub {
        $at->get('/known/never?user=nobody') for 1 .. 4;
        my %hears = map { $_ => 1 } $at->log =~ /(\d+)#\d+: entitle: Redis says what changes/g;
        !grep { !$hears{$_} } $at->worker_pids;
    });
}
ok listens($site), 'Redis says what changes';

# --- the webhook comes ---------------------------------------------------------

{
    my @late;
    for my $letter ('A' .. 'J') {
        my $user = newcomer();
        my $held = visit($user, '');
        ok waits($held, 0.05), 'who_has_not_paid_yet_is_held';
        my $said = $site->webhook(event_json('customer.subscription.created.active',
            user => $user, customer => $letter));
        my $begin = time;
        is $said->json->{outcome}, 'applied', 'the webhook comes';
        my $answer = $held->receive;
        push @late, seconds($begin);
        is $answer->status, 200, 'who_waits_for_the_webhook_is_let_in';
        like $answer->header('X-Seen'), qr/^\d{13} allow$/, 'by the new record';
        unlike $answer->header('Cache-Control'), qr/^$/, 'as ever';
    }
    diag sprintf 'let in %.1f ms after the webhook was answered, %.1f at worst',
        1000 * sum(@late) / @late, 1000 * max(@late);
    cmp_ok((sort { $a <=> $b } @late)[4], '<', 0.1 * patience(), 'within milliseconds');
    like $site->log, qr/\[info\] .*entitle: waited \d+ ms: allow/, 'and the log says how long';
}

# --- the time is up ------------------------------------------------------------

{
    my $user = newcomer();
    my $begin = time;
    my $answer = visit($user, '/short')->receive;
    is $answer->status, 402, 'when_the_time_is_up_it_is_as_ever';
    is $answer->json->{reason}, 'not_entitled', 'with the reason';
    cmp_ok seconds($begin), '>=', 0.3, 'not before';
    cmp_ok seconds($begin), '<', 2 * patience(), 'and not much later';

    $begin = time;
    is visit($user, '/never')->receive->status, 402, 'off_does_not_wait';
    is visit($user, '/optional')->receive->status, 200, 'nor_does_who_passes_anyhow';
    is start_request('/known')->receive->status, 401, 'nor_does_a_guest';
    pays($user);
    is visit($user, '')->receive->status, 200, 'nor_does_who_has_paid';
    cmp_ok seconds($begin), '<', 1 * patience(), 'all at once';
}

# --- if= -----------------------------------------------------------------------

{
    my $user = newcomer();
    my $begin = time;
    is start_request("/welcome?user=$user&$_")->receive->status, 402, "nobody_waits_if=$_"
        for '', 'session_id=', 'session_id=0';
    cmp_ok seconds($begin), '<', 2.5 * patience(), 'but for the page it is sent to';
    my $held = start_request("/welcome?user=$user&session_id=cs_test_1");
    ok waits($held, 0.5), 'who_comes_from_the_checkout_waits';
    pays($user);
    is $held->receive->status, 200, 'and is let in';
}

# --- nobody else's record ------------------------------------------------------

{
    my ($ada, $bob) = (newcomer(), newcomer());
    my @held = (visit($ada, ''), visit($bob, ''));
    ok waits($held[0]), 'two wait';
    my $monitor = $redis->monitor;
    pays($ada);
    is $held[0]->receive->status, 200, 'one is let in';
    ok waits($held[1], 0.3), 'the_other_goes_on_waiting';
    is scalar(grep { /HGETALL.*\{u:$bob\}/ } $monitor->stop), 0, 'without a look';
    $redis->command('HSET', "entitle:test:{u:$bob}", version => $VERSION,
        subscription('incomplete'));
    ok waits($held[1], 0.3), 'a_change_that_gives_nothing_lets_nobody_in';
    pays($bob, $VERSION + 1);
    is $held[1]->receive->status, 200, 'until he has paid as well';

    my @all = map { visit(newcomer(), '/short') } 1 .. 3;
    ok waits($_, 0.02), 'held' for @all;
    $redis->command('FLUSHALL');
    is statuses(@all), '402 402 402', 'a_flush_lets_nobody_in';
}

# --- nothing is lost between the look and the waiting ---------------------------

{
    my ($lost, @late) = (0);
    for my $n (1 .. 100) {
        my $user = newcomer();
        my $held = $site->connect;
        $held->send(uri => "/known?user=$user");
        sleep 0.0001 * ($n % 30);
        pays($user);
        my $begin = time;
        $held->receive->status == 200 or $lost++;
        push @late, seconds($begin);
    }
    is $lost, 0, 'no_purchase_is_lost_whenever_it_comes';
    cmp_ok max(@late), '<', 0.9 * patience(), 'nor noticed by a later look';

    # The record was looked at before the app was asked; it is bought while the
    # app answers, and only then does the request come to where it has to wait.
    my $user = newcomer();
    my $held = visit($user, '/via');
    $app->wait_for(1, '/via');
    pays($user);
    my $begin = time;
    is $held->receive->status, 200, 'a_change_between_the_look_and_the_waiting_is_seen';
    cmp_ok seconds($begin), '<', 5, 'and not by chance';
}

# --- what it weighs ------------------------------------------------------------------

# Beside requests that plain nginx holds: what a fresh worker's memory grows by.
if (!$ENV{ENTITLE_VALGRIND} && !Test::Entitle::sanitizer_environment()) {
    my $grown_by = sub {
        my ($uri) = @_;
        $site->reload;
        my ($worker) = $site->worker_pids;
        my $memory = sub {
            open my $in, '<', "/proc/$worker/smaps_rollup" or die "smaps_rollup: $!";
            return 1024 * (join('', <$in>) =~ /^Private_Dirty:\s+(\d+)/m)[0];
        };
        my @first = map { start_request("$uri?user=" . newcomer()) } 1 .. 20;
        ok waits($first[-1]), "$uri is held";
        my $before = $memory->();
        my @held = map { start_request("$uri?user=" . newcomer()) } 1 .. 300;
        ok waits($held[-1], 0.3), 'and again';
        my $each = ($memory->() - $before) / @held;
        $_->reset for @first, @held;
        return $each;
    };
    my $beyond = -$grown_by->('/plain') + $grown_by->('/known');
    diag sprintf 'who waits weighs %.0f bytes beyond a request of nginx', $beyond;
    cmp_ok $beyond, '<', 1024, 'who_waits_weighs_less_than_1_KiB';
    ok listens($site), 'Redis says what changes';
}

# --- what waiting costs ----------------------------------------------------------

{
    my $time = $ENV{ENTITLE_LONG} ? 5 : 3;
    my @held = map { visit(newcomer(), '') } 1 .. 100;
    ok waits($held[-1], 0.3), 'a hundred wait';
    my $monitor = $redis->monitor;
    sleep $time;
    # Of no user the worker asks as ever: heartbeats, and the list of what opens nothing.
    my @asked = grep { /\{u:[^}]/ } $monitor->stop;
    is scalar(@asked), 0, "a_hundred_who_wait_for_$time s_ask_Redis_nothing" or diag "@asked[0 .. 3]";
    ok !(grep { $_->readable(0) } @held), 'and all of them still wait';
    $_->close for @held;
}

# --- nobody takes it all ------------------------------------------------------------

{
    my @old = $site->worker_pids;
    $site->reload(configuration(limit => '9 per=2'));
    workers_gone(@old);
    my $from = sub {
        my ($user, $address) = @_;
        return $site->connect->send(uri => "/known?user=$user", headers => ['X-Real-IP' => $address]);
    };
    my $user = newcomer();
    my @held = map { $from->($user, "192.0.2.$_") } 1 .. 2;
    ok waits($held[-1], 0.3), 'two of one user wait';
    is $from->($user, '192.0.2.3')->receive->status, 402, 'one_user_holds_no_more';
    push @held, map { $from->(newcomer(), '198.51.100.7') } 1 .. 2;
    ok waits($held[-1], 0.3), 'two of one address, too';
    is $from->(newcomer(), '198.51.100.7')->receive->status, 402, 'one_address_holds_no_more';
    push @held, map { $from->(newcomer(), "2001:db8:1:2::$_") } 1 .. 2;
    ok waits($held[-1], 0.3), 'and two of one network of IPv6';
    is $from->(newcomer(), '2001:db8:1:2:ffff::1')->receive->status, 402, '  which is one customer';
    push @held, $from->(newcomer(), '2001:db8:1:3::1');
    ok waits($held[-1], 0.3), '  another is another';
    like $site->log, qr/\[warn\] .*2 requests of one user wait, as many as "entitle_wait_limit"/, 'which is said';
    my $left = pop @held;
    $_->close for $left, splice @held, 2, 1;
    my $next;
    ok wait_until(sub { $next = $from->(newcomer(), '198.51.100.7'); waits($next, 0.1) }, 5),
        'who_leaves_makes_room_for_one_of_the_same_address';
    $_->close for @held, $next;
}

# --- clients that leave, and the limit --------------------------------------------

{
    my @old = $site->worker_pids;
    $site->reload(configuration(limit => 3));
    workers_gone(@old);
    my @held = map { visit(newcomer(), '') } 1 .. 3;
    ok waits($held[-1], 0.3), 'as many wait as may';
    is visit(newcomer(), '')->receive->status, 402, 'one_more_is_answered_at_once' for 1 .. 3;
    is scalar(() = $site->log =~ /\[warn\] .*3 requests wait, as many as "entitle_wait_limit"/g), 1,
        'which is said once';
    $held[0]->close;
    $held[1]->reset;
    my $next;
    ok wait_until(sub {
        $next = visit(newcomer(), '');
        waits($next, 0.1);
    }, 5), 'who_leaves_makes_room_at_once';
    $_->close for $held[2], $next;
    my $user = newcomer();
    ok wait_until(sub {
        system("curl -s -m 0.3 --http2-prior-knowledge 'http://127.0.0.1:${\$site->port(2)}/known?user=$user' >/dev/null") >> 8 == 28;
    }, 5), 'a stream of HTTP/2 that is given up' for 1 .. 4;
    @old = $site->worker_pids;
    $site->reload(configuration());
    workers_gone(@old);
    ok listens($site), 'Redis says what changes';
}

# --- other ways to ask --------------------------------------------------------------

{
    my $user = newcomer();
    my $post = start_request("/known/app?user=$user", method => 'POST', body => 'x' x 20000);
    my $slow = start_request("/known/app?user=$user", method => 'POST', body => 'some');
    open my $http2, '-|', 'curl', '-s', '-m', '15', '--http2-prior-knowledge',
        "http://127.0.0.1:${\$site->port(2)}/known?user=$user" or die "curl: $!";
    ok waits($post), 'a POST is held';
    pays($user);
    is $post->receive->body, 'read ' . 'x' x 20000, 'and_its_body_reaches_the_app';
    is $slow->receive->body, 'read some', 'whole';
    is scalar(<$http2>), 'page', 'HTTP/2 is held as well';
    close $http2;

    $user = newcomer();
    is start_request('/any/allowed', headers => [cookies($user)])->receive->status, 200,
        'satisfy_any_does_not_wait_for_who_is_let_in_otherwise';
    my $held = start_request('/any/gated', headers => [cookies($user)]);
    ok waits($held), 'and holds who is not';
    pays($user);
    is $held->receive->status, 200, 'until he is let in';
}

# --- the session ------------------------------------------------------------------

{
    my $begin = time;
    is start_request('/page', headers => [Accept => 'text/html'])->receive->status, 302,
        'a_guest_from_the_checkout_is_sent_to_the_login_at_once';
    cmp_ok seconds($begin), '<', 2 * patience(), 'at once';

    # Known by a session of ours; then only by the app's; then by an app that
    # renews its cookie whenever it is asked.
    my %known = (
        session => sub { cookies($_[0]) },
        app     => sub { (Cookie => "app=$_[0]") },
        renewed => sub { (Cookie => "app=$_[0].1") },
    );
    for my $kind (sort keys %known) {
        my $user = newcomer();
        my $held = start_request('/page', headers => [$known{$kind}->($user)]);
        ok waits($held), "held, known by $kind";
        $app->forget;
        pays($user);
        my $answer = $held->receive;
        is $answer->status, 200, 'let in';
        my %set = $answer->cookies;
        my ($payload) = map { decode_base64url((split /\./)[1]) } $set{entitle} // '..';
        is scalar(my @asked = $app->seen('/whoami')), $kind eq 'renewed' ? 0 : 1,
            'the app was asked who it is under the new version';
        next if $kind eq 'renewed';
        like $payload, qr/"sv":$VERSION,/, 'and_the_cookie_is_of_that_version';
        $app->forget;
        is start_request('/page', headers => [Cookie => "app=$user; entitle=$set{entitle}"])
            ->receive->status, 200, 'so that the next request';
        is scalar(@asked = $app->seen), 0, 'asks nobody';
    }

    my $user = newcomer();
    my $held = start_request('/page', headers => [cookies($user)]);
    ok waits($held), 'held';
    $redis->command('HSET', "entitle:test:{u:$user}", version => $VERSION,
        not_before => int(time) + 1, subscription('active'));
    is $held->receive->status, 200, 'logged_out_everywhere_the_app_decides';
}

# --- Redis goes, the worker goes ------------------------------------------------------

{
    my @users = map { newcomer() } 1 .. 3;
    my @held = map { visit($_, '') } @users;
    ok waits($held[-1]), 'held';
    my @old = $site->worker_pids;
    my $begin = time;
    $site->nginx->signal('HUP');
    is statuses(@held), '402 402 402', 'a_reload_answers_who_waits';
    cmp_ok seconds($begin), '<', 3 * patience(), 'at once';
    ok workers_gone(@old), 'and the old worker goes';
    ok listens($site), 'Redis says what changes';

    # Cut off: what happens meanwhile is seen when it is back.
    my $user = newcomer();
    my $held = visit($user, '');
    ok waits($held), 'held';
    for my $line (split /\n/, $redis->command('CLIENT', 'LIST')) {
        my ($id) = $line =~ /^id=(\d+) .*\bcmd=(?:subscribe|ping|hgetall|info)\b/ or next;
        eval { $redis->command('CLIENT', 'KILL', 'ID', $id) };
    }
    pays($user);
    is $held->receive->status, 200, 'a_cut_connection_hides_no_purchase';

    # Nobody may listen: a look a second.
    $redis->command('ACL', 'SETUSER', 'default', '-subscribe');
    @old = $site->worker_pids;
    $site->reload;
    workers_gone(@old);
    $user = newcomer();
    $held = visit($user, '');
    ok $site->wait_for_log(qr/Redis does not say what changes/), 'nobody may listen';
    my $monitor = $redis->monitor;
    ok waits($held, 0.5), 'held';
    pays($user);
    $begin = time;
    is $held->receive->status, 200, 'where_Redis_does_not_say_what_changes_who_has_paid_is_let_in';
    cmp_ok seconds($begin), '<', 3 * patience(), 'soon';
    my $looks = grep { /HGETALL.*\{u:$user\}/ } $monitor->stop;
    cmp_ok $looks, '<=', 6, 'after a look a second';
    $redis->command('ACL', 'SETUSER', 'default', '+subscribe');
}

# --- two workers ------------------------------------------------------------------------

{
    my $two = Test::Entitle->new(workers => 2);
    $two->{ports}{REDIS} = $redis->port;
    $two->write_file('html/page', 'page');
    $two->start(configuration());
    ok listens($two), 'both workers hear what changes';
    my $user = newcomer();
    my @held = map { $two->connect->send(uri => "/known?user=$user") } 1 .. 20;
    my @others = map { $two->connect->send(uri => '/known?user=' . newcomer()) } 1 .. 5;
    ok waits($held[-1], 0.3), 'held by two workers';
    my $begin = time;
    pays($user);
    is statuses(@held), '200 ' x 19 . 200, 'each_worker_lets_in_its_own';
    cmp_ok seconds($begin), '<', 0.9 * patience(), 'at once';
    ok !(grep { $_->readable(0) } @others), 'and nobody else';
    $two->nginx->signal('QUIT');
    is statuses(@others), '402 402 402 402 402', 'told_to_quit_they_answer_who_waits';
    ok wait_until(sub { !$two->nginx->running }), 'and end';
}

done_testing;
