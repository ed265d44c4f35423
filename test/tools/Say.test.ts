/** `npm run say` as its users run it, against the service as its users run it. */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as Screen from "../../tools/say/Screen.ts"
import * as ServiceProcess from "../support/ServiceProcess.ts"
import { toneWav } from "../support/ToneWav.ts"

const token = "say-token"
const program = fileURLToPath(new URL("../../tools/say/main.ts", import.meta.url))

class Service extends Context.Service<Service, { readonly url: string }>()("parlance/test/Service") {}

const service = Layer.effect(
  Service,
  Effect.gen(function* () {
    const engine = yield* Effect.orDie(KyutaiSimulator.make())
    const port = yield* ServiceProcess.freePort
    const { says } = yield* ServiceProcess.start({
      STT_STREAM_URL: engine.url,
      LT_API_TOKEN: token,
      LT_LISTEN_HOST: "127.0.0.1",
      PORT: String(port)
    })
    yield* says('"listening"')
    return { url: `http://127.0.0.1:${port}` }
  })
)

/** Runs it with a search path on which there is nothing. */
const say = (...args: ReadonlyArray<string>) =>
  Effect.callback<{ readonly code: number | null; readonly out: string; readonly err: string }>((resume) => {
    const child = spawn(process.execPath, [program, ...args], { env: { PATH: "/nowhere" } })
    let out = ""
    let err = ""
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString("utf8")
    })
    child.stderr.on("data", (chunk: Buffer) => {
      err += chunk.toString("utf8")
    })
    child.on("close", (code) => resume(Effect.succeed({ code, out, err })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const wordsOf = (text: string) => text.toLowerCase().match(/[a-z]+/g) ?? []

const recording = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "parlance-say-"))
    const { wav, words } = toneWav(400, [5, 4], { sampleRate: 44_100 })
    const file = join(folder, "speech.wav")
    writeFileSync(file, wav)
    return { folder, file, words }
  }),
  ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

describe("npm run say", () => {
  it("prints text and nothing that a terminal would take for more", () => {
    const written = { out: "", err: "" }
    const into = (which: "out" | "err") => ({
      isTTY: false,
      columns: 80,
      write: (text: string | Uint8Array) => {
        written[which] += String(text)
        return true
      }
    })
    const screen = Screen.make(into("out"), into("err"))
    screen.final("words\u001b]0;title\u0007 \u001b[2J\u009b1m\r\nmore")
    screen.note("note\u001b[A")
    assert.deepStrictEqual(written, { out: "words ]0;title   [2J 1m  more\n", err: "note [A\n" })
  })

  layer(service, { timeout: "2 minutes", excludeTestServices: true })((it) => {
    it.effect.each(["tuon", "tldw", "recorder", "kyutai", "vosk", "realtime"])(
      "prints every word of a WAV file that was said in the %s dialect",
      (dialect) =>
        Effect.gen(function* () {
          const { url } = yield* Service
          const { file, words } = yield* recording
          const { code, err, out } = yield* say(file, "--dialect", dialect, "--url", url, "--token", token, "--fast")
          assert.deepStrictEqual({ err, words: wordsOf(out) }, { err: "", words: [...words] })
          assert.strictEqual(code, 0)
        }).pipe(Effect.scoped),
      120_000
    )

    it.effect("says synthetic words as fast as people speak", () =>
      Effect.gen(function* () {
        const { url } = yield* Service
        const before = performance.now()
        const { code, out } = yield* say("--tones", "bado bodora stine", "--url", url, "--token", token)
        assert.deepStrictEqual([code, wordsOf(out)], [0, ["bado", "bodora", "stine"]])
        assert.isAbove(performance.now() - before, 1500)
      })
    )

    it.effect(
      "says what is wrong, and not the token",
      () =>
        Effect.gen(function* () {
          const { url } = yield* Service
          for (const dialect of ["tuon", "tldw", "recorder", "kyutai", "vosk", "realtime"]) {
            const refused = yield* say(
              "--tones",
              "bado",
              "--url",
              url,
              "--dialect",
              dialect,
              "--token",
              "sesame",
              "--fast"
            )
            assert.strictEqual(refused.code, 1, dialect)
            assert.match(refused.err, /^say: \S/, dialect)
            assert.notInclude(refused.err, "sesame")
          }
          const nobody = yield* say("--tones", "bado", "--url", "http://127.0.0.1:1")
          assert.deepStrictEqual([nobody.code, nobody.err.includes("ECONNREFUSED")], [1, true])
          const deaf = yield* say("--mic", "--url", url, "--token", token)
          assert.deepStrictEqual([deaf.code, deaf.err.includes("neither arecord")], [1, true])
          const noWav = yield* say(program, "--url", url)
          assert.deepStrictEqual([noWav.code, noWav.err.includes("is no WAV file")], [1, true])
          for (const wrong of [
            [],
            ["--tones", "hello"],
            ["--dialect", "morse", "--mic"],
            ["--mic", "--tones", "bado"],
            ["--loud"]
          ]) {
            const { code, err } = yield* say(...wrong)
            assert.deepStrictEqual([code, err.includes("--help")], [2, true], wrong.join(" "))
          }
          const { code, out } = yield* say("--help")
          assert.deepStrictEqual([code, out.includes("--token-file")], [0, true])
        }),
      // one process after the other
      180_000
    )
  })
})
