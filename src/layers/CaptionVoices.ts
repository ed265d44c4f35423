/**
 * The voices of one call which have something to say, and whose they are.
 */
import type { SessionId } from "../domain/Call.ts"
import type { Segment } from "../domain/Segment.ts"
import * as CaptionLine from "./CaptionLine.ts"
import type { Block } from "./CaptionScreens.ts"
import type { CaptionSpeakers } from "./CaptionSpeakers.ts"

/** With so many voices known those who have long been silent are forgotten: whoever publishes again gets a new voice. */
const manyVoices = 64
const forgetMs = 60_000

export interface Voice {
  readonly key: string
  /** As those know it who publish. */
  readonly id: string
  readonly line: CaptionLine.CaptionLine
  readonly speaker: SessionId
  /** The speaker as Nextcloud knows it: survives a new session id. */
  speakerKey: string
  block: Block | undefined
  absentSinceMs: number | undefined
  /** When it published last. */
  heardMs: number
  /** Certainly on the screens, behind the last final. */
  leftOver: string
  /** When it began to wait for its turn, until it has spoken. */
  askedMs: number | undefined
}

export interface CaptionVoices {
  /** The voice which says this segment; a new one when it is the first of it. */
  readonly of: (speaker: SessionId, segment: Segment) => Voice
  /** Its microphone was heard before under another id, and something of that waits to be said. */
  readonly isBehind: (voice: Voice) => boolean
  /** Its speaker has left and has not come back. */
  readonly isGone: (voice: Voice) => boolean
  readonly get: (key: string) => Voice | undefined
  readonly all: () => Array<Voice>
  readonly forget: (voice: Voice) => void
  /** The session id under which pages know the speaker now. */
  readonly whereIs: (voice: Voice) => SessionId | undefined
  /** Remembers the speaker's lasting identity, while the roster shows it. */
  readonly recognise: (voice: Voice) => void
}

const unknownKey = (speaker: SessionId): string => `session:${speaker}`

/** A speaker can have several voices: a microphone and a shared screen, or one that was published anew. */
const keyOf = (speaker: SessionId, id: string): string => `${speaker} ${id}`
const voiceOf = ({ id }: Segment): string => id.slice(0, id.lastIndexOf(":"))
/** Whoever is heard anew gets a new number. */
const sourceOf = ({ id, speaker }: Voice): string => keyOf(speaker, id.slice(0, id.lastIndexOf(":")))

export const make = (options: { readonly speakers: CaptionSpeakers; readonly now: () => number }): CaptionVoices => {
  const { now, speakers } = options
  const voices = new Map<string, Voice>()

  const begin = (id: string, speaker: SessionId): Voice => {
    if (voices.size >= manyVoices) {
      for (const [other, { heardMs, line }] of voices) {
        if (!line.hasUnsaid() && now() - heardMs > forgetMs) voices.delete(other)
      }
    }
    const voice: Voice = {
      key: keyOf(speaker, id),
      id,
      line: CaptionLine.make(),
      speaker,
      speakerKey: speakers.keyOf(speaker) ?? unknownKey(speaker),
      block: undefined,
      absentSinceMs: undefined,
      heardMs: now(),
      leftOver: "",
      askedMs: undefined
    }
    voices.set(voice.key, voice)
    return voice
  }
  return {
    of: (speaker, segment) => {
      const id = voiceOf(segment)
      const voice = voices.get(keyOf(speaker, id)) ?? begin(id, speaker)
      voice.heardMs = now()
      return voice
    },
    isBehind: (voice) => {
      for (const other of voices.values()) {
        if (other === voice) return false
        if (other.block === undefined && sourceOf(other) === sourceOf(voice) && other.line.hasUnsaid()) return true
      }
      return false
    },
    isGone: ({ speaker, speakerKey }) => speakers.isGone(speaker, speakerKey),
    get: (key) => voices.get(key),
    all: () => [...voices.values()],
    forget: (voice) => {
      voices.delete(voice.key)
    },
    whereIs: ({ speaker, speakerKey }) => speakers.whereIs(speaker, speakerKey),
    recognise: (voice) => {
      voice.speakerKey = speakers.keyOf(voice.speaker) ?? voice.speakerKey
    }
  }
}
