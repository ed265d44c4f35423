/**
 * A database file that may be damaged, full, missing or somebody else's: opened, mended, and written to as soon as that is possible.
 */
import { rename } from "node:fs/promises"
import { Clock, Deferred, Effect, Fiber, Latch, type Scope } from "effect"
import { SqlError } from "effect/sql/SqlError"
import { wordsOfCode } from "./DiskTrouble.ts"
import * as NodeSqlite from "./NodeSqlite.ts"

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
  /** Returns when the file is open or cannot be used; not while another process has it. */
  readonly decided: Effect.Effect<void>
  /** There is something to write: `write` is called soon, and again until it succeeds. */
  readonly wantWrite: () => void
}

export interface KeptOptions {
  readonly database: NodeSqlite.NodeSqlite
  readonly file: string
  /** Makes the tables, and reads; each time the file was opened. A file in which that fails is put aside. */
  readonly prepare: Effect.Effect<void, Error>
  /** Writes what is to be written; when there is nothing, nothing. */
  readonly write: Effect.Effect<void, SqlError>
  /** What follows from a file that cannot be used; a sentence. */
  readonly consequence: string
}

/** How soon a file is wanted again that another process may let go of: people see no captions meanwhile. */
const TAKEN_AGAIN = "500 millis"
const UNUSABLE_AGAIN = "5 seconds"
/** So long a call waits for a disk at the start, and the end of the process for the last write. */
const PATIENCE = "2 seconds"
const LAST_PATIENCE = "1 second"

/** https://sqlite.org/rescode.html: BUSY and LOCKED. */
const lockCodes: ReadonlySet<number | string | undefined> = new Set([5, 6])
const FULL = 13
/** CORRUPT and NOTADB; ERROR, SCHEMA, CONSTRAINT and MISMATCH: tables that are not ours. */
const damageCodes: ReadonlySet<number | string | undefined> = new Set([11, 26, 1, 17, 19, 20])
/** READONLY, IOERR, FULL and CANTOPEN in words; the others say enough. */
const words: ReadonlyMap<number | string | undefined, string> = new Map([
  [8, "it can only be read"],
  [10, "the disk cannot be read or written"],
  [FULL, "the disk is full"],
  [14, "it cannot be opened"]
])

/** Tries in the background for as long as the scope is open; at its end what is still to be written is tried once more. */
export const make = Effect.fnUntraced(function* (
  options: KeptOptions
): Effect.fn.Return<KeptDatabase, never, Scope.Scope> {
  const { consequence, database, file, prepare, write } = options
  const decided = Deferred.makeUnsafe<void>()
  const tried = Deferred.makeUnsafe<void>()
  const wanted = Latch.makeUnsafe(false)
  let state: KeptState = { _tag: "Opening" }
  // A file on a full disk is open and cannot be used.
  let isOpen = false

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
        ? Effect.logError(`${file} cannot be used: ${reason}. ${consequence}`)
        : Effect.void
    )
  const can = Effect.suspend(() => {
    const before = state._tag
    become({ _tag: "Open" })
    return before === "Unusable" || before === "Taken" ? Effect.logInfo(`${file} can be used now`) : Effect.void
  })

  const putAside = Effect.fnUntraced(function* (error: Error) {
    yield* database.close
    const aside = `${file}-damaged-${stampOf(yield* Clock.currentTimeMillis)}`
    yield* Effect.tryPromise(async () => {
      await rename(file, aside)
      // what belongs to it, where there is any
      for (const end of ["-wal", "-shm"]) await rename(file + end, aside + end).catch(() => undefined)
    }).pipe(Effect.mapError(() => error))
    yield* Effect.logError(`${file} is damaged: ${reasonOf(error)}. It was put aside, and a new one is made.`, {
      aside
    })
  })

  const use = Effect.andThen(database.open, prepare)
  const open = use.pipe(
    Effect.catchIf(isDamage, (error) => Effect.andThen(putAside(error), use)),
    Effect.matchEffect({
      onFailure: Effect.fnUntraced(function* (error: Error) {
        yield* database.close
        if (!lockCodes.has(codeOf(error))) {
          yield* cannot(reasonOf(error))
          return yield* Effect.sleep(UNUSABLE_AGAIN)
        }
        if (become({ _tag: "Taken" })) yield* Effect.logWarning(takenAdvice(file))
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
  const serve = Effect.gen(function* () {
    yield* wanted.await
    wanted.closeUnsafe()
    yield* Effect.matchEffect(write, {
      onFailure: Effect.fnUntraced(function* (error: Error) {
        wanted.openUnsafe()
        // closing a file needs room, too
        isOpen = codeOf(error) === FULL
        yield* cannot(reasonOf(error))
        if (!isDamage(error)) yield* Effect.sleep(UNUSABLE_AGAIN)
      }),
      onSuccess: () => can
    })
  })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      if (!isOpen) return
      const writing = yield* Effect.forkDetach(Effect.ignore(write))
      yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(writing)), LAST_PATIENCE)
    })
  )
  yield* Effect.suspend(() => (isOpen ? serve : open)).pipe(Effect.forever, Effect.forkScoped)
  yield* Effect.sleep(PATIENCE).pipe(
    Effect.andThen(Effect.suspend(() => (state._tag === "Opening" ? cannot("the disk does not answer") : Effect.void))),
    Effect.forkScoped
  )
  return {
    state: () => state,
    advice: () => adviceOf(state, file, consequence),
    tried: Deferred.await(tried),
    decided: Deferred.await(decided),
    wantWrite: () => wanted.openUnsafe()
  }
})

const reasonIn = (state: KeptState): string => (state._tag === "Unusable" ? state.reason : "")

const takenAdvice = (file: string) =>
  `Another process has ${file} and runs the calls: this one waits until it ends. Two services need two folders (APP_PERSISTENT_STORAGE).`

const adviceOf = (state: KeptState, file: string, consequence: string): string | undefined => {
  if (state._tag === "Taken") return takenAdvice(file)
  return state._tag === "Unusable" ? `${file} cannot be used: ${state.reason}. ${consequence}` : undefined
}

const codeOf = (error: Error) => (error instanceof SqlError ? NodeSqlite.codeOf(error) : undefined)

/** What is no error of SQLite comes from making the tables: somebody else's are in the way. */
const isDamage = (error: Error): boolean => !(error instanceof SqlError) || damageCodes.has(codeOf(error))

const reasonOf = (error: Error): string => {
  const code = codeOf(error)
  if (typeof code === "string") return wordsOfCode(code)
  return words.get(code) ?? (error instanceof SqlError ? error.reason.message : undefined) ?? error.message
}

/** 20261121T151812Z, as in a file's name. */
const stampOf = (ms: number) => new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, "")
