/**
 * The session program, seen through a dialect that adds nothing.
 */
import { request } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Layer, Logger, Redacted, Scope, Stream } from "effect"
import { rawAudio } from "../../src/domain/AudioFormat.ts"
import * as ScriptedEngine from "../../src/layers/ScriptedEngine.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import { EngineError } from "../../src/services/SpeechEngine.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import { TranscriptStoreError } from "../../src/services/TranscriptStore.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import * as PlainDialect from "../support/PlainDialect.ts"

const plain = PlainDialect.make()
const path = "/plain"
const start = [{ _tag: "Start" }]

const say = (...words: ReadonlyArray<number>) =>
  DoorSetup.pcm16(ToneModem.speak(words, { speaker: 1, sampleRate: 24_000 }).pcm)
const text = (...words: ReadonlyArray<number>) => words.map(wordText).join(" ")
const is = (tag: string) => (message: DoorSetup.Json) => message["_tag"] === tag
const tags = (client: DoorSetup.DoorClient) => client.messages.map((message) => message["_tag"])

interface Refused {
  readonly status: number | undefined
  readonly body: unknown
  readonly allow: string | undefined
}

/** A request as no WebSocket client makes it. */
const ask = (port: number, path: string, method: string, headers: Record<string, string>) =>
  Effect.callback<Refused>((resume) => {
    const asked = request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (chunk: string) => {
        body += chunk
      })
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode, body: JSON.parse(body), allow: response.headers.allow }))
      )
    })
    asked.on("upgrade", () => resume(Effect.die(new Error("it was upgraded"))))
    asked.on("error", (error) => resume(Effect.die(error)))
    asked.end()
  })

const upgrade = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
}

describe("the address of a door", () => {
  it.live("answers whatever is not a websocket for it as JSON, and nothing hangs", () =>
    Effect.gen(function* () {
      const { port } = yield* DoorSetup.start()
      const door = "/v1/transcriptions"
      const statusOf = (path: string, method: string, headers: Record<string, string> = {}) =>
        Effect.map(ask(port, path, method, headers), ({ body, status }) => {
          assert.isString(body !== null && typeof body === "object" && "error" in body ? body.error : undefined)
          return status
        })
      assert.strictEqual(yield* statusOf(door, "GET"), 426)
      assert.strictEqual(yield* statusOf(door, "POST", upgrade), 405)
      assert.strictEqual(yield* statusOf(door, "GET", { ...upgrade, upgrade: "h2c" }), 426)
      assert.strictEqual(yield* statusOf(door, "GET", { ...upgrade, origin: "https://evil.example.com" }), 403)
      assert.strictEqual(yield* statusOf(door, "GET", { ...upgrade, "sec-websocket-key": "no" }), 400)
      assert.strictEqual(yield* statusOf("/v1/nothing", "GET", upgrade), 404)
      assert.strictEqual(yield* statusOf("/v1/nothing", "GET"), 404)
    })
  )

  it.live("chooses a subprotocol that is no credential, so that browsers stay", () =>
    Effect.gen(function* () {
      const dialect = PlainDialect.make({ credentials: { subprotocolPrefix: "token." }, subprotocol: "talk" })
      const apiToken = Redacted.make("s3cret")
      const doors = yield* DoorSetup.start({ dialects: [dialect], settings: { apiToken } })
      const chosen = (...protocols: ReadonlyArray<string>) =>
        Effect.map(doors.connect(path, { protocols }), ({ socket }) => socket.protocol)
      assert.strictEqual(yield* chosen("token.s3cret", "other", "talk"), "talk")
      assert.strictEqual(yield* chosen("token.s3cret", "other"), "other")
      const client = yield* doors.connect(path, { protocols: ["talk", "token.s3cret"] })
      assert.deepStrictEqual(yield* client.said(is("Admitted")), { _tag: "Admitted", by: "Request" })
    })
  )
})

