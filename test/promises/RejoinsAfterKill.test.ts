/**
 * kill -9, and another process with the same folder: every call is joined and captioned again, and nobody presses a button.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Schedule } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import { ENCODER_RATE } from "../../src/layers/SpeechEncoder.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import { appApiHeaders, appSecret } from "../support/HttpSetup.ts"
import { freePort, type ServiceProcess, start } from "../support/ServiceProcess.ts"
import * as Standstill from "../support/Standstill.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

/** ms; real processes, real speech. */
const patience = 600_000
const post = { method: "POST", headers: { "content-type": "application/json", connection: "close" } }
const turnServers = [{ urls: ["turn:127.0.0.1:9"], username: "user of the relay", credential: "secret of the relay" }]

const ask = (url: string, init: RequestInit = { headers: { connection: "close" } }) =>
  Effect.promise(() => fetch(url, init).then((response) => response.text()))

/** A folder, a Talk and an engine that outlive the service, and what there is to do with them. */
const makeScene = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const talk = yield* TalkSimulator.make()
  const kyutai = yield* KyutaiSimulator.make()
  const [PORT, APP_PORT] = [String(yield* freePort), String(yield* freePort)]
  const api = `http://127.0.0.1:${PORT}`
  const boot = Effect.fnUntraced(function* (ports = [PORT, APP_PORT]) {
    const [port = "", appPort = ""] = ports
    const service = yield* start({
      PORT: port,
      APP_PERSISTENT_STORAGE: folder,
      APP_PORT: appPort,
      APP_SECRET: appSecret,
      LT_HPB_URL: talk.url,
      LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
      STT_STREAM_URL: kyutai.url
    })
    for (const one of ports) yield* service.says(`:${one}"`)
    return service
  })
  const kill = (service: ServiceProcess, signal: NodeJS.Signals) =>
    Effect.andThen(
      Effect.sync(() => service.child.kill(signal)),
      service.exit
    )
  /** As Talk asks for one viewer, and as a service asks for everybody. */
  const want = (room: string, ncSessionId?: string) =>
    ncSessionId === undefined
      ? ask(`${api}/api/v1/call/transcribe`, { ...post, body: JSON.stringify({ roomToken: room, turnServers }) })
      : ask(`http://127.0.0.1:${APP_PORT}/api/v1/call/transcribe`, {
          ...post,
          headers: { ...post.headers, ...appApiHeaders() },
          body: JSON.stringify({ roomToken: room, ncSessionId, enable: true })
        })
  const health = (text: string, port = PORT) =>
    ask(`http://127.0.0.1:${port}/health`).pipe(
      Effect.repeat({ until: (answer) => answer.includes(text), schedule: Schedule.spaced("20 millis") })
    )
  return { folder, talk, boot, kill, want, health }
})

const wordsOf = (first: number) => Array.from({ length: 5 }, (_, index) => (first + index) * 7)
const say = (words: ReadonlyArray<number>, speaker: number) =>
  ToneModem.speak(words, { speaker, sampleRate: ENCODER_RATE }).pcm

interface Reader {
  readonly captions: () => ReadonlyArray<{ final: boolean; message: string }>
}
const hasSeen = (viewer: Reader, word: string): boolean =>
  viewer.captions().some(({ message }) => message.toLowerCase().includes(word))

/** The words of the finals a viewer was given. */
const readBy = (viewer: Reader) =>
  viewer
    .captions()
    .filter(({ final }) => final)
    .flatMap(({ message }) => message.toLowerCase().split(/[^a-z]+/))
    .filter((word) => word !== "")

describe("a process that is killed in mid-call", () => {
  it.live(
    "is followed by one that joins all calls again and captions them for the same viewers, as soon as the first one did",
    () =>
      Effect.gen(function* () {
        const scene = yield* makeScene
        const rooms = ["one", "two", "three"]
        const first = yield* scene.boot()
        const people = yield* Effect.forEach(rooms, (room) =>
          Effect.all({
            viewer: scene.talk.addViewer({ name: `Vera ${room}`, room }),
            speaker: scene.talk.addSpeaker({ name: `Ada ${room}`, room })
          })
        )
        yield* scene.want("one", people[0]?.viewer.nextcloudSession())
        for (const room of rooms.slice(1)) yield* scene.want(room)
        const [joined] = yield* Effect.timed(scene.health('"speakers":3'))
        yield* Effect.forkScoped(
          Effect.forEach(people, ({ speaker }, n) => speaker.say(say(wordsOf(0), n)), { concurrency: 3 })
        )
        const heard = ToneWords.wordText(wordsOf(0)[0] ?? 0)
        yield* Effect.sync(() => people.every(({ viewer }) => hasSeen(viewer, heard))).pipe(
          Effect.repeat({ until: (all) => all, schedule: Schedule.spaced("10 millis") }),
          Effect.timeout("60 seconds")
        )
        yield* scene.kill(first, "SIGKILL")

        const second = yield* scene.boot()
        const [took] = yield* Effect.timed(scene.health('"speakers":3'))
        // Nothing is waited for that was not waited for the first time, on whatever machine; five seconds are ten times what it takes.
        assert.isBelow(Duration.toMillis(took), 5000 + 5 * Duration.toMillis(joined))
        const spoken = wordsOf(50).map(ToneWords.wordText)
        yield* Effect.forEach(people, ({ speaker }, n) => speaker.say(say(wordsOf(50), n)), { concurrency: 3 })
        for (const { viewer } of people) {
          yield* Effect.sync(() => readBy(viewer).slice(-spoken.length)).pipe(
            Effect.repeat({
              until: (read) => read.join(" ") === spoken.join(" "),
              schedule: Schedule.spaced("50 millis")
            }),
            Effect.timeoutOption("60 seconds")
          )
          assert.deepStrictEqual(readBy(viewer).slice(-spoken.length), spoken)
          // what stood open when the first process was killed, the second one has finished
          assert.deepStrictEqual(
            readBy(viewer).filter((word) => word === heard),
            [heard]
          )
        }
        yield* scene.kill(second, "SIGTERM")
        const stored = ["calls.sqlite", "calls.sqlite-wal"].flatMap((name) => {
          try {
            return [readFileSync(join(scene.folder, name), "latin1")]
          } catch {
            return []
          }
        })
        assert.include(stored.join(), "everyone")
        assert.notInclude(stored.join(), "of the relay")
        assert.notInclude(stored.join(), Redacted.value(scene.talk.internalSecret))
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "is followed at once by another that waited with the same folder",
    () =>
      Effect.gen(function* () {
        const scene = yield* makeScene
        const first = yield* scene.boot()
        yield* scene.talk.addViewer({ name: "Vera", room: "one" })
        yield* scene.talk.addSpeaker({ name: "Ada", room: "one" })
        yield* scene.want("one")
        yield* scene.health('"speakers":1')
        const ports = [String(yield* freePort), String(yield* freePort)]
        const second = yield* scene.boot(ports)
        yield* second.says("Another process has")
        assert.strictEqual(scene.talk.servicesIn("one"), 1)
        yield* scene.kill(first, "SIGKILL")
        yield* scene.health('"speakers":1', ports[0])
      }).pipe(Standstill.played),
    patience
  )
})
