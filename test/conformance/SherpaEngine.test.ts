/** sherpa-onnx itself, with models of both families made here, does what every engine promises. */
import { describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import * as SherpaEngine from "../../src/layers/SherpaEngine.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import * as BusyMachine from "../support/BusyMachine.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import * as TinyModels from "../support/TinyModels.ts"

const models: Readonly<Record<string, (folder: string) => void>> = {
  "a CTC model": (folder) => TinyModels.writeCtc(folder),
  "a CTC model with frames of 80 ms": (folder) => TinyModels.writeCtc(folder, 8),
  "a transducer": TinyModels.writeTransducer
}

const speak: Conformance.Speak = (words, at) => {
  const { pcm, words: spelled } = TinyModels.spell(words.map(wordText), at.sampleRate)
  return Conformance.utteranceOf(pcm, spelled, at)
}

const harnessOf = (write: (folder: string) => void): Conformance.Harness => ({
  start: Effect.gen(function* () {
    const folder = yield* temporaryFolder
    write(folder)
    const built = yield* Layer.build(SherpaEngine.layer({ model: folder, storage: folder }))
    return { engine: Context.get(built, SpeechEngine), speak }
  })
})

for (const [name, write] of Object.entries(models))
  describe(`sherpa-onnx with ${name}`, () => {
    for (const check of Conformance.checks)
      it.live(check.name, () =>
        check.run(BusyMachine.patient(harnessOf(write))).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
      )
  })