describe("a client", () => {
  it.live("is told in order who it is, what recognises, what was said, and that all was said", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(1, 2, 3))
      client.send([{ _tag: "Commit" }])
      const committed = yield* client.said(is("Committed"))
      const said = committed["said"]
      assert.deepStrictEqual(Array.isArray(said) ? said.map((line) => line.text) : [], [text(1, 2, 3)])
      client.send([{ _tag: "Finish" }])
      yield* client.said(is("Finished"))
      const [admitted, ready, speech] = client.messages
      assert.deepStrictEqual(admitted, { _tag: "Admitted", by: "Nothing" })
      assert.deepStrictEqual(ready, { _tag: "Ready", engine: "modal", model: "modal", language: "en" })
      assert.deepStrictEqual(speech, { _tag: "SpeechStarted", atMs: 0 })
      const order = tags(client).filter((tag) => tag !== "Segment" && tag !== "SpeechStopped")
      assert.deepStrictEqual(order.slice(0, 5), ["Admitted", "Ready", "SpeechStarted", "Settled", "Committed"])
      assert.strictEqual(order.at(-1), "Finished")
    })
  )

  it.live("that sends a message byte by byte is heard as one that sends it whole", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      const speech = say(4, 5)
      for (let at = 0; at < speech.length; at += 333) client.send(speech.subarray(at, at + 333))
      client.send([{ _tag: "Finish" }])
      const { said } = yield* client.said(is("Finished"))
      assert.deepStrictEqual(Array.isArray(said) ? said.map((line) => line.text) : [], [text(4, 5)])
    })
  )

  it.live("gets one answer to each commit, in order, also when there was nothing to say", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send([...start, { _tag: "Commit" }])
      client.send(say(7))
      client.send([{ _tag: "Commit" }, { _tag: "Commit" }])
      client.send(say(8))
      client.send([{ _tag: "Commit" }, { _tag: "Finish" }])
      yield* client.said(is("Finished"))
      const answers = client.messages
        .filter(is("Committed"))
        .map(({ said }) => (Array.isArray(said) ? said.map((line) => line.text).join(" ") : ""))
      assert.deepStrictEqual(answers, ["", text(7), text(7), text(7, 8)])
    })
  )

  it.live("that resets hears nothing more of what it had said, and keeps its engine", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(70, 80))
      client.send([{ _tag: "Reset" }])
      yield* client.said(is("WasReset"))
      const before = client.messages.length
      client.send(say(9))
      client.send([{ _tag: "Finish" }])
      const { said } = yield* client.said(is("Finished"))
      assert.deepStrictEqual(Array.isArray(said) ? said.map((line) => line.text) : [], [text(9)])
      const later = JSON.stringify(client.messages.slice(before))
      assert.notInclude(later, wordText(70))
      assert.notInclude(later, wordText(80))
      assert.strictEqual(yield* doors.metric("engine_sessions_total"), 1)
    })
  )

  it.live("that goes without a word leaves nothing behind: its engine session is closed at once", () =>
    Effect.gen(function* () {
      const { engine, director } = yield* scripted()
      const doors = yield* DoorSetup.start({ engine, dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(1, 2))
      const session = yield* director.session(0)
      yield* until(() => session.heard() > 0)
      client.socket.terminate()
      yield* until(() => session.closed())
      yield* until(doors.metric("stream_closes_total", { reason: "Left" }), 1)
      assert.strictEqual(yield* doors.metric("stream_sessions_active"), 0)
    })
  )

  it.live("that says it is done is closed with 1000, if it does not close itself", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send([...start, { _tag: "Finish" }])
      yield* client.said(is("Finished"))
      assert.strictEqual((yield* client.closed).code, 1000)
      yield* until(doors.metric("stream_closes_total", { reason: "Done" }), 1)
    })
  )
})

