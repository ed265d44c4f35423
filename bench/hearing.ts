/**
 * What hearing costs: CPU time per 20 ms packet, from the RTP packet to the 80 ms frame in the queue, over many voices in turn.
 */
import { readFileSync } from "node:fs"
import { Effect, type Scope } from "effect"
import { LanguageId } from "../src/domain/Language.ts"
import * as OpusDecoder from "../src/layers/OpusDecoder.ts"
import * as PolyphaseResampler from "../src/layers/PolyphaseResampler.ts"
import * as Voice from "../src/layers/Voice.ts"
import { Decoder } from "../src/services/Decoder.ts"

export interface HearingCost {
  readonly what: string
  readonly microsecondsPerPacket: number
}

const VOICES = 100
/** 10 s, after 2 s to warm up. */
const PACKETS = 500
const WARM_UP = 100

/** Takes some seconds; `PACKETS` packets of `VOICES` voices for each kind of sound and each library that is installed. */
export const hearing: Effect.Effect<ReadonlyArray<HearingCost>, never, Scope.Scope> = Effect.gen(function* () {
  const recordings = JSON.parse(readFileSync(new URL("../test/fixtures/opus.json", import.meta.url), "utf8"))
  const packets = (name: string): ReadonlyArray<Uint8Array> =>
    recordings[name].map((one: string) => new Uint8Array(Buffer.from(one, "base64")))
  const speech = packets("mono20")
  const silence = packets("phrases20").slice(80, 110)
  const sounds = [
    { what: "speech", sound: speech },
    { what: "digital silence", sound: silence },
    { what: "digital silence with its level", sound: silence, audioLevel: 127 }
  ]
  const costs = yield* Effect.forEach(
    [OpusDecoder.layerAddon, OpusDecoder.layerNative, OpusDecoder.layerWasm],
    (library) =>
      Effect.forEach(sounds, (one) => Effect.provide(cost(one), library)).pipe(
        // Not installed everywhere.
        Effect.orElseSucceed(() => [])
      )
  )
  return [...costs.flat(), resampling()]
})

interface Sound {
  readonly what: string
  readonly sound: ReadonlyArray<Uint8Array>
  readonly audioLevel?: number
}

const cost = Effect.fnUntraced(function* ({ audioLevel, sound, what }: Sound) {
  const decoder = yield* Decoder
  const voices = yield* Effect.forEach(Array.from({ length: VOICES }), (_, n) =>
    Voice.make({ id: String(n), language: () => LanguageId.make("en"), decoder, now: () => 1e9 })
  )
  const play = (from: number, until: number) => {
    for (let n = from; n < until; n++) {
      const payload = sound[n % sound.length] ?? new Uint8Array(0)
      const level = audioLevel === undefined ? {} : { audioLevel }
      for (const voice of voices) {
        voice.onPacket({ sequenceNumber: n & 0xffff, timestamp: n * 960, ssrc: 1, payload, ...level }, n * 20)
        voice.tick(n * 20)
      }
    }
  }
  const microseconds = yield* cpuOf(play, { warmUp: WARM_UP, steps: PACKETS })
  return { what: `${what}, ${decoder.library}`, microsecondsPerPacket: microseconds / (PACKETS * VOICES) }
})

/** CPU time (µs) of so many steps behind others that nobody counts. */
export const cpuOf = Effect.fnUntraced(function* (
  play: (from: number, until: number) => void,
  { steps, warmUp }: { readonly steps: number; readonly warmUp: number }
) {
  for (let n = 0; n < warmUp; n++) {
    play(n, n + 1)
    // WebAssembly decoders get ready meanwhile.
    yield* Effect.yieldNow
  }
  const before = process.cpuUsage()
  play(warmUp, warmUp + steps)
  const { system, user } = process.cpuUsage(before)
  return user + system
})

const resampling = (): HearingCost => {
  const stream = PolyphaseResampler.make(24_000, 16_000)
  const input = new Float32Array(480).map((_, n) => Math.sin(n))
  for (let n = 0; n < 500; n++) stream.process(input)
  const before = process.cpuUsage()
  for (let n = 0; n < 5000; n++) stream.process(input)
  const { system, user } = process.cpuUsage(before)
  return { what: "resampling 24 to 16 kHz", microsecondsPerPacket: (user + system) / 5000 }
}
