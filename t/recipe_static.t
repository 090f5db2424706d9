# recipes/static/nginx.conf, as it stands there, sells a course to a browser: only
# ports, files and Redis are others here.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Commands qw(commands);
use Test::Entitle::Docs qw(blocks page);
use Test::Entitle::Guest;
use Test::Entitle::NginxConf qw(http_of parse text);
use Test::Entitle::Surroundings;

my $recipe = page('recipes/static/nginx.conf');

# --- what is shown is what is tested --------------------------------------------------

my ($inside) = $recipe =~ /^http \{\n(.*)^\}/ms;
my @shown = map { $_->{text} } grep { $_->{language} eq 'nginx' } blocks('docs/static-only.md');
is $shown[0], $inside =~ s/^    //mgr, 'docs/static-only.md_shows_this_recipe';
my @lines = grep { !/^\s*(?:#|\}|server \{|$)/ } split /\n/, $inside;
is scalar @lines, 10, 'of ten lines';

# --- and it sells ------------------------------------------------------------------------

my $site = Test::Entitle->new;
my $here = text(Test::Entitle::Surroundings->new($site)->moved(http_of(parse($recipe), commands())));
$here =~ s{root /srv/course}{root $site->{dir}/course};
$site->write_file("course/$_->[0]", $_->[1]) for
    ['pay.html', 'buy it'], ['welcome.html', 'welcome'];
mkdir "$site->{dir}/course/lessons";
$site->write_file('course/lessons/1.html', 'lesson one');
$site->start($here);

my %jar;
sub get {
    my ($uri, @headers) = @_;
    push @headers, Cookie => join '; ', map { "$_=$jar{$_}" } keys %jar if %jar;
    my $answer = $site->connect(port => $site->port(1), tls => 1)->request(uri => $uri, close => 1,
        headers => [Accept => 'text/html', @headers]);
    for ($answer->header_all('Set-Cookie')) {
        like $_, qr/; Path=\/; Secure; HttpOnly; SameSite=Lax$/, 'a cookie as it should be';
        $jar{$1} = $2 if /^([^=]+)=([^;]*)/;
    }
    return $answer;
}
sub stripe {
    my ($event) = @_;
    my %request = $site->webhook_request($event, uri => '/stripe');
    return $site->connect(port => $site->port(1), tls => 1)->request(%request, close => 1);
}

my $answer = get('/lessons/1.html');
is $answer->status, 402, 'a visitor is asked to pay';
is $answer->body, 'buy it', '  by the page';
is_deeply [keys %jar], [], '  without a cookie';
$answer = get('/buy');
is $answer->status, 303, 'the button leads to Stripe';
like $answer->header('Location'), qr{^https://buy\.stripe\.com/}, '  indeed';
is_deeply [keys %jar], ['__Host-entitle-guest'], '  and names the browser';

my $held = $site->connect(port => $site->port(1), tls => 1);
$held->send(uri => '/welcome?paid=1', headers => [Accept => 'text/html',
    Cookie => "__Host-entitle-guest=$jar{'__Host-entitle-guest'}"]);
my $event = bought(reference_of($answer), 'data.object.payment_link' => 'plink_1Q2w3E4r5T6y7U8i',
    'data.object.metadata' => {}, livemode => JSON::PP::true(), 'data.object.livemode' => JSON::PP::true());
is stripe($event)->json->{outcome}, 'applied', 'the webhook comes';
$answer = $held->receive;
is $answer->status, 200, 'the welcome page is held until then';
is $answer->body, 'welcome', '  and opens';
is get('/lessons/1.html')->body, 'lesson one', 'the_browser_that_bought_is_in';
stripe(event_json('charge.refunded.full', id => 'evt_refund', livemode => JSON::PP::true(),
    'data.object.livemode' => JSON::PP::true(),
    'data.object.payment_intent' => 'pi_guest1', 'data.object.customer' => undef));
is get('/lessons/1.html')->status, 402, 'until_the_money_goes_back';

done_testing;
