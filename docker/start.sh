#!/bin/sh
# Becomes the service. Where HaRP carries the traffic (AppAPI sets HP_SHARED_KEY), frpc is started beside it and kept running: it connects
# HaRP to the unix socket on which the service then listens.
set -eu

directory="${TMPDIR:-/tmp}"
# Not echo: Debian's sh would take backslashes in it for its own.
line() { printf '%s\n' "$1"; }
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

if [ -n "${HP_SHARED_KEY:-}" ]; then
  : "${HP_FRP_ADDRESS:?AppAPI sets it together with HP_SHARED_KEY}" "${HP_FRP_PORT:?AppAPI sets it together with HP_SHARED_KEY}"
  config="$directory/frpc.toml"
  (
    umask 077
    {
      line "serverAddr = $(quoted "$HP_FRP_ADDRESS")"
      line "serverPort = $HP_FRP_PORT"
      # HaRP may start after us.
      line 'loginFailExit = false'
      line "metadatas.token = $(quoted "$HP_SHARED_KEY")"
      if [ -d /certs/frp ]; then
        line 'transport.tls.certFile = "/certs/frp/client.crt"'
        line 'transport.tls.keyFile = "/certs/frp/client.key"'
        line 'transport.tls.trustedCaFile = "/certs/frp/ca.crt"'
        line 'transport.tls.serverName = "harp.nc"'
      fi
      line ""
      line '[[proxies]]'
      line "name = $(quoted "${APP_ID:-live_transcription}")"
      line 'type = "tcp"'
      line "remotePort = ${APP_PORT:-23000}"
      line '[proxies.plugin]'
      line 'type = "unix_domain_socket"'
      line "unixPath = $(quoted "${HP_EXAPP_SOCK:-/tmp/exapp.sock}")"
    } > "$config"
  )
  (
    while :; do
      # An environment of its own: frpc has no business with our secrets.
      env -i PATH="$PATH" frpc -c "$config" &
      echo $! > "$directory/frpc.pid"
      wait $! || true
      sleep 2
    done
  ) &
fi

here="$(cd "$(dirname "$0")" && pwd)"
# What is large goes back to the system when it is freed: glibc would keep it, and fill the ring of a speaker with zeros, all of which is in use then.
export MALLOC_MMAP_THRESHOLD_=131072
# Half of the room that Node gives to what is new in the heap: 23 MB less before anybody has come. And a fixed share for what is old: otherwise V8 marks
# all of the heap twice a second while many speak, which at 200 speakers is a tenth of the CPU time.
exec node --max-semi-space-size=8 --heap-growing-percent=20 --import "$here/early-stop.mjs" "$here/../dist/main.js"
