/**
 * Calls on Effect's cluster, in its form for one process: what is wanted is in a SQLite file, and a restart goes on with it.
 */
import { join } from "node:path"
import { Context, Deferred, Effect, FiberSet, Layer, Queue, Schedule } from "effect"
import type { RoomToken, Viewer } from "../domain/Call.ts"
import { type CallStatus, Calls } from "../services/Calls.ts"
import { ViewerLanguages } from "../services/ViewerLanguages.ts"
import * as CallKeeping from "./CallKeeping.ts"
import * as CallMailbox from "./CallMailbox.ts"
import * as Database from "./Database.ts"
import * as IntentRows from "./IntentRows.ts"
import * as KeptDatabase from "./KeptDatabase.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as StoredIntents from "./StoredIntents.ts"
import * as StoredViewerLanguages from "./StoredViewerLanguages.ts"
import type { TalkCallOptions } from "./TalkCall.ts"

export interface ClusterCallsOptions extends Partial<TalkCallOptions> {
  /** Folder of the file; made where it is missing. */
  readonly storage: string
}

/** In the folder. */
export const FILE = "calls.sqlite"

/** A request waits so long for the disk, then it is acknowledged all the same: Talk's patience is three seconds. */
const RECORD_LIMIT = "500 millis"
/** A room that no message has woken by then is run without one: the file may be full, or a crash came between intent and message. */
const WAKE_PATIENCE_MS = 1500
const REVIEW_EVERY = "1 minute"
const PURGE_EVERY = "10 minutes"
const CONSEQUENCE = "Captions go on, but who has asked for them is forgotten if this process ends now."

/**
 * Runs every call in this process. An intent is in the file before a request is acknowledged; where the file cannot be used that is said
 * in the log and by each call's advice, and intents are in memory until it can. When its scope closes, every call delivers its last words and
 * says bye, and stays wanted: the next process with this file joins it again. While another process has the file, no call runs here.
 * What viewers last read in is in the same file.
 */
export const layer = (options: ClusterCallsOptions) => Layer.effectContext(make(options))

const make = Effect.fnUntraced(function* ({ storage, ...options }: ClusterCallsOptions) {
  // What is made first ends last: the file outlives the calls, the calls outlive the cluster.
  const file = join(storage, FILE)
  const database = yield* Database.make({ _tag: "File", file, isShared: false })
  const { sql } = database
  const intents = yield* StoredIntents.make(database)
  const viewers = yield* StoredViewerLanguages.make(database, () => kept.wantWrite())
  const keepingMade = Deferred.makeUnsafe<CallKeeping.CallKeeping>()
  let isReady = false
  const kept = yield* KeptDatabase.make({
    database,
    consequence: CONSEQUENCE,
    write: Effect.andThen(intents.write, viewers.write),
    prepare: Effect.gen(function* () {
      yield* database.migrate([
        { table: "calls_migrations", loader: IntentRows.migrations },
        { table: "cluster_migrations", loader: CallMailbox.migrations }
      ])
      yield* CallMailbox.reopen(sql)
      yield* CallMailbox.purge(sql)
      yield* viewers.load
      const found = yield* intents.load
      const keeping = yield* Deferred.await(keepingMade)
      keeping.restore(found)
      isReady = true
    })
  })

  // Not more of them than rooms that nobody runs.
  const wakes = yield* Queue.unbounded<RoomToken>()
  const keeping = yield* CallKeeping.make(options, {
    gate: kept.decided,
    wake: (room) => Queue.offerUnsafe(wakes, room),
    record: (intent, isWanted) => {
      intents.record(intent, isWanted)
      kept.wantWrite()
    }
  })
  Deferred.doneUnsafe(keepingMade, Effect.succeed(keeping))
  // Intents first: a message that is delivered before them finds nothing to do.
  yield* kept.tried
  const mailbox = yield* CallMailbox.make({ sql, isReady: () => isReady, run: keeping.run })

  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const runDirectly = (room: RoomToken) =>
    Effect.sync(() => {
      fork(keeping.run(room))
    })
  const wake = (room: RoomToken) =>
    kept.state()._tag === "Open" ? Effect.catchCause(mailbox.wake(room), () => runDirectly(room)) : runDirectly(room)
  yield* Queue.take(wakes).pipe(Effect.flatMap(wake), Effect.forever, Effect.forkScoped)
  yield* unwoken(keeping).pipe(
    Effect.flatMap((rooms) => Effect.forEach(rooms, runDirectly, { discard: true })),
    Effect.repeat(Schedule.spaced("500 millis")),
    Effect.forkScoped
  )
  yield* review(keeping, intents).pipe(
    Effect.andThen(Effect.sync(kept.wantWrite)),
    Effect.repeat(Schedule.spaced(REVIEW_EVERY)),
    Effect.forkScoped
  )
  yield* Effect.ignore(CallMailbox.purge(sql)).pipe(Effect.repeat(Schedule.spaced(PURGE_EVERY)), Effect.forkScoped)

  const recorded = Effect.suspend(() =>
    kept.state()._tag === "Open" ? Effect.asVoid(Effect.timeoutOption(intents.written, RECORD_LIMIT)) : Effect.void
  )
  const dismiss = (room?: RoomToken, viewer?: Viewer) => Effect.sync(() => intents.dismiss(room, viewer))
  const { end, endAll, list, setLanguage, start, stop } = keeping.calls
  const served = Calls.of({
    start: (intent, given) => Effect.andThen(start(intent, given), recorded),
    stop: (room, viewer) => dismiss(room, viewer).pipe(Effect.andThen(stop(room, viewer)), Effect.andThen(recorded)),
    end: (room) => dismiss(room).pipe(Effect.andThen(end(room)), Effect.tap(recorded)),
    endAll: dismiss().pipe(Effect.andThen(endAll), Effect.andThen(recorded)),
    setLanguage: (room, language) => Effect.tap(setLanguage(room, language), recorded),
    list: Effect.map(list, (all) => all.map((status) => advised(status, kept.advice())))
  })
  return Context.make(Calls, served).pipe(Context.add(ViewerLanguages, viewers.languages))
})

/** The rooms that have waited long enough for a message, each time it is asked. */
const unwoken = (keeping: CallKeeping.CallKeeping) => {
  const since = new Map<RoomToken, number>()
  return Effect.map(monotonicMs, (now) => {
    const waiting = keeping.waiting()
    for (const room of [...since.keys()]) if (!waiting.includes(room)) since.delete(room)
    for (const room of waiting) if (!since.has(room)) since.set(room, now())
    return waiting.filter((room) => now() - (since.get(room) ?? 0) >= WAKE_PATIENCE_MS)
  })
}

/** Who reads in a room that is joined is there: `CallPresence` forgets the others. Who was not seen for too long is forgotten here. */
const review = Effect.fnUntraced(function* ({ calls }: CallKeeping.CallKeeping, intents: StoredIntents.StoredIntents) {
  const joined = (yield* calls.list).filter(({ state }) => state === "Captioning")
  intents.renew(new Set(joined.map(({ room }) => room)))
  for (const { room, viewer } of intents.expired()) yield* calls.stop(room, viewer)
})

const advised = (status: CallStatus, advice: string | undefined): CallStatus =>
  advice === undefined || status.advice !== undefined ? status : { ...status, advice }
