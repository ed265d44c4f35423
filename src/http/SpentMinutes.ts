/**
 * Who has streamed how much today (UTC), also after a restart. Yesterday is forgotten.
 */
import { Clock, Effect, FileSystem, Result, Schedule, Schema } from "effect"
import { wordsOf } from "../layers/DiskTrouble.ts"
import * as PrivateFile from "../layers/PrivateFile.ts"

/** Plain and synchronous: it is asked every second for every stream. */
export interface SpentMinutes {
  /** Seconds of audio of this subject today. */
  readonly of: (subject: string) => number
  /** Adds to it, and gives the sum. */
  readonly add: (subject: string, seconds: number) => number
}

const DAY_MS = 86_400_000
/** A crash forgets no more than this, and a disk has no more to do. */
const WRITE_EVERY = "5 seconds"
/** Subjects remembered in a day: 1 MB of file. Only somebody who signs tokens for ever new subjects comes there; the ones beyond are not limited. */
const MAX_SUBJECTS = 20_000

/** The file: a date, and who. A list, because a subject may be any text. */
const Stored = Schema.fromJsonString(
  Schema.Struct({
    day: Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\d$/)),
    spent: Schema.Array(
      Schema.Struct({ subject: Schema.String, seconds: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)) })
    )
  })
)
const decode = Schema.decodeUnknownEffect(Stored)
const encode = Schema.encodeEffect(Stored)

/**
 * Begins with what the file says of today, and writes it again every 5 s while it changes, and at the end of the scope. What cannot be
 * read counts from zero, what cannot be written is counted in memory; each is said in one log line and streaming goes on. So whoever
 * breaks the disk wins a day's minutes again at each restart, and no more.
 */
export const make = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const clock = yield* Clock.Clock
  const today = () => Math.floor(clock.currentTimeMillisUnsafe() / DAY_MS)
  let day = today()
  let hasChanged = false
  let isFailing = false
  const spent = new Map(yield* read(path, day))

  const turn = () => {
    if (today() === day) return
    day = today()
    spent.clear()
    hasChanged = true
  }
  const text = Effect.suspend(() =>
    encode({ day: dateOf(day), spent: [...spent].map(([subject, seconds]) => ({ subject, seconds })) })
  )
  const write = Effect.gen(function* () {
    if (!hasChanged) return
    hasChanged = false
    const written = yield* Effect.result(Effect.flatMap(text, (one) => PrivateFile.replace(path, one)))
    if (Result.isSuccess(written)) {
      isFailing = false
      return
    }
    hasChanged = true
    if (isFailing) return
    isFailing = true
    yield* Effect.logWarning(
      "the minutes streamed today cannot be written down: they are counted until this process ends, and again from zero after it",
      { path, reason: written.failure._tag === "PlatformError" ? wordsOf(written.failure) : written.failure.message }
    )
  }).pipe(Effect.provideService(FileSystem.FileSystem, files))

  yield* Effect.addFinalizer(() => write)
  yield* Effect.forkScoped(Effect.repeat(Effect.sleep(WRITE_EVERY).pipe(Effect.andThen(write)), Schedule.forever))

  const spentMinutes: SpentMinutes = {
    of: (subject) => {
      turn()
      return spent.get(subject) ?? 0
    },
    add: (subject, seconds) => {
      turn()
      const before = spent.get(subject)
      if (before === undefined && spent.size >= MAX_SUBJECTS) return 0
      const sum = (before ?? 0) + (seconds > 0 && Number.isFinite(seconds) ? seconds : 0)
      spent.set(subject, sum)
      hasChanged = true
      return sum
    }
  }
  return spentMinutes
})

const dateOf = (day: number) => new Date(day * DAY_MS).toISOString().slice(0, 10)

/** What the file says of this day; nothing where there is no file, or one that nobody understands. */
const read = Effect.fnUntraced(function* (path: string, day: number) {
  const files = yield* FileSystem.FileSystem
  const nothing: ReadonlyArray<readonly [string, number]> = []
  const stored = yield* files.readFileString(path).pipe(
    Effect.flatMap(decode),
    Effect.catch((error) =>
      error._tag === "PlatformError" && error.reason._tag === "NotFound"
        ? Effect.undefined
        : Effect.as(
            Effect.logWarning("the minutes streamed today cannot be read: they count from zero", {
              path,
              reason: error._tag === "PlatformError" ? wordsOf(error) : "not what this service writes"
            }),
            undefined
          )
    )
  )
  if (stored?.day !== dateOf(day)) return nothing
  return stored.spent.map(({ seconds, subject }) => [subject, seconds] as const)
})
