/**
 * A database that may be damaged, full, missing, away or somebody else's: opened, mended, and written to as soon as that is possible.
 */
import { Deferred, Effect, Fiber, Latch, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Database } from "./Database.ts"

/**
 * `Taken`: another process has the file. `Unusable`: it cannot be opened or written to, or takes its time; it is tried again and again.
 */
export type KeptState =
  | { readonly _tag: "Opening" }
  | { readonly _tag: "Open" }
  | { readonly _tag: "Taken" }
  | { readonly _tag: "Unusable"; readonly reason: string }

export interface KeptDatabase {
  readonly state: () => KeptState
  /** What an admin has to know or do about it. */
  readonly advice: () => string | undefined
  /** Returns when the first attempt has ended, one way or another, and has not taken longer than anybody may wait. */
  readonly tried: Effect.Effect<void>
  /** Returns when it is open or cannot be used; not while another process has it for itself. */
  readonly decided: Effect.Effect<void>
  /** There is something to write: `write` is called soon, and again until it succeeds. */
  readonly wantWrite: () => void
}

export interface KeptOptions {
  readonly database: Database
  /** Makes the tables, and reads; each time it was opened. A file in which that fails is put aside. */
  readonly prepare: Effect.Effect<void, Error>
  /** Writes what is to be written; when there is nothing, nothing. */
  readonly write: Effect.Effect<void, SqlError>
  /** What follows when it cannot be used; a sentence. */
  readonly consequence: string
}

/** How soon a file is wanted again that another process may let go of: people see no captions meanwhile. */
const TAKEN_AGAIN = "500 millis"
/** So long a call waits for a disk at the start, and the end of the process for the last write. */
const PATIENCE = "2 seconds"
const LAST_PATIENCE = "1 second"

/** Tries in the background for as long as the scope is open; at its end what is still to be written is tried once more. */
export const make = Effect.fnUntraced(function* (
  options: KeptOptions
): Effect.fn.Return<KeptDatabase, never, Scope.Scope> {
  const { consequence, database, prepare, write } = options
  const { name, probe, putAside, troubleOf } = database
  const decided = Deferred.makeUnsafe<void>()
  const tried = Deferred.makeUnsafe<void>()
  const wanted = Latch.makeUnsafe(false)
  let state: KeptState = { _tag: "Opening" }
  // What is on a full disk, or held by another process, is open and cannot be used.
  let isOpen = false
  /** What the database was asked last. It is not interrupted: at the end nobody waits for one that hangs. */
  let underWay: Fiber.Fiber<void, SqlError> | undefined

  /** Whether that is news. */
  const become = (next: KeptState): boolean => {
    const before = state
    state = next
    Deferred.doneUnsafe(tried, Effect.void)
    if (next._tag === "Open" || next._tag === "Unusable") Deferred.doneUnsafe(decided, Effect.void)
    return before._tag !== next._tag || reasonIn(before) !== reasonIn(next)
  }
  const cannot = (reason: string) =>
    Effect.suspend(() =>
      become({ _tag: "Unusable", reason })
        ? Effect.logError(`${name} cannot be used: ${reason}. ${consequence}`)
        : Effect.void
    )
  const can = Effect.suspend(() => {
    const before = state._tag
    become({ _tag: "Open" })
    return before === "Unusable" || before === "Taken" ? Effect.logInfo(`${name} can be used now`) : Effect.void
  })

  const use = Effect.andThen(database.open, prepare)
  const mended = (error: Error) =>
    putAside === undefined
      ? Effect.fail(error)
      : Effect.gen(function* () {
          const aside = yield* Effect.mapError(putAside, () => error)
          yield* Effect.logError(
            `${name} is damaged: ${troubleOf(error).reason}. It was put aside, and a new one is made.`,
            { aside }
          )
          yield* use
        })
  const open = use.pipe(
    Effect.catchIf((error) => troubleOf(error).kind === "Damaged", mended),
    Effect.matchEffect({
      onFailure: Effect.fnUntraced(function* (error: Error) {
        const { kind, reason } = troubleOf(error)
        yield* database.close
        if (kind !== "Taken") {
          yield* cannot(reason)
          return yield* Effect.sleep(kind === "Held" ? TAKEN_AGAIN : database.again)
        }
        if (become({ _tag: "Taken" })) yield* Effect.logWarning(takenAdvice(name))
        yield* Effect.sleep(TAKEN_AGAIN)
      }),
      onSuccess: () =>
        Effect.suspend(() => {
          isOpen = true
          wanted.openUnsafe()
          return can
        })
    })
  )
  const begun = (work: Effect.Effect<void, SqlError>) =>
    Effect.flatMap(Effect.forkDetach(work), (fiber) => {
      underWay = fiber
      return Fiber.join(fiber)
    })
  const called =
    probe === undefined
      ? wanted.await
      : Effect.timeoutOrElse(wanted.await, { duration: probe.every, orElse: () => begun(probe.check) })
  const served = Effect.andThen(
    called,
    Effect.suspend(() => {
      wanted.closeUnsafe()
      return begun(write)
    })
  )
  const serve = Effect.matchEffect(served, {
    onFailure: Effect.fnUntraced(function* (error: SqlError) {
      const { kind, reason } = troubleOf(error)
      wanted.openUnsafe()
      // closing a file needs room, too
      isOpen = kind === "Full" || kind === "Held"
      yield* cannot(reason)
      if (kind !== "Damaged") yield* Effect.sleep(kind === "Held" ? TAKEN_AGAIN : database.again)
    }),
    onSuccess: () => can
  })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      if (!isOpen) return
      const before = underWay === undefined ? Effect.void : Fiber.await(underWay)
      const writing = yield* Effect.forkDetach(Effect.andThen(before, Effect.ignore(write)))
      yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(writing)), LAST_PATIENCE)
    })
  )
  yield* Effect.suspend(() => (isOpen ? serve : open)).pipe(Effect.forever, Effect.forkScoped)
  yield* Effect.sleep(PATIENCE).pipe(
    Effect.andThen(Effect.suspend(() => (state._tag === "Opening" ? cannot(database.silence) : Effect.void))),
    Effect.forkScoped
  )
  return {
    state: () => state,
    advice: () => adviceOf(state, name, consequence),
    tried: Deferred.await(tried),
    decided: Deferred.await(decided),
    wantWrite: () => wanted.openUnsafe()
  }
})

const reasonIn = (state: KeptState): string => (state._tag === "Unusable" ? state.reason : "")

const takenAdvice = (name: string) =>
  `Another process has ${name} and runs the calls: this one waits until it ends. Two services need two folders (APP_PERSISTENT_STORAGE).`

const adviceOf = (state: KeptState, name: string, consequence: string): string | undefined => {
  if (state._tag === "Taken") return takenAdvice(name)
  return state._tag === "Unusable" ? `${name} cannot be used: ${state.reason}. ${consequence}` : undefined
}
