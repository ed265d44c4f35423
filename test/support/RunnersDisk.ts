/**
 * The journals of runners as if in files of one folder, in memory and on the test clock: see `FileSpeechJournal`.
 */
import { Effect, Latch } from "effect"
import type { RoomToken } from "../../src/domain/Call.ts"
import * as JournalBook from "../../src/layers/JournalBook.ts"
import * as JournalEntries from "../../src/layers/JournalEntries.ts"
import * as LeftSpeech from "../../src/layers/LeftSpeech.ts"
import type { SpeechJournal } from "../../src/services/SpeechJournal.ts"

/** As in `FileSpeechJournal`. */
const WRITE_EVERY = "40 millis"

/** Makes the journals of these runners; one that is dead writes nothing more, and what it left can be found. */
export const make = (isDead: (incarnation: string) => boolean) => {
  const disk = new Map<string, Array<Uint8Array>>()
  const taken = new Set<string>()
  const leftOf = (room: RoomToken, incarnation: string): LeftSpeech.LeftRoom => {
    const left = LeftSpeech.make()
    for (const batch of disk.get(incarnation) ?? []) for (const entry of JournalEntries.read(batch)) left.take(entry)
    return left.rooms().get(room) ?? { voices: [], unsaid: [] }
  }
  return (incarnation: string): SpeechJournal => {
    const filled = Latch.makeUnsafe(false)
    const urgent = Latch.makeUnsafe(false)
    const book = JournalBook.make((isUrgent) => {
      filled.openUnsafe()
      if (isUrgent) urgent.openUnsafe()
    })
    const batches: Array<Uint8Array> = []
    disk.set(incarnation, batches)
    const write = Effect.gen(function* () {
      yield* filled.await
      yield* Effect.timeoutOption(urgent.await, WRITE_EVERY)
      yield* Effect.yieldNow
      filled.closeUnsafe()
      urgent.closeUnsafe()
      if (!isDead(incarnation)) batches.push(Uint8Array.from(book.take()))
    })
    return {
      open: (room) => Effect.as(Effect.forkScoped(Effect.forever(write)), book.call(room)),
      find: (room, before) =>
        Effect.sync(() => {
          if (isDead(before ?? "")) book.restore(new Map([[room, leftOf(room, before ?? "")]]))
        }),
      leftBy: (room, gone) =>
        Effect.sync(() => {
          const { voices } = taken.has(gone) ? { voices: [] } : leftOf(room, gone)
          taken.add(gone)
          return voices
        })
    }
  }
}
