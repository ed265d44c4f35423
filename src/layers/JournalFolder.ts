/**
 * The journals in one folder: one for each life of each runner of this machine, and what is to be taken from those whose process is gone.
 *
 * A journal belongs to the process that writes it until that is gone: as others say, or because it has not been touched for `STALE_MS`. What is in
 * it of a room is taken once: whoever does so leaves a mark that only one can make. Where the process still lives after all (it was frozen), its
 * call is told by the fence in the room, and its file is still its own.
 */
import { createHash } from "node:crypto"
import { join } from "node:path"
import { Clock, Effect, FileSystem, Option } from "effect"
import type { PlatformError } from "effect/PlatformError"
import type { RoomToken } from "../domain/Call.ts"
import type { Incarnation } from "../domain/Seat.ts"
import * as JournalEntries from "./JournalEntries.ts"
import * as JournalSeal from "./JournalSeal.ts"
import * as LeftSpeech from "./LeftSpeech.ts"

/** Of the one process there is, or was before there were several. */
export const FILE = "speech.journal"
/** What is older is no caption any more. */
export const LEFT_FOR_MS = 120_000
/** A process touches its file every 3 s; one that has not done so for so long is gone, or does not say anything. */
const STALE_MS = 10_000

export const fileOf = (incarnation: Incarnation | undefined): string =>
  incarnation === undefined ? FILE : `speech-${incarnation}.journal`

export type Rooms = ReadonlyMap<RoomToken, LeftSpeech.LeftRoom>

export interface JournalFolder {
  /** What a journal has, if it is young enough; `NotFound` where there is none. */
  readonly read: (file: string) => Effect.Effect<Rooms, PlatformError>
  /** The other journals of this folder. */
  readonly others: Effect.Effect<ReadonlyArray<string>>
  /** What those that are gone have left of this room, once. */
  readonly take: (room: RoomToken, isGone: (file: string) => boolean) => Effect.Effect<LeftSpeech.LeftRoom>
  /** Removes journals whose process is gone and that are too old to be read; lets go of what was read. */
  readonly clear: Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (
  storage: string,
  secret: string,
  own: string
): Effect.fn.Return<JournalFolder, never, FileSystem.FileSystem> {
  const files = yield* FileSystem.FileSystem

  const read = Effect.fnUntraced(function* (file: string) {
    const left = LeftSpeech.make()
    let writtenMs = 0
    for (const { atMs, entries } of JournalSeal.open(secret, yield* files.readFile(join(storage, file)))) {
      writtenMs = atMs
      for (const entry of JournalEntries.read(entries)) left.take(entry)
    }
    const isYoung = (yield* Clock.currentTimeMillis) - writtenMs <= LEFT_FOR_MS
    return isYoung ? left.rooms() : nothing
  })
  /** As it stood then. With many rooms it is large, and they are all taken within seconds. */
  const known = new Map<string, { readonly stamp: string; readonly rooms: Effect.Effect<Rooms, PlatformError> }>()
  const readOnce = Effect.fnUntraced(function* (file: string) {
    const { mtime, size } = yield* files.stat(join(storage, file))
    const stamp = `${size} ${Option.getOrUndefined(mtime)?.getTime()}`
    const before = known.get(file)
    if (before?.stamp === stamp) return yield* before.rooms
    const rooms = yield* Effect.cached(Effect.tapError(read(file), () => Effect.sync(() => known.delete(file))))
    known.set(file, { stamp, rooms })
    return yield* rooms
  })
  const names = Effect.orElseSucceed(files.readDirectory(storage), (): Array<string> => [])
  const others = Effect.map(names, (all) => all.filter((name) => journal.test(name) && name !== own).toSorted())
  const ageOf = Effect.fnUntraced(function* (name: string) {
    const { mtime } = yield* files.stat(join(storage, name))
    const at = Option.getOrUndefined(mtime)?.getTime() ?? 0
    return (yield* Clock.currentTimeMillis) - at
  })
  /** `true` for one of all who ask. */
  const claim = (file: string, room: RoomToken) =>
    Effect.scoped(files.open(join(storage, markOf(file, room)), { flag: "wx", mode: 0o600 })).pipe(
      Effect.as(true),
      Effect.orElseSucceed(() => false)
    )
  const takeFrom = Effect.fnUntraced(function* (file: string, room: RoomToken) {
    const left = (yield* readOnce(file)).get(room)
    if (left === undefined || left.voices.length + left.unsaid.length === 0) return empty
    return (yield* claim(file, room)) ? left : empty
  })
  return {
    read,
    others,
    take: Effect.fnUntraced(function* (room, isGone) {
      let taken = empty
      for (const file of yield* others) {
        const ageMs = yield* Effect.orElseSucceed(ageOf(file), () => 0)
        // nobody has that one where there are runners
        if (file !== FILE && !isGone(file) && ageMs <= STALE_MS) continue
        const { unsaid, voices } = yield* Effect.orElseSucceed(takeFrom(file, room), () => empty)
        taken = { voices: [...taken.voices, ...voices], unsaid: [...taken.unsaid, ...unsaid] }
      }
      return taken
    }),
    clear: Effect.gen(function* () {
      known.clear()
      for (const name of yield* names) {
        if (name === own || !part.test(name)) continue
        const ageMs = yield* Effect.orElseSucceed(ageOf(name), () => 0)
        if (ageMs > LEFT_FOR_MS) yield* Effect.ignore(files.remove(join(storage, name), { force: true }))
      }
    })
  }
})

const nothing: Rooms = new Map()
const empty: LeftSpeech.LeftRoom = { voices: [], unsaid: [] }

const journal = /^speech(-[\w-]{1,64})?\.journal$/
/** A journal of a runner, one that was being written anew, a mark. */
const part = /^speech(-[\w-]{1,64})?\.journal(\.new|\.[0-9a-f]{16}\.taken)?$/

/** Rooms are not named on the disk. */
const markOf = (file: string, room: RoomToken): string =>
  `${file}.${createHash("sha256").update(`${file} ${room}`).digest("hex").slice(0, 16)}.taken`
