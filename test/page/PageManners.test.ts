/** What the page does besides recording, in real Chromium: errors in words, files, themes, phone width, subtitles, what it keeps of the sound. */
import { existsSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as PageScene from "../support/PageScene.ts"
import { toneWav } from "../support/ToneWav.ts"

const { does, faults, textOf, until } = PageScene

const shortFile = toneWav(900, [4])

describe.skipIf(!existsSync(PageScene.chromiumPath))("the page", () => {
  layer(PageScene.layer(), { timeout: "60 seconds", excludeTestServices: true })((it) => {
    it.effect("says what is wrong with a token, and where it goes", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const served = yield* open({ token: "wrong" })
        const { page } = served
        yield* does(() => page.getByRole("button", { name: "Start" }).click())
        yield* until(textOf(page, "[role=alert]"), (text) => text.includes("does not accept this token"))
        yield* until(
          does(() => page.evaluate("document.activeElement.id")),
          (id) => id === "token"
        )
        yield* PageScene.picture(page, "wrong-token")
        assert.deepStrictEqual(yield* faults(page), [])
        assert.isFalse(page.url().includes("wrong"))
        yield* does(() => page.fill("#token", PageScene.token))
        yield* does(() => page.getByRole("button", { name: "Start" }).click())
        yield* until(served.status, (text) => text === "Listening")
        yield* until(
          does(() => page.isVisible("[role=alert]")),
          (isThere) => !isThere
        )
      }).pipe(Effect.scoped)
    )

    it.effect("writes down a file", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const served = yield* open()
        const { wav, words } = toneWav(900, [6, 6], { sampleRate: 44_100 })
        yield* does(() => served.page.setInputFiles("#file", { name: "said.wav", mimeType: "audio/wav", buffer: wav }))
        yield* until(served.status, (text) => text === "Done")
        assert.deepStrictEqual(yield* served.words, words)
        yield* does(() =>
          served.page.setInputFiles("#file", {
            name: "letter.txt",
            mimeType: "text/plain",
            buffer: Buffer.from("Dear")
          })
        )
        yield* until(textOf(served.page, "[role=alert]"), (text) => text.includes("letter.txt"))
        assert.deepStrictEqual(served.offences, [])
      }).pipe(Effect.scoped)
    )

    it.effect("fits a phone, in both themes and with very large text, and axe finds nothing", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        for (const [colorScheme, size] of [
          ["light", "normal"],
          ["dark", "huge"]
        ] as const) {
          const { offences, page } = yield* open({
            colorScheme,
            viewport: { width: 340, height: 720 },
            preferences: { size }
          })
          const isWide = does(() => page.evaluate("document.documentElement.scrollWidth > innerWidth"))
          yield* does(() =>
            page.setInputFiles("#file", { name: "a.wav", mimeType: "audio/wav", buffer: shortFile.wav })
          )
          yield* until(textOf(page, "#status"), (text) => text === "Done")
          assert.isFalse(yield* isWide)
          yield* PageScene.picture(page, `phone-${colorScheme}-${size}`, { fullPage: true })
          yield* does(() => page.locator("#settings summary").click())
          assert.isFalse(yield* isWide)
          assert.deepStrictEqual(yield* faults(page), [])
          yield* does(() => page.getByRole("link", { name: "Calls" }).click())
          yield* until(textOf(page, "#calls-status"), (text) => text.includes("No call is captioned"))
          assert.isFalse(yield* isWide)
          assert.deepStrictEqual(yield* faults(page), [])
          assert.deepStrictEqual(offences, [])
        }
      }).pipe(Effect.scoped)
    )

    it.effect(
      "makes subtitles that can be read: short cues, none over another, nothing that means something else",
      () =>
        Effect.gen(function* () {
          const { open } = yield* PageScene.PageScene
          const { page } = yield* open()
          const words = Array.from({ length: 60 }, (_, at) => `word${at}`)
          const files = Object(
            yield* does(() =>
              page.evaluate(`import("/assets/Formats.js").then(({ write }) => {
              const entries = [
                { startMs: 0, endMs: 20000, text: ${JSON.stringify(words.join(" "))} },
                { atMs: 20000, note: "The connection was lost and is back." },
                { startMs: 19000, endMs: 19000, text: "a < b --> c & d" }
              ]
              const recorded = { startedAt: "", durationMs: 21000, language: "en", engine: "", model: "", entries }
              return { srt: write(recorded, "srt"), vtt: write(recorded, "vtt"), txt: write(recorded, "txt") }
            })`)
            )
          )
          const blocks: ReadonlyArray<string> = files.srt.trim().split("\n\n")
          assert.deepStrictEqual(
            blocks.map((block) => block.split("\n")[0]),
            blocks.map((_, at) => String(at + 1))
          )
          const shown = blocks.map((block) => block.split("\n").slice(2))
          for (const lines of shown) {
            assert.isAtMost(lines.length, 2)
            for (const line of lines) assert.isAtMost(line.length, 50)
          }
          assert.deepStrictEqual(
            shown
              .flat()
              .join(" ")
              .match(/word\d+/g),
            words
          )
          const times = blocks.map((block) => (block.split("\n")[1] ?? "").split(" --> "))
          for (const [at, [start = "", end = ""]] of times.entries()) {
            assert.isBelow(start < end ? 0 : 1, 1, end)
            assert.isTrue(at === 0 || (times[at - 1]?.[1] ?? "") <= start, start)
          }
          assert.include(files.vtt, "a &lt; b --&gt; c &amp; d")
          assert.notInclude(files.txt, "connection")
        }).pipe(Effect.scoped)
    )

    it.effect("keeps two minutes of sound while nobody takes it, and of a container its beginning", () =>
      Effect.gen(function* () {
        const { open } = yield* PageScene.PageScene
        const { page } = yield* open()
        const seen = yield* does(() =>
          page.evaluate(`import("/assets/Backlog.js").then(({ makeLive }) => {
            let restarts = 0
            const make = (isRepeatable) => makeLive({ isRepeatable, restart: () => restarts++ })
            const second = { bytes: new ArrayBuffer(0), ms: 1000 }
            const hear = (backlog, seconds) => { for (let i = 0; i < seconds; i++) backlog.add(second) }
            const pcm = make(true)
            hear(pcm, 10)
            for (let i = 0; i < 10; i++) pcm.next()
            pcm.said(4500)
            const again = pcm.rewind()
            hear(pcm, 140)
            const late = pcm.rewind()
            const opus = make(false)
            hear(opus, 3)
            opus.interrupted()
            const whole = [opus.unsentMs(), restarts]
            opus.next()
            opus.interrupted()
            return { again, late, whole, cut: [opus.unsentMs(), restarts] }
          })`)
        )
        assert.deepStrictEqual(seen, {
          // What became text is not said again.
          again: { fromMs: 4000, lostMs: 0, isRepeated: true },
          late: { fromMs: 30_000, lostMs: 26_000, isRepeated: true },
          // A container of which nothing was sent is whole; the rest of one is nothing.
          whole: [3000, 0],
          cut: [0, 1]
        })
      }).pipe(Effect.scoped)
    )
  })
})

describe.skipIf(!existsSync(PageScene.chromiumPath))("the page, of a service whose engine refuses it", () => {
  layer(PageScene.layer(), { timeout: "60 seconds", excludeTestServices: true })((it) => {
    it.effect("stops and says so: trying again would not help", () =>
      Effect.gen(function* () {
        const { engine, open } = yield* PageScene.PageScene
        engine.control({ _tag: "Behave", as: "refuse" })
        const { page } = yield* open()
        yield* does(() => page.getByRole("button", { name: "Start" }).click())
        yield* until(textOf(page, "[role=alert]"), (text) => text.includes("No speech engine works"))
        yield* until(
          does(() => page.getByRole("button", { name: "Start" }).isVisible()),
          (isThere) => isThere
        )
      }).pipe(Effect.scoped)
    )
  })
})
