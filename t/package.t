# What Debian's packages promise, as far as it shows without building them:
# `./dev package` does that, and installs, upgrades and removes them.
use strict;
use warnings;
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::Entitle;
use Test::Entitle::Docs qw(page tree);

my ($version) = page('core/base/version.h') =~ /kVersion\[\] = "(.+)"/;
like page('debian/changelog'), qr/\Aentitle \(\Q$version\E\) /, 'the version is the code\'s';
like page('debian/libnginx-mod-http-entitle.NEWS'), qr/^entitle \(/m, 'there is news';

# What is installed is there, or is built.
for my $list (grep { m{^debian/[^/]+\.(?:install|docs|examples|manpages)$} } tree()) {
    for my $line (split /\n/, page($list)) {
        my ($from) = split ' ', $line;
        next if !defined $from || $from =~ m{^(?:usr/lib|obj-entitlectl)/};
        ok -e "$Test::Entitle::ROOT/$from", "$list: $from is in the tree";
    }
}

# The units are where systemd looks, run the package's program, and wait to be enabled.
if (-x '/usr/bin/dh_installsystemd') {
    my $dir = File::Temp->newdir;
    my $said = qx(cd '$Test::Entitle::ROOT' && git checkout-index -a --prefix=$dir/ 2>&1);
    mkdir "$dir/obj-entitlectl";
    $said .= qx(cd $dir && cp /bin/true obj-entitlectl/entitlectl && dh_install -pentitlectl 2>&1);
    $said .= qx(cd $dir && make -s -f debian/rules execute_before_dh_installsystemd override_dh_installsystemd 2>&1);
    is $?, 0, 'debhelper installs the tool and its units' or diag $said;
    my $tree = "$dir/debian/entitlectl";
    ok -s "$tree/$_", "  $_" for map({ "lib/systemd/system/entitle-reconcile.$_" } qw(service timer)),
        map { "usr/share/entitlectl/$_" } qw(prometheus/entitle.rules.yml grafana/entitle.json);
    my $service = qx(cat $tree/lib/systemd/system/entitle-reconcile.service);
    like $service, qr{^ExecStart=/usr/sbin/entitlectl }m, '  the service runs the package\'s';
    unlike $service, qr{/usr/local}, '  and nothing else';
    my $script = qx(cat $dir/debian/.debhelper/generated/entitlectl/postinst* 2>/dev/null);
    like $script, qr/entitle-reconcile\.timer/, 'the package knows of the timer';
    unlike $script, qr/Enables the unit on first installation|deb-systemd-invoke .*start/, '  and neither enables nor starts it';
}

# Who builds from the tree and who builds the package need the same.
my ($needed) = page('dev') =~ /^BUILD_PACKAGES=\((.*?)\)/ms;
my ($listed) = page('debian/control') =~ /^Build-Depends: (.*?)^\S/ms;
my %listed = map { s/\s.*//sr => 1 } split /,\s*/, $listed;
# By way of nginx-dev, build-essential and debhelper.
my %implied = map { $_ => 1 } qw(g++ make binutils nginx nginx-dev zlib1g-dev);
is_deeply [grep { !$listed{$_} && !$implied{$_} } split ' ', $needed], [],
    'the package is built with what ./dev builds with';

# A reload keeps the module that is loaded (t/upgrade.t); whoever upgrades hears of it.
{
    my $script = page('debian/libnginx-mod-http-entitle.postinst') =~ s/^#DEBHELPER#$//mr;
    my $dir = File::Temp->newdir;
    my $said = sub {
        my ($pid, @arguments) = @_;
        open my $out, '>', "$dir/script" or die $!;
        print $out $script =~ s{/run/nginx\.pid}{$dir/pid}r;
        close $out;
        unlink "$dir/pid";
        if ($pid) { open $out, '>', "$dir/pid" or die $!; print $out "1\n" }
        return qx(sh $dir/script @arguments 2>&1);
    };
    like $said->(1, qw(configure 0.0.9)), qr/the module of 0\.0\.9 until "service nginx upgrade"/,
        'an upgrade says what nginx goes on with';
    is $said->(1, 'configure'), '', '  an installation does not';
    is $said->(0, qw(configure 0.0.9)), '', '  nor where no nginx runs';
    is $said->(1, qw(abort-remove)), '', '  nor what came to nothing';
}

# --- the example, with other ports and files ---------------------------------

my $site = Test::Entitle->new;
$site->redis;
my $text = page('debian/examples/site.conf');
$text =~ s/127\.0\.0\.1:6379/127.0.0.1:%%REDIS%%/ or die 'no Redis';
$text =~ s/listen 8080/listen 127.0.0.1:%%PORT%%/ or die 'no port';
$text =~ s{/etc/nginx/stripe-webhook-secret;}{%%SECRET%%;} or die 'no secret';
$text =~ s{/etc/nginx/course-users;}{%%DIR%%/users;} or die 'no users';
$text =~ s{root /var/www/html;}{} or die 'no root';
$site->write_file('users', "ada:{PLAIN}secret\nbob:{PLAIN}secret\n");
$site->write_file('html/course/index.html', 'lesson');
$site->start($text);

sub course {
    my ($user) = @_;
    my @login = $user eq '' ? () : (Authorization => 'Basic '
            . ($user eq 'ada' ? 'YWRhOnNlY3JldA==' : 'Ym9iOnNlY3JldA=='));
    return $site->get('/course/', @login)->status;
}
is course(''), 401, 'the example asks who it is';
is course('ada'), 402, 'and for money';
my $body = event_json('customer.subscription.created.active', user => 'ada',
    livemode => JSON::PP::true);
$body =~ s/"prod_\w+"/"prod_FxPRO000001"/g;
my $answer = $site->webhook($body, uri => '/stripe');
is $answer->status, 200, 'the webhook is taken' or diag $answer->body;
is course('ada'), 200, 'who has paid is in';
is course('bob'), 402, 'and nobody else';
$site->finish;
done_testing;
