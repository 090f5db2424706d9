package Bench;

# What the measuring programs share: servers pinned to one core and what drives
# them to the others, the kernel's account of CPU time, wrk, medians, and a
# place for the numbers.
#
#   my $site = Bench::site(http => '...', own => 0);   # nginx without our module
#   my $run  = Bench::wrk(port => $site->port, uri => '/1k', connections => 64);
#   $run->{requests}, $run->{rate}

use strict;
use warnings;

use Carp qw(croak);
use Exporter qw(import);
use FindBin ();
use JSON::PP ();
use Test::Entitle;

our @EXPORT_OK = qw(site pin cpu_us wrk median percentile save load_results
    record_fields commands_of);

my $ROOT = $Test::Entitle::ROOT;

# --- cores -------------------------------------------------------------------

# nginx's worker has the first core; whatever else runs shares the others.
my ($CORES) = qx(nproc) =~ /(\d+)/;
my $OTHERS  = $CORES == 1 ? '0' : $CORES == 2 ? '1' : '1-' . ($CORES - 1);

sub others { return $OTHERS }

sub pin {
    my (@pids) = @_;
    for my $pid (@pids) {
        system("taskset -a -cp $OTHERS $pid >/dev/null") == 0
            or croak "taskset: process $pid cannot be pinned";
    }
}

# --- nginx -------------------------------------------------------------------

# A running nginx of one pinned worker, or of `workers`, each where it likes. http =>
# what stands in http { }, own => whether our module is loaded, modules => others,
# words => for a %%WORD%% of another site, core => 'other' puts it where the load runs.
sub site {
    my (%o) = @_;
    my $mask = ($o{core} // '') eq 'other' && $CORES > 1 ? '10' : '01';
    my $site = Test::Entitle->new(workers => $o{workers} // 1, modules => $o{modules} // [],
        main => ($o{workers} ? '' : "worker_cpu_affinity $mask;\n")
            . "worker_rlimit_nofile 4096;\n");
    $site->{ports} = { %{ $o{ports} // {} } };
    my $text = $site->configuration($o{http});
    $text =~ s/^load_module \S*ngx_http_entitle_module\.so;\n//m if !$o{own};
    $site->write_file('nginx.conf', $text);
    $site->run;
    $site->{bench_workers} = workers_of($site, $o{workers} // 1);
    $site->{bench_worker}  = $site->{bench_workers}[0];
    return $site;
}

# By their parent: at this log level nothing says who they are.
sub workers_of {
    my ($site, $workers) = @_;
    my $master = $site->nginx->pid;
    my @children;
    wait_until(sub {
        open my $in, '<', "/proc/$master/task/$master/children" or return;
        @children = split ' ', <$in> // '';
        return @children == $workers;
    });
    croak "there are not $workers workers" if @children != $workers;
    return \@children;
}

# What else the machine does: processes that run or would like to.
sub load {
    open my $in, '<', '/proc/loadavg' or croak "/proc/loadavg: $!";
    return (split ' ', <$in>)[0];
}

# --- CPU time ----------------------------------------------------------------

# Microseconds on a processor so far, of all threads of a process.
sub cpu_us {
    my ($pid) = @_;
    my $ns = 0;
    for my $file (glob "/proc/$pid/task/*/schedstat") {
        open my $in, '<', $file or next;
        $ns += (split ' ', <$in>)[0];
    }
    return $ns / 1000;
}

# --- wrk ---------------------------------------------------------------------

# port, uri, connections, seconds, headers => [...], script => a file of ours
# with its arguments.
sub wrk_command {
    my (%o) = @_;
    my ($script, @arguments) = @{ $o{script} // [] };
    return (
        'taskset', '-c', $OTHERS, 'wrk', '-t1', "-c$o{connections}",
        "-d$o{seconds}s",
        (map { ('-H', $_) } @{ $o{headers} // [] }),
        $script ? ('-s', "$ROOT/bench/$script") : (),
        "http://127.0.0.1:$o{port}$o{uri}", @arguments ? ('--', @arguments) : ());
}

# One run; dies unless every answer was 2xx.
sub wrk {
    my @command = wrk_command(@_);
    open my $pipe, '-|', @command or croak "wrk: $!";
    my $text = do { local $/; <$pipe> };
    close $pipe;
    croak "wrk failed:\n@command\n$text"
        if $? || $text =~ /Non-2xx|Socket errors/;
    my ($requests, $time) = $text =~ /(\d+) requests in ([\d.]+)s/
        or croak "wrk said:\n$text";
    return { requests => $requests, rate => $requests / $time };
}

# --- numbers -----------------------------------------------------------------

sub percentile {
    my ($share, @values) = @_;
    croak 'no values' if !@values;
    @values = sort { $a <=> $b } @values;
    return $values[int($share * $#values + 0.5)];
}

sub median { return percentile(0.5, @_) }

# How often Redis has run each command.
sub commands_of {
    my ($redis) = @_;
    return { $redis->command('INFO', 'commandstats') =~ /cmdstat_(\w+):calls=(\d+)/g };
}

my $JSON = JSON::PP->new->canonical->pretty->utf8;
my $PLACE = "$ROOT/build/measured";

sub save {
    my ($name, $data) = @_;
    mkdir "$ROOT/build";
    mkdir $PLACE;
    open my $out, '>', "$PLACE/$name.json" or croak "$PLACE/$name.json: $!";
    print $out $JSON->encode($data);
    close $out or croak "$PLACE/$name.json: $!";
}

# undef: not measured.
sub load_results {
    my ($name) = @_;
    open my $in, '<', "$PLACE/$name.json" or return undef;
    local $/;
    return $JSON->decode(scalar <$in>);
}

# --- records -----------------------------------------------------------------

# Fields of a record with so many subscriptions, each to a price, a product and
# a lookup key of its own, as docs/redis.md has them.
sub record_fields {
    my ($version, $subscriptions) = @_;
    my $now = time;
    my @fields = (version => $version, updated => $now);
    for my $n (1 .. $subscriptions) {
        push @fields, "source:sub_1Fx00000000000000000000$n" => JSON::PP->new->canonical->encode({
            place => 'cus_Fx000000000001',
            snapshots => [{
                event => "evt_1Fx00000000000000000000$n", type => 'updated',
                created => $now - 60, status => 'active',
                period_end => $now + 30 * 86400,
                identifiers => ["lookup_key=plan$n", "price_1Fx000000000000000000$n",
                    "prod_Fx0000000000$n"],
            }],
        });
    }
    return @fields;
}

1;
