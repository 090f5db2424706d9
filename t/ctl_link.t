# entitlectl link: whoever paid is in as soon as an operator says who it is, and
# no later event undoes it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Cluster;
use Test::Entitle::CtlShop;

my $shop  = Test::Entitle::CtlShop->new;
my $site  = $shop->site;
my $redis = $site->redis;
my $ctl   = $shop->ctl;
my @conf  = $shop->conf;

sub course { return $shop->course(@_) }

sub session { my ($n, $user, $event) = @_; return $shop->session($n, $user, event => $event) }

sub subscription {
    my ($sub, $customer, $user, $event) = @_;
    return $site->webhook(event_json('customer.subscription.created.active', user => $user,
        'id' => $event // "evt_$sub", 'data.object.id' => $sub, 'data.object.customer' => $customer,
        'data.object.metadata' => { userId => $user },
        'data.object.items.data.0.price.id' => 'price_Pro'))->json->{outcome};
}

# --- who is nobody's ---------------------------------------------------------------

is session(1, ''), 'parked', 'somebody paid';
is course('ann'), 402, 'ann is out';
my $said = $ctl->run('link', 'cus_1', 'ann', @conf);
is $said->{exit}, 4, 'without_yes_nothing_is_written';
like $said->{err}, qr/all of cus_1 becomes user "ann"'s, and is nobody's now:\n    cs_1\nNothing was written: --yes does it\./,
    'but the plan is shown';
is course('ann'), 402, 'ann is out still';
my ($command) = $ctl->run('parked', @conf)->{out} =~ /-> (entitlectl link .*)$/m;
$command =~ s/USER/ann --yes --by olga --reason 'she called'/;
$said = $ctl->shell($command);
is $said->{exit}, 0, 'the_command_that_parked_names_works' or diag $said->{err};
like $said->{out}, qr/^Done: user "ann" had nothing, and has pro\.$/, 'and says what changed';
is course('ann'), 200, 'ann_is_in';
is $ctl->run('parked', @conf)->{exit}, 0, 'nobody is parked any more';
my ($line) = @{ $ctl->json('events', 'ann', @conf)->{events} };
is "$line->{type} $line->{by} $line->{reason}", 'operator.link olga she called', 'the_log_says_who_and_why';
like $ctl->run('why', 'ann', @conf)->{out}, qr/owner +whole +user "ann", by an operator$/m, 'and why does';
is session(1, 'bob', 'evt_1b'), 'applied', 'a later event names another';
is course('ann') . course('bob'), '200402', 'no_later_event_undoes_it';
$said = $ctl->json('link', 'cs_1', 'ann', '--yes', @conf);
is_deeply [@$said{qw(user moved before after)}], ['ann', [], ['pro'], ['pro']],
    'said again, it moves nothing';

# --- who is somebody's -------------------------------------------------------------

is session(2, 'cid'), 'applied', 'cid has bought';
$said = $ctl->run('link', 'cus_2', 'dan', '--yes', @conf);
is $said->{exit}, 4, "what_is_somebody's_is_not_taken";
like $said->{err}, qr/and is user "cid"'s now:\n    cs_2\nIt is somebody's already: --move/, 'which it says';
is course('cid') . course('dan'), '200402', 'and nothing is written';
$said = $ctl->json('link', 'cus_2', 'dan', '--yes', '--move', @conf);
is_deeply [@$said{qw(user from moved before after lost)}],
    ['dan', ['cid'], ['cs_2'], [], ['pro'], [{ user => 'cid', before => ['pro'], after => [] }]], 'but_moved'
    or diag explain $said;
is course('cid') . course('dan'), '402200', 'it changes hands at once';

# One of two that pay through one customer.
is subscription('sub_3', 'cus_3', 'eve'), 'applied', 'eve';
is subscription('sub_4', 'cus_3', 'fay'), 'applied', 'and fay';
is $ctl->run('link', 'sub_3', 'gil', '--yes', '--move', @conf)->{exit}, 0, 'one_purchase_moves_alone';
is join(' ', map { course($_) } qw(eve fay gil)), '402 200 200', 'the other stays';

# --- what cannot be ----------------------------------------------------------------

