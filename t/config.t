# What nginx -t refuses, and that it says which file, line and value, and what
# is allowed. It needs neither Redis nor DNS: none is running here.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Commands qw(commands);

my $site = Test::Entitle->new;
my $good_key = '0123456789abcdef' x 4;
my %files = (
    empty       => '',
    blank       => "\n  \n# nothing but this\n",
    no_prefix   => "sk_test_0123456789\n",
    only_prefix => "whsec_\n",
    inner_space => "whsec_abc def\n",
    padded      => "  $Test::Entitle::Stripe::SECRET \t\r\n\n",
    second_bad  => "$Test::Entitle::Stripe::SECRET\nnonsense\n",
    short_key   => "0123456789abcdef\n",
    odd_key     => "${good_key}0\n",
    bad_key     => "not a key, is it?\n",
    two_keys    => "$good_key\n" . ('f' x 64) . "\n",
    huge        => "whsec_" . 'x' x 70_000 . "\n",
);
$site->write_file($_, $files{$_}) for keys %files;

sub location { return "server { listen 127.0.0.1:%%PORT%%; location = /x { $_[0] } }" }
sub webhook  { return location("entitle_webhook test; $_[0]") }
sub secret   { return webhook("entitle_webhook_secret_file %%DIR%%/$_[0];") }
sub key      { return "entitle_session_key_file %%DIR%%/$_[0];" }
# Without SSL, so browsers would drop a Secure cookie.
sub plain    { return 'entitle_session_cookie e secure=off; entitle_reauth /who;'
    . ' entitle_reauth_user header=X; entitle_session_bind cookie=s;' }
sub gate     { return plain() . key('two_keys') . location($_[0]) }

# A `$` in what takes no variables is somebody's mistake. Those that take some, and
# flags, which nginx reads, aside.
my %takes = map { $_ => 1 } qw(entitle_require entitle_wait entitle_session_bind entitle_reauth_key
    entitle_reauth_user entitle_jwt entitle_session_redis entitle_trusted_user entitle_login_url
    entitle_redirect entitle_problem_json entitle_cache_control);
my @dollars = map { my ($name, $row) = ($_, commands()->{$_});
    my $words = join ' ', '$arg_x', ('1s') x (($row->{min} || 1) - 1);
    my $line = $name eq 'entitle_grant' ? "$name \$arg_x price_1;" : "$name $words;";
    ["a_variable_in_$name", $row->{http} ? $line : location($line),
        qr/"\$arg_x" in "$name": it takes no variables.*in \S+nginx\.conf:\d+/] }
    grep { !$takes{$_} && !(defined commands()->{$_}{max} && commands()->{$_}{max} == 0) } sort keys %{ commands() };

# name, what stands in http { }, what the message must say (list of patterns)
my $to_stripe = 'proxy_pass http://127.0.0.1:1/;';
my $asks_stripe = sub { my ($where) = @_; return "server { listen 127.0.0.1:%%PORT%%; $where " . ('location = /webhook { entitle_webhook live; '
        . 'entitle_webhook_secret_file %%SECRET%%; entitle_stripe_request /stripe/; } }') };
