# nginx with the module, a Redis that keeps what it is told, and the example app, of
# Debian's packages alone; compose.yaml puts them together. docs/docker.md says how.
#
# t/docker.t holds this file to the tree, and ./dev image carries it out where no
# Docker is: FROM, RUN, COPY and WORKDIR mean there what they mean here.

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    g++ make cmake pkg-config nginx nginx-dev libhiredis-dev libjansson-dev libssl-dev \
    libpcre2-dev zlib1g-dev binutils libcli11-dev libfmt-dev libcurl4-openssl-dev
WORKDIR /src
COPY . /src
RUN ./dev build --into /out

FROM debian:bookworm-slim AS nginx
RUN apt-get update && apt-get install -y --no-install-recommends \
    nginx libjansson4 libssl3 libcurl4 libfmt9 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ngx_http_entitle_module.so /usr/lib/nginx/modules/ngx_http_entitle_module.so
COPY --from=build /out/entitlectl /usr/bin/entitlectl
COPY LICENSE /usr/share/doc/entitle/LICENSE
COPY --from=build /usr/share/doc/libhiredis-dev/copyright /usr/share/doc/entitle/LICENSE.hiredis
COPY examples/demo/site /srv/site
EXPOSE 8080
# Who is being served is served to the end.
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]

FROM debian:bookworm-slim AS redis
RUN apt-get update && apt-get install -y --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* && install -d -o redis -g redis /data
VOLUME /data
USER redis
# What docs/redis.md says under Durability. It has no password, so nothing but this
# network may reach it: no port of it is published.
CMD ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", "/data", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]

FROM debian:bookworm-slim AS app
RUN apt-get update && apt-get install -y --no-install-recommends perl \
    && rm -rf /var/lib/apt/lists/*
COPY examples/demo /app
USER nobody
CMD ["perl", "/app/app", "0.0.0.0:8081"]
