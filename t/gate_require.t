# entitle_require: alternatives on a line, all lines, variables, levels of the
# configuration, and names that nobody can hold.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::GateSession;

my $site = Test::Entitle->new;
my $redis = $site->redis;
$site->write_file("html/$_", 'x') for qw(page sub/page open/page open/shut/page);
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
%%SESSIONS%%
%%ASKED%%
map $arg_map $mapped { default ''; a a; both a,b; }

server {
    listen 127.0.0.1:%%PORT%%;
    location = /any   { entitle_require a b; try_files /page =404; }
    location = /all   { entitle_require a; entitle_require b; try_files /page =404; }
    location = /mixed { entitle_require a b; entitle_require c d; try_files /page =404; }
    location = /twice { entitle_require a a; entitle_require a; try_files /page =404; }
    location = /case  { entitle_require A; try_files /page =404; }
    location = /words { entitle_require on off optional any all '*'; try_files /page =404; }
    location = /arg   { entitle_require $arg_name; try_files /page =404; }
    location = /or_a  { entitle_require $arg_name a; try_files /page =404; }
    location = /pre   { entitle_require course-$arg_name; try_files /page =404; }
    location = /pre2  { entitle_require ${arg_name}-$arg_other; try_files /page =404; }
    location = /map   { entitle_require $mapped; try_files /page =404; }
    location = /header { entitle_require $http_x_name; try_files /page =404; }
    merge_slashes off;
    location ~ ^/courses/(?<course>[^/]*)/ { entitle_require course-$course; try_files /page =404; }
    location = /optional {
        entitle optional;
        entitle_require a;
        add_header X-Decision "$entitle_decision $entitle_reason [$entitle_entitlements]";
        try_files /page =404;
    }
}
server {
    listen 127.0.0.1:%%PORT2%%;
    entitle_require a;
    entitle_require b;
    location / { }
    location /sub/ { entitle_require c; }
    location /open/ {
        entitle off;
        location /open/shut/ { entitle_require c; }
    }
    location = /inherits { try_files /page =404; }
    location = /known {
        entitle optional;
        add_header X-Decision $entitle_decision;
        try_files /page =404;
    }
    location = /posts {
        limit_except GET { allow all; }
        try_files /page =404;
    }
    location = /if { if ($arg_c) { add_header X-If 1; } alias %%DIR%%/html/page; }
}
EOT

my $VERSION = 1_767_000_000_000;
sub holds {
    my ($user, @names) = @_;
    put_record($redis, $user, version => $VERSION,
        subscription('active', identifiers => [map { "feature=$_" } @names]));
}
holds('has_a', 'a');
holds('has_b', 'b');
holds('has_ab', 'a', 'b');
holds('has_ac', 'a', 'c');
holds('has_abc', 'a' .. 'c');
holds('has_cd', 'c', 'd');
holds('has_courses', 'course-1', 'course-2');
holds('has_prefix', 'course-', 'course', '-', 'x-');
holds('has_odd', '$arg_name', '$');
holds('has_words', qw(on optional));
put_record($redis, 'has_metadata', version => $VERSION,
    subscription('active', identifiers => ['metadata=a']));
put_record($redis, 'has_price', version => $VERSION,
    subscription('active', identifiers => ['price_a', 'lookup_key=a']));

