package Test::Entitle::Stripe;

# Stripe's side: composed events as fixtures, moved to the present, changed as
# a test wants, and signed by Digest::SHA (never by the code under test).

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use Digest::SHA qw(hmac_sha256_hex);
use Exporter qw(import);
use File::Basename qw(dirname);
use File::Spec;
use JSON::PP ();

our @EXPORT_OK = qw(fixture_files fixture scenario event_json signature $SECRET
    $LATEST to_present);

our $SECRET = 'whsec_entitle_test_secret';
our $LATEST = '2026-07-29.dahlia';

# The moment the fixtures take for now.
my $T0 = 1767225600;

my $FIXTURES =
    abs_path(dirname(__FILE__) . '/../../../../lua-free-tests/fixtures/stripe');

my $JSON = JSON::PP->new->canonical->utf8;

sub _read {
    my ($path) = @_;
    open my $in, '<:raw', $path or croak "$path: $!";
    local $/;
    return scalar <$in>;
}

# Every unix time in the text, moved so that $T0 is $now. Nothing else changes.
sub to_present {
    my ($text, $now) = @_;
    my $shift = ($now // time) - $T0;
    $text =~ s/(?<=[\s:\[,])(1[5-9]\d{8}|2[0-4]\d{8})(?=\s*[,\]}\n])/$1 + $shift/ge;
    return $text;
}

# Paths below the fixtures, "2024-06-20/invoice.paid.json" and so on.
sub fixture_files {
    my (@folders) = @_;
    return map { my $f = $_; map { "$f/$_" } sort map { (File::Spec->splitpath($_))[2] }
            glob "$FIXTURES/$f/*.json" } @folders;
}

# The JSON text of a fixture as of now. fixture('invoice.paid') is the newest
# API shape's; a path with a folder and .json is taken as it is.
sub fixture {
    my ($name, $now) = @_;
    $name = "$LATEST/$name.json" if $name !~ m{/};
    return to_present(_read("$FIXTURES/$name"), $now);
}

# The events of a scenario in the order of delivery, as JSON texts, and what
# the scenario says about the end.
sub scenario {
    my ($name, $now) = @_;
    my $scenario = $JSON->decode(
        to_present(_read("$FIXTURES/scenarios/$name.json"), $now));
    return ($scenario, map { $JSON->encode($_) } @{ $scenario->{delivery} });
}

# Every place where an object names the app's user.
sub _name_user {
    my ($object, $user) = @_;
    $object->{client_reference_id} = $user
        if exists $object->{client_reference_id};
    for my $holder ($object, $object->{subscription_details},
        ($object->{parent} // {})->{subscription_details}) {
        next if ref $holder ne 'HASH' || ref $holder->{metadata} ne 'HASH';
        $holder->{metadata}{user_id} = $user
            if exists $holder->{metadata}{user_id};
    }
}

my $serial = 0;

# A fixture with fields changed, as JSON text. Keys are paths from the event:
#   event_json('customer.subscription.deleted', 'id' => 'evt_2',
#              'data.object.metadata.user_id' => 'ada')
# The event id is a fresh one unless given. Besides paths:
#   now       when the fixture's present is, unix time
#   user      the app's user, wherever the fixture names one
#   customer  a letter or digit that makes every Stripe id another customer's
#             (not prices and products)
sub event_json {
    my ($name, %change) = @_;
    my $now      = delete $change{now};
    my $user     = delete $change{user};
    my $customer = delete $change{customer};
    my $text     = fixture($name, $now);
    $text =~ s/\b((?:cus|sub|cs_test|in|pi|ch|si|re|du|pm)_1?[Ff]x)0/$1$customer/g
        if defined $customer;
    my $event = $JSON->decode($text);
    $event->{id} = sprintf 'evt_test%d%d%04d', $$, time, ++$serial;
    _name_user($event->{data}{object}, $user) if defined $user;
    for my $path (sort keys %change) {
        my @steps = split /\./, $path;
        my $last  = pop @steps;
        my $at    = $event;
        $at = ref $at eq 'ARRAY' ? $at->[$_] : ($at->{$_} //= {}) for @steps;
        if (ref $at eq 'ARRAY') { $at->[$last] = $change{$path} }
        else                    { $at->{$last} = $change{$path} }
    }
    return $JSON->encode($event);
}

# The Stripe-Signature header of these bytes.
#   secret, time, scheme     $SECRET, now, v1
sub signature {
    my ($body, %o) = @_;
    my $time   = $o{time}   // time;
    my $scheme = $o{scheme} // 'v1';
    return "t=$time,$scheme=" . hmac_sha256_hex("$time.$body", $o{secret} // $SECRET);
}

1;
