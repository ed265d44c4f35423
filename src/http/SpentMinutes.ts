/**
 * Who has streamed how much today (UTC), also after a restart. Yesterday is forgotten.
 */
import { Clock, Effect, FileSystem, Result, Schedule, Schema } from "effect"
import { wordsOf } from "../layers/DiskTrouble.ts"
import * as PrivateFile from "../layers/PrivateFile.ts"
import { Front } from "../services/Front.ts"
import type { Spent } from "../supervisor/Messages.ts"

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
/** Other runners know of what is streamed here after so long. */
const TELL_EVERY = "1 second"
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
 *
 * Of several runners each counts what is streamed in all of them, and knows of the others' a second later; the first one writes the file. A
 * runner that is killed takes its last second with it.
 */
export const make = Effect.fnUntraced(function* (path: string) {
  const files = yield* FileSystem.FileSystem
  const clock = yield* Clock.Clock
  const front = yield* Front
  const today = () => Math.floor(clock.currentTimeMillisUnsafe() / DAY_MS)
  let day = today()
  let hasChanged = false
  let isFailing = false
  const spent = new Map(yield* read(path, day))
  /** Not told to the other runners yet. */
  const untold = new Map<string, number>()

  const turn = () => {
    if (today() === day) return
    day = today()
    spent.clear()
    untold.clear()
    hasChanged = true
  }
  const grow = (subject: string, seconds: number): number => {
    const before = spent.get(subject)
    if (before === undefined && spent.size >= MAX_SUBJECTS) return 0
    const sum = (before ?? 0) + (seconds > 0 && Number.isFinite(seconds) ? seconds : 0)
    spent.set(subject, sum)
    hasChanged = true
    return sum
  }
  const hear = (more: Spent) => {
    turn()
    if (more.day !== day) return
    for (const [subject, seconds] of more.seconds) grow(subject, seconds)
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

  if (front !== undefined) yield* share(front, { found: { day, seconds: [...spent] }, hear, spent, untold, today })
  if (front === undefined || front.slot === 0) {
    yield* Effect.addFinalizer(() => write)
    yield* Effect.forkScoped(Effect.repeat(Effect.sleep(WRITE_EVERY).pipe(Effect.andThen(write)), Schedule.forever))
  }

  const spentMinutes: SpentMinutes = {
    of: (subject) => {
      turn()
      return spent.get(subject) ?? 0
    },
    add: (subject, seconds) => {
      turn()
      if (front !== undefined && seconds > 0) untold.set(subject, (untold.get(subject) ?? 0) + seconds)
      return grow(subject, seconds)
    }
  }
  return spentMinutes
})

interface Shared {
  /** What the file says. */
  readonly found: Spent
  readonly hear: (more: Spent) => void
  readonly spent: Map<string, number>
  readonly untold: Map<string, number>
  readonly today: () => number
}

/** Begins with what all runners know, and tells them every second what is streamed here. */
const share = Effect.fnUntraced(function* (front: Front, { found, hear, spent, today, untold }: Shared) {
  const known = yield* front.spent(found, hear)
  if (known.day === found.day) for (const [subject, seconds] of known.seconds) spent.set(subject, seconds)
  const tell = Effect.sync(() => {
    if (untold.size > 0) front.spending({ day: today(), seconds: [...untold] })
    untold.clear()
  })
  yield* Effect.addFinalizer(() => tell)
  yield* Effect.forkScoped(Effect.repeat(Effect.sleep(TELL_EVERY).pipe(Effect.andThen(tell)), Schedule.forever))
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
