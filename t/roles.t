# A location has one role: gate, poll, webhook, logout, status or redirect. Two,
# or one beside somebody else who answers there, are refused with both lines.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;

my $site = Test::Entitle->new;
my $secret = "entitle_webhook_secret_file %%SECRET%%;\n";

sub http {
    my ($directives) = @_;
    return "entitle_session_key_file %%KEY%%;\n"
        . "server {\nlisten 127.0.0.1:%%PORT%%;\nlocation = /x {\n$directives\n}\n}\n";
}

my %roles = (
    entitle_webhook  => 'entitle_webhook test;',
    entitle_status   => 'entitle_status;',
    entitle_logout   => 'entitle_logout;',
    entitle_redirect => 'entitle_redirect /y;',
    entitle_poll     => 'entitle_poll 1s;',
);

# --- two roles --------------------------------------------------------------------

for my $first (sort keys %roles) {
    for my $second (grep { $_ ne $first } sort keys %roles) {
        my ($accepted, $said) = $site->config_test(http("$secret$roles{$first}\n$roles{$second}"));
        ok !$accepted, "${first}_and_$second are refused";
        my @lines = $said =~ /conf:(\d+)/g;
        is abs($lines[0] - $lines[1]), 1, '  with both lines' or diag $said;
        like $said, qr/"$second" stands beside "$first"/, '  and both names';
    }
}

# --- beside others who answer -------------------------------------------------------

