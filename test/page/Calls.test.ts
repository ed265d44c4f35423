/** The page's second view in real Chromium: two people talk in a call, and what they say is read along, a lane each. */
import { existsSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import axe from "axe-core"
import { Effect, Layer, Redacted } from "effect"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import { speak } from "../../src/layers/ToneModem.ts"
import { wordText } from "../../src/layers/ToneWords.ts"
import * as PageScene from "../support/PageScene.ts"
import * as Standstill from "../support/Standstill.ts"

const { until } = PageScene
const does = <A>(action: () => Promise<A>) => Effect.promise(action)
const room = "planning"

/** The service joins calls of a simulated HPB. */
const scene = Layer.unwrap(
  Effect.map(TalkSimulator.TalkSimulator, ({ internalSecret, url }) =>
    PageScene.layer({
      LT_HPB_URL: url,
      LT_INTERNAL_SECRET: Redacted.value(internalSecret),
      LT_BACKEND_URL: "http://127.0.0.1/"
    })
  )
).pipe(Layer.provideMerge(TalkSimulator.layer()), Layer.orDie)

const wordsOf = (first: number) => Array.from({ length: 5 }, (_, at) => first + at)

describe.skipIf(!existsSync(PageScene.chromiumPath))("the page of running calls", () => {
  layer(scene, { timeout: PageScene.patienceMs, excludeTestServices: true })((it) => {
    it.effect(
      "shows what each speaker says as it is said, and that the call has ended",
      () =>
        Effect.gen(function* () {
          const standstill = yield* Standstill.watch
          const hpb = yield* TalkSimulator.TalkSimulator
          const { open, url } = yield* PageScene.PageScene
          const control = (method: string, path: string, body?: object) =>
            does(() =>
              fetch(`${url}/api/v1/call/transcribe${path}`, {
                method,
                headers: { authorization: `Bearer ${PageScene.token}`, "content-type": "application/json" },
                ...(body === undefined ? {} : { body: JSON.stringify(body) })
              })
            )
          const people = yield* Effect.forEach(
            [
              { name: "Ada", first: 100 },
              { name: "Grace", first: 300 }
            ],
            ({ first, name }) => Effect.map(hpb.addSpeaker({ name, room }), (speaker) => ({ first, name, speaker }))
          )
          yield* control("POST", "", { roomToken: room })
          const { offences, page } = yield* open({ path: "/#calls" })
          yield* does(() => page.getByRole("button", { name: /planning.*2 speakers/ }).click({ timeout: 20_000 }))
          const speeches = yield* Effect.forEach(people, ({ first, name, speaker }) => {
            const { pcm, words } = speak(wordsOf(first), { speaker: 1, sampleRate: 48_000, firstSequence: 0 })
            return Effect.map(speaker.say(pcm), ({ startedAtMs }) => ({ name, startedAtMs, words }))
          })
          for (const { name, startedAtMs, words } of speeches) {
            const lane = page.getByRole("region", { name, exact: true })
            // The speaker is in this process: in which of its words that stood still, half of the sound comes late.
            const needed = () =>
              words.filter((one) => standstill.wasWhole(startedAtMs + one.startMs, startedAtMs + one.endMs))
            const said = words.map(({ word }) => wordText(word))
            // What is final is said once to a screen reader, with the name.
            const announced = does(() => page.locator("#said p").allTextContents()).pipe(
              Effect.map((all) => all.filter((line) => line.startsWith(`${name}: `)))
            )
            const shown = does(() => lane.locator("li").allTextContents())
            const [lines] = yield* until(
              Effect.all([shown, announced]),
              ([lines, announced]) =>
                needed().every(({ word }) => lines.join(" ").split(" ").includes(wordText(word))) &&
                announced.join() === lines.map((line) => `${name}: ${line}`).join()
            )
            const read = lines.join(" ").split(" ")
            assert.deepStrictEqual(
              read,
              said.filter((word) => read.includes(word))
            )
          }
          yield* PageScene.picture(page, "calls-light", { fullPage: true })
          yield* does(() => page.emulateMedia({ colorScheme: "dark" }))
          yield* PageScene.picture(page, "calls-dark", { fullPage: true })
          yield* does(() => page.setViewportSize({ width: 340, height: 720 }))
          assert.isFalse(yield* does(() => page.evaluate("document.documentElement.scrollWidth > innerWidth")))
          yield* PageScene.picture(page, "calls-phone", { fullPage: true })
          yield* does(() => page.evaluate(axe.source))
          assert.deepStrictEqual(
            yield* does(() => page.evaluate("axe.run().then(({ violations }) => violations.map(({ id }) => id))")),
            []
          )
          yield* control("DELETE", `/${room}`)
          yield* until(
            does(() => page.textContent("#watching-status")),
            (text) => text === "The call has ended."
          )
          assert.deepStrictEqual(offences, [])
        }).pipe(Effect.scoped),
      PageScene.patienceMs
    )
  })
})
