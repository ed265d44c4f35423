/**
 * OpenAiAudio: the way of one session's audio to OpenAI: encoded, appended, and committed where nobody pauses.
 */
import { type AudioFrame, SAMPLE_RATE } from "../domain/Audio.ts"
import type { EndCause } from "../domain/Speech.ts"
import type { OpenAiItems } from "./OpenAiItems.ts"
import * as OpenAiProtocol from "./OpenAiProtocol.ts"
import * as Pcm16 from "./Pcm16.ts"
import * as WordGaps from "./WordGaps.ts"

export interface OpenAiAudio {
  readonly append: (frame: AudioFrame) => void
  /** Ends the utterance, if enough was appended since the last one. */
  readonly commit: (cause: EndCause) => void
}

export interface OpenAiAudioOptions {
  readonly items: OpenAiItems
  readonly now: () => number
  /** `false`: it was not taken. Nothing is sent behind a loss: it could not be proven any more. */
  readonly send: (message: string) => boolean
  /** So many samples were taken. */
  readonly onAppended: (samples: number) => void
}

/** Speech without a pause is committed at the next quiet frame after the first, and anyhow after the second: the models take turns. */
const COMMIT_AT_QUIET = 20 * SAMPLE_RATE
const COMMIT_ANYHOW = 30 * SAMPLE_RATE
/** 5 s of one append: a third of a megabyte, where 15 are allowed. */
const MAX_APPEND_SAMPLES = 5 * SAMPLE_RATE

export const make = ({ items, now, onAppended, send }: OpenAiAudioOptions): OpenAiAudio => {
  const encode = Pcm16.base64Encoder()
  const isGap = WordGaps.make()
  let isWhole = true

  const sendBehind = (message: string): boolean => {
    isWhole = isWhole && send(message)
    return isWhole
  }
  const commit = (cause: EndCause, gapBefore?: number): void => {
    const eventId = isWhole ? items.commit(cause, now(), gapBefore) : undefined
    if (eventId !== undefined) sendBehind(JSON.stringify(OpenAiProtocol.commit(eventId)))
  }

  return {
    append: ({ pcm, position }) => {
      for (let from = 0; from < pcm.length; from += MAX_APPEND_SAMPLES) {
        const part = pcm.subarray(from, from + MAX_APPEND_SAMPLES)
        if (!sendBehind(OpenAiProtocol.append(encode(part)))) return
        items.appended(part.length, position + from + part.length)
        onAppended(part.length)
      }
      const isQuiet = isGap(pcm)
      const samples = items.uncommitted()
      // in the middle of the gap: the next word may begin softly at its end
      if (samples >= COMMIT_AT_QUIET && isQuiet) commit("MaxLength", Math.floor(pcm.length / 2))
      else if (samples >= COMMIT_ANYHOW) commit("MaxLength")
    },
    commit: (cause) => commit(cause, 0)
  }
}
