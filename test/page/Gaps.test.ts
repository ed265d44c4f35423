/** What the page shows where words are missing, in real Chromium in front of a service that says so. */
import { existsSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as PageScene from "../support/PageScene.ts"

const { does, faults, textOf, until } = PageScene

const said = [
  { session_id: "s" },
  { ready: { engine: "modal", model: "modal", language: "en" } },
  { final: "Good morning.", segment: "s:0", start: 0, end: 1.5 },
  { interrupted: 12.4, at: 1.5 },
  { final: "So we agree.", segment: "s:1", start: 14, end: 15 }
]

const common = { speaker: "ada", speakerName: "Ada" }
const told = [
  ["caption", { ...common, language: "en", segment: "v:0", revision: 1, text: "Good morning.", final: true }],
  ["interrupted", { ...common, segment: "v:0.5", atMs: 1500, lengthMs: 1000 }],
  // As after a reconnect: the newest are told again.
  ["interrupted", { ...common, segment: "v:0.5", atMs: 1500, lengthMs: 1000 }],
  ["end", { reason: "CallEnded", detail: "" }]
] as const
const events = told.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join("")

describe.skipIf(!existsSync(PageScene.chromiumPath))("where words are missing the page", () => {
  layer(PageScene.layer(), { timeout: "60 seconds", excludeTestServices: true })((it) => {
    it.effect("says so in the transcript, to the eye and to the ear, and in the files", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const served = yield* open()
        const { page } = served
        yield* does(() =>
          page.routeWebSocket("**/v1/transcriptions", (socket) => {
            socket.onMessage((message) => {
              if (typeof message !== "string") return
              const { action } = JSON.parse(message)
              if (action === "start") for (const one of said) socket.send(JSON.stringify(one))
              else void socket.close({ code: 1000 })
            })
          })
        )
        yield* does(() => page.getByRole("button", { name: "Start" }).click())
        yield* until(served.words, (words) => words.length >= 5)
        yield* does(() => page.getByRole("button", { name: "Stop" }).click())
        yield* until(served.status, (text) => text === "Done")
        assert.deepStrictEqual(yield* served.words, ["good", "morning", "so", "we", "agree"])
        const gap = page.locator("#lines p").nth(1)
        assert.strictEqual(
          yield* does(() => gap.locator("[aria-hidden=true].note").textContent()),
          "… 12 s not heard …"
        )
        assert.strictEqual(yield* does(() => gap.locator(".unseen").textContent()), "12 seconds were not heard")
        assert.strictEqual(yield* does(() => gap.locator("time").textContent()), "0:01")
        assert.isTrue(yield* does(() => gap.locator("[aria-hidden=true].note").isVisible()))
        yield* PageScene.picture(page, "gap")
        assert.deepStrictEqual(yield* faults(page), [])

        const files = Object(
          yield* does(() =>
            page.evaluate(`import("/assets/Formats.js").then(({ write }) => {
              const entries = [{ startMs: 0, endMs: 1500, text: "Good morning." }, { atMs: 1500, missingMs: 12400 }]
              const recorded = { startedAt: "", durationMs: 0, language: "en", engine: "", model: "", entries }
              return { srt: write(recorded, "srt"), txt: write(recorded, "txt") }
            })`)
          )
        )
        assert.strictEqual(files.txt, "Good morning.\n[… 12 s …]\n")
        assert.include(files.srt, "00:00:01,500 --> 00:00:13,900\n[… 12 s …]")
        assert.deepStrictEqual(served.offences, [])
      }).pipe(Effect.scoped)
    )

    it.effect("says so in the lane of the speaker of a call, once", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const { page } = yield* open()
        const call = { roomToken: "planning", state: "Captioning", viewers: 1, speakers: 1, languageId: "en" }
        yield* does(() => page.route("**/api/v1/status", (route) => route.fulfill({ json: { calls: [call] } })))
        yield* does(() =>
          page.route("**/captions", (route) => route.fulfill({ contentType: "text/event-stream", body: events }))
        )
        yield* does(() => page.evaluate("location.hash = '#calls'"))
        yield* does(() => page.getByRole("button", { name: /planning/ }).click())
        yield* until(textOf(page, "#watching-status"), (text) => text === "The call has ended.")
        const lane = page.getByRole("region", { name: "Ada", exact: true })
        assert.deepStrictEqual(yield* does(() => lane.locator("li").allTextContents()), [
          "Good morning.",
          "… 1 s not heard …1 second was not heard"
        ])
        assert.deepStrictEqual(yield* does(() => page.locator("#said p .unseen").allTextContents()), [
          "1 second was not heard"
        ])
        assert.deepStrictEqual(yield* faults(page), [])
      }).pipe(Effect.scoped)
    )
  })
})
