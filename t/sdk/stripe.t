# The fake Stripe of these tests against npm's official SDK: what that
# understands of it is what it would understand of Stripe. Not among the tests
# that `./dev test` runs, since it needs the package:
#
#   npm install --prefix /tmp/sdk stripe
#   NODE_PATH=/tmp/sdk/node_modules prove -It/lib t/sdk/stripe.t
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use IPC::Open2 qw(open2);
use JSON::PP ();
use Test::Entitle;
use Test::Entitle::FakeStripe;

# Each call on a client of its own, one line of JSON each: what it gave.
my $SCRIPT = <<'EOF';
const Stripe = require('stripe');
const { port, calls } = JSON.parse(require('fs').readFileSync(0));
async function made({ key, call, args, all, retries }) {
  const stripe = new Stripe(key, { host: '127.0.0.1', port, protocol: 'http',
    maxNetworkRetries: retries || 0, timeout: 1000, telemetry: false });
  const path = call.split('.');
  const method = path.pop();
  const asked = path.reduce((at, name) => at[name], stripe)[method](...args);
  if (!all) {
    const object = await asked;
    return { object, request: object.lastResponse.requestId };
  }
  const found = [];
  for await (const one of asked) found.push(one.id);
  return { found };
}
(async () => {
  for (const call of calls) {
    const result = await made(call).catch((e) => ({ error: e.type, code: e.code,
      status: e.statusCode, param: e.param, message: e.message, request: e.requestId }));
    console.log(JSON.stringify(result));
  }
})();
EOF

plan skip_all => 'no package "stripe" of npm: NODE_PATH says where it is'
    if system(q(node -e 'require("stripe")' 2>/dev/null)) != 0;

sub price { return { id => "price_$_[0]", object => 'price', product => "prod_$_[0]" } }
sub lines { return map { { id => "li_$_", object => 'item', quantity => 1, price => price($_) } } @_ }
my $LINES = '/v1/checkout/sessions/%s/line_items';
my $cut = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    . '{"object":"list","data":[{"id":"li_';

my $site = Test::Entitle->new;
my %lists = map { sprintf($LINES, "cs_$_") => [lines('a' .. 'e')] }
    qw(paged busy limited failing passes cut hangs denied);
my $stripe = Test::Entitle::FakeStripe->new($site,
    lists => { %lists,
        '/v1/invoices/in_1/lines' => [map { { id => "il_$_", object => 'line_item', amount => 900,
                    pricing => { type => 'price_details',
                        price_details => { price => "price_$_", product => "prod_$_" } } } } 'a' .. 'c'],
        '/v1/subscription_items?subscription=sub_1' =>
            [map { { id => "si_$_", object => 'subscription_item', price => price($_) } } 'a' .. 'c'],
        '/v1/entitlements/active_entitlements?customer=cus_1' =>
            [map { { id => "ent_$_", object => 'entitlements.active_entitlement', lookup_key => $_ } } 'a' .. 'c'],
    },
    objects => { map { ("prod_$_" => { id => "prod_$_", object => 'product', name => uc }) } 'a' .. 'e' },
    faults => {
        cs_busy    => { status => 429 },
        cs_limited => { status => 400, code => 'rate_limit' },
        cs_failing => { status => 500 },
        cs_passes  => { status => 503, from => 2, times => 1 },
        cs_cut     => { raw => $cut },
        cs_hangs   => { hang => 1 },
        cs_denied  => { permission => 'rak_checkout_session_read' },
    });

sub call {
    my ($call, @args) = @_;
    my %how = ref $args[-1] eq 'HASH' && exists $args[-1]{key_or_how} ? %{ pop @args } : ();
    delete $how{key_or_how};
    return { key => $Test::Entitle::FakeStripe::KEY, call => $call, args => \@args, %how };
}
sub how { return { key_or_how => 1, @_ } }

