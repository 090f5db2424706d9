# No memory, again and again, in the middle of everything: operator new fails
# once in some hundred times in every worker, and whatever a request is about,
# no worker dies, nothing hangs, and afterwards all is as before.
#
# ./dev test --oom runs it with AddressSanitizer, which sees what is used after
# it is gone, and for longer. ENTITLE_OOM_SECONDS, ENTITLE_OOM_SEED.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use POSIX ();
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::Jwt qw(jwks);
use Time::HiRes qw(sleep time);

my $SECONDS = $ENV{ENTITLE_OOM_SECONDS} // 6;
my $SEED    = $ENV{ENTITLE_OOM_SEED}    // int(time) & 0xffff;
alarm 180 * patience() + $SECONDS;
diag "seed $SEED" if $ENV{ENTITLE_OOM_SECONDS};

my $site  = Test::Entitle->new(workers => 2);
my $redis = $site->redis;
my $ed    = Test::Entitle::Jwt->ed25519;
my $keys  = jwks($ed->jwk(kid => 'e'));

# The app's cookie is app=<user>; an e-mail comes with it.
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    return { body => $keys } if $r->{uri} eq '/keys';
    my $user = $r->{cookies}{app} // '';
    return { status => 401 } if $user eq '';
    return { status => 204,
        headers => ['X-User' => $user, 'X-Email' => "$user\@example.com"] };
});
my $port = $app->port;
$site->write_file("html/$_", 'page') for qw(pro open wait session jwt page out everywhere);

# --- the site ------------------------------------------------------------------

sub order {    # once in so many; 0: never
    my ($once_in) = @_;
    open my $file, '+<:raw', $site->dir . '/oom' or die "oom: $!";
    print $file pack 'LL', $once_in, $SEED;
    close $file or die "oom: $!";
}
$site->write_file('oom', pack 'LL', 0, $SEED);

my $library = $site->dir . '/failing_new.so';
system(qw(c++ -std=c++20 -O1 -Wall -Wextra -Werror -shared -fPIC -o), $library,
    "$FindBin::Bin/lib/failing_new.cc") == 0 or die 'no failing operator new';
{
    local %ENV = (%ENV, ENTITLE_OOM => $site->dir . '/oom',
        LD_PRELOAD => join ' ', grep { defined } $library, $ENV{LD_PRELOAD});
    my ($asan) = { Test::Entitle::sanitizer_environment() }->{ASAN_OPTIONS};
    $ENV{ASAN_OPTIONS} = "$asan:handle_abort=1" if defined $asan;
    $site->start(<<"EOT2");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_lease 1s;
entitle_grant pro prod_FxPRO000001 price_1FxPRO0000000000000001;
%%SESSIONS%%
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /status { entitle_status; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:$port; }
    location = /keys   { internal; proxy_pass http://127.0.0.1:$port; }

    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    entitle_session_bind cookie=app;
    entitle_login_url /login?next=\$entitle_return_url;
    entitle_claim_email header=X-Email;
    add_header X-Who \$entitle_user always;
    add_header X-What \$entitle_entitlements always;

    location = /open { entitle on; }
    location = /pro  { entitle_require pro; }
    location = /wait { entitle_require pro; entitle_wait 200ms; }
    location = /poll { entitle_require pro; entitle_poll 200ms; }
    location = /buy  {
        entitle on;
        entitle_redirect https://buy.stripe.com/x?client_reference_id=\$entitle_client_reference_id;
    }
    location = /out        { entitle_logout; }
    location = /everywhere { entitle_logout all; }
    location = /jwt { entitle_jwt \$http_authorization; entitle_jwt_key_request /keys;
        entitle_require pro; }
    location = /session { entitle_session_redis sess:cookie=sid json=/user; entitle on; }
}
EOT2
}

# --- who comes -----------------------------------------------------------------

my @subscription = qw(checkout.session.completed.subscription
    customer.subscription.created.active);
my $token = sub { $ed->token({ sub => $_[0], iat => int(time), exp => int(time) + 600 },
        header => { kid => 'e' }) };

sub buy {
    my ($user, $letter, %more) = @_;
    return map { event_json($_, user => $user, customer => $letter, %more) } @subscription;
}

