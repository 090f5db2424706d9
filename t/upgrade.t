# From one version of the module to another and back, under traffic, in the ways of
# docs/upgrading.md: a package that replaces the file and reloads, a new binary beside
# the old one (USR2, WINCH, QUIT), and taking each back. Nobody is cut off, nothing
# that was taken is lost, each version reads what the other wrote, and who has a
# session goes on with it.
#
# ENTITLE_TEST_OLD_MODULE: the older module; ./dev upgrade builds one. Without it the
# same module stands for both, which shows all but what differs between versions.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Copy qw(copy);
use Test::Entitle;
use Test::Entitle::GateApp;
use Test::Entitle::GateSession;
use Test::Entitle::Traffic;
use Time::HiRes qw(sleep);

my $new_module = $ENV{ENTITLE_TEST_MODULE} // "$Test::Entitle::ROOT/build/ngx_http_entitle_module.so";
my $old_module = $ENV{ENTITLE_TEST_OLD_MODULE} // $new_module;
diag "from $old_module" if $old_module ne $new_module;

my $site   = Test::Entitle->new(workers => 2);
my $module = $site->dir . '/module.so';
my $redis  = $site->redis;

# As dpkg and install(1) do: a new file takes the old one's name.
sub install {
    my ($from) = @_;
    copy($from, "$module.new") && rename "$module.new", $module or die "$module: $!";
    return (stat $module)[1];
}

{
    no warnings 'redefine';
    my $written = \&Test::Entitle::configuration;
    *Test::Entitle::configuration = sub { return $written->(@_) =~ s/load_module \Q$new_module\E/load_module $module/r };
}

my $app = Test::Entitle::GateApp->new($site, sub { return { status => 204, headers => ['X-User' => $_[0]{cookies}{app}] } });
put_record($redis, $_, version => 1_767_000_000_000, subscription('active')) for qw(ada grace);
$site->write_file("html/$_", 'lesson') for qw(paid asked);
my $old_file = install($old_module);
$site->start_daemon(<<"EOF");
entitle_redis redis://127.0.0.1:%%REDIS%%;
entitle_redis_timeout 3s;
entitle_mode test;
entitle_grant pro prod_Pro prod_FxPRO000001;
%%SESSIONS%%
map \$arg_user \$known { default \$arg_user; }
server {
    listen 127.0.0.1:%%PORT%%;
    %%WEBHOOK%%
    location = /paid   { entitle_require pro; entitle_trusted_user \$known; }
    location = /asked  { entitle_require pro; %%REAUTH%% }
    location = /whoami { internal; proxy_pass http://127.0.0.1:@{[$app->port]}; }
}
EOF

sub children_of {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/task/$pid/children" or return ();
    return split ' ', <$in> // '';
}

# The file that its workers have loaded; of an old master one child is the new one.
sub loaded_by {
    my ($master) = @_;
    my %inodes;
    for my $worker (grep { !children_of($_) } children_of($master)) {
        open my $maps, '<', "/proc/$worker/maps" or next;
        $inodes{$_} = 1 for map { m{^\S+ r\S+ \S+ \S+ (\d+) +\Q$module\E} ? $1 : () } <$maps>;
    }
    return join ' ', sort keys %inodes;
}

my $session = do {
    my $answer = $site->get('/asked', Cookie => 'app=grace');
    my %cookies = $answer->cookies;
    is $answer->status, 200, 'the old version lets in, and gives a session';
    "app=grace; entitle=$cookies{entitle}";
};

my $traffic;
my $count = 0;
my @stored;
sub meanwhile { $traffic = Test::Entitle::Traffic->new(site => $site, paid => 'ada', not_paid => 'eve', name => 'v' . ++$count) }

# Each version reads what the other wrote, the old one what the new wrote, too.
sub all_is_well {
    my ($what) = @_;
    sleep 0.5;
    my $result = $traffic->stop;
    is join("\n", @{ $result->{wrong} }), '', "$what: everybody is answered, and rightly";
    is $result->{refused} + ($result->{gate}{503} // 0), 0, '  nobody with a 503';
    cmp_ok scalar @{ $result->{stored} }, '>', 5 / patience(), '  webhooks were stored';
    cmp_ok $result->{gate}{200} // 0, '>', 3 / patience(), '  and visitors let in';
    is join(' ', map { $_->{user} } $traffic->lost($redis)), '', '  and nothing was lost';
    push @stored, map { $_->{user} } @{ $result->{stored} };
    my @some = (@stored[0 .. 4], @stored[-5 .. -1]);
    is join(' ', map { $site->get("/paid?user=$_")->status } @some), join(' ', (200) x @some),
        '  who bought under any version is in';
    $app->forget;
    is $site->get('/asked', Cookie => $session)->status, 200, '  who has a session is in';
    is scalar $app->seen('/whoami'), 0, '  and the app is not asked again';
}

# --- a package: the file, and a reload ---------------------------------------

is loaded_by($site->nginx->pid), $old_file, 'the old version runs';
meanwhile();
sleep 0.5;
install($new_module);
$site->reload;
is loaded_by($site->nginx->pid), $old_file, 'a reload goes on with the module that is loaded';
all_is_well('another file and a reload');


# --- a new binary beside the old one -----------------------------------------

# Who forgets a process ends it.
my @known;

sub new_binary {
    push @known, my $old = $site->nginx;
    $old->signal('USR2');
    ok wait_until(sub { -s $site->dir . '/nginx.pid.oldbin' && -s $site->dir . '/nginx.pid' }),
        'USR2: a new binary starts beside the old one';
    push @known, my $new = $site->adopt_daemon;
    ok wait_until(sub { children_of($new->pid) == 2 }), '  with workers of its own';
    return ($old, $new);
}

# The new master is a child of the old one.
sub only_the_master_is_left {
    my ($old, $new) = @_;
    $old->signal('WINCH');
    ok wait_until(sub { join(' ', children_of($old->pid)) eq $new->pid }),
        'WINCH: the old workers go, and their master stays' or diag "@{[children_of($old->pid)]}";
}

meanwhile();
sleep 0.3;
my $new_file = install($new_module);
my ($old, $new) = new_binary();
only_the_master_is_left($old, $new);
is loaded_by($new->pid), $new_file, '  the new ones have the new file';
sleep 0.5;

# Taken back: HUP has the old master start workers again, of what it has loaded.
$old->signal('HUP');
ok wait_until(sub { children_of($old->pid) == 3 }), 'HUP: the old one has workers again';
$new->signal('QUIT');
ok wait_until(sub { !-e $site->dir . '/nginx.pid.oldbin' && -s $site->dir . '/nginx.pid' }),
    'QUIT: the new one goes, and the old one has its pid file';
is $site->adopt_daemon->pid, $old->pid, '  and is itself';
is loaded_by($old->pid), $old_file, '  with the old version';
all_is_well('a new binary, taken back');

meanwhile();
sleep 0.3;
($old, $new) = new_binary();
only_the_master_is_left($old, $new);
$old->signal('QUIT');
ok wait_until(sub { !$old->running }), 'QUIT: the old one, too';
is loaded_by($new->pid), $new_file, '  and the new version runs';
all_is_well('a new binary');

$site->finish;
done_testing;
