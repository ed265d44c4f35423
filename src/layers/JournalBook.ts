/**
 * JournalBook: what of all calls is heard or promised and not said, as entries for a file. Plain and synchronous.
 */
import type { RoomToken } from "../domain/Call.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { CallJournal, HeardMark, HeardSpeech, UnsaidText } from "../services/SpeechJournal.ts"
import * as JournalEntries from "./JournalEntries.ts"
import type { LeftRoom } from "./LeftSpeech.ts"

export interface JournalBook {
  /** One more has the call open, until it is closed: whoever captions it, and a part that is heard for others. */
  readonly call: (room: RoomToken) => CallJournal
  /** The call is over, for one: when all have closed it nothing of it is to be said any more. */
  readonly close: (room: RoomToken) => void
  /** What another process left; kept until its calls take it. */
  readonly restore: (rooms: ReadonlyMap<RoomToken, LeftRoom>) => void
  /** What is new since it was last taken. Valid until the book is told something. */
  readonly take: () => Uint8Array
  /** Begins to give all there is, for a file that takes the place of the one before; with its last part what is new begins behind it. */
  readonly rewrite: () => Rewrite
  /** New entries need not be kept, until all was given anew. A rewrite that has begun is given up. */
  readonly pause: () => void
  readonly waiting: () => number
  readonly isEmpty: () => boolean
}

export interface Rewrite {
  /** The next part: whole voices, one at least, until it has `size` bytes. What comes between two parts of a voice that was given is in the next one. */
  readonly next: (size: number) => { readonly part: Uint8Array; readonly isLast: boolean }
}

/** A voice of this process, or one that was left by another and nobody has taken. */
interface Kept {
  readonly number: number
  readonly room: RoomToken
  readonly id: string
  readonly key: VoiceKey
  readonly tell: (position: number, listener: HeardSpeech) => void
  mark: HeardMark
  /** What the last entry says was said; `undefined`: the next one says all of it. */
  written: string | undefined
  /** Of another process. */
  isLeft: boolean
  /** Characters behind the mark that readers have, about. */
  told: number
}

type VoiceEntry = Exclude<JournalEntries.Entry, { readonly _tag: "Unsaid" }>
/** Where entries of voices go. */
type EntriesOfVoices = Pick<JournalEntries.EntryWriter, "hear"> & { readonly write: (entry: VoiceEntry) => void }

