/**
 * Two processes share twenty calls: each call is run once, wherever the click arrived; a process that is killed costs its calls a moment,
 * and the one that follows it gets its share.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import type { SimulatedSpeaker } from "../../src/layers/SimulatedSpeaker.ts"
import type { SimulatedViewer } from "../../src/layers/SimulatedViewer.ts"
import { ENCODER_RATE } from "../../src/layers/SpeechEncoder.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import * as SharedCalls from "../support/SharedCalls.ts"
import * as Standstill from "../support/Standstill.ts"

/** ms; real processes, real speech. */
const patience = 600_000

/** Voices of the calls; those that are not named have none. */
const sizes = new Map([
  ["room0", 3],
  ["room1", 2],
  ["room2", 2],
  ["room3", 1]
])
const rooms = Array.from({ length: 20 }, (_, n) => `room${n}`)

interface People {
  readonly viewer: SimulatedViewer
  readonly speaker: SimulatedSpeaker
}

/** What a runner says whose calls nobody took while it waited: it does so for 2.5 s. */
const NOT_TAKEN = "were taken in time by others"

/** A machine that stands still for as long as a runner waits may be why it waited in vain, and what then: once or twice. */
const calmly = <E, R>(isCalm: Effect.Effect<boolean, E, R>) =>
  isCalm.pipe(Effect.repeat({ until: (is) => is, times: 2 }), Effect.map(assert.isTrue))

/**
 * One of each call says these words, and its viewer reads them in finals, each once. Those need not be read in which this process stood still
 * (`Standstill`).
 */
const sayAll = Effect.fnUntraced(function* (people: ReadonlyArray<People>, numbers: ReadonlyArray<number>) {
  const standstill = yield* Standstill.watch
  const words = numbers.map(ToneWords.wordText)
  const sayAndRead = Effect.fnUntraced(function* ({ speaker, viewer }: People, n: number) {
    const spoken = ToneModem.speak(numbers, { speaker: n, sampleRate: ENCODER_RATE })
    const { startedAtMs } = yield* speaker.say(spoken.pcm)
    const wasWhole = ({ endMs, startMs }: ToneModem.SpokenWord) =>
      standstill.wasWhole(startedAtMs + startMs, startedAtMs + endMs)
    const whole = () => spoken.words.filter(wasWhole).map(({ word }) => ToneWords.wordText(word))
    const read = () =>
      viewer
        .captions()
        .flatMap(({ final, message }) => (final ? message.toLowerCase().split(/[^a-z]+/) : []))
        .filter((word) => words.includes(word))
    yield* SharedCalls.within(
      60,
      Effect.sync(() => whole().every((word) => read().includes(word)))
    )
    const isExpected = new Set(whole())
    assert.deepStrictEqual(
      read().filter((word) => isExpected.has(word)),
      [...isExpected]
    )
    assert.strictEqual(new Set(read()).size, read().length)
  })
  yield* Effect.forEach(people, sayAndRead, { concurrency: "unbounded", discard: true })
}, Effect.scoped)

