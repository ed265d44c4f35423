/**
 * The service under test as a black box: `src/main.ts` (or what `--main` names) with its environment, asked over HTTP as AppAPI asks an ExApp, and watched
 * from outside through /proc.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Schema, type Scope } from "effect"
import type { Engine } from "./Engine.ts"
import { APP } from "./NextcloudFake.ts"
import * as Processes from "./Processes.ts"
import { attempt, because, failure, type ProofError, until } from "./ProofError.ts"
import { INTERNAL_SECRET, type Stack } from "./Stack.ts"

const APP_PORT = 23_000

export interface Answer {
  readonly status: number
  readonly body: unknown
  readonly text: string
  readonly millis: number
}

export interface Service {
  readonly process: Processes.Daemon
  /** With AppAPI's proof of identity. */
  readonly ask: (method: string, path: string, body?: object, user?: string) => Effect.Effect<Answer, ProofError>
  /** What Talk sends when a participant, a user or a guest, switches captions on or off; fails unless the answer is 200. */
  readonly transcribe: (
    request: {
      readonly roomToken: string
      readonly ncSessionId: string
      readonly enable: boolean
      readonly langId?: string
    },
    user?: string
  ) => Effect.Effect<Answer, ProofError>
  readonly setLanguage: (roomToken: string, langId: string) => Effect.Effect<Answer, ProofError>
  /** CPU time used so far, ms. */
  readonly cpuMs: () => number
  readonly rssMb: () => number
  /** JavaScript heap in use after a collection. */
  readonly heapMb: Effect.Effect<number, ProofError>
  /** Open UDP sockets (media), sockets, and descriptors of any kind. */
  readonly descriptors: () => { readonly udp: number; readonly sockets: number; readonly all: number }
  /** Rooms and speakers as the service itself tells them. */
  readonly status: Effect.Effect<typeof Status.Type, ProofError>
}

const Status = Schema.Struct({ rooms: Schema.Int, speakers: Schema.Int, viewers: Schema.Int })

/** A process, through /proc. */
export const observe = (pid: number) => ({
  cpuMs: () => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
    // utime and stime, in ticks of 10 ms
    return (Number(fields[11]) + Number(fields[12])) * 10
  },
  rssMb: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024,
  descriptors: () => {
    const targets = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
      } catch {
        // closed between listing and looking
        return []
      }
    })
    const udp = new Set(
      ["udp", "udp6"].flatMap((table) =>
        readFileSync(`/proc/${pid}/net/${table}`, "utf8")
          .split("\n")
          .slice(1)
          .map((line) => `socket:[${line.trim().split(/\s+/)[9]}]`)
      )
    )
    return {
      udp: targets.filter((target) => udp.has(target)).length,
      sockets: targets.filter((target) => target.startsWith("socket:")).length,
      all: targets.length
    }
  }
})

/** With AppAPI's proof of identity, for a user or, without one, a guest. */
export const request = (url: string, method: string, body?: object, user = "") =>
  attempt(`${method} ${url}`, async (): Promise<Answer> => {
    const started = performance.now()
    const response = await fetch(url, {
      method,
      headers: {
        "AA-VERSION": "4.0.0",
        "EX-APP-ID": APP.id,
        "EX-APP-VERSION": APP.version,
        "AUTHORIZATION-APP-API": Buffer.from(`${user}:${APP.secret}`).toString("base64"),
        ...(body === undefined ? {} : { "Content-Type": "application/json" })
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json") === true
    const parsed: unknown = isJson ? JSON.parse(text) : undefined
    return { status: response.status, body: parsed, text, millis: performance.now() - started }
  })

export const expectOk = (answer: Answer) =>
  answer.status === 200
    ? Effect.succeed(answer)
    : Effect.fail(failure(`the service answered ${answer.status}: ${answer.text}`))

/** Up, initialised and enabled as AppAPI does it, for as long as the scope. */
export const make = (
  stack: Stack,
  engine: Engine,
  env: Readonly<Record<string, string>> = {}
): Effect.Effect<Service, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, hpbUrl, namespace, nextcloudUrl, thisSide } = stack.service
    const heapFile = join(stack.folder, "heap")
    const running = yield* Processes.daemon({
      name: "service",
      command: process.execPath,
      args: ["--expose-gc", "--import", fileURLToPath(new URL("heapProbe.ts", import.meta.url)), stack.service.main],
      logFile: join(stack.folder, "service.log"),
      ...(namespace === undefined ? {} : { namespace }),
      env: {
        LT_HPB_URL: hpbUrl,
        LT_INTERNAL_SECRET: INTERNAL_SECRET,
        STT_STREAM_URL: engine.url(thisSide),
        NEXTCLOUD_URL: nextcloudUrl,
        APP_ID: APP.id,
        APP_SECRET: APP.secret,
        APP_VERSION: APP.version,
        APP_HOST: host,
        APP_PORT: String(APP_PORT),
        // a restart joins the calls of its own scene only
        APP_PERSISTENT_STORAGE: mkdtempSync(join(stack.folder, "storage-")),
        LOG_LEVEL: "debug",
        PROOF_HEAP_FILE: heapFile,
        ...env
      }
    })
    const base = `http://${host}:${APP_PORT}`
    const ask = (method: string, path: string, body?: object, user?: string) =>
      request(`${base}${path}`, method, body, user)
    yield* ask("GET", "/heartbeat").pipe(
      Effect.flatMap(expectOk),
      Effect.retry({ times: 200, while: () => Effect.as(Effect.sleep("50 millis"), running.alive()) }),
      Effect.mapError((error) => failure(`${error.message}\n${running.log().slice(-2000)}`))
    )
    yield* Effect.flatMap(ask("POST", "/init"), expectOk)
    yield* Effect.flatMap(ask("PUT", "/enabled?enabled=1"), expectOk)
    return {
      process: running,
      ask,
      transcribe: (body, user) => Effect.flatMap(ask("POST", "/api/v1/call/transcribe", body, user), expectOk),
      setLanguage: (roomToken, langId) =>
        Effect.flatMap(ask("POST", "/api/v1/call/set-language", { roomToken, langId }), expectOk),
      status: Effect.flatMap(ask("GET", "/api/v1/status"), ({ body }) =>
        Effect.mapError(Schema.decodeUnknownEffect(Status)(body), because("status"))
      ),
      heapMb: Effect.gen(function* () {
        rmSync(heapFile, { force: true })
        running.signal("SIGUSR2")
        const bytes = yield* until("the heap", () => existsSync(heapFile) && readFileSync(heapFile, "utf8"))
        return Number(bytes) / 1e6
      }),
      ...observe(running.pid)
    }
  })
