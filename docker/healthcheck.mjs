/**
 * Asks the service's own /heartbeat, wherever it listens; where HaRP carries the traffic frpc has to be running, too.
 * Exit code 0: healthy.
 */
import { readFileSync } from "node:fs"
import { request } from "node:http"
import { request as secureRequest } from "node:https"

const { APP_HOST, APP_PORT, APP_SECRET, HP_EXAPP_SOCK, HP_SHARED_KEY, LT_LISTEN_HOST, LT_TLS_CERT, PORT, TMPDIR } =
  process.env

/** The same choice as the service's own. */
const address = HP_SHARED_KEY
  ? { socketPath: HP_EXAPP_SOCK || "/tmp/exapp.sock" }
  : APP_SECRET || APP_PORT
    ? { host: reachable(APP_HOST), port: APP_PORT || 23_000 }
    : { host: reachable(LT_LISTEN_HOST), port: PORT || 8080, isSecure: Boolean(LT_TLS_CERT) }

/** What listens everywhere also listens here. */
function reachable(host) {
  return !host || host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host
}

const fail = (reason) => {
  process.stderr.write(`unhealthy: ${reason}\n`)
  process.exit(1)
}

if (HP_SHARED_KEY) {
  try {
    process.kill(Number(readFileSync(`${TMPDIR || "/tmp"}/frpc.pid`, "utf8")), 0)
  } catch {
    fail("frpc is not running")
  }
}

const { isSecure, ...place } = address
const ask = isSecure ? secureRequest : request
// The certificate is for the name by which others know us; here the question is only whether somebody answers.
ask({ ...place, path: "/heartbeat", timeout: 3000, rejectUnauthorized: false }, (response) => {
  let body = ""
  response.setEncoding("utf8").on("data", (chunk) => {
    body += chunk
  })
  response.on("end", () => {
    if (response.statusCode === 200 && /"status"\s*:\s*"ok"/.test(body)) process.exit(0)
    fail(`/heartbeat answered ${response.statusCode}`)
  })
})
  .on("timeout", () => fail("no answer in 3 seconds"))
  .on("error", (error) => fail(error.message))
  .end()
