/**
 * The real stack of one scenario: fake Nextcloud, Janus, the HPB, a door in front of it, and coturn where the scenario wants it.
 */
import { createHmac } from "node:crypto"
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { machineMs } from "./HpbClient.ts"
import * as Ledger from "./Ledger.ts"
import { FAR_IP, LINK_IP, MEDIA_IP } from "./Namespace.ts"
import * as NextcloudFake from "./NextcloudFake.ts"
import * as Processes from "./Processes.ts"
import { attempt, failure, type ProofError } from "./ProofError.ts"
import type { Hpb } from "./Provision.ts"
import * as TcpProxy from "./TcpProxy.ts"
import * as WireTap from "./WireTap.ts"

export const INTERNAL_SECRET = "proof-internal-secret-0123456789abcdef"
const TURN_SECRET = "proof-turn-secret"
const DOOR_PORT = 8090
const NEXTCLOUD_PORT = 8081

/** What one run of the proof has at hand, made by the outer process. */
export interface Bench {
  /** Logs, screenshots and reports of this run. */
  readonly artefacts: string
  readonly hpbs: ReadonlyArray<Hpb>
  /** The namespace from which Janus can only be reached through coturn. */
  readonly far: string
  /** The program under test. */
  readonly main: string
}

export interface StackOptions {
  readonly bench: Bench
  readonly name: string
  readonly hpb: Hpb
  /** The HPB knows Nextcloud by https, while the service is told http; "guessed": and AppAPI does not say so. */
  readonly https?: "told" | "guessed"
  /** The service runs in the far namespace with coturn between it and Janus; credentials live so many seconds. */
  readonly turnSeconds?: number
  /** By which coturn can be reached, as Nextcloud says; by default UDP. It listens on port 3478 for UDP and TCP. */
  readonly turnUrls?: (host: string) => ReadonlyArray<string>
}

export interface Stack {
  readonly folder: string
  readonly nextcloud: NextcloudFake.NextcloudFake
  readonly ledger: Ledger.Ledger
  readonly hpb: Processes.Restartable
  readonly janus: Processes.Restartable
  readonly door: TcpProxy.TcpProxy
  /** When the service asked for somebody's media (`machineMs`). */
  readonly offerRequests: ReadonlyArray<number>
  /** Everything the service says to the HPB, as it passes the door. */
  readonly onSaid: (handler: (text: string) => void) => void
  readonly turn: Processes.Daemon | undefined
  /** As the service is told to reach things from where it runs. */
  readonly service: {
    readonly main: string
    readonly namespace?: string
    readonly host: string
    readonly hpbUrl: string
    readonly nextcloudUrl: string
    /** Of this side, for the engine. */
    readonly thisSide: string
  }
}

const fill = (template: string, target: string, values: Readonly<Record<string, string>>) => {
  const source = readFileSync(new URL(`conf/${template}`, import.meta.url), "utf8")
  writeFileSync(
    target,
    source.replaceAll(/@(\w+)@/g, (whole, name: string) => values[name] ?? whole)
  )
}

const startJanus = (folder: string) =>
  Effect.gen(function* () {
    const conf = join(folder, "janus")
    cpSync(fileURLToPath(new URL("conf/janus", import.meta.url)), conf, { recursive: true })
    const lib = (yield* Processes.run("dpkg", ["-L", "janus"]))
      .split("\n")
      .find((line) => line.endsWith("/janus/plugins"))
    fill("janus/janus.jcfg", join(conf, "janus.jcfg"), {
      MEDIA_IP,
      CONF: conf,
      LIB: (lib ?? "/usr/lib/x86_64-linux-gnu/janus/plugins").replace(/\/plugins$/, "")
    })
    let starts = 0
    return yield* Processes.restartable(
      {
        name: "Janus",
        command: "/usr/bin/janus",
        args: ["-F", conf, "-C", join(conf, "janus.jcfg")],
        logFile: join(folder, "janus.log")
      },
      (one) => {
        starts += 1
        const ready = new RegExp(`(WebSockets transport plugin initialized[^]*){${starts}}`)
        return Processes.says(one, ready)
      }
    )
  })

const answers = (url: string) =>
  Effect.tryPromise(() => fetch(url).then((response) => response.ok)).pipe(Effect.orElseSucceed(() => false))

