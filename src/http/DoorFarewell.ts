/**
 * How a streaming session ends: what is still said and kept, and with which code the connection is closed.
 */
import { Effect } from "effect"
import type { Stopping } from "../services/Stopping.ts"
import { traceOf } from "./BugTrace.ts"
import { closeCodes, type Denial, type Event, type Failure } from "./Dialect.ts"
import type { DoorHearing } from "./DoorHearing.ts"
import type { DoorKeeping } from "./DoorKeeping.ts"
import type { DoorOutbox } from "./DoorOutbox.ts"
import type { DoorSocket } from "./DoorSocket.ts"

/** Why a session ended: the client left; all was done (1000); its dialect refused to go on; else what went wrong. */
export type Farewell = "Left" | "Done" | "Refused" | Denial | Failure

/** What ends a session; the first counts. */
export type Ending =
  | { readonly _tag: "HungUp" }
  | { readonly _tag: "Closed"; readonly code: number }
  | { readonly _tag: "Denied"; readonly denial: Denial; readonly detail: string }
  | { readonly _tag: "Failed"; readonly failure: Failure; readonly detail: string }
  | { readonly _tag: "Broken"; readonly defect: unknown }

/** What a session leaves behind. */
export interface Leaving {
  readonly dialect: string
  readonly hearing: Pick<DoorHearing, "lastWords">
  readonly keeping: Pick<DoorKeeping, "lastWords">
  readonly outbox: Pick<DoorOutbox, "empty">
  readonly socket: Pick<DoorSocket, "close">
  readonly stopping: Pick<Stopping, "until">
  /** Tells it when the client reads. */
  readonly put: (event: Event) => void
  /** Tells it at once. */
  readonly tell: (event: Event) => void
  /** The client is gone: what its dialect still wants. */
  readonly hangUp: () => void
}

/** What was said until then is still told: a flush takes at most 3 s, the Transcriber gives up after 4 s. */
const LAST_WORDS = "6 seconds"
const endsInWords: ReadonlySet<Failure> = new Set(["BadAudio", "Idle", "SessionLimit", "DailyMinutes", "ShuttingDown"])

/** Completes when all is told and kept; the connection is closed or about to be. */
export const leave = Effect.fnUntraced(function* (how: Ending, leaving: Leaving): Effect.fn.Return<Farewell> {
  const { hearing, outbox, put, socket, stopping, tell } = leaving
  const lastWords = Effect.raceFirst(hearing.lastWords, stopping.until("Published"))
  const kept = Effect.raceFirst(leaving.keeping.lastWords, stopping.until("Delivered"))
  switch (how._tag) {
    case "HungUp":
      leaving.hangUp()
      yield* kept
      return "Left"
    case "Closed":
      yield* kept
      return how.code === 1000 ? "Done" : "Refused"
    case "Denied":
      put(how)
      socket.close(closeCodes[how.denial], how.detail)
      return how.denial
    case "Failed":
      if (endsInWords.has(how.failure)) yield* Effect.timeoutOption(lastWords, LAST_WORDS)
      if (how.failure !== "SlowReader") outbox.empty()
      tell(how)
      yield* kept
      socket.close(closeCodes[how.failure], how.detail)
      return how.failure
    case "Broken":
      yield* Effect.logError("bug in a streaming session", { dialect: leaving.dialect, ...traceOf(how.defect) })
      tell({ _tag: "Failed", failure: "Internal", detail: "internal error" })
      socket.close(closeCodes.Internal, "internal error")
      return "Internal"
  }
})
