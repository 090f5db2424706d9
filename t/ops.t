# What ops/ asks Prometheus for is what the module tells: every metric, label and
# value that a rule, a rule's test or the board names is in a real answer of
# entitle_status, or is one of those that docs/operations.md lists for who compares
# with Stripe. And each rule wakes somebody in its story, and nobody in another.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Test::Entitle;
use Test::Entitle::Docs qw($ROOT page);
use Test::Entitle::Metrics qw(families samples);

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

my $site = Test::Entitle->new;
$site->redis;
$site->start(<<'EOT');
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_grant pro prod_FxPRO000001;
%%SESSIONS%%
%%ASKED%%
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /status { entitle_status; }
    location /gated/ { entitle_require pro; }
}
EOT
$site->webhook(event_json('customer.subscription.created.active', user => 'ada'));
my $text;
ok wait_until(sub {
    $text = $site->get('/status?format=prometheus')->body;
    $text =~ /last_applied_timestamp/;
}), 'the module tells what it counts';

# { family => { label => { value => 1 } } }
my %told;
my $types = families($text);
for (samples($text)) {
    my ($name, $labels) = @$_;
    my $family = $types->{$name} ? $name : $name =~ s/_(?:bucket|sum|count)$//r;
    $told{$family}{$_}{ $labels->{$_} } = 1 for keys %$labels;
    $told{$family} //= {};
}
# Whoever scrapes adds these.
my %added = (instance => 1, job => 1);

# What the tool tells, by the table that says so.
my ($table) = page('docs/operations.md') =~ /^\| of who compares \|[^\n]*\n\|[-|]+\n((?:\|[^\n]*\n)+)/m;
for (split /\n/, $table // '') {
    my ($name, $labels) = /^\| `(entitle_\w+)(?:\{(.*?)\})?`/ or next;
    $told{$name} = { map { $_ => { any => 1 } } split /,/, $labels // '' };
}
cmp_ok scalar(keys %told), '>=', 25, 'of each family a sample';

sub look_at {
    my ($where, $expression) = @_;
    my $asked = 0;
    for my $asks ($expression =~ /\b(entitle_\w+(?:\{.*?\})?)/g) {
        my ($name, $labels) = $asks =~ /^(\w+)(.*)$/;
        my $family = $told{$name} ? $name : $name =~ s/_(?:bucket|sum|count)$//r;
        ok $told{$family}, "$where: $name is told" or next;
        $asked++;
        while ($labels =~ /(\w+)\s*(=~|!=|!~|=)\s*"(.*?)"/g) {
            my ($label, $how, $value) = ($1, $2, $3);
            next if $added{$label} || $label eq 'le';
            my $known = $told{$family}{$label};
            ok $known, "$where: $name has the label $label" or next;
            next if $known->{any} || $label eq 'prefix' || $label =~ /^(?:version|nginx)$/;
            ok $known->{$_}, "$where: $name has $label=\"$_\"" for $how =~ /~/ ? split /\|/, $value : $value;
        }
    }
    my @names = $expression =~ /\b(entitle_\w+)/g;
    for my $by ($expression =~ /\b(?:by|without)\s*\(([^)]*)\)/g) {
        my @labels = split /\s*,\s*/, $by;
        for my $label (grep { $_ ne 'le' && !$added{$_} } @labels) {
            ok((grep { my $f = $told{$_} ? $_ : s/_(?:bucket|sum|count)$//r; $told{$f}{$label} } @names),
                "$where: something has the label $label to sum by");
        }
    }
    return $asked;
}

# --- the rules ---------------------------------------------------------------------

sub slurp { my ($name) = @_; open my $in, '<:encoding(UTF-8)', "$ROOT/$name" or die "$name: $!"; local $/; return scalar <$in> }

my $rules = slurp('ops/prometheus/entitle.rules.yml');
my @rules;
while ($rules =~ /^      - alert: (\w+)\n        expr: (?:\|\n((?:          [^\n]*\n)+)|([^\n]*)\n)(.*?)(?=^      - alert|^  - name|\z)/msg) {
    push @rules, { name => $1, expr => $2 // $3, rest => $4 };
}
is scalar(@rules), scalar(() = $rules =~ /- alert:/g), 'each rule is read';
for my $rule (@rules) {
    cmp_ok look_at($rule->{name}, $rule->{expr}), '>', 0, "$rule->{name}: looks at something";
    like $rule->{rest}, qr/severity: (?:page|ticket|info)\b/, '  says for whom it is';
    like $rule->{rest}, qr/summary: "/, '  and what it is about';
    while ($rule->{rest} =~ /command: "entitlectl (\w+)/g) {
        like page('docs/entitlectl.md') . page('docs/operations.md'), qr/entitlectl $1\b/, "  entitlectl $1 is told of";
    }
    like page('docs/operations.md'), qr/^\| `$rule->{name}` \|/m, '  and docs/operations.md tells of it';
}

my $stories = slurp('ops/prometheus/entitle.test.yml');
look_at("a story: $_", $_) for $stories =~ /series: (\S.*)$/mg;
my %tested = map { $_ => 1 } $stories =~ /alertname: (\w+)/g;
is join(' ', grep { !$tested{$_} } map { $_->{name} } @rules), '', 'every rule has a story';
my %known = map { $_->{name} => 1 } @rules;
is join(' ', grep { !$known{$_} } sort keys %tested), '', 'and no story is of another';

for (['check', 'rules', 'ops/prometheus/entitle.rules.yml'], ['test', 'rules', 'ops/prometheus/entitle.test.yml']) {
    my $said = qx(cd '$ROOT' && promtool @$_ 2>&1);
    is $?, 0, "promtool @$_" or diag $said;
}
{
    my $file = $site->write_file('metrics.txt', $text);
    my $said = qx(promtool check metrics < $file 2>&1);
    is $said, '', 'and nothing to say of the metrics themselves';
}

# --- the board ----------------------------------------------------------------------

my $board = JSON::PP->new->decode(slurp('ops/grafana/entitle.json'));
my @targets = map { my $panel = $_; map { [$panel->{title}, $_->{expr}] } @{ $panel->{targets} } } @{ $board->{panels} };
cmp_ok scalar(@targets), '>=', 15, 'the board has panels';
cmp_ok look_at(@$_), '>', 0, "$_->[0]: looks at something" for @targets;
my %asked = map { $_ => 1 } map { $_->[1] =~ /\b(entitle_\w+?)(?:_bucket|_sum|_count)?\b/g } @targets;
for my $family (qw(entitle_gate_decisions_total entitle_webhook_events_total entitle_reauth_total entitle_wait_total
    entitle_redis_errors_total entitle_record_lookups_total entitle_parked_paid entitle_unmatched entitle_redis_up)) {
    ok $asked{$family}, "  and shows $family";
}
my @ids = map { $_->{id} } @{ $board->{panels} };
my %ids = map { $_ => 1 } @ids;
is scalar(keys %ids), scalar(@ids), 'panels have ids of their own';
for my $panel (@{ $board->{panels} }) {
    my $at = $panel->{gridPos};
    cmp_ok $at->{x} + $at->{w}, '<=', 24, "$panel->{title}: has its place";
}

done_testing;
