import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric, Redacted, type Scope, Stream } from "effect"
import { FRAME_MS, FRAME_SAMPLES } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as AwsEngine from "../../src/layers/AwsEngine.ts"
import * as AwsSimulator from "../../src/layers/AwsSimulator.ts"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import * as MoshiEngine from "../../src/layers/MoshiEngine.ts"
import * as MoshiSimulator from "../../src/layers/MoshiSimulator.ts"
import * as OpenAiEngine from "../../src/layers/OpenAiEngine.ts"
import * as OpenAiSimulator from "../../src/layers/OpenAiSimulator.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import * as TldwEngine from "../../src/layers/TldwEngine.ts"
import * as TldwSimulator from "../../src/layers/TldwSimulator.ts"
import * as VoskEngine from "../../src/layers/VoskEngine.ts"
import * as VoskSimulator from "../../src/layers/VoskSimulator.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"

type Server = { readonly counters: () => { readonly audioSeconds: number } }
type Subject = Effect.Effect<
  { readonly engine: SpeechEngine["Service"]; readonly server: Server },
  unknown,
  Scope.Scope
>

const built = <E>(layer: Layer.Layer<SpeechEngine, E>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, SpeechEngine))

const subjects: Readonly<Record<string, Subject>> = {
  modal: Effect.gen(function* () {
    const server = yield* KyutaiSimulator.make()
    const client = SocketModalClient.layer({ url: { _tag: "Direct", url: server.url } })
    return { server, engine: yield* built(ModalEngine.layer.pipe(Layer.provide(client))) }
  }),
  moshi: Effect.gen(function* () {
    const server = yield* MoshiSimulator.make()
    return { server, engine: yield* MoshiEngine.make({ url: server.url, key: Redacted.make("public_token") }) }
  }),
  openai: Effect.gen(function* () {
    const server = yield* OpenAiSimulator.make()
    const apiKey = Redacted.make(OpenAiSimulator.KEY)
    return { server, engine: yield* OpenAiEngine.make({ url: server.url, apiKey, model: "gpt-4o-transcribe" }) }
  }),
  aws: Effect.gen(function* () {
    const server = yield* AwsSimulator.make()
    const { account: credentials, url: endpoint } = server
    return { server, engine: yield* AwsEngine.make({ region: "us-east-1", endpoint, credentials }) }
  }),
  tldw: Effect.gen(function* () {
    const server = yield* TldwSimulator.make({ key: "key" })
    const options = { key: Redacted.make("key"), model: "parakeet", variant: "standard", audio: "pcm16" } as const
    return { server, engine: yield* TldwEngine.make({ ...options, url: server.url }) }
  }),
  vosk: Effect.gen(function* () {
    const server = yield* VoskSimulator.make({ kind: "Cpp" })
    return { server, engine: yield* built(VoskEngine.layer({ url: server.url })) }
  })
}

/** Vosk's C++ server takes even its configuration for audio. */
const SLACK_SECONDS = 0.01

const seconds = (metric: Metric.Counter<number>, engine: string) =>
  Effect.map(Metric.value(Metric.withAttributes(metric, { engine })), ({ count }) => count)

describe("what an engine is sent", () => {
  for (const [name, subject] of Object.entries(subjects))
    it.live(`is counted as ${name} takes it, with the silence that is put in, and its session`, () =>
      Effect.gen(function* () {
        const audioSeconds = seconds(Metrics.engineAudioSeconds, name)
        const startedMs = performance.now()
        const { capabilities, heldMs } = yield* Effect.scoped(
          Effect.gen(function* () {
            const { engine, server } = yield* subject
            const session = yield* engine.open({ language: defaultLanguage })
            const openedMs = performance.now()
            yield* Effect.forkScoped(Effect.ignore(Stream.runDrain(session.events)))
            const pcm = new Float32Array((engine.capabilities.sampleRate * FRAME_MS) / 1000).fill(0.01)
            for (let n = 0; n < 25; n++)
              session.send({ position: n * FRAME_SAMPLES, pcm, heardAtMs: 0, endsSpeech: n === 24 })
            yield* session.flush
            assert.strictEqual((yield* Metric.value(Metrics.engineSessionsActive)).value, 1)
            const isAgreed = Effect.map(
              audioSeconds,
              (counted) => Math.abs(counted - server.counters().audioSeconds) < SLACK_SECONDS
            )
            yield* Effect.sleep("10 millis").pipe(
              Effect.andThen(isAgreed),
              Effect.repeat({ until: (agreed) => agreed }),
              Effect.timeoutOption("5 seconds")
            )
            assert.approximately(yield* audioSeconds, server.counters().audioSeconds, SLACK_SECONDS)
            assert.isAtLeast(yield* audioSeconds, 1.99)
            return { capabilities: engine.capabilities, heldMs: performance.now() - openedMs }
          })
        )
        const billed = yield* seconds(Metrics.engineBilledSeconds, name)
        const { billed: rule, billedAtLeastMs = 0 } = capabilities
        if (rule === "Connection") {
          assert.isAtLeast(billed, heldMs / 1000)
          assert.isBelow(billed, (performance.now() - startedMs) / 1000)
        } else {
          const audio = Math.max(billedAtLeastMs / 1000, yield* audioSeconds)
          assert.approximately(billed, rule === "Audio" ? audio : 0, 1e-6)
        }
        assert.strictEqual((yield* Metric.value(Metrics.engineSessionsActive)).value, 0)
        assert.strictEqual((yield* Metric.value(Metrics.engineSessions)).count, 1)
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    )
})
