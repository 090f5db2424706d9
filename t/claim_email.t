# Who bought as a guest is in with their first login: what waits under the
# e-mail the app vouches for becomes theirs, before anybody is decided about.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use JSON::PP ();
use Time::HiRes qw(sleep);

my $site = Test::Entitle->new;
my $redis = $site->redis;

# The app's cookie is app=<user>,<e-mail>
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my ($user, $email, $more) = split /,/, $r->{cookies}{app} // '';
    return { status => 401 } if !defined $user;
    return { body => JSON::PP::encode_json({ id => $user, profile => { email => $email } }) }
        if $r->{uri} eq '/json';
    return { status => 204, headers => ['X-User' => $user,
        defined $email ? ('X-Email' => $email) : (), $more ? ('X-Email' => $more) : ()],
        delay => $user =~ /^slow/ ? 0.3 : 0 };
});
my $port = $app->port;
$site->write_file('html/index.html', 'the lesson');
$site->start(<<"EOT2");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_grant pro prod_FxPRO000001 price_1FxPRO0000000000000001;
%%SESSIONS%%
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /live-webhook { entitle_webhook live; entitle_webhook_secret_file %%SECRET%%; }

    %%REAUTH%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:$port/whoami; }
    location = /whoami-json { internal; proxy_pass http://127.0.0.1:$port/json; }

    add_header X-Why \$entitle_reason always;
    add_header X-Version \$entitle_version always;
    location /off/ { alias %%DIR%%/html/; entitle_require pro; }
    location /open/ { alias %%DIR%%/html/; entitle on; }
    location /pro/ { alias %%DIR%%/html/; entitle_require pro; entitle_claim_email header=X-Email; 
        location /pro/not/ { alias %%DIR%%/html/; entitle_claim_email off; } }
    location /json/ {
        alias %%DIR%%/html/;
        entitle_require pro;
        entitle_reauth /whoami-json;
        entitle_reauth_user json=/id;
        entitle_claim_email json=/profile/email;
    }
    location /mixed/ {
        alias %%DIR%%/html/;
        entitle_require pro;
        entitle_reauth /whoami-json;
        entitle_reauth_user json=/id;
        entitle_claim_email header=X-Email;
    }
}
EOT2