describe("two processes", () => {
  it.live(
    "share the calls by their size, run each once, and take over at once what another one ran",
    () =>
      Effect.gen(function* () {
        const scene = yield* SharedCalls.make()
        const { seats, status, talk } = scene
        const people: Array<People> = []
        for (const room of rooms) {
          const viewer = yield* talk.addViewer({ name: `Vera ${room}`, room })
          for (let n = 0; n < (sizes.get(room) ?? 0); n++) {
            const speaker = yield* talk.addSpeaker({ name: `Ada ${n}`, room })
            if (n === 0) people.push({ viewer, speaker })
          }
        }
        yield* Effect.forEach(rooms, scene.want, { concurrency: 4 })
        const isCaptioned = Effect.map(
          status,
          ({ calls }) =>
            calls.length === rooms.length &&
            calls.every(
              ({ roomToken, speakers, state }) => state === "Captioning" && speakers === (sizes.get(roomToken) ?? 0)
            )
        )
        yield* SharedCalls.within(60, isCaptioned)
        const isShared = Effect.map(seats, (all) => {
          const [one = 0, other = 0] = SharedCalls.workOf(all, sizes)
          return all.length === rooms.length && Math.max(one, other) <= 2 * Math.min(one, other)
        })
        yield* SharedCalls.within(60, isShared)
        yield* SharedCalls.untilAlone(talk, rooms)
        yield* sayAll(people, [7, 14, 21])

        const [first = 0] = yield* scene.runners
        process.kill(first, "SIGKILL")
        // Nobody waits for its lease to run out: the supervisor says sooner that it is gone. Until the others know it, its calls are as they were.
        yield* scene.whileLeasesLast(
          SharedCalls.within(
            60,
            Effect.map(seats, (all) => SharedCalls.workOf(all, sizes).length === 1)
          )
        )
        yield* SharedCalls.within(60, isCaptioned)
        yield* sayAll(people, [28, 35, 42])

        yield* SharedCalls.within(60, isShared)
        yield* SharedCalls.within(60, isCaptioned)
        yield* sayAll(people, [49, 56, 63])

        yield* Effect.forEach(rooms, scene.unwant, { concurrency: 4 })
        yield* SharedCalls.within(
          60,
          Effect.map(status, ({ calls }) => calls.length === 0)
        )
        yield* SharedCalls.within(
          60,
          Effect.map(seats, (all) => all.length === 0)
        )
      }),
    patience
  )

  it.live(
    "give their calls away when one of them is told to end, in the middle of a sentence: no word is missed, none is read twice",
    () =>
      Effect.gen(function* () {
        const scene = yield* SharedCalls.make()
        const four = rooms.slice(0, 4)
        const people = yield* Effect.forEach(four, (room) =>
          Effect.all({
            viewer: scene.talk.addViewer({ name: `Vera ${room}`, room }),
            speaker: scene.talk.addSpeaker({ name: `Ada ${room}`, room })
          })
        )
        yield* Effect.forEach(four, scene.want)
        yield* SharedCalls.within(
          60,
          Effect.map(scene.status, ({ calls }) => calls.length === 4 && calls.every(({ speakers }) => speakers === 1))
        )
        const numbers = Array.from({ length: 16 }, (_, n) => 100 + n * 7)
        const saying = yield* Effect.forkChild(Effect.exit(sayAll(people, numbers)))
        yield* Effect.sleep("2 seconds")
        const runners = yield* scene.runners
        for (const pid of runners.slice(0, 1)) process.kill(pid, "SIGTERM")
        const said = yield* Fiber.join(saying)
        // All may be read before it is gone.
        yield* SharedCalls.within(
          60,
          Effect.sync(() => scene.service.output().includes("a runner has ended"))
        )
        if (scene.service.output().includes(NOT_TAKEN)) return false
        yield* said
        assert.include(scene.service.output(), "leaving the room to another runner")
        return true
      }).pipe(Effect.scoped, calmly),
    patience
  )

  it.live(
    "told to end together do not wait for each other",
    () =>
      Effect.gen(function* () {
        const scene = yield* SharedCalls.make()
        const four = rooms.slice(0, 4)
        for (const room of four) {
          yield* scene.talk.addViewer({ name: `Vera ${room}`, room })
          yield* scene.talk.addSpeaker({ name: `Ada ${room}`, room })
        }
        yield* Effect.forEach(four, scene.want)
        yield* SharedCalls.within(
          60,
          Effect.map(scene.status, ({ calls }) => calls.length === 4 && calls.every(({ speakers }) => speakers === 1))
        )
        yield* SharedCalls.untilAlone(scene.talk, four)
        const [first = 0, second = 0] = yield* scene.runners
        process.kill(first, "SIGTERM")
        // It has offered its calls to the other one, which is on its way into their rooms.
        yield* SharedCalls.within(
          60,
          Effect.sync(() => four.some((room) => scene.talk.servicesIn(room) !== 1))
        )
        process.kill(second, "SIGTERM")
        scene.service.child.kill("SIGTERM")
        assert.strictEqual((yield* scene.service.exit).code, 0)
        return !scene.service.output().includes(NOT_TAKEN)
      }).pipe(Effect.scoped, calmly),
    patience
  )
})
