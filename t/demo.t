# The demo is the README's first command: its story must come true, and the
# site it leaves running must sell.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Http;

my $demo = "$FindBin::Bin/../examples/demo/demo";
local %ENV = (%ENV, Test::Entitle::sanitizer_environment());

# --- what --keep leaves running, until the end of this test --------------------

my $dir     = File::Temp->newdir;
my $running = do {
    local $ENV{TMPDIR} = "$dir";
    Test::Entitle::Process->new(
        command => [$^X, $demo, '--keep'], output => "$dir/output");
};

sub said {
    open my $in, '<', "$dir/output" or return '';
    local $/;
    return scalar(<$in>) // '';
}

ok wait_until(sub { said() =~ /goes on serving/ }, 30), 'keep_goes_on_serving' or diag said();
my $serving_since = time;

# Who writes into a demo's directory belongs to it: all its servers have a log.
sub servers_of_demo_in {
    my ($tmp) = @_;
    return grep {
        grep { (readlink // '') =~ m{^\Q$tmp\E/entitle-demo-} } glob "$_/fd/*"
    } glob '/proc/[0-9]*';
}

cmp_ok scalar(servers_of_demo_in($dir)), '>=', 5,
    'with nginx, its worker, Redis, the app and the checkout';

# --- the story -----------------------------------------------------------------

my $tmp = File::Temp->newdir;
my $output = do { local $ENV{TMPDIR} = "$tmp"; qx($^X $demo 2>&1) };
is $? >> 8, 0, 'the_demo_tells_its_story' or diag $output;
my @statuses = $output =~ /^  \S.*? {1,}(\d{3})(?: |$)/mg;
is "@statuses", '200 302 303 402 200 200 200 200 200 400 200 200 200 402 402 402 303 200 200 200 200 402 200 402',
    'with the answers the story needs';
like $output, qr/\AA private nginx.* start.*seconds\.\n/, 'it says first what it does and how long';
like $output, qr/^All of it is stopped again;.*\Z/m, 'at last that nothing is left';
unlike $output, qr/127\.0\.0\.1|localhost/, 'it_names_no_address_of_a_site_that_is_gone';
is join(' ', servers_of_demo_in($tmp)), '', 'and_nothing_of_it_still_runs';
is join(' ', glob "$tmp/*"),    '', 'nor is a file left';

isnt system("$^X $demo --bogus >/dev/null 2>&1"), 0, 'and refuses what it does not know';

# --- somebody clicks through the site, after a coffee ---------------------------

# Nobody asked anything since the start, which is the point.
wait_until(sub { time >= $serving_since + 30 || !$running->running }, 40);
ok $running->running, 'after_half_a_minute_it_still_serves' or diag said();
my ($port) = said() =~ m{^The site: http://127\.0\.0\.1:(\d+)/}m;
my $person = Test::Entitle::Http::Browser->new(port => $port);

$person->post('/login', 'user=grace&next=/lessons/2.html');
is $person->get('/lessons/2.html')->status, 402, 'a newcomer meets the paywall';
is(Test::Entitle::Http::Browser->new(port => $port)->get('/buy')->header('Location'),
    "http://localhost:$port/lessons/1.html", 'nobody_can_buy_for_nobody');
my $buy = $person->get('/buy');
is $buy->status, 303, 'buying leads to the checkout';
my ($stripe, $checkout) = $buy->header('Location') =~ m{^http://127\.0\.0\.1:(\d+)(/pay\?.*)};
my $shop = Test::Entitle::Http::Browser->new(port => $stripe);
my ($form) = $checkout =~ /\?(.*)/;
like $form, qr/^client_reference_id=[\w-]{20,200}$/, 'with a signed reference';
like $shop->get($checkout)->body, qr/15 a month/, 'which says the price';
my ($back) = ($shop->post('/pay', $form)->header('Location') // '') =~ m{^http://[^/]+(/.*)};
like $back, qr{^/welcome\?session_id=}, 'paying leads back';
is $person->get($back)->status, 200, 'the_page_it_leads_to_is_held_until_it_is';
is $person->get('/lessons/2.html')->status, 200, 'and leads to the lesson';
is $shop->post('/cancel', $form)->status, 303, 'cancelling, too';
is $person->get('/lessons/2.html')->status, 402, 'to the paywall';
$shop->post('/pay', $form);
is $person->get($back)->status, 200, 'and one can buy again';

unlike said(), qr/a server ended/, 'no server ended meanwhile';

ok $running->stop('INT'), 'interrupted_it_ends';
is join(' ', servers_of_demo_in($dir)), '', 'and_nothing_of_it_still_runs';

done_testing;
