# What a session is bound to where the app goes by several cookies, or by one
# that is not there; and what the log says of a binding that cannot work.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession qw(put_record subscription);

my $site = Test::Entitle->new;
my $redis = $site->redis;
my $answers = 0;
my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my %cookie = %{ $r->{cookies} };
    my %has = map { lc $_->[0] => $_->[1] } @{ $r->{headers} };
    my @set = ($cookie{csrf} ? ('Set-Cookie' => 'csrf=' . ++$answers) : (),
        $cookie{remember} ? ('Set-Cookie' => "sid=$cookie{remember}; Path=/") : ());
    my $user = $cookie{sid} // $cookie{remember} // $cookie{'chunk.0'}
        // (($has{authorization} // '') =~ /^Bearer (\w+)/)[0];
    return { status => 301, headers => [Location => 'https://shop.example/whoami/'] }
        if $cookie{slash};
    return { status => 401, headers => \@set } if !$user || $user eq 'nobody';
    return { status => 204, headers => ['X-User' => $user, @set] };
});
$site->write_file('html/page', 'the page');
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_session_key_file %%KEY%%;
entitle_session_cookie entitle secure=off;
server {
    listen 127.0.0.1:%%PORT%%;
    entitle on;
    entitle_reauth /whoami;
    entitle_reauth_user header=X-User;
    entitle_session_bind cookie=sid;
    add_header X-Who \$entitle_user always;
    location = /page { }
    location = /either { entitle_session_bind cookie=sid|remember; try_files /page =404; }
    location = /chunks { entitle_session_bind cookie=chunk*; try_files /page =404; }
    location = /typo { entitle_session_bind cookie=sdi; try_files /page =404; }
    location = /csrf { entitle_session_bind cookie=sid cookie=csrf; try_files /page =404; }
    location = /loose { entitle_session_bind off; try_files /page =404; }
    location = /device { entitle_session_bind cookie=sid \$http_x_device; try_files /page =404; }
    location = /remembered { entitle_session_bind cookie=remember; try_files /page =404; }
    location = /two { entitle_session_bind cookie=a cookie=b; try_files /page =404; }
    location = /swapped { entitle_session_bind cookie=b cookie=a; try_files /page =404; }
    location = /variable { entitle_session_bind \$cookie_sid; try_files /page =404; }
    location = /org { entitle_reauth_key \$arg_org; try_files /page =404; }
    location = /whoami { internal; proxy_pass http://127.0.0.1:${\$app->port}; }
}
EOT
put_record($redis, $_, version => 1_767_000_000_000, subscription('active')) for qw(ada bob);

sub asked { return scalar(my @seen = $app->seen('/whoami')) }
# user or status, and how often the app was asked.
sub ask {
    my ($uri, $cookie, @headers) = @_;
    $app->forget;
    my $answer = $site->get($uri, defined $cookie ? (Cookie => $cookie) : (), @headers);
    my $who = $answer->header('X-Who') // $answer->status;
    return ("$who " . asked(), { $answer->cookies }->{entitle});
}

# --- a cookie that is not there --------------------------------------------------

for (['remember-me', '/page', 'remember=ada'], ['a typo in the name', '/typo', 'sid=ada'],
    ['another cookie', '/either', 'sid=ada'], ['a header', '/page', undef, Authorization => 'Bearer ada'])
{
    my ($name, $uri, $cookie, @headers) = @$_;
    my ($said, $session) = ask($uri, $cookie, @headers);
    is $said, 'ada 1', "absent_is_asked_about: $name";
    ok $session, '  and gets a session';
    my $next = join '; ', grep { defined } $cookie, "entitle=$session",
        $name eq 'remember-me' ? 'sid=ada' : ();
    ($said) = ask($uri, $next, @headers);
    is $said, 'ada 0', '  and is not asked about again';
}
is((ask('/page', undef))[0], '401 0', 'who has nothing is not asked about');
is((ask('/page', 'consent=yes'))[0], '401 1', 'who has some cookie is');

{
    my (undef, $with) = ask('/page', 'sid=ada');
    is((ask('/page', "entitle=$with; x=1"))[0], '401 1',
        'a_session_bound_to_a_value_is_worth_nothing_without_it');
    is((ask('/page', "entitle=$with; sid=bob"))[0], 'bob 1', 'nor beside another');
    my (undef, $without) = ask('/page', undef, Authorization => 'Bearer ada');
    is((ask('/page', "entitle=$without; sid=bob"))[0], 'bob 1',
        'and_one_bound_to_none_nothing_beside_one');
    is((ask('/page', "entitle=$without"))[0], 'ada 0', 'while there is none it holds');
    my (undef, $device) = ask('/device', 'sid=ada', 'X-Device' => 'd1');
    is((ask('/device', "entitle=$device; sid=ada", 'X-Device' => 'd1'))[0], 'ada 0', 'a variable');
    is((ask('/device', "entitle=$device; sid=ada"))[0], 'ada 1', 'absent is another value');
    my (undef, $loose) = ask('/loose', 'sid=ada');
    is((ask('/loose', "entitle=$loose"))[0], 'ada 0', 'off binds to nothing');
}

# --- one binding is not another -------------------------------------------------

{
    my (undef, $session) = ask('/page', 'sid=ada');
    for (['of another cookie', '/remembered', 'remember=ada'], ['of another kind', '/variable', 'sid=ada'],
        ['of alternatives', '/either', 'sid=ada'], ['that binds to nothing', '/loose', 'sid=ada'])
    {
        my ($name, $uri, $cookie) = @$_;
        is((ask($uri, "$cookie; entitle=$session"))[0], 'ada 1',
            "a_session_of_one_binding_is_worth_nothing_under_one_$name");
    }
    is((ask('/loose', "x=1; entitle=$session"))[0], '401 1',
        'not_even_where_nothing_is_bound_to_without_the_value_it_was_bound_to');
    (undef, $session) = ask('/two', 'sid=ada; a=1; b=2');
    is((ask('/two', "b=2; sid=ada; a=1; entitle=$session"))[0], 'ada 0', 'two cookies');
    is((ask('/swapped', "sid=ada; a=2; b=1; entitle=$session"))[0], 'ada 1', 'are_not_two_swapped');
    (undef, $session) = ask('/org?org=a', 'sid=ada');
    is((ask('/org?org=a', "sid=ada; entitle=$session"))[0], 'ada 0',
        'a session for what the question was sent besides holds for that');
    is((ask("/org$_", "sid=ada; entitle=$session"))[0], 'ada 1',
        "what_the_question_was_sent_besides_is_bound_to: '$_' is not ?org=a") for '', '?org=b';
}

# --- several cookies ---------------------------------------------------------------

{
    my (undef, $session) = ask('/either', 'sid=ada');
    is((ask('/either', "entitle=$session; sid=ada; other=1"))[0], 'ada 0', 'one_of_two_alternatives');
    is((ask('/either', "entitle=$session; sid=ada; remember=ada"))[0], 'ada 1',
        'those_that_are_there_count');
    is((ask('/either', "entitle=$session; remember=nobody"))[0], '401 1', 'and none for another');
    (undef, $session) = ask('/chunks', 'chunk.0=ada; chunk.1=b');
    is((ask('/chunks', "chunk.1=b; entitle=$session; chunk.0=ada"))[0], 'ada 0',
        'chunks_of_one_cookie_in_any_order');
    is((ask('/chunks', "chunk.0=ada; entitle=$session; chunk.1=c"))[0], 'ada 1', 'all of them');
    is((ask('/chunks', "chunk.0=ada; entitle=$session"))[0], 'ada 1', 'each');
}

# --- what the log says ----------------------------------------------------------------

sub said { my ($pattern) = @_; return scalar(() = $site->log =~ /$pattern/g) }
is said(qr/\[warn\].*"entitle_session_bind cookie=sdi" names/), 1,
    'a_cookie_that_is_never_there_is_named_once_a_minute';
is said(qr/\[warn\].*whom the app knows.*"entitle_session_bind cookie=sid" names/), 1,
    'one of a remember-me, too';
is said(qr/\[info\].*"entitle_session_bind cookie=sid" names/), 1, 'of a guest quietly';
is said(qr/changes again and again/), 0, 'a binding that holds says nothing';
{
    my $cookie = 'sid=ada; csrf=0';
    for (1 .. 8) {
        my ($said, $session) = ask('/csrf', $cookie);
        $cookie = "sid=ada; csrf=page$_; entitle=$session";
    }
    is said(qr/\[warn\].*"entitle_session_bind" names changes again and again for "ada"/), 1,
        'a_binding_that_changes_at_every_answer_is_said_once';
}
for (1 .. 3) { is((ask('/page', 'slash=1'))[0], '401 1', 'a redirect is a guest') }
is said(qr{\[warn\].*"/whoami" answered 301 to "https://shop\.example/whoami/"}), 1,
    'a_question_answered_by_a_redirect_is_said_with_its_location';
is said(qr/answered 301 to/), 1, 'once a minute';

# --- nginx -t ---------------------------------------------------------------------------

my $check = Test::Entitle->new;
for ('entitle_session_bind cookie=;', 'entitle_session_bind cookie=a||b;',
    'entitle_session_bind cookie=*;', 'entitle_session_bind x$a;',
    'entitle_session_bind off cookie=a;') {
    my ($accepted, $said) = $check->config_test("$_ server { listen 127.0.0.1:%%PORT%%; }");
    ok !$accepted, "refused: $_";
    like $said, qr/invalid value .*cookie=A\|B/, '  and says what is allowed';
}
done_testing;
