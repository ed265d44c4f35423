/**
 * A service process in the middle of its work: calls and streams in which somebody speaks, an HPB and an engine that a test can stop.
 */
import { connect, createServer, type Socket } from "node:net"
import { assert } from "@effect/vitest"
import { Effect, Redacted, Schedule, type Scope } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import type { ReceivedCaption } from "../../src/layers/SimulatedViewer.ts"
import { ENCODER_RATE } from "../../src/layers/SpeechEncoder.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import * as DoorSetup from "./DoorSetup.ts"
import { freePort, type ServiceProcess, start } from "./ServiceProcess.ts"

export interface SpokenCall {
  readonly room: string
  readonly captions: () => ReadonlyArray<ReceivedCaption>
  /** Words of the finals, in order. */
  readonly read: () => ReadonlyArray<string>
}

export interface EndingScene {
  readonly service: ServiceProcess
  readonly api: string
  readonly engine: KyutaiSimulator.KyutaiSimulator
  readonly calls: ReadonlyArray<SpokenCall>
  readonly streams: ReadonlyArray<DoorSetup.DoorClient>
  /** Everybody says the words; completes when the last packet has left. */
  readonly speak: Effect.Effect<void>
  /** The HPB reads and says nothing any more, and its sockets stay. */
  readonly freezeHpb: () => void
  /** Services in rooms. */
  readonly members: () => number
}

/** Over a connection of its own: none that the service is about to close. */
export const ALONE = { headers: { connection: "close" } }

export const words = Array.from({ length: 8 }, (_, index) => index * 97)
export const spoken = words.map(ToneWords.wordText)

export const make = Effect.fnUntraced(function* (
  given: {
    readonly calls?: number
    readonly streams?: number
    readonly environment?: Record<string, string>
    readonly engine?: KyutaiSimulator.KyutaiSimulatorOptions
  } = {}
): Effect.fn.Return<EndingScene, unknown, Scope.Scope> {
  const talk = yield* TalkSimulator.make()
  const engine = yield* KyutaiSimulator.make(given.engine)
  const [PORT, hpbPort] = [String(yield* freePort), yield* freePort]
  const freezeHpb = yield* freezable(hpbPort, Number(new URL(talk.url).port))
  const api = `http://127.0.0.1:${PORT}`
  const service = yield* start({
    PORT,
    LT_HPB_URL: `http://127.0.0.1:${hpbPort}`,
    LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
    STT_STREAM_URL: engine.url,
    LT_STREAMS_PER_TOKEN: "1000",
    LOG_LEVEL: "debug",
    ...given.environment
  })
  // Where there are several processes, all of them.
  yield* service.says(given.environment?.["LT_RUNNERS"] === "2" ? "a runner takes its share" : "listening")
  const rooms = Array.from({ length: given.calls ?? 0 }, (_, n) => `room${n}`)
  const speakers = yield* Effect.forEach(rooms, (room) => talk.addSpeaker({ name: "Ada", room }))
  const viewers = yield* Effect.forEach(rooms, (room) => talk.addViewer({ name: "Vera", room }))
  for (const room of rooms) assert.strictEqual((yield* startCall(api, room)).status, 200)
  yield* Effect.promise(() => fetch(`${api}/health`, ALONE).then((response) => response.text())).pipe(
    Effect.repeat({
      until: (text) => text.includes(`"speakers":${rooms.length}`),
      schedule: Schedule.spaced("50 millis")
    })
  )
  const streams = yield* Effect.forEach(
    Array.from({ length: given.streams ?? 0 }),
    () => DoorSetup.connect(`${api.replace("http", "ws")}/v1/transcriptions`),
    { concurrency: 20 }
  )
  for (const stream of streams) stream.send({ action: "start", details: true })
  const forStreams = DoorSetup.pcm16(ToneModem.speak(words, { speaker: 0, sampleRate: 24_000 }).pcm)
  const stream = Effect.gen(function* () {
    for (let at = 0; at < forStreams.length; at += STEP_BYTES) {
      for (const client of streams) client.send(forStreams.subarray(at, at + STEP_BYTES))
      yield* Effect.sleep("100 millis")
    }
  })
  return {
    service,
    api,
    engine,
    calls: viewers.map((viewer, n) => ({
      room: rooms[n] ?? "",
      captions: viewer.captions,
      read: () =>
        viewer
          .captions()
          .filter(({ final }) => final)
          .flatMap(({ message }) => wordsOf(message))
    })),
    streams,
    speak: Effect.all(
      [
        ...(streams.length > 0 ? [stream] : []),
        ...speakers.map((speaker) => speaker.say(ToneModem.speak(words, { speaker: 0, sampleRate: ENCODER_RATE }).pcm))
      ],
      { concurrency: "unbounded", discard: true }
    ),
    freezeHpb,
    members: () => rooms.reduce((sum, room) => sum + talk.servicesIn(room), 0)
  }
})

/** 100 ms. */
const STEP_BYTES = 4_800

export const wordsOf = (text: string): ReadonlyArray<string> =>
  text
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== "")

/** Words of the finals a streaming client has read, in order. */
export const readBy = (client: DoorSetup.DoorClient): ReadonlyArray<string> =>
  client.messages.flatMap(({ final }) => (typeof final === "string" ? wordsOf(final) : []))

export const startCall = (api: string, roomToken: string) =>
  Effect.promise(() =>
    fetch(`${api}/api/v1/call/transcribe`, {
      method: "POST",
      headers: { ...ALONE.headers, "content-type": "application/json" },
      body: JSON.stringify({ roomToken })
    }).then(async (response) => ({ status: response.status, body: await response.text() }))
  )

/** A way to a port of this machine that can be blocked for ever. */
const freezable = (port: number, target: number) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly freeze: () => void; readonly end: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer((near) => {
        const far = connect({ port: target, host: "127.0.0.1" })
        near.pipe(far)
        far.pipe(near)
        for (const one of [near, far]) {
          sockets.add(one)
          one.on("error", () => {})
          one.on("close", () => {
            near.destroy()
            far.destroy()
          })
        }
      })
      const freeze = () => {
        for (const one of sockets) one.unpipe().pause()
      }
      const end = () => {
        server.close()
        for (const one of sockets) one.destroy()
      }
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed({ freeze, end })))
    }),
    ({ end }) => Effect.sync(end)
  ).pipe(Effect.map(({ freeze }) => freeze))
