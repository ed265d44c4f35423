/**
 * The proof of concept as its users run it: the service as a process that knows AWS from its environment alone, and `wscat` as the client.
 */
import { execFile } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as AwsSimulator from "../../src/layers/AwsSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import * as S3Server from "../support/S3Server.ts"
import { freePort, start } from "../support/ServiceProcess.ts"

const WORDS = [42, 1042, 2042]
const wscat = join(dirname(createRequire(import.meta.url).resolve("wscat/package.json")), "bin/wscat")

/** A service that knows where the simulated Amazon is, and is ready. */
const launch = Effect.gen(function* () {
  const amazon = yield* AwsSimulator.make({ account: S3Server.credentials })
  const s3 = yield* S3Server.make("talks")
  const port = yield* freePort
  const service = yield* start({
    PORT: String(port),
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: S3Server.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: S3Server.credentials.secretAccessKey,
    TRANSCRIBE_LANGUAGE_CODE: "en-GB",
    LT_AWS_ENDPOINT: amazon.url,
    S3_BUCKET: "talks",
    LT_S3_ENDPOINT: s3.endpoint
  })
  const health = () =>
    fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false
    )
  yield* Effect.promise(health).pipe(
    Effect.tap(() => Effect.sleep("50 millis")),
    Effect.repeat({ until: (isUp) => isUp })
  )
  return { amazon, s3, service, url: `ws://127.0.0.1:${port}/ws` }
})

const text = WORDS.map(wordText).join(" ")

/** The words as messages, with half a second of silence before and behind them. */
const recording = () => {
  const { pcm } = ToneModem.speak(WORDS, { speaker: 2, sampleRate: 16_000 })
  const bytes = Buffer.from(DoorSetup.pcm16(pcm))
  const payloads = [new Uint8Array(16_000), bytes.subarray(0, 20_001), bytes.subarray(20_001), new Uint8Array(16_000)]
  return payloads.map((part) => ({ type: "audio", payload: Buffer.from(part).toString("base64") }))
}

/** Sends these, and gives what was printed until the connection closed. */
const converse = (url: string, messages: ReadonlyArray<object>): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const commands = messages.flatMap((message) => ["-x", JSON.stringify(message)])
    const child = execFile(
      process.execPath,
      [wscat, "--no-color", "-w", "-1", "-c", url, ...commands],
      { timeout: 100_000 },
      (_error, stdout, stderr) => resume(Effect.succeed(stdout + stderr))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

it.live(
  "wscat records through the service: words, the key, and the object in the bucket",
  () =>
    Effect.gen(function* () {
      const { amazon, s3, service, url } = yield* launch
      const printed = yield* converse(url, [...recording(), { type: "control", action: "stop" }])
      assert.include(printed, `{"type":"transcript","text":"${text}","is_final":true}`)
      const key = /"s3_key":"(\d{8}_\d{6}\w*\.txt)"/.exec(printed)?.[1] ?? printed
      assert.deepStrictEqual(yield* s3.object(key), { text: `${text}\n`, type: "text/plain; charset=utf-8" })
      assert.deepInclude(amazon.requests()[0], { languages: ["en-GB"], identifies: "Nothing" })
      assert.deepStrictEqual(amazon.counters().offences, [])
      for (const secret of [S3Server.credentials.secretAccessKey, text, wordText(42)])
        assert.notInclude(service.output(), secret)
    }).pipe(Effect.scoped),
  120_000
)

it.live(
  "a service that is told to stop in the middle of a recording keeps what was said",
  () =>
    Effect.gen(function* () {
      const { s3, service, url } = yield* launch
      const client = yield* DoorSetup.connect(url)
      for (const message of recording()) client.send(message)
      yield* client.said(({ text: said }) => typeof said === "string" && said.includes(wordText(1042)))
      service.child.kill("SIGTERM")
      assert.strictEqual((yield* client.closed).code, 1001)
      assert.strictEqual((yield* service.exit).code, 0)
      const [key = ""] = yield* s3.keys
      assert.strictEqual((yield* s3.object(key)).text, `${text}\n`)
    }).pipe(Effect.scoped),
  120_000
)
