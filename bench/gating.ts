/**
 * What it costs to tell speech from silence and to cut it into frames: CPU time per 20 ms of decoded audio, over many voices in turn.
 */
import { Effect, type Scope } from "effect"
import { samplesOfMs } from "../src/domain/Audio.ts"
import * as Gate from "../src/layers/Gate.ts"
import * as OpusCodec from "../src/layers/OpusCodec.ts"
import * as SpeechFrames from "../src/layers/SpeechFrames.ts"
import { cpuOf, type HearingCost } from "./hearing.ts"
import * as Speech from "./Speech.ts"

const VOICES = 100
/** 10 s, after 2 s to warm up. */
const BLOCKS = 500
const WARM_UP = 100
const BLOCK = samplesOfMs(20)
/** RFC 6464: digital silence. */
const SILENCE = 127

/** Takes a second. */
export const gating: Effect.Effect<ReadonlyArray<HearingCost>, never, Scope.Scope> = Effect.gen(function* () {
  const library = yield* OpusCodec.wasm
  const codec = library.make()
  const { phrases } = yield* Speech.load
  const blocks = phrases.flat().map((packet) => Float32Array.from(codec.decode(packet) ?? new Float32Array(BLOCK)))
  codec.close()
  const gates = () => Array.from({ length: VOICES }, () => Gate.make())
  const [judging, trusting] = [gates(), gates()]
  let frames = 0
  const cutters = Array.from({ length: VOICES }, () => {
    const cutter = SpeechFrames.make(
      () => {
        frames++
        return true
      },
      () => false
    )
    cutter.begin(0)
    return cutter
  })
  const costs = [
    yield* cost("gate, by energy", blocks, (pcm, voice) => judging[voice]?.hear(pcm, undefined)),
    yield* cost("gate, by the sender's level", blocks, (pcm, voice) => trusting[voice]?.hear(pcm, SILENCE)),
    yield* cost("cut into frames of 80 ms", blocks, (pcm, voice) => cutters[voice]?.write(pcm, 0, 0))
  ]
  if (frames !== (VOICES * (WARM_UP + BLOCKS)) / 4) return yield* Effect.die(new Error("a frame is missing"))
  return costs
})

const cost = Effect.fnUntraced(function* (
  what: string,
  blocks: ReadonlyArray<Float32Array>,
  hear: (pcm: Float32Array, voice: number) => void
) {
  const play = (from: number, until: number) => {
    for (let n = from; n < until; n++) {
      const pcm = blocks[n % blocks.length]
      if (pcm !== undefined) for (let voice = 0; voice < VOICES; voice++) hear(pcm, voice)
    }
  }
  const microseconds = yield* cpuOf(play, { warmUp: WARM_UP, steps: BLOCKS })
  return { what, microsecondsPerPacket: microseconds / (BLOCKS * VOICES) }
})
