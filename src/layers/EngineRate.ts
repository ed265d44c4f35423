/**
 * Audio at the rate an engine listens to: hearing is at 24 kHz, an engine may want less.
 */
import { type AudioFrame, SAMPLE_RATE } from "../domain/Audio.ts"
import type { Resampler, ResamplerStream, SampleRate } from "../services/Resampler.ts"

/**
 * Makes the conversion of one session; frames at the engine's own rate pass untouched. Each stretch of speech is converted as one piece: its
 * first frame comes out shorter by the filter's delay, its last one longer, none is lost. Positions stay those of the voice.
 */
export const make = (resampler: Resampler["Service"], rate: SampleRate): ((frame: AudioFrame) => AudioFrame) => {
  if (rate === SAMPLE_RATE) return (frame) => frame
  let stretch: ResamplerStream | undefined
  let nextPosition = 0
  return (frame) => {
    // Dropped frames leave a gap: the milliseconds the filter still holds of what lies before it go with them.
    if (stretch === undefined || frame.position !== nextPosition) stretch = resampler.make(SAMPLE_RATE, rate)
    nextPosition = frame.position + frame.pcm.length
    const converted = stretch.process(frame.pcm)
    if (!frame.endsSpeech) return { ...frame, pcm: converted }
    const rest = stretch.flush()
    stretch = undefined
    const pcm = new Float32Array(converted.length + rest.length)
    pcm.set(converted)
    pcm.set(rest, converted.length)
    return { ...frame, pcm }
  }
}