describe("an engine", () => {
  it.live("is sent what samples there are between those that are no numbers", () =>
    Effect.gen(function* () {
      const dialect = PlainDialect.make({
        conversation: {
          opened: () => [{ _tag: "Start", options: { format: rawAudio("float32", 24_000) } }],
          receive: (message) =>
            typeof message === "string" ? [{ _tag: "Finish" }] : [{ _tag: "Audio", bytes: message }]
        },
        credentials: { noneKnown: true }
      })
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [dialect] })
      const client = yield* doors.connect(path)
      yield* client.said(is("Ready"))
      const { pcm } = ToneModem.speak([12, 13], { speaker: 1, sampleRate: 24_000 })
      client.send(new Uint8Array(new Float32Array(2400).fill(Number.NaN).buffer))
      client.send(new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength))
      client.send("stop")
      assert.include(JSON.stringify(yield* client.said(is("Finished"))), text(12, 13))
      assert.isAbove(yield* doors.metric("drops_total", { reason: "bad_audio" }), 0)
    })
  )

  it.live("is chosen by name or model; what is not there is the first", () =>
    Effect.gen(function* () {
      const { engine } = yield* scripted({ capabilities: { model: "one-b" } })
      const doors = yield* DoorSetup.start({ engine, dialects: [plain] })
      for (const wanted of ["scripted", "one-b", "other", undefined]) {
        const client = yield* doors.connect(path)
        client.send([{ _tag: "Start", language: "fr-CA", ...(wanted === undefined ? {} : { engine: wanted }) }])
        assert.deepStrictEqual(yield* client.said(is("Ready")), {
          _tag: "Ready",
          engine: "scripted",
          model: "one-b",
          language: "fr"
        })
      }
    })
  )

  it.live("that is missing fails the session, not the service", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      yield* client.said((message) => message["failure"] === "NoEngine")
      assert.strictEqual((yield* client.closed).code, 1011)
    })
  )

  it.live("that refuses us is said within seconds, not after minutes of speaking to nobody", () =>
    Effect.gen(function* () {
      const opening = () => Effect.fail(new EngineError({ reason: "Refused", detail: "wrong key" }))
      const { engine } = yield* scripted({ opening })
      const doors = yield* DoorSetup.start({ engine, dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(1, 2, 3))
      const failed = yield* client.said((message) => message["failure"] === "NoEngine")
      assert.strictEqual(failed["detail"], "every speech engine refuses this service")
      assert.strictEqual((yield* client.closed).code, 1011)
    })
  )

  it.live("that never took the audio does not make the session one that finished well", () =>
    Effect.gen(function* () {
      const transcriber = Layer.succeed(Transcriber, {
        languages: {},
        prepare: () => Effect.void,
        transcribe: (voice) => Stream.drain(voice.frames)
      })
      const { engine } = yield* scripted({})
      const doors = yield* DoorSetup.start({ engine, transcriber, dialects: [plain] })
      const quiet = yield* doors.connect(path)
      quiet.send(start)
      quiet.send([{ _tag: "Finish" }])
      yield* quiet.said(is("Finished"))
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(1, 2, 3))
      client.send([{ _tag: "Finish" }])
      yield* client.said((message) => message["failure"] === "NoEngine")
      assert.notInclude(tags(client), "Finished")
      assert.strictEqual((yield* client.closed).code, 1011)
    })
  )

  it.live("that takes nothing holds the client up; later it is given everything", () =>
    Effect.gen(function* () {
      const open = yield* Deferred.make<void>()
      const { engine, director } = yield* scripted({ opening: () => Deferred.await(open) })
      const doors = yield* DoorSetup.start({ engine, dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      // 120 s of speech in messages of 1 s: more than voice, inbox and the kernel's buffers hold.
      const second = say(...Array.from({ length: 3 }, (_, index) => index)).subarray(0, 48_000)
      for (let sent = 0; sent < 400; sent++) client.send(second)
      yield* Effect.sleep("500 millis")
      assert.isAbove(client.socket.bufferedAmount, 1_000_000)
      yield* Deferred.succeed(open, undefined)
      const session = yield* director.session(0)
      yield* until(() => session.heard() > 100)
      const positions = session.positions()
      for (const [index, position] of positions.entries()) {
        if (index > 0) assert.strictEqual(position - (positions[index - 1] ?? 0), 1920)
      }
    })
  )
})

