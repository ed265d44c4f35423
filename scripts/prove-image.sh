#!/bin/sh
# Proves the steps of the Dockerfile where there is no Docker engine: builds in one clean directory with the script the Dockerfile runs,
# puts together another one as its last stage does, runs what the image would run as the image would, and asks its health check.
# Not proven here: the base image, the download of frpc.
set -eu
cd "$(dirname "$0")/.."
source="$PWD"
# The image has Node 26; here it comes with the development dependencies.
PATH="$source/node_modules/node/bin:$PATH"
work="$(mktemp -d)"
service=""
trap 'rm -rf "$work"; [ -z "$service" ] || kill -KILL "$service" 2> /dev/null || true' EXIT
port="${PROVE_PORT:-18080}"

echo "building in $work/build with $(node --version)"
mkdir -p "$work/build/docker" "$work/app/docker"
cp package.json package-lock.json tsconfig.json tsconfig.build.json "$work/build"
cp docker/build.sh "$work/build/docker"
cp -R src "$work/build"
mkdir "$work/build/native"
cp native/*.c native/*.h native/*.mjs "$work/build/native"
(cd "$work/build" && sh docker/build.sh)

mv "$work/build/package.json" "$work/build/node_modules" "$work/build/dist" "$work/app"
cp docker/start.sh docker/early-stop.mjs docker/healthcheck.mjs "$work/app/docker"
mkdir "$work/app/native"
mv "$work/build/native/build" "$work/app/native"
cp -R page "$work/app"
cp LICENSE CHANGELOG.md README.md "$work/app"
for development in typescript vitest @biomejs/biome node; do
  if [ -e "$work/app/node_modules/$development" ]; then echo "$development is in the image" >&2; exit 1; fi
done
echo "the app has $(du -sh "$work/app" | cut -f1), of which node_modules $(du -sh "$work/app/node_modules" | cut -f1)"

# As the container does: nothing of this shell's environment.
set -- env -i PATH="$PATH" NODE_ENV=production TMPDIR="$work" PORT="$port"
cd "$work/app"
"$@" sh docker/start.sh > "$work/log" 2>&1 &
service=$!
tries=0
until "$@" node docker/healthcheck.mjs 2> "$work/unhealthy"; do
  tries=$((tries + 1))
  if [ "$tries" -gt 60 ] || ! kill -0 "$service"; then cat "$work/log" "$work/unhealthy" >&2; exit 1; fi
  sleep 0.5
done
echo "healthy; the log says:"
cat "$work/log"
"$@" node -e "
  const page = await (await fetch('http://127.0.0.1:$port/', { headers: { accept: 'text/html' } })).text()
  if (!page.includes('<title>')) throw new Error('the page is not served')
  console.log('the page is served')
"
# The script that AppAPI's admins find: it must not look for sources.
(cd "$work/app" && "$@" npm run --silent model 2>&1 | grep -q '^usage:') || { echo "npm run model does not start" >&2; exit 1; }
grep -q 'Opus is decoded by' "$work/log" || echo "the log does not say which library decodes"
"$@" node -e 'import("@discordjs/opus").then(() => console.log("native Opus decoder: yes"), () => console.log("native Opus decoder: no, wasm"))'
kill -TERM "$service"
wait "$service" || { echo "exit code $?" >&2; exit 1; }
service=""
echo "ended by SIGTERM with exit code 0"