sub enter {
    my ($app, $uri, @headers) = @_;
    return $site->get($uri // '/pro/', Cookie => "app=$app", @headers);
}
# A subscription bought by nobody we know, under an e-mail.
my $n = 0;
sub guest_buys {
    my ($email, %more) = @_;
    my $letter = ('A' .. 'Z')[$n++];
    my $uri = delete $more{uri} // '/webhook';
    my @live = $uri eq '/webhook' ? () : (livemode => JSON::PP::true);
    my $user = delete $more{user};
    my %of = (customer => $letter, @live, %more, defined $user ? (user => $user) : ());
    my @nobody = defined $user ? () : ('data.object.metadata' => {});
    my $session = event_json('checkout.session.completed.subscription', %of, @nobody,
        defined $user ? () : ('data.object.client_reference_id' => undef),
        'data.object.customer_details.email' => $email);
    my $subscription = event_json('customer.subscription.created.active', %of, @nobody);
    $site->webhook($session, uri => $uri);
    my $answer = $site->webhook($subscription, uri => $uri);
    my $customer = JSON::PP::decode_json($session)->{data}{object}{customer};
    return ($answer, $customer);
}
sub parked { my %all = map { $_ => 1 } @{ $redis->command('ZRANGE', 'entitle:test:parked', 0, -1) };
    return $all{ $_[0] } // 0 }
sub record { return { @{ $redis->command('HGETALL', "entitle:test:{u:$_[0]}") } } }

# --- the first login ---------------------------------------------------------

my ($answer, $customer) = guest_buys('Ada@Example.com');
is $answer->status, 202, 'a_guest_buys';
is $answer->json->{outcome}, 'parked', 'and it waits';
ok parked($customer), 'where an operator sees it';

is enter('nobody')->status, 402, 'without_an_e-mail_nothing_is_claimed';
is enter('eve,eve@example.com')->status, 402, 'nor with another one';
is enter('eve,eve@example.com', '/pro/', 'X-Email' => 'ada@example.com')->status, 402,
    'nor with what the client says';
is enter('eve,eve@example.com,ada@example.com')->status, 402, 'nor with two';
is enter("eve,$_")->status, 402, "nor with \"$_\"" for '*', 'ada@example.com x', 'ada';
is enter('ada,ada@example.com', '/off/')->status, 402, 'off_by_default';
is enter('ada,ada@example.com', '/pro/not/')->status, 402, 'or where it is switched off';
ok parked($customer), 'and it waits still';

$answer = enter('ada,aDA@example.COM');
is $answer->status, 200, 'the_first_login_with_the_e-mail_opens';
my %cookies = $answer->cookies;
ok !parked($customer), 'and nothing waits any more';
my $record = record('ada');
is $record->{"place:$customer"}, '1 live', 'it is the users now';
is $answer->header('X-Version'), $record->{version}, 'at its newest version';
my ($line) = @{ $redis->command('LRANGE', 'entitle:test:{u:ada}:log', 0, 0) };
like $line, qr/"type":"email_claim".*"place":"$customer"/, 'and the log says how';
like $site->log, qr/"$customer" is user "ada"'s, by e-mail/, 'and so does nginx';

$app->forget;
is enter("ada,aDA\@example.COM; entitle=$cookies{entitle}")->status, 200, 'the new cookie';
is scalar(my @none = $app->seen), 0, 'covers_what_was_claimed';

# --- again, and others -------------------------------------------------------

$redis->command('CONFIG', 'RESETSTAT');
is enter('ada,ada@example.com')->status, 200, 'another login';
my $stats = $redis->command('INFO', 'commandstats');
unlike $stats, qr/cmdstat_(?:exec|hset|watch)\b/, 'writes_nothing';
is record('ada')->{version}, $record->{version}, 'and changes nothing';
is enter('eve,ada@example.com')->status, 402, 'a_second_user_of_the_e-mail_takes_nothing';
is enter('ada,ada@example.com')->status, 200, 'from the first';

# A session that the claim makes stale is renewed with the same answer.
is enter('bea,bea@example.com', '/open/')->status, 200, 'a user without a purchase';
my $bea = enter('bea,bea@example.com');
is $bea->status, 402, 'is asked to pay';
my (undef, $first) = guest_buys('bea@example.com');
is enter('bea,bea@example.com')->status, 200, 'one purchase';
my $before = record('bea')->{version};
my (undef, $second) = guest_buys('bea@example.com');
my (undef, $third)  = guest_buys('BEA@example.com');
is enter('bea,bea@example.com')->status, 200, 'and two more';
is record('bea')->{"place:$_"}, '1 live', 'are all claimed' for $first, $second, $third;

my ($bought) = guest_buys('carl@example.com', user => 'carl');
is $bought->json->{outcome}, 'applied', 'who said who they are at the checkout';
is enter('dora,carl@example.com')->status, 402, 'keeps_it: an_explicit_claim_wins';
is enter('carl,x@example.com')->status, 200, 'whatever their e-mail is now';

# --- in JSON -----------------------------------------------------------------

guest_buys('joe@example.com');
is enter('joe,joe@example.com', '/mixed/')->status, 402, 'no such header';
is enter('joe,Joe@Example.com', '/json/')->status, 200, 'the_e-mail_may_stand_in_JSON';

# --- many at once ------------------------------------------------------------

guest_buys('slow@example.com');
$app->forget;
{
    my @all = map { $site->connect->send(uri => '/pro/',
        headers => [Cookie => 'app=slow,slow@example.com']) } 1 .. 30;
    is scalar(grep { $_->receive->status == 200 } @all), 30, 'thirty_requests_of_one_login_pass';
    is scalar(my @seen = $app->seen), 1, 'with one question';
    is scalar(@{ $redis->command('LRANGE', 'entitle:test:{u:slow}:log', 0, -1) }), 1,
        'and one claim';
}
guest_buys('slow2@example.com');
{
    my ($first, $then) = map { $site->connect->send(uri => '/pro/',
        headers => [Cookie => 'app=slow2,slow2@example.com']) } 1 .. 2;
    $app->wait_for(2);
    $first->close;
    is $then->receive->status, 200, 'who_comes_after_one_that_left_is_let_in';
}

# --- the other mode ----------------------------------------------------------

guest_buys('liv@example.com', uri => '/live-webhook');
is enter('liv,liv@example.com')->status, 402, 'a_gate_of_test_mode_claims_nothing_that_is_live';
is $redis->command('EXISTS', 'entitle:live:{u:liv}'), 0, 'nor does anybody else';

# --- Redis has its days ------------------------------------------------------

$site->expect_log(qr/e-mail of "ida" is not claimed, until the next time: OOM/);
guest_buys('ida@example.com');
$redis->command('CONFIG', 'SET', 'maxmemory', 1);
is enter('ida,ida@example.com', '/pro/')->status, 402, 'a_Redis_that_refuses_to_write';
is enter('ida', '/open/')->status, 200, 'keeps nobody from logging in';
$redis->command('CONFIG', 'SET', 'maxmemory', 0);
is enter('ida,ida@example.com')->status, 200, 'the_next_login_tries_again';

# --- configuration -----------------------------------------------------------

my $check = Test::Entitle->new;
for my $value (qw(X-Email header= json=email header=X-Email;entitle_claim_email$IFS $email)) {
    my ($accepted, $said) = $check->config_test(
        "server { listen 127.0.0.1:%%PORT%%; location / { entitle_claim_email $value; } }");
    ok !$accepted, "\"$value\" is refused";
    like $said, qr/\[emerg\]/, '  with a reason';
}

# --- an e-mail that is corrected after somebody came with the wrong one -----------------

my (undef, $mistyped) = guest_buys('ron@example.com');
is enter('ron,ron@example.com')->status, 200, 'who has the mistyped address comes first';
$answer = $site->webhook(event_json('customer.updated.email', 'data.object.id' => $mistyped,
    'data.object.email' => 'roy@example.com', 'data.object.metadata' => {},
    'data.previous_attributes' => { email => 'ron@example.com' }));
is $answer->status, 200, 'the_correction_is_200';
like $site->log, qr/\[warn\].*what user "ron" claimed by its old e-mail stays theirs/,
    'a_correction_of_what_somebody_claimed_is_warned_of';
is $redis->command('ZSCORE', 'entitle:test:parked', $mistyped), undef, 'and is on no list';
is enter('ron,ron@example.com')->status, 200, 'who claimed it keeps it';
is enter('roy,roy@example.com')->status, 200, 'until_somebody_comes_with_the_new_one';

done_testing;