my $connection = $site->connect;
my $other = $site->connect(port => $site->port(2));
sub answer {
    my ($user, $uri, %r) = @_;
    my $on = delete $r{on} // $connection;
    return $on->request(uri => $uri, %r, headers => [@{ $r{headers} // [] },
        defined $user ? (Cookie => 'entitle='
            . session(user => $user, version => $user eq 'nothing' ? 0 : $VERSION)) : ()]);
}
sub status { return answer(@_)->status }

# uri => those who pass; everybody else pays.
my @everybody = qw(nothing has_a has_b has_ab has_ac has_abc has_cd has_courses has_prefix
    has_odd has_words has_metadata has_price);
my %passes = (
    '/any'   => [qw(has_a has_b has_ab has_ac has_abc has_metadata)],
    '/all'   => [qw(has_ab has_abc)],
    '/mixed' => [qw(has_ac has_abc)],
    '/twice' => [qw(has_a has_ab has_ac has_abc has_metadata)],
    '/case'  => [],
    '/words' => [qw(has_words)],
    '/arg'            => [],
    '/arg?name='      => [],
    '/arg?name=a'     => [qw(has_a has_ab has_ac has_abc has_metadata)],
    '/arg?name=z'     => [],
    '/arg?name=a,b'   => [],
    '/arg?name=,'     => [],
    '/arg?name=%61'   => [],
    '/arg?name=a%01'  => [],
    '/arg?name=*'     => [],
    '/arg?name=optional' => [qw(has_words)],
    '/or_a'           => [qw(has_a has_ab has_ac has_abc has_metadata)],
    '/or_a?name=c'    => [qw(has_a has_ab has_ac has_abc has_cd has_metadata)],
    '/pre?name=1'     => [qw(has_courses)],
    '/pre'            => [],    # has_prefix holds course-, which is not asked for
    '/pre?name='      => [],
    '/pre2?name=course&other=1' => [qw(has_courses)],
    '/pre2?name=course'         => [],
    '/pre2?other=1'             => [],
    '/pre2'           => [],
    '/map?map=a'      => [qw(has_a has_ab has_ac has_abc has_metadata)],
    '/map?map=both'   => [],
    '/map'            => [],
    '/courses/1/x'    => [qw(has_courses)],
    '/courses/3/x'    => [],
    '/courses//x'     => [],
    '/optional'       => [@everybody],
);
for my $uri (sort keys %passes) {
    my %expected = map { $_ => 402 } @everybody;
    $expected{$_} = 200 for @{ $passes{$uri} };
    my %got = map { $_ => status($_, $uri) } @everybody;
    is_deeply \%got, \%expected, "who passes $uri";
}

is status('has_a', '/header'), 402, 'a header that is not sent';
is status('has_a', '/header', headers => ['X-Name' => 'a']), 200, 'one that is';
is status('has_odd', '/header', headers => ['X-Name' => "a\x01"]), 402,
    'a control byte matches nothing';
is status('has_odd', '/header', headers => ['X-Name' => 'a,b']), 402, 'nor a comma';

# --- what is missing ---------------------------------------------------------

sub missing {
    my ($user, $uri) = @_;
    my $missing = answer($user, $uri)->json->{missing};
    return "@$missing";
}
is missing('nothing', '/any'),   'a b',     'all alternatives are named';
is missing('has_a', '/all'),     'b',       'of the lines that do not hold';
is missing('nothing', '/mixed'), 'a b c d', 'of each of them';
is missing('has_a', '/mixed'),   'c d',     'and of no other';
is missing('has_a', '/arg?name=a,b'), '',   'a name nobody can hold is not offered';
is missing('nothing', '/or_a'),  'a',       'nor an empty one';

is answer('has_ab', '/optional')->header('X-Decision'), 'allow ok [a,b]',
    'optional tells who has it';
is answer('has_b', '/optional')->header('X-Decision'), 'pay not_entitled [b]',
    'who has not';
is answer(undef, '/optional')->header('X-Decision'), 'login no_session []', 'and who is nobody';

# --- levels of the configuration ---------------------------------------------

sub there { return status(@_, on => $other) }
is there(undef, '/page'), 401, 'naming_requirements_for_a_server_turns_the_gate_on';
is there('has_a', '/page'), 402, 'both lines are inherited';
is there('has_ab', '/page'), 200, 'and enough';
is there('has_ab', '/sub/page'), 402, 'a location\'s own lines replace them';
is there('has_cd', '/sub/page'), 200, 'all of them';
is there(undef, '/open/page'), 200, 'off is off';
is there(undef, '/open/shut/page'), 401, 'until a nearer line says otherwise';
is there('has_cd', '/open/shut/page'), 200, 'and that line alone counts';
is there('has_cd', '/inherits'), 402, 'a location without own lines inherits';
is answer(undef, '/known', on => $other)->header('X-Decision'), 'login',
    'optional_in_a_location_keeps_the_requirements';
is answer('has_a', '/known', on => $other)->header('X-Decision'), 'pay', 'for what it tells';
is there('has_a', '/posts', method => 'POST', body => ''), 402,
    'a limit_except block keeps the requirements';
is there('has_a', '/if?c=1'), 402, 'and so does an if block';
is there('has_ab', '/if?c=1'), 200, 'both of them';

# In http{} alone; and nearer words against it.
$site->reload(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
%%SESSIONS%%
%%ASKED%%
entitle_require a;
server {
    listen 127.0.0.1:%%PORT%%;
    location = /page { }
    location /sub/ { entitle_require c; }
    location /open/ { entitle off; }
}
server { listen 127.0.0.1:%%PORT2%%; entitle off; location /sub/ { entitle_require c; } }
EOT
$connection = $site->connect;
$other = $site->connect(port => $site->port(2));
is status(undef, '/page'), 401, 'a_requirement_for_all_servers_turns_the_gate_on';
is status('has_b', '/page'), 402, 'and is asked for';
is status('has_a', '/page'), 200, 'and enough';
is status('has_a', '/sub/page'), 402, 'a location replaces it';
is status(undef, '/open/page'), 200, 'or turns it off';
is there(undef, '/page'), 200, 'as a server may';
is there(undef, '/sub/page'), 401, 'whose location turns it on again';

# --- what nginx -t refuses ---------------------------------------------------

my $checks = Test::Entitle->new;
$checks->port('REDIS');
for (['an empty name', q(entitle_require "";), qr/could never be held/],
    ['a comma', q(entitle_require a,b;), qr/invalid value "a,b"|"a,b"/],
    ['a control byte', qq(entitle_require "a\x01";), qr/could never be held/],
    ['no name', q(entitle_require;), qr/invalid number of arguments/],
    ['off beside a requirement', q(entitle off; entitle_require a;), qr/contradicts/],
    ['in an if block', q(if ($arg_c) { entitle_require a; }), qr/is not allowed here/],
    ['an unknown word', q(entitle yes;), qr/invalid value "yes"/])
{
    my ($name, $line, $message) = @$_;
    my ($accepted, $said) = $checks->config_test(<<"EOT");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_session_key_file %%KEY%%;
server { listen 127.0.0.1:%%PORT%%; location / { $line } }
EOT
    ok !$accepted, "refused: $name";
    like $said, $message, '  and says why';
}

done_testing;
