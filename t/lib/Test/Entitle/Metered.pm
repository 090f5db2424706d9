package Test::Entitle::Metered;

# Customers with credits, and a site that says whose they are by ?user=.
#
#   my $http = metered_http($credits, $locations);
#   pack_of($redis, 'ada', 3);                # a paid session, three packs
#   is taken($redis, 'ada'), 5;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT = qw(metered_http pack_of period_of taken);

my $serial = 0;

# What stands in http{}: redis, main (beside it), server (in it).
sub metered_http {
    my ($locations, %o) = @_;
    my ($redis, $main, $server) = ($o{redis} // '%%REDIS%%', $o{main} // '', $o{server} // '');
    return <<"EOT";
entitle_redis redis://127.0.0.1:$redis;
entitle_redis_timeout 300ms;
entitle_mode test;
entitle_lease 1s;
entitle_credit api price_Pack=1000;
entitle_credit api price_Pro=500 per=period;
map \$arg_user \$known { default \$arg_user; }
map \$arg_cost \$cost { default \$arg_cost; "" 1; }
log_format metered "\$uri \$status \$entitle_user \$entitle_decision \$entitle_reason \$entitle_credits_left";
access_log %%DIR%%/logs/metered.log metered;
$main
server {
    listen 127.0.0.1:%%PORT%% backlog=1024;
    entitle_trusted_user \$known;
    add_header X-Left \$entitle_credits_left always;
    $server
    $locations
}
EOT
}

# The source of a paid session: so many packs.
sub pack_of {
    my ($redis, $user, $packs, $id) = @_;
    my $lines = $packs == 1 ? '' : qq("lines":[{"identifiers":["price_Pack"],"quantity":$packs}],);
    $id //= 'cs_' . ++$serial;
    $redis->command('HSET', "entitle:test:{u:$user}", version => 1_767_000_000_000 + ++$serial,
        "source:$id" => qq({"place":"cus_$user","sessions":[{"event":"evt_$id","created":)
            . time . qq(,"mode":"payment","paid":true,"payment_intent":"pi_$id","amount":900,)
            . qq("identifiers":["price_Pack"],${lines}"unseen":1}]}));
    return $id;
}

# A subscription whose period runs from then until then.
sub period_of {
    my ($redis, $user, $from, $until, %o) = @_;
    my ($status, $quantity) = ($o{status} // 'active', $o{quantity} // 1);
    return $redis->command('HSET', "entitle:test:{u:$user}",
        version => 1_767_000_000_000 + ++$serial,
        'source:sub_1' => qq({"place":"cus_$user","snapshots":[{"event":"evt_s$serial",)
            . qq("type":"updated","created":) . time . qq(,"status":"$status","period_end":$until,)
            . qq("identifiers":["price_Pro"]}],"periods":[{"created":) . time
            . qq(,"price":"price_Pro","from":$from,"until":$until,"quantity":$quantity}]}));
}

# What the counter says; of a period, by its beginning.
sub taken {
    my ($redis, $user, $from) = @_;
    my $key = "entitle:test:{u:$user}:used:api" . (defined $from ? ":$from" : '');
    return $redis->command('GET', $key) // 0;
}

1;
