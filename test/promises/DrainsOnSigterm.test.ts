/**
 * SIGTERM: last words are delivered, the session says bye, the process ends in time. And nothing of what was said is in its log or metrics.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import { ENCODER_RATE } from "../../src/layers/SpeechEncoder.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import * as ToneWords from "../../src/layers/ToneWords.ts"
import { freePort, start } from "../support/ServiceProcess.ts"

const room = "farewell"
const words = Array.from({ length: 8 }, (_, index) => index * 97)
const spoken = words.map(ToneWords.wordText)

const ask = (url: string, init?: RequestInit) =>
  Effect.promise(() => fetch(url, init).then((response) => response.text()))

describe("a process that is told to end in mid-sentence", () => {
  it.live("delivers the last words, says bye, and has not written them anywhere else", () =>
    Effect.gen(function* () {
      const talk = yield* TalkSimulator.make()
      const kyutai = yield* KyutaiSimulator.make()
      const PORT = String(yield* freePort)
      const api = `http://127.0.0.1:${PORT}`
      const service = yield* start({
        PORT,
        LT_HPB_URL: talk.url,
        LT_INTERNAL_SECRET: Redacted.value(talk.internalSecret),
        STT_STREAM_URL: kyutai.url,
        LOG_LEVEL: "debug"
      })
      yield* service.says("listening")
      const viewer = yield* talk.addViewer({ name: "Vera", room })
      const speaker = yield* talk.addSpeaker({ name: "Ada", room })
      yield* ask(`${api}/api/v1/call/transcribe`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ roomToken: room })
      })
      yield* ask(`${api}/health`).pipe(
        Effect.repeat({ until: (text) => text.includes('"speakers":1'), schedule: Schedule.spaced("50 millis") })
      )

      yield* speaker.say(ToneModem.speak(words, { speaker: 0, sampleRate: ENCODER_RATE }).pcm)
      const metrics = yield* ask(`${api}/metrics`)
      const toldBefore = kyutai.log().length
      service.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* service.exit, { code: 0, signal: null })

      // The engine owed words when the signal came: otherwise this would prove nothing.
      assert.isBelow(toldBefore, words.length)
      const finals = viewer.captions().filter(({ final }) => final)
      const read = finals.flatMap(({ message }) => message.toLowerCase().split(/[^a-z]+/)).filter((word) => word !== "")
      assert.deepStrictEqual(read, spoken)
      assert.isTrue(viewer.captions().at(-1)?.final)
      assert.strictEqual(talk.servicesIn(room), 0)
      for (const word of spoken) {
        assert.notInclude(service.output(), word)
        assert.notInclude(metrics, word)
      }
      assert.include(metrics, "transcription_rooms_active 1")
    })
  )
})
