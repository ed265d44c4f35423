/**
 * A service of several processes (`LT_RUNNERS=2`) and an engine, for streaming.
 */
import { readFileSync } from "node:fs"
import { Effect, type Scope } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as DoorSetup from "./DoorSetup.ts"
import { freePort, type ServiceProcess, start } from "./ServiceProcess.ts"
import { until } from "./Until.ts"

export interface RunnersScene {
  readonly service: ServiceProcess
  readonly port: string
  readonly engine: KyutaiSimulator.KyutaiSimulator
  /** Processes of the runners that are there now, in the order of their start. */
  readonly runners: () => ReadonlyArray<number>
  /** The answer's body, over a connection of its own. */
  readonly text: (path: string, headers?: Record<string, string>) => Effect.Effect<string>
  readonly connect: (token?: string) => Effect.Effect<DoorSetup.DoorClient, Error, Scope.Scope>
}

/** Begins when both runners take connections. */
export const make = Effect.fnUntraced(function* (
  environment: Record<string, string> = {},
  engineOptions: KyutaiSimulator.KyutaiSimulatorOptions = {}
): Effect.fn.Return<RunnersScene, unknown, Scope.Scope> {
  const engine = yield* KyutaiSimulator.make(engineOptions)
  const port = String(yield* freePort)
  const service = yield* start({
    PORT: port,
    LT_RUNNERS: "2",
    LT_STREAMS_PER_TOKEN: "1000",
    STT_STREAM_URL: engine.url,
    ...environment
  })
  yield* service.says("a runner takes its share")
  const api = `http://127.0.0.1:${port}`
  return {
    service,
    port,
    engine,
    runners: () => childrenOf(service.child.pid ?? 0),
    text: (path, headers = {}) =>
      Effect.promise(() =>
        fetch(`${api}${path}`, { headers: { connection: "close", ...headers } }).then((response) => response.text())
      ),
    connect: (token) =>
      DoorSetup.connect(`${api.replace("http", "ws")}/v1/transcriptions`, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` }
      })
  }
})

/** Processes that this one has started and that have not ended. */
export const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)

/** Whether there is such a process; one that is dead and not yet buried is none. */
export const isAlive = (pid: number): boolean => {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ")
  } catch {
    return false
  }
}

/** 100 ms. */
const STEP_BYTES = 4800

/** Says the words in all of these sessions, in the time it takes to say them. */
export const speak = Effect.fnUntraced(function* (
  clients: ReadonlyArray<DoorSetup.DoorClient>,
  words: ReadonlyArray<number>
) {
  const pcm = DoorSetup.pcm16(ToneModem.speak(words, { speaker: 0, sampleRate: 24_000 }).pcm)
  for (let at = 0; at < pcm.length; at += STEP_BYTES) {
    for (const { send, socket } of clients) {
      if (socket.readyState === socket.OPEN) send(pcm.subarray(at, at + STEP_BYTES))
    }
    yield* Effect.sleep("100 millis")
  }
})

export const isOpen = ({ socket }: DoorSetup.DoorClient): boolean => socket.readyState === socket.OPEN

/** Waits until so many of these are open. */
export const untilOpen = (clients: ReadonlyArray<DoorSetup.DoorClient>, isThat: (count: number) => boolean) =>
  until(() => isThat(clients.filter(isOpen).length))

/** Waits until this has not changed for a second. */
export const untilStill = (count: () => number) =>
  Effect.suspend(() => {
    let [last, sinceMs] = [count(), performance.now()]
    return until(() => {
      const now = count()
      if (now !== last) sinceMs = performance.now()
      last = now
      return performance.now() - sinceMs >= 1000
    })
  })

/** The sum of a metric over its labels. */
export const sumOf = (metrics: string, name: string): number =>
  metrics
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0)