const startHpb = (folder: string, hpb: Hpb, backend: string) => {
  const conf = join(folder, "hpb.conf")
  fill("hpb.conf", conf, { BACKEND: backend, INTERNAL_SECRET, BACKEND_SECRET: NextcloudFake.BACKEND_SECRET })
  return Processes.restartable(
    { name: "HPB", command: hpb.path, args: ["-config", conf], logFile: join(folder, "hpb.log") },
    (one) => {
      const welcome = answers("http://127.0.0.1:8080/api/v1/welcome")
      return Effect.repeat(Effect.delay(welcome, "50 millis"), { until: (ok) => ok || !one.alive() }).pipe(
        Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => Effect.succeed(false) }),
        Effect.filterOrFail(
          (ok) => ok,
          () => failure(`the HPB does not answer:\n${one.log().slice(-1500)}`)
        ),
        Effect.asVoid
      )
    }
  )
}

const certificate = (folder: string) =>
  Effect.gen(function* () {
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    yield* Processes.run("openssl", [
      ...["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert],
      ...subject
    ])
    return { port: 443, key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") }
  })

/** `<expiry>:<name>` and its HMAC, as Talk hands them out. */
const turnServer = (seconds: number, urls: ReadonlyArray<string>) => {
  const username = `${Math.floor(Date.now() / 1000) + seconds}:proof`
  const credential = createHmac("sha1", TURN_SECRET).update(username).digest("base64")
  return { urls, username, credential }
}

const startTurn = (folder: string) =>
  Effect.gen(function* () {
    const conf = join(folder, "turnserver.conf")
    fill("turnserver.conf", conf, { MEDIA_IP, LINK_IP, TURN_SECRET, RUN: folder })
    const one = yield* Processes.daemon({
      name: "coturn",
      command: "/usr/bin/turnserver",
      args: ["-c", conf],
      logFile: join(folder, "coturn.log")
    })
    yield* Processes.says(one, /listener opened on : |IPv4\. UDP listener/i)
    return one
  })

const nextcloudOptions = (options: StackOptions, folder: string) =>
  Effect.gen(function* () {
    const { https, turnSeconds, turnUrls = (host) => [`turn:${host}:3478?transport=udp`] } = options
    if (https !== undefined) {
      const tls = yield* certificate(folder)
      return { backend: "https://127.0.0.1/", absolute: https === "told", httpPort: 80, tls }
    }
    const host = turnSeconds === undefined ? "127.0.0.1" : LINK_IP
    return {
      backend: `http://${host}:${NEXTCLOUD_PORT}/`,
      httpPort: NEXTCLOUD_PORT,
      ...(turnSeconds === undefined ? {} : { turnServers: () => [turnServer(turnSeconds, turnUrls(LINK_IP))] })
    }
  })

/** Everything up and answering, for as long as the scope. */
export const make = (options: StackOptions): Effect.Effect<Stack, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = join(options.bench.artefacts, options.name)
    yield* attempt("artefacts", async () => mkdirSync(folder, { recursive: true }))
    const nextcloud = yield* NextcloudFake.make(yield* nextcloudOptions(options, folder))
    const janus = yield* startJanus(folder)
    const hpb = yield* startHpb(folder, options.hpb, nextcloud.backend)
    const requests: Array<number> = []
    const listeners: Array<(text: string) => void> = [
      (text) => {
        if (text.includes('"requestoffer"')) requests.push(machineMs())
      }
    ]
    const door = yield* TcpProxy.make(DOOR_PORT, 8080, (sent) => {
      for (const text of WireTap.textsOf(sent)) for (const listener of listeners) listener(text)
    })
    const isFar = options.turnSeconds !== undefined
    const turn = isFar ? yield* startTurn(folder) : undefined
    const thisSide = isFar ? LINK_IP : "127.0.0.1"
    return {
      folder,
      nextcloud,
      ledger: Ledger.make(),
      hpb,
      janus,
      door,
      offerRequests: requests,
      onSaid: (handler) => listeners.push(handler),
      turn,
      service: {
        main: options.bench.main,
        ...(isFar ? { namespace: options.bench.far } : {}),
        host: isFar ? FAR_IP : "127.0.0.1",
        hpbUrl: `http://${thisSide}:${DOOR_PORT}`,
        nextcloudUrl: options.https === undefined ? nextcloud.backend : "http://127.0.0.1",
        thisSide
      }
    }
  })
