package Test::Entitle::Situations;

# The ways a site goes wrong, one list: t/ctl_situations.t makes each on a real
# nginx and Redis and asks the tool, and docs/troubleshooting.md has it as a table
# by symptom.
#
#   name      what the test's subroutine is called
#   symptom   what somebody sees
#   is        what it is
#   ask       the command
#   link      of why: the link that is broken; of check: the line
#   mends     what to do; the first `...` of it is in what the tool says
#
# perl -It/lib -MTest::Entitle::Situations=table -e 'print table()'  the table

use strict;
use warnings;

use Exporter qw(import);
our @EXPORT_OK = qw(situations table);

my @ALL;
sub _add { my ($name, %about) = @_; push @ALL, { name => $name, %about }; return }

my $PAID = 'somebody paid and is not in';
_add 'event_types', symptom => $PAID, is => 'an event type is not selected at Stripe', ask => 'why USER', link => 'paid',
    mends => 'select `customer.subscription.created` and `invoice.paid`, and resend them';
_add 'wrong_mode', symptom => 'nobody who pays gets in', is => 'events of the other mode come', ask => 'why USER', link => 'verified',
    mends => 'send live events to the location of live, test events to that of test, `each with its own secret`';
_add 'wrong_secret', symptom => 'nobody who pays gets in', is => "the secret is another endpoint's", ask => 'check', link => 'webhook.refused',
    mends => 'put the endpoint\'s secret into `entitle_webhook_secret_file` and reload';
_add 'body_rewritten', symptom => 'nobody who pays gets in', is => 'something rewrites the body on its way', ask => 'check --ping', link => 'webhook.ping',
    mends => 'have the CDN, firewall or proxy that `rewrites the body` leave that path alone';
_add 'too_large', symptom => 'some purchases never come', is => 'a body limit: 413', ask => 'check', link => 'webhook.body',
    mends => 'raise `client_max_body_size` there, and in each proxy before it';
_add 'redirect', symptom => 'nobody who pays gets in', is => 'the webhook\'s URL redirects', ask => 'check', link => 'webhook.route',
    mends => 'give Stripe `the URL where it ends`';
_add 'clock', symptom => 'nobody who pays gets in', is => 'a clock is minutes off', ask => 'check', link => 'webhook.refused',
    mends => "`set this machine's clock`, and keep it by NTP";
_add 'lost', symptom => $PAID, is => 'an event was lost', ask => 'check --stripe', link => 'stripe.delivered',
    mends => '`entitlectl replay`, with `--missing --yes`';
_add 'nobody_named', symptom => $PAID, is => 'nothing names whose it is', ask => 'why CUSTOMER', link => 'owner',
    mends => '`entitlectl link`, or the metadata user_id at Stripe';
_add 'wrong_user', symptom => 'somebody else has what was bought', is => 'it was named wrongly', ask => 'why SESSION', link => 'owner',
    mends => '`entitlectl link`, with `--move`';
_add 'no_grant', symptom => $PAID, is => 'no grant names the price', ask => 'why USER', link => 'grant',
    mends => 'add `entitle_grant NAME price_Other;` and reload';
_add 'not_reloaded', symptom => 'a grant that was added does nothing', is => 'the configuration was not reloaded', ask => 'check', link => 'nginx.configuration',
    mends => '`nginx -t && nginx -s reload`';
_add 'refund', symptom => 'a customer is out', is => 'all of it was given back', ask => 'why USER', link => 'refund',
    mends => 'the user `has to buy again`; entitle_refund keep would let them keep it';
_add 'dispute', symptom => 'a customer is out', is => 'the payment is disputed', ask => 'why USER', link => 'dispute',
    mends => '`answer the dispute` in Stripe\'s dashboard';
_add 'past_due', symptom => 'a customer is out', is => 'a payment failed, and its grace is over', ask => 'why USER', link => 'time',
    mends => 'the user pays `the open invoice`';
_add 'cancelled', symptom => 'a customer is out', is => 'the subscription is cancelled', ask => 'why USER', link => 'time',
    mends => 'the user `has to buy again`';
_add 'stale', symptom => 'bought just now, and one browser is not in', is => 'the session is of an older version', ask => 'why USER --cookie FILE', link => 'session',
    mends => '`reload the page`; if it stays so, the app does not answer: `entitlectl check`';
_add 'not_bound', symptom => 'the app is asked at each request', is => 'the cookie that the session is bound to is not there', ask => 'why USER --cookie FILE', link => 'session',
    mends => 'have the app set that cookie, or name the right one in `entitle_session_bind`';
_add 'app_fails', symptom => 'everybody gets 503', is => "the app's login check fails", ask => 'check', link => 'gate.app',
    mends => '`have the app answer` 200 with the user, or 401';
_add 'read_only', symptom => 'webhooks are answered 503', is => 'Redis is a replica, or read-only', ask => 'check', link => 'redis.writes',
    mends => '`name the primary in entitle_redis`, or its Sentinels';
_add 'full', symptom => 'webhooks are answered 503', is => 'Redis is full', ask => 'check', link => 'redis.writes',
    mends => '`raise maxmemory`, or see what else fills it';
_add 'other_prefix', symptom => $PAID, is => 'it is kept under another prefix or mode', ask => 'why USER', link => 'stored',
    mends => 'ask there: `entitlectl why`, with `--prefix`; and have webhook and gate say one entitle_redis_prefix';
_add 'other_account', symptom => "a connected account's customers are out", is => 'nobody named the account', ask => 'why USER', link => 'verified',
    mends => '`entitle_webhook_account` with its id';
_add 'two_owners', symptom => 'a customer of two users', is => 'each purchase is of whom it names', ask => 'why CUSTOMER', link => 'owner',
    mends => 'none is chosen: `entitlectl why` of one of them';
_add 'ignored', symptom => $PAID, is => 'an operator ignores the product', ask => 'why USER', link => 'grant',
    mends => '`entitlectl ignore`, with `--remove`, and a grant that names it';

sub situations { return @ALL }

# Those of one symptom stand together.
sub table {
    my (%seen, @symptoms);
    for (@ALL) { push @symptoms, $_->{symptom} if !$seen{ $_->{symptom} }++ }
    my $table = "| what somebody sees | what it is | ask | broken | what mends it |\n|---|---|---|---|---|\n";
    for my $symptom (@symptoms) {
        $table .= "| $_->{symptom} | $_->{is} | `entitlectl $_->{ask}` | $_->{link} | $_->{mends} |\n"
            for grep { $_->{symptom} eq $symptom } @ALL;
    }
    return $table;
}

1;
