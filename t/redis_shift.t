# An answer of Redis that is lost, or one too many, gives nobody what is another's:
# each write on the connection that all readers share ends with a mark, and what was
# asked is answered only once that has come back in its place.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::FaultyRedis;

my $site  = Test::Entitle->new;
my $redis = $site->redis;
my $dir   = $site->dir;

# Tracking is refused: each request asks. While the file `lose` is there the next
# answer about a record is lost, with `more` it comes twice.
my $faulty = Test::Entitle::FaultyRedis->new(
    port => $site->port(9), redis => $redis,
    answer => sub {
        my (@words) = @_;
        return "-ERR unknown subcommand\r\n" if @words > 1 && "@words[0, 1]" eq 'CLIENT TRACKING';
        return undef if $words[0] ne 'HGETALL' || $words[1] !~ /\{u:\w/;
        return '' if unlink "$dir/lose";
        return "*0\r\n*0\r\n" if unlink "$dir/more";
        return undef;
    },
    spoil => sub { length $_[0] ? syswrite $_[1], $_[0] : 1 });
$site->write_file('html/page.html', 'page');
$site->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%PORT9%%;
entitle_redis_timeout 900ms;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
entitle_mode test;
server {
    listen 127.0.0.1:%%PORT2%%;
    location = /whoami { add_header X-User $cookie_app; return 204; }
}
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /whoami { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /page.html { add_header X-Cache $entitle_cache always; entitle_require pro; %%REAUTH%% }
}
EOF
sub visit {
    my ($user) = @_;
    return $site->connect->send(uri => '/page.html', close => 1,
        headers => [Cookie => "app=$user"]);
}

is $site->webhook(event_json('customer.subscription.created.active',
    user => 'ada', customer => 'ada'))->status, 200, 'ada has paid';
my $ada = visit('ada')->receive;
is $ada->status, 200, '  and is in';
ok wait_until(sub { visit('ada')->receive->header('X-Cache') eq 'BYPASS' }),
    'nothing is cached: each request asks';

for my $what (qw(lose more)) {
    my (%paid, %stranger);
    for my $round (1 .. 5) {
        $site->write_file($what, '');
        my @asked;
        for my $n (1 .. 6) {
            push @asked, [\%stranger, visit("stranger$n")], [\%paid, visit('ada')];
            select undef, undef, undef, 0.01;
        }
        for (@asked) {
            my ($count, $request) = @$_;
            $count->{ $request->receive->status }++;
        }
    }
    ok !-e "$dir/$what", "$what: it happened";
    is $stranger{200} // 0, 0, '  no stranger is let in';
    is $paid{402} // 0, 0, '  who has paid is not refused';
    cmp_ok $paid{200} // 0, '>', 0, '  and is in';
}
ok $site->wait_for_log(qr/its answers do not fit what it was asked/), 'the log says so';
ok wait_until(sub { visit('ada')->receive->status == 200 }), 'ada is in';
is visit('stranger')->receive->status, 402, '  and nobody else';
done_testing;
