import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as DoorSetup from "../support/DoorSetup.ts"

const words = [11, 222, 333]
const spoken = words.map(wordText).join(" ")
const speech = DoorSetup.pcm16(ToneModem.speak(words, { speaker: 1, sampleRate: 24_000 }).pcm)

describe("a client of tuon", () => {
  it.live("hears its session, partials that add up, and the final", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({ engine: DoorSetup.hearing() })
      const client = yield* doors.connect("/v1/transcriptions")
      client.send({ action: "start", language: "en" })
      client.send(speech)
      client.send(DoorSetup.silence(2000))
      const { final } = yield* client.said((message) => "final" in message)
      assert.strictEqual(final, spoken)
      const partials = client.messages.flatMap(({ partial }) => (typeof partial === "string" ? [partial] : []))
      assert.strictEqual(partials.join(""), spoken)
      assert.match(String(client.messages[0]?.["session_id"]), /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
      client.send({ action: "stop" })
      assert.deepStrictEqual(yield* client.closed, { code: 1000, reason: "" })
    })
  )
})
