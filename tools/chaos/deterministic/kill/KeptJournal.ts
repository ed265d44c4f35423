/**
 * KeptJournal: the file of a speech journal as several processes leave it, each written in the rhythm of `FileSpeechJournal`, unsealed and in memory.
 */
import { Effect, Latch, type Scope } from "effect"
import type { RoomToken } from "../../../../src/domain/Call.ts"
import * as JournalBook from "../../../../src/layers/JournalBook.ts"
import * as JournalEntries from "../../../../src/layers/JournalEntries.ts"
import * as LeftSpeech from "../../../../src/layers/LeftSpeech.ts"
import type { CallJournal } from "../../../../src/services/SpeechJournal.ts"

export interface KeptJournal {
  /** The journal of one process: begins with what the file holds, and writes it until the scope closes or `isDead`. */
  readonly open: (room: RoomToken, isDead: () => boolean) => Effect.Effect<CallJournal, never, Scope.Scope>
}

export interface KeptJournalOptions {
  /** Bytes by which the file grows before it is written anew. */
  readonly growth: number
  /** For the story. */
  readonly note: (what: string) => void
}

/** As in `FileSpeechJournal`. */
const WRITE_EVERY = "40 millis"

/** A file that is empty. */
export const make = ({ growth, note }: KeptJournalOptions): KeptJournal => {
  let file: ReadonlyArray<Uint8Array> = []
  return {
    open: Effect.fnUntraced(function* (room, isDead) {
      const filled = Latch.makeUnsafe(false)
      const urgent = Latch.makeUnsafe(false)
      const book = JournalBook.make((isUrgent) => {
        filled.openUnsafe()
        if (isUrgent) urgent.openUnsafe()
      })
      const left = LeftSpeech.make()
      for (const batch of file) for (const entry of JournalEntries.read(batch)) left.take(entry)
      const rooms = left.rooms()
      for (const { unsaid, voices } of rooms.values()) {
        for (const { hasSpeech, id, position, said } of voices)
          note(
            `  left of ${id}: ${hasSpeech ? "speech" : "silence"} from ${(position / 24_000).toFixed(2)} s on, said "${said}"`
          )
        for (const { ahead, texts, voice } of unsaid)
          note(`  unsaid of ${voice}: ${JSON.stringify(texts)}, ahead "${ahead}"`)
      }
      book.restore(rooms)
      let grown = Number.POSITIVE_INFINITY
      yield* Effect.gen(function* () {
        yield* filled.await
        yield* Effect.timeoutOption(urgent.await, WRITE_EVERY)
        yield* Effect.yieldNow
        filled.closeUnsafe()
        urgent.closeUnsafe()
        if (isDead()) return
        const isAnew = grown > growth
        const batch = Uint8Array.from(isAnew ? book.rewrite().next(Number.POSITIVE_INFINITY).part : book.take())
        file = isAnew ? [batch] : [...file, batch]
        grown = isAnew ? 0 : grown + batch.length
      }).pipe(Effect.forever, Effect.forkScoped)
      return book.call(room)
    })
  }
}
