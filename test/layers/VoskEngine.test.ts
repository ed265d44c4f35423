/** VoskEngine over a real socket to servers with the habits of the stock one, its C++ sister and Nextcloud's. */
import { assert, describe } from "@effect/vitest"
import { Effect, Result } from "effect"
import { speak } from "../../src/conformance/index.ts"
import { samplesOfMs } from "../../src/domain/Audio.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as VoskEngine from "../../src/layers/VoskEngine.ts"
import * as VoskSimulator from "../../src/layers/VoskSimulator.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import { listen } from "../support/EngineEvents.ts"
import { live } from "../support/Live.ts"

const talk = Effect.fnUntraced(function* (url: string, language = "en") {
  const engine = yield* SpeechEngine.pipe(Effect.provide(VoskEngine.layer({ url })))
  const session = yield* engine.open({ language: LanguageId.make(language) })
  const { end, events, finals } = yield* listen(session)
  const { sampleRate } = engine.capabilities
  return {
    session,
    finals,
    events,
    ended: end,
    say: (words: ReadonlyArray<number>, position = 0) => {
      for (const frame of speak(words, { position, sampleRate }).frames) session.send(frame)
    }
  }
})

const text = (words: ReadonlyArray<number>) => words.map(wordText).join(" ")

describe("VoskEngine", () => {
  for (const kind of ["Python", "Cpp", "Nextcloud"] as const) {
    live(
      `every word sent before a flush is in a final when it completes (${kind})`,
      Effect.gen(function* () {
        const server = yield* VoskSimulator.make({ kind })
        const { session, say, finals } = yield* talk(server.url)
        say([1, 2, 3])
        yield* session.flush
        assert.strictEqual(finals().join(" "), text([1, 2, 3]))
        say([4, 5], samplesOfMs(60_000))
        yield* session.flush
        assert.strictEqual(finals().join(" "), text([1, 2, 3, 4, 5]))
        assert.isAtLeast(session.mark(), samplesOfMs(60_000))
        assert.deepStrictEqual(server.counters().offences, [])
      })
    )
  }

  live(
    "partials replace each other and times are those of the voice, whatever silence lay between",
    Effect.gen(function* () {
      const server = yield* VoskSimulator.make()
      const { session, say, events } = yield* talk(server.url)
      say([1, 2], samplesOfMs(1000))
      yield* session.flush
      say([3], samplesOfMs(30_000))
      yield* session.flush
      const completed = events().flatMap((event) => (event._tag === "Completed" ? [event] : []))
      const [first, second] = [completed.at(0)?.words?.[0], completed.at(-1)?.words?.at(-1)]
      assert.approximately(first?.startMs ?? 0, 1000 + 60, 25)
      assert.approximately(second?.startMs ?? 0, 30_000 + 60, 25)
      assert.strictEqual(first?.confidence, 0.9)
      assert.isTrue(events().some((event) => event._tag === "Replaced" && event.stableLength === 0))
    })
  )

  live(
    "the last words come with finish, and nothing is sent behind it",
    Effect.gen(function* () {
      const server = yield* VoskSimulator.make()
      const { session, say, finals, ended } = yield* talk(server.url)
      say([7, 8])
      yield* session.finish ?? Effect.void
      say([9], samplesOfMs(5000))
      assert.strictEqual((yield* ended).reason, "Closed")
      assert.strictEqual(finals().join(" "), text([7, 8]))
    })
  )

  live(
    '"the" alone is what English models hear in silence, and is not said',
    Effect.gen(function* () {
      const server = yield* VoskSimulator.make({ hearsThe: true })
      const { session, events } = yield* talk(server.url)
      session.send({ position: 0, pcm: new Float32Array(1280), heardAtMs: 0, endsSpeech: true })
      yield* session.flush
      assert.deepStrictEqual(
        events().filter(({ _tag }) => _tag !== "Marked"),
        []
      )
    })
  )

  live(
    "a language without a model refuses us for good",
    Effect.gen(function* () {
      const server = yield* VoskSimulator.make({ kind: "Nextcloud", languages: ["en"] })
      const { ended } = yield* talk(server.url, "fr")
      const error = yield* ended
      assert.strictEqual(error.reason, "Refused")
      assert.isFalse(error.retryable)
    })
  )

  live(
    "refusals, crashes and garbage are typed",
    Effect.gen(function* () {
      const server = yield* VoskSimulator.make()
      server.behave("refuse")
      const refused = yield* Effect.result(Effect.scoped(talk(server.url)))
      assert.isTrue(Result.isFailure(refused) && refused.failure.reason === "Refused")
      server.behave("unavailable")
      const busy = yield* Effect.result(Effect.scoped(talk(server.url)))
      assert.isTrue(Result.isFailure(busy) && busy.failure.reason === "Busy")
      server.behave("garbage")
      const { say, session, ended, finals } = yield* talk(server.url)
      say([1, 2, 3])
      yield* Effect.forkScoped(Effect.ignore(session.flush))
      yield* Effect.sleep("100 millis")
      assert.deepStrictEqual(finals(), [])
      server.kill()
      assert.strictEqual((yield* ended).reason, "Closed")
    })
  )
})
