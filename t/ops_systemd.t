# The units that compare with Stripe every night: what they run is there, and
# systemd has nothing to say against them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp ();
use Test::More;
use Test::Entitle::Ctl;

my $OPS = "$FindBin::Bin/../ops/systemd";
sub content { open my $in, '<', "$OPS/$_[0]" or die "$_[0]: $!"; local $/; return readline $in }

my $ctl = Test::Entitle::Ctl->new;
my $service = content('entitle-reconcile.service');
my ($words) = $service =~ m{^ExecStart=/usr/local/sbin/entitlectl (.*)$}m;
ok $words, 'it runs the tool';
my $help = $ctl->run('reconcile', '--help')->{out} . $ctl->run('--help')->{out};
like $help, qr/(?<![\w-])\Q$_\E(?![\w-])/, "which takes $_" for $words =~ /(--[\w-]+)/g, '--heal', '--yes';
($words) = $service =~ m{^ExecStartPre=-/usr/local/sbin/entitlectl (.*)$}m;
ok $words, 'and looks at the endpoint before';
$help = $ctl->run('check', '--help')->{out} . $ctl->run('--help')->{out};
like $help, qr/(?<![\w-])\Q$_\E(?![\w-])/, "which takes $_" for $words =~ /(--[\w-]+)/g;
like $service, qr/^$_$/m, $_ for qw(DynamicUser=yes NoNewPrivileges=yes ProtectSystem=strict CapabilityBoundingSet=),
    'LoadCredential=stripe_key:.*';
unlike $service, qr/[rs]k_(?:live|test)_|STRIPE_API_KEY/, 'no key in the unit, nor in its environment';

if (-x '/usr/bin/systemd-analyze') {
    my $dir = File::Temp->newdir;
    $service =~ s{/usr/local/sbin/entitlectl}{$ctl->{dir}/entitlectl}g;
    for (['entitle-reconcile.service', $service], ['entitle-reconcile.timer', content('entitle-reconcile.timer')]) {
        open my $out, '>', "$dir/$_->[0]" or die;
        print $out $_->[1];
        close $out;
    }
    is qx(cd $dir && systemd-analyze verify ./entitle-reconcile.service ./entitle-reconcile.timer 2>&1), '',
        'systemd finds nothing wrong';
    my ($exposure) = qx(systemd-analyze security --offline=yes $dir/entitle-reconcile.service 2>&1) =~ /level for \S+: (\d+\.\d+)/;
    cmp_ok $exposure, '<', 2, 'and little that an intruder could do';
}

done_testing;
