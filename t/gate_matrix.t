# Who asks (by what they carry) x what they bought x how they ask, each answer
# worked out from the rules below, which are docs/gating.md's in other words.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;

my $site = Test::Entitle->new;
$site->write_file('html/paywall.html', 'please pay');
$site->write_file('html/sorry.html',   'come back later');
my $redis = $site->redis;

# The app knows by its own cookie who is logged in: `app=<user>.in`. It says
# 401 to `.out` and breaks on `.broken`.
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_Pro;
entitle_past_due_grace 7d;
entitle_grace 72h;
%%SESSIONS%%
keepalive_requests 100000;
map $cookie_app $who { ~^(?<known>\w+)\.in$ $known; default ''; }

server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami {
        access_log %%DIR%%/logs/asked.log;
        if ($cookie_app ~ broken) { return 500; }
        if ($who = '') { return 401; }
        add_header X-User $who;
        return 204;
    }
    location / { return 200 content; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    %%REAUTH%%
    entitle_session_recheck 5m;
    location = /pro {
        entitle_require pro;
        entitle_login_url /login;
        error_page 402 /paywall.html;
        error_page 503 /sorry.html;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
    location = /bare { entitle_require pro; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /away {
        entitle_require pro;
        entitle_login_url https://there.example/login;
        error_page 401 402 https://there.example/;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
    location = /own {
        entitle_require pro;
        error_page 402 @own;
        proxy_pass http://127.0.0.1:%%PORT2%%;
    }
    location @own { return 402 'please pay by name'; }
    location = /members { entitle on; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /anyone { entitle optional; entitle_require pro; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /paywall.html { internal; }
    location = /sorry.html { internal; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
}
EOT

# --- what they bought --------------------------------------------------------

my $now = time;
my $day = 86400;
my $VERSION = 1_767_000_000_000;

# name => [opens pro, the reason told when not, fields of the record]
my %bought = (
    nothing   => [0, 'not_entitled'],
    another   => [0, 'not_entitled', subscription('active', identifiers => ['prod_Other'])],
    active    => [1, undef, subscription('active')],
    trialing  => [1, undef, subscription('trialing')],
    in_grace  => [1, undef, subscription('active', period_end => $now - $day)],
    lapsed    => [0, 'ended', subscription('active', period_end => $now - 4 * $day)],
    canceled  => [0, 'ended', subscription('canceled', ended_at => $now - 60)],
    past_due  => [1, undef, subscription('past_due', past_due => $now - 3 * $day)],
    given_up  => [0, 'past_due_over', subscription('past_due', past_due => $now - 8 * $day)],
    once      => [1, undef, purchase()],
    refunded  => [0, 'refunded', purchase(refunds =>
        [{ event => 'evt_2', created => $now - 30, charge => 'ch_1', full => JSON::PP::true }])],
);
for my $name (keys %bought) {
    my (undef, undef, %fields) = @{ $bought{$name} };
    put_record($redis, $name, version => $VERSION, %fields) if %fields;
}
sub version_of { return $_[0] eq 'nothing' ? 0 : $VERSION }

# --- what they carry ---------------------------------------------------------

sub edge {
    my ($user, %o) = @_;
    return 'entitle=' . session(user => $user, version => version_of($user),
        bind => ["$user.in"], %o);
}

# name => the Cookie header for a user (undef: none).
my %carries = (
    nothing         => sub { undef },
    app_only        => sub { "app=$_[0].in" },
    app_out         => sub { "app=$_[0].out" },
    app_broken      => sub { "app=$_[0].broken" },
    edge_only       => sub { edge($_[0]) },
    fresh           => sub { "app=$_[0].in; " . edge($_[0]) },
    stale           => sub { "app=$_[0].in; " . edge($_[0], version => 7) },
    stale_out       => sub { "app=$_[0].out; "
        . edge($_[0], version => 7, bind => ["$_[0].out"]) },
    stale_broken    => sub { "app=$_[0].broken; "
        . edge($_[0], version => 7, bind => ["$_[0].broken"]) },
    fresh_broken    => sub { "app=$_[0].broken; " . edge($_[0], bind => ["$_[0].broken"]) },
    recheck         => sub { "app=$_[0].in; " . edge($_[0], iat => $now - 301) },
    not_yet_recheck => sub { "app=$_[0].in; " . edge($_[0], iat => $now - 240) },
    expired         => sub { "app=$_[0].in; "
        . edge($_[0], iat => $now - 60, exp => $now - 1) },
    unbound         => sub { "app=$_[0].in; " . edge($_[0], bind => ['someone.in']) },
    anothers        => sub { "app=$_[0].in; " . edge('active', bind => ['active.in']) },
    never_bound     => sub { "app=$_[0].in; " . edge($_[0], bind => []) },
    forged          => sub { "app=$_[0].in; " . edge('active', key => 'x' x 32,
        bnd => binding(["$_[0].in"])) },
    garbage         => sub { "app=$_[0].in; entitle=%00;;=.=\"{}" },
);

# What that makes of them: a user, a guest, or nothing that can be told; and
# whether the app had to be asked.
sub identified {
    my ($carried, $user) = @_;
    # Nothing to go by, or nothing the session could be bound to: no question.
    return ('guest', 0) if $carried =~ /^(?:nothing|edge_only)$/;
    # Valid, bound and fresh: no question either.
    return ('user', 0) if $carried =~ /^(?:fresh|fresh_broken|not_yet_recheck)$/;
    # Whoever carries his own session, wherever it came from, is himself.
    return ('user', 0) if $carried eq 'anothers' && $user eq 'active';
    # All else is for the app to say.
    return ('guest', 1) if $carried =~ /_out$/;
    return ('trouble', 1) if $carried =~ /_broken$/;
    return ('user', 1);
}

# --- how they ask ------------------------------------------------------------

# [name, is it a person's browser on its way to a page, headers]
my @clients = (
    ['navigation', 1, Accept => 'text/html,application/xhtml+xml,*/*;q=0.8',
        'Sec-Fetch-Mode' => 'navigate'],
    ['old browser', 1, Accept => 'text/html'],
    ['fetch',       0, Accept => '*/*', 'Sec-Fetch-Mode' => 'cors'],
    ['XHR',         0, Accept => 'text/html', 'X-Requested-With' => 'XMLHttpRequest'],
    ['API',         0, Accept => 'application/json'],
);
my @methods = qw(GET HEAD POST PUT OPTIONS);

# --- the rules ---------------------------------------------------------------

sub expected {
    my ($identity, $opens, $method, $person) = @_;
    my $navigation = $person && $method =~ /^(?:GET|HEAD)$/;
    my $form = $person && $method eq 'POST';
    return { status => 503, retry => 1, body => 'come back later' }
        if $identity eq 'trouble' && ($navigation || $form);
    return { status => 503, retry => 1, problem => 'error', reason => 'reauth_failed' }
        if $identity eq 'trouble';
    return { status => 302, location => 1 } if $identity eq 'guest' && $navigation;
    return { status => 401, challenge => 1, page => 1 } if $identity eq 'guest' && $form;
    return { status => 401, challenge => 1, problem => 'login' } if $identity eq 'guest';
    return { status => 200, body => 'content' } if $opens;
    return { status => 402, body => 'please pay' } if $navigation || $form;
    return { status => 402, problem => 'pay', missing => ['pro'] };
}

sub differences {
    my ($answer, $want, $method, $asked, $identity) = @_;
    my @wrong;
    my $check = sub { push @wrong, "$_[0]: " . ($_[1] // 'none') if !$_[2] };
    $check->('status', $answer->status, $answer->status == $want->{status});
    for (['Location', 'location'], ['WWW-Authenticate', 'challenge'],
        ['Retry-After', 'retry']) {
        my ($name, $wanted) = @$_;
        my $value = $answer->header($name);
        $check->($name, $value, defined $value == !!$want->{$wanted});
    }
    my $type = $answer->header('Content-Type') // '';
    $check->('type', $type,
        ($type eq 'application/problem+json') == !!$want->{problem});
    my $cookie = grep { /^entitle=ey/ } $answer->header_all('Set-Cookie');
    $check->('cookies', $cookie, $cookie == ($asked && $identity eq 'user'));
    my $cache = $answer->header('Cache-Control') // '';
    $check->('Cache-Control', $cache, $cache
        eq ($want->{status} == 200 && !$cookie ? 'private, no-cache' : 'private, no-store'));
    if ($method eq 'HEAD') {
        $check->('length', 0, ($answer->header('Content-Length') // 1) > 0);
    } elsif ($want->{problem}) {
        my $problem = $answer->json // {};
        $check->('problem', $answer->body,
            ($problem->{status} // 0) == $want->{status}
            && $problem->{decision} eq $want->{problem}
            && (!$want->{reason} || $problem->{reason} eq $want->{reason})
            && (!$want->{missing} || "@{ $problem->{missing} }" eq "@{ $want->{missing} }"));
    } elsif ($want->{page}) {
        $check->('page', $type, $type eq 'text/html' && $answer->body =~ /href="\/login"/);
    } elsif (defined $want->{body}) {
        $check->('body', $answer->body, $answer->body eq $want->{body});
    }
    return @wrong;
}

sub asked {
    my $lines = () = $site->read_file('logs/asked.log') =~ /\n/g;
    return $lines;
}

my $connection = $site->connect;
sub ask {
    my ($method, $uri, $cookie, @headers) = @_;
    return $connection->request(method => $method, uri => $uri,
        headers => [@headers, defined $cookie ? (Cookie => $cookie) : ()],
        $method =~ /^P/ ? (body => 'x' x 10) : ());
}

for my $carried (sort keys %carries) {
    for my $user (sort keys %bought) {
        my ($opens, $why) = @{ $bought{$user} };
        my ($identity, $question) = identified($carried, $user);
        my $cookie = $carries{$carried}->($user);
        my (@wrong, $count);
        my $before = asked();
        for my $method (@methods) {
            for (@clients) {
                my ($client, $person, @headers) = @$_;
                my $want = expected($identity, $opens, $method, $person);
                $want->{reason} //= $why if $want->{status} == 402;
                my $answer = ask($method, '/pro', $cookie, @headers);
                $count++;
                push @wrong, map { "$method by $client: $_" }
                    differences($answer, $want, $method, $question, $identity);
            }
        }
        my $questions = asked() - $before;
        push @wrong, "$questions questions to the app, not " . $count * $question
            if $questions != $count * $question;
        is join("\n", @wrong), '', "carries $carried, bought $user";
    }
}

# --- the same without a login page, an error page, or a requirement ----------

my @person = (Accept => 'text/html');
my @api    = (Accept => 'application/json');
is ask('GET', '/bare', undef, @person)->status, 401, 'no_login_page_is_401_for_a_person_too';
like ask('GET', '/bare', undef, @person)->header('WWW-Authenticate'), qr/\S/,
    'with a challenge';
is ask('GET', '/bare', $carries{fresh}->('nothing'), @person)->status, 402,
    'no_error_page_is_still_402';
is ask('GET', '/bare', $carries{app_broken}->('active'), @person)->status, 503,
    'and 503';

# --- a person's form -----------------------------------------------------------

for my $type (undef, 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x') {
    my $refused = ask('POST', '/bare', $carries{fresh}->('nothing'), @person,
        $type ? ('Content-Type' => $type) : ());
    is $refused->status, 402, 'a_form_gets_a_page_not_json: ' . ($type // 'no type');
    is $refused->header('Content-Type'), 'text/html', '  of ours where there is none';
    like $refused->body, qr/<h1>Payment Required/, '  that says what is missing';
    is $refused->header('Cache-Control'), 'private, no-store', '  and is not kept';
}
like ask('POST', '/away', $carries{fresh}->('nothing'), @person)->body, qr/<h1>Payment Required/,
    'a_form_is_never_redirected';
is ask('POST', '/away', undef, @person)->status, 401, '  nor to the login';
is ask('GET', '/away', $carries{fresh}->('nothing'), @person)->status, 302, '  as a page is';
like ask('POST', '/own', $carries{fresh}->('nothing'), @person)->body, qr/please pay by name/,
    'the site may have a page for every decision';
is ask('POST', '/pro', $carries{fresh}->('nothing'), @person, 'Content-Type' => 'application/json')
    ->header('Content-Type'), 'application/problem+json', 'what_no_form_sends_is_a_program_s';
{
    my $refused = ask('POST', '/bare', undef, @person, Expect => '100-continue');
    is $refused->status, 401, 'a form that is not awaited';
    is ask('GET', '/members', $carries{fresh}->('active'), @api)->status, 200,
        '  leaves the connection usable';
}

for my $user (sort keys %bought) {
    is ask('GET', '/members', $carries{fresh}->($user), @api)->status, 200,
        "members_need_nothing_bought: $user";
}
is ask('GET', '/members', undef, @api)->status, 401, 'but they have to be known';

for my $carried (sort keys %carries) {
    is ask('GET', '/anyone', $carries{$carried}->('canceled'), @api)->status, 200,
        "optional_lets_everybody_pass: $carried";
}

# --- sessions older than not_before ------------------------------------------

put_record($redis, 'active', version => $VERSION, not_before => $now - 10,
    subscription('active'));
my $before = asked();
is ask('GET', '/pro', "app=active.in; " . edge('active', iat => $now - 11))->status, 200,
    'a_session_from_before_not_before_is_asked_about';
is asked() - $before, 1, 'once';
is ask('GET', '/pro', "app=active.in; " . edge('active', iat => $now - 10))->status, 200,
    'one of that second is not';
is asked() - $before, 1, 'not again';

$site->expect_log(qr/re-authentication "\/whoami" answered an error \(status 500\)/);
done_testing;
