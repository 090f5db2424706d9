# A Redis that goes by a name: looked up when it is connected to, with every
# address tried, and followed when the name moves, as a fail-over by DNS does.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Socket qw(AF_INET AF_INET6 inet_pton);
use Test::Entitle;
use Test::Entitle::Cached;
use Test::Entitle::GateSession;
use Time::HiRes qw(sleep time);

# --- a DNS server that says what a file says --------------------------------------

# Lines "name type address": types A and AAAA; a name without any is NXDOMAIN,
# and while a line says "silence" nothing is answered at all.
package NameServer {
    use Test::Entitle::Process;
    use parent -norequire, 'Test::Entitle::Process';

    sub new {
        my ($class, $file) = @_;
        my $socket = IO::Socket::IP->new(LocalHost => '127.0.0.1', Proto => 'udp') or die $!;
        my $pid = fork // die "fork: $!";
        if (!$pid) {
            $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM);
            while (defined $socket->recv(my $query, 512)) {
                open my $asked, '>>', "$file.asked" or last;
                print $asked '.';
                close $asked;
                my $answer = answer($query, $file);
                $socket->send($answer) if defined $answer;
            }
            POSIX::_exit(1);
        }
        return bless { pid => $pid, owner => $$, port => $socket->sockport, file => $file }, $class;
    }

    sub says {
        my ($self, @lines) = @_;
        open my $out, '>', "$self->{file}.new" or die $!;
        print $out "$_\n" for @lines;
        close $out;
        rename "$self->{file}.new", $self->{file};
    }

    # Until it is asked once more.
    sub wait_for_a_question {
        my ($self) = @_;
        my $before = (-s "$self->{file}.asked") // 0;
        return Test::Entitle::Process::wait_until(sub { (-s "$self->{file}.asked") > $before });
    }

    # RFC 1035 section 4.1; time to live: 1 s.
    sub answer {
        my ($query, $file) = @_;
        open my $in, '<', $file or return;
        my @lines = <$in>;
        return if grep { /^silence/ } @lines;
        my ($id, $question) = unpack 'n x10 a*', $query;
        my ($labels) = $question =~ /^((?:[^\0].*?)?\0)/s or return;
        my $name = join '.', unpack '(C/a)*', substr $labels, 0, -1;
        my $asked = unpack 'n', substr $question, length $labels;
        my %type = (A => 1, AAAA => 28);
        my ($records, $count, $known) = ('', 0, 0);
        for (@lines) {
            my ($of, $type, $address) = split;
            next if lc $of ne lc $name;
            $known = 1;
            next if $type{$type} != $asked;
            my $data = Socket::inet_pton($type eq 'A' ? Socket::AF_INET : Socket::AF_INET6, $address);
            $records .= pack 'n n n N n/a', 0xc00c, $asked, 1, 1, $data;
            $count++;
        }
        return pack('n6', $id, 0x8180 | ($known ? 0 : 3), 1, $count, 0, 0)
            . $labels . pack('nn', $asked, 1) . $records;
    }
}

# --- a site -----------------------------------------------------------------------

my $directory = File::Temp->newdir;
my $serial = 0;
sub name_server {
    my $dns = NameServer->new("$directory/zone" . ++$serial);
    $dns->says(@_);
    return $dns;
}

# A redis-server at an address of its own, all on one port.
my $port = free_port();
sub redis_at {
    my ($address, $version) = @_;
    my $redis = Test::Entitle::Redis->new(dir => "$directory/redis" . ++$serial,
        port => $port, address => $address);
    put_record($redis, 'ada', version => $version, subscription('active'));
    return $redis;
}

