# shellcheck shell=bash
# ./dev fresh: a minimal Debian made anew, in which a clone does what README.md
# says. `dev` reads this file; say, die, need and as_root are there.
#
# Nothing of the machine outside is in the root but what apt needs to reach its
# sources, and nothing is mounted but a /proc, /dev and /sys of its own. Each
# step has its own mounts and processes (namespaces), so when it ends, or this
# script does, whatever it left running is gone and nothing stays mounted; and it
# has the root as its own /, so that nothing outside can be named (where this is run
# in a plain chroot, it has another in that).

fresh() {
  local commit=HEAD only=() then_do=() visitor=yes
  while [ $# -gt 0 ]; do
    case $1 in
      --then) [ $# -gt 1 ] || die "--then needs a command"
              then_do+=("$2"); shift ;;
      --only) [ $# -gt 1 ] || die "--only needs a command"
              only+=("$2"); shift ;;
      -*) die "fresh: unknown option \"$1\"; see ./dev help" ;;
      *) commit=$1 ;;
    esac
    shift
  done
  fresh_begin "$commit"
  commit=$FRESH_COMMIT

  fresh_root "$FRESH/root" git
  fresh_clone "$FRESH/root" "$commit"
  local tree=/root/entitle command
  fresh_step "$FRESH/root" clone "git clone -q /srv/entitle.git $tree"
  if [ ${#only[@]} -eq 0 ]; then
    only=('./dev demo' './dev test')
  else
    visitor=''
  fi
  for command in "${only[@]}" ${then_do[@]+"${then_do[@]}"}; do
    fresh_step "$FRESH/root" "${command#./}" "cd $tree && $command"
  done
  fresh_installed "$FRESH/root"

  # The same first minutes for somebody who is not root.
  if [ -n "$visitor" ]; then
    as_root rm -rf --one-file-system "$FRESH/root"
    fresh_root "$FRESH/visitor" git,sudo
    fresh_clone "$FRESH/visitor" "$commit"
    fresh_in "$FRESH/visitor" "useradd -m -s /bin/bash visitor &&
      echo 'visitor ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/visitor"
    fresh_step "$FRESH/visitor" 'dev demo as an ordinary user' \
      "su - visitor -c 'git clone -q /srv/entitle.git entitle && cd entitle &&
        CI=${CI:-} ./dev demo'"
    fresh_step "$FRESH/visitor" 'install as README.md says' \
      "su - visitor -c 'cd entitle && $FRESH_INSTALL'"
    fresh_installed "$FRESH/visitor"
  fi
  fresh_closing
}

# Where roots are made, and that they go again.
fresh_begin() {  # commit: FRESH_COMMIT
  FRESH_COMMIT=$(git rev-parse --verify --quiet "$1^{commit}") ||
    die "fresh: no such commit"
  if [ -n "$(git status --porcelain)" ]; then
    say "what is not committed is not in the clone"
  fi
  FRESH=$(mktemp -d /var/tmp/entitle-fresh-XXXXXXXX)
  FRESH_LOG=$BUILD/fresh
  FRESH_FAILED=()
  trap fresh_end EXIT
  trap 'exit 130' INT TERM HUP
  rm -rf "$FRESH_LOG"
  mkdir -p "$FRESH_LOG"
  fresh_sources
}

# The commands below "For the nginx that Debian installs", then that nginx.
# shellcheck disable=SC2016
FRESH_INSTALL='sed -n "/^For the nginx that Debian/,/^For any other/s/^    //p" README.md >../install
  grep -q "sudo install" ../install && bash -ex ../install &&
  (grep "^load_module" README.md && echo "events {}" && echo "http {}") >../nginx.conf &&
  sudo nginx -t -c ~/nginx.conf'

fresh_end() {
  local status=$?
  trap - EXIT INT TERM HUP
  # What still runs in a root is the child of that unshare, and ends with it.
  if [ -n "${FRESH_RUNS:-}" ]; then
    as_root kill -KILL -- "-$FRESH_RUNS" 2>/dev/null || true
    wait "$FRESH_RUNS" 2>/dev/null || true
  fi
  local root
  for root in "$FRESH"/*/; do fresh_unmount "${root%/}"; done
  as_root rm -rf --one-file-system "$FRESH"
  exit $status
}

# In CI that no root can be made is a failure; elsewhere it says no more about
# the commit than that nothing was tried.
fresh_impossible() {
  printf './dev fresh: no root can be made here: %s\n' "$*" >&2
  echo "It takes Debian, root (or sudo) and the right to mount; in a container" \
    "that is --privileged." >&2
  if [ "${CI:-}" = true ]; then
    echo "0 passed, 1 failed"
    exit 1
  fi
  exit 77
}

# What apt knows on this machine: the files that name Debian's own suites, and
# how to reach them.
fresh_sources() {
  command -v dpkg-query >/dev/null || fresh_impossible "this is not Debian"
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
    fresh_impossible "neither root nor sudo"
  # shellcheck disable=SC1091
  FRESH_SUITE=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  mapfile -t FRESH_SOURCES < <(
    grep -lsE "^[^#]*[[:space:]]$FRESH_SUITE([-/[:space:]]|\$)" \
      /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources})
  [ ${#FRESH_SOURCES[@]} -gt 0 ] ||
    fresh_impossible "no source of apt's names \"$FRESH_SUITE\""
  need mmdebstrap mount
  FRESH_UNSHARE=(unshare --mount --pid --ipc --uts --fork --kill-child)
  # In a plain chroot nobody can say where mounts may show, nor pivot.
  if ! mountpoint -q /; then FRESH_UNSHARE+=(--propagation unchanged); fi
  # shellcheck disable=SC2016
  as_root "${FRESH_UNSHARE[@]}" sh -c \
    'mount -t tmpfs tmpfs "$0" && mknod "$0/null" c 1 3 && : >"$0/null"' "$FRESH" \
    2>"$FRESH_LOG/rights" ||
    fresh_impossible "$(cat "$FRESH_LOG/rights")"

  apt-config dump | grep -E '^Acquire::' |
    grep -vE '^Acquire::(IndexTargets|Languages|Changelogs)' >"$FRESH/apt.conf"
  local scheme proxy
  for scheme in http https; do
    proxy=${scheme}_proxy
    if [ -n "${!proxy:-}" ]; then
      printf 'Acquire::%s::Proxy "%s";\n' "$scheme" "${!proxy}" >>"$FRESH/apt.conf"
    fi
  done
}

fresh_root() {  # directory, packages
  local root=$1 packages=$2
  if grep -qhs https: "${FRESH_SOURCES[@]}"; then packages+=,ca-certificates; fi
  say "a minimal Debian ($FRESH_SUITE) with nothing but: $packages"
  local started=$SECONDS
  as_root mmdebstrap --quiet --mode=root --variant=minbase \
    --include="$packages" --aptopt="$FRESH/apt.conf" \
    "$FRESH_SUITE" "$root" "${FRESH_SOURCES[@]}" >"$FRESH_LOG/mmdebstrap" 2>&1 ||
    { cat "$FRESH_LOG/mmdebstrap" >&2
      fresh_impossible "mmdebstrap failed"; }
  fresh_keys "$root"
  local file
  for file in resolv.conf hosts; do
    if [ -e /etc/$file ]; then as_root cp -L /etc/$file "$root/etc/"; fi
  done
  printf '127.0.0.1 localhost\n::1 localhost\n127.0.1.1 fresh\n' |
    as_root tee -a "$root/etc/hosts" >/dev/null
  fresh_packages "$root" >"$FRESH/minimal"
  say "made in $((SECONDS - started)) s, $(wc -l <"$FRESH/minimal") packages"
}

# Keys that sources name by path, and what authenticates us to them.
fresh_keys() {  # directory
  local root=$1 path
  for path in /etc/apt/trusted.gpg /etc/apt/trusted.gpg.d /etc/apt/keyrings \
    /etc/apt/auth.conf /etc/apt/auth.conf.d /usr/local/share/ca-certificates \
    $(grep -hsoiE '\bsigned-by *[:=] *[^] ]+' "${FRESH_SOURCES[@]}" |
      grep -oE '/[^,]+'); do
    if [ -e "$path" ]; then
      as_root mkdir -p "$root${path%/*}"
      as_root cp -aLT "$path" "$root$path"
    fi
  done
  if [ -x "$root/usr/sbin/update-ca-certificates" ]; then
    as_root chroot "$root" update-ca-certificates >/dev/null 2>&1
  fi
}

# What `git clone` will read inside, whoever owns the checkout outside.
fresh_clone() {  # directory, commit
  mkdir -p "$FRESH/home"
  HOME=$FRESH/home git config --global safe.directory '*'
  rm -rf "$FRESH/entitle.git"
  HOME=$FRESH/home git clone -q --bare --no-hardlinks "$PWD" "$FRESH/entitle.git"
  git -C "$FRESH/entitle.git" update-ref refs/heads/fresh "$2"
  git -C "$FRESH/entitle.git" symbolic-ref HEAD refs/heads/fresh
  as_root cp -rT --no-preserve=ownership "$FRESH/entitle.git" "$1/srv/entitle.git"
  # Whoever clones it there is not its owner.
  printf '[safe]\n\tdirectory = *\n' | as_root tee "$1/etc/gitconfig" >/dev/null
}

fresh_packages() {  # directory
  # shellcheck disable=SC2016
  as_root chroot "$1" dpkg-query -W -f '${Package}\n' | LC_ALL=C sort
}

# Runs a command in the root as root, in a world of its own: a fresh /dev, and
# processes that end with it.
fresh_in() {  # directory, command
  # shellcheck disable=SC2016
  local enter='
    set -e
    root=$1 dev=$1/dev
    hostname fresh
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs -o mode=755,nosuid tmpfs "$dev"
    for node in null:3 zero:5 full:7 random:8 urandom:9; do
      mknod -m 666 "$dev/${node%:*}" c 1 "${node#*:}"
    done
    mknod -m 666 "$dev/tty" c 5 0
    mkdir "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$dev/pts"
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$dev/shm"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    for n in 0:stdin 1:stdout 2:stderr; do
      ln -s "/proc/self/fd/${n%:*}" "$dev/${n#*:}"
    done
    cd "$root"
    if mountpoint -q /; then pivot_root . mnt; fi
    exec chroot . /usr/bin/env -i HOME=/root USER=root LANG=C.UTF-8 CI="$3" \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
      /bin/bash -c "! mountpoint -q /mnt || umount -l /mnt; cd / && eval \"\$1\"" bash "$2"'
  # In the background, so that the traps are heard while it runs; in a process
  # group of its own, to be ended as one.
  set -m
  as_root "${FRESH_UNSHARE[@]}" -- bash -c "$enter" fresh "$1" "$2" "${CI:-}" \
    </dev/null 2>&1 &
  FRESH_RUNS=$!
  set +m
  local status=0
  wait $FRESH_RUNS || status=$?
  FRESH_RUNS=
  fresh_unmount "$1"
  return $status
}

# What showed outside after all, because the outside shares its mounts.
fresh_unmount() {  # directory
  while mountpoint -q "$1" || mountpoint -q "$1/dev"; do
    as_root umount -R -l "$1" 2>/dev/null || as_root umount -R -l "$1/dev" || return
  done
}

fresh_step() {  # directory, name, command
  local root=$1 name=$2 log out tee started=$SECONDS status=0
  log=$FRESH_LOG/${name//[^A-Za-z0-9]/_}.log
  say "in the fresh root: $name"
  exec {out}> >(exec tee "$log")
  tee=$!
  fresh_in "$root" "$3" >&$out || status=$?
  exec {out}>&-
  wait $tee
  say "$name: $([ $status -eq 0 ] && echo passed || echo "FAILED ($status)")," \
    "$((SECONDS - started)) s"
  [ $status -eq 0 ] && return
  FRESH_FAILED+=("$name")
  {
    echo "What was missing there, by what it said:"
    grep -nE 'command not found|No such file|not found|cannot open shared|No module|Can.t locate' \
      "$log" | tail -n 20 || echo "  (nothing it said tells)"
  } >&2
}

fresh_installed() {  # directory
  say "installed in it by ./dev, beyond the minimal:"
  fresh_packages "$1" | LC_ALL=C comm -13 "$FRESH/minimal" - | fmt -w 78 >&2
}

# What a failed step said of it: the tests with what they got, the summary, and
# what compilers and lint call an error.
fresh_why() {  # log
  grep -nE '^#( +(Failed|at|got|expected|.*doesn.t match)|   )|^not ok|FAILED|Dubious|Parse errors|\berror:|^lint: failed' \
    "$1" | tail -n 60 || true
  sed -n '/^Test Summary Report/,/^Files=/p' "$1"
}

# The counts of what ran inside; a step that failed counts, too.
fresh_closing() {
  local passed=0 failed=0 p f step file
  for file in "$FRESH_LOG"/*.log; do
    read -r p f < <(grep -hoE '^[0-9]+ passed, [0-9]+ failed$' "$file" |
      tail -n 1 | tr -dc '0-9 \n') || continue
    passed=$((passed + p)) failed=$((failed + f))
  done
  for step in ${FRESH_FAILED[@]+"${FRESH_FAILED[@]}"}; do
    echo "failed: $step (build/fresh/${step//[^A-Za-z0-9]/_}.log)"
    fresh_why "$FRESH_LOG/${step//[^A-Za-z0-9]/_}.log"
    grep -qE '^[0-9]+ passed, [1-9][0-9]* failed$' \
      "$FRESH_LOG/${step//[^A-Za-z0-9]/_}.log" || failed=$((failed + 1))
  done
  echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
