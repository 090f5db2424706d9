# ./dev package --nginx, with the one nginx that is here: what is in the tarball,
# that its checksums hold, and that an nginx of that version loads it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp qw(tempdir);
use Test::More;

plan skip_all => 'it builds a release, and here something else is tested'
    if $ENV{ENTITLE_TEST_MODULE} || $ENV{ENTITLE_VALGRIND};

# A compiler may have to work where this is the first test.
alarm 900;
chdir "$FindBin::Bin/.." or die $!;
my ($version) = qx(/usr/sbin/nginx -v 2>&1) =~ m{nginx/([\d.]+)};
my $sources = '/usr/share/nginx/src';

sub package_it {
    my ($said) = qx(./dev package --nginx $sources 2>build/package_nginx.log) =~ /^(\S+\.tar\.gz)$/m
        or die "nothing was made; see build/package_nginx.log\n";
    return $said;
}
sub bytes { open my $in, '<:raw', $_[0] or die "$_[0]: $!"; local $/; return scalar <$in> }

my $tarball = package_it();
my ($name) = $tarball =~ m{^build/package/(entitle-\d+\.\d+\.\d+\S*-nginx-\Q$version\E-linux-\w+)\.tar\.gz$};
ok defined $name, 'it is named after both versions and the machine' or diag $tarball;

my $first = bytes($tarball);
is package_it(), $tarball, 'and again';
ok $first eq bytes($tarball), 'the same tree makes the same bytes';

my $dir = tempdir(CLEANUP => 1);
is system("cd build/package && sha256sum --quiet -c $name.tar.gz.sha256"), 0, 'its checksum holds';
is system("tar -xf $tarball -C $dir"), 0, 'it unpacks';
is_deeply [sort map { s{.*/}{}r } glob "$dir/$name/*"],
    [qw(LICENSE LICENSE.hiredis README SHA256SUMS ngx_http_entitle_module.so)],
    'into the module, the licences, the checksums and what to do';
my $readme = bytes("$dir/$name/README");
my ($sums) = $readme =~ /^ +(sha256sum -c .*)$/m;
my ($checked) = qx(cd $dir/$name && $sums 2>&1);
is $?, 0, 'the checksums hold, checked as it says' or diag $checked;
is_deeply [sort map { (split)[1] } split /\n/, bytes("$dir/$name/SHA256SUMS")],
    [qw(LICENSE LICENSE.hiredis README ngx_http_entitle_module.so)], 'and there is one for each file';
like bytes("$dir/$name/LICENSE.hiredis"), qr/Redistributions in binary form/, 'hiredis has its notice';
is scalar grep({ -l || (stat)[2] & 022 } glob "$dir/$name/*"), 0, 'nobody else may write it';

# What nginx compares is told, by the command that is told.
my ($signature) = $readme =~ /^ +(\d+,\d+,\d+,[01]+)$/m;
my ($compare) = $readme =~ /^ +nginx -v; (grep .*)$/m;
is join(' ', sort split ' ', qx(PATH=/usr/sbin:\$PATH; $compare | sort -u)), $signature,
    'an nginx that matches shows the same signature';

for (glob "$dir/$name/*.so") {
    open my $out, '>', "$dir/nginx.conf" or die $!;
    print $out "load_module $_;\npid $dir/pid;\nevents {}\n";
    close $out;
    like qx(/usr/sbin/nginx -t -p $dir -e stderr -c nginx.conf 2>&1), qr/test is successful/,
        'that nginx loads it';
    unlike qx(readelf -SW $_), qr/\.debug_info/, 'line numbers are not in it';
}

like qx(./dev package --nginx 2>&1), qr/needs a directory/, 'it asks for sources';
like qx(./dev package --nginx $dir 2>&1), qr/is no nginx source tree/, 'and wants nginx\'s';
is join(' ', glob 'build/package/.new-*'), '', 'and leaves nothing half made';
done_testing;
