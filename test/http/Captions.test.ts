import { type IncomingMessage, request } from "node:http"
import { text } from "node:stream/consumers"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpServer } from "effect/http"
import { TestClock } from "effect/testing"
import type { Caption } from "../../src/domain/Caption.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import { gapBehind } from "../../src/domain/Segment.ts"
import { maxFinals } from "../../src/layers/CaptionHub.ts"
import * as HubCaptionFeed from "../../src/layers/HubCaptionFeed.ts"
import { CaptionFeed } from "../../src/services/CaptionFeed.ts"
import { type CallSink, TranscriptSink } from "../../src/services/TranscriptSink.ts"
import * as FakeCalls from "../support/FakeCalls.ts"
import { ask, bearer, service } from "../support/HttpSetup.ts"
import * as ScriptedSession from "../support/ScriptedSession.ts"
import { until } from "../support/Until.ts"

const { session } = ScriptedSession.make({ now: () => 0 })
const path = `/api/v1/calls/${session.room}/captions`

const caption = (segment: number, committed: string, open = ""): Caption => ({
  room: session.room,
  speaker: ScriptedSession.id("ada"),
  speakerName: "Ada",
  language: defaultLanguage,
  segment: {
    id: `v:${segment}`,
    revision: open === "" ? 2 : 1,
    committed,
    open,
    startMs: 1200,
    tokenAtMs: 0,
    ...(open === "" ? { final: "Silence" as const } : {})
  }
})

/** A service in which one call is captioned, until it is ended. */
const scene = Effect.gen(function* () {
  const feed = yield* Layer.build(HubCaptionFeed.layer)
  const call = yield* Scope.make()
  const sink = yield* Context.get(feed, TranscriptSink)
    .open({ session, intents: () => [] })
    .pipe(Scope.provide(call))
  const captions = Layer.succeed(CaptionFeed, Context.get(feed, CaptionFeed))
  const client = yield* Layer.build(service({ calls: FakeCalls.layer(FakeCalls.make()), captions }))
  return { sink, end: Scope.close(call, Exit.void), client }
})

