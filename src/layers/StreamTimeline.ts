/**
 * StreamTimeline: where in the voice's audio lies what an engine says about its own stream. The stream is what it was sent: speech without
 * the silence between, and silence that the adapter put in.
 */
import { SAMPLE_RATE } from "../domain/Audio.ts"

export interface StreamTimeline {
  /** Samples sent so far, at the engine's rate. */
  readonly sent: () => number
  /** A frame was sent: its position in the voice (24 kHz), its samples at the engine's rate. */
  readonly frame: (position: number, samples: number) => void
  /** Silence was sent that nobody kept. */
  readonly silence: (samples: number) => void
  /** Position in the voice of a sample of the stream; of inserted silence: the end of the speech before it, so never ahead. */
  readonly voiceAt: (sample: number) => number
  /** As `voiceAt`; but what begins in the last 160 ms of inserted silence is taken to begin with the speech behind it. */
  readonly onsetAt: (sample: number) => number
}

/** Speech that was sent in one piece. */
interface Stretch {
  readonly start: number
  readonly position: number
  samples: number
}

/** An engine is never so many stretches of speech behind; older ones are forgotten. */
const MAX_STRETCHES = 1024
/** Frames that follow each other this closely (20 ms) are one stretch: resamplers give the first frame of a stretch a little short. */
const SLACK = SAMPLE_RATE / 50
/** Two steps of Kyutai's model: how early a word may be said to begin. */
const EARLY_MS = 160

/** A timeline of which nothing was sent, for an engine that listens at `rate` Hz. */
export const make = (rate: number): StreamTimeline => {
  const stretches: Array<Stretch> = []
  const perSample = SAMPLE_RATE / rate
  const early = (EARLY_MS * rate) / 1000
  let sent = 0

  const endOf = ({ position, samples }: Stretch): number => position + samples * perSample
  const indexAt = (sample: number): number => stretches.findLastIndex(({ start }) => start <= sample)
  const voiceAt = (sample: number): number => {
    const stretch = stretches[Math.max(0, indexAt(sample))]
    if (stretch === undefined) return 0
    const offset = Math.min(stretch.samples, Math.max(0, sample - stretch.start))
    return Math.round(stretch.position + offset * perSample)
  }
  return {
    sent: () => sent,
    frame: (position, samples) => {
      const last = stretches.at(-1)
      const follows =
        last !== undefined && last.start + last.samples === sent && Math.abs(position - endOf(last)) <= SLACK
      if (follows) last.samples += samples
      else stretches.push({ start: sent, position, samples })
      if (stretches.length > MAX_STRETCHES) stretches.shift()
      sent += samples
    },
    silence: (samples) => {
      sent += samples
    },
    voiceAt,
    onsetAt: (sample) => {
      const index = indexAt(sample)
      const stretch = stretches[index]
      const next = stretches[index + 1]
      const inSpeech = stretch !== undefined && sample < stretch.start + stretch.samples
      return !inSpeech && next !== undefined && next.start - sample <= early ? next.position : voiceAt(sample)
    }
  }
}
