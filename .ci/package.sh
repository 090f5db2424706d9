# shellcheck shell=bash
# ./dev package: Debian's packages of a commit, and what becomes of an nginx that
# installs, upgrades and removes them. `dev` reads this file; say, die and need are
# there.

PACKAGE_PACKAGES=(build-essential debhelper fakeroot)
TRY_PACKAGES=(curl perl lintian autopkgtest)

package() {
  local here='' try='' commits=()
  if [ "${1:-}" = --nginx ]; then
    shift
    # shellcheck source=.ci/tarball.sh
    . .ci/tarball.sh
    package_nginx "$@"
    return
  fi
  while [ $# -gt 0 ]; do
    case $1 in
      --here) here=yes ;;
      --try) try=yes ;;
      -*) die "package: unknown option \"$1\"; see ./dev help" ;;
      *) commits+=("$1") ;;
    esac
    shift
  done
  if [ -n "$try" ]; then
    package_try
  elif [ -n "$here" ]; then
    local commit
    for commit in "${commits[@]:-HEAD}"; do package_build "$commit"; done
  else
    # shellcheck source=.ci/fresh.sh
    . .ci/fresh.sh
    fresh "${commits[@]:-HEAD}" --only './dev package --try'
  fi
}

# Into build/package/<commit>/. What is no release is older than the release that
# it will be, and each commit newer than the one before.
package_build() {  # commit
  local commit=$1 place source version
  need "${BUILD_PACKAGES[@]}" "${PACKAGE_PACKAGES[@]}"
  commit=$(git rev-parse --verify --quiet "$commit^{commit}") ||
    die "package: no such commit"
  place=$BUILD/package/${commit:0:12}
  source=$place/entitle
  rm -rf "$place"
  mkdir -p "$source"
  git archive "$commit" | tar -x -C "$source"
  [ -d "$source/debian" ] || die "package: that commit has no debian/"
  version=$(sed -n '1s/^entitle (\(.*\)) .*/\1/p' "$source/debian/changelog")
  if ! git tag --points-at "$commit" | grep -qxF "v$version"; then
    version+="~$(git rev-list --count "$commit").${commit:0:7}"
    sed -i "1s/(.*)/($version)/" "$source/debian/changelog"
  fi
  say "building the packages of $version"
  (cd "$source" && DEB_BUILD_OPTIONS="parallel=$JOBS nocheck" \
    dpkg-buildpackage -b -us -uc >"$place/build.log" 2>&1) ||
    { tail -n 40 "$place/build.log" >&2; die "dpkg-buildpackage failed"; }
  rm -rf "$source"
  ls "$place"/*.deb
}

# --- in a root made for it ---------------------------------------------------

TRIED=0 TRY_FAILED=0

# What a command says must match; its own status, too, unless it may fail.
check() {  # name, pattern, command...
  local name=$1 pattern=$2 said status=0
  shift 2
  said=$("$@" 2>&1) || status=$?
  TRIED=$((TRIED + 1))
  if grep -qE -- "$pattern" <<<"$said" || { [ -z "$pattern" ] && [ $status -eq 0 ]; }; then
    echo "ok - $name"
    return
  fi
  TRY_FAILED=$((TRY_FAILED + 1))
  echo "not ok - $name"
  printf '%s\n' "$said (status $status)" "expected: $pattern" | sed 's/^/#   /'
}

apt_get() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold "$@"
}

# shellcheck disable=SC2012
debs() { ls "$BUILD/package/$1"/{libnginx-mod-http-entitle,entitlectl}_*.deb; }

course() {  # user
  curl -s -o /dev/null -w 'course %{http_code}\n' -u "$1:secret" \
    http://127.0.0.1:8080/course/
}

ada_pays() {
  perl -It/lib -MTest::Entitle::Stripe=event_json,signature,:DEFAULT -e '
    my $body = event_json("customer.subscription.created.active",
        user => "ada", livemode => JSON::PP::true);
    $body =~ s/"prod_\w+"/"prod_FxPRO000001"/g;
    open my $out, ">", "/tmp/event" or die $!;
    print $out $body;
    print signature($body);' >/tmp/signature
  curl -s -w ' %{http_code}\n' --data-binary @/tmp/event \
    -H "Stripe-Signature: $(cat /tmp/signature)" http://127.0.0.1:8080/stripe
}

nginx_takes_it() { check "nginx -t: $1" 'test is successful' nginx -t; }

nginx_starts() {
  # Nobody starts a service here.
  nginx
  for _ in $(seq 50); do
    if curl -s -o /dev/null http://127.0.0.1:8080/; then return; fi
    sleep 0.1
  done
}

# This machine gets an nginx, a Redis and the packages, and loses them again: only
# for a root that is thrown away.
package_try() {
  if [ "$(id -u)" -ne 0 ] || [ "$(hostname)" != fresh ]; then
    die "package --try changes the machine; ./dev package runs it in a root of its own"
  fi
  local new old site=/etc/nginx/conf.d/entitle.conf
  local examples=/usr/share/doc/libnginx-mod-http-entitle/examples
  new=$(git rev-parse HEAD) old=$(git rev-parse HEAD^)
  new=${new:0:12} old=${old:0:12}
  package_build HEAD
  if git cat-file -e HEAD^:debian/control 2>/dev/null; then
    package_build HEAD^
  else
    say "the commit before has no packages: this one is upgraded by itself"
    old=$new
  fi
  need "${TRY_PACKAGES[@]}" redis-server

  # What dpkg -b cannot know: the bugs of a package that is in no archive.
  check 'lintian has no errors and no warnings' '' lintian --fail-on error,warning \
    --suppress-tags initial-upload-closes-no-bugs,bogus-mail-host-in-debian-changelog \
    "$BUILD/package/$new"/*.changes

  say "installed"
  # shellcheck disable=SC2046
  apt_get install $(debs "$old")
  nginx_takes_it 'installed'
  check 'the module is loaded by a link' 'mod-http-entitle.conf' \
    ls /etc/nginx/modules-enabled
  check 'nginx takes the module once' 'module .* is already loaded' \
    nginx -t -g 'load_module modules/ngx_http_entitle_module.so;'
  check 'entitlectl is there' '^entitle' entitlectl --version

  say "configured as the package's example says"
  mkdir -p /var/www/html/course
  echo lesson >/var/www/html/course/index.html
  echo whsec_entitle_test_secret >/etc/nginx/stripe-webhook-secret
  chmod 600 /etc/nginx/stripe-webhook-secret
  printf 'ada:{PLAIN}secret\nbob:{PLAIN}secret\n' >/etc/nginx/course-users
  cp $examples/site.conf $site
  redis-server --port 6379 --save '' --daemonize yes >/dev/null
  nginx_takes_it 'with the example'
  nginx_starts
  check 'nobody has paid: 402' 'course 402' course ada
  check 'the webhook is taken' '"applied".* 200' ada_pays
  check 'who has paid is in' 'course 200' course ada
  check 'who has not is out' 'course 402' course bob
  check 'entitlectl says why' 'ada' entitlectl why ada

  say "upgraded, nginx running"
  # shellcheck disable=SC2046
  check 'apt says that nginx keeps what it has loaded' 'service nginx upgrade' \
    apt_get install --reinstall $(debs "$new")
  nginx_takes_it 'upgraded'
  check 'what runs goes on' 'course 200' course ada
  nginx -s reload
  sleep 1
  check 'and after a reload' 'course 200' course ada
  nginx -s stop
  while pgrep -x nginx >/dev/null; do sleep 0.1; done
  nginx_starts
  check 'and after a restart' 'course 200' course ada
  check 'and the other is out' 'course 402' course bob

  say "the packages' own tests"
  check 'story and build hold for what is installed' '' \
    autopkgtest --no-built-binaries --ignore-restrictions=isolation-machine \
    . -- null

  say "removed"
  check 'what still needs the module is named' "$site" \
    apt_get remove libnginx-mod-http-entitle
  check 'what runs goes on running' 'course 200' course ada
  check 'nginx says which directive is not known' 'unknown directive "entitle' nginx -t
  mv $site $site.kept
  nginx_takes_it 'removed, without the configuration'
  # shellcheck disable=SC2046
  apt_get install $(debs "$new")
  mv $site.kept $site
  nginx_takes_it 'installed again'
  rm $site
  apt_get purge libnginx-mod-http-entitle entitlectl
  nginx_takes_it 'purged'
  check 'nothing of it is left' '^0$' \
    sh -c 'find /etc/nginx /usr/lib/nginx /usr/share/nginx -name "*entitle*" | wc -l'
  nginx -s stop
  redis-cli shutdown nosave

  echo "$((TRIED - TRY_FAILED)) passed, $TRY_FAILED failed"
  [ $TRY_FAILED -eq 0 ]
}
