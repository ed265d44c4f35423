/**
 * Figures: how late captions are, how fast media is there, how fast we answer, what a speaker costs, what stays behind.
 */
import { randomUUID } from "node:crypto"
import { Effect } from "effect"
import { machineMs } from "./HpbClient.ts"
import { delays, percentile } from "./Judge.ts"
import { until } from "./ProofError.ts"
import { engineSessions, isGone, saidSince, settle } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import * as WireTap from "./WireTap.ts"

/** One speaker, nobody to wait for: the delay is our own, with up to 80 ms of framing in it. */
const delay = (name: string, about: string, fast: boolean): Scenario => ({
  name,
  about,
  generation: "2",
  when: "measure",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, { engine: fast ? ["fast"] : [] })
      const { ledger } = scene.stack
      const vera = yield* scene.viewer("vera")
      const ann = yield* scene.speaker("ann", 0)
      yield* scene.captions(vera, true)
      yield* Effect.sleep("2 seconds")
      const started = machineMs()
      const sentence = ann.say(fast ? 12 : 6, { fast })
      yield* Effect.repeat(Effect.andThen(sentence, Effect.sleep("1 second")), { times: 9 })
      const said = () => saidSince(ledger, started)
      const verdict = yield* settle(ledger, vera, said)
      const took = delays(vera, said(), yield* scene.engine.told)
      const own = took.map(({ ms, pacingMs }) => ms - pacingMs)
      const pacing = took.map(({ pacingMs }) => pacingMs)
      return {
        verdicts: [verdict],
        figures: {
          "p50 ms": percentile(own, 0.5),
          "p99 ms": percentile(own, 0.99),
          "pacing p50 ms": percentile(pacing, 0.5),
          "pacing p99 ms": percentile(pacing, 0.99),
          words: took.length
        }
      }
    })
})

/** Talk gives 3 s and no second try. What the machine is busy with shows while the HPB is up, too. */
const answersWithoutHpb: Scenario = {
  name: "answers-hpb-down",
  about: "the service answers Talk while the HPB is down as soon as while it is up",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const { service, stack } = yield* Scene.make(corner)
      const faults = new Set<string>()
      /** How long each answer took, ms. */
      const answers = Effect.gen(function* () {
        const millis: Array<number> = []
        for (let i = 0; i < 150; i++) {
          const body = { roomToken: `room${i % 10}`, ncSessionId: randomUUID(), enable: i % 3 !== 2, langId: "en" }
          for (const [method, path] of [
            ["POST", "/api/v1/call/transcribe"],
            ["GET", "/api/v1/languages"]
          ] as const) {
            const answer = yield* service.ask(method, path, method === "POST" ? body : undefined)
            millis.push(answer.millis)
            if (answer.status !== 200) faults.add(`${method} ${path} was answered with ${answer.status}`)
          }
        }
        return millis
      })
      const before = percentile(yield* answers, 0.99)
      yield* stack.hpb.stop()
      stack.door.refuse(true)
      const millis = yield* answers
      const p99 = percentile(millis, 0.99)
      if (p99 > Math.max(50, 2 * before)) faults.add(`p99 of the answers is ${Math.round(p99)} ms`)
      const figures = { "p50 ms": percentile(millis, 0.5), "p99 ms": p99, "p99 ms with HPB": before }
      return { faults: [...faults], figures }
    })
}

/** Ten people who speak half of the time. */
const cost: Scenario = {
  name: "cost",
  about: "CPU and memory of ten speakers",
  generation: "2",
  when: "measure",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner)
      const { ledger } = scene.stack
      const { service } = scene
      const vera = yield* scene.viewer("vera")
      const idleMb = service.rssMb()
      const names = Array.from({ length: 10 }, (_, i) => `s${i}`)
      const speakers = yield* Effect.forEach(names, scene.speaker, { concurrency: 5 })
      yield* scene.captions(vera, true)
      yield* Effect.sleep("5 seconds")
      const measure = (talk: Effect.Effect<unknown>) =>
        Effect.gen(function* () {
          const [cpu, started] = [service.cpuMs(), performance.now()]
          yield* Effect.all([talk, Effect.sleep("15 seconds")], { concurrency: 2 })
          return ((service.cpuMs() - cpu) / (performance.now() - started)) * 100
        })
      const silent = yield* measure(Effect.void)
      const started = machineMs()
      const speak = Effect.forEach(
        speakers,
        (one, i) =>
          Effect.sleep(i * 330).pipe(
            Effect.andThen(Effect.repeat(Effect.andThen(one.say(5), Effect.sleep("1900 millis")), { times: 2 })),
            Effect.orDie
          ),
        { concurrency: "unbounded" }
      )
      const speaking = yield* measure(speak)
      const verdict = yield* settle(ledger, vera, () => saidSince(ledger, started), 15_000)
      return {
        verdicts: [verdict],
        figures: {
          "% of a core per silent speaker": silent / 10,
          "% of a core per speaker": speaking / 10,
          "MB per speaker": (service.rssMb() - idleMb) / 10,
          "MB idle": idleMb
        }
      }
    })
}

const CYCLES = 200
/** After so many everything that is kept for later use is there. */
const WARM = 50

const leaks: Scenario = {
  name: "200-calls",
  about: "200 calls started and stopped: what is left, and how fast media was there",
  generation: "2",
  when: "measure",
  seconds: 600,
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, { env: { LT_GRACE_SECONDS: "0" } })
      const { service, stack } = scene
      const vera = yield* scene.viewer("vera")
      yield* scene.speaker("ann", 0)
      const tap = yield* WireTap.media(stack.folder)
      const setUp: Array<number> = []
      const cycle = Effect.gen(function* () {
        const requests = stack.offerRequests.length
        yield* scene.captions(vera, true)
        const requested = yield* until("a requestoffer", () => stack.offerRequests[requests])
        const heard = yield* until("media", () => tap.firstAfter(requested))
        setUp.push(heard - requested)
        yield* scene.captions(vera, false)
        return yield* isGone(scene, vera, 10_000)
      })
      const rest = Effect.gen(function* () {
        yield* Effect.sleep("3 seconds")
        return { ...service.descriptors(), heapMb: yield* service.heapMb }
      })
      const faults = [...new Set(yield* Effect.repeat(cycle, { times: WARM - 1 }))]
      const warm = yield* rest
      for (let i = WARM; i < CYCLES; i++) faults.push(...(yield* cycle))
      yield* engineSessions(scene, 0, 5000)
      const after = yield* rest
      const grown = after.heapMb - warm.heapMb
      return {
        faults: [
          ...new Set(faults),
          ...(after.sockets > warm.sockets
            ? [`${after.sockets - warm.sockets} sockets more than after ${WARM} calls`]
            : []),
          ...(after.all > warm.all ? [`${after.all - warm.all} descriptors more than after ${WARM} calls`] : []),
          ...(grown > 2 ? [`${grown.toFixed(1)} MB of heap more than after ${WARM} calls`] : [])
        ],
        figures: {
          sockets: after.sockets,
          "heap MB": after.heapMb,
          "heap MB grown": grown,
          "request to RTP p50 ms": percentile(setUp, 0.5),
          "request to RTP p99 ms": percentile(setUp, 0.99)
        }
      }
    })
}

export const measurements: ReadonlyArray<Scenario> = [
  answersWithoutHpb,
  delay("delay", "the delay of words at 2.8 a second", false),
  delay("delay-fast", "the delay of words at 6 a second, and apart from it the pacing of partials", true),
  cost,
  leaks
]
