/**
 * The streaming doors on a real port, with whatever engine a test wants, and a small client.
 *
 * ```ts
 * const doors = yield* DoorSetup.start({ engine: ScriptedEngine.layer(ScriptedEngine.sayEvery(5, ["good", "morning"])) })
 * const client = yield* doors.connect("/v1/transcriptions")
 * client.send({ action: "start" })
 * client.send(DoorSetup.pcm16(ToneModem.speak([1, 2], { speaker: 0, sampleRate: 24_000 }).pcm))
 * yield* client.said((message) => "final" in message)
 * ```
 */
import { Effect, Layer, Logger, Metric, Option, Schema, type Scope } from "effect"
import { HttpRouter } from "effect/http"
import { WebSocket } from "ws"
import * as Access from "../../src/http/Access.ts"
import type { CertificateFiles } from "../../src/http/Certificate.ts"
import type { Dialect } from "../../src/http/Dialect.ts"
import { dialects } from "../../src/http/Dialects.ts"
import * as Doors from "../../src/http/Doors.ts"
import * as Errors from "../../src/http/Errors.ts"
import { listen } from "../../src/http/Listener.ts"
import * as Quotas from "../../src/http/Quotas.ts"
import * as RealtimeHttp from "../../src/http/RealtimeHttp.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import * as PolyphaseResampler from "../../src/layers/PolyphaseResampler.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import { Engines } from "../../src/services/Engines.ts"
import type { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import type { Transcriber } from "../../src/services/Transcriber.ts"
import { TranscriptStore } from "../../src/services/TranscriptStore.ts"
import * as AccessScene from "./AccessScene.ts"
import { deployment } from "./HttpSetup.ts"
import { freePort } from "./ServiceProcess.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"

export interface Given {
  /** Gives the words; left out: there is no engine. `hearing` is one that understands `ToneModem`. */
  readonly engine?: Layer.Layer<SpeechEngine>
  /** In place of a Transcriber over that engine. */
  readonly transcriber?: Layer.Layer<Transcriber>
  /** In place of all. */
  readonly dialects?: ReadonlyArray<Dialect>
  readonly settings?: Partial<Doors.DoorSettings & Access.AccessSettings>
  readonly store?: TranscriptStore["Service"]
  /** With it, TLS is spoken. */
  readonly certificate?: CertificateFiles
  /** In place of silence. */
  readonly watching?: Layer.Layer<never>
}

export interface DoorSetup {
  readonly port: number
  /** `ws://127.0.0.1:…` with this path. */
  readonly url: (path: string) => string
  readonly connect: (path: string, options?: ConnectOptions) => Effect.Effect<DoorClient, Error, Scope.Scope>
  /** Value of a metric of the doors, over all attributes that include these. */
  readonly metric: (name: string, attributes?: Record<string, string>) => Effect.Effect<number>
}

export interface ConnectOptions {
  readonly headers?: Record<string, string>
  readonly protocols?: ReadonlyArray<string>
}

export type Json = { readonly [key: string]: unknown }

export interface DoorClient {
  readonly socket: WebSocket
  /** Everything that came so far, in order; text that is a JSON object is one, other text is `{ text }`, bytes are `{ bytes }`. */
  readonly messages: ReadonlyArray<Json>
  /** Bytes as they are, text as it is, anything else as JSON. */
  readonly send: (message: Uint8Array | string | Json | ReadonlyArray<Json>) => void
  /** The first message, of those that came and those that come, that is so. Fails after ten seconds. */
  readonly said: (isIt: (message: Json) => boolean) => Effect.Effect<Json>
  readonly closed: Effect.Effect<{ readonly code: number; readonly reason: string }>
}

/** Nobody waits longer for a test that will fail. */
const PATIENCE = "60 seconds"

/** The doors with their listener, until the scope closes. */
export const start = Effect.fnUntraced(function* (
  given: Given = {}
): Effect.fn.Return<DoorSetup, unknown, Scope.Scope> {
  const settings = { ...standard, storage: yield* temporaryFolder, ...given.settings }
  const engines: Layer.Layer<Engines> =
    given.engine === undefined ? Layer.succeed(Engines, []) : Layer.provide(ConfiguredEngines.single, given.engine)
  const access = Access.layer(settings)
  const registry = new Map()
  const port = yield* freePort
  const doors = Doors.layer(settings, given.dialects ?? dialects).pipe(
    Layer.provide(given.transcriber ?? EngineTranscriber.layer),
    Layer.provide([engines, access, Quotas.layer(settings), OpusDecoder.layer, PolyphaseResampler.layer]),
    Layer.provide([deployment(), Layer.succeed(TranscriptStore, given.store ?? noStore)])
  )
  const listening = Layer.unwrap(
    Effect.map(Effect.service(Doors.Doors), (upgrades) =>
      listen(routes, { name: "doors", address: { host: "127.0.0.1", port }, upgrades, certificate: given.certificate })
    )
  )
  yield* Layer.build(
    listening.pipe(
      Layer.provide(doors),
      Layer.provide([access, engines, deployment()]),
      Layer.provide(Layer.succeed(Metric.MetricRegistry, registry)),
      Layer.provide(given.watching ?? Logger.layer([]))
    )
  )
  return {
    port,
    url: (path) => `ws://127.0.0.1:${port}${path}`,
    connect: (path, options) => connect(`ws://127.0.0.1:${port}${path}`, options),
    metric: (name, attributes = {}) =>
      Metric.snapshot.pipe(
        Effect.provideService(Metric.MetricRegistry, registry),
        Effect.map((all) =>
          all
            .filter((one) => one.id === `transcription_${name}`)
            .filter((one) => Object.entries(attributes).every(([key, value]) => one.attributes?.[key] === value))
            .reduce((sum, one) => sum + numberIn(one.state), 0)
        )
      )
  }
})

/** An engine which understands `ToneModem`, over a real socket. */
export const hearing = (options: KyutaiSimulator.KyutaiSimulatorOptions = {}): Layer.Layer<SpeechEngine> =>
  Layer.unwrap(
    Effect.map(KyutaiSimulator.make(options), ({ url }) =>
      ModalEngine.layer.pipe(Layer.provide(SocketModalClient.layer({ url: { _tag: "Direct", url } })))
    )
  ).pipe(Layer.orDie)

/** Connects, and has an error where there is no connection; everything said is kept. */
export const connect = (url: string, options: ConnectOptions = {}): Effect.Effect<DoorClient, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(url, [...(options.protocols ?? [])], { headers: options.headers ?? {} })),
      (open) => Effect.sync(() => open.terminate())
    )
    const messages: Array<Json> = []
    let farewell: { readonly code: number; readonly reason: string } | undefined
    socket.on("message", (data, isBinary) => {
      messages.push(isBinary ? { bytes: data } : read(String(data)))
    })
    socket.on("close", (code, reason) => {
      farewell = { code, reason: reason.toString("utf8") }
    })
    yield* Effect.callback<void, Error>((resume) => {
      socket.on("open", () => resume(Effect.void))
      socket.on("error", (error) => resume(Effect.fail(error)))
    })
    const awaited = <A>(what: string, look: () => A | undefined): Effect.Effect<A> =>
      Effect.gen(function* () {
        for (;;) {
          const found = look()
          if (found !== undefined) return found
          yield* Effect.sleep("5 millis")
        }
      }).pipe(
        Effect.timeoutOrElse({
          duration: PATIENCE,
          orElse: () => Effect.die(new Error(`${what} never came; what came: ${JSON.stringify(messages)}`))
        })
      )
    return {
      socket,
      messages,
      send: (message) =>
        socket.send(typeof message === "string" || message instanceof Uint8Array ? message : JSON.stringify(message)),
      said: (isIt) => awaited("the message", () => messages.find(isIt)),
      closed: awaited("the close", () => farewell)
    }
  })

/** Samples as clients send them. */
export const pcm16 = (pcm: Float32Array): Uint8Array => {
  const samples = Int16Array.from(pcm, (sample) => Math.round(sample * 32_767))
  return new Uint8Array(samples.buffer)
}

/** Pauses after speech, so that it ends. */
export const silence = (ms: number): Uint8Array => new Uint8Array(ms * 24 * 2)

const standard: Doors.DoorSettings & Access.AccessSettings = {
  ...AccessScene.settings,
  sessionSeconds: 3600,
  idleSeconds: 300
}

const routes = HttpRouter.serve(Layer.mergeAll(Doors.routes, RealtimeHttp.layer, Errors.layer()), {
  disableLogger: true,
  disableListenLog: true
})

const noStore: TranscriptStore["Service"] = {
  isConfigured: false,
  save: () => Effect.die(new Error("nothing is to be stored"))
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const read = (text: string): Json => Option.getOrElse(decode(text), () => ({ text }))

/** Of a counter or a gauge. */
const numberIn = (state: object): number => {
  const value = "count" in state ? state.count : "value" in state ? state.value : 0
  return typeof value === "number" ? value : 0
}
