# The demo is the README's first command: its story must come true.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $demo   = "$FindBin::Bin/../examples/demo/demo";
local %ENV = (%ENV, Test::Entitle::sanitizer_environment());
my $output = qx($^X $demo 2>&1);
is $? >> 8, 0, 'the_demo_tells_its_story' or diag $output;
my @statuses = $output =~ /^  \S.*? {1,}(\d{3})(?: |$)/mg;
is "@statuses", '200 302 303 402 200 200 200 200 400 200 402',
    'with the answers the story needs';

isnt system("$^X $demo --bogus >/dev/null 2>&1"), 0, 'and refuses what it does not know';

done_testing;
