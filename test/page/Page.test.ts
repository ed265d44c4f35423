/** The page in real Chromium with a fake microphone: real audio in, exact words on the screen. */
import { existsSync, readFileSync } from "node:fs"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as PageScene from "../support/PageScene.ts"

const { does, faults, textOf, until } = PageScene

/** From Start until the words are there and the page says that it is done. */
const record = Effect.fnUntraced(function* ({ page, status, words }: PageScene.ServedPage) {
  const { said } = yield* PageScene.PageScene
  yield* does(() => page.getByRole("button", { name: "Start" }).click())
  yield* until(words, (heard) => heard.length >= said.words.length)
  yield* does(() => page.getByRole("button", { name: "Stop" }).click())
  yield* until(status, (text) => text === "Done")
})

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
  layer(PageScene.layer(), { timeout: "60 seconds", excludeTestServices: true })((it) => {
    it.effect(
      "writes down every word of the microphone, sent as PCM16, and says each line once",
      () =>
        Effect.gen(function* () {
          const { engine, open, said } = yield* PageScene.PageScene
          const served = yield* open({ preferences: { path: "pcm" }, reducedMotion: "no-preference" })
          const { page } = served
          const offered = does(() => page.locator("#engine option").allTextContents())
          yield* until(offered, (engines) => engines[1] === "modal")
          yield* does(() => page.getByRole("button", { name: "Start" }).click())
          yield* until(textOf(page, "#open"), (text) => text.split(" ").length >= 2)
          // What may still change stands outside of the live region, and is seen to be different.
          assert.deepStrictEqual(yield* served.words, [])
          assert.strictEqual(yield* does(() => page.locator("#open").getAttribute("aria-live")), "off")
          assert.strictEqual(
            yield* does(() => page.evaluate("getComputedStyle(document.getElementById('open')).fontStyle")),
            "italic"
          )
          yield* PageScene.picture(page, "speaking-light")
          yield* until(served.words, (heard) => heard.length >= said.words.length)
          yield* does(() => page.getByRole("button", { name: "Stop" }).click())
          yield* until(served.status, (text) => text === "Done")
          assert.deepStrictEqual(yield* served.words, said.words)
          assert.strictEqual(yield* does(() => page.locator("#lines").getAttribute("role")), "log")
          assert.strictEqual(engine.counters().corrupt + engine.counters().gaps, 0)
          assert.deepStrictEqual(served.offences, [])
          assert.deepStrictEqual(yield* faults(page), [])
          yield* PageScene.picture(page, "done-light", { fullPage: true })
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect(
      "writes down every word of the microphone, sent as WebM with Opus",
      () =>
        Effect.gen(function* () {
          const { open, said } = yield* PageScene.PageScene
          const served = yield* open({ preferences: { path: "opus" }, colorScheme: "dark" })
          yield* record(served)
          assert.deepStrictEqual(yield* served.words, said.words)
          assert.deepStrictEqual(served.offences, [])
          assert.deepStrictEqual(yield* faults(served.page), [])
          yield* PageScene.picture(served.page, "done-dark", { fullPage: true })
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect(
      "is used with nothing but the keyboard, from the token to the files",
      () =>
        Effect.gen(function* () {
          const { open, said } = yield* PageScene.PageScene
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
          yield* until(served.words, (heard) => heard.length >= said.words.length)
          assert.strictEqual(yield* focused, "start")
          yield* press("Space")
          yield* until(served.status, (text) => text === "Done")

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
          assert.deepStrictEqual(txt.text.toLowerCase().match(/[a-z]+/g), [...said.words])
          const srt = yield* file("save-srt")
          const vtt = yield* file("save-vtt")
          assert.match(srt.text, /^1\n00:00:0\d,\d{3} --> /)
          assert.match(vtt.text, /^WEBVTT.*\n\n00:00:0\d\.\d{3} --> /)
          for (const cues of [cuesOf(srt.text), cuesOf(vtt.text)]) {
            assert.deepStrictEqual(
              cues.flatMap(({ words }) => words),
              [...said.words]
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
            [...said.words]
          )

          // What was said is in this tab's history, also after a reload; the token is remembered.
          yield* does(() => page.reload())
          assert.include(yield* textOf(page, "#recordings"), said.words.slice(0, 4).join(" "))
          assert.strictEqual(yield* does(() => page.inputValue("#token")), PageScene.token)
          assert.deepStrictEqual(served.offences, [])
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect(
      "keeps what is said while the service is gone, and says so",
      () =>
        Effect.gen(function* () {
          const { killService, open, said, startService } = yield* PageScene.PageScene
          const pcm = yield* open({ preferences: { path: "pcm" } })
          const opus = yield* open({ preferences: { path: "opus" } })
          const both = [pcm, opus]
          const press = (name: string) =>
            Effect.forEach(both, ({ page }) => does(() => page.getByRole("button", { name }).click()))
          yield* press("Start")
          for (const { words } of both) yield* until(words, (heard) => heard.length >= 4)
          yield* killService
          for (const { status } of both) yield* until(status, (text) => text.includes("What you say is kept"))
          yield* PageScene.picture(pcm.page, "no-connection")
          yield* startService
          for (const { words } of both) yield* until(words, (heard) => heard.at(-1) === said.words.at(-1))
          yield* press("Stop")
          for (const { status } of both) yield* until(status, (text) => text === "Done")
          assert.deepStrictEqual(yield* pcm.words, said.words)
          assert.include(
            yield* textOf(pcm.page, "#lines"),
            "The connection was lost and is back. What was said meanwhile was kept."
          )
          // What had begun when the connection broke cannot be said again: the rest of a container is nothing without its beginning.
          const heard = yield* opus.words
          assert.deepStrictEqual(
            heard,
            said.words.filter((word) => heard.includes(word))
          )
          assert.includeMembers([...heard], said.words.slice(0, 4))
          assert.include(yield* textOf(opus.page, "#lines"), "words just before may be missing")
          assert.deepStrictEqual([...pcm.offences, ...opus.offences], [])
          yield* PageScene.picture(pcm.page, "connection-back")
        }).pipe(Effect.scoped),
      60_000
    )
  })
})
