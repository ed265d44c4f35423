/** sherpa-onnx itself in its child process, with tiny models: what happens around it when things go wrong. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe } from "@effect/vitest"
import { Context, Effect, Layer, Result } from "effect"
import * as Conformance from "../../src/conformance/index.ts"
import { msOfSamples } from "../../src/domain/Audio.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as SherpaEngine from "../../src/layers/SherpaEngine.ts"
import * as SherpaModel from "../../src/layers/SherpaModel.ts"
import { SpeechEngine } from "../../src/services/SpeechEngine.ts"
import { listen } from "../support/EngineEvents.ts"
import { live } from "../support/Live.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import * as TinyModels from "../support/TinyModels.ts"
import { until } from "../support/Until.ts"

const engineOf = (folder: string) =>
  Effect.map(Layer.build(SherpaEngine.layer({ model: folder, storage: folder })), (built) =>
    Context.get(built, SpeechEngine)
  )
const said = (words: ReadonlyArray<string>, position = 0) => {
  const { pcm, words: spelled } = TinyModels.spell(words, 16_000)
  return Conformance.utteranceOf(pcm, spelled, { position, sampleRate: 16_000 })
}
/** Processes with the recogniser that are our children. */
const children = (): ReadonlyArray<number> =>
  readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8")
    .split(" ")
    .filter((pid) => pid !== "" && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("SherpaProcess"))
    .map(Number)

describe("SherpaEngine", () => {
  live(
    "a process that dies ends its sessions, and the next session has a new one",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      TinyModels.writeCtc(folder)
      const engine = yield* engineOf(folder)
      const first = yield* engine.open({ language: defaultLanguage })
      const heard = yield* listen(first)
      const before = children()
      assert.strictEqual(before.length, 1)
      process.kill(before[0] ?? 0, "SIGKILL")
      assert.strictEqual((yield* heard.end).reason, "Closed")
      const second = yield* engine.open({ language: defaultLanguage })
      const again = yield* listen(second)
      for (const frame of said(["fox"]).frames) second.send(frame)
      yield* second.flush
      assert.deepStrictEqual(again.finals(), ["fox"])
    })
  )

  live(
    "a process that hangs is ended within seconds, and its sessions with it",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      TinyModels.writeCtc(folder)
      const engine = yield* engineOf(folder)
      const session = yield* engine.open({ language: defaultLanguage })
      const heard = yield* listen(session)
      process.kill(children()[0] ?? 0, "SIGSTOP")
      for (const frame of said(["fox"]).frames) session.send(frame)
      assert.strictEqual((yield* heard.end).reason, "Closed")
      yield* engine.probe ?? Effect.die("it has a probe")
      const second = yield* engine.open({ language: defaultLanguage })
      const again = yield* listen(second)
      for (const frame of said(["fox"]).frames) second.send(frame)
      yield* second.flush
      assert.deepStrictEqual(again.finals(), ["fox"])
    })
  )

  live(
    "a pause in mid-stream ends the utterance and marks the silence in it; progress follows what is computed",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      TinyModels.writeCtc(folder)
      const engine = yield* engineOf(folder)
      const session = yield* engine.open({ language: defaultLanguage })
      const heard = yield* listen(session)
      const first = said(["fox"], 24_000)
      const pause = Conformance.utteranceOf(new Float32Array(24_000), [], {
        position: first.endsAt,
        sampleRate: 16_000
      })
      const second = said(["dog"], pause.endsAt)
      for (const { frames } of [first, pause, second]) for (const frame of frames) session.send(frame)
      yield* until(() => heard.events().some(({ _tag }) => _tag === "Marked"))
      const [mark] = heard.events().flatMap((event) => (event._tag === "Marked" ? [event.position] : []))
      assert.isAtLeast(msOfSamples(mark ?? 0), first.words[0]?.endMs ?? 0)
      assert.isAtMost(msOfSamples(mark ?? 0), second.words[0]?.startMs ?? 0)
      assert.deepStrictEqual(heard.finals(), ["fox"])
      yield* session.flush
      assert.strictEqual(session.mark(), second.endsAt)
      assert.strictEqual(session.progress?.(), second.endsAt)
    })
  )

  live(
    "many at once are computed together, each with its own words; nobody hears those who had the stream before",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      TinyModels.writeCtc(folder)
      const engine = yield* engineOf(folder)
      const talk = Effect.fnUntraced(function* (word: string) {
        const session = yield* engine.open({ language: defaultLanguage })
        const heard = yield* listen(session)
        // the second word is left unsaid: it must not come back in the next session
        for (const frame of said([word]).frames) session.send(frame)
        yield* session.flush
        for (const frame of said(["lost"], 200_000).frames.slice(0, 5)) session.send(frame)
        return heard.finals()
      }, Effect.scoped)
      const words = Array.from({ length: 20 }, (_, index) => `word${"abcdefghijklmnopqrst".charAt(index)}`)
      for (let round = 0; round < 2; round++) {
        const finals = yield* Effect.forEach(words, talk, { concurrency: "unbounded" })
        assert.deepStrictEqual(
          finals,
          words.map((word) => [word])
        )
      }
    })
  )

  live(
    "a file that is no model refuses sessions in plain words and harms nobody else",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      TinyModels.writeCtc(folder)
      writeFileSync(join(folder, "model.onnx"), "this is no model")
      const engine = yield* engineOf(folder)
      const refused = yield* Effect.result(engine.open({ language: defaultLanguage }))
      assert.isTrue(Result.isFailure(refused) && refused.failure.reason === "Refused")
    })
  )

  live(
    "its process ends with the service's scope",
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      TinyModels.writeCtc(folder)
      yield* Effect.scoped(Effect.flatMap(engineOf(folder), (engine) => engine.open({ language: defaultLanguage })))
      assert.deepStrictEqual(children(), [])
    })
  )
})

describe("SherpaModel", () => {
  const find = (wanted: string, storage: string) => Effect.flip(SherpaModel.find(wanted, storage))

  live(
    "says in one line what is missing",
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      assert.include((yield* find("nowhere", storage)).message, "npm run model")
      const folder = join(storage, "models", "half")
      mkdirSync(folder, { recursive: true })
      assert.include((yield* find("half", storage)).message, "tokens.txt")
      writeFileSync(join(folder, "tokens.txt"), "a 0\n")
      assert.include((yield* find("half", storage)).message, "no streaming model")
      writeFileSync(join(folder, "model.json"), '{"type":"whisper"}')
      assert.include((yield* find("half", storage)).message, "model.json")
    })
  )

  live(
    "knows kinds by their files and their metadata, takes quantised files first, and corrects the times of 80 ms models",
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      const models = join(storage, "models")
      TinyModels.writeCtc(join(models, "ctc"), 8)
      TinyModels.writeTransducer(join(models, "transducer"))
      writeFileSync(join(models, "transducer", "encoder.int8.onnx"), "")
      writeFileSync(join(models, "ctc", "model.json"), '{"languages":["de","fr"]}')
      const ctc = yield* SherpaModel.find("ctc", storage)
      assert.deepInclude(ctc, { name: "ctc", kind: "nemoCtc", timeScale: 2, languages: ["de", "fr"], flushMs: 800 })
      const transducer = yield* SherpaModel.find("transducer", storage)
      assert.strictEqual(transducer.kind, "transducer")
      assert.isTrue(transducer.files["encoder"]?.endsWith("encoder.int8.onnx"))
      assert.deepStrictEqual(readdirSync(models).sort(), ["ctc", "transducer"])
    })
  )
})
