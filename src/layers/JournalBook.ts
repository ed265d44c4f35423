/**
 * JournalBook: what of all calls is heard or promised and not said, as entries for a file. Plain and synchronous.
 */
import type { RoomToken } from "../domain/Call.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { CallJournal, HeardMark, HeardSpeech, UnsaidText } from "../services/SpeechJournal.ts"
import * as JournalEntries from "./JournalEntries.ts"
import type { LeftRoom } from "./LeftSpeech.ts"

export interface JournalBook {
  readonly call: (room: RoomToken) => CallJournal
  /** The call is over: nothing of it is to be said any more. */
  readonly close: (room: RoomToken) => void
  /** What another process left; kept until its calls take it. */
  readonly restore: (rooms: ReadonlyMap<RoomToken, LeftRoom>) => void
  /** What is new since it was last taken; `all` there is when the file is to be written anew. Valid until the book is told something. */
  readonly take: (all: boolean) => Uint8Array
  /** New entries need not be kept, until all is taken. */
  readonly pause: () => void
  readonly waiting: () => number
  readonly isEmpty: () => boolean
}

/** A voice of this process, or one that was left by another and nobody has taken. */
interface Kept {
  readonly number: number
  readonly room: RoomToken
  readonly id: string
  readonly key: VoiceKey
  readonly tell: (position: number, listener: HeardSpeech) => void
  mark: HeardMark
  isMarkNew: boolean
  /** Characters behind the mark that readers have, about. */
  told: number
}

/** `onNew` is called at every change; `isUrgent`: readers have got something, and would get it again. */
export const make = (onNew: (isUrgent: boolean) => void): JournalBook => {
  const writer = JournalEntries.writer()
  const voices = new Map<number, Kept>()
  const unsaid = new Map<RoomToken, ReadonlyArray<UnsaidText>>()
  const changed = new Set<RoomToken>()
  const left = new Map<RoomToken, LeftRoom>()
  let numbers = 0
  let isPaused = false

  const write = (entry: JournalEntries.Entry) => {
    if (!isPaused) writer.write(entry)
    onNew(false)
  }
  const entriesOf = (number: number, to: (entry: JournalEntries.Entry) => void): HeardSpeech => ({
    begin: (start) => to({ _tag: "Began", number, start }),
    hear: (position, packet) => to({ _tag: "Heard", number, position, packet }),
    end: (heard, end, silence) => to({ _tag: "Ended", number, heard, end, silence })
  })
  const keep = (room: RoomToken, id: string, key: VoiceKey, tell: Kept["tell"]): Kept => {
    const kept = { number: ++numbers, room, id, key, tell, mark: { position: 0, said: "" }, isMarkNew: false, told: 0 }
    voices.set(kept.number, kept)
    write({ _tag: "Voice", number: kept.number, voice: { room, id, key } })
    return kept
  }
  const forget = (number: number) => {
    if (voices.delete(number)) write({ _tag: "Forgotten", number })
  }
  const forgetVoicesOf = (room: RoomToken) => {
    for (const kept of voices.values()) if (kept.room === room) forget(kept.number)
  }
  const say = (room: RoomToken, texts: ReadonlyArray<UnsaidText>) => {
    const before = unsaid.get(room) ?? []
    if (JSON.stringify(before) === JSON.stringify(texts)) return
    if (texts.length === 0) unsaid.delete(room)
    else unsaid.set(room, texts)
    changed.add(room)
    onNew(hasLess(before, texts))
  }

  return {
    call: (room) => ({
      take: () => {
        const { unsaid: texts, voices: heard } = left.get(room) ?? { unsaid: [], voices: [] }
        if (left.delete(room)) {
          forgetVoicesOf(room)
          say(room, [])
        }
        return { unsaid: texts, voices: heard }
      },
      voice: (id, key, tell) => {
        const kept = keep(room, id, key, tell)
        return {
          ...entriesOf(kept.number, write),
          mark: (mark) => {
            const told = mark.said.length - promisedOf(unsaid.get(room) ?? [], id)
            const isUrgent = mark.position > kept.mark.position || told > kept.told
            kept.mark = markOf(mark)
            kept.isMarkNew = true
            kept.told = told
            onNew(isUrgent)
          },
          forget: () => forget(kept.number)
        }
      },
      unsaid: (texts) => {
        if (!left.has(room)) say(room, texts)
      }
    }),
    close: (room) => {
      left.delete(room)
      forgetVoicesOf(room)
      say(room, [])
    },
    restore: (rooms) => {
      for (const [room, one] of rooms) {
        left.set(room, one)
        say(room, one.unsaid)
        for (const voice of one.voices) {
          keep(room, voice.id, voice.key, (_, listener) => voice.tell(listener)).mark = markOf(voice)
        }
      }
    },
    take: (all) => {
      if (all) {
        writer.take()
        isPaused = false
        for (const { id, key, number, room, tell, mark } of voices.values()) {
          writer.write({ _tag: "Voice", number, voice: { room, id, key } })
          tell(mark.position, entriesOf(number, writer.write))
        }
      }
      for (const kept of voices.values()) {
        if (all || kept.isMarkNew) writer.write({ _tag: "Marked", number: kept.number, mark: kept.mark })
        kept.isMarkNew = false
      }
      for (const room of all ? unsaid.keys() : changed) {
        writer.write({ _tag: "Unsaid", room, texts: unsaid.get(room) ?? [] })
      }
      changed.clear()
      return writer.take()
    },
    pause: () => {
      writer.take()
      isPaused = true
    },
    waiting: writer.length,
    isEmpty: () => voices.size === 0 && unsaid.size === 0
  }
}

const markOf = ({ position, said }: HeardMark): HeardMark => ({ position, said })

const textOf = (texts: ReadonlyArray<UnsaidText>, one: Pick<UnsaidText, "voice" | "speaker">): string =>
  texts
    .filter(({ speaker, voice }) => voice === one.voice && speaker === one.speaker)
    .flatMap((same) => same.texts)
    .join("\n")

/** Something of `before` was handed on, or reads otherwise: more of it has only come. */
const hasLess = (before: ReadonlyArray<UnsaidText>, after: ReadonlyArray<UnsaidText>): boolean =>
  before.some((one) => !textOf(after, one).startsWith(textOf(before, one)))

/** Characters of the voice that are promised and not said. */
const promisedOf = (texts: ReadonlyArray<UnsaidText>, id: string): number =>
  texts
    .filter(({ voice }) => voice === id)
    .reduce((sum, one) => one.texts.reduce((length, text) => length + text.length, sum) - one.ahead.length, 0)
