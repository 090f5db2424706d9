# What a browser bought becomes the user's who logs in with it, once and for good:
# also where the hand-over breaks off, where the id was called in, where more is paid
# with its reference afterwards, and where the user logs out at once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Ctl;
use Test::Entitle::FaultyRedis;
use Test::Entitle::GateApp;
use Test::Entitle::Guest;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $dir   = $site->dir;
$site->write_file('html/course/1.html', 'the lesson');
$site->write_file('html/book/1.html', 'the book');
$site->write_file('html/welcome.html', 'welcome');
$site->write_file('html/pay.html', 'please pay');

# The EXEC whose number is in the file `break` fails; they are counted in `seen`.
my $faulty = Test::Entitle::FaultyRedis->new(
    port => $site->port(9), redis => $redis,
    answer => sub {
        return undef if uc $_[0] ne 'EXEC' || !open my $file, '<', "$dir/break";
        chomp(my $at = <$file>);
        open my $seen, '>>', "$dir/seen" or return undef;
        print $seen 'x';
        close $seen;
        return $at == -s "$dir/seen" ? "-READONLY You can't write against a read only replica.\r\n" : undef;
    });

my $app = Test::Entitle::GateApp->new($site, sub {
    my ($r) = @_;
    my $user = $r->{cookies}{app};
    return $user ? { status => 204, headers => ['X-User' => $user] } : { status => 401 };
});
my $port = $app->port;
$site->start(<<"EOT");
entitle_redis redis://127.0.0.1:%%PORT9%%;
entitle_mode test;
entitle_grant pro metadata.plan=pro;
entitle_grant book metadata.plan=book;
%%SESSIONS%%
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    %%REAUTH%%
    entitle_guest_user on;
    error_page 402 /pay.html;
    location = /whoami { internal; proxy_pass http://127.0.0.1:$port/whoami; }
    location = /buy { entitle_redirect https://buy.stripe.com/x?client_reference_id=\$entitle_client_reference_id; }
    location /course/ { entitle_require pro; }
    location /book/ { entitle_require book; }
    location = /welcome { entitle_require pro; entitle_wait 20s if=\$arg_paid; try_files /welcome.html =404; }
    location = /poll { entitle_require pro; entitle_poll 20s; }
    location = /logout { entitle_logout; }
    location = /bye { entitle_logout; return 200 bye; }
}
EOT

my $ctl  = Test::Entitle::Ctl->new;
my @conf = ('--config', "$site->{dir}/nginx.conf");

sub lesson { my ($browser) = @_; return $browser->get('/course/1.html') }
sub guest { my ($browser) = @_; return $browser->cookies->{'entitle-guest'} }
sub buyer {
    my $browser   = $site->browser;
    my $reference = reference_of($browser->get('/buy'));
    is $site->webhook(bought($reference, @_))->json->{outcome}, 'applied', 'a browser buys';
    return ($browser, user_of($reference), $reference);
}
sub holds { return join ' ', sort grep { /^source:cs/ } keys %{ $redis->hgetall("entitle:test:{u:$_[0]}") } }
sub by_id { my ($id, $uri, @more) = @_;
    return $site->get($uri // '/course/1.html', Accept => 'text/html', Cookie => join '; ', "entitle-guest=$id", @more) }
sub spoil { my ($at) = @_; unlink "$dir/seen"; $site->write_file('break', "$at\n") }

# --- broken off ------------------------------------------------------------------

my $whole = 0;
for my $at (1 .. 12) {
    my ($browser, $id) = buyer('data.object.id' => "cs_at$at", 'data.object.payment_intent' => "pi_at$at");
    my $copy = guest($browser);
    spoil($at);
    $browser->cookies->{app} = "user$at";
    lesson($browser);
    my $failed = -s "$dir/seen" >= $at;
    unlink "$dir/break";
    ok wait_until(sub { lesson($browser)->status == 200 && !holds($id) }), "broken_off_at_write_${at}_a_later_request_finishes_it"
        or diag "user: ", holds("user$at"), ", browser: ", holds($id);
    is holds("user$at"), "source:cs_at$at", '  it is the user\'s';
    ok wait_until(sub { by_id($copy)->status == 402 }), '  and the id opens nothing';
    last if !$failed && ++$whole;
}
ok $whole, 'every write was failed once';
$site->expect_log(qr/is not user "user\d+"'s yet, until a later request: READONLY/);

# --- called in -------------------------------------------------------------------

my ($browser, $id, $reference) = buyer('data.object.id' => 'cs_stolen');
my $stolen = guest($browser);
$redis->command('HSET', "entitle:test:{u:$id}", 'not_before', time + 1);
ok wait_until(sub { by_id($stolen)->status == 402 }), 'an_id_that_was_called_in_opens_nothing';
is by_id($stolen, undef, 'app=thief')->status, 402, 'and_hands_nothing_over';
is holds('thief'), '', '  to who logs in with it';
is holds($id), 'source:cs_stolen', '  it stays where it is';
my $next = user_of(reference_of($browser->get('/buy')));
isnt $next, $id, 'the buyer has another id';
is $ctl->run('link', 'cs_stolen', $next, '--move', '--yes', '--by', 'olga', '--reason', 'stolen', @conf)->{exit}, 0,
    'an operator gives it to that';
is lesson($browser)->status, 200, 'and the buyer is in again';

# --- what is paid with its reference later -----------------------------------------

($browser, $id, $reference) = buyer();
my $copy = guest($browser);
$browser->cookies->{app} = 'zoe';
is lesson($browser)->status, 200, 'zoe logs in';
is guest($browser), undef, '  the cookie goes';
is $redis->hgetall("entitle:test:{u:$id}")->{handed_to}, 'u:zoe', '  the record says to whom it went';
is $site->webhook(bought($reference, 'data.object.id' => 'cs_book', 'data.object.metadata' => { plan => 'book' }))->status, 200,
    'something is paid with a reference from before';
ok wait_until(sub { $browser->get('/book/1.html')->status == 200 }), 'it_opens_for_the_user';
is by_id($copy, '/book/1.html')->status, 402, '  not for the id';
is holds($id), '', '  which holds nothing';
like $site->log, qr/\[notice\].*"cs_book", which the browser "\Q$id\E" bought, is user "zoe"'s/, '  and the log says so';
my $old = $site->browser;
$old->cookies->{'entitle-guest'} = $copy;
isnt user_of(reference_of($old->get('/buy'))), $id, 'an_old_copy_buys_under_another_id';
isnt guest($old), $copy, '  which its browser gets';

# --- who waits -----------------------------------------------------------------------

for my $uri ('/welcome?paid=1', '/poll') {
    my $waits = $site->browser;
    my $bought = reference_of($waits->get('/buy'));
    my $user = $uri =~ /poll/ ? 'pol' : 'wil';
    my $open = $site->connect;
    $open->send(uri => $uri, headers => [Accept => 'text/html', Cookie => "app=$user; entitle-guest=" . guest($waits)]);
    sleep 1;
    my $began = time;
    $site->webhook(bought($bought));
    is $open->receive->status, 200, "who is logged in and waits at $uri has what his browser buys";
    cmp_ok time - $began, '<', 10, '  at once';
    like holds($user), qr/^source:cs\w+$/, '  as the user';
}

# --- logging out ------------------------------------------------------------------------

($browser, $id) = buyer('data.object.id' => 'cs_out');
$browser->cookies->{app} = 'out';
is $browser->get('/logout')->status, 204, 'who logs in and out at once';
is holds('out'), 'source:cs_out', '  has_what_the_browser_bought';
is guest($browser), undef, '  and the id goes';

($browser, $id) = buyer();
$browser->cookies->{app} = 'bye';
is $browser->get('/bye')->status, 200, 'where nobody can be asked who it is';
ok guest($browser), '  the_id_stays';
is lesson($browser)->status, 200, '  and the next login takes over';
like holds('bye'), qr/^source:cs/, '  what it holds';

for my $uri ('/logout', '/bye') {
    ($browser, $id) = buyer();
    $browser->get($uri, 'Sec-Fetch-Site' => 'cross-site');
    ok guest($browser), "another_sites_page_does_not_have_the_browser_forgotten at $uri";
    is lesson($browser)->status, 200, '  it is in still';
    $browser->get($uri);
    is guest($browser), undef, '  one of our own does';
}

done_testing;
