package Test::Entitle::Guest;

# The other end of a browser's id, written from its specification
# (core/identity/browser_id.h, RFC 5869), never with the code under test; and what
# Stripe says of a purchase made with it.
#
#   my $token = guest_token(id => $id, iat => time - 86400);
#   my ($reference) = reference_of($answer);
#   $site->webhook(bought($reference));

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use Exporter qw(import);
use MIME::Base64 qw(encode_base64url decode_base64url);
use Test::Entitle::GateSession ();
use Test::Entitle::Stripe qw(event_json);

our @EXPORT = qw(guest_token guest_id reference_of user_of bought);

# 22 characters, of 16 bytes.
sub guest_id { my ($byte) = @_; return encode_base64url($byte x 16) }

# What a browser's id is worth where `entitle_session_scope tests` holds.
sub _audience {
    my ($scope) = @_;
    my $framed = join '', map { pack('Q>', length) . $_ } 'browser', $scope;
    return 'entitle:test#' . encode_base64url(substr
        hmac_sha256($framed, 'entitle session audience v1'), 0, 16);
}

# id, iat (now), scope ('scope:tests'), key (raw bytes of %%KEY%%).
sub guest_token {
    my (%o) = @_;
    my $message = join '.', 1, $o{id}, int($o{iat} // time);
    my $key = $o{key} // $Test::Entitle::GateSession::KEY;
    my $own = hmac_sha256("entitle browser id v1\x01", hmac_sha256($key, "\0" x 32));
    return "$message." . encode_base64url(
        hmac_sha256(_audience($o{scope} // 'scope:tests') . "\0$message", $own));
}

# Where a buy button led to: the reference it carries.
sub reference_of {
    my ($answer) = @_;
    return (($answer->header('Location') // '') =~ /client_reference_id=([\w-]+)/)[0] // '';
}

# The user a reference is of.
sub user_of {
    my ($reference) = @_;
    my ($text) = $reference =~ /^ent1b-[\w-]{22}-(.*)$/ or return '';
    return decode_base64url($text);
}

# checkout.session.completed of a payment that bought metadata.plan=pro.
my $n = 0;
sub bought {
    my ($reference, %more) = @_;
    $n++;
    return event_json('checkout.session.completed.payment', id => "evt_guest$n",
        'data.object.id'                  => "cs_guest$n",
        'data.object.customer'            => undef,
        'data.object.payment_intent'      => "pi_guest$n",
        'data.object.payment_link'        => undef,
        'data.object.client_reference_id' => $reference,
        'data.object.metadata'            => { plan => 'pro' },
        %more);
}

1;
