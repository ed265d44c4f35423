/**
 * A voice as it is given to another runner: what was heard of it and is not said, and by which packets the other knows where that ends.
 */
import type { RoomToken } from "../domain/Call.ts"
import type * as HandOver from "../domain/HandOver.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { HeardMark, HeardSpeech, Left } from "../services/SpeechJournal.ts"
import * as JournalEntries from "./JournalEntries.ts"
import * as LeftSpeech from "./LeftSpeech.ts"

export interface GivenVoice {
  readonly id: string
  readonly key: VoiceKey
  readonly mark: HeardMark
  readonly tell: (position: number, listener: HeardSpeech) => void
  /** Tells the newest packets that were heard. */
  readonly newest: (hear: HeardSpeech["hear"]) => void
  /** Since the newest of them arrived, ms. */
  readonly quietMs: number
  readonly isOver: boolean
}

/** One number is enough where there is one voice. */
const NUMBER = 1

export const give = ({ id, isOver, key, mark, newest, quietMs, tell }: GivenVoice): HandOver.LeftVoice => {
  const entries = JournalEntries.writer()
  const listener: HeardSpeech = {
    begin: (start) => entries.write({ _tag: "Began", number: NUMBER, start }),
    hear: (position, packet) => entries.write({ _tag: "Heard", number: NUMBER, position, packet }),
    end: (heard, end, silence) => entries.write({ _tag: "Ended", number: NUMBER, heard, end, silence })
  }
  tell(mark.position, listener)
  const speech = Uint8Array.from(entries.take())
  newest(listener.hear)
  const { position, said } = mark
  return { id, key, position, said, speech, newest: Uint8Array.from(entries.take()), quietMs, isOver }
}

/** Base64 of it is 6 MiB: no RPC of the cluster takes more than 16. */
export const MOST_BYTES = 4.5 * 1024 * 1024

/** All of them within `MOST_BYTES`: the longest go without their speech where they must, the others with all of it. `lost` of them were cut. */
export const within = (
  voices: ReadonlyArray<HandOver.LeftVoice>,
  most = MOST_BYTES
): { readonly voices: ReadonlyArray<HandOver.LeftVoice>; readonly lost: number } => {
  const sizeOf = ({ newest, speech }: HandOver.LeftVoice) => newest.length + speech.length
  let size = voices.reduce((sum, voice) => sum + sizeOf(voice), 0)
  const cut = new Set<HandOver.LeftVoice>()
  for (const voice of [...voices].sort((one, other) => other.speech.length - one.speech.length)) {
    if (size <= most) break
    cut.add(voice)
    size -= voice.speech.length
  }
  const fitting = voices.map((voice) => (cut.has(voice) ? { ...voice, speech: new Uint8Array(0) } : voice))
  return { voices: fitting, lost: cut.size }
}

/** The same for what a journal has of a process that is no more. */
export const ofJournal = ({ unsaid, voices }: Left): HandOver.Left => ({
  voices: voices.map(({ id, key, position, said, tell }) =>
    give({
      id,
      key,
      mark: { position, said },
      tell: (_, listener) => tell(listener),
      newest: () => {},
      quietMs: 0,
      isOver: false
    })
  ),
  unsaid
})

/** As a journal would have it: what was being heard ends where it was given away. */
export const toJournal = (room: RoomToken, { id, key, position, said, speech }: HandOver.LeftVoice) => {
  const left = LeftSpeech.make()
  left.take({ _tag: "Voice", number: NUMBER, voice: { room, id, key } })
  for (const entry of JournalEntries.read(speech)) left.take(entry)
  left.take({ _tag: "Marked", number: NUMBER, mark: { position, said } })
  return left.rooms().get(room)?.voices[0]
}
