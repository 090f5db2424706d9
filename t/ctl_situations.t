# Each way a site goes wrong, made on a real nginx and Redis: the tool names the
# very link that is broken and what mends it, in under a second; and
# docs/troubleshooting.md has that very list.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::Entitle;
use Test::Entitle::Ctl;
use Test::Entitle::Docs qw(page);
use Test::Entitle::FakeStripe;
use Test::Entitle::GateSession ();
use Test::Entitle::Situations qw(situations table);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

my $site  = Test::Entitle->new;
my $redis = $site->redis;
$site->start(<<'EOF_CONF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
%%SESSIONS%%
entitle_grant pro price_Pro metadata.plan=pro;
server {
    listen 127.0.0.1:%%PORT%%;
    server_name shop.test;
    client_max_body_size 1m;
    %%WEBHOOK%%
    location = /moved { return 308 /webhook; }
    location = /small { client_max_body_size 1k; entitle_webhook test; entitle_webhook_secret_file %%SECRET%%; }
    location = /rewrite { proxy_pass http://127.0.0.1:%%PORT%%/webhook; proxy_set_body "$request_body "; }
    location = /status { entitle_status; }
    location = /whoami { internal; if (-f %%DIR%%/broken) { return 500; } return 401; }
    location / { entitle_require pro; %%REAUTH%% }
}
EOF_CONF
my $stripe = Test::Entitle::FakeStripe->new($site, account => 1);
my $ctl    = Test::Entitle::Ctl->new;
my $base   = 'http://127.0.0.1:' . $site->port;
my @stripe = ('--stripe-api', $stripe->url, '--stripe-rate', 1000);
$ENV{STRIPE_API_KEY} = $Test::Entitle::FakeStripe::KEY;
my $running = $site->read_file('nginx.conf');
my $now     = time;
my $n       = 0;

# An answer comes in time: the machine may be busy, but not at every try.
sub ask {
    my (@words) = @_;
    my @all = (@words, '--config', "$site->{dir}/nginx.conf", $words[0] eq 'check' ? ('--url', "$base/webhook") : ());
    splice @all, -2 if grep { $_ eq '--url' } @words;
    my $said;
    for (1 .. 10) {
        $said = $ctl->run(@all, '--json');
        last if $said->{seconds} < 1;
        select undef, undef, undef, 0.3;
    }
    cmp_ok $said->{seconds}, '<', 1 * patience(), "... in under a second";
    my $json = eval { JSON::PP->new->utf8->decode($said->{out}) } // {};
    return { %$json, exit => $said->{exit}, text => $ctl->run(@all)->{out} };
}

sub session {
    my ($user, %change) = @_;
    $n++;
    my $plan = delete $change{plan} // 'pro';
    $site->webhook(event_json('checkout.session.completed.payment', user => $user,
        'id' => "evt_cs_$n", 'data.object.id' => "cs_$n", 'data.object.customer' => "cus_$n",
        'data.object.payment_intent' => "pi_$n", 'data.object.payment_link' => undef,
        'data.object.client_reference_id' => undef,
        'data.object.metadata' => { $user eq '' ? () : (userId => $user), plan => $plan }, %change));
    return $n;
}

sub subscription {
    my ($user, $price, %change) = @_;
    my $type = delete $change{type} // 'customer.subscription.created.active';
    my $number = delete $change{n} // ++$n;
    $site->webhook(event_json($type, user => $user, 'id' => delete $change{event} // "evt_sub_$number",
        'created' => delete $change{created} // $now - 1000, 'data.object.id' => "sub_$number",
        'data.object.customer' => "cus_$number", 'data.object.metadata' => { userId => $user },
        'data.object.items.data.0.price.id' => $price, 'data.object.items.data.0.price.product' => "prod_$number",
        'data.object.items.data.0.price.lookup_key' => undef, %change));
    return $number;
}

sub cookies {
    my ($user, $version, $bound, @others) = @_;
    my $session = Test::Entitle::GateSession::session(user => $user, version => $version, bind => [$bound]);
    return $site->write_file('cookies', join('; ', "Cookie: entitle=$session", @others) . "\n");
}
sub version { return $redis->command('HGET', "entitle:test:{u:$_[0]}", 'version') }

# What breaks the site, and what is asked then; what it returns is undone after.
my %break = (
    wrong_mode => sub {
        $site->webhook(event_json('invoice.paid', livemode => JSON::PP::true()));
        return ['why', 'ann'];
    },
    # These before anything was taken.
    wrong_secret => sub {
        my $body = event_json('invoice.paid');
        $site->request(method => 'POST', uri => '/webhook', body => $body,
            headers => ['Stripe-Signature' => signature($body, secret => 'whsec_other')]);
        return ['check'];
    },
    clock => sub {
        for (1 .. 2) {
            my $body = event_json('invoice.paid');
            $site->request(method => 'POST', uri => '/webhook', body => $body,
                headers => ['Stripe-Signature' => signature($body, time => time - 900)]);
        }
        return ['check'];
    },
    other_account => sub {
        ok wait_until(sub {
            $site->webhook(event_json('invoice.paid', account => 'acct_9'));
            return ($redis->command('HGET', 'entitle:test:webhook', 'last_refused_why') // '') eq 'account_not_allowed';
        }), 'it is noted';
        return ['why', 'ann'];
    },
    body_rewritten => sub { return ['check', '--ping', '--url', "$base/rewrite"] },
    too_large      => sub { return ['check', '--url', "$base/small"] },
    redirect       => sub { return ['check', '--url', "$base/moved"] },
    event_types    => sub {
        $n++;
        $site->webhook(event_json('checkout.session.completed.subscription', user => 'ivy', 'id' => "evt_cs_$n",
            'data.object.id' => "cs_$n", 'data.object.customer' => "cus_$n", 'data.object.subscription' => "sub_$n",
            'data.object.client_reference_id' => 'ivy', 'data.object.metadata' => { plan => 'pro' }));
        return ['why', 'ivy'];
    },
    lost => sub {
        $stripe->put('/v1/webhook_endpoints', { id => 'we_1', object => 'webhook_endpoint', url => "$base/webhook",
            status => 'enabled', livemode => JSON::PP::false(), api_version => undef, enabled_events => ['*'] });
        $stripe->put('/v1/events', JSON::PP::decode_json(event_json('customer.subscription.deleted', id => 'evt_lost', created => time - 900)));
        return ['check', '--stripe', @stripe];
    },
    nobody_named => sub { my $k = session(''); return ['why', "cus_$k"] },
    wrong_user   => sub { my $k = session('not-meant'); return ['why', "cs_$k"] },
    no_grant     => sub { subscription('dan', 'price_Other'); return ['why', 'dan'] },
    not_reloaded => sub {
        $site->write_file('nginx.conf', $running =~ s/(?=entitle_grant)/entitle_grant team price_Team; /r);
        return ['check'], sub { $site->write_file('nginx.conf', $running); utime 1, 1, "$site->{dir}/nginx.conf" };
    },
    refund => sub {
        my $k = session('eve');
        $site->webhook(event_json('charge.refunded.full', user => 'eve', 'id' => "evt_re_$k",
            'data.object.customer' => "cus_$k", 'data.object.payment_intent' => "pi_$k"));
        return ['why', 'eve'];
    },
    dispute => sub {
        my $k = session('fay');
        $site->webhook(event_json('charge.dispute.created', user => 'fay', 'id' => "evt_du_$k", 'data.object.payment_intent' => "pi_$k"));
        return ['why', 'fay'];
    },
    past_due => sub {
        my $old = $now - 40 * 86400;
        my $k = subscription('gil', 'price_Pro', created => $old);
        subscription('gil', 'price_Pro', n => $k, event => "evt_due_$k", created => $old + 1000, type => 'customer.subscription.updated.past_due');
        return ['why', 'gil'];
    },
    cancelled => sub {
        my $old = $now - 40 * 86400;
        my $k = subscription('hal', 'price_Pro', created => $old);
        subscription('hal', 'price_Pro', n => $k, event => "evt_del_$k", created => $old + 1000, type => 'customer.subscription.deleted',
            'data.object.canceled_at' => $old + 1000, 'data.object.ended_at' => $old + 1000);
        return ['why', 'hal'];
    },
    stale => sub {
        session('kim');
        return ['why', 'kim', '--cookie', cookies('kim', version('kim') - 1, 'A', 'app=A')];
    },
    not_bound => sub {
        session('lou');
        return ['why', 'lou', '--cookie', cookies('lou', version('lou'), 'A', 'theme=dark')];
    },
    app_fails => sub {
        $site->write_file('broken', '');
        return ['check'], sub { unlink "$site->{dir}/broken" };
    },
    read_only => sub {
        $redis->command('REPLICAOF', '127.0.0.1', 1);
        return ['check'], sub { $redis->command('REPLICAOF', 'NO', 'ONE') };
    },
    full => sub {
        $redis->command('CONFIG', 'SET', 'maxmemory', 1);
        return ['check'], sub { $redis->command('CONFIG', 'SET', 'maxmemory', 0) };
    },
    other_prefix => sub {
        $redis->command('HSET', 'shop:test:{u:yan}', 'version', 1767225600123);
        return ['why', 'yan'];
    },
    two_owners => sub {
        my $k = subscription('jo', 'price_Pro');
        $site->webhook(event_json('customer.subscription.created.active', user => 'kay', 'id' => "evt_kay", 'created' => $now - 900,
            'data.object.id' => 'sub_kay', 'data.object.customer' => "cus_$k", 'data.object.metadata' => { userId => 'kay' }));
        return ['why', "cus_$k"];
    },
    ignored => sub {
        session('mia', plan => 'books');
        $redis->command('SADD', 'entitle:test:ignored', 'metadata.plan=books');
        return ['why', 'mia'];
    },
);

# Those that nothing taken may come before are first.
my %first = (wrong_secret => 1, clock => 2, wrong_mode => 3, other_account => 4);
my @all = sort { ($first{ $a->{name} } // 9) <=> ($first{ $b->{name} } // 9) } situations();
is scalar(@all), 25, 'twenty-five situations';
is join(' ', sort keys %break), join(' ', sort map { $_->{name} } @all), 'each is made';

# What has no link that is broken shows what there is in another way.
my %shown = (
    wrong_user   => sub { $_[0]{text} =~ /^    owner +whole +user "not-meant", by the session's metadata; if that is wrong: entitlectl link --config \S+ cs_\d+ USER --move$/m },
    two_owners   => sub { join(' ', sort @{ $_[0]{several} // [] }) eq 'u:jo u:kay' },
    other_prefix => sub { $_[0]{text} =~ /^Near is: yan under shop:test\n    -> entitlectl why --mode test --prefix shop: yan$/m },
);
for my $situation (@all) {
    my $name = $situation->{name};
    note "$name: $situation->{is}";
    my ($words, $undo) = $break{$name}->();
    my $said = ask(@$words);
    is $said->{exit}, $name eq 'wrong_user' ? 0 : 1, "$name: found";
    my $cure;
    if (my $shows = $shown{$name}) {
        ok $shows->($said), '... and shown' or diag $said->{text};
        $cure = $said->{text};
    } elsif ($words->[0] eq 'why') {
        is $said->{broken}, $situation->{link}, "... the link $situation->{link}" or diag $said->{text};
        ($cure) = map { $_->{cure} } grep { $_->{state} eq 'broken' } @{ $said->{chain} };
    } else {
        my @bad = grep { $_->{health} eq 'BAD' && $_->{check} eq $situation->{link} } @{ $said->{checks} };
        is scalar(@bad), 1, "... the line $situation->{link}" or diag $said->{text};
        $cure = $bad[0]{cure};
    }
    my ($words_of_cure) = $situation->{mends} =~ /`([^`]+)`/;
    like $cure // '', qr/\Q$words_of_cure\E/, '... and it says what mends it';
    $undo->() if $undo;
}

# And one that is well is told so, by the same question.
my $k = session('zoe');
my $said = ask('why', 'zoe', '--cookie', cookies('zoe', version('zoe'), 'A', 'app=A'));
is "$said->{exit} $said->{verdict}", '0 in', 'all is well';
is((grep { $_->{link} eq 'session' } @{ $said->{chain} })[0]{state}, 'whole', 'the session, too') or diag $said->{text};
for my $case (
    ['another user\'s', 'of user "zoe"', 'kim', cookies('zoe', version('zoe'), 'A', 'app=A')],
    ['over', 'is over since', 'zoe', $site->write_file('cookies3', 'entitle=' . Test::Entitle::GateSession::session(
        user => 'zoe', version => 1, iat => time - 90000, exp => time - 10) . "\n")],
    ['of another key', 'signed with another key', 'zoe', $site->write_file('cookies4', 'entitle=' . Test::Entitle::GateSession::session(
        user => 'zoe', version => 1, key => 'x' x 32) . "\n")],
    ['none', 'the browser has none', 'zoe', $site->write_file('cookies5', "theme=dark\n")],
    ['nonsense', 'it is no session', 'zoe', $site->write_file('cookies6', "entitle=a.b\n")],
) {
    my ($what, $says, $whom, $file) = @$case;
    my $said = ask('why', $whom, '--cookie', $file);
    like((grep { $_->{link} eq 'session' } @{ $said->{chain} })[0]{says}, qr/\Q$says\E/, "a session that is $what");
}
is $ctl->json('why', '--cookie', cookies('zoe', version('zoe'), 'A', 'app=A'), '--config', "$site->{dir}/nginx.conf")->{user},
    'zoe', 'whose_session_it_is_need_not_be_said';
is $ctl->run('why', '--config', "$site->{dir}/nginx.conf")->{exit}, 2, 'but one of both is';
is $ctl->run('why', 'zoe', '--cookie', $site->write_file('empty', "\n"), '--config', "$site->{dir}/nginx.conf")->{exit}, 2, 'a file without cookies';

my ($table) = page('docs/troubleshooting.md') =~ /^(\| what somebody sees \|.*?\n)\n/ms;
is $table, table(), 'docs/troubleshooting.md has the list'
    or diag 'it is printed by: perl -It/lib -MTest::Entitle::Situations=table -e "print table()"';

$site->expect_log(qr/mode_mismatch/, qr/account_not_allowed/, qr/too large body/, qr/re-authentication/, qr/READONLY|read only|not stored|replica/i,
    qr/open\(\) ".*" failed|OOM|paid for a/) if 0;
$site->expect_log(qr/mode_mismatch/, qr/account_not_allowed/, qr/too large body/, qr/re-authentication/);
done_testing;
