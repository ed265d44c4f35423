/**
 * Sound: audio that says of every sample whose it is and where it belongs, so that an engine can tell what it was really sent.
 */
import { type AudioFrame, FRAME_SAMPLES } from "../../../src/domain/Audio.ts"
import type { SpokenWord, Stretch } from "./Utterances.ts"

/** Positions repeat after 2.7 s; more does not fit into a float32 beside 128 voices. */
const PERIOD = 65_536
/** Makes a sample of at most 1, exactly. */
const SCALE = 2 ** -24
/** Quieter ones would be no speech to whoever hears live audio. */
const QUIETEST = 8
/** Half a wave, samples: 1 kHz. */
const HALF_WAVE = 12

/** What belongs at a place of a voice. */
export const sampleOf = (voice: number, position: number): number => {
  const level = ((voice + QUIETEST) * PERIOD + (position % PERIOD)) * SCALE
  return Math.floor(position / HALF_WAVE) % 2 === 0 ? level : -level
}

/** The frames of a stretch, the last one padded with zeros. */
export const framesOf = (voice: number, { from, to }: Stretch): ReadonlyArray<Omit<AudioFrame, "heardAtMs">> =>
  Array.from({ length: Math.ceil((to - from) / FRAME_SAMPLES) }, (_, index) => {
    const position = from + index * FRAME_SAMPLES
    const pcm = new Float32Array(FRAME_SAMPLES)
    const sound = Math.min(FRAME_SAMPLES, to - position)
    for (let at = 0; at < sound; at++) pcm[at] = sampleOf(voice, position + at)
    return { position, pcm, endsSpeech: position + FRAME_SAMPLES >= to }
  })

/** Whose sound a frame is; undefined where its first or last sample is not what belongs there. */
export const voiceIn = ({ endsSpeech, pcm, position }: AudioFrame): number | undefined => {
  const first = pcm[0] ?? 0
  const last = pcm[pcm.length - 1] ?? 0
  // what is left of the padding
  if (first === 0 && endsSpeech) return -1
  const voice = Math.floor(Math.abs(first) / SCALE / PERIOD) - QUIETEST
  const fits = first === sampleOf(voice, position)
  const ends = last === sampleOf(voice, position + pcm.length - 1) || (last === 0 && endsSpeech)
  return fits && ends ? voice : undefined
}

export interface Ear {
  /** The words that are complete with this frame. */
  readonly hear: (frame: AudioFrame) => ReadonlyArray<SpokenWord>
  /** End of what was heard. */
  readonly position: () => number
}

/**
 * Hears a voice that says `words`: a word is heard when all of its samples came in one piece. What is wrong with a frame is told to `complain`.
 */
export const makeEar = (words: ReadonlyArray<SpokenWord>, complain: (what: string) => void): Ear => {
  let from = 0
  let to = 0
  let padded = false
  let next = 0
  return {
    hear: ({ endsSpeech, pcm, position }) => {
      // the stretch behind may begin within the zeros that end this one
      if (position < to && !padded) complain(`was sent ${position} behind ${to}`)
      if (position !== to) from = position
      to = position + pcm.length
      padded = endsSpeech
      const heard: Array<SpokenWord> = []
      for (let word = words[next]; word !== undefined && word.to <= to; word = words[++next])
        if (word.from >= from) heard.push(word)
      return heard
    },
    position: () => to
  }
}
