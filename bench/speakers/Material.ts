/**
 * All packets that speakers send, numbered: the phrases one after the other, then what is sent while nobody speaks. Each with how loud it is when
 * it is decoded, by which the engine's process later knows it again.
 */
import { Effect, type Scope } from "effect"
import * as OpusCodec from "../../src/layers/OpusCodec.ts"
import type { Speech } from "../Speech.ts"

export interface Material {
  readonly packets: ReadonlyArray<Uint8Array>
  /** Of each packet, see `loudnessOf`. */
  readonly loudness: Uint8Array
  readonly phrases: number
  readonly phrasePackets: number
  /** Behind the phrases. */
  readonly silentPackets: number
}

/** What whoever is silent sends: a muted microphone's packets, or those of a quiet room. */
export type Silence = "muted" | "room"

export const make = Effect.fnUntraced(function* (
  speech: Speech,
  silence: Silence
): Effect.fn.Return<Material, never, Scope.Scope> {
  const library = yield* Effect.catch(OpusCodec.native, () => OpusCodec.wasm)
  const codec = library.make()
  const silent = speech[silence]
  const packets = [...speech.phrases.flat(), ...silent]
  const loudness = Uint8Array.from(packets, (packet) => {
    const pcm = codec.decode(packet) ?? new Float32Array(0)
    return loudnessOf(pcm, 0, pcm.length)
  })
  codec.close()
  const [first = []] = speech.phrases
  return {
    packets,
    loudness,
    phrases: speech.phrases.length,
    phrasePackets: first.length,
    silentPackets: silent.length
  }
})

/** RMS of samples in half decibels below full scale, 0–254; silence is 254. */
export const loudnessOf = (pcm: Float32Array, from: number, until: number): number => {
  let squares = 0
  for (let n = from; n < until; n++) {
    const sample = pcm[n] ?? 0
    squares += sample * sample
  }
  const halfDecibels = -20 * Math.log10(squares / (until - from))
  return Math.max(0, Math.min(QUIETEST, Math.round(halfDecibels)))
}

/** What a sender of 16 bit samples says about such a packet (RFC 6464 §3, in −dBov): of what is below their last bit, that it is digital silence. */
export const levelOf = (loudness: number): number => (loudness > LAST_BIT ? 127 : Math.round(loudness / 2))

const LAST_BIT = 2 * 96
/** −127 dBFS, the end of RFC 6464's scale too. */
export const QUIETEST = 254
