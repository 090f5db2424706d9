# ./dev release, on clones of this tree: what is no release is refused, with each
# reason, and of what is one everybody makes the same tarball.
use strict;
use warnings;
use FindBin;
use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Test::More;

alarm 600;

my $root = abs_path("$FindBin::Bin/..");
plan skip_all => 'the tests of a package have no clone'
    if $ENV{ENTITLE_TEST_MODULE} && !-e "$root/.git";
my $temp = tempdir(CLEANUP => 1);
$ENV{HOME} = $temp;
$ENV{GIT_CONFIG_NOSYSTEM} = 1;
@ENV{qw(GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL)} = ('a', 'a@b', 'a', 'a@b');
@ENV{qw(GIT_AUTHOR_DATE GIT_COMMITTER_DATE)} = ('2026-01-01T12:00:00Z') x 2;
system("git config --global safe.directory '*'") == 0 or die;

sub edit {
    my ($path, $change) = @_;
    open my $in, '<:raw', $path or die "$path: $!";
    local $_ = do { local $/; <$in> };
    close $in;
    $change->();
    open my $out, '>:raw', $path or die "$path: $!";
    print $out $_;
    close $out or die "$path: $!";
}

# A clone with the scripts as they are here, committed or not.
my $clones = 0;
sub clone {
    my $clone = "$temp/" . ++$clones;
    system("git clone -q --no-hardlinks $root $clone && cp $root/dev $clone/dev"
        . " && cp $root/.ci/*.sh $clone/.ci/ && cp $root/CHANGES.md $clone/") == 0 or die 'no clone';
    commit($clone, 'scripts');
    return $clone;
}
sub commit { my ($clone, $subject) = @_; system("git -C $clone add -A && git -C $clone commit -q --allow-empty -m '$subject'") == 0 or die }
sub release { my ($clone) = @_; my $said = qx(cd $clone && ./dev release --no-tests 2>&1); return ($? >> 8, $said) }

sub make_release {
    my ($clone, $version) = @_;
    edit("$clone/core/base/version.h", sub { s/(kVersion\[\] = ")[^"]+/$1$version/ or die });
    edit("$clone/CHANGES.md", sub { s/^## .*/## $version (2026-01-01)/m or die });
    edit("$clone/cli/man/entitlectl.1", sub { s/"entitle [\d.]+"/"entitle $version"/ or die });
    edit("$clone/debian/changelog", sub { s/\A.*/entitle ($version) unstable; urgency=medium/ or die });
}

# --- what is none ------------------------------------------------------------

my $clone = clone();
chomp(my $base = qx(git -C $clone rev-parse HEAD));
my ($status, $said) = release($clone);
isnt $status, 0, 'what is not yet released is none';
like $said, qr/CHANGES\.md begins with "## \S+ \(unreleased\)"/, '  because of CHANGES.md';
like $said, qr/debian\/changelog begins with "entitle \(\S+\) UNRELEASED/, '  and of debian/changelog';

for (
    ['a file that is not committed', qr/not clean: 1 files, the first \S*new/, sub { edit_new($_[0]) }],
    ['another version in the man page', qr/man page is of another version/,
        sub { edit("$_[0]/cli/man/entitlectl.1", sub { s/"entitle 1.2.3"/"entitle 1.2.2"/ or die }); commit($_[0], 'x') }],
    ['another version in the code', qr/CHANGES\.md begins with "## 1\.2\.3/,
        sub { edit("$_[0]/core/base/version.h", sub { s/1\.2\.3/1.2.4/ or die }); commit($_[0], 'x') }],
    ['a version that is none', qr/"1\.2\.3rc1" is no major\.minor\.patch/,
        sub { make_release($_[0], '1.2.3rc1'); commit($_[0], 'x') }],
    ['nothing that changed', qr/CHANGES\.md says nothing below/,
        sub { edit("$_[0]/CHANGES.md", sub { s/^(## [^\n]*\n).*?(?=^## |\z)/$1\n## 0.0.1 (2020-01-01)\n\n- x\n/ms or die }); commit($_[0], 'x') }],
    ['the tag of another commit', qr/v1\.2\.3 is the tag of another commit/,
        sub { system("git -C $_[0] tag v1.2.3 && git -C $_[0] commit -q --allow-empty -m x") == 0 or die }],
    ['an older version', qr/1\.2\.3 is older than v1\.3\.0/,
        sub { system("git -C $_[0] tag v1.3.0 HEAD~1") == 0 or die }],
) {
    my ($what, $expected, $break) = @$_;
    system("git -C $clone tag -l | xargs -r git -C $clone tag -d >/dev/null; git -C $clone reset -q --hard $base; git -C $clone clean -qfd") == 0 or die;
    make_release($clone, '1.2.3');
    commit($clone, 'release');
    $break->($clone);
    ($status, $said) = release($clone);
    isnt $status, 0, "$what is no release";
    like $said, $expected, '  and it says why';
    ok !-e "$clone/build/release/entitle-1.2.3.tar.gz", '  and makes none';
}
sub edit_new { open my $out, '>', "$_[0]/new" or die; print $out "x\n" }

# --- what is one -------------------------------------------------------------

sub bytes { open my $in, '<:raw', $_[0] or die "$_[0]: $!"; local $/; return scalar <$in> }
my @tarballs = map {
    my $umask = umask $_;
    my $own = clone();
    umask $umask;
    make_release($own, '1.2.3');
    commit($own, 'release');
    ($status, $said) = release($own);
    is $status, 0, 'a release is one' or diag $said;
    "$own/build/release/entitle-1.2.3.tar.gz";
} 022, 077;
ok bytes($tarballs[0]) eq bytes($tarballs[1]), 'two people make the same bytes';
like $said, qr/^then: git tag -s v1\.2\.3 /m, 'the tag is left to whoever signs it';
my ($folder) = $tarballs[0] =~ m{^(.*)/};
is system("cd $folder && sha256sum --quiet -c entitle-1.2.3.tar.gz.sha256"), 0, 'its checksum holds';
is system("tar -xzf $tarballs[0] -C $temp"), 0, 'it unpacks';
is qx($temp/entitle-1.2.3/dev version), "entitle 1.2.3\n", 'into a tree of that version';
ok -e "$temp/entitle-1.2.3/$_", "  with $_" for qw(config LICENSE .ci/fresh.sh debian/control lua-free-tests/fixtures);
ok !-e "$temp/entitle-1.2.3/build", '  and nothing that was built';
done_testing;