for my $case (
    [1, qr/nothing is known of cus_nobody.*entitlectl why --config \S+ cus_nobody/, 'cus_nobody', 'ann'],
    [2, qr/is nothing of Stripe's/, 'ann@example.com', 'ann'],
    [2, qr/a user has 1 to 255 bytes/, 'cus_1', "a\nb"],
    [2, qr/"guest:short" is no browser's id: that has 22 characters/, 'cus_1', 'guest:short'],
    [2, qr/link takes WHAT and USER, or --csv FILE/, 'cus_1'],
) {
    my ($exit, $why, @words) = @$case;
    my $said = $ctl->run('link', @words, '--yes', @conf);
    is $said->{exit}, $exit, "exit code $exit: @words";
    like $said->{err}, $why, 'which says why';
}

# --- the checkout of a subscription ------------------------------------------------

is $site->webhook(event_json('checkout.session.completed.subscription', user => '',
    'id' => 'evt_9', 'data.object.id' => 'cs_9', 'data.object.customer' => 'cus_9',
    'data.object.subscription' => 'sub_9', 'data.object.client_reference_id' => undef,
    'data.object.metadata' => { plan => 'pro' }))->json->{outcome}, 'parked', 'a checkout of nobody';
is $ctl->run('link', 'cs_9', 'hal', '--yes', @conf)->{exit}, 0, 'is somebody\'s now';
is subscription('sub_9', 'cus_9', ''), 'applied', 'its subscription comes later';
is course('hal'), 200, 'a_checkout_takes_its_subscription_along';

# --- a purchase is its session and its payment -------------------------------------

sub refunded {
    my ($n) = @_;
    return $site->webhook(event_json('charge.refunded.full', 'id' => "evt_back_$n",
        'data.object.id' => "ch_$n", 'data.object.customer' => "cus_$n",
        'data.object.payment_intent' => "pi_$n"))->json->{outcome};
}

is session(30, 'nan'), 'applied', 'nan has bought';
is $ctl->run('link', 'cs_30', 'mo', '--move', '--yes', @conf)->{exit}, 0, 'and it is mo\'s';
is course('nan') . course('mo'), '402200', 'who is in';
is refunded(30), 'applied', 'the money goes back';
is course('nan') . course('mo'), '402402', 'what_is_linked_is_refunded_with_its_payment';
is session(31, 'nan'), 'applied', 'nan buys again';
is refunded(31), 'applied', 'and has it back';
is $ctl->run('link', 'pi_31', 'mo', '--move', '--yes', @conf)->{exit}, 0, 'its payment becomes mo\'s';
is course('nan') . course('mo'), '402402', 'which_opens_nothing_for_anybody';

# As an earlier version kept them: nothing says that the two are one.
is session(32, 'nan'), 'applied', 'one of before';
is refunded(32), 'applied', 'refunded';
my $claims = $redis->command('HGET', 'entitle:test:{p:cus_32}', 'claims:pi_32');
$claims =~ s/,?\{"by":"part_of"[^}]*\}//g;
$redis->command('HSET', 'entitle:test:{p:cus_32}', 'claims:pi_32', $claims);
is $ctl->run('link', 'cs_32', 'mo', '--move', '--yes', @conf)->{exit}, 0, 'goes along all the same';
is course('nan') . course('mo'), '402402', 'what_was_kept_before_holds';

# --- a file ------------------------------------------------------------------------

is session($_, ''), 'parked', "nobody knows $_" for 20 .. 23;
is session(24, 'ivy'), 'applied', 'ivy has one';
my @csv = ('link', '--csv', $site->write_file('links.csv', <<'EOF_CSV'), @conf);
what,user,reason
cus_20,jan,"said so, on the phone"
cs_21,"kim"
ann@example.com,lee
cus_24,lee
cus_nobody,lee
cus_20,lee
cus_22
EOF_CSV
$said = $ctl->run(@csv, '--yes');
is $said->{exit}, 2, 'a_file_with_errors_is_refused';
like $said->{err}, qr/5 lines are wrong, nothing was written:\nline 4: "ann\@example.com" is nothing of Stripe's.*\nline 5: .*cus_24.*ivy.*\n.*\nIt is somebody's already.*\nline 6: nothing is known of cus_nobody.*\nline 7: cus_20 is another user's in line 2\nline 8: WHAT,USER/,
    'all_errors_with_their_lines';
is_deeply [map { $_->{line} } @{ $ctl->json(@csv, '--yes')->{errors} }], [4 .. 8], 'in JSON, too';
is course('jan') . course('kim'), '402402', 'and nothing is written';

$site->write_file('links.csv', qq{cus_20,jan,"said so, on the phone"\r\ncs_21,"kim"\r\ncus_24,lee\r\n});
is $ctl->run(@csv, '--yes')->{exit}, 4, "what is somebody's is refused";
is course('jan') . course('kim') . course('ivy'), '402402200', 'and nothing is written';
$said = $ctl->run(@csv, '--move');
is $said->{exit}, 4, 'the plan wants a yes';
like $said->{err}, qr/all of cus_20 becomes user "jan"'s, and is nobody's now:\n    cs_20\n.*cs_21 of cus_21 becomes user "kim"'s.*all of cus_24 becomes user "lee"'s, and is user "ivy"'s now/s,
    'and is printed';
$said = $ctl->json(@csv, '--move', '--yes', '--reason', 'the letter of May');
is_deeply [map { [@$_{qw(line user from moved before after)}] } @{ $said->{links} }],
    [[1, 'jan', [], ['cs_20'], [], ['pro']], [2, 'kim', [], ['cs_21'], [], ['pro']],
     [3, 'lee', ['ivy'], ['cs_24'], [], ['pro']]], 'then_all_of_it_is_done' or diag explain $said;
is join(' ', map { course($_) } qw(jan kim ivy lee)), '200 200 402 200', 'each is in who shall be';
is_deeply [map { $ctl->json('events', $_, @conf)->{events}[0]{reason} } qw(jan kim)],
    ['said so, on the phone', 'the letter of May'], "a line's own reason comes first";
my $before = $redis->command('HGET', 'entitle:test:{u:lee}', 'version');
$said = $ctl->run(@csv, '--move', '--yes');
is $said->{exit}, 0, 'said again it is done';
like $said->{out}, qr/Nothing to do: all of cus_24 is user "lee"'s, as an operator said\.\n0 of 3 links written\.$/,
    'said_again_it_changes_nothing';
is $redis->command('HGET', 'entitle:test:{u:lee}', 'version'), $before, 'and raises no version';
like $ctl->run('link', '--csv', '/nowhere', '--yes', @conf)->{err}, qr{/nowhere: No such file}, 'no file';
is $ctl->shell("printf 'cus_nobody,mia' | entitlectl link --csv - --yes @conf")->{exit}, 1,
    'what_is_not_known_ends_alike_in_a_file';
is $ctl->shell("printf 'cus_20,jan,a\\001b' | entitlectl link --csv - --yes @conf")->{exit}, 2,
    "a line's reason has no control bytes";
is $ctl->shell(q{printf 'cus_20,jan,%0501d' 1} . " | entitlectl link --csv - --yes @conf")->{exit}, 2,
    'nor more than 500';
{
    local $ENV{SUDO_USER} = "ro\tot";
    is $ctl->run('link', 'cus_20', 'jan', '--yes', @conf)->{exit}, 2, 'nor has who says it';
}
is $ctl->json('link', '--nonsense', @conf)->{exit}, 2, 'an_option_that_is_none_is_answered_in_JSON';
is $ctl->run('link', '--csv', '/nowhere', 'cus_1', 'ann', @conf)->{exit}, 2, 'a file or words';
is $ctl->shell("printf 'cus_22,mia' | entitlectl link --csv - --yes @conf")->{exit}, 0, 'standard input';
is course('mia'), 200, 'it_is_read_too';

# --- a terminal is asked -----------------------------------------------------------

SKIP: {
    skip "no script here", 6 if system('command -v script >/dev/null') != 0;
    for my $case (['n', 4, 402], ['y', 0, 200]) {
        my ($key, $exit, $status) = @$case;
        my $said = $ctl->shell("echo $key | script -qec 'entitlectl link cus_23 ned @conf' /dev/null");
        is $said->{exit}, $exit, "a terminal is asked, and says $key";
        like $said->{out}, qr/becomes user "ned"'s.*Do it\? \[y\/N\]/s, 'the plan';
        is course('ned'), $status, 'so it is';
    }
}

# --- a Cluster ---------------------------------------------------------------------

{
    my $cluster = Test::Entitle::Cluster->new(dir => "$site->{dir}/cluster");
    my @redis   = ('--redis', $cluster->address);
    for my $n (1 .. 12) {
        $cluster->command('HSET', "entitle:live:{p:cus_$n}", 'format', 2, 'epoch', 0, "source:cs_$n",
            qq({"place":"cus_$n","sessions":[{"event":"evt_$n","created":1767225600,"mode":"payment",)
            . qq("paid":true,"identifiers":["metadata=pro"]}]}));
        $cluster->command('ZADD', 'entitle:live:parked', 1767225600, "cus_$n");
    }
    is grep({ $ctl->run('link', "cus_$_", "u$_", '--yes', @redis)->{exit} == 0 } 1 .. 12), 12, 'in a Cluster';
    is grep({ $cluster->command('HGET', "entitle:live:{u:u$_}", "source:cs_$_") =~ /"cus_$_"/ } 1 .. 12), 12,
        'it_goes_to_whatever_node_has_the_record';
    is $cluster->command('ZCARD', 'entitle:live:parked'), 0, 'and nothing is parked there any more';
    $_->stop for $cluster->servers;
}

# --- the payment goes along ----------------------------------------------------------

is session(71, 'payer71'), 'applied', 'somebody paid';
$said = $ctl->run('link', 'cs_71', 'taker71', '--move', '--yes', @conf);
is $said->{exit}, 0, 'a checkout is linked' or diag $said->{err};
is course('payer71') . course('taker71'), '402200', 'to another';
$site->webhook(event_json('charge.refunded.full', id => 'evt_refund71',
    'data.object.payment_intent' => 'pi_71', 'data.object.customer' => 'cus_71'));
is course('taker71'), 402, 'a_refund_that_comes_later_takes_it_away';

done_testing;