describe("what was said", () => {
  const stored = () => {
    const transcripts: Array<ReadonlyArray<string>> = []
    const save = ({ lines }: { readonly lines: ReadonlyArray<string> }) =>
      Effect.sync(() => {
        transcripts.push(lines)
        return "20261121_120000.txt"
      })
    return { transcripts, store: { isConfigured: true, save } }
  }

  it.live("is kept behind the last words, when the client asks for it", () =>
    Effect.gen(function* () {
      const { store, transcripts } = stored()
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain], store })
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(3))
      client.send([{ _tag: "Finish" }, { _tag: "Save" }])
      assert.deepStrictEqual(yield* client.said(is("Saved")), { _tag: "Saved", key: "20261121_120000.txt" })
      assert.deepStrictEqual(transcripts, [[text(3)]])
      assert.deepStrictEqual(tags(client).slice(-2), ["Finished", "Saved"])
    })
  )

  it.live("is kept of a client that hangs up, when its dialect does so", () =>
    Effect.gen(function* () {
      const { store, transcripts } = stored()
      const dialect = PlainDialect.make({
        conversation: { hungUp: () => [{ _tag: "Finish" }, { _tag: "Save" }] }
      })
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [dialect], store })
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(5, 6))
      client.socket.close()
      yield* until(() => transcripts.length > 0)
      assert.deepStrictEqual(transcripts, [[text(5, 6)]])
    })
  )

  it.live("is not stored when it is nothing, and a store that fails is told of", () =>
    Effect.gen(function* () {
      const failing = {
        isConfigured: true,
        save: () => Effect.fail(new TranscriptStoreError({ detail: "no room", isKept: true }))
      }
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain], store: failing })
      const silent = yield* doors.connect(path)
      silent.send([...start, { _tag: "Save" }, { _tag: "Finish" }])
      const speaking = yield* doors.connect(path)
      speaking.send(start)
      speaking.send(say(5))
      speaking.send([{ _tag: "Save" }, { _tag: "Finish" }])
      assert.deepStrictEqual(yield* speaking.said(is("NotSaved")), { _tag: "NotSaved", detail: "no room" })
      yield* silent.said(is("Finished"))
      assert.notInclude(tags(silent), "NotSaved")
    })
  )
})

describe("a limit", () => {
  it.live("of the session and of idleness ends in words, with 1001", () =>
    Effect.gen(function* () {
      for (const [failure, limits] of [
        ["SessionLimit", { sessionSeconds: 1 }],
        ["Idle", { idleSeconds: 1 }]
      ] as const) {
        const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain], settings: limits })
        const client = yield* doors.connect(path)
        client.send(start)
        client.send(say(3))
        yield* client.said((message) => message["failure"] === failure)
        assert.strictEqual((yield* client.closed).code, 1001)
        const finals = client.messages
          .filter(is("Segment"))
          .filter(({ segment }) => JSON.stringify(segment).includes('"final"'))
        assert.include(JSON.stringify(finals), wordText(3))
        assert.strictEqual(tags(client).at(-1), "Failed")
      }
    })
  )

  it.live("of streams and minutes belongs to a token", () =>
    Effect.gen(function* () {
      const settings = { apiToken: Redacted.make("s3cret"), maxStreams: 1 }
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain], settings })
      const authenticate = { _tag: "Authenticate", token: "s3cret" }
      const first = yield* doors.connect(path)
      first.send([authenticate, ...start])
      assert.deepStrictEqual(yield* first.said(is("Admitted")), { _tag: "Admitted", by: "Message" })
      const second = yield* doors.connect(path, { headers: { authorization: "Bearer s3cret" } })
      yield* second.said((message) => message["denial"] === "TooManyStreams")
      assert.strictEqual((yield* second.closed).code, 1013)
      first.socket.close()
      yield* until(doors.metric("stream_closes_total"), 2)
      const third = yield* doors.connect(`${path}?token=s3cret`)
      yield* third.said(is("Admitted"))
    })
  )

  it.live("of minutes is counted while they are spoken, and ends in words with 1008", () =>
    Effect.gen(function* () {
      const settings = { apiToken: undefined, minutesPerDay: 1 }
      const doors = yield* DoorSetup.start({ engine: ScriptedEngine.layer(), dialects: [plain], settings })
      const client = yield* doors.connect(path)
      client.send(start)
      for (let second = 0; second < 59; second++) client.send(DoorSetup.silence(1000))
      client.send([{ _tag: "Commit" }])
      yield* client.said(is("Committed"))
      yield* Effect.sleep("1100 millis")
      assert.notInclude(tags(client), "Failed")
      client.send(DoorSetup.silence(1100))
      yield* client.said((message) => message["failure"] === "DailyMinutes")
      assert.strictEqual((yield* client.closed).code, 1008)
      const next = yield* doors.connect(path)
      yield* next.said((message) => message["denial"] === "DailyMinutes")
      assert.strictEqual(yield* doors.metric("stream_audio_seconds_total", { dialect: "plain" }), 60.1)
    })
  )

  it.live("what is spoken is counted apart from what is heard", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: ScriptedEngine.layer(), dialects: [plain] })
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(DoorSetup.pcm16(ToneModem.speak([1, 2, 3], { speaker: 0, sampleRate: 24_000 }).pcm))
      client.send(DoorSetup.silence(3000))
      client.send([{ _tag: "Commit" }])
      yield* client.said(is("Committed"))
      client.socket.close()
      yield* until(doors.metric("stream_closes_total"), 1)
      // three words of 360 ms with 80 ms around them
      assert.approximately(yield* doors.metric("speech_seconds_total", { source: "stream" }), 1.16, 0.06)
    })
  )

  it.live("nobody is let in with a wrong credential, or does anything without one", () =>
    Effect.gen(function* () {
      const settings = { apiToken: Redacted.make("s3cret") }
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain], settings })
      const wrong = yield* doors.connect(path)
      wrong.send([{ _tag: "Authenticate", token: "guess" }, ...start])
      yield* wrong.said((message) => message["denial"] === "Unauthorized")
      assert.strictEqual((yield* wrong.closed).code, 1008)
      assert.deepStrictEqual(tags(wrong), ["Denied"])
      const silent = yield* doors.connect(path)
      silent.send(say(1))
      yield* silent.said((message) => message["failure"] === "Unauthenticated")
      assert.strictEqual((yield* silent.closed).code, 1008)
    })
  )
})

