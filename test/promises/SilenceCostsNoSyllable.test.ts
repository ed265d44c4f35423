/** The same as in SilenceCostsLittle, in real time and over real sockets: what is not sent costs no first and no last word. */
import { assert, describe } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import { samplesOfMs } from "../../src/domain/Audio.ts"
import * as ConfiguredEngines from "../../src/layers/ConfiguredEngines.ts"
import * as EngineTranscriber from "../../src/layers/EngineTranscriber.ts"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as ModalEngine from "../../src/layers/ModalEngine.ts"
import * as SocketModalClient from "../../src/layers/SocketModalClient.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import * as HeardPerson from "../support/HeardPerson.ts"
import { live } from "../support/Live.ts"
import * as SpokenHour from "../support/SpokenHour.ts"
import { until } from "../support/Until.ts"

/** Two utterances of 7.5 s each: so long that all the silence a flush may ever need is within the limit, whatever this machine is busy with. */
const utterances = (speaker: number): ReadonlyArray<SpokenHour.Said> => {
  let start = samplesOfMs(300 + 130 * speaker)
  return [0, 1].map((index) => {
    const words = Array.from({ length: 21 }, (_, n) => (speaker * 300 + index * 50 + 7 * n) % 2048)
    const pcm = SpokenHour.sound(words, {
      speaker,
      firstSequence: (21 * index) % 16,
      isSoft: (speaker + index) % 2 === 0
    })
    const said = { words, start, pcm }
    start += pcm.length + samplesOfMs(1_000)
    return said
  })
}

describe("silence costs no syllable", () => {
  live(
    "three people who speak with a pause are read from their first word to their last, for 1.25 times what they spoke at most",
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make()
      const transcriber = EngineTranscriber.layer.pipe(
        Layer.provide(ConfiguredEngines.single),
        Layer.provide(ModalEngine.layer),
        Layer.provide(SocketModalClient.layer({ url: { _tag: "Direct", url: kyutai.url } }))
      )
      const built = yield* Layer.build(transcriber)
      const people = yield* Effect.forEach([0, 1, 2].map(utterances), HeardPerson.make).pipe(
        Effect.provideContext(Context.pick(Transcriber)(built))
      )
      const startedMs = performance.now()
      for (let blocks = 0; blocks < 50 * 17.5; ) {
        yield* Effect.sleep("20 millis")
        for (; blocks * 20 < performance.now() - startedMs; blocks++)
          for (const one of people) one.hear(performance.now())
      }
      yield* until(() => people.every((one) => one.missed().length === 0)).pipe(Effect.ignoreCause)
      for (const one of people) assert.deepStrictEqual(one.missed(), [])
      const spoken = people.flatMap(({ said }) => said).reduce((sum, { pcm }) => sum + pcm.length / 24_000, 0)
      const { audioSeconds } = kyutai.counters()
      assert.isAtMost(audioSeconds / spoken, 1.25)
      const { count } = yield* Metric.value(Metric.withAttributes(Metrics.engineAudioSeconds, { engine: "modal" }))
      assert.approximately(count, audioSeconds, 0.5)
    })
  )
})
