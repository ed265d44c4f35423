/**
 * What streaming sessions cost a whole process: sockets in, an engine's sockets out, words back. Clients and engine are this process; the
 * service is another one, which may be held to one core.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Schedule, type Scope } from "effect"
import { WebSocket, WebSocketServer } from "ws"

export interface DoorsCost {
  readonly sessions: number
  /** Of one core. */
  readonly cpuPercent: number
  readonly cpuMsPerSessionSecond: number
  readonly residentMb: number
  readonly wordsPerSecond: number
  /** Engine's word until the client has read it; ms. */
  readonly p50Ms: number
  readonly p99Ms: number
}

const MESSAGE_MS = 80
const WARM_MS = 8_000
const MEASURED_MS = 20_000
/** 5 words in 2 s: talkative. */
const FRAMES_PER_WORD = 5
/** Linux counts CPU time in hundredths of a second. */
const TICK_MS = 10

/** Talks through that many sessions at once, in real time, without a pause. */
export const doors = (sessions: number): Effect.Effect<DoorsCost, never, Scope.Scope> =>
  Effect.gen(function* () {
    const engine = yield* engineOfWords
    const service = yield* startService(engine.port)
    const delays: Array<number> = []
    let words = 0
    const clients = yield* Effect.forEach(
      Array.from({ length: sessions }, (_, index) => index),
      () =>
        openSession(service.port, (text) => {
          words++
          const saidAt = Number(text.match(/w(\d+)/)?.[1])
          if (!Number.isNaN(saidAt)) delays.push(performance.now() - saidAt / 1000)
        }),
      { concurrency: 20 }
    )
    const message = noise()
    let turn = 0
    // Each client has its own phase: a real crowd does not speak in step.
    const startedAtMs = performance.now()
    const sending = setInterval(() => {
      for (; turn < performance.now() - startedAtMs; turn++) {
        for (let at = turn % MESSAGE_MS; at < clients.length; at += MESSAGE_MS) clients[at]?.send(message)
      }
    }, 2)
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(sending)))
    yield* Effect.sleep(WARM_MS)
    delays.length = 0
    words = 0
    const sentBefore = turn
    const before = service.cpuMs()
    yield* Effect.sleep(MEASURED_MS)
    const cpuMs = service.cpuMs() - before
    const spokenMs = turn - sentBefore
    delays.sort((a, b) => a - b)
    const quantile = (share: number) => delays[Math.floor(delays.length * share)] ?? Number.NaN
    return {
      sessions,
      cpuPercent: (100 * cpuMs) / MEASURED_MS,
      cpuMsPerSessionSecond: cpuMs / ((sessions * spokenMs) / 1000),
      residentMb: service.residentMb(),
      wordsPerSecond: words / (MEASURED_MS / 1000),
      p50Ms: quantile(0.5),
      p99Ms: quantile(0.99)
    }
  })

/** Speaks the protocol of Kyutai on Modal and hears nothing: a word, with the time in it, every five frames. */
const engineOfWords = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false }, () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ port, close: () => server.close() }))
    })
    server.on("connection", (socket) => {
      let frames = 0
      socket.on("message", () => {
        if (++frames % FRAMES_PER_WORD > 0) return
        socket.send(JSON.stringify({ type: "token", text: `w${Math.round(performance.now() * 1000)}` }))
      })
    })
  }),
  ({ close }) => Effect.sync(close)
)

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

const startService = Effect.fnUntraced(function* (enginePort: number) {
  const port = yield* freePort
  const storage = mkdtempSync(join(tmpdir(), "bench-"))
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [main], {
        stdio: "ignore",
        env: {
          PATH: process.env["PATH"] ?? "",
          PORT: String(port),
          STT_STREAM_URL: `ws://127.0.0.1:${enginePort}/v1/stream`,
          LT_MAX_STREAMS: "2000",
          LT_STREAMS_PER_TOKEN: "2000",
          APP_PERSISTENT_STORAGE: storage
        }
      })
    ),
    (started) =>
      Effect.sync(() => {
        started.kill("SIGKILL")
        rmSync(storage, { recursive: true, force: true })
      })
  )
  yield* Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/heartbeat`)).pipe(
    Effect.retry(Schedule.spaced("100 millis")),
    Effect.orDie
  )
  const statistics = (file: string) => readFileSync(`/proc/${child.pid}/${file}`, "utf8")
  return {
    port,
    cpuMs: () => {
      const fields = statistics("stat").split(") ")[1]?.split(" ") ?? []
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS
    },
    residentMb: () => Number(statistics("status").match(/VmRSS:\s+(\d+)/)?.[1]) / 1024
  }
})

const openSession = (port: number, onWord: (text: string) => void) =>
  Effect.acquireRelease(
    Effect.callback<WebSocket>((resume) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/transcriptions`)
      socket.on("message", (data) => {
        const text = String(data)
        if (text.includes("session_id")) resume(Effect.succeed(socket))
        else if (text.includes("partial")) onWord(text)
      })
      socket.on("open", () => socket.send(JSON.stringify({ action: "start", format: "pcm16", sample_rate: 24_000 })))
      socket.on("error", (error) => resume(Effect.die(error)))
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )

/** Loud enough for speech. */
const noise = () => {
  const samples = Int16Array.from({ length: 24 * MESSAGE_MS }, () => (Math.random() - 0.5) * 16_000)
  return new Uint8Array(samples.buffer)
}
