/** The page in real Chromium with a fake microphone: real audio in, exact words on the screen. */
import { existsSync, readFileSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import type { Page } from "playwright-core"
import * as PageScene from "../support/PageScene.ts"

const { does, faults, textOf, until } = PageScene

/** From Start until the words are there and the page says that it is done. */
const record = Effect.fnUntraced(function* (served: PageScene.ServedPage) {
  yield* does(() => served.page.getByRole("button", { name: "Start" }).click())
  yield* PageScene.isSaid(served)
  yield* stop(served)
})

const stop = Effect.fnUntraced(function* ({ page, status }: PageScene.ServedPage) {
  yield* does(() => page.getByRole("button", { name: "Stop" }).click())
  yield* until(status, (text) => text === "Done")
})

/** What the page shows at one moment: words of finished lines, and of the open text. */
const showing = (page: Page) =>
  does(async () => {
    const [lines = "", open = ""] = Object(
      await page.evaluate("['lines', 'open'].map((id) => document.getElementById(id).textContent)")
    )
    return { lines: wordsOf(lines), open: wordsOf(open) }
  })

const wordsOf = (text: string): Array<string> => text.toLowerCase().match(/[a-z]+/g) ?? []

/** Of subtitles in either format: when each cue begins and ends (ms), and what it says. */
const cuesOf = (text: string) =>
  [...text.matchAll(/(\d\d):(\d\d):(\d\d)[.,](\d{3}) --> (\d\d):(\d\d):(\d\d)[.,](\d{3})\n((?:.+\n)+)/g)].map((cue) => {
    const [h = 0, m = 0, s = 0, ms = 0, ...rest] = cue.slice(1, 9).map(Number)
    const [h2 = 0, m2 = 0, s2 = 0, ms2 = 0] = rest
    return {
      startMs: ((h * 60 + m) * 60 + s) * 1000 + ms,
      endMs: ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2,
      words: (cue[9] ?? "").toLowerCase().match(/[a-z]+/g) ?? []
    }
  })

/** Tabs on until the element has the focus, and not for ever. */
const pressedUntil = (id: string) => (step: Effect.Effect<string>) =>
  Effect.repeat(step, { until: (focused) => focused === id, times: 60 }).pipe(
    Effect.map((focused) => assert.strictEqual(focused, id))
  )

describe.skipIf(!existsSync(PageScene.chromiumPath))("the page", () => {
  layer(PageScene.layer(), { timeout: PageScene.patienceMs, excludeTestServices: true })((it) => {
    it.effect(
      "writes down every word of the microphone, sent as PCM16, and says each line once",
      () =>
        Effect.gen(function* () {
          const { engine, open } = yield* PageScene.PageScene
          const served = yield* open({ preferences: { path: "pcm" }, reducedMotion: "no-preference" })
          const { page } = served
          const offered = does(() => page.locator("#engine option").allTextContents())
          yield* until(offered, (engines) => engines[1] === "modal")
          yield* does(() => page.getByRole("button", { name: "Start" }).click())
          // What may still change stands outside of the live region, and is seen to be different.
          const seen = yield* until(showing(page), ({ open }) => open.length >= 2)
          assert.deepStrictEqual(
            seen.lines.filter((word) => seen.open.includes(word)),
            []
          )
          assert.strictEqual(yield* does(() => page.locator("#open").getAttribute("aria-live")), "off")
          assert.strictEqual(
            yield* does(() => page.evaluate("getComputedStyle(document.getElementById('open')).fontStyle")),
            "italic"
          )
          yield* PageScene.picture(page, "speaking-light")
          yield* PageScene.isSaid(served)
          yield* stop(served)
          yield* PageScene.isExact(served)
          assert.strictEqual(yield* does(() => page.locator("#lines").getAttribute("role")), "log")
          const { isWhole } = yield* served.given
          if (isWhole) assert.strictEqual(engine.counters().corrupt + engine.counters().gaps, 0)
          assert.deepStrictEqual(served.offences, [])
          assert.deepStrictEqual(yield* faults(page), [])
          yield* PageScene.picture(page, "done-light", { fullPage: true })
        }).pipe(Effect.scoped),
      PageScene.patienceMs
    )

    it.effect(
      "writes down every word of the microphone, sent as WebM with Opus",
      () =>
        Effect.gen(function* () {
          const { open } = yield* PageScene.PageScene
          const served = yield* open({ preferences: { path: "opus" }, colorScheme: "dark" })
          yield* record(served)
          yield* PageScene.isExact(served)
          assert.deepStrictEqual(served.offences, [])
          assert.deepStrictEqual(yield* faults(served.page), [])
          yield* PageScene.picture(served.page, "done-dark", { fullPage: true })
        }).pipe(Effect.scoped),
      PageScene.patienceMs
    )

    it.effect(
      "is used with nothing but the keyboard, from the token to the files",
      () =>
        Effect.gen(function* () {
          const { open } = yield* PageScene.PageScene
          const served = yield* open({ token: "" })
          const { page } = served
          const press = (key: string) => does(() => page.keyboard.press(key))
          const focused = does(() => page.evaluate("document.activeElement.id")).pipe(Effect.map(String))
          const tabTo = (id: string) => Effect.andThen(press("Tab"), focused).pipe(pressedUntil(id))
          yield* until(
            does(() => page.locator("#settings").getAttribute("open")),
            (open) => open !== null
          )
          yield* tabTo("token")
          yield* does(() => page.keyboard.type(PageScene.token))
          yield* tabTo("token-show")
          yield* press("Enter")
          assert.strictEqual(yield* does(() => page.inputValue("#token")), PageScene.token)
          assert.strictEqual(yield* does(() => page.locator("#token").getAttribute("type")), "text")
          yield* tabTo("start")
          yield* press("Enter")
          yield* PageScene.isSaid(served)
          assert.strictEqual(yield* focused, "start")
          yield* press("Space")
          yield* until(served.status, (text) => text === "Done")
          yield* PageScene.isExact(served)
          const heard = yield* served.words

          const file = Effect.fnUntraced(function* (id: string) {
            yield* tabTo(id)
            const [given] = yield* does(() =>
              Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")])
            )
            const path = yield* does(() => given.path())
            return { name: given.suggestedFilename(), text: readFileSync(path, "utf8") }
          })
          yield* tabTo("copy")
          yield* press("Enter")
          yield* until(served.status, (text) => text === "Copied")
          const copied = yield* does(() => page.evaluate("navigator.clipboard.readText()"))
          const txt = yield* file("save-txt")
          assert.strictEqual(copied, txt.text)
          assert.match(txt.name, /^transcript-\d{4}-\d\d-\d\d-\d{6}\.txt$/)
          assert.deepStrictEqual(txt.text.toLowerCase().match(/[a-z]+/g), [...heard])
          const srt = yield* file("save-srt")
          const vtt = yield* file("save-vtt")
          assert.match(srt.text, /^1\n00:00:0\d,\d{3} --> /)
          assert.match(vtt.text, /^WEBVTT.*\n\n00:00:0\d\.\d{3} --> /)
          for (const cues of [cuesOf(srt.text), cuesOf(vtt.text)]) {
            assert.deepStrictEqual(
              cues.flatMap(({ words }) => words),
              [...heard]
            )
            let beforeMs = 0
            for (const { endMs, startMs } of cues) {
              assert.isAtLeast(startMs, beforeMs)
              assert.isAbove(endMs, startMs)
              beforeMs = endMs
            }
          }
          const json = Object(JSON.parse((yield* file("save-json")).text))
          assert.deepInclude(json, { language: "en", engine: "modal" })
          assert.isAbove(json.durationMs, 5000)
          const lines: ReadonlyArray<{ readonly text: string }> = json.entries
          assert.deepStrictEqual(
            lines.flatMap(({ text }) => text.toLowerCase().match(/[a-z]+/g) ?? []),
            [...heard]
          )

          // What was said is in this tab's history, also after a reload; the token is remembered.
          yield* does(() => page.reload())
          assert.include(yield* textOf(page, "#recordings"), heard.join(" "))
          assert.strictEqual(yield* does(() => page.inputValue("#token")), PageScene.token)
          assert.deepStrictEqual(served.offences, [])
        }).pipe(Effect.scoped),
      PageScene.patienceMs
    )

    it.effect(
      "keeps what is said while the service is gone, and says so",
      () =>
        Effect.gen(function* () {
          const { killService, open, said, startService } = yield* PageScene.PageScene
          const pcm = yield* open({ preferences: { path: "pcm" } })
          const opus = yield* open({ preferences: { path: "opus" } })
          const both = [pcm, opus]
          for (const { page } of both) yield* does(() => page.getByRole("button", { name: "Start" }).click())
          for (const { given, words } of both) {
            const { whole } = yield* until(given, ({ pauses }) => pauses > 0)
            const first = whole.filter((word) => said.words.indexOf(word) < 4)
            yield* until(words, (heard) => first.every((word) => heard.includes(word)))
          }
          const before = yield* opus.words
          yield* killService
          for (const { status } of both) yield* until(status, (text) => text.includes("What you say is kept"))
          yield* PageScene.picture(pcm.page, "no-connection")
          yield* startService
          for (const served of both) yield* until(served.status, (text) => text === "Listening")
          for (const served of both) yield* PageScene.isSaid(served)
          for (const served of both) yield* stop(served)
          yield* PageScene.isExact(pcm)
          assert.include(
            yield* textOf(pcm.page, "#lines"),
            "The connection was lost and is back. What was said meanwhile was kept."
          )
          // What had begun when the connection broke cannot be said again: the rest of a container is nothing without its beginning.
          const heard = yield* opus.words
          const { wholeOfLast } = yield* opus.given
          assert.deepStrictEqual(
            heard,
            said.words.filter((word) => heard.includes(word))
          )
          assert.deepStrictEqual(heard.slice(0, before.length), before)
          assert.includeMembers([...heard], [...wholeOfLast])
          assert.include(yield* textOf(opus.page, "#lines"), "words just before may be missing")
          assert.deepStrictEqual([...pcm.offences, ...opus.offences], [])
          yield* PageScene.picture(pcm.page, "connection-back")
        }).pipe(Effect.scoped),
      PageScene.patienceMs
    )
  })
})
