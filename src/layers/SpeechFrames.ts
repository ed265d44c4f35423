/**
 * Cuts speech into 80 ms frames: each stretch of speech has a grid of its own, which begins with its first sample.
 */
import { type AudioFrame, FRAME_SAMPLES, samplesOfMs } from "../domain/Audio.ts"

export interface SpeechFrames {
  readonly isRunning: () => boolean
  /** Where the next sample belongs; after a stretch the end of its last frame. */
  readonly position: () => number
  /** Samples from `position` on, which is not before the stretch, until the frame it lies in is full; 0 where none is running. */
  readonly lacking: (position: number) => number
  /** A stretch begins at `position`: behind the last one, or within the zeros its last frame was padded with. */
  readonly begin: (position: number) => void
  /** Takes samples from index `from` on until they or the stretch are at an end; gives the index it came to. */
  readonly write: (pcm: Float32Array, from: number, atMs: number) => number
  /** The same for missing samples, which become zeros; gives how many it took. */
  readonly skip: (samples: number, atMs: number) => number
  /** The stretch ends here: the frame in progress is filled up with zeros. */
  readonly end: () => void
}

/**
 * A gap that outlasts the hang-over lies between two stretches of speech; a shorter one becomes zeros within one, so that the clock of the
 * audio keeps its pace.
 */
export const LONGEST_GAP = samplesOfMs(400)

/**
 * Makes the cutter of one voice. A full frame is handed on at once, and its samples are written over when `push` says that nothing of it is kept;
 * when it is full, `isOver` says whether the stretch ends with it.
 */
export const make = (push: (frame: AudioFrame) => boolean, isOver: (position: number) => boolean): SpeechFrames => {
  let running = false
  let start = 0
  let pcm: Float32Array | undefined
  /** Samples of a frame that nobody keeps: 12 frames a second of each voice are what the garbage collector has most to do with. */
  let spare: Float32Array | undefined
  let filled = 0
  /** An object, because a number that closures share is boxed at every change. */
  const heard = { atMs: 0 }

  const empty = (): Float32Array => {
    const samples = spare?.fill(0) ?? new Float32Array(FRAME_SAMPLES)
    spare = undefined
    return samples
  }
  const finish = (endsSpeech: boolean) => {
    const samples = pcm ?? empty()
    pcm = undefined
    if (push({ position: start, pcm: samples, heardAtMs: heard.atMs, endsSpeech })) spare = samples
    start += FRAME_SAMPLES
    filled = 0
    running = !endsSpeech
  }
  const advance = (samples: number, atMs: number) => {
    filled += samples
    heard.atMs = Math.max(heard.atMs, atMs)
    if (filled === FRAME_SAMPLES) finish(isOver(start + FRAME_SAMPLES))
  }

  return {
    isRunning: () => running,
    position: () => start + filled,
    lacking: (position) => (running ? FRAME_SAMPLES - ((position - start) % FRAME_SAMPLES) : 0),
    begin: (position) => {
      start = position
      running = true
    },
    write: (input, from, atMs) => {
      let at = from
      while (running && at < input.length) {
        const taken = Math.min(input.length - at, FRAME_SAMPLES - filled)
        pcm ??= empty()
        if (taken === input.length) pcm.set(input, filled)
        else for (let n = 0; n < taken; n++) pcm[filled + n] = input[at + n] ?? 0
        at += taken
        advance(taken, atMs)
      }
      return at
    },
    skip: (samples, atMs) => {
      let left = samples
      while (running && left > 0) {
        const taken = Math.min(left, FRAME_SAMPLES - filled)
        left -= taken
        advance(taken, atMs)
      }
      return samples - left
    },
    end: () => {
      if (running) finish(true)
    }
  }
}
