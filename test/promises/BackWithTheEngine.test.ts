/** Nobody captions, somebody speaks: when an engine answers again the first words are read within two seconds; who refuses us is let alone. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Random, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { FRAME_MS, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import { type EngineRole, Engines } from "../../src/services/Engines.ts"
import { EngineError } from "../../src/services/SpeechEngine.ts"
import type { Transcriber } from "../../src/services/Transcriber.ts"
import { away, busy, place, refused } from "../support/EngineTable.ts"
import * as ScriptedVoice from "../support/ScriptedVoice.ts"

/** What who asks is told, until it works again. `Hangs`: nothing, and nobody who asked meanwhile will ever be answered. */
type Trouble = EngineError | "Hangs"

const ROUND_TRIP = "50 millis"
const BACK_MS = 2_000
/** Frames of 80 ms from one word to the next. */
const EVERY = 5

/** An engine that is in trouble now and then, and how often it was asked for anything. */
const flaky = (name: string, role: EngineRole, hasPage: boolean) =>
  Effect.gen(function* () {
    const asked = { sessions: 0, pages: 0 }
    let trouble: Trouble | undefined
    const answer: Effect.Effect<void, EngineError> = Effect.suspend(() =>
      trouble === "Hangs" ? Effect.never : Effect.andThen(Effect.sleep(ROUND_TRIP), Effect.suspend(said))
    )
    const said = () => (trouble === "Hangs" ? Effect.never : (trouble ?? Effect.void))
    const page = Effect.suspend(() => {
      asked.pages += 1
      return answer
    })
    const { configured, director } = yield* place(name, {
      role,
      capabilities: { mark: "WordTimes" },
      opening: () => {
        asked.sessions += 1
        return answer
      },
      onFrame: ({ position }, session) => {
        const word = position / FRAME_SAMPLES / EVERY
        if (!Number.isInteger(word)) return
        session.say(`word${word}`)
        session.proveUpTo(position)
      },
      ...(hasPage ? { probe: page } : {})
    })
    return {
      configured,
      askedFor: () => asked.sessions + asked.pages,
      /** Whoever asks is told this from now on. */
      fail: (how: Trouble) => {
        trouble = how
      },
      /** Its open sessions end. */
      cut: () => {
        for (const session of director.sessions()) if (!session.closed()) session.fail("Closed")
      },
      mend: () => {
        trouble = undefined
      }
    }
  })

type Flaky = Effect.Success<ReturnType<typeof flaky>>
interface Scene {
  readonly primary: Flaky
  readonly cover: Flaky
  readonly voice: Effect.Success<ReturnType<typeof ScriptedVoice.make>>
  /** Both fail from now on, and their sessions end. */
  readonly fail: (primary: Trouble, cover?: Trouble) => void
  /** Somebody speaks for so long. */
  readonly speak: (ms: number) => Effect.Effect<void>
  /** Somebody speaks until a word more is read; gives how long that took, ms. */
  readonly untilRead: Effect.Effect<number>
}

const scene = (
  name: string,
  body: (scene: Scene) => Effect.Effect<void, unknown, Scope.Scope | Transcriber>,
  hasPage = true
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const primary = yield* flaky("primary", "Primary", hasPage)
      const cover = yield* flaky("cover", "Cover", hasPage)
      const engines = Layer.succeed(Engines, [primary.configured, cover.configured])
      const staged = Effect.gen(function* () {
        const now = yield* monotonicMs
        const voice = yield* ScriptedVoice.make()
        const frame = voice.speak(1, "goes on")
        const speak = (ms: number) => Effect.asVoid(Effect.repeat(frame, { times: Math.round(ms / FRAME_MS) - 1 }))
        const untilRead = Effect.suspend(() => {
          const [before, fromMs] = [voice.states.length, now()]
          const isRead = () => voice.states.length > before || now() - fromMs > 60_000
          return Effect.map(Effect.repeat(frame, { until: isRead }), () => now() - fromMs)
        })
        const fail = (how: Trouble, other = how) => {
          primary.fail(how)
          cover.fail(other)
          primary.cut()
          cover.cut()
        }
        yield* speak(2_000)
        yield* body({ primary, cover, voice, fail, speak, untilRead })
      })
      yield* Effect.provide(staged, EngineTranscriber.layer.pipe(Layer.provide(engines)))
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()), Random.withSeed(name))
  )

