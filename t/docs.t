# Every nginx configuration that the documentation shows is one that starts, and
# of which nginx has nothing to complain.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Commands qw(commands);
use Test::Entitle::Docs qw(blocks page pages tree);
use Test::Entitle::NginxConf qw(http_of parse text);
use Test::Entitle::Surroundings;

# Commented configurations, whole files.
my @blocks = map { { page => $_, line => 1, language => 'nginx', text => page($_),
        around => '' } } grep { m{^(?:examples/.*|recipes/static/nginx)\.conf$} } tree();
push @blocks, map { blocks($_) } pages();

for my $block (grep { $_->{language} ne 'nginx' } @blocks) {
    unlike $block->{text}, qr/^\s*(?!Syntax|Default)(?:entitle\w*\s[^\n]*;|location [^\n]*\{)/m,
        "$block->{page}:$block->{line}: what is no nginx block has no directives";
}

# Lines of error.log that somebody should act on. They may be there only where
# the text beside the block says that nginx warns.
sub complaints {
    my ($log, $around) = @_;
    return grep { /\[(?:warn|error|crit|alert|emerg)\]/
        && !(/\[warn\]/ && $around =~ /\bwarns?\b/) } split /\n/, $log;
}

sub bytes { my $text = text($_[0]); utf8::encode($text); return $text }

my $count = 0;
for my $block (grep { $_->{language} eq 'nginx' } @blocks) {
    my $name = "$block->{page}:$block->{line}";
    my $tree = eval { parse($block->{text}) };
    ok $tree, "$name: is nginx's language" or diag($@), next;
    my $http   = http_of($tree, commands());
    my $site   = Test::Entitle->new;
    my $around = Test::Entitle::Surroundings->new($site);

    my ($accepted, $said) = $site->config_test(bytes($around->placed($http)));
    ok $accepted, '  nginx -t accepts it as it is written' or diag($said), next;

    my $here = bytes($around->moved($http));
    ok eval { $site->start($here) }, '  it starts' or diag("$@\n$here"), next;
    is $site->connect(port => $site->port(1), tls => scalar $here =~ /^ *listen \S+ ssl/m)
        ->request(uri => '/is-redis-reached', close => 1)->status, 200,
        '  and reaches its Redis' if $around->reaches_redis;
    is join("\n", complaints("$said\n" . $site->log, $block->{around})), '',
        '  without a complaint';
    $site->finish;
    $count++;
}
cmp_ok $count, '>=', 20, 'and there are some';

done_testing;
