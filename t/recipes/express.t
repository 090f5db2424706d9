# recipes/express with Debian's Express.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::Entitle;
use Test::Entitle::Docs qw(blocks page);
use Test::Entitle::Recipe qw(log_in_at);

my $recipe = do {
    local $ENV{NODE_PATH} = '/usr/share/nodejs';
    Test::Entitle::Recipe->new('express', app => '127.0.0.1:3000',
        command => ['node', "$Test::Entitle::ROOT/recipes/express/app.js", '%PORT%']);
};
$recipe->journey(page => '/members/lesson', ids => { ada => 1, bob => 2 },
    login => log_in_at('/login'), logout => '/logout',
    doors => ['/MEMBERS/lesson', '/members/lesson/', '//members/lesson', '/members//lesson', '/x/../members/lesson',
        '/%6dembers/lesson', '/members%2flesson', '/Members/Lesson', '/members/lesson?x=1']);
$recipe->finish;

my ($code) = page('recipes/express/app.js') =~ m{^(app\.get\('/whoami'.*?^    \? next\(\) : res\.sendStatus\(404\);\n)}ms;
ok scalar grep({ $_->{language} eq 'js' && index($_->{text}, $code) == 0 } blocks('docs/sessions.md')),
    'docs/sessions.md shows the same';
done_testing;
