# ./dev nginx-tests, with a suite of four files instead of nginx's: what it takes for a
# difference, and that the ways it tries are ways in which nginx runs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $compare = "$Test::Entitle::ROOT/t/nginx-tests/compare";
my $module  = $ENV{ENTITLE_TEST_MODULE} // "$Test::Entitle::ROOT/build/ngx_http_entitle_module.so";
my $holder  = Test::Entitle->new;
my $suite   = $holder->dir . '/suite';
$holder->write_file('suite/lib/Test/Nginx.pm', "package Test::Nginx; 1;\n") if mkdir($suite) && mkdir("$suite/lib") && mkdir("$suite/lib/Test");

# Each as nginx's: what stands in the environment goes into a configuration, and nginx
# reads it.
my $start = <<'END';
use strict; use warnings; use Test::More; use File::Temp;
my $dir = File::Temp->newdir;
open my $out, '>', "$dir/c" or die;
print $out $ENV{TEST_NGINX_GLOBALS}, "pid $dir/pid;\nevents {}\nhttp { ", $ENV{TEST_NGINX_GLOBALS_HTTP},
    " server { listen unix:$dir/s; %s } }\n";
close $out;
my $said = qx($ENV{TEST_NGINX_BINARY} -t -p $dir -e stderr -c c 2>&1);
like $said, qr/successful/, 'nginx takes it' or print "$1\n" x ($said =~ /(\[emerg\].*)/);
END
$holder->write_file('suite/plain.t', sprintf($start, '') . "ok 1, 'more'; done_testing;\n");
$holder->write_file('suite/any.t', sprintf($start, 'location / { satisfy any; allow all; }') . "done_testing;\n");
$holder->write_file('suite/loads.t', $start =~ s/%s//r
    . "ok \$ENV{TEST_NGINX_GLOBALS} !~ /load_module/, 'nothing is loaded'; ok 1, 'last'; done_testing;\n");
$holder->write_file('suite/ill.t', "use Test::More; ok 0, 'never'; ok !\$ENV{TEST_NGINX_GLOBALS_HTTP}, 'no gate'; done_testing;\n");
$holder->write_file('none', "# nothing\n");

sub compare {
    my ($list, @files) = @_;
    local %ENV = (%ENV, Test::Entitle::sanitizer_environment());
    my $said = qx($^X $compare --jobs 2 --module $module --differences $list $suite @files 2>&1);
    return ($? >> 8, $said);
}

my ($status, $said) = compare($holder->dir . '/none', 'plain.t');
is $status, 0, 'what is as without the module is well' or diag $said;
like $said, qr/^$_: +0 listed differences, 0 others$/m, "  $_" for qw(loaded optional on);
like $said, qr/: 2 tests of 1 files without the module, 0 not well$/m, '  and counted';

($status, $said) = compare($holder->dir . '/none', qw(plain.t loads.t any.t));
is $status, 1, 'what differs fails';
like $said, qr/^DIFFERS loaded loads\.t 2 nothing is loaded$/m, '  a test that is not well';
like $said, qr/^DIFFERS $_ any\.t 0 did not run: .*"satisfy any" contradicts/m, "  a configuration that is refused ($_)" for qw(optional on);
unlike $said, qr/^DIFFERS \w+ (?:plain\.t|loaded any\.t|loads\.t 3)/m, '  and nothing else';

my $list = $holder->write_file('list', "loaded loads.t 2 because\ngated loads.t 2 because\ngated any.t * because\nloaded plain.t 1 gone\n");
($status, $said) = compare($list, qw(plain.t loads.t any.t));
is $status, 0, 'unless it is listed' or diag $said;
like $said, qr/^not seen: loaded plain\.t 1$/m, '  and what is listed for nothing is told';

($status, $said) = compare($holder->dir . '/none', 'ill.t');
like $said, qr/^DIFFERS plain: most of it is not well/m, 'a suite that does not run is no proof';

# The list in the tree: each with a reason.
open my $in, '<', "$Test::Entitle::ROOT/t/nginx-tests/differences" or die $!;
my @listed = grep { !/^#|^\s*$/ } <$in>;
cmp_ok scalar @listed, '>', 0, 'there is a list';
is scalar grep({ !/^(?:loaded|optional|on|gated)\s+\S+\.t\s+(?:\*|\d+)\s+\S+ \S+/ } @listed), 0, '  with a reason for each';
is scalar grep({ /^loaded/ } @listed), 0, '  and none for a module that is only loaded';
done_testing;