const troubles = { away, busy, hanging: "Hangs" } as const satisfies Record<string, Trouble>

describe("both engines fail while somebody speaks", () => {
  for (const [called, trouble] of Object.entries(troubles))
    for (const mended of ["primary", "cover"] as const)
      scene(`${called}: words come again within 2 s of the ${mended}, however long it took`, (all) =>
        Effect.gen(function* () {
          const { cover, fail, primary, speak, untilRead, voice } = all
          for (const outMs of [1_000, 2_300, 4_900, 7_000, 10_000, 10_250, 10_500, 10_750, 33_000]) {
            fail(trouble)
            yield* speak(outMs)
            all[mended].mend()
            assert.isAtMost(yield* untilRead, BACK_MS, `${outMs} ms`)
            primary.mend()
            cover.mend()
            yield* speak(25_000)
          }
          assert.strictEqual(voice.interruptions.length, 0)
        })
      )

  scene(
    "words come again within 2 s where sessions have to be asked for",
    ({ cover, fail, primary, speak, untilRead }) =>
      Effect.gen(function* () {
        for (const outMs of [2_300, 7_000, 10_000, 10_400]) {
          fail(away)
          yield* speak(outMs)
          primary.mend()
          assert.isAtMost(yield* untilRead, BACK_MS, `${outMs} ms`)
          cover.mend()
          yield* speak(25_000)
        }
      }),
    false
  )

  scene("again and again, it is asked as soon as the first time", ({ fail, primary, speak, untilRead }) =>
    Effect.gen(function* () {
      for (let time = 0; time < 8; time++) {
        fail(away)
        yield* speak(10_000)
        primary.mend()
        assert.isAtMost(yield* untilRead, BACK_MS, `time ${time}`)
        yield* speak(3_000)
      }
    })
  )
})

describe("an engine that hangs", () => {
  scene("for new sessions does not keep the voice from one that comes back meanwhile", (all) =>
    Effect.gen(function* () {
      const { cover, fail, speak, untilRead } = all
      fail("Hangs", away)
      yield* speak(10_000)
      cover.mend()
      assert.isAtMost(yield* untilRead, BACK_MS)
    })
  )
})

describe("an engine that refuses us", () => {
  for (const hasPage of [true, false])
    scene(
      `is asked once a minute while speech waits, ${hasPage ? "by its page" : "for a session"}`,
      ({ cover, fail, primary, speak }) =>
        Effect.gen(function* () {
          const before = [primary, cover].map(({ askedFor }) => askedFor())
          fail(refused)
          yield* speak(300_000)
          for (const [index, { askedFor }] of [primary, cover].entries()) {
            assert.isAtMost(askedFor() - (before[index] ?? 0), 6)
            assert.isAtLeast(askedFor() - (before[index] ?? 0), 4)
          }
        }),
      hasPage
    )

  scene("for a while it told is not asked before", ({ fail, primary, speak, untilRead }) =>
    Effect.gen(function* () {
      const before = primary.askedFor()
      fail(new EngineError({ reason: "Busy", detail: "later", retryAfterMs: 20_000 }), refused)
      yield* speak(60_000)
      assert.isAtMost(primary.askedFor() - before, 4)
      primary.mend()
      assert.isAtMost(yield* untilRead, 24_000 + BACK_MS)
    })
  )
})

describe("engines that are away", () => {
  scene("are asked by nobody a minute after the last word", ({ cover, fail, primary, speak, voice }) =>
    Effect.gen(function* () {
      fail(away)
      yield* speak(2_000)
      yield* voice.leave
      yield* TestClock.adjust("2 minutes")
      const before = [primary.askedFor(), cover.askedFor()]
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual([primary.askedFor(), cover.askedFor()], before)
    })
  )
})
