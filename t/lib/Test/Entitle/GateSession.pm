package Test::Entitle::GateSession;

# The other end of the edge session, written from its specification
# (core/identity/edge_session.h) and from RFC 5869 and RFC 7515, never with the code under
# test; and users' records as docs/redis.md describes them.
#
#   my $token = session(user => 'ada', version => 5, bind => ['s1']);
#   put_record($site->redis, 'ada', version => 5, subscription('active'));

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use Exporter qw(import);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url decode_base64url);

our @EXPORT = qw(session audience session_payload binding sign put_record subscription
    purchase encode_base64url decode_base64url);

# What %%KEY%% holds, as bytes.
our $KEY = pack 'H*', '0123456789abcdef' x 4;

# HKDF-SHA256, no salt, 32 bytes.
sub _derived {
    my ($key, $use) = @_;
    return hmac_sha256("$use\x01", hmac_sha256($key, "\0" x 32));
}

# The `bnd` of these: each [kind, name, value], or the value of the cookie `app`,
# to which %%REAUTH%% binds.
sub binding {
    my ($all, $key) = @_;
    return '' if !@$all;
    my $framed = join '', map { pack('Q>', length) . $_ }
        map { ref $_ ? @$_ : ('cookie', 'app', $_) } @$all;
    my $mac = hmac_sha256($framed, _derived($key // $KEY, 'entitle session binding v2'));
    return encode_base64url(substr $mac, 0, 16);
}

sub sign {
    my ($header, $payload, $key) = @_;
    my $message = encode_base64url($header) . '.' . encode_base64url($payload);
    return "$message." . encode_base64url(
        hmac_sha256($message, _derived($key // $KEY, 'entitle session v1')));
}

# What a session is worth where `entitle_session_scope tests` holds (as by
# %%SESSIONS%%) and the app is asked so: [URI, how the user is read].
our $ASKED = ['/whoami', 'header=x-user'];
sub audience {
    my ($asked, $scope) = @_;
    my $framed = join '', map { pack('Q>', length) . $_ }
        $scope // 'scope:tests', map { $_ // '' } @$asked[0, 1];
    return 'entitle:test#' . encode_base64url(substr
        hmac_sha256($framed, 'entitle session audience v1'), 0, 16);
}

# A token. user, version, bind => [as binding()]; iat (now), exp (in 12 h), asked
# ($ASKED), aud (instead), key (raw bytes), header (JSON), bnd (instead of bind).
sub session_payload {
    my (%o) = @_;
    my $iat = $o{iat} // time;
    return sprintf '{"aud":"%s","sub":"%s","sv":%s,"iat":%s,"exp":%s,"bnd":"%s"}',
        $o{aud} // audience($o{asked} // $ASKED), $o{user} // 'ada', $o{version} // 0, $iat,
        $o{exp} // $iat + 12 * 3600, $o{bnd} // binding($o{bind} // [], $o{key});
}

sub session {
    my (%o) = @_;
    return sign($o{header} // '{"alg":"HS256","typ":"entitle+jwt"}',
        session_payload(%o), $o{key});
}

# --- records -----------------------------------------------------------------

my $JSON = JSON::PP->new->canonical;

# A user's record in mode test: version, and fields (source:..., not_before).
sub put_record {
    my ($redis, $user, %fields) = @_;
    my $key = "entitle:test:{u:$user}";
    $redis->command('DEL', $key);
    $redis->command('HSET', $key, map { $_ => $fields{$_} } sort keys %fields);
    return $fields{version};
}

# A subscription to prod_Pro in one snapshot. Further members, or other values
# for period_end (in 30 days) and identifiers.
sub subscription {
    my ($status, %o) = @_;
    my $now = time;
    my $id = delete $o{id} // 'sub_1';
    my $past_due = delete $o{past_due};
    $o{identifiers} = [sort @{ $o{identifiers} }] if $o{identifiers};
    my $source = {
        place => 'cus_1',
        snapshots => [{
            event => 'evt_1', type => 'updated', created => $now - 60,
            status => $status, period_end => $now + 30 * 86400,
            identifiers => ['prod_Pro'], %o,
        }],
        $past_due ? (past_due => { event => 'evt_1', created => $past_due }) : (),
    };
    return ("source:$id" => $JSON->encode($source));
}

# prod_Pro bought once, with what happened to the payment since:
# refunds => [...], disputes => [...].
sub purchase {
    my (%o) = @_;
    my $now = time;
    return (
        'source:cs_1' => $JSON->encode({
            place => 'cus_1',
            sessions => [{
                event => 'evt_1', created => $now - 60, mode => 'payment',
                paid => JSON::PP::true, payment_intent => 'pi_1',
                identifiers => ['prod_Pro'],
            }],
        }),
        %o ? ('source:pi_1' => $JSON->encode({ place => 'cus_1', %o })) : (),
    );
}

1;
