/**
 * What libopus costs by itself: CPU time per 20 ms, over many decoders in turn, in each library there is.
 */
import { Effect, type Scope } from "effect"
import * as OpusCodec from "../src/layers/OpusCodec.ts"
import { cpuOf, type HearingCost } from "./hearing.ts"
import * as Speech from "./Speech.ts"

const VOICES = 100
/** 10 s, after 2 s to warm up. */
const PACKETS = 500
const WARM_UP = 100

/** Takes some seconds; speech, what a muted microphone sends, and the one byte that conceals a loss. */
export const decoding: Effect.Effect<ReadonlyArray<HearingCost>, never, Scope.Scope> = Effect.gen(function* () {
  const { muted, phrases } = yield* Speech.load
  const speech = phrases.flat()
  // The table of contents alone, of the packet before (RFC 6716 §3.1).
  const concealed = speech.map((packet, n) => (n % 10 === 9 ? Uint8Array.of((speech[n - 1]?.[0] ?? 0) & 0xfc) : packet))
  const sounds = [
    { what: "speech", packets: speech },
    { what: "muted", packets: muted },
    { what: "speech, one in ten concealed", packets: concealed }
  ]
  const libraries = yield* Effect.forEach([OpusCodec.addon, OpusCodec.native, OpusCodec.wasm], (library) =>
    // Not installed everywhere.
    Effect.match(library, { onSuccess: (one) => [one], onFailure: () => [] })
  )
  return yield* Effect.forEach(
    libraries.flat().flatMap((library) => sounds.map((sound) => ({ library, ...sound }))),
    cost
  )
})

interface Sound {
  readonly library: OpusCodec.CodecLibrary
  readonly what: string
  readonly packets: ReadonlyArray<Uint8Array>
}

const cost = Effect.fnUntraced(function* ({ library, packets, what }: Sound) {
  const codecs = Array.from({ length: VOICES }, library.make)
  const play = (from: number, until: number) => {
    for (let n = from; n < until; n++) {
      const packet = packets[n % packets.length] ?? new Uint8Array(0)
      for (const codec of codecs) codec.decode(packet)
    }
  }
  const microseconds = yield* cpuOf(play, { warmUp: WARM_UP, steps: PACKETS })
  for (const codec of codecs) codec.close()
  return { what: `${what}, ${library.name}`, microsecondsPerPacket: microseconds / (PACKETS * VOICES) }
})
