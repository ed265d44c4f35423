import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as DoorPrivacy from "../../src/http/DoorPrivacy.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import * as PlainDialect from "../support/PlainDialect.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const start = [{ _tag: "Start" }]
const tokens = [
  { name: "press", token: "of-the-press-office" },
  { name: "ward", token: "of-the-ward", privacy: "local-only" }
]

/** Doors with one engine; what it was asked for. */
const scene = Effect.fnUntraced(function* (local: boolean) {
  const tokensFile = join(yield* temporaryFolder, "tokens.json")
  writeFileSync(tokensFile, JSON.stringify(tokens), { mode: 0o600 })
  const context = yield* Layer.build(ScriptedEngine.layer({ capabilities: { local } }))
  const doors = yield* DoorSetup.start({
    engine: Layer.succeedContext(context),
    dialects: [PlainDialect.make()],
    settings: { apiToken: undefined, tokensFile }
  })
  const director = Context.get(context, ScriptedEngine.ScriptedEngine)
  return {
    director,
    speak: Effect.fnUntraced(function* (address: string) {
      const client = yield* doors.connect(address)
      client.send(start)
      return client
    })
  }
})

const failure = (message: DoorSetup.Json) => message["_tag"] === "Failed"
const ready = (message: DoorSetup.Json) => message["_tag"] === "Ready"

describe("a stream that must not leave this machine", () => {
  it.live("by its token or its address is refused where no engine is on it, and nothing is opened", () =>
    Effect.gen(function* () {
      const { director, speak } = yield* scene(false)
      for (const address of [
        "/plain?token=of-the-ward",
        "/plain?token=of-the-ward&privacy=any",
        "/plain?token=of-the-press-office&privacy=local-only"
      ]) {
        const client = yield* speak(address)
        assert.deepInclude(yield* client.said(failure), {
          failure: "NoEngine",
          detail: "no speech engine is on this machine"
        })
        assert.strictEqual((yield* client.closed).code, 1011)
      }
      assert.strictEqual(director.attempts(), 0)
      yield* (yield* speak("/plain?token=of-the-press-office")).said(ready)
    })
  )

  it.live("is heard by an engine that is", () =>
    Effect.gen(function* () {
      const { director, speak } = yield* scene(true)
      const client = yield* speak("/plain?token=of-the-ward")
      yield* client.said(ready)
      client.send(DoorSetup.pcm16(ToneModem.speak([1, 2], { speaker: 1, sampleRate: 24_000 }).pcm))
      assert.strictEqual((yield* director.session(0)).closed(), false)
    })
  )

  it.live("is not heard at all when it says so in a word that is not known", () =>
    Effect.gen(function* () {
      const { speak } = yield* scene(true)
      const client = yield* speak("/plain?token=of-the-press-office&privacy=localonly")
      assert.deepInclude(yield* client.said(failure), { failure: "BadMessage" })
    })
  )

  it("can only become stricter", () => {
    const of = (query: string, allowed: "any" | "local-only") => DoorPrivacy.make(new URLSearchParams(query), allowed)
    assert.deepStrictEqual(
      [of("", "any"), of("privacy=any", "local-only"), of("privacy=local-only", "any"), of("privacy=", "any")],
      ["any", "local-only", "local-only", undefined]
    )
  })
})
