/**
 * All streaming sessions of this process: their clock, their count, their end.
 */
import { Effect, FiberSet, Metric, Schedule, type Scope } from "effect"
import type { WebSocket } from "ws"
import * as Metrics from "../layers/Metrics.ts"
import { traceOf } from "./BugTrace.ts"
import { closeCodes } from "./Dialect.ts"
import type { DoorClient, DoorServices } from "./DoorClient.ts"
import * as DoorSession from "./DoorSession.ts"

export interface DoorSessions {
  /** Runs the session of a connection until it is gone. */
  readonly open: (client: DoorClient) => void
  readonly count: () => number
  /** Tells all of them that the service ends; completes when they are gone, after 9 s in any case, and earlier where the service stops. */
  readonly close: Effect.Effect<void>
}

/** As the voices of calls: a stretch of speech ends no later than it must. */
const TICK = "20 millis"
const COUNT = "1 second"
/** Last words (6 s) and the client's answer to the close (3 s). */
const LONGEST_CLOSE = "9 seconds"

interface Entry {
  readonly session: DoorSession.DoorSession
  readonly dialect: string
  isCounted: boolean
  /** Of what was spoken, what was counted. */
  countedSpeech: number
}

export const make = Effect.fnUntraced(function* (
  services: DoorServices
): Effect.fn.Return<DoorSessions, never, Scope.Scope> {
  const fibers = yield* FiberSet.make<void, never>()
  const fork = yield* FiberSet.runtime(fibers)()
  const metrics = yield* Effect.context<never>()
  const entries = new Set<Entry>()
  const spokenSeconds = Metric.withAttributes(Metrics.speechSeconds, { source: "stream" })
  let isClosing = false
  let count = 0

  /** Sessions of those who were let in, and what was heard of them. */
  const account = (entry: Entry) => {
    const labels = { dialect: entry.dialect }
    if (!entry.isCounted && entry.session.isAdmitted()) {
      entry.isCounted = true
      Metric.withAttributes(Metrics.streamSessions, labels).updateUnsafe(1, metrics)
      Metric.withAttributes(Metrics.streamSessionsActive, labels).modifyUnsafe(1, metrics)
    }
    const seconds = entry.session.takeHeardSeconds()
    if (seconds > 0) Metric.withAttributes(Metrics.streamAudioSeconds, labels).updateUnsafe(seconds, metrics)
    const spoken = entry.session.spokenSeconds()
    spokenSeconds.updateUnsafe(spoken - entry.countedSpeech, metrics)
    entry.countedSpeech = spoken
  }
  const forget = (entry: Entry) => {
    account(entry)
    entries.delete(entry)
    if (!entry.isCounted) return
    Metric.withAttributes(Metrics.streamSessionsActive, { dialect: entry.dialect }).modifyUnsafe(-1, metrics)
  }

  const serve = Effect.fnUntraced(function* (client: DoorClient) {
    const dialect = client.dialect.name
    const session = yield* DoorSession.make(client, services)
    const entry: Entry = { session, dialect, isCounted: false, countedSpeech: 0 }
    entries.add(entry)
    if (isClosing) session.shutDown()
    const reason = yield* Effect.ensuring(
      session.run,
      Effect.sync(() => forget(entry))
    )
    yield* Metric.update(Metric.withAttributes(Metrics.streamCloses, { dialect, reason }), 1)
    yield* Effect.logDebug("a streaming session ended", { dialect, reason })
  }, Effect.scoped)

  yield* Effect.sync(() => {
    const nowMs = services.now()
    for (const { session } of entries) session.tick(nowMs)
  }).pipe(Effect.repeat(Schedule.fixed(TICK)), Effect.forkScoped)
  yield* Effect.sync(() => {
    for (const entry of entries) account(entry)
  }).pipe(Effect.repeat(Schedule.fixed(COUNT)), Effect.forkScoped)

  return {
    open: (client) => {
      count++
      fork(
        serve(client).pipe(
          // a dialect that breaks before its session began
          Effect.catchDefect((defect) =>
            Effect.andThen(Effect.logError("bug in a streaming session", traceOf(defect)), apologise(client.socket))
          ),
          Effect.ensuring(
            Effect.sync(() => {
              count--
              client.socket.terminate()
            })
          )
        )
      )
    },
    count: () => count,
    close: Effect.suspend(() => {
      isClosing = true
      for (const { session } of entries) session.shutDown()
      return Effect.raceFirst(FiberSet.awaitEmpty(fibers), services.stopping.until("Left"))
    }).pipe(Effect.timeoutOption(LONGEST_CLOSE), Effect.andThen(FiberSet.clear(fibers)))
  }
})

const apologise = (socket: WebSocket) =>
  Effect.callback<void>((resume) => {
    socket.once("close", () => resume(Effect.void))
    socket.close(closeCodes.Internal, "internal error")
  }).pipe(Effect.timeoutOption("3 seconds"))