describe("the end of the process", () => {
  it.live("is told behind the last words, and new clients are refused", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain] }).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      const client = yield* doors.connect(path)
      client.send(start)
      client.send(say(1, 2, 3, 4))
      yield* client.said(is("Segment"))
      yield* Scope.close(scope, Exit.void)
      yield* client.said((message) => message["failure"] === "ShuttingDown")
      assert.strictEqual((yield* client.closed).code, 1001)
      const finals = client.messages.filter(is("Segment"))
      assert.include(JSON.stringify(finals.at(-1)), text(1, 2, 3, 4))
      assert.strictEqual(tags(client).at(-1), "Failed")
    })
  )
})

describe("a bug", () => {
  it.live("that comes before the session began is told with 1011 too", () =>
    Effect.gen(function* () {
      const converse = () => {
        throw new Error("it cannot")
      }
      const doors = yield* DoorSetup.start({ dialects: [PlainDialect.make({ converse })] })
      const client = yield* doors.connect(path)
      assert.strictEqual((yield* client.closed).code, 1011)
    })
  )

  it.live("ends its own session with 1011, is logged without content, and touches nobody else", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const watching = Logger.layer([Logger.make((line) => lines.push(Logger.formatJson.log(line)))])
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing(), dialects: [plain], watching })
      const other = yield* doors.connect(path)
      other.send(start)
      const client = yield* doors.connect(path)
      client.send([...start, { _tag: "Break" }])
      yield* client.said((message) => message["failure"] === "Internal")
      assert.strictEqual((yield* client.closed).code, 1011)
      const log = lines.filter((line) => line.includes("bug in a streaming session"))
      assert.strictEqual(log.length, 1)
      assert.include(log[0], "PlainDialect.ts")
      assert.notInclude(lines.join(), "secret words")
      other.send(say(6))
      other.send([{ _tag: "Commit" }])
      assert.include(JSON.stringify(yield* other.said(is("Committed"))), wordText(6))
    })
  )
})

/** An engine that does as told, and who tells it. */
const scripted = (script: ScriptedEngine.Script = {}) =>
  Effect.map(Layer.build(ScriptedEngine.layer(script)), (context) => ({
    engine: Layer.succeedContext(context),
    director: Context.get(context, ScriptedEngine.ScriptedEngine)
  }))

const until: {
  (condition: () => boolean): Effect.Effect<void>
  (number: Effect.Effect<number>, expected: number): Effect.Effect<void>
} = (what: (() => boolean) | Effect.Effect<number>, expected?: number) =>
  Effect.gen(function* () {
    for (;;) {
      if (typeof what === "function" ? what() : (yield* what) === expected) return
      yield* Effect.sleep("5 millis")
    }
  }).pipe(Effect.timeoutOrElse({ duration: "60 seconds", orElse: () => Effect.die(new Error("it never was so")) }))
