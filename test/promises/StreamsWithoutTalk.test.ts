/**
 * A process with an engine and nothing else serves streaming clients; told to end in mid-sentence, it tells them the last words and why, and
 * nothing of what was said is in its log or metrics.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import { freePort, start } from "../support/ServiceProcess.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const words = [301, 302, 303, 304, 305]
const spoken = words.map(wordText)

describe("a process without Talk", () => {
  it.live("streams, and says goodbye when it is told to end", () =>
    Effect.gen(function* () {
      const kyutai = yield* KyutaiSimulator.make()
      const PORT = String(yield* freePort)
      const service = yield* start({
        PORT,
        STT_STREAM_URL: kyutai.url,
        APP_PERSISTENT_STORAGE: yield* temporaryFolder,
        LOG_LEVEL: "debug"
      })
      yield* service.says("listening")
      const client = yield* DoorSetup.connect(`ws://127.0.0.1:${PORT}/v1/transcriptions`)
      client.send({ action: "start", details: true })
      client.send(DoorSetup.pcm16(ToneModem.speak(words, { speaker: 0, sampleRate: 24_000 }).pcm))
      yield* client.said((message) => "partial" in message)
      const metrics = yield* Effect.promise(() =>
        fetch(`http://127.0.0.1:${PORT}/metrics`).then((response) => response.text())
      )
      const toldBefore = kyutai.log().length
      service.child.kill("SIGTERM")
      assert.deepInclude(yield* client.said((message) => "error" in message), { code: "ShuttingDown" })
      assert.strictEqual((yield* client.closed).code, 1001)
      assert.deepStrictEqual(yield* service.exit, { code: 0, signal: null })

      // The engine owed words when the signal came: otherwise this would prove nothing.
      assert.isBelow(toldBefore, words.length)
      const finals = client.messages.flatMap(({ final }) => (typeof final === "string" ? final.split(" ") : []))
      assert.deepStrictEqual(finals, spoken)
      for (const word of spoken) {
        assert.notInclude(service.output(), word)
        assert.notInclude(metrics, word)
      }
    })
  )
})
