/**
 * LeftSpeech: what the entries of a journal come to when their process is no more.
 */
import { FRAME_SAMPLES, RTP_CLOCK_RATE, SAMPLE_RATE } from "../domain/Audio.ts"
import type { RoomToken } from "../domain/Call.ts"
import type { HeardMark, HeardSpeech, LeftVoice, UnsaidText } from "../services/SpeechJournal.ts"
import type { Entry, VoiceEntry } from "./JournalEntries.ts"
import { ticksOf } from "./OpusPacket.ts"

export interface LeftSpeech {
  /** Takes the next entry; what it refers to stays in place. */
  readonly take: (entry: Entry) => void
  /** By room, what is not said. */
  readonly rooms: () => Map<RoomToken, LeftRoom>
}

export interface LeftRoom {
  readonly voices: ReadonlyArray<LeftVoice>
  readonly unsaid: ReadonlyArray<UnsaidText>
}

type Heard = Extract<Entry, { readonly _tag: "Began" | "Heard" | "Ended" }>

interface Reading {
  readonly voice: VoiceEntry
  readonly heard: Array<Heard>
  mark: HeardMark
}

export const make = (): LeftSpeech => {
  const voices = new Map<number, Reading>()
  const unsaid = new Map<RoomToken, ReadonlyArray<UnsaidText>>()
  return {
    take: (entry) => {
      switch (entry._tag) {
        case "Voice":
          voices.set(entry.number, { voice: entry.voice, heard: [], mark: { position: 0, said: "" } })
          return
        case "Unsaid":
          unsaid.set(entry.room, entry.texts)
          return
        case "Forgotten":
          voices.delete(entry.number)
          return
        case "Marked": {
          const reading = voices.get(entry.number)
          const { kept = 0, position, said } = entry.mark
          if (reading !== undefined) reading.mark = { position, said: reading.mark.said.slice(0, kept) + said }
          return
        }
        default:
          voices.get(entry.number)?.heard.push(entry)
      }
    },
    rooms: () => {
      const readings = [...voices.values()]
      const tokens = new Set([...unsaid.keys(), ...readings.map(({ voice }) => voice.room)])
      return new Map(
        [...tokens].map((room) => [
          room,
          {
            voices: readings.filter(({ voice }) => voice.room === room).map(leftVoice),
            unsaid: unsaid.get(room) ?? []
          }
        ])
      )
    }
  }
}

const leftVoice = ({ heard, mark, voice }: Reading): LeftVoice => {
  const stretches = whole(heard)
  return {
    id: voice.id,
    key: voice.key,
    ...mark,
    hasSpeech: stretches.some((one) => one._tag === "Ended" && one.heard > mark.position),
    tell: (listener) => tell(stretches, listener)
  }
}

/** A stretch that was being heard ends with the last packet there is of it. */
const whole = (heard: ReadonlyArray<Heard>): ReadonlyArray<Heard> => {
  const began = heard.findLast((one) => one._tag === "Began")
  const last = heard.findLast((one) => one._tag === "Heard")
  const isOpen = heard.findLast((one) => one._tag !== "Heard")?._tag === "Began"
  if (!isOpen || began === undefined || last === undefined) return heard
  const until = last.position + (ticksOf(last.packet) * SAMPLE_RATE) / RTP_CLOCK_RATE
  const frames = Math.ceil(Math.max(0, until - began.start) / FRAME_SAMPLES)
  return [
    ...heard,
    { _tag: "Ended", number: last.number, heard: until, end: began.start + frames * FRAME_SAMPLES, silence: 0 }
  ]
}

const tell = (heard: ReadonlyArray<Heard>, listener: HeardSpeech): void => {
  for (const one of heard) {
    if (one._tag === "Began") listener.begin(one.start, 0)
    else if (one._tag === "Heard") listener.hear(one.position, one.packet)
    else listener.end(one.heard, one.end, one.silence)
  }
}
