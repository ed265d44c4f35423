/** What the page sends of the sound, what of it again over a new connection, and what it shows of that: in real Chromium. */
import { existsSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as PageScene from "../support/PageScene.ts"

const { does, until } = PageScene

/** 80 ms of PCM16 at 24 kHz: a message. */
const messageBytes = 3840
const seconds = (count: number) => count * 48_000

describe.skipIf(!existsSync(PageScene.chromiumPath))("the page", () => {
  layer(PageScene.layer(), { timeout: PageScene.patienceMs, excludeTestServices: true })((it) => {
    it.effect("says again over a new connection whatever is not settled, and shows no word twice", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const served = yield* open({ preferences: { path: "pcm" } })
        const { page } = served
        const heard: Array<Buffer> = []
        yield* does(() =>
          page.routeWebSocket("**/v1/transcriptions", (socket) => {
            const connection = heard.push(Buffer.alloc(0)) - 1
            const tell = (...messages: ReadonlyArray<object>) => {
              for (const message of messages) socket.send(JSON.stringify(message))
            }
            const final = (text: string, start: number, end: number) => ({ final: text, segment: text, start, end })
            socket.onMessage((message) => {
              if (typeof message === "string") {
                const { action } = JSON.parse(message)
                if (action === "start") tell({ ready: { engine: "modal", model: "modal", language: "en" } })
                else void socket.close({ code: 1000 })
                return
              }
              const before = heard[connection] ?? Buffer.alloc(0)
              const now = Buffer.concat([before, message])
              heard[connection] = now
              if (before.length >= seconds(2) || now.length < seconds(2)) return
              if (connection > 0) return tell(final("Three four five six.", 0.1, 1))
              // The end of a line is where the service was when it knew the line to be over: more had been said.
              tell(final("One two.", 0, 1.9), { settled: 1 }, final("Three four.", 1.1, 2))
              void socket.close({ code: 1011 })
            })
          })
        )
        yield* does(() => page.getByRole("button", { name: "Start" }).click())
        yield* until(served.words, (words) => words.length >= 6)
        yield* does(() => page.getByRole("button", { name: "Stop" }).click())
        yield* until(served.status, (text) => text === "Done")
        const shown = (yield* served.words).join(" ")
        assert.strictEqual(shown, "one two three four five six")
        const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = heard
        const from = Math.floor(seconds(1) / messageBytes) * messageBytes
        assert.isTrue(first.subarray(from).equals(second.subarray(0, first.length - from)))
        assert.deepStrictEqual(served.offences, [])
      }).pipe(Effect.scoped)
    )

    it.effect("has of the sound every sample that the browser gave, once and in order", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const { page } = yield* open()
        const taken = yield* does(() =>
          page.evaluate(`(async () => {
            const count = 10 * 1920
            const context = new OfflineAudioContext(1, count, 24000)
            await context.audioWorklet.addModule("/assets/PcmWorklet.js")
            const buffer = context.createBuffer(1, count, 24000)
            buffer.getChannelData(0).forEach((_, at, samples) => { samples[at] = (at - 9000) / 32767 })
            const source = new AudioBufferSourceNode(context, { buffer })
            const node = new AudioWorkletNode(context, "pcm16", { numberOfOutputs: 0 })
            const taken = []
            const all = new Promise((resolve) => {
              node.port.onmessage = ({ data }) => {
                taken.push(...new Int16Array(data))
                if (taken.length >= count) resolve(taken)
              }
            })
            source.connect(node)
            source.start()
            await context.startRendering()
            return (await all).findIndex((sample, at) => Math.abs(sample - (at - 9000)) > 1)
          })()`)
        )
        assert.strictEqual(taken, -1)
      }).pipe(Effect.scoped)
    )

    it.effect("in doubt shows a word twice rather than not at all", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const { page } = yield* open()
        const seen = yield* does(() =>
          page.evaluate(`import("/assets/Repeats.js").then(({ makeRepeats }) => {
            const after = (said, { isRepeated = true, fromMs = 0 } = {}) => {
              const repeats = makeRepeats()
              repeats.final("No.", 0)
              repeats.settled(0)
              said.forEach((text, at) => repeats.final(text, at + 1))
              repeats.interrupted(isRepeated, fromMs)
              return repeats
            }
            const said = ["One two", "three four."]
            const parts = after(said)
            const settledBetween = after(said)
            const notHeardAgain = after(["No"])
            notHeardAgain.settled(1)
            const long = after(["long ago", "not kept any more and", "kept in part"], { fromMs: 1 })
            return {
              nothing: after([]).final("No way."),
              whole: after(said).final("One, two, three, four five."),
              open: after(said).partial("one two"),
              parts: [parts.partial("one"), parts.final("One two three."), parts.final("Four four."), parts.final("four")],
              settledBetween: [settledBetween.final("One two"), settledBetween.settled(1), settledBetween.final("three four five")],
              otherwise: after(said).final("One too three four"),
              misheard: after(["One", ...said]).final("Won one two three four five"),
              cannot: after(said, { isRepeated: false }).final("One two"),
              notHeardAgain: notHeardAgain.final("No way"),
              beginsLater: [long.final("any more and"), long.final("kept in part of it")]
            }
          })`)
        )
        assert.deepStrictEqual(seen, {
          // What was settled is not heard again.
          nothing: "No way.",
          whole: "five.",
          open: "",
          parts: ["", "", "four.", "four"],
          settledBetween: ["", undefined, "five"],
          otherwise: "too three four",
          misheard: "five",
          cannot: "One two",
          notHeardAgain: "No way",
          beginsLater: ["", "of it"]
        })
      }).pipe(Effect.scoped)
    )
  })
})
