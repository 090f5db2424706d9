# What a pause of a subscription's collection (pause_collection) means, as
# entitle_pause_collection says: nothing at all by default, and with revoke no
# access until it ends, by what Stripe says or by its own time.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Time::HiRes qw(sleep);

my %SERVERS = (
    default => '',
    keep    => 'entitle_pause_collection keep;',
    revoke  => 'entitle_pause_collection revoke;',
);

my $site = Test::Entitle->new(workers => 2);
$site->redis;
$site->write_file('html/course', 'the course');
my (%port, $servers);
for my $name (sort keys %SERVERS) {
    $port{$name} = $site->port(10 + keys %port);
    $servers .= <<"EOS";
server {
    listen 127.0.0.1:$port{$name};
    $SERVERS{$name}
    location = /course {
        entitle_require pro;
        add_header X-Reason \$entitle_reason always;
        add_header X-Until \$entitle_until always;
    }
}
EOS
}
$site->start(<<"EOS" . $servers);
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
entitle_grant pro prod_FxPRO000001;
map \$http_x_user \$somebody { default \$http_x_user; }
entitle_trusted_user \$somebody;
server {
    listen 127.0.0.1:%%PORT%%;
    entitle_pause_collection revoke;
    %%WEBHOOK%%
}
EOS

# --- a story: one user's subscription ----------------------------------------------

# The fixture's period began five days ago and ends in 25.
my $SINCE = time - 5 * 86400;
my ($user, $n, $second) = ('', 0, 0);

sub story { $user = $_[0]; $second = 0; $n++ }

sub told {
    my ($pause, $before, %change) = @_;
    my $answer = $site->webhook(event_json('customer.subscription.updated.pause_collection_void',
        now => $SINCE, user => $user, created => time - 3600 + ++$second,
        'data.object.id' => "sub_story$n", 'data.object.customer' => "cus_Story$n",
        'data.object.pause_collection' => $pause,
        'data.previous_attributes' => { pause_collection => $before }, %change));
    is $answer->status, 200, "$user: stripe's webhook is stored" or diag $answer->body;
    return $answer->json;
}

sub answer_of {
    my ($server) = @_;
    my $answer = $site->request(uri => '/course', port => $port{$server},
        headers => ['X-User' => $user]);
    return 'in' if $answer->status == 200;
    return $answer->status == 402 ? $answer->header('X-Reason') : $answer->status;
}

sub answers {
    my ($when, $revoked) = @_;
    is answer_of($_), 'in', "$user: $when: $_" for qw(default keep);
    is answer_of('revoke'), $revoked, "$user: $when: revoke";
}

my $version = sub { $site->redis->command(HGET => "entitle:test:{u:$user}", 'version') };

# --- what it takes, and who gives it back -------------------------------------------

for my $behavior (qw(void keep_as_draft mark_uncollectible)) {
    story("paused_as_$behavior");
    told(undef, undef);
    answers('before', 'in');
    my $before = $version->();
    my $pause = { behavior => $behavior, resumes_at => undef };
    is_deeply told($pause, undef)->{unlocks}, [], 'the webhook says what is left';
    answers('paused', 'collection_paused');
    is $version->(), $before + 1, "$user: sessions are looked at again";
    # Renewed meanwhile: Stripe goes on making invoices that nobody pays.
    told($pause, $pause, 'data.object.items.data.0.current_period_end' => time + 60 * 86400);
    answers('and renewed', 'collection_paused');
    is_deeply told(undef, $pause)->{unlocks}, ['pro'], 'resumed';
    answers('resumed', 'in');
}

story('resumed_is_heard_of_first');
my $pause = { behavior => 'void', resumes_at => undef };
my @events = map { event_json('customer.subscription.updated.pause_collection_void',
        now => $SINCE, user => $user, created => time - 60,
        'data.object.id' => "sub_story$n", 'data.object.customer' => "cus_Story$n",
        'data.object.pause_collection' => $_->[0],
        'data.previous_attributes' => { pause_collection => $_->[1] }) }
    [$pause, undef], [undef, $pause];
told(undef, undef);
is $site->webhook($_)->status, 200, 'both are of one second' for reverse @events;
answers('paused and resumed at once', 'in');

# --- by its own time ----------------------------------------------------------------

story('the_time_it_says');
my $resumes = time + 4;
$pause = { behavior => 'void', resumes_at => $resumes };
told($pause, undef);
answers('paused', 'collection_paused');
my ($said, $at);
my $give_up = time + 60;
do {
    sleep 0.05;
    # nginx goes by this clock; time() is behind it by up to a tick.
    ($said, $at) = (answer_of('revoke'), Time::HiRes::time());
} until $said eq 'in' || $at > $give_up;
is $said, 'in', 'the time has come, and nobody said a word';
cmp_ok $at, '>=', $resumes, 'and not before it';
told(undef, $pause);
answers('and when Stripe says so', 'in');

# --- what it does not do ------------------------------------------------------------

story('what_has_ended_has_ended');
$pause = { behavior => 'void', resumes_at => undef };
told($pause, undef, 'data.object.status' => 'unpaid');
is answer_of($_), 'ended', "unpaid and paused: $_" for qw(default keep revoke);

# --- what counts is the configuration of now ----------------------------------------

story('a_reload');
told($pause, undef);
answers('before the reload', 'collection_paused');
$site->write_file('nginx.conf', $site->read_file('nginx.conf')
    =~ s/entitle_pause_collection revoke;/entitle_pause_collection keep;/gr);
$site->reload;
answers('after it', 'in');

done_testing;
