# syntax=docker/dockerfile:1
# glibc: the native Opus decoder and frpc are built for it.
ARG NODE_IMAGE=node:26-bookworm-slim

# frpc carries our unix socket to Nextcloud's HaRP proxy. The version is the one AppAPI documents; the build stops on any other file.
FROM ${NODE_IMAGE} AS frpc
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/*
RUN set -eu; \
    version=0.61.1; \
    arch="$(dpkg --print-architecture)"; \
    case "$arch" in \
      amd64) sum=bff260b68ca7b1461182a46c4f34e9709ba32764eed30a15dd94ac97f50a2c40 ;; \
      arm64) sum=af6366f2b43920ebfe6235dba6060770399ed1fb18601e5818552bd46a7621f8 ;; \
      *) echo "no frpc for $arch" >&2; exit 1 ;; \
    esac; \
    curl -fsSL -o /tmp/frp.tar.gz \
      "https://github.com/fatedier/frp/releases/download/v${version}/frp_${version}_linux_${arch}.tar.gz"; \
    echo "$sum  /tmp/frp.tar.gz" | sha256sum -c -; \
    tar -xzf /tmp/frp.tar.gz -C /tmp; \
    install -m 0755 "/tmp/frp_${version}_linux_${arch}/frpc" /usr/local/bin/frpc

FROM ${NODE_IMAGE} AS build
# For our own addon, and the native Opus decoder where there is no prebuilt one.
RUN apt-get update && apt-get install -y --no-install-recommends g++ make python3 && rm -rf /var/lib/apt/lists/*
# The image has Node's headers, nothing needs to be downloaded for the compiler.
ENV npm_config_nodedir=/usr/local
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
COPY docker/build.sh docker/
COPY src src
COPY native native
RUN sh docker/build.sh

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Parlance" \
      org.opencontainers.image.description="Live captions for Nextcloud Talk" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.source="https://github.com/parlance/live_transcription"
# Models come as .tar.bz2.
RUN apt-get update && apt-get install -y --no-install-recommends bzip2 && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production
WORKDIR /app
COPY --from=frpc /usr/local/bin/frpc /usr/local/bin/frpc
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/native/build native/build
COPY page page
COPY docker/start.sh docker/early-stop.mjs docker/healthcheck.mjs docker/
COPY LICENSE CHANGELOG.md README.md ./
# What outlives a restart, where AppAPI does not name a folder of its own: mount a volume here.
RUN install -d -m 0700 -o node -g node /data
ENV APP_PERSISTENT_STORAGE=/data
# Writes nothing else but /tmp (the socket, frpc's configuration), so the root file system may be read-only.
USER node
# AppAPI waits for "healthy" and gives up on "unhealthy".
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --start-interval=1s --retries=3 \
  CMD ["node", "/app/docker/healthcheck.mjs"]
# The last words are delivered within LT_SHUTDOWN_SECONDS (8); `docker stop` kills after 10. A second signal ends at once.
STOPSIGNAL SIGTERM
CMD ["sh", "/app/docker/start.sh"]
