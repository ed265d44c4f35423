/**
 * A service of several processes in a Talk, and who of them runs what.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Redacted, Schedule } from "effect"
import type { Seat } from "../../src/domain/Seat.ts"
import * as ClusterCalls from "../../src/layers/ClusterCalls.ts"
import * as Database from "../../src/layers/Database.ts"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as Seats from "../../src/layers/Seats.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import { freePort, start } from "./ServiceProcess.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"

const json = { "content-type": "application/json" }

interface StatusPage {
  readonly calls: ReadonlyArray<{ readonly roomToken: string; readonly state: string; readonly speakers: number }>
}

export const make = Effect.fnUntraced(function* (environment: Record<string, string> = {}, program?: string) {
  const folder = yield* temporaryFolder
  const talk = yield* TalkSimulator.make()
  const engine = yield* KyutaiSimulator.make()
  const port = String(yield* freePort)
  const api = `http://127.0.0.1:${port}`
  const settings = {
    PORT: port,
    APP_PERSISTENT_STORAGE: folder,
    LT_HPB_URL: talk.url,
    LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
    STT_STREAM_URL: engine.url,
    LT_RUNNERS: "2",
    ...environment
  }
  const service = yield* start(settings, program)
  yield* service.says("a runner takes its share")
  const database = yield* Database.make({
    _tag: "File",
    file: join(folder, ClusterCalls.FILE),
    isShared: true
  })
  yield* database.open
  const seats = Seats.make(database.sql)
  return {
    folder,
    service,
    talk,
    ...client(api),
    seats: seats.all,
    runners: Effect.sync(() => childrenOf(service.child.pid ?? 0)),
    /** Meanwhile the database takes who has ended for alive: its lease lasts. */
    whileLeasesLast: <A, E, R>(use: Effect.Effect<A, E, R>) =>
      Effect.acquireUseRelease(
        database.atOnce([
          database.sql`UPDATE cluster_runners SET last_heartbeat = datetime('now', '1 hour')`,
          database.sql`UPDATE cluster_locks SET acquired_at = datetime('now', '1 hour')`
        ]),
        () => use,
        // Who lives has told his anew.
        () =>
          database.atOnce([
            database.sql`DELETE FROM cluster_runners WHERE last_heartbeat > datetime('now', '1 minute')`,
            database.sql`DELETE FROM cluster_locks WHERE acquired_at > datetime('now', '1 minute')`
          ])
      )
  }
})

/** What a service can be asked. */
export const client = (api: string) => {
  /** Over a connection of its own: any runner may get it. */
  const ask = (path: string, init: RequestInit = {}) =>
    Effect.promise(() =>
      fetch(api + path, { ...init, headers: { ...json, connection: "close" } }).then((answer) => answer.text())
    )
  return {
    ask,
    want: (room: string) =>
      ask("/api/v1/call/transcribe", { method: "POST", body: JSON.stringify({ roomToken: room }) }),
    unwant: (room: string) => ask(`/api/v1/call/transcribe/${room}`, { method: "DELETE" }),
    status: Effect.map(ask("/api/v1/status"), (text): StatusPage => JSON.parse(text))
  }
}

export type SharedCalls = Effect.Success<ReturnType<typeof make>>

/** Waits, looking often; fails after these seconds, saying who waited, and gives the milliseconds that it took. */
export const within = <E>(seconds: number, isSo: Effect.Effect<boolean, E>) => {
  const late = new Error(`not so within ${seconds} s`)
  return Effect.suspend(() => {
    const since = performance.now()
    return isSo.pipe(
      Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("30 millis") }),
      Effect.timeoutOrElse({ duration: `${seconds} seconds`, orElse: () => Effect.die(late) }),
      Effect.map(() => performance.now() - since)
    )
  })
}

/**
 * Until each room has had one session of ours for a second. While a call goes from one process to the other two are there, of which one is silent,
 * and nobody knows beforehand when the last of the calls that are to move has.
 */
export const untilAlone = ({ servicesIn }: TalkSimulator.Simulation, these: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    let sinceMs = performance.now()
    return within(
      60,
      Effect.sync(() => {
        if (these.some((room) => servicesIn(room) !== 1)) sinceMs = performance.now()
        return performance.now() - sinceMs >= 1000
      })
    )
  })

/** What each runner has to do: a call counts one, or as many as are heard in it. */
export const workOf = (seats: ReadonlyArray<Seat>, sizes: ReadonlyMap<string, number>): ReadonlyArray<number> => {
  const work = new Map<string, number>()
  for (const { incarnation, room } of seats) {
    work.set(incarnation, (work.get(incarnation) ?? 0) + Math.max(1, sizes.get(room) ?? 0))
  }
  return [...work.values()]
}

const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)
