/**
 * ModalFlushes: how much silence pushes the last words out of Kyutai's model, when they are all out, and what that proves. Plain and
 * synchronous.
 *
 * The model tells a word when half a second of audio has followed it, and the protocol says nothing but words. So a flush is silence, in
 * stages because silence is audio: first what a model of that delay still needs; where no word came of it, or one came late, as much as is
 * known to do in all cases.
 */
import { type AudioFrame, FRAME_SAMPLES, samplesOfMs } from "../domain/Audio.ts"

/** One flush: what was sent before it and is not out yet. */
export interface ModalFlush {
  /** Until it is to be looked at again, ms; 0: now. */
  readonly waitMs: () => number
  /** Nothing more comes of the silence so far: sends more (`true`), or it is over. */
  readonly goOn: () => boolean
  /** It is over: the position everything is certainly said up to, if it proved one. */
  readonly end: () => number | undefined
}

export interface ModalFlushes {
  /** Something was sent since the last silence. */
  readonly isDue: () => boolean
  /** A frame of the voice was sent behind all silence so far. */
  readonly sent: (frame: AudioFrame) => void
  /** A word came. */
  readonly told: (atMs: number) => void
  /** Sends silence; for when a flush is due. */
  readonly begin: () => ModalFlush
}

/**
 * Behind the last sound: the delay of the model (6 steps), the step in which it is sure that a word is over, and three for words that come
 * late. Kyutai's own client takes 8 in a pause that it was told of.
 */
const ENOUGH = 10 * FRAME_SAMPLES
/** However long it was silent before: what is only just being sent takes its time. */
const LEAST_FRAMES = 1
/** Sent behind all sound and silence of the voice, they have always been enough. */
const MOST_FRAMES = 13
/** No word comes sooner after its first sound. */
const DELAY = samplesOfMs(480)
/** What is sent at once is computed at three times real time, so an answer that takes longer is from the end of the silence. */
const LATE_MS = 400
/** A word that comes is noticed within this. */
const LOOK_MS = 100
/** Words of one burst follow each other within this, on a slow machine too. */
const QUIET_MS = 700
/** A model that has said nothing about the end of speech either has nothing to say or is slow. */
const SPEECHLESS_MS = 1_000
/** When somebody speaks on, what comes so long after the silence was computed is about that. */
const SPOKEN_ON_MS = 3_000

const SILENCE = new Float32Array(FRAME_SAMPLES)

/** The flushes of one session; `send` sends samples and is told apart from the voice by nobody but us. */
export const make = (send: (pcm: Float32Array) => void, now: () => number): ModalFlushes => {
  const running = new Set<{ readonly sent: (samples: number) => void; readonly told: (atMs: number) => void }>()
  let sentTo = 0
  let isDue = false
  /** At the end of what was sent. */
  let quiet = 0
  /** Samples that do not fill a step: the server keeps them until more comes. */
  let remainder = 0

  const silence = (frames: number) => {
    if (remainder > 0) send(SILENCE.subarray(remainder))
    remainder = 0
    for (let frame = 0; frame < frames; frame++) send(SILENCE)
  }

  const begin = (): ModalFlush => {
    const upTo = sentTo
    const frames = Math.max(LEAST_FRAMES, Math.ceil((ENOUGH - quiet) / FRAME_SAMPLES))
    silence(frames)
    isDue = false
    let silentMs = now()
    /** All the silence there is was sent. */
    let isAll = false
    /** The newest word since. */
    let answeredMs: number | undefined
    /** Of the voice, sent behind the silence, and when that was enough to hear words of it. */
    let behind = 0
    let spokenOnMs: number | undefined
    let isDoubtful = false

    const flush = {
      sent: (samples: number) => {
        behind += samples
        if (behind >= DELAY) spokenOnMs ??= now()
      },
      told: (atMs: number) => {
        answeredMs = atMs
        if (spokenOnMs !== undefined) isDoubtful = true
      }
    }
    running.add(flush)

    const quietMs = (): number => {
      if (answeredMs === undefined) return silentMs + (isAll || behind > 0 ? SPEECHLESS_MS : LATE_MS)
      return needsMore() ? answeredMs : Math.max(silentMs, answeredMs) + QUIET_MS
    }
    const dueMs = () => (spokenOnMs === undefined ? quietMs() : Math.min(quietMs(), spokenOnMs + SPOKEN_ON_MS))
    const needsMore = () => !isAll && behind === 0 && (answeredMs === undefined || answeredMs - silentMs > LATE_MS)

    return {
      waitMs: () => Math.min(LOOK_MS, Math.max(0, dueMs() - now())),
      goOn: () => {
        if (!needsMore()) return false
        isAll = true
        silence(Math.max(0, MOST_FRAMES - frames))
        silentMs = now()
        return true
      },
      end: () => {
        running.delete(flush)
        const isQuiet = answeredMs !== undefined && now() - answeredMs >= QUIET_MS
        return isQuiet && !isDoubtful ? upTo : undefined
      }
    }
  }

  return {
    isDue: () => isDue,
    sent: ({ pcm, position, silence: tail = 0 }) => {
      sentTo = position + pcm.length
      isDue = true
      quiet = tail
      remainder = (remainder + pcm.length) % FRAME_SAMPLES
      for (const flush of running) flush.sent(pcm.length)
    },
    told: (atMs) => {
      for (const flush of running) flush.told(atMs)
    },
    begin
  }
}
