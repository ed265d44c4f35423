/** Promise 9: a voice that is local-only never reaches an engine off this machine, whatever fails. */
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Metric, Queue, Random, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type AudioFrame, FRAME_MS, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { LanguageId, languagesOf } from "../../src/domain/Language.ts"
import type { Privacy } from "../../src/domain/Privacy.ts"
import * as EngineHealth from "../../src/layers/EngineHealth.ts"
import type { Chosen } from "../../src/layers/EnginePrivacy.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import { type EngineRole, Engines } from "../../src/services/Engines.ts"
import { type EngineError, SpeechEngine } from "../../src/services/SpeechEngine.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import { away, busy, closed, type Placed, place, refused } from "../support/EngineTable.ts"

/** How audio shows whose it is, whatever becomes of it on the way. */
const loudness: Readonly<Record<Privacy, number>> = { any: 0.1, "local-only": 0.5 }
const isSecret = (frame: AudioFrame) => (frame.pcm[FRAME_SAMPLES / 2] ?? 0) > 0.3

/** A voice that speaks for so many frames, and stops now and then. */
const speaking = Effect.fnUntraced(function* (id: string, privacy: Privacy, language: string, frames: number) {
  // bounded: nobody reads 30 s late
  const queue = yield* Queue.sliding<AudioFrame>(400)
  const ring: Array<AudioFrame> = []
  const transcriber = yield* Transcriber
  yield* transcriber.prepare({ language: () => LanguageId.make(language), privacy })
  yield* transcriber
    .transcribe({
      id,
      frames: Stream.fromQueue(queue),
      replay: (position) => ring.filter((frame) => frame.position >= position),
      language: () => LanguageId.make(language),
      privacy
    })
    .pipe(Stream.runDrain, Effect.forkScoped)
  yield* Effect.gen(function* () {
    for (let index = 0; index < frames; index++) {
      yield* Effect.sleep(FRAME_MS)
      const pcm = new Float32Array(FRAME_SAMPLES).fill(loudness[privacy])
      const frame = { position: index * FRAME_SAMPLES, pcm, heardAtMs: 0, endsSpeech: index % 40 === 39 }
      ring.push(frame)
      Queue.offerUnsafe(queue, frame)
    }
  }).pipe(Effect.forkScoped)
})

interface World {
  readonly privacies: ReadonlyArray<Privacy>
  readonly locals: number
}

/** Engines of random roles, languages and places that fail at random, and random voices; what engines off this machine were given. */
const world = Effect.fnUntraced(function* (seed: number, given?: World) {
  const next = yield* Effect.map(Random.Random, ({ nextDoubleUnsafe }) => nextDoubleUnsafe)
  const pick = <A>(...all: readonly [A, ...ReadonlyArray<A>]): A => all[Math.floor(next() * all.length)] ?? all[0]
  const seen = { sessionsAway: 0, probesAway: 0, secretsAway: 0, secretsHere: 0, framesAway: 0 }
  const failure = (): EngineError => pick(away, busy, refused, closed)
  const mishap = Effect.suspend(() => {
    const wait = Effect.sleep(pick(0, 20, 300, 5_000))
    return next() < 0.5 ? Effect.andThen(wait, Effect.fail(failure())) : wait
  })
  const engine = (local: boolean): Placed => ({
    role: pick<EngineRole>("Primary", "Cover", "LastResort"),
    capabilities: {
      local,
      languages: languagesOf(pick(["en"], ["en", "de"], ["de"])),
      ...(next() < 0.3 ? { maxSessions: 1 } : {})
    },
    opening: () =>
      Effect.suspend(() => {
        if (!local) seen.sessionsAway += 1
        return mishap
      }),
    onFrame: (frame, session) => {
      if (isSecret(frame) && local) seen.secretsHere += 1
      if (!local) seen.framesAway += 1
      if (isSecret(frame) && !local) seen.secretsAway += 1
      if (next() < 0.02) session.fail(pick("Closed", "Silent", "Refused", "LimitReached"))
      else if (next() < 0.2) session.say("word")
    },
    ...(next() < 0.5
      ? {
          probe: Effect.suspend(() => {
            if (!local) seen.probesAway += 1
            return mishap
          })
        }
      : {})
  })
  const locals = given?.locals ?? Math.floor(next() * 3)
  const places = yield* Effect.forEach(
    [...Array.from({ length: locals }, () => true), ...Array.from({ length: 1 + Math.floor(next() * 3) }, () => false)],
    (local, index) => place(`engine ${index}`, engine(local))
  )
  const engines = places.map(({ configured }) => configured).toSorted(() => next() - 0.5)
  yield* Effect.gen(function* () {
    const privacies = given?.privacies ?? Array.from({ length: 4 }, () => pick<Privacy>("any", "local-only"))
    for (const [index, privacy] of privacies.entries())
      yield* speaking(`${seed}:${index}`, privacy, pick("en", "de", "fr"), 200)
    yield* TestClock.adjust("40 seconds")
  }).pipe(Effect.provide(EngineTranscriber.layer.pipe(Layer.provide(Layer.succeed(Engines, engines)))))
  return seen
})

