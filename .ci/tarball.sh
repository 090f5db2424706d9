# shellcheck shell=bash
# ./dev package --nginx: the module for nginx releases that no package of Debian's
# fits, each a tarball to be unpacked beside that nginx. `dev` reads this file;
# say, die, need and build are there.

package_nginx() {  # source trees..., --check, -- and configure's options
  local dirs=() check=() options=() dir
  while [ $# -gt 0 ]; do
    case $1 in
      --check) check=(--check) ;;
      --) shift; options=("$@"); break ;;
      -*) die "package --nginx: unknown option \"$1\"; see ./dev help" ;;
      *) dirs+=("$1") ;;
    esac
    shift
  done
  [ ${#dirs[@]} -gt 0 ] || die "package --nginx needs a directory"
  # What nginx.org's own packages match: README.md says how to see another's.
  if [ ${#options[@]} -eq 0 ]; then
    options=(--with-compat --with-http_ssl_module)
  fi
  for dir in "${dirs[@]}"; do
    # Debian's sources bring their options themselves.
    if [ -f "$dir/conf_flags" ]; then
      tarball_of "$dir" ${check[@]+"${check[@]}"}
    else
      tarball_of "$dir" ${check[@]+"${check[@]}"} -- "${options[@]}"
    fi
  done
}

tarball_of() {  # source tree, build's options...
  local source=$1 name folder date module=ngx_http_entitle_module.so
  shift
  mkdir -p "$BUILD/package"
  folder=$(mktemp -d "$BUILD/package/.new-XXXXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$folder'" EXIT
  build --nginx "$source" --into "$folder" "$@" >/dev/null
  name=entitle-$(tarball_version)-$(tarball_nginx "$source")-linux-$(uname -m)
  mkdir "$folder/$name"
  mv "$folder/$module" "$folder/$name/"
  cp LICENSE "$folder/$name/"
  cp "$(dpkg-query -L libhiredis-dev | grep '/copyright$')" "$folder/$name/LICENSE.hiredis"
  tarball_says "$name" "$folder/$name/$module" >"$folder/$name/README"
  chmod -R u=rwX,go=rX "$folder/$name"
  (cd "$folder/$name" && sha256sum ./* | sed 's, \./, ,' >"$folder/sums" &&
    mv "$folder/sums" SHA256SUMS && chmod 644 SHA256SUMS)
  # Of the tree's date: the same module twice is the same tarball.
  date=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGES.md)
  tar -C "$folder" --sort=name --mtime="@$date" --owner=0 --group=0 --numeric-owner \
    -cf - "$name" | gzip -9n >"$folder/$name.tar.gz"
  (cd "$folder" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
  mv "$folder/$name.tar.gz" "$folder/$name.tar.gz.sha256" "$BUILD/package/"
  # For debuggers, where somebody keeps it.
  gzip -1n <"$folder/$module.debug" >"$BUILD/package/$name.debug.gz"
  rm -rf "$folder"
  trap - EXIT
  echo "build/package/$name.tar.gz"
}

# Of what is no release: which commit.
tarball_version() {
  local version
  version=$(./dev version)
  version=${version#entitle }
  if git rev-parse --verify --quiet HEAD >/dev/null 2>&1 &&
    ! git tag --points-at HEAD | grep -qxF "v$version"; then
    version+="~$(git rev-list --count HEAD).$(git rev-parse --short=7 HEAD)"
  fi
  echo "$version"
}

tarball_nginx() {  # source tree: which nginx that is
  local angie
  angie=$(sed -n 's/^#define ANGIE_VERSION *"\(.*\)"/\1/p' "$1"/src/core/*.h)
  if [ -n "$angie" ]; then echo "angie-$angie"; return; fi
  echo "nginx-$(sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$1/src/core/nginx.h")"
}

# What nginx compares before it loads a module, beside its version.
tarball_signature() { grep -aoE -m 1 '[0-9]+,[0-9]+,[0-9]+,[01]{20,}' "$1" | head -n 1; }

tarball_says() {  # name, module
  cat <<END
${1%-linux-*}, for linux $(uname -m)

Needs the shared libraries
$(readelf -d "$2" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/    \1/p')
and glibc $(readelf -V "$2" | grep -oE 'GLIBC_[0-9.]+' | sort -uV | tail -n 1 |
  cut -d_ -f2) or later.

nginx loads a module of its own version and of this signature alone:
    $(tarball_signature "$2")
What yours is:
    nginx -v; grep -aoE '[0-9]+,[0-9]+,[0-9]+,[01]{20,}' "\$(command -v nginx)"

To install it:
    sha256sum -c SHA256SUMS
    install -m 644 ngx_http_entitle_module.so MODULES
where MODULES is what "nginx -V" says of --modules-path, else "modules" below
its --prefix. The first line of nginx.conf, then:
    load_module MODULES/ngx_http_entitle_module.so;
and "nginx -t" says whether it is well.

LICENSE is entitle's, LICENSE.hiredis that of the library that is linked into it.
END
}
