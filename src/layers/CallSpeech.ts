/**
 * CallSpeech: what is made of one voice of a call becomes captions of somebody.
 */
import { Effect } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import type { Gap } from "../domain/Caption.ts"
import type { LanguageId } from "../domain/Language.ts"
import { type Roster, speakerOf } from "../domain/Roster.ts"
import { gapBehind, type Segment, type Transcribed } from "../domain/Segment.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { HeardMark, HeardSpeech, VoiceJournal } from "../services/SpeechJournal.ts"
import { type Transcriber, transcribeTo, type Voice } from "../services/Transcriber.ts"
import type { CallSink } from "../services/TranscriptSink.ts"

/** Of a call. */
export interface CallSpeechOptions {
  readonly room: RoomToken
  readonly sink: CallSink
  readonly roster: () => Roster
  readonly language: () => LanguageId
}

export interface VoiceSpeechOptions {
  /** The voice's id. */
  readonly id: string
  readonly key: VoiceKey
  readonly now: () => number
  readonly journal: Pick<VoiceJournal, "mark">
}

export interface CallSpeech {
  /** Publishes it, and tells the journal how far the voice is said. Takes at once what belongs together: in between the journal may be written. */
  readonly take: (said: ReadonlyArray<Transcribed>) => void
}

/** A voice that is heard. */
export interface HeardVoice {
  readonly id: string
  readonly key: VoiceKey
  readonly voice: Voice
  /** Tells the newest packets that were heard. */
  readonly newest: (hear: HeardSpeech["hear"]) => void
  readonly mark: (reached: HeardMark) => void
  /** Something was read of it. */
  readonly answered: () => void
}

/** What becomes of a voice; completes when all of it was said. */
export type SayVoice = (heard: HeardVoice) => Effect.Effect<void>

export interface CaptioningOptions {
  readonly transcriber: Pick<Transcriber["Service"], "transcribe" | "transcribeTo">
  readonly now: () => number
  /** Completes when it is the voice's turn. */
  readonly toldBefore: (key: VoiceKey) => Effect.Effect<void>
}

/** It is captioned. */
export const captioning =
  (options: CallSpeechOptions, { now, toldBefore, transcriber }: CaptioningOptions): SayVoice =>
  ({ answered, id, key, mark, voice }) => {
    const speech = make(options, { key, id, now, journal: { mark } })
    const told = toldBefore(key)
    let isItsTurn = false
    const take = (said: ReadonlyArray<Transcribed>): void => {
      isItsTurn = true
      speech.take(said)
      if (said.some(({ _tag }) => _tag === "Segment")) answered()
    }
    return transcribeTo(transcriber, voice, (said) => {
      if (!isItsTurn) return Effect.andThen(told, () => Effect.sync(() => take(said)))
      take(said)
      return undefined
    })
  }

/** For one voice. */
export const make = (options: CallSpeechOptions, { id, journal, key, now }: VoiceSpeechOptions): CallSpeech => {
  const speakerOfSegment = attribution(key, options.roster)
  const marks = gapMarks(id, now)
  const interrupt = (position: number, samples: number) => {
    const mark = marks.next()
    const gap = { atMs: msOfSamples(position), lengthMs: msOfSamples(samples) }
    publish(options, { speaker: speakerOfSegment(mark), segment: mark, interrupted: gap })
  }
  const say = (segment: Segment) => {
    marks.behind(segment)
    publish(options, { speaker: speakerOfSegment(segment), segment })
  }
  return {
    take: (said) => {
      for (const one of said) {
        if (one._tag === "Marked") journal.mark(one)
        else if (one._tag === "Segment") say(one.segment)
        else if (one._tag === "Interrupted") interrupt(one.position, one.samples)
      }
    }
  }
}

/** Whoever is talking when a segment begins has said all of it: a phone caller's neighbour does not take it over. */
const attribution = (key: VoiceKey, roster: () => Roster) => {
  let current: { readonly segment: string; readonly speaker: SessionId } | undefined
  return (segment: Segment): SessionId => {
    if (current?.segment !== segment.id) {
      // Whoever has just left is no longer in the roster, their last words are still theirs.
      const speaker = speakerOf(roster(), key.publisher)?.session ?? current?.speaker ?? key.publisher
      current = { segment: segment.id, speaker }
    }
    return current.speaker
  }
}

/** Segments that say where words are missing in a voice, between those that say words. */
const gapMarks = (voice: string, now: () => number) => {
  let newest: string | undefined
  let ordinal = 0
  return {
    behind: ({ id }: Segment) => {
      if (id !== newest) ordinal = 0
      newest = id
    },
    next: () => gapBehind(newest, { atMs: now(), ordinal: ++ordinal, voice })
  }
}

interface Said {
  readonly speaker: SessionId
  readonly segment: Segment
  readonly interrupted?: Gap
}

/** A state of a segment, as the caption of somebody. */
export const publish = (options: CallSpeechOptions, said: Said): void => {
  const name = options.roster().participants.get(said.speaker)?.name
  options.sink.publish({
    room: options.room,
    ...(name === undefined ? {} : { speakerName: name }),
    language: options.language(),
    ...said
  })
}