my $CONNECT = 0.4;    # seconds, of which looking up a name is a part
sub site_at {
    my ($dns, %o) = @_;
    my $site = Test::Entitle->new(workers => $o{workers} // 1);
    $site->write_file('html/page.html', 'page');
    my $to   = $o{to}   // "redis.test:$port";
    my $ipv6 = $o{ipv6} // 'off';
    $site->start(cached_http(redis => "redis://$to", connect => 1000 * $CONNECT . 'ms',
        more => "resolver 127.0.0.1:$dns->{port} valid=1s ipv6=$ipv6;"));
    return $site;
}

# The version of who is let in.
sub version {
    my ($site) = @_;
    my $answer = $site->get('/paid?user=ada');
    return $answer->status == 200 ? told($answer) =~ s/ .*//r : 'none: ' . $answer->status;
}

# --- followed --------------------------------------------------------------------

{
    my $one = redis_at('127.0.0.2', 1);
    my $two = redis_at('127.0.0.3', 2);
    my $dns = name_server('redis.test A 127.0.0.2');
    my $site = site_at($dns, workers => 2);
    is version($site), 1, 'a_name_is_found';
    is $site->webhook(bought('bob'))->status, 200, 'and written to';

    # The old one still answers.
    $dns->says('redis.test A 127.0.0.3');
    # Each worker finds out for itself.
    ok wait_until(sub { all_seen($site) =~ /^2 \w+ allow(?:; 2 \w+ allow)*$/ }, 15),
        'a_changed_address_is_followed';
    ok wait_until(sub {
        $site->webhook(bought('carl'))->status == 200
            && exists $two->hgetall('entitle:test:{u:carl}')->{version};
    }, 10), 'by webhooks, too';
    ok wait_until(sub { $one->command('CLIENT', 'LIST', 'TYPE', 'normal') !~ /name=entitle/ }, 10),
        'nobody_stays_behind';

    # A resolver that is silent, or says that there is no such name, is no
    # reason to leave a server that answers.
    $dns->says('silence');
    ok $dns->wait_for_a_question, 'the resolver is asked again';
    sleep $CONNECT + 0.1;
    is version($site), 2, 'a_silent_resolver_takes_nothing_away';
    $dns->says();
    ok $dns->wait_for_a_question, 'and again';
    sleep $CONNECT + 0.1;
    is version($site), 2, 'nor does one that knows the name no more';

    # A deposed primary: what it refuses sends us to look again.
    $dns->says('redis.test A 127.0.0.2');
    $two->command('REPLICAOF', '127.0.0.2', $port);
    ok wait_until(sub {
        $site->webhook(bought('dora'))->status == 200
            && exists $one->hgetall('entitle:test:{u:dora}')->{version};
    }, 15), 'a_read_only_server_is_left_for_the_one_the_name_has_now';
    $site->expect_log(qr/redis|resolv|entitle/i) if $site->log =~ /\[error\]/;
    $site->finish;
    $_->stop for $two, $one;    # a primary waits for its replica
}

# --- absent, and back ----------------------------------------------------------------

{
    my $redis = redis_at('127.0.0.2', 5);
    my $dns = name_server();
    my $site = site_at($dns);
    is version($site), 'none: 503', 'a_name_that_is_not_there';
    ok $site->wait_for_log(qr/"redis\.test" could not be resolved \(Host not found\)/),
        '  and the log says so';
    $dns->says('redis.test A 127.0.0.2');
    ok wait_until(sub { version($site) eq '5' }), 'and_comes';
    $site->expect_log(qr/could not be resolved/);
    $site->finish;

    $dns->says('silence');
    $site = site_at($dns);
    my $begin = time;
    is version($site), 'none: 503', 'a_resolver_that_is_silent';
    cmp_ok time - $begin, '<', 3, '  costs entitle_redis_connect_timeout';
    ok $site->wait_for_log(qr/finding its address timed out/), '  and the log says so';
    $dns->says('redis.test A 127.0.0.2');
    ok wait_until(sub { version($site) eq '5' }, 15), 'and_speaks_again';
    $site->expect_log(qr/finding its address timed out/);
    $site->finish;

    # Nobody listens at the first, nothing answers at the second.
    my $hung = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => $port, Listen => 16);
    $dns->says(map { "redis.test A $_" } '127.0.0.2', '127.0.0.1', '127.0.0.0');
    $site = site_at($dns);
    is version($site), 5, 'every_address_is_tried';
    $site->finish;
    close $hung;
    $redis->stop;
}

# --- IPv6, localhost --------------------------------------------------------------------

{
    my $redis = redis_at('::1', 6);
    my $dns = name_server('redis.test AAAA ::1');
    my $site = site_at($dns, ipv6 => 'on');
    is version($site), 6, 'a_name_with_an_ipv6_address';
    $site->finish;
    for my $host ('[::1]', 'localhost') {
        $site = site_at($dns, to => "$host:$port");
        is version($site), 6, "$host";
        $site->finish;
    }
    $redis->stop;
}

# --- what nginx -t says -------------------------------------------------------------------

{
    my $site = Test::Entitle->new;
    my ($ok, $output) = $site->config_test('entitle_redis redis://redis.test;');
    ok !$ok, 'a_name_needs_a_resolver';
    like $output, qr/redis\.test.*"resolver".*:\d+/s, '  and it says so';
    for my $directives ('resolver 192.0.2.1; entitle_redis redis://redis.test;',
        'entitle_redis rediss://redis.test:6380/2; resolver 192.0.2.1;',
        'entitle_redis redis://localhost;') {
        my $begin = time;
        ($ok, $output) = $site->config_test($directives);
        ok $ok, "$directives needs no DNS to be tested" or diag $output;
        cmp_ok time - $begin, '<', 3, '  nor time';
    }
}

done_testing;
