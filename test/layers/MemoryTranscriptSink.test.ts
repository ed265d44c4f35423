import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { LanguageId } from "../../src/domain/Language.ts"
import * as MemoryTranscriptSink from "../../src/layers/MemoryTranscriptSink.ts"
import { all, TranscriptSink } from "../../src/services/TranscriptSink.ts"
import * as ScriptedSession from "../support/ScriptedSession.ts"

describe("a sink in memory", () => {
  it.effect("keeps what was said, shows it live, and composes with others", () =>
    Effect.gen(function* () {
      const memory = yield* MemoryTranscriptSink.MemoryTranscriptSink
      const service = all([yield* TranscriptSink])
      const { session } = ScriptedSession.make({ now: () => 0 })
      const speaker = ScriptedSession.id("ada")
      const live = yield* Stream.runCollect(Stream.take(yield* memory.live, 1)).pipe(Effect.forkChild)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const sink = yield* service.open({ session, intents: () => [] })
          for (const [ordinal, committed] of ["Hello there.", "How are you?"].entries()) {
            sink.publish({
              room: session.room,
              speaker,
              language: LanguageId.make("en"),
              segment: { id: `video:ada:${ordinal}`, revision: 0, committed, open: "", tokenAtMs: 0, final: "Silence" }
            })
          }
          sink.speakerLeft(speaker)
          sink.resumed()
          sink.rejoined()
          yield* sink.drain
        })
      )
      assert.strictEqual(memory.texts(session.room).get(speaker), "Hello there. How are you?")
      assert.strictEqual(memory.captions().length, 2)
      assert.deepStrictEqual(
        memory.notices().map(({ _tag }) => _tag),
        ["Opened", "SpeakerLeft", "Resumed", "Rejoined", "Drained", "Closed"]
      )
      assert.strictEqual((yield* Fiber.join(live))[0]?.segment.committed, "Hello there.")
    }).pipe(Effect.provide(MemoryTranscriptSink.layer))
  )
})
