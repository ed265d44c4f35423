import { assert, describe, it } from "@effect/vitest"
import { encode } from "@msgpack/msgpack"
import { Effect, Redacted } from "effect"
import type { Message } from "../../src/http/Dialect.ts"
import { dialects } from "../../src/http/Dialects.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as ClientAudio from "../support/ClientAudio.ts"
import { clients } from "../support/DoorClients.ts"
import * as DoorSetup from "../support/DoorSetup.ts"
import { apiToken } from "../support/HttpSetup.ts"

/** What is sent, and what comes of it: nothing to see, an error and the session goes on, or an error and this close code. */
type Case = readonly [what: string, message: Message | object, outcome: "nothing" | "told" | number]

const notNumbers = new Uint8Array(new Float32Array(4800).fill(Number.NaN).buffer)
const noise = Uint8Array.from({ length: 64 }, (_, n) => (n * 89) & 255)

/** The documented answer of each door, as its file says it. */
const doors: Readonly<Record<string, { readonly begin: ReadonlyArray<object>; readonly cases: ReadonlyArray<Case> }>> =
  {
    tuon: {
      begin: [{ action: "start", format: "float32" }],
      cases: [
        ["text that is no message", "hello", "told"],
        ["an action nobody knows", { action: "dance" }, "told"],
        ["a second start", { action: "start" }, "told"],
        ["half a sample", new Uint8Array(7), "nothing"],
        ["samples that are no numbers", notNumbers, "nothing"]
      ]
    },
    "tuon-v2": {
      begin: [{ action: "start" }],
      cases: [
        ["text that is no message", "[1,2]", "told"],
        ["a second start", { action: "start" }, "told"]
      ]
    },
    nemo: {
      begin: [{ type: "config", protocol_version: 1, sample_rate: 16_000 }],
      cases: [
        ["text that is no message", "hello", 4400],
        ["binary", noise, 4400],
        ["base64 that is none", { type: "audio", data: "@@@@" }, 4400],
        ["a config that cannot be", { type: "config", protocol_version: 1, sample_rate: 7 }, 4400]
      ]
    },
    recorder: {
      begin: [],
      cases: [
        ["text that is no message", "hello", "told"],
        ["binary", noise, "told"],
        ["base64 that is none", { type: "audio", payload: "@@@@" }, "told"]
      ]
    },
    kyutai: {
      begin: [],
      cases: [
        ["text", "EOS", 1003],
        ["half a sample", new Uint8Array(7), "nothing"],
        ["samples that are no numbers", notNumbers, "nothing"]
      ]
    },
    moshi: {
      begin: [],
      cases: [
        ["text", "{}", 1003],
        ["binary that is no message", noise, 1003],
        ["samples that are no numbers", encode({ type: "Audio", pcm: [Number.NaN] }), 1003],
        ["samples in bytes", encode({ type: "Audio", pcm: new Uint8Array(8) }), 1003]
      ]
    },
    vosk: {
      begin: [{ config: { sample_rate: 16_000 } }],
      cases: [
        ["text that is no message", "hello", "nothing"],
        ["half a sample", new Uint8Array(7), "nothing"],
        ["a rate nobody has", { config: { sample_rate: 7 } }, 1008]
      ]
    },
    realtime: {
      begin: [],
      cases: [
        ["text that is no message", "hello", "told"],
        ["binary", noise, "told"],
        ["base64 that is none", { type: "input_audio_buffer.append", audio: "@@@@" }, "told"],
        ["a commit of nothing", { type: "input_audio_buffer.commit" }, "told"],
        ["a session of another kind", { type: "session.update", session: { type: "realtime" } }, "told"]
      ]
    }
  }

const headers = { authorization: `Bearer ${apiToken}` }
const hearing = DoorSetup.start({ engine: DoorSetup.hearing(), settings: { apiToken: Redacted.make(apiToken) } })

/** Somebody else says something at the same time. */
const neighbour = Effect.fnUntraced(function* (scene: DoorSetup.DoorSetup) {
  const { pcm } = ToneModem.speak([7, 8, 9], { speaker: 1, sampleRate: 24_000 })
  const client = yield* scene.connect(clients.tuon.path, { headers })
  const sound = { encoding: "pcm16", sampleRate: 24_000, channels: 1 } as const
  return yield* clients.tuon.say(client, { ...sound, bytes: ClientAudio.rawBytes(pcm, sound) })
}, Effect.scoped)

describe("Every door withstands bad input: its own error and close code, and nobody else notices", () => {
  it("every door is in the list", () => {
    assert.sameMembers(
      dialects.map(({ name }) => name),
      Object.keys(doors)
    )
  })

  for (const { maxMessageBytes, name, paths } of dialects) {
    const door = doors[name]
    const path = `${paths[0]}${name === "realtime" ? "?intent=transcription" : ""}`
    it.live(
      name,
      () =>
        Effect.gen(function* () {
          const scene = yield* hearing
          const tooLarge: Case = ["a message larger than any", "x".repeat(maxMessageBytes + 1), 1009]
          const outcome = ([, message, expected]: Case) =>
            Effect.scoped(
              Effect.gen(function* () {
                const client = yield* scene.connect(path, { headers })
                for (const one of door?.begin ?? []) client.send({ ...one })
                yield* Effect.sleep("150 millis")
                const before = client.messages.length
                client.send(message instanceof Uint8Array || typeof message === "string" ? message : { ...message })
                if (typeof expected === "number") return (yield* client.closed).code
                if (expected === "told") yield* client.said((one) => /error/i.test(JSON.stringify(one)))
                else yield* Effect.sleep("300 millis")
                const errors = client.messages.slice(before).filter((one) => /error/i.test(JSON.stringify(one)))
                const isOpen = client.socket.readyState === client.socket.OPEN
                return isOpen ? (errors.length > 0 ? "told" : "nothing") : "closed"
              })
            )
          const cases = [...(door?.cases ?? []), tooLarge]
          const [outcomes, heard] = yield* Effect.all(
            [Effect.forEach(cases, outcome, { concurrency: 4 }), neighbour(scene)],
            { concurrency: 2 }
          )
          assert.deepStrictEqual(
            outcomes.map((one, at) => [cases[at]?.[0], one]),
            cases.map(([what, , expected]) => [what, expected])
          )
          assert.strictEqual(heard, [7, 8, 9].map(wordText).join(" "))
          // Audio that is no good is understood, and so is what comes at the wrong time.
          const isUnderstood = ([what, , expected]: Case) =>
            /half|second start|larger/.test(what) || (/numbers/.test(what) && expected === "nothing")
          assert.strictEqual(
            yield* scene.metric("unknown_messages_total", { source: name }),
            cases.filter((one) => !isUnderstood(one)).length
          )
        }),
      180_000
    )
  }
})