/** `onNew` is called at every change; `isUrgent`: readers have got something, and would get it again. */
export const make = (onNew: (isUrgent: boolean) => void): JournalBook => {
  const writer = JournalEntries.writer()
  const voices = new Map<number, Kept>()
  const unsaid = new Map<RoomToken, ReadonlyArray<UnsaidText>>()
  const changed = new Set<RoomToken>()
  /** Whose mark is new. */
  const marked = new Set<Kept>()
  const left = new Map<RoomToken, LeftRoom>()
  const opened = new Map<RoomToken, number>()
  let numbers = 0
  let isPaused = false
  /** What is being written anew, and the numbers of the voices that are in it. */
  let draft: { readonly writer: JournalEntries.EntryWriter; readonly has: Set<number> } | undefined

  const keepEntry = (entry: VoiceEntry) => {
    if (!isPaused) writer.write(entry)
    if (draft?.has.has(entry.number)) draft.writer.write(entry)
  }
  const write = (entry: VoiceEntry) => {
    keepEntry(entry)
    onNew(false)
  }
  const hear: EntriesOfVoices["hear"] = (number, position, packet) => {
    if (!isPaused) writer.hear(number, position, packet)
    if (draft?.has.has(number)) draft.writer.hear(number, position, packet)
    onNew(false)
  }
  const keep = (room: RoomToken, id: string, key: VoiceKey, tell: Kept["tell"]): Kept => {
    const unmarked = { mark: { position: 0, said: "" }, written: undefined, told: 0 }
    const kept: Kept = { number: ++numbers, room, id, key, tell, isLeft: false, ...unmarked }
    voices.set(kept.number, kept)
    write({ _tag: "Voice", number: kept.number, voice: { room, id, key } })
    return kept
  }
  const forget = (kept: Kept) => {
    const { number } = kept
    marked.delete(kept)
    if (voices.delete(number)) write({ _tag: "Forgotten", number })
  }
  const forgetVoices = (isOver: (kept: Kept) => boolean) => {
    for (const kept of voices.values()) if (isOver(kept)) forget(kept)
  }
  const say = (room: RoomToken, texts: ReadonlyArray<UnsaidText>) => {
    const before = unsaid.get(room) ?? []
    if (JSON.stringify(before) === JSON.stringify(texts)) return
    if (texts.length === 0) unsaid.delete(room)
    else unsaid.set(room, texts)
    changed.add(room)
    onNew(hasLess(before, texts) || hasBegun(before, texts))
  }

  const keepMarks = () => {
    for (const kept of marked) {
      keepEntry({ _tag: "Marked", number: kept.number, mark: sinceWritten(kept) })
      kept.written = kept.mark.said
    }
    marked.clear()
  }
  const rewrite = (): Rewrite => {
    const mine = { writer: JournalEntries.writer(), has: new Set<number>() }
    draft = mine
    // those that begin meanwhile come last
    const given = voices.values()
    const giveVoice = (kept: Kept) => {
      const { id, key, mark, number, room, tell } = kept
      mine.writer.write({ _tag: "Voice", number, voice: { room, id, key } })
      tell(mark.position, entriesOf(number, mine.writer))
      mine.writer.write({ _tag: "Marked", number, mark })
      // the file before says something else
      kept.written = undefined
      mine.has.add(number)
    }
    const finish = () => {
      keepMarks()
      for (const [room, texts] of unsaid) mine.writer.write({ _tag: "Unsaid", room, texts })
      changed.clear()
      writer.take()
      isPaused = false
      draft = undefined
    }
    return {
      next: (size) => {
        do {
          const { done, value } = given.next()
          if (done === true) {
            finish()
            return { part: mine.writer.take(), isLast: true }
          }
          giveVoice(value)
        } while (mine.writer.length() < size)
        return { part: mine.writer.take(), isLast: false }
      }
    }
  }

  const callOf = (room: RoomToken): CallJournal => ({
    take: () => {
      const { unsaid: texts, voices: heard } = left.get(room) ?? { unsaid: [], voices: [] }
      if (left.delete(room)) {
        forgetVoices((kept) => kept.isLeft && kept.room === room)
        say(room, [])
      }
      return { unsaid: texts, voices: heard }
    },
    voice: (id, key, tell) => {
      const kept = keep(room, id, key, tell)
      return {
        ...entriesOf(kept.number, { write, hear }),
        mark: (mark) => {
          const told = mark.said.length - promisedOf(unsaid.get(room) ?? [], id)
          const isUrgent = mark.position > kept.mark.position || told > kept.told
          kept.mark = markOf(mark)
          if (voices.has(kept.number)) marked.add(kept)
          kept.told = told
          onNew(isUrgent)
        },
        forget: () => forget(kept)
      }
    },
    unsaid: (texts) => {
      if (!left.has(room)) say(room, texts)
    }
  })

  return {
    call: (room) => {
      opened.set(room, (opened.get(room) ?? 0) + 1)
      return callOf(room)
    },
    close: (room) => {
      const others = (opened.get(room) ?? 1) - 1
      if (others > 0) {
        opened.set(room, others)
        return
      }
      opened.delete(room)
      left.delete(room)
      forgetVoices((kept) => kept.room === room)
      say(room, [])
    },
    restore: (rooms) => {
      for (const [room, one] of rooms) {
        left.set(room, one)
        say(room, one.unsaid)
        for (const voice of one.voices) {
          const kept = keep(room, voice.id, voice.key, (_, listener) => voice.tell(listener))
          kept.isLeft = true
          kept.mark = markOf(voice)
        }
      }
    },
    take: () => {
      keepMarks()
      for (const room of changed) writer.write({ _tag: "Unsaid", room, texts: unsaid.get(room) ?? [] })
      changed.clear()
      return writer.take()
    },
    rewrite,
    pause: () => {
      writer.take()
      draft = undefined
      isPaused = true
    },
    waiting: () => writer.length() + (draft?.writer.length() ?? 0),
    isEmpty: () => voices.size === 0 && unsaid.size === 0
  }
}

const entriesOf = (number: number, to: EntriesOfVoices): HeardSpeech => ({
  begin: (start) => to.write({ _tag: "Began", number, start }),
  hear: (position, packet) => to.hear(number, position, packet),
  end: (heard, end, silence) => to.write({ _tag: "Ended", number, heard, end, silence })
})

/** Of somebody who makes no pause for minutes, what was said is long, and there is more of it with every word. */
const sinceWritten = ({ mark, written = "" }: Kept): HeardMark & { readonly kept?: number } =>
  // `startsWith` looks at one character after the other: for long texts that is more than ten times as slow
  written !== "" && mark.said.slice(0, written.length) === written
    ? { position: mark.position, said: mark.said.slice(written.length), kept: written.length }
    : mark

const markOf = ({ position, said }: HeardMark): HeardMark => ({ position, said })

const textOf = (texts: ReadonlyArray<UnsaidText>, one: Pick<UnsaidText, "voice" | "speaker">): string =>
  texts
    .filter(({ speaker, voice }) => voice === one.voice && speaker === one.speaker)
    .flatMap((same) => same.texts)
    .join("\n")

/** Something of `before` was handed on, or reads otherwise: more of it has only come. */
const hasLess = (before: ReadonlyArray<UnsaidText>, after: ReadonlyArray<UnsaidText>): boolean =>
  before.some((one) => !textOf(after, one).startsWith(textOf(before, one)))

/** A caption has begun: whoever does not know that says it once more, on screens that continue only what stands last. */
const hasBegun = (before: ReadonlyArray<UnsaidText>, after: ReadonlyArray<UnsaidText>): boolean =>
  after.some(({ speaker, texts, voice }) => {
    const same = before.find((one) => one.voice === voice && one.speaker === speaker)
    return texts.length > (same?.texts.length ?? 0)
  })

/** Characters of the voice that are promised and not said. */
const promisedOf = (texts: ReadonlyArray<UnsaidText>, id: string): number =>
  texts
    .filter(({ voice }) => voice === id)
    .reduce((sum, one) => one.texts.reduce((length, text) => length + text.length, sum) - one.ahead.length, 0)