my %others = (
    proxy_pass   => 'proxy_pass http://127.0.0.1:1;',
    fastcgi_pass => 'fastcgi_pass 127.0.0.1:1;',
    empty_gif    => 'empty_gif;',
    return       => 'return 200 "{ # }";',
    rewrite      => 'rewrite ^ /elsewhere last;',
    try_files    => 'try_files /nope @app;',
);
for my $role (grep { $_ ne 'entitle_logout' } sort keys %roles) {
    for my $other (sort keys %others) {
        for my $both ([$roles{$role}, $others{$other}], [$others{$other}, $roles{$role}]) {
            my $text = join "\n", @$both;
            my ($accepted, $said) = $site->config_test(http("$secret$text"));
            ok !$accepted, "$role and $other are refused: $text";
            my @lines = $said =~ /conf:(\d+)/g;
            is abs($lines[0] - ($lines[1] // 0)), 1, '  with both lines' or diag $said;
            like $said, qr/"$role".*"$other" in/, '  and both names';
        }
    }
}

# What rewrites or answers before the role would: [name, role, the guilty line, what
# stands between]. All lines are ours to count.
my $known = 'entitle_reauth /who; entitle_reauth_user header=X;';
for (
    ['a_logout_everywhere_beside_return', 'entitle_logout all;', 'return 204;'],
    ['a_logout_everywhere_beside_a_redirect', 'entitle_logout all;', 'rewrite ^ /y redirect;'],
    ['a_logout_everywhere_that_leads_away', 'entitle_logout all;', 'rewrite ^ /y last;'],
    ['a_logout_that_leads_away', 'entitle_logout;', 'rewrite ^ /app last;'],
    ['a_logout_that_leads_away_without_a_flag', 'entitle_logout;', 'rewrite ^ /app;'],
    ['a_logout_that_sometimes_leads_away', 'entitle_logout;', 'if ($arg_x) { rewrite ^ /app last; }'],
    ['a_webhook_that_sometimes_leads_away', "$secret entitle_webhook test;", 'if ($arg_x) { rewrite ^ /y last; }'],
    ['a_webhook_that_sometimes_redirects', "$secret entitle_webhook test;", 'if ($arg_x) { rewrite ^ /y permanent; }'],
    ['a_poll_that_sometimes_leads_away', 'entitle_poll 1s;', 'if ($arg_x) { rewrite ^ "/y z"; }'],
    ['a_status_after_a_harmless_rewrite', 'entitle_status;', 'rewrite ^/x /y last;', "rewrite ^/q /z break;\nif (\$arg_y) { return 403; }"],
    ['a_status_after_another_redirect', 'entitle_status;', 'rewrite ^ http://a.example/;', 'rewrite ^/q http://a.example/ break;'],
) {
    my ($name, $role, $guilty, $between) = @$_;
    $between //= '# nothing';
    my ($accepted, $said) = $site->config_test(http("$known\n$role\n$between\n$guilty"));
    ok !$accepted, "$name is refused" or diag $said;
    my ($what) = $guilty =~ /(return|rewrite)/;
    like $said, qr/"entitle_\w+(?: all)?".*"$what" in \S+nginx\.conf:\d+/, '  and names what' or diag $said;
    my @lines = $said =~ /conf:(\d+)/g;
    is $lines[0] - $lines[1], 2 + ($between =~ tr/\n//), '  and the guilty line';
}

# The app answers, and our cookie is cleared on what it says.
my @accepted = (
    ['a_logout_beside_the_apps', 'entitle_logout; proxy_pass http://127.0.0.1:1;'],
    ['a_logout_beside_return',   'entitle_logout; return 204;'],
    ['a_logout_beside_try_files', 'entitle_logout; try_files /nope =404;'],
    ['a_status_whose_uri_is_rewritten_in_place', 'entitle_status; rewrite ^ /y break;'],
    ['a_logout_beside_a_redirect', 'entitle_logout; rewrite ^ /bye redirect;'],
    ['a_logout_that_is_rewritten_in_place', 'entitle_logout; rewrite ^ /y break; proxy_pass http://127.0.0.1:1;'],
    ['a_logout_everywhere_beside_try_files', "$known entitle_logout all; try_files /nope =404;"],
    ['a_logout_everywhere_beside_the_apps', "$known entitle_logout all; proxy_pass http://127.0.0.1:1;"],
    ['a_logout_everywhere_with_an_if', "$known entitle_logout all; if (\$arg_x) { return 403; }"],
    ['a_status_with_an_if_that_looks_for_a_pattern', 'entitle_status; if ($arg_x ~ y) { return 403; }'],
    ['a_redirect_and_an_if_that_returns', 'entitle_redirect /y; if ($arg_x) { return 403; }'],
    ['a_webhook_with_an_if', "$secret entitle_webhook test; if (\$arg_x) { return 403; }"],
    ['a_status_with_limit_except', 'entitle_status; limit_except GET { deny all; }'],
);
for (@accepted) {
    my ($name, $directives) = @$_;
    my ($accepted, $said) = $site->config_test(http($directives));
    ok $accepted, $name or diag $said;
}

# --- a gate beside a role ------------------------------------------------------------

for my $role (qw(entitle_webhook entitle_status entitle_logout)) {
    my ($accepted, $said) = $site->config_test(http("$secret$roles{$role}\nentitle on;"));
    ok !$accepted, "${role}_is_behind_no_gate";
    my @lines = $said =~ /conf:(\d+)/g;
    is abs($lines[0] - ($lines[1] // 0)), 1, '  with both lines' or diag $said;
}

# --- return beside a gate --------------------------------------------------------------

my $asks = "entitle_reauth /who; entitle_reauth_user header=X;\n";
for (['return_beside_a_gate', "entitle on;\nreturn 200 x;", 1],
    ['return_beside_a_requirement', "entitle_require pro;\nreturn 200 x;", 1],
    ['return_beside_an_optional_gate', "entitle optional;\nreturn 200 x;", 0],
    ['return_in_an_if', "entitle on;\nif (\$arg_x) { return 403; }", 0]) {
    my ($name, $directives, $warned) = @$_;
    my ($accepted, $said) = $site->config_test(http("$asks$directives"));
    ok $accepted, $name or diag $said;
    my $word = qr/\[warn\].*"return" in location "\/x" answers before the gate/;
    $warned ? like $said, $word, '  is warned about' : unlike $said, $word, '  is nobody\'s business';
}

# --- logging out of every device where nothing is gated ---------------------------------

for my $what ('entitle_reauth /who;', "entitle_reauth /who;\nentitle_session_bind cookie=a;") {
    my ($accepted, $said) = $site->config_test(http("entitle_logout all;\n$what"));
    ok !$accepted, 'a_logout_that_asks_the_app_for_nothing';
    like $said, qr/entitle_reauth_user/, '  says what is missing';
}

for my $what ('entitle_logout;', 'entitle_logout all; entitle_trusted_user $remote_addr;') {
    my $site_wide = 'satisfy any; allow 127.0.0.1; deny all;';
    my ($accepted, $said) = $site->config_test(http("$site_wide $what"));
    ok !$accepted, 'a_logout_that_others_may_answer_for';
    like $said, qr/satisfy any/, '  says why';
}
{
    my ($accepted, $said) = $site->config_test(http('satisfy all; allow 127.0.0.1; deny all; entitle_logout;'));
    ok $accepted, '  and not where all rules count' or diag $said;
}

my $app = Test::Entitle->new;
$app->start('server { listen 127.0.0.1:%%PORT%%; location / { add_header X-User ada; return 204; } }');
my $ungated = Test::Entitle->new;
$ungated->{ports}{2} = $app->port;
$ungated->redis;
$ungated->start(<<'EOF');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_mode test;
%%SESSIONS%%
entitle_session_bind cookie=app;
server {
    listen 127.0.0.1:%%PORT%%;
    location = /who { internal; proxy_pass http://127.0.0.1:%%PORT2%%; }
    location = /logout { entitle_logout all; entitle_reauth /who; entitle_reauth_user header=X-User; }
}
EOF
my $answer = $ungated->request(method => 'POST', uri => '/logout', headers => [Cookie => 'app=1', 'Content-Length' => 0]);
is $answer->status, 204, 'everybody_may_log_out_where_nothing_is_gated';

done_testing;
