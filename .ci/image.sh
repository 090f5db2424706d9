# shellcheck shell=bash
# ./dev image: the Dockerfile carried out without Docker, each stage in a minimal
# Debian made anew. `dev` reads this file; say, die, need and as_root are there.
#
# The Dockerfile is read by what t/docker.t reads it with, so both see the same.

image() {
  local commit=HEAD
  case ${1:-} in
    -*) die "image: unknown option \"$1\"; see ./dev help" ;;
    ?*) commit=$1 ;;
  esac
  # shellcheck source=.ci/fresh.sh
  . .ci/fresh.sh
  need perl
  fresh_begin "$commit"
  IMAGE_CONTEXT=$FRESH/context
  mkdir "$IMAGE_CONTEXT"
  git archive "$FRESH_COMMIT" | tar -x -C "$IMAGE_CONTEXT"
  image_steps >"$FRESH/steps"

  local stage word text
  while IFS=$'\t' read -r -u 7 stage word text; do
    image_step "$stage" "$word" "$text"
    [ ${#FRESH_FAILED[@]} -eq 0 ] || break
  done 7<"$FRESH/steps"
  if [ ${#FRESH_FAILED[@]} -eq 0 ]; then image_check; fi
  fresh_closing
}

image_steps() {  # a line a step: stage, instruction, text
  # shellcheck disable=SC2016
  perl -I"$IMAGE_CONTEXT/t/lib" -MTest::Entitle::Dockerfile -0777 -e '
    for my $stage (Test::Entitle::Dockerfile::stages(scalar <STDIN>)) {
      print "$stage->{name}\tFROM\t$stage->{from}\n";
      print "$stage->{name}\t$_->[0]\t$_->[1]\n" for @{ $stage->{steps} };
    }' <"$IMAGE_CONTEXT/Dockerfile"
}

image_step() {  # stage, instruction, text
  local root=$FRESH/$1 from
  case $2 in
    FROM)
      [ "$3" = "debian:$FRESH_SUITE-slim" ] || die "image: $3 cannot be had here"
      IMAGE_FOLDER=/
      fresh_root "$root" apt ;;
    WORKDIR)
      IMAGE_FOLDER=$3
      as_root mkdir -p "$root$3" ;;
    COPY)
      local words
      read -ra words <<<"$3"
      from=$IMAGE_CONTEXT
      if [[ ${words[0]} == --from=* ]]; then
        from=$FRESH/${words[0]#--from=}
        words=("${words[@]:1}")
      fi
      say "$1: COPY $3"
      as_root mkdir -p "$(dirname "$root${words[1]}")"
      as_root cp -rT --no-preserve=ownership "$from/${words[0]}" "$root${words[1]}" ||
        FRESH_FAILED+=("COPY $3") ;;
    RUN)
      fresh_step "$root" "$1: ${3:0:40}" "cd $IMAGE_FOLDER && $3" ;;
    # How it is started is t/docker.t's.
    CMD | EXPOSE | STOPSIGNAL | USER | VOLUME) ;;
    *) die "image: what is $2?" ;;
  esac
}

# What each stage starts with is there, and finds its libraries; nginx takes the
# configuration of compose.yaml.
image_check() {
  local root=$FRESH/nginx
  as_root cp "$IMAGE_CONTEXT/ops/docker/nginx.conf" "$root/etc/nginx/nginx.conf"
  as_root mkdir -p "$root/run/secrets"
  printf '0123456789abcdef%.0s' 1 2 3 4 | as_root tee "$root/run/secrets/entitle_key" >/dev/null
  echo whsec_entitle_test_secret | as_root tee "$root/run/secrets/stripe_webhook_secret" >/dev/null
  echo '127.0.0.1 app redis' | as_root tee -a "$root/etc/hosts" >/dev/null
  fresh_step "$root" 'nginx takes the configuration' \
    'nginx -t && entitlectl --version && ! ldd /usr/bin/entitlectl /usr/lib/nginx/modules/*entitle*.so | grep "not found"'
  # shellcheck disable=SC2016
  fresh_step "$FRESH/redis" 'Redis is there' \
    'redis-server --version && test "$(stat -c %U /data)" = redis'
  fresh_step "$FRESH/app" 'the app is there' 'perl -c /app/app'
}