my $list = 'checkout.sessions.listLineItems';
my @calls = (
    call($list, 'cs_paged', { limit => 2 }, how(all => 1)),
    call($list, 'cs_paged', { limit => 2, ending_before => 'li_e' }, how(all => 1)),
    call('invoices.listLineItems', 'in_1', { limit => 2 }, how(all => 1)),
    call('subscriptionItems.list', { subscription => 'sub_1', limit => 2 }, how(all => 1)),
    call('entitlements.activeEntitlements.list', { customer => 'cus_1', limit => 2 }, how(all => 1)),
    call($list, 'cs_passes', { limit => 2 }, how(all => 1, retries => 2)),
    call($list, 'cs_paged'),
    call($list, 'cs_paged', { expand => ['data.price.product'] }),
    call($list, 'cs_busy'),
    call($list, 'cs_limited'),
    call($list, 'cs_failing'),
    call($list, 'cs_cut'),
    call($list, 'cs_hangs'),
    call($list, 'cs_denied'),
    call($list, 'cs_paged', how(key => 'rk_test_wrong')),
    call($list, 'cs_unheard'),
    call($list, 'cs_paged', { starting_after => 'li_unheard' }),
    call($list, 'cs_paged', { limit => 101 }),
    call($list, 'cs_paged', { colour => 'red' }),
);
$site->write_file('calls.js', $SCRIPT);
my $pid = open2(my $out, my $in, 'node', $site->dir . '/calls.js');
print $in JSON::PP->new->encode({ port => $stripe->port, calls => \@calls });
close $in;
my @results = map { JSON::PP->new->utf8->decode($_) } <$out>;
waitpid $pid, 0;
is scalar @results, scalar @calls, 'each call came to something';
sub next_one { return shift @results }

for my $what (['line items', qw(li_a li_b li_c li_d li_e)], ['line items, backwards', qw(li_d li_c li_b li_a)],
    ['lines of an invoice', qw(il_a il_b il_c)], ['items of a subscription', qw(si_a si_b si_c)],
    ['active entitlements', qw(ent_a ent_b ent_c)],
    ['after a 503 in the middle', qw(li_a li_b li_c li_d li_e)]) {
    my ($name, @ids) = @$what;
    my $result = next_one();
    is_deeply $result->{found}, \@ids, "page by page: $name" or diag explain $result;
}
my $whole = next_one();
is $whole->{object}{object}, 'list', 'a list is one';
is $whole->{object}{url}, sprintf($LINES, 'cs_paged'), 'and says where it is';
is scalar @{ $whole->{object}{data} }, 5, 'with what is in it';
is $whole->{object}{data}[0]{price}{product}, 'prod_a', 'the product is an id';
like $whole->{request}, qr/^req_\w+$/, 'and the request has one, too';
is next_one()->{object}{data}[0]{price}{product}{name}, 'A', 'unless it is expanded';

for my $case (
    ['429', 'StripeRateLimitError', 429, 'rate_limit'],
    ['400 that means 429', 'StripeRateLimitError', 400, 'rate_limit'],
    ['500', 'StripeAPIError', 500],
    ['a body that broke off', 'StripeConnectionError'],
    ['no answer', 'StripeConnectionError'],
    ['a permission that lacks', 'StripePermissionError', 403],
    ['a wrong key', 'StripeAuthenticationError', 401],
    ['what nobody knows', 'StripeInvalidRequestError', 404, 'resource_missing', 'session'],
    ['an id of another list', 'StripeInvalidRequestError', 400, 'resource_missing', 'starting_after'],
    ['a limit over 100', 'StripeInvalidRequestError', 400, 'parameter_invalid_integer', 'limit'],
    ['a parameter nobody knows', 'StripeInvalidRequestError', 400, 'parameter_unknown', 'colour'],
) {
    my ($name, $error, $status, $code, $param) = @$case;
    my $result = next_one();
    is_deeply [@$result{qw(error status)}], [$error, $status], "$name is understood" or diag explain $result;
    is $result->{code}, $code, '  by its code' if defined $code;
    is $result->{param}, $param, '  with what is wrong' if defined $param;
    like $result->{request}, qr/^req_/, '  and the request' if defined $status;
    like $result->{message}, qr/'rak_checkout_session_read' permission/, '  which is named'
        if $name =~ /permission/;
}

# What the tests sign is what the SDK verifies.
my $body = event_json('checkout.session.completed.payment');
$site->write_file('event', $body);
$site->write_file('verify.js', <<'EOF');
const [event, header, secret] = process.argv.slice(2);
const body = require('fs').readFileSync(event);
try { console.log(require('stripe').webhooks.constructEvent(body, header, secret).type); }
catch (e) { console.log(e.type); }
EOF
for my $case (['checkout.session.completed', signature($body)],
    ['StripeSignatureVerificationError', signature("$body ")]) {
    my ($expected, $signature) = @$case;
    open my $node, '-|', 'node', $site->dir . '/verify.js', $site->dir . '/event', $signature,
        $Test::Entitle::Stripe::SECRET or die $!;
    chomp(my $said = <$node> // '');
    is $said, $expected, "a signature of ours: $expected";
}

done_testing;
