/**
 * The real service as a process of its own, configured by environment and driven over HTTP, as in production.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"
import { Effect, Schedule, Schema, type Scope } from "effect"

/** The service did not start, or did not do what it was asked. */
export class ServiceError extends Schema.TaggedError<ServiceError>()("ServiceError", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

export interface ServiceProcess {
  /** Captions for everybody in the room. */
  readonly start: (room: string) => Effect.Effect<void, ServiceError>
  readonly stop: (room: string) => Effect.Effect<void, ServiceError>
  /** Voices it hears in the room. */
  readonly speakers: (room: string) => Effect.Effect<number, ServiceError>
  /** Its last lines of log. */
  readonly log: () => ReadonlyArray<string>
}

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

const Status = Schema.Struct({
  calls: Schema.Array(Schema.Struct({ roomToken: Schema.String, speakers: Schema.Int }))
})
const decodeStatus = Schema.decodeUnknownEffect(Status)

/** Runs until its scope closes: then it gets SIGTERM and a few seconds. */
export const make = (
  environment: Readonly<Record<string, string>>
): Effect.Effect<ServiceProcess, ServiceError, Scope.Scope> =>
  Effect.gen(function* () {
    const port = yield* freePort
    const log: Array<string> = []
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [main], {
          // Nothing of this shell's configuration: the demo must not reach anybody's real server.
          env: { PATH: process.env["PATH"], ...environment, PORT: String(port), LT_LISTEN_HOST: "127.0.0.1" },
          stdio: ["ignore", "pipe", "pipe"]
        })
      ),
      end
    )
    const keep = (chunk: Buffer) => {
      log.push(...String(chunk).split("\n").filter(Boolean))
      log.splice(0, log.length - 50)
    }
    child.stdout.on("data", keep)
    child.stderr.on("data", keep)

    const ask = (method: string, path: string, body?: object) =>
      Effect.tryPromise({
        try: async (signal) => {
          const init = body === undefined ? {} : { body: JSON.stringify(body) }
          const headers = { "content-type": "application/json" }
          const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, signal, ...init })
          if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
          return answer.json()
        },
        catch: (cause) => new ServiceError({ detail: cause instanceof Error ? cause.message : String(cause) })
      })

    yield* ask("GET", "/heartbeat").pipe(
      Effect.retry({ times: 200, schedule: Schedule.spaced("100 millis"), while: () => child.exitCode === null }),
      Effect.mapError(() => new ServiceError({ detail: `the service did not start:\n${log.join("\n")}` }))
    )
    return {
      start: (room) => Effect.asVoid(ask("POST", "/api/v1/call/transcribe", { roomToken: room, languageId: "en" })),
      stop: (room) => Effect.asVoid(ask("DELETE", `/api/v1/call/transcribe/${room}`)),
      speakers: (room) =>
        ask("GET", "/api/v1/status").pipe(
          Effect.flatMap(decodeStatus),
          Effect.mapError((cause) => new ServiceError({ detail: cause.message })),
          Effect.map(({ calls }) => calls.find(({ roomToken }) => roomToken === room)?.speakers ?? 0)
        ),
      log: () => log
    }
  })

const end = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGTERM")
  }).pipe(Effect.timeoutOrElse({ duration: "8 seconds", orElse: () => Effect.sync(() => child.kill("SIGKILL")) }))

const freePort = Effect.callback<number>((resume) => {
  const probe = createServer()
  probe.listen(0, "127.0.0.1", () => {
    const address = probe.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    probe.close(() => resume(Effect.succeed(port)))
  })
})