const run = (seed: number, given?: World) =>
  world(seed, given).pipe(
    Effect.scoped,
    Random.withSeed(`privacy ${seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provide(Logger.layer([]))
  )

/** ms; a world is a minute of several voices. */
const patience = 180_000

describe("what is said by a local-only voice", () => {
  it.effect(
    "is not heard off this machine in 15 worlds of engines that fail at random",
    () =>
      Effect.gen(function* () {
        let here = 0
        let elsewhere = 0
        for (let seed = 0; seed < 15; seed++) {
          const { framesAway, secretsAway, secretsHere } = yield* run(seed)
          assert.strictEqual(secretsAway, 0, `seed ${seed}`)
          here += secretsHere
          elsewhere += framesAway
        }
        // both kinds of voices were heard at all
        assert.isAbove(here, 300)
        assert.isAbove(elsewhere, 300)
      }),
    patience
  )

  it.effect(
    "opens no session and asks for no sign of life off this machine, with local engines that fail and with none",
    () =>
      Effect.gen(function* () {
        const privacies: ReadonlyArray<Privacy> = ["local-only", "local-only"]
        for (let seed = 0; seed < 12; seed++) {
          const { probesAway, sessionsAway } = yield* run(seed, { privacies, locals: seed % 3 })
          assert.deepStrictEqual({ probesAway, sessionsAway }, { probesAway: 0, sessionsAway: 0 }, `seed ${seed}`)
        }
      })
  )
})

describe("the one way to an engine", () => {
  it("is EnginePrivacy: nothing else opens a session, and only the circuit sends a probe", () => {
    const folders = ["domain", "services", "layers", "http"]
    const files = folders.flatMap((folder) =>
      readdirSync(new URL(`../../src/${folder}/`, import.meta.url)).map((file) => `${folder}/${file}`)
    )
    const naming = (pattern: RegExp) =>
      files.filter((file) => pattern.test(readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8")))
    assert.deepStrictEqual(naming(/\bengine\.open\b/), ["layers/EnginePrivacy.ts"])
    assert.deepStrictEqual(naming(/EnginePrivacy\.open\b/), ["layers/EngineCircuit.ts"])
    assert.deepStrictEqual(naming(/SpeechEngine\.use|yield\* SpeechEngine\b/), ["layers/ConfiguredEngines.ts"])
  })

  it.effect("does not compile for an engine that was not found to be on this machine", () =>
    Effect.gen(function* () {
      const engine = yield* Effect.provide(SpeechEngine, ScriptedEngine.layer({ capabilities: { local: false } }))
      const configured = EngineHealth.make(engine)
      const language = LanguageId.make("en")
      const allowed: Chosen = { privacy: "any", configured, language }
      // @ts-expect-error: it is no LocalEngine
      const forbidden: Chosen = { privacy: "local-only", configured, language }
      assert.notStrictEqual(allowed.privacy, forbidden.privacy)
    })
  )
})
