import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scope, Stream } from "effect"
import type { Caption } from "../../src/domain/Caption.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { textOf } from "../../src/domain/Segment.ts"
import * as CaptionHub from "../../src/layers/CaptionHub.ts"
import * as HubCaptionFeed from "../../src/layers/HubCaptionFeed.ts"
import * as ScriptedSession from "../support/ScriptedSession.ts"

const { session } = ScriptedSession.make({ now: () => 0 })
const { room } = session
/** Everybody does what there is to do. */
const settle = Effect.repeat(Effect.yieldNow, { times: 20 })

const caption = (segment: number, revision: number, text: string, isFinal = false): Caption => ({
  room,
  speaker: ScriptedSession.id("ada"),
  language: defaultLanguage,
  segment: {
    id: `v:${segment}`,
    revision,
    committed: isFinal ? text : "",
    open: isFinal ? "" : text,
    tokenAtMs: 0,
    ...(isFinal ? { final: "Silence" as const } : {})
  }
})

const shown = ({ segment }: Caption) => `${segment.id} ${textOf(segment)}${segment.final === undefined ? "…" : ""}`

/** Reads on in the background; what came so far. */
const read = Effect.fnUntraced(function* (feed: Effect.Success<typeof HubCaptionFeed.make>["feed"]) {
  const came: Array<string> = []
  const captions = yield* feed.subscribe(room)
  const fiber = yield* Effect.forkScoped(Stream.runForEach(captions, (one) => Effect.sync(() => came.push(shown(one)))))
  return { came, end: Fiber.join(fiber) }
})

describe("the feed of a call", () => {
  it.effect("shows a newcomer the newest finals and what is open, then everything that follows, nothing twice", () =>
    Effect.gen(function* () {
      const { feed, sink } = yield* HubCaptionFeed.make
      const call = yield* sink.open({ session, intents: () => [] })
      for (let one = 1; one <= 30; one++) call.publish(caption(one, 1, `final ${one}`, true))
      call.publish(caption(31, 1, "not"))
      call.publish(caption(31, 2, "not yet"))
      const { came } = yield* read(feed)
      call.publish(caption(31, 3, "not yet finished"))
      call.publish(caption(31, 4, "finished", true))
      yield* settle
      const finals = Array.from({ length: 20 }, (_, at) => `v:${at + 11} final ${at + 11}`)
      // The partial was outdated before the reader came to it.
      assert.deepStrictEqual(came, [...finals, "v:31 finished"])
      call.publish(caption(32, 1, "next"))
      yield* settle
      assert.deepStrictEqual(came.slice(21), ["v:32 next…"])
      const late = yield* read(feed)
      yield* settle
      assert.strictEqual(late.came.at(-1), "v:32 next…")
    })
  )

  it.effect("ends behind the last final when the call ends, and there is no feed of it any more", () =>
    Effect.gen(function* () {
      const { feed, sink } = yield* HubCaptionFeed.make
      assert.strictEqual((yield* Effect.flip(Effect.asVoid(feed.subscribe(room))))._tag, "NoSuchCall")
      const around = yield* Effect.scope
      const during = Effect.scoped(
        Effect.gen(function* () {
          const call = yield* sink.open({ session, intents: () => [] })
          const reader = yield* Scope.provide(read(feed), around)
          call.publish(caption(1, 1, "the last words", true))
          return reader
        })
      )
      const { came, end } = yield* during
      yield* end
      assert.deepStrictEqual(came, ["v:1 the last words"])
      assert.strictEqual((yield* Effect.flip(Effect.asVoid(feed.subscribe(room))))._tag, "NoSuchCall")
    })
  )

  it.effect("disconnects a reader that takes nothing, and no other", () =>
    Effect.gen(function* () {
      const { feed, sink } = yield* HubCaptionFeed.make
      const call = yield* sink.open({ session, intents: () => [] })
      const asleep = yield* feed.subscribe(room)
      const awake = yield* read(feed)
      for (let one = 0; one <= CaptionHub.maxFinals; one++) {
        call.publish(caption(one, 1, `final ${one}`, true))
        yield* settle
      }
      assert.strictEqual(awake.came.length, CaptionHub.maxFinals + 1)
      const error = yield* Effect.flip(Stream.runDrain(asleep))
      assert.strictEqual(error._tag, "ReaderBehind")
    })
  )
})
