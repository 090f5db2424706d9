# shellcheck shell=bash
# ./dev release: whether a commit can be a release, and the tarball of its tag. `dev`
# reads this file; say and die are there.
#
# Every place that names the version must name the same one; what is missing is told
# all at once. The tag itself is somebody's signature, and stays somebody's to make.

RELEASE_FAULTS=()

release() {
  local tests=yes
  while [ $# -gt 0 ]; do
    case $1 in
      --no-tests) tests='' ;;
      *) die "release: unknown option \"$1\"; see ./dev help" ;;
    esac
    shift
  done
  local version commit
  version=$(./dev version)
  version=${version#entitle }
  commit=$(git rev-parse --verify --quiet HEAD) || die "release: this is no clone"
  release_tree "$version" "$commit"
  release_words "$version"
  if [ ${#RELEASE_FAULTS[@]} -gt 0 ]; then
    printf './dev release: %s\n' "${RELEASE_FAULTS[@]}" >&2
    die "release: this commit is no release of $version"
  fi
  if [ -n "$tests" ]; then
    say "everything that must hold"
    CI=true bash .ci/run
    ./dev test --sanitize
  else
    say "no tests were run"
  fi
  release_tarball "$version" "$commit"
}

release_fault() { RELEASE_FAULTS+=("$1"); }

release_tree() {  # version, commit
  local tagged changed
  changed=$(git status --porcelain)
  [ -z "$changed" ] ||
    release_fault "the tree is not clean: $(wc -l <<<"$changed") files, the first${changed:2:60}"
  [[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || release_fault "\"$1\" is no major.minor.patch"
  tagged=$(git rev-parse --verify --quiet "v$1^{commit}" || true)
  [ -z "$tagged" ] || [ "$tagged" = "$2" ] ||
    release_fault "v$1 is the tag of another commit, ${tagged:0:12}"
  # A version only rises.
  local before
  for before in $(git tag --list 'v[0-9]*.[0-9]*.[0-9]*' --merged HEAD); do
    [ "$before" = "v$1" ] ||
      [ "$(printf '%s\n' "${before#v}" "$1" | sort -V | tail -n 1)" = "$1" ] ||
      release_fault "$1 is older than $before, which it comes after"
  done
}

# What people read names the version, and what it changes.
release_words() {  # version
  local heading
  heading=$(grep -m 1 '^## ' CHANGES.md || true)
  [[ $heading =~ ^"## $1 ("[0-9]{4}-[0-9]{2}-[0-9]{2}\)$ ]] ||
    release_fault "CHANGES.md begins with \"$heading\", not with \"## $1 ($(date +%F))\""
  awk '/^## / { n++ } n == 1 && /^- / { found = 1 } END { exit !found }' CHANGES.md ||
    release_fault "CHANGES.md says nothing below \"$heading\""
  grep -qE "^\.TH .*\"entitle $1\"" cli/man/entitlectl.1 ||
    release_fault "the man page is of another version: run cli/pages"
  head -n 1 debian/changelog | grep -qxE "entitle \($1\) [a-z]+; urgency=[a-z]+" ||
    release_fault "debian/changelog begins with \"$(head -n 1 debian/changelog)\""
}

# Of the commit alone, so that anybody can make the same: twice, as two people
# would, and compared.
release_tarball() {  # version, commit
  local name=entitle-$1 place=$BUILD/release first second
  mkdir -p "$place"
  first=$place/$name.tar.gz second=$place/.again.tar.gz
  (umask 077 && TZ=UTC release_archive "$name" "$2" >"$first")
  (umask 022 && TZ=Asia/Tokyo LC_ALL=C release_archive "$name" "$2" >"$second")
  cmp "$first" "$second" || die "release: made twice it is not the same"
  rm "$second"
  chmod 644 "$first"
  [ "$(tar -xzOf "$first" "$name/core/base/version.h" | sed -n 's/.*kVersion\[\] = "\(.*\)".*/\1/p')" = "$1" ] ||
    die "release: the tarball is of another version"
  (cd "$place" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256" && cat "$name.tar.gz.sha256")
  echo "build/release/$name.tar.gz"
  if ! git rev-parse --verify --quiet "v$1" >/dev/null; then
    echo "then: git tag -s v$1 -m 'entitle $1' ${2:0:12}"
  fi
}

release_archive() {  # name, commit
  git -c tar.umask=0022 archive --format=tar --prefix="$1/" "$2" | gzip -9n
}
