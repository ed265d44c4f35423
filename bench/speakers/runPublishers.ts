/**
 * All publishers as a process of their own. The only argument is a `Task` as JSON; the channel to the parent takes each `Instruction`.
 */
import { Effect, FiberSet, Schema } from "effect"
import { say } from "../process/Channel.ts"
import { quantile } from "../Quantile.ts"
import * as Speech from "../Speech.ts"
import * as Material from "./Material.ts"
import * as Part from "./Part.ts"
import * as Publisher from "./Publisher.ts"
import { Instruction, Joined, Offer, PublishersReady, Sent, Speaking, Task } from "./Wire.ts"

/** What is due is sent at every tick. */
const TICK_MS = 1
const PACKET_MS = 20
/** 10 s, encrypted in about 4 ms: who speaks for longer than two minutes encrypts on the way, for all of it would not fit into memory. */
const BLOCK = 500
const PREPARED_WITHIN = 0.8
const AT_ONCE_PACKETS = 6000
/** As many as the service sets up at a time. */
const USUALLY_AT_ONCE = 8

const run = Effect.gen(function* () {
  const task = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Task))(process.argv[2])
  const material = yield* Material.make(yield* Speech.load, task.silence)
  const { atOnce = USUALLY_AT_ONCE, first, levels, of, seconds, speakers, speaking } = task
  const packets = Math.ceil((seconds * 1000) / PACKET_MS)
  const publishers = new Map<number, Publisher.Publisher>()

  const connect = Effect.fnUntraced(function* (number: number) {
    const publisher = yield* Effect.promise(() => Publisher.make({ levels, material, number }))
    publishers.set(number, publisher)
    const offeredMs = performance.now()
    yield* say(Offer.make({ speaker: number, sdp: publisher.offer }))
    yield* Effect.promise(() => publisher.connected)
    return performance.now() - offeredMs
  })
  const join = Effect.gen(function* () {
    const numbers = Array.from({ length: speakers }, (_, n) => first + n)
    const setUpMs = yield* Effect.forEach(numbers, connect, { concurrency: atOnce })
    yield* say(Joined.make({ setUpMs, srtp: publishers.get(first)?.srtp() ?? "" }))
  })

  const atMs: Array<number> = []
  const untilPacket: Array<number> = []
  const lates: Array<number> = []
  let ticking: NodeJS.Timeout | undefined
  const block = packets <= AT_ONCE_PACKETS ? packets : BLOCK
  const speak = Effect.gen(function* () {
    const preparing: Array<(block: number) => void> = []
    for (const [speaker, publisher] of publishers) {
      const part = Part.make(material, { speaker, speakers: of, speaking, packets })
      const prepare = (number: number) => {
        const from = number * block
        if (from < packets) publisher.prepare(part.subarray(from, from + block), from)
      }
      prepare(0)
      preparing.push(prepare)
      // Whoever waits for an answer of ICE gets it meanwhile.
      yield* Effect.sleep(0)
    }
    /** While a block is sent the next one is prepared, by one publisher after the other, all of them in most of the time there is. */
    let preparations = 0
    const prepareDue = (packet: number) => {
      const [number, speaker] = [Math.floor(preparations / speakers), preparations % speakers]
      if (packet <= number * block + (PREPARED_WITHIN * block * speaker) / speakers) return
      preparing[speaker]?.(number + 1)
      preparations++
    }
    const inTurn = Array.from({ length: speakers }, (_, n) => publishers.get(first + n))
    const beganMs = performance.now()
    let next = 0
    ticking = setInterval(() => {
      const nowMs = performance.now() - beganMs
      const due = Math.min(packets * speakers, Math.floor((nowMs * speakers) / PACKET_MS) + 1)
      if (due > next) lates.push(nowMs - (next * PACKET_MS) / speakers)
      atMs.push(performance.timeOrigin + performance.now())
      for (; next < due; next++) inTurn[next % speakers]?.send(Math.floor(next / speakers))
      untilPacket.push(next)
      prepareDue(nowMs / PACKET_MS - 1)
    }, TICK_MS)
    yield* say(Speaking.make({}))
  })
  const stop = Effect.suspend(() => {
    clearInterval(ticking)
    return say(
      Sent.make({
        atMs: Float64Array.from(atMs),
        untilPacket: Float64Array.from(untilPacket),
        lateP99Ms: quantile(lates, 0.99)
      })
    )
  })

  const follow = Effect.fnUntraced(function* (given: unknown) {
    const instruction = yield* Schema.decodeUnknownEffect(Instruction)(given)
    switch (instruction._tag) {
      case "Answer":
        return yield* Effect.promise(
          () => publishers.get(instruction.speaker)?.accept(instruction.sdp) ?? Promise.resolve()
        )
      case "Candidate":
        return yield* Effect.promise(
          () => publishers.get(instruction.speaker)?.add(instruction.candidate) ?? Promise.resolve()
        )
      case "Join":
        return yield* join
      case "Speak":
        return yield* speak
      case "Stop":
        return yield* stop
    }
  })
  const fork = yield* FiberSet.makeRuntime<never, void, unknown>()
  process.on("message", (given) => {
    fork(
      Effect.tapCause(follow(given), (cause) =>
        // The parent shows what a process wrote last when it ends.
        Effect.andThen(
          Effect.logError("publishers failed", cause),
          Effect.sync(() => process.exit(1))
        )
      )
    )
  })
  yield* say(PublishersReady.make({}))
  return yield* Effect.never
})

await Effect.runPromise(Effect.scoped(run))