# Few users, so that all the ways meet in one record.
sub one_request {
    my ($tokens) = @_;
    my $user = 'u' . int rand 6;
    my @app  = (Cookie => "app=$user" . (rand() < 0.3 ? ".$$." . int rand 1000 : ''));
    my @all  = (
        sub { $site->get('/open', @app) },
        sub { $site->get('/pro', @app) },
        sub { $site->get('/pro', @app, Accept => 'text/html') },
        sub { $site->get('/pro') },
        sub { $site->get('/wait', @app) },
        sub { $site->get('/poll', @app) },
        sub { $site->get('/poll', @app, Accept => 'text/event-stream') },
        sub { $site->get('/buy', @app) },
        sub { $site->get('/out', @app) },
        sub { $site->request(method => 'POST', uri => '/everywhere', headers => \@app) },
        sub { $site->get('/jwt', Authorization => "Bearer $tokens->{$user}") },
        sub { $site->get('/session', Cookie => "sid=$user") },
        sub { $site->get('/status') },
        sub {
            # Some as a guest, whom the e-mail finds at the next login.
            my %guest = rand() < 0.5 ? ()
                : ('data.object.metadata' => {},
                    'data.object.customer_details.email' => "$user\@example.com");
            my @events = buy($user, chr(65 + int rand 26), %guest);
            return $site->webhook($events[int rand @events]);
        },
        sub {    # who leaves in the middle
            my $client = $site->connect->send(uri => '/wait', headers => \@app);
            sleep rand 0.05;
            $client->reset;
            return;
        },
    );
    my $answer = $all[int rand @all]->();
    return $answer ? $answer->status : 'left';
}

# Requests until `$end`, in a process of its own; the line it leaves counts them.
sub visitors {
    my ($name, $end) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
    srand $SEED * 100 + $name;
    my %tokens = map { ("u$_" => $token->("u$_")) } 0 .. 5;
    my %seen;
    while (time < $end) {
        my $began  = time;
        my $status = eval { one_request(\%tokens) } // 'unreachable';
        # Nobody is left without an answer: the connection is closed at least.
        $status = 'hung' if $status eq '0' && time - $began > 10 * patience();
        $seen{$status}++;
    }
    $site->write_file("visitors.$name", join '', map { "$_ $seen{$_}\n" } sort keys %seen);
    POSIX::_exit(0);
}

$redis->command('SET', "sess:u$_", qq({"user":"u$_"})) for 0 .. 5;
my @first;
wait_until(sub { (@first = $site->worker_pids) == 2 });
order(150);
my @visitors = map { visitors($_, time + $SECONDS) } 1 .. 4;
waitpid $_, 0 for @visitors;
order(0);

my %seen;
for my $name (1 .. 4) {
    for (split /\n/, $site->read_file("visitors.$name")) {
        my ($status, $count) = split / /;
        $seen{$status} += $count;
    }
}
note join ', ', map { "$seen{$_} x $_" } sort keys %seen;

# --- and what is left of it ------------------------------------------------------

my @last = $site->worker_pids;
is "@last", "@first", 'no_worker_died';
is $seen{hung} // 0, 0, 'nobody_hung';
is $seen{unreachable} // 0, 0, 'everybody_got_through';
my $failed = () = $site->log =~ /bad_alloc|no memory/g;
cmp_ok $failed, '>', 5, "memory_was_short ($failed times in the log)";
cmp_ok +($seen{200} // 0), '>', 20, 'and most went on';

# Who ran out of memory over a connection has closed it, and both workers are
# soon back at Redis.
ok wait_until(sub { !grep { $site->get('/status')->status != 200 } 1 .. 8 }),
    'the_status_is_there_again';
# Whichever of the workers is asked: one may only now be on its way back to Redis.
sub soon {
    my ($status, @get) = @_;
    return wait_until(sub { $site->get(@get)->status == $status }, 10);
}
for my $event (buy('late', 'Z')) {
    ok wait_until(sub { $site->webhook($event)->status == 200 }, 10), 'an_event_is_taken_again';
}
ok soon(200, '/pro', Cookie => 'app=late'), 'who_paid_is_in';
ok soon(402, '/pro', Cookie => 'app=never'), 'and_who_did_not_is_not';
ok soon(200, '/jwt', Authorization => 'Bearer ' . $token->('late')), 'also_by_a_token';

$site->expect_log(qr/\[(?:error|crit)\]/);
done_testing;
