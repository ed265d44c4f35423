/**
 * Harness: what the suite needs of an engine and of the server it speaks to.
 */
import { Context, Duration, Effect, Schema, type Scope } from "effect"
import type { SpeechEngine } from "../services/SpeechEngine.ts"
import type { Speak } from "./Speech.ts"

/** An engine did not do what `SpeechEngine` promises. */
export class ConformanceError extends Schema.TaggedError<ConformanceError>()("ConformanceError", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/**
 * An engine and a server that understands synthetic speech (`ToneModem`) in place of its own. What a server cannot do, or an engine without
 * a server does not have, is left out: checks that need it do not apply.
 */
export interface Subject {
  readonly engine: SpeechEngine["Service"]
  /** How words of the vocabulary (0…2047) are said to it. Absent: as `ToneModem` says them. */
  readonly speak?: Speak
  /** Connections (or sessions) the server holds for us now. */
  readonly connections?: () => number
  /** Cuts all connections, as a server that crashes. Later ones are served. */
  readonly crash?: () => void
  /** Ends all connections politely, as if there were nothing more to say. */
  readonly hangUp?: () => void
  /** Leaves all connections and reads and answers nothing on them any more, as behind a network that is gone. Later ones are served. */
  readonly halfOpen?: () => void
  /** Sends this to whoever is connected; an adapter must survive anything. */
  readonly babble?: (message: string | Uint8Array) => void
  /** Refuses our credentials from now on. */
  readonly refuse?: () => void
}

/** How the suite gets at an engine. */
export interface Harness {
  /** A fresh server and engine; both end with the scope. */
  readonly start: Effect.Effect<Subject, unknown, Scope.Scope>
  /** How many times real time the server may be sent audio in tests. Absent: 10. A server that is strict about it wants 1. */
  readonly speed?: number
  /** How many times their time everything may take, on a machine that is busy. Absent: 1. */
  readonly patience?: number
  /** What must never be read in an error: keys and tokens the engine was given. */
  readonly secrets?: ReadonlyArray<string>
}

/** What became of a check that found no fault. */
export type Verdict = "Conforms" | "DoesNotApply"

/** One promise of the contract. */
export interface Check {
  /** The promise, completing "an engine …". */
  readonly name: string
  /** Takes real time: up to 18 s with a slow server, times `patience`. */
  readonly run: (harness: Harness) => Effect.Effect<Verdict, ConformanceError>
}

export const fault = (detail: string): ConformanceError => new ConformanceError({ detail })

/** Fails with this unless it holds. */
export const ensure = (holds: boolean, detail: () => string): Effect.Effect<void, ConformanceError> =>
  holds ? Effect.void : Effect.fail(fault(detail()))

/** `Harness.patience`. */
const Patience = Context.Reference<number>("parlance/conformance/Patience", { defaultValue: () => 1 })

/** A promise that has to come true within this time, on a machine that is not busy. */
export const within =
  (limit: Duration.Input, otherwise: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConformanceError, R> =>
    Effect.flatMap(Patience, (patience) =>
      Effect.timeoutOrElse(effect, {
        duration: Duration.times(Duration.fromInputUnsafe(limit), patience),
        orElse: () => Effect.fail(fault(otherwise))
      })
    )

/** Waits until it holds. */
export const until = (limit: Duration.Input, otherwise: string, holds: () => boolean) =>
  Effect.sleep("5 millis").pipe(Effect.repeat({ until: holds }), within(limit, otherwise), Effect.asVoid)

/** Less than test runners wait. */
const LIMIT = "18 seconds"

/** A check on a subject of its own. Defects, which no adapter may have, and time running out are faults too. */
export const check = (
  name: string,
  body: (subject: Subject, harness: Harness) => Effect.Effect<Verdict | undefined, unknown, Scope.Scope>
): Check => ({
  name,
  run: (harness) =>
    harness.start.pipe(
      Effect.flatMap((subject) => body(subject, harness)),
      Effect.map((verdict) => verdict ?? "Conforms"),
      Effect.scoped,
      within(LIMIT, `${Duration.format(Duration.fromInputUnsafe(LIMIT))} were not enough`),
      Effect.provideService(Patience, harness.patience ?? 1),
      Effect.mapError((error) => (error instanceof ConformanceError ? error : fault(String(error)))),
      Effect.catchDefect((defect) => Effect.fail(fault(`a defect: ${String(defect)}`)))
    )
})
