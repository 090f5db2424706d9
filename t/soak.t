# A short ./dev soak: reloads, a Redis that is killed and one that is silent, killed
# workers, and nothing is lost, late, wrong or grows. Hours are for ./dev soak.
use strict;
use warnings;
use FindBin;
use File::Temp ();
use Test::More;

alarm 240;
my $soak = "$FindBin::Bin/../bench/soak";
my $said = File::Temp->new;
# Under tools that make all slow, and take memory of their own, it measures them.
plan skip_all => 'it measures memory and time' if $ENV{ENTITLE_VALGRIND} || $ENV{ENTITLE_SLOW}
    || ($ENV{ENTITLE_TEST_MODULE} // '') =~ /sanitize/;

my $status = system("$^X $soak --seconds 14 >$said 2>&1");
my $text = do { open my $in, '<', "$said" or die $!; local $/; <$in> };
is $status >> 8, 0, 'fourteen seconds of it hold' or diag $text;
like $text, qr/^nothing wrong$/m, '  and it says so';
my ($taken, $lost) = $text =~ /^(\d+) events taken, (\d+) lost\./m;
cmp_ok $taken // 0, '>', 20, 'buyers bought';
is $lost, 0, '  and nothing was lost';
like $text, qr/\b\d+ × $_\b/, "  although: $_" for 'Redis killed', 'Redis stopped', 'worker killed', 'reload';
is scalar(() = $text =~ /^ +\d+\.\d(?: +[\d.]+){8}$/mg), 3, 'it tells how far it is, turn by turn';

is system("$^X $soak --seconds 1 >$said 2>&1") >> 8, 255, 'it is bounded below';
is system("$^X $soak --hours 200 >$said 2>&1") >> 8, 255, '  and above';
done_testing;