my @refused = (
    ['a_webhook_without_a_secret', webhook(''), qr/entitle_webhook_secret_file/],
    ['a_missing_secret_file', secret('nowhere'), qr/nowhere/, qr/No such file/],
    ['an_empty_secret_file', secret('empty'), qr{/empty}, qr/no webhook secret/],
    ['a_secret_file_of_blanks', secret('blank'), qr{/blank}, qr/no webhook secret/],
    ['a_secret_without_whsec', secret('no_prefix'), qr/line 1/, qr/whsec_/],
    ['a_secret_that_is_only_whsec', secret('only_prefix'), qr/line 1/],
    ['a_secret_with_a_space_inside', secret('inner_space'), qr/white\s+space/],
    ['a_bad_second_secret', secret('second_bad'), qr/line 2/, qr/whsec_/],
    ['a_secret_file_without_end', secret('huge'), qr/64k/],
    ['a_mode_that_is_none', location('entitle_webhook prod;'), qr/"prod"/, qr/live or test/],
    ['two_webhooks_in_one_location',
        webhook('entitle_webhook live; entitle_webhook_secret_file %%SECRET%%;'), qr/duplicate/],
    ['an_account_that_is_none',
        webhook('entitle_webhook_secret_file %%SECRET%%; entitle_webhook_account cus_1;'),
        qr/"cus_1"/, qr/acct_/],
    (map { ["a_request_of_stripe_that_is_none_$_->[0]",
        webhook("entitle_webhook_secret_file %%SECRET%%; entitle_stripe_request $_->[1];"),
        qr/invalid value "[^"]*" in "entitle_stripe_request": it must be the beginning of a URI/] }
        ['url' => 'https://api.stripe.com/'], ['root' => '/'], ['query' => '/stripe?x'],
        ['up' => '/stripe/../x/'], ['here' => '/./stripe/'], ['upmost' => '/..'], ['twice' => '//stripe/'],
        ['blank' => '"/str ipe/"'], ['percent' => '/str%69pe/'], ['umlaut' => '/strüpe/'],
        ['tab' => "\"/str\tipe/\""], ['anchor' => '"/stripe#x"'], ['named' => '@stripe'], ['empty' => '""']),
    (map { my ($name, $where, @said) = @$_;
        ["a_question_to_stripe_$name", $asks_stripe->($where),
        qr{"/stripe/" in "entitle_stripe_request" }, qr/nginx\.conf:\d+/, @said] }
        ['to_nowhere', '', qr/leads nowhere/],
        ['that_all_may_ask', "location /stripe/ { $to_stripe }", qr/location "\/stripe\/", which is not "internal"/],
        ['to_the_app', "location / { $to_stripe }", qr/location "\/", which is not "internal"/],
        ['by_nobody', 'location /stripe/ { internal; }', qr/which has no "proxy_pass"/],
        ['that_is_answered', "location /stripe/ { internal; return 403; $to_stripe }", qr/where "return" answers/],
        ['that_is_sent_on', "location /stripe/ { internal; rewrite ^ /x redirect; $to_stripe }", qr/where "rewrite" answers/],
        ['half_of_it', "location /stripe/ { internal; $to_stripe } location ~ items\$ { internal; }",
            qr/location "items\$", which has no "proxy_pass"/],
        ['to_ours', 'location /stripe/ { entitle_status; }', qr/which is for "entitle_status"/],
        ['to_itself', 'location /stripe/ { entitle_webhook live; entitle_webhook_secret_file %%SECRET%%; }',
            qr/which is for "entitle_webhook"/]),
    ['a_tolerance_that_is_none',
        webhook('entitle_webhook_secret_file %%SECRET%%; entitle_webhook_tolerance x;'),
        qr/invalid value/],
    ['a_webhook_with_a_gate',
        key('two_keys')
            . webhook('entitle_webhook_secret_file %%SECRET%%; entitle_require pro;'),
        qr/cannot be gated/],

    ['a_key_that_is_too_short', key('short_key'), qr/8 bytes/, qr/32/],
    ['a_key_with_an_odd_digit', key('odd_key'), qr/odd/],
    ['a_key_that_is_no_key',    key('bad_key'), qr/hex, base64/],
    ['an_empty_key_file',       key('empty'),   qr/no session key/],

    @dollars,
    ['a_webhook_that_nobody_outside_reaches', webhook('internal; entitle_webhook_secret_file %%SECRET%%;'),
        qr/"internal" keeps everybody out.*contradicts "entitle_webhook"/],
    ['a_redis_user_without_a_name', 'entitle_redis_user "";', qr/invalid value "" in "entitle_redis_user"/],
    (map { ["our_own_cookie: $_", gate("entitle on; $_;"), qr/"cookie=\S*" in "entitle_\w+" is our own cookie/] }
        'entitle_credentials cookie=e', 'entitle_session_bind cookie=sid|e', 'entitle_session_bind cookie=a cookie=e'),
    ['our_own_cookie_for_all', 'entitle_credentials cookie=e;' . gate('entitle on;'), qr/"cookie=e" in "entitle_credentials" is our own/],
    ['an_answer_before_it_is_there', gate('entitle on; entitle_trusted_user $upstream_http_x_user;'),
        qr/"\$upstream_http_x_user" in "entitle_trusted_user".*auth_request_set/],
    (map { ["a_capture_without_a_name: $_", gate("entitle on; $_;"), qr/invalid value "\S+" in "entitle_\w+".*\(\?<name>/] }
        'entitle_require c_$1', '"entitle_require" "c_${1}"', 'entitle_session_redis s:$1 json=/id',
        'entitle_session_redis "s:${1}:x" json=/id'),
    (map { my ($name, $value) = split / /, $_, 2;
        ["no_variable: $_", gate("entitle on; $_;"), qr/invalid value \Q$value\E in "$name": a variable is \$name or/] }
        'entitle_trusted_user "${remote_addr"', 'entitle_require "a$"', 'entitle_login_url "/l?x=$"'),
    (map { ["a_variable_that_nothing_makes: $_", gate("entitle on; $_;"),
        qr/invalid value "\S+" in "entitle_\w+": nothing makes a variable "\$\{?(?:nope|1)\}?", in \S+nginx\.conf:\d+/] }
        'entitle_trusted_user $nope', 'entitle_require c_$nope', 'entitle_login_url /l?x=$nope', '"entitle_session_bind" "${1}"',
        'entitle_session_redis s:$nope json=/id', 'entitle_redirect /x$nope', 'entitle_wait 1s if=$nope'),
    (map { my ($name, $value) = split / /, $_, 2;
        ["a_variable_in_a_name: $_", gate("entitle on; $name $value;"), qr/"$name": it takes no variables/] }
        'entitle_session_bind cookie=$x', 'entitle_session_bind $remote_addr cookie=a|$x', 'entitle_jwt cookie=$x',
        'entitle_reauth_user header=$x', 'entitle_claim_email header=X-$x', 'entitle_credentials header=${x}',
        'entitle_credentials cookie=$x', 'entitle_jwt_issuer https://a $x'),
    ['a_variable_in_a_path', 'entitle_session_cookie e path=/$x;', qr/"path=\/\$x" in "entitle_session_cookie": it takes no/],
    ['a_variable_in_the_address_of_redis', 'entitle_redis redis://u:hunter2@$host;', qr/takes no variables/],

    ['an_identifier_that_is_none', 'entitle_grant pro gold;', qr/"gold"/, qr/price_/],
    ['an_identifier_without_a_value', 'entitle_grant pro lookup_key=;', qr/lookup_key/],
    ['a_customer_is_no_identifier', 'entitle_grant pro cus_123;', qr/"cus_123"/],
    ['a_grant_of_nothing', 'entitle_grant pro;', qr/number of arguments/],
    ['a_grant_without_a_name', q(entitle_grant "" price_1;), qr/must not be empty/],
    (map { my ($name, $config, @patterns) = @$_;
        ["a_grant_by_who_the_user_is: $name", $config, @patterns] }
        ['by default', 'entitle_grant pro price_1 metadata.userId=42;' . location(''),
            qr/"metadata\.userId=42" in "entitle_grant" opens nothing for anybody: "entitle_user_from" by default reads "metadata\.userId".* in \S+nginx\.conf:\d+$/m],
        ['as said', "entitle_user_from metadata.tenant;\nentitle_grant pro metadata.tenant=a=b;" . location(''),
            qr/"metadata\.tenant=a=b" in "entitle_grant".*"entitle_user_from" in \S+nginx\.conf:\d+ reads "metadata\.tenant".* in \S+nginx\.conf:\d+$/m],
        ['of a Connect account', 'entitle_grant pro acct_1/metadata.user_id=7;' . location(''), qr/"acct_1\/metadata\.user_id=7"/],
        ['where another server takes the webhooks', 'entitle_grant pro metadata.tenant=a; entitle_mode test;'
            . 'server { listen 127.0.0.1:%%PORT2%%; entitle_user_from metadata.plan; }' . webhook('entitle_webhook_secret_file %%SECRET%%;')
                =~ s/listen/entitle_user_from metadata.tenant link; listen/r, qr/"metadata\.tenant=a".*reads "metadata\.tenant"/]),
    ['a_grant_by_the_list_of_names', 'entitle_grant pro metadata.entitlements=pro;', qr/metadata\.entitlements is a list of names: one of them is metadata=NAME/],
    ['a_pause_that_is_none', 'entitle_pause_collection maybe;', qr/"maybe" in "entitle_pause_collection"/, qr/revoke or keep/],
    ['an_owner_from_nowhere', 'entitle_user_from customer;', qr/"customer"/, qr/client_reference_id/],
    ['signed_references_without_a_key', 'entitle_user_from client_reference_id=signed;'
            . location(''), qr/entitle_session_key_file/],

    ['a_gate_without_a_key', location('entitle_require pro;'), qr/entitle_session_key_file/],
    (map { ["a_gate_that_could_never_open: $_->[0]", key('two_keys') . plain() . $_->[1],
        qr/a gate needs a way to know who is there: "entitle_reauth"/, qr/nginx\.conf:\d+/] }
        ['of a location', location('entitle on; entitle_reauth off;')],
        ['of a server', 'server { listen 127.0.0.1:%%PORT%%; entitle_reauth off; entitle_require pro; location = /x { } }'],
        ['by another name', location('entitle on; entitle_reauth off; entitle_session_scope both;')
            =~ s/(server \{)(.*)entitle_session_scope both;/$1entitle_session_scope both;$2/r],
        ['of a poll', location('entitle_poll 1s; entitle_reauth off;')],
        ['inside one that can', location('entitle on; location = /x/y { entitle_reauth off; }') =~ s/= \/x \{/\/x {/r],
        ['where others may be let in', location('entitle on; entitle_reauth off; satisfy any; allow 127.0.0.1;')]),
    ['a_logout_everywhere_of_nobody', key('two_keys') . location('entitle_logout all;'),
        qr/"entitle_logout all" needs a way to know who is there: "entitle_reauth"/],
    ['a_gate_that_is_half_open', gate('entitle maybe;'), qr/"maybe"/],
    ['off_and_a_requirement', gate('entitle off; entitle_require pro;'), qr/contradict/],
    ['off_and_a_requirement_in_a_server', key('two_keys')
            . 'server { listen 127.0.0.1:%%PORT%%; entitle_require pro; entitle off; }',
        qr/contradict/],
    (map { ["off_and_a_requirement_in_http: $_", key('two_keys') . $_ . location(''),
        qr/contradict/, qr/nginx\.conf:\d+/] }
        'entitle off; entitle_require pro;', 'entitle_require pro; entitle off;'),

    (map { ["a_wait_that_is_none: $_", gate("entitle on; entitle_wait $_;"),
        qr/"entitle_wait"/, qr/like 10s/] } '0', '-1s', '0s', 'soon', 'if=$arg_x'),
    (map { ["a_condition_that_is_none: $_", gate("entitle on; entitle_wait 1s $_;"),
        qr/if=\$variable/] } '$arg_x', 'if=', 'if=x', 'if=$arg_x$arg_y', 'when=$arg_x'),
    ['a_condition_for_not_waiting', gate('entitle on; entitle_wait off if=$arg_x;'), qr/after the time/],
    ['a_wait_twice', gate('entitle on; entitle_wait 1s; entitle_wait 2s;'), qr/duplicate/],
    (map { ["a_limit_of_one_that_is_none: $_", "entitle_wait_limit 9 $_;", qr/per=NUMBER/] }
        'per=0', 'per=10', 'per=', 'each=3'),
    (map { ["a_limit_that_is_none: $_", "entitle_wait_limit $_;", qr/above 0/] } '0', '-1', 'many'),
    ['a_wait_for_all_of_http', 'entitle_wait 1s;', qr/not allowed here/],
    (map { ["a_poll_that_is_none: $_", gate("entitle_poll $_;"), qr/"entitle_poll"/,
        qr/like 30s/] } '0', '-1s', 'off'),
    ['a_poll_beside_a_proxy', gate('entitle_poll 1s; proxy_pass http://127.0.0.1:1;'),
        qr/"entitle_poll".*answers there/],
    ['a_proxy_beside_a_poll', gate('proxy_pass http://127.0.0.1:1; entitle_poll 1s;'),
        qr/"entitle_poll" stands beside another/],
    ['a_poll_beside_a_redirect', gate('entitle_poll 1s; entitle_redirect /x;'),
        qr/"entitle_redirect" stands beside "entitle_poll"/],
    ['a_poll_beside_a_logout', gate('entitle_poll 1s; entitle_logout;'),
        qr/"entitle_logout" stands beside "entitle_poll"/],
    (map { ["a_poll_of_nobody: $_", gate("entitle_poll 1s; entitle $_;"),
        qr/has to know who is waiting/] } 'off', 'optional'),
    ['a_poll_twice', gate('entitle_poll 1s; entitle_poll 1s;'), qr/duplicate/],
    ['a_poll_without_a_key', location('entitle_poll 1s;'), qr/entitle_session_key_file/],
    ['asking_the_app_for_nothing', gate('entitle on; entitle_reauth_user off;'),
        qr/entitle_reauth_user/],
    ['a_cookie_browsers_would_drop', q(entitle_session_cookie __Host-x secure=off;), qr/__Host-/],
    ['a_cookie_with_a_bad_name', q(entitle_session_cookie "a b";), qr/"a b"/],

    ['a_redis_that_is_none', 'entitle_redis http://127.0.0.1;', qr{http://127\.0\.0\.1}, qr{redis://}],
    ['a_redis_port_that_is_none', 'entitle_redis redis://127.0.0.1:99999;', qr/99999/],
    ['a_prefix_with_braces', 'entitle_redis_prefix a{b}:;', qr/entitle_redis_prefix/],
);

for (@refused) {
    my ($name, $http, @patterns) = @$_;
    my ($accepted, $said) = $site->config_test($http);
    ok !$accepted, $name;
    like $said, qr/\[emerg\]/, '  as an error';
    like $said, qr{nginx\.conf:\d+|nginx\.conf"?\b}, '  with its place';
    like $said, $_, "  naming $_" for @patterns;
    unlike $said, qr/whsec_\w{3}|0123456789|hunter2/, '  and no secret';
}

my @accepted = (
    ['white space around a secret', secret('padded')],
    ['several keys', gate('entitle on;')],
    ['a Redis that is not there', 'entitle_redis redis://192.0.2.1:6379;' . secret('padded')],
    ['a socket that is not there', 'entitle_redis unix:/nowhere/redis.sock;' . secret('padded')],
    ['every kind of identifier', 'entitle_grant pro price_1 prod_1 plink_1 lookup_key=pro'
            . ' feature=pro metadata=pro acct_1/price_1; entitle_grant team price_1;'],
    ['a grant by what names users elsewhere, and not where the webhooks come', 'entitle_grant pro metadata.userId=42; entitle_mode test;'
            . 'server { listen 127.0.0.1:%%PORT2%%; }' . webhook('entitle_webhook_secret_file %%SECRET%%;')
                =~ s/listen/entitle_user_from metadata.tenant link; listen/r],
    ['off, and a requirement below it', plain() . key('two_keys') . 'entitle off;'
            . location('entitle_require pro;')],
    ['waiting', gate('entitle_require pro; entitle_wait 10s if=$arg_session_id;')],
    ['waiting in a server of gates and others', plain() . key('two_keys')
            . 'entitle_wait_limit 1; server { listen 127.0.0.1:%%PORT%%; entitle_wait 10s if=${arg_x};'
            . ' location /a { entitle_require pro; } location /b { entitle_wait off; } }'],
    ['polling', gate('entitle_poll 30s;')],
    ['polling under a requirement, inside an if', plain() . key('two_keys')
            . 'entitle_require pro;' . location('entitle_poll 30s; if ($arg_x) { add_header X 1; }')],
    ['a server whose locations know better than it', plain() . key('two_keys')
            . 'server { listen 127.0.0.1:%%PORT%%; entitle_reauth off; entitle on; location / { entitle_reauth /who; }'
            . ' location = /who { internal; } location = /t { entitle_trusted_user $remote_addr; } }'],
    ['a server that sends everybody to another, under a gate for all', 'entitle_session_cookie e secure=off; entitle on;'
            . key('two_keys') . 'server { listen 127.0.0.1:%%PORT%%; return 301 https://$host$request_uri; }'
            . 'server { listen 127.0.0.1:%%PORT%%; server_name b; location / { return 301 https://$host$request_uri; } }'
            . 'server { listen 127.0.0.1:%%PORT2%%; entitle_reauth /who; entitle_reauth_user header=X; entitle_session_bind cookie=s; }'],
    ['a gate of all who say so, and no app', plain() . key('two_keys') . location('entitle optional; entitle_reauth off;')],
    ['variables that are made later, and in many ways', gate('entitle on; entitle_trusted_user $later;')
            . 'map $remote_addr $later { default ada; }'],
    ['variables of a regular expression, set and a request', plain() . key('two_keys')
            . 'server { listen 127.0.0.1:%%PORT%%; location ~ ^/(?<what>\w+)/(.*) { entitle_require c_$what c_$arg_what c_$COOKIE_What;'
            . ' set $mine 1; entitle_session_bind $mine; entitle_login_url /l?x=$2&y=$entitle_return_url; } }'],
    ['requirements with variables', gate('entitle_require course-$arg_id pro;'
            . ' entitle_require member;')],
);
for (@accepted) {
    my ($name, $http) = @$_;
    my ($accepted, $said) = $site->config_test($http);
    ok $accepted, "$name is accepted" or diag $said;
    unlike $said, qr/\[(?:warn|error|crit)\]/, '  without a complaint' ;
}

# Accepted, with a word about it.
for (['waiting_where_nobody_is_refused', 'entitle_wait 1s;', qr/waits for nobody, in .*:\d+/],
    ['a_pointer_with_a_dollar', 'entitle on; entitle_reauth_user json=/_id/$oid;',
        qr/"json=\/_id\/\$oid" in "entitle_reauth_user" is taken as it stands/],
    ['waiting_where_all_pass', 'entitle optional; entitle_wait 1s;', qr/waits for nobody/]) {
    my ($name, $directives, $pattern) = @$_;
    my ($accepted, $said) = $site->config_test(gate($directives));
    ok $accepted, $name;
    like $said, qr/\[warn\].*$pattern/, '  is warned about';
}

{
    my ($accepted, $said) = $site->config_test('entitle_grant pro lookup_key=$10;');
    ok $accepted, 'an_identifier_with_a_dollar';
    like $said, qr/\[warn\].*"lookup_key=\$10" in "entitle_grant" is taken as it stands/, '  is warned about';
}

# Trimmed, as documented: it does verify.
$site->redis;
$site->start('entitle_redis redis://127.0.0.1:%%REDIS%%;' . location(
    'entitle_webhook test; entitle_webhook_secret_file %%DIR%%/padded;'));
is $site->webhook(event_json('price.created'), uri => '/x')->status, 200,
    'a_padded_secret_is_trimmed';

# A bad file at reload keeps the old configuration at work.
$site->write_file('padded', 'nonsense');
$site->nginx->signal('HUP');
ok $site->wait_for_log(qr/\[emerg\].*whsec_/), 'a bad reload says why';
is $site->webhook(event_json('price.created'), uri => '/x')->status, 200,
    'and the old configuration goes on';
$site->expect_alert(qr/\[emerg\].*whsec_/);

done_testing;
