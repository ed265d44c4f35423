/** A person in front of a microphone, heard and transcribed: what was sent of it, and what was read. */
import { type Cause, Effect, Queue, Stream } from "effect"
import { type AudioFrame, FRAME_SAMPLES, samplesOfMs } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { isFinal, textOf } from "../../src/domain/Segment.ts"
import * as Hearing from "../../src/layers/Hearing.ts"
import * as PcmMemory from "../../src/layers/PcmMemory.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import { segments, Transcriber } from "../../src/services/Transcriber.ts"
import * as SpokenHour from "./SpokenHour.ts"

export const BLOCK = samplesOfMs(20)

interface Stretch {
  readonly start: number
  end: number
}

export const make = Effect.fnUntraced(function* (said: ReadonlyArray<SpokenHour.Said>, index: number) {
  const transcriber = yield* Transcriber
  // capacity 64, sliding, as of a voice in a call
  const queue = yield* Queue.sliding<AudioFrame, Cause.Done>(64)
  const memory = PcmMemory.make(2 * samplesOfMs(60_000))
  const stretches: Array<Stretch> = []
  let heardTo = 0
  let last: AudioFrame | undefined
  let shortest = Number.POSITIVE_INFINITY
  const hearing = Hearing.make({
    queue,
    onFrame: (frame) => {
      memory.keep(frame)
      const current = stretches.at(-1)
      const end = frame.position + FRAME_SAMPLES
      if (current !== undefined && last?.endsSpeech !== true) current.end = end
      else {
        stretches.push({ start: frame.position, end })
        // nothing is sent twice to make it longer, but for the last frame
        if (frame.position > (last?.position ?? 0) + 1) shortest = Math.min(shortest, heardTo - frame.position)
      }
      last = frame
    }
  })
  const finals: Array<string> = []
  yield* segments(
    transcriber.transcribe({
      id: `p${index}`,
      frames: Stream.fromQueue(queue),
      replay: memory.replay,
      language: () => defaultLanguage
    })
  ).pipe(
    Stream.runForEach((segment) =>
      Effect.sync(() => {
        if (isFinal(segment)) finals.push(textOf(segment))
      })
    ),
    Effect.forkScoped
  )
  const listen = SpokenHour.microphone(said, index + 1)
  const packet = new Uint8Array(0)
  return {
    said,
    /** The next 20 ms. */
    hear: (atMs: number) => {
      hearing.hear(heardTo, listen(heardTo), { atMs, audioLevel: undefined, packet })
      heardTo += BLOCK
    },
    end: hearing.end,
    /** Words that were said and not read, or read and not said, by their place. */
    missed: () => missed(said, finals.join(" ")),
    /** Stretches of what was sent. */
    stretches: () => stretches,
    /** Samples before speech was noticed that were sent, where there were that many. */
    shortestPreRoll: () => shortest,
    spoken: () => hearing.counters().spokenSamples
  }
})

const missed = (said: ReadonlyArray<SpokenHour.Said>, text: string): ReadonlyArray<string> => {
  const read = text.split(" ").filter((word) => word !== "")
  const missing = said.flatMap(({ start, words }) =>
    words.flatMap((word, index) => {
      if (read[0] !== wordText(word))
        return [`word ${index} of ${words.length} at ${start / 24_000} s: ${wordText(word)}`]
      read.shift()
      return []
    })
  )
  return [...missing, ...read.slice(0, 5)]
}