/** Reads events until the answer ends. */
const read = Effect.fnUntraced(function* (headers: Record<string, string> = bearer) {
  const response = yield* HttpClient.execute(HttpClientRequest.get(path, { headers }))
  assert.strictEqual(response.status, 200)
  assert.match(response.headers["content-type"] ?? "", /^text\/event-stream/)
  let text = ""
  const reading = yield* response.stream.pipe(
    Stream.decodeText,
    Stream.runForEach((part) =>
      Effect.sync(() => {
        text += part
      })
    ),
    Effect.forkScoped
  )
  const events = () =>
    text
      .split("\n\n")
      .filter((block) => block.startsWith("event: "))
      .map((block) => {
        const [, event, data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? []
        return { event, data: JSON.parse(data) }
      })
  return { events, text: () => text, end: Fiber.join(reading) }
})

/** Somebody whose network does not take anything for a while. */
const pausedReader = Effect.gen(function* () {
  const server = yield* HttpServer.HttpServer
  const port = "port" in server.address ? server.address.port : 0
  const response = yield* Effect.callback<IncomingMessage>((resume) => {
    request({ port, path, headers: bearer }, (answer) => resume(Effect.succeed(answer.pause()))).end()
  })
  const rest = Effect.promise(() => text(response))
  return { rest }
})

const publish = (sink: CallSink, ...captions: ReadonlyArray<Caption>) => {
  for (const one of captions) sink.publish(one)
}

describe("captions over HTTP", () => {
  it.effect("are told as they come, behind what a newcomer has missed, until the call ends", () =>
    Effect.gen(function* () {
      const { client, end, sink } = yield* scene
      publish(sink, caption(1, "Good morning."), caption(2, "How", "are"))
      yield* Effect.gen(function* () {
        const reader = yield* read()
        yield* until(() => reader.events().length === 2)
        publish(sink, caption(2, "How are you?"))
        yield* until(() => reader.events().length === 3)
        yield* end
        yield* reader.end
        const common = { speaker: "ada", speakerName: "Ada", language: "en", startMs: 1200 }
        assert.deepStrictEqual(reader.events(), [
          { event: "caption", data: { ...common, segment: "v:1", revision: 2, text: "Good morning.", final: true } },
          { event: "caption", data: { ...common, segment: "v:2", revision: 1, text: "How are", final: false } },
          { event: "caption", data: { ...common, segment: "v:2", revision: 2, text: "How are you?", final: true } },
          { event: "end", data: { reason: "CallEnded", detail: "the call has ended, or is captioned no more" } }
        ])
      }).pipe(Effect.provide(client))
    })
  )

  it.effect("say where words are missing, to newcomers too", () =>
    Effect.gen(function* () {
      const { client, end, sink } = yield* scene
      const mark = gapBehind("v:1", { atMs: 0, ordinal: 1, voice: "v" })
      publish(sink, caption(1, "Good morning."))
      publish(sink, { ...caption(1, ""), segment: mark, interrupted: { atMs: 2500, lengthMs: 12_000 } })
      yield* Effect.gen(function* () {
        const reader = yield* read()
        yield* end
        yield* reader.end
        assert.deepStrictEqual(
          reader.events().map(({ event }) => event),
          ["caption", "interrupted", "end"]
        )
        const gap = { speaker: "ada", speakerName: "Ada", segment: "v:1.5", atMs: 2500, lengthMs: 12_000 }
        assert.deepStrictEqual(reader.events()[1]?.data, gap)
      }).pipe(Effect.provide(client))
    })
  )

  it.effect("keep a quiet connection alive", () =>
    Effect.gen(function* () {
      const { client } = yield* scene
      yield* Effect.gen(function* () {
        const reader = yield* read()
        yield* until(() => reader.text() !== "")
        const before = reader.text().length
        yield* TestClock.adjust("16 seconds")
        yield* until(() => reader.text().length > before)
        assert.match(reader.text(), /^(: [^\n]+\n\n)+$/)
      }).pipe(Effect.provide(client))
    })
  )

  it.effect(
    "tell a reader that was too slow why it is disconnected, and hold up nobody else",
    () =>
      Effect.gen(function* () {
        const { client, sink } = yield* scene
        yield* Effect.gen(function* () {
          const slow = yield* pausedReader
          const awake = yield* read()
          // More than the network between us holds (36 MB here), and more than may wait (1,000): in all 128 MB.
          const long = "words ".repeat(10_700)
          const many = 2 * maxFinals
          for (let one = 0; one < many; one++) {
            sink.publish(caption(one, `${one} ${long}`))
            // no faster than somebody reads who has nothing else to do
            if (one % 250 === 249) yield* until(() => awake.text().length > (one - 250) * long.length, 30)
          }
          yield* until(() => awake.text().length > many * long.length, 30)
          assert.strictEqual(awake.events().length, many)
          const told = yield* slow.rest
          assert.match(
            told.slice(-200),
            /event: end\ndata: \{"reason":"ReaderBehind","detail":"reader too far behind: [^"]+"\}\n\n$/
          )
          assert.isBelow(told.split("event: caption").length - 1, many)
        }).pipe(Effect.provide(client))
      }),
    // 128 MB through two sockets, on a machine that others use
    180_000
  )

  it.effect("are for those who may, and of calls that there are", () =>
    Effect.gen(function* () {
      const { client } = yield* scene
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* ask("GET", path)).status, 401)
        assert.strictEqual((yield* ask("GET", `${path}?token=t0ken`)).status, 401)
        const other = yield* ask("GET", "/api/v1/calls/other/captions", { headers: bearer })
        assert.deepStrictEqual([other.status, other.body], [404, { error: "no call is captioned in this room" }])
        assert.strictEqual((yield* ask("GET", "/api/v1/calls/no%20room/captions", { headers: bearer })).status, 400)
      }).pipe(Effect.provide(client))
    })
  )
})
