/**
 * How fast this machine is now: what every speaker costs at least, so that figures of different machines and hours can be compared.
 */
import { Effect } from "effect"
import * as OpusCodec from "../src/layers/OpusCodec.ts"
import * as Speech from "./Speech.ts"

/** Microseconds of CPU to decode 20 ms of speech to 24 kHz mono, with the same library whatever the service uses. */
export interface Calibration {
  /** In a loop. */
  readonly decodeMicroseconds: number
  /** By a processor that rests between, as that of a service does which is not full: it comes out of its sleep with cold caches, or a slow clock. */
  readonly restedDecodeMicroseconds: number
}

/** One decoder, all the speech there is: 30 s of it each time. The best counts: what disturbs only ever adds. */
const ROUNDS = 12
/** Speech of a hundred voices in 10 ms, for 2 s. */
const REST_MS = 10
const BATCH = 50
const BATCHES = 150

/** Takes about 3 s. */
export const calibrate: Effect.Effect<Calibration> = Effect.scoped(
  Effect.gen(function* () {
    const library = yield* Effect.catch(OpusCodec.native, () => OpusCodec.wasm)
    const { phrases } = yield* Speech.load
    const packets = phrases.flat()
    const codec = library.make()
    const cost = (some: ReadonlyArray<Uint8Array>) => {
      const before = process.cpuUsage()
      for (const packet of some) codec.decode(packet)
      const { system, user } = process.cpuUsage(before)
      return (user + system) / some.length
    }
    const inLoop = Array.from({ length: ROUNDS }, () => cost(packets))
    const rested: Array<number> = []
    for (let n = 0; n < BATCHES; n++) {
      yield* Effect.sleep(REST_MS)
      const from = (n * BATCH) % (packets.length - BATCH)
      rested.push(cost(packets.slice(from, from + BATCH)))
    }
    codec.close()
    return {
      decodeMicroseconds: Math.min(...inLoop),
      restedDecodeMicroseconds: rested.reduce((sum, one) => sum + one, 0) / rested.length
    }
  })
)
