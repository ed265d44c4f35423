/**
 * The one way anything in this proof fails: a sentence that says what was expected and what came instead.
 */
import { Effect, Schedule, Schema } from "effect"

export class ProofError extends Schema.TaggedError<ProofError>()("ProofError", { what: Schema.String }) {
  override get message() {
    return this.what
  }
}

export const failure = (what: string): ProofError => new ProofError({ what })

/** Any thrown value as a sentence. */
export const because =
  (what: string) =>
  (cause: unknown): ProofError =>
    failure(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`)

/** A promise of the world outside as an Effect. */
export const attempt = <A>(what: string, run: () => PromiseLike<A>): Effect.Effect<A, ProofError> =>
  Effect.tryPromise({ try: run, catch: because(what) })

/** Waits until `condition` gives a value that is neither `undefined` nor `false`; looks every 20 ms. */
export const until = <A>(
  what: string,
  condition: () => A | undefined | false,
  millis = 10_000
): Effect.Effect<A, ProofError> =>
  Effect.suspend(() => {
    const found = condition()
    return found === undefined || found === false ? Effect.fail("not yet" as const) : Effect.succeed(found)
  }).pipe(
    Effect.retry(Schedule.spaced("20 millis")),
    Effect.timeoutOrElse({ duration: millis, orElse: () => Effect.fail(failure(`${what}: not within ${millis} ms`)) }),
    Effect.mapError((error) => (error instanceof ProofError ? error : failure(what)))
  )
