/** `wscat`, a client we did not write, as the manual of the NeMo streaming module uses it. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as ClientAudio from "../support/ClientAudio.ts"
import * as DoorSetup from "../support/DoorSetup.ts"

const wscat = fileURLToPath(new URL("../../node_modules/wscat/bin/wscat", import.meta.url))

/** What it prints. It sends each command and hangs up when the server does, or after ten seconds. */
const run = (url: string, commands: ReadonlyArray<object>) =>
  Effect.callback<string>((resume) => {
    const executed = commands.flatMap((command) => ["-x", JSON.stringify(command)])
    execFile(process.execPath, [wscat, "--no-color", "-w", "10", "-c", url, ...executed], (_, output) =>
      resume(Effect.succeed(output))
    )
  })

describe("wscat", () => {
  it.live("asks for Parakeet with a token in the address, says words and reads them", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({
        engine: DoorSetup.hearing(),
        settings: { apiToken: Redacted.make("YOUR_API_KEY") }
      })
      const { pcm } = ToneModem.speak([4, 5], { speaker: 1, sampleRate: 16_000 })
      const data = ClientAudio.rawBytes(pcm, { encoding: "float32", channels: 1 }).toString("base64")
      const output = yield* run(doors.url("/api/v1/audio/stream/transcribe?token=YOUR_API_KEY"), [
        { type: "config", model: "parakeet", sample_rate: 16_000 },
        { type: "audio", data },
        { type: "commit" },
        { type: "stop" }
      ])
      assert.include(output, '"state":"ready","model":"parakeet"')
      assert.include(output, '"type":"full_transcript"')
      assert.include(output, [4, 5].map(wordText).join(" "))
    })
  )

  it.live("reads why it is not let in", () =>
    Effect.gen(function* () {
      const doors = yield* DoorSetup.start({
        engine: DoorSetup.hearing(),
        settings: { apiToken: Redacted.make("YOUR_API_KEY") }
      })
      const output = yield* run(doors.url("/api/v1/audio/stream/transcribe?token=guess"), [{ type: "config" }])
      assert.include(output, '"code":"unauthorized"')
    })
  )
})
