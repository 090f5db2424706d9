# The body is what Stripe signed, byte for byte, however it arrives: sizes
# around nginx's buffers, in memory or in a file, chunked, slowly, by HTTP/2.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
$site->redis;
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
server {
    listen 127.0.0.1:%%PORT%%;
    listen 127.0.0.1:%%PORT2%% http2;
    entitle_webhook_secret_file %%SECRET%%;
    client_body_timeout 3s;

    location = /webhook { entitle_webhook test; }
    location = /file    { entitle_webhook test; client_body_in_file_only clean; }
    location = /single  { entitle_webhook test; client_body_in_single_buffer on; }
    location = /tiny    { entitle_webhook test; client_body_buffer_size 1k; }
    location = /memory  { entitle_webhook test; client_body_buffer_size 2m; }
    location = /small   { entitle_webhook test; client_max_body_size 16k; }
}
EOF

my $KiB = 1024;
my $MiB = 1024 * 1024;

# A new event of exactly so many bytes. Its last bytes count, so a body that
# was cut anywhere does not verify.
sub event_of {
    my ($size, $user) = @_;
    my @change = (user => $user, customer => unpack 'H*', $user);
    my $least  = length event_json('customer.subscription.created.active',
        @change, 'data.object.description' => '');
    # Event ids may differ in length by a digit: pad with what is legal.
    my $event = event_json('customer.subscription.created.active', @change,
        'data.object.description' => 'x' x ($size - $least - 8));
    return $event . ' ' x ($size - length $event);
}

my $serial = 0;

sub applied {
    my ($name, $size, %options) = @_;
    my $user  = 'u' . ++$serial;
    my $event = event_of($size, $user);
    die "$name: " . length $event if length $event != $size;
    my $chunk = delete $options{chunk};
    $options{chunks} = [$event =~ /.{1,$chunk}/gs] if $chunk;
    my $answer = $site->webhook($event, %options);
    is $answer->status, 200, $name;
    is $answer->json->{outcome}, 'applied', '  applied';
    ok exists $site->redis->hgetall("entitle:test:{u:$user}")->{version},
        '  and recorded';
}

my @sizes = (8 * $KiB - 1, 8 * $KiB, 8 * $KiB + 1, 16 * $KiB, 64 * $KiB, $MiB);
for my $size (@sizes) {
    applied "$size bytes with a length", $size;
    applied "$size bytes in chunks", $size, chunk => 5000;
    applied "$size bytes in one file", $size, uri => '/file';
    applied "$size bytes in a tiny buffer and a file", $size, uri => '/tiny';
    applied "$size bytes in a single buffer", $size, uri => '/single';
    applied "$size bytes in memory", $size, uri => '/memory', pieces => 3;
}
applied 'slowly, in forty pieces', 20_000, pieces => 40, pause => 0.02;
applied 'slowly, in a file',       20_000, pieces => 10, uri => '/tiny';
applied 'byte by byte in chunks',  8000,   chunk  => 1;

# --- too large ---------------------------------------------------------------

my $too_large = event_of($MiB + 1, 'large');
is $site->webhook($too_large)->status, 413, 'one_byte_above_the_limit';
is $site->webhook($too_large, chunks => [$too_large =~ /.{1,60000}/gs])->status,
    413, 'one_byte_above_the_limit_in_chunks';
is $site->webhook(event_of(16 * $KiB + 1, 'large'), uri => '/small')->status,
    413, 'above_a_limit_of_the_location';
is_deeply $site->redis->hgetall('entitle:test:{u:large}'), {},
    'and nothing is written';
$site->expect_log(qr/client intended to send too large (?:chunked )?body/);

# --- HTTP/2 ------------------------------------------------------------------

sub http2 {
    my ($body, @options) = @_;
    my $file = $site->write_file('body', $body);
    my $port = $site->port(2);
    my $status = qx(curl -s --http2-prior-knowledge --max-time 30 -o /dev/null \\
        -w '%{http_version} %{http_code}' -X POST --data-binary \@$file \\
        -H 'Content-Type: application/json' @options \\
        http://127.0.0.1:$port/webhook);
    return $status;
}

for my $size (@sizes) {
    my $user  = "h$size";
    my $event = event_of($size, $user);
    is http2($event, "-H 'Stripe-Signature: " . signature($event) . q(')),
        '2 200', "$size bytes by HTTP/2";
    ok exists $site->redis->hgetall("entitle:test:{u:$user}")->{version},
        '  and recorded';
}
{
    my $event = event_of(20_000, 'unsized');
    is http2($event, "-H 'Stripe-Signature: " . signature($event)
            . q(' -H 'Transfer-Encoding: chunked')),
        '2 200', 'HTTP/2 without a length';
}
# nginx answers and resets the stream; curl 7.88 then forgets the answer.
http2($too_large);
like $site->read_file('logs/access.log'), qr{HTTP/2\.0" 413 },
    'too large by HTTP/2';
is http2(''), '2 400', 'an empty body by HTTP/2';

# --- clients that do not finish ----------------------------------------------

{
    my $event   = event_of(20_000, 'gone');
    my %request = $site->webhook_request($event);
    my ($head, $body) = Test::Entitle::Http::format(%request);
    my $client = $site->connect;
    $client->write($head . substr $body, 0, 10_000);
    select undef, undef, undef, 0.1;
    $client->reset;

    my $slow = $site->connect(timeout => 8);
    $slow->{method} = 'POST';
    $slow->write($head . substr $body, 0, 10_000);
    my $answer = $slow->receive;
    ok $answer->status == 408 || $answer->status == 0,
        'a body that never ends is given up';
    is_deeply $site->redis->hgetall('entitle:test:{u:gone}'), {},
        'half a body is no event';
}

# A body in a file leaves no file behind.
is_deeply [glob $site->dir . '/temp/client_body/*'], [], 'no file is left';

done_testing;
