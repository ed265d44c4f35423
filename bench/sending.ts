/**
 * What it costs to hand a frame to an engine: CPU time per frame of 80 ms, from the samples to the socket, over many sockets in turn. The engine
 * is a process of its own.
 */
import { Effect, type Scope } from "effect"
import { FRAME_SAMPLES } from "../src/domain/Audio.ts"
import * as SocketModalClient from "../src/layers/SocketModalClient.ts"
import { ModalClient } from "../src/services/ModalClient.ts"
import type { HearingCost } from "./hearing.ts"
import { message } from "./process/Channel.ts"
import * as Processes from "./process/Processes.ts"
import { SinkReady } from "./speakers/Wire.ts"

const SOCKETS = 100
/** 8 s of speech, after 2 s to warm up. */
const FRAMES = 100
const WARM_UP = 25
/** A frame of each of 100 voices is there every 80 ms: as fast as the engine reads, or the socket only keeps them. */
const PAUSE = "20 millis"

/** Takes three seconds. */
export const sending: Effect.Effect<ReadonlyArray<HearingCost>, unknown, Scope.Scope> = Effect.gen(function* () {
  const engine = yield* Processes.start({ args: [Processes.beside(import.meta.url, "speakers/runSink.ts")] })
  const { url } = yield* message(engine, SinkReady)
  const frame = Float32Array.from({ length: FRAME_SAMPLES }, (_, n) => 0.1 * Math.sin(n / 7))
  const client = SocketModalClient.layer({ url: { _tag: "Direct", url } })
  return yield* Effect.provide(
    Effect.gen(function* () {
      const { open } = yield* ModalClient
      const sockets = yield* Effect.forEach(Array.from({ length: SOCKETS }), () => open, { concurrency: 10 })
      let dropped = 0
      const round = Effect.sync(() => {
        const before = process.cpuUsage()
        for (const socket of sockets) if (!socket.send(frame)) dropped++
        const { system, user } = process.cpuUsage(before)
        return user + system
      })
      const paced = Effect.tap(round, () => Effect.sleep(PAUSE))
      yield* Effect.repeat(paced, { times: WARM_UP - 1 })
      let microseconds = 0
      for (let n = 0; n < FRAMES; n++) microseconds += yield* paced
      if (dropped > 0) return yield* Effect.die(new Error(`${dropped} frames were dropped`))
      return [{ what: "frame to socket", microsecondsPerPacket: microseconds / (FRAMES * SOCKETS) }]
    }),
    client
  )
})
