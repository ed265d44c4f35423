/**
 * EarlierVoice: what a process that was killed had heard of a voice, to be heard by an engine once more.
 */
import { Stream } from "effect"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import { joinText } from "../domain/Segment.ts"
import type { Decoder } from "../services/Decoder.ts"
import type { HeardSpeech, LeftVoice } from "../services/SpeechJournal.ts"
import type { Begun, Voice } from "../services/Transcriber.ts"
import * as SpeechMemory from "./SpeechMemory.ts"
import { RING_BYTES } from "./Voice.ts"

export interface EarlierVoiceOptions {
  readonly id: string
  readonly left: LeftVoice
  /** Ordinals of segments that are taken. */
  readonly segments: number
  /** Said behind what is promised. */
  readonly ahead: string
  readonly language: () => LanguageId
  readonly privacy: Privacy
  readonly decoder: Decoder["Service"]
  /** The monotonic clock in ms. */
  readonly now: () => number
  /** Is told of all its speech, also of what is told here. */
  readonly listener: HeardSpeech
}

/** Frames that are decoded at a time. */
const AHEAD = 8

export interface EarlierVoice {
  readonly voice: Voice
  /** What of it is said. */
  readonly begun: Begun
  readonly tell: SpeechMemory.SpeechMemory["tell"]
}

/** A voice that is over: its speech from the mark on, as fast as engines take it. */
export const make = (options: EarlierVoiceOptions): EarlierVoice => {
  const { ahead, decoder, id, language, left, listener, now, privacy, segments } = options
  const memory = SpeechMemory.make(RING_BYTES, decoder.makeCodec, listener)
  left.tell({ ...memory, begin: (start) => memory.begin(start, now()) })
  const begun: Begun = { position: left.position, said: joinText(left.said, ahead), segments }
  const voice: Voice = {
    id,
    frames: Stream.suspend(() => Stream.fromIterable(memory.replay(left.position), { chunkSize: AHEAD })),
    replay: memory.replay,
    language,
    privacy,
    waits: true,
    marks: true,
    begun
  }
  return { voice, begun, tell: memory.tell }
}
