/**
 * How fast this machine is now: what every speaker costs at least, so that figures of different machines and hours can be compared.
 */
import { Effect } from "effect"
import * as OpusCodec from "../src/layers/OpusCodec.ts"
import * as Speech from "./Speech.ts"

/** One decoder, all the speech there is: 30 s of it each time. The best counts: what disturbs only ever adds. */
const ROUNDS = 12

/** Microseconds of CPU to decode 20 ms of speech to 24 kHz mono, with the same library whatever the service uses; takes about 0.5 s. */
export const calibrate: Effect.Effect<number> = Effect.scoped(
  Effect.gen(function* () {
    const library = yield* Effect.catch(OpusCodec.native, () => OpusCodec.wasm)
    const { phrases } = yield* Speech.load
    const packets = phrases.flat()
    const codec = library.make()
    const round = () => {
      const before = process.cpuUsage()
      for (const packet of packets) codec.decode(packet)
      const { system, user } = process.cpuUsage(before)
      return (user + system) / packets.length
    }
    const costs = Array.from({ length: ROUNDS }, round)
    codec.close()
    return Math.min(...costs)
  })
)
