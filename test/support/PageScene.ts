/**
 * The page in real Chromium, in front of the real service, whose engine understands what the fake microphone says.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert } from "@effect/vitest"
import axe from "axe-core"
import { Context, Effect, Layer, Schedule, Scope } from "effect"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import * as KyutaiSimulator from "../../src/layers/KyutaiSimulator.ts"
import * as OpusCodec from "../../src/layers/OpusCodec.ts"
import type { Codec } from "../../src/services/Decoder.ts"
import * as GivenSound from "./GivenSound.ts"
import * as ServiceProcess from "./ServiceProcess.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"
import { type ToneWav, toneWav } from "./ToneWav.ts"

export const token = "page-token"

export interface ServedPage {
  readonly page: Page
  /** What the browser refused because of the content security policy, and errors of scripts. Empty, or something is wrong. */
  readonly offences: ReadonlyArray<string>
  /** Words in finished lines, in order, lower case, without punctuation. */
  readonly words: Effect.Effect<ReadonlyArray<string>>
  readonly status: Effect.Effect<string>
  /** What the browser gave to it of the microphone's sound. */
  readonly given: Effect.Effect<GivenSound.Given>
}

export interface OpenOptions extends BrowserContextOptions {
  /** Known to this browser from an earlier visit; `token` unless it says otherwise. */
  readonly token?: string
  readonly preferences?: Readonly<Record<string, string>>
  readonly path?: string
}

/** Real speech in a real browser: only what never ends is to fail by it. */
export const patienceMs = 120_000

/** Longer than the pause between the utterances of the microphone, and any standstill in it. */
const overMs = 2500

/** A browser, and a microphone that says `said` whenever it is opened. */
export class PageScene extends Context.Service<
  PageScene,
  {
    readonly url: string
    readonly said: ToneWav
    readonly engine: KyutaiSimulator.KyutaiSimulator
    readonly open: (options?: OpenOptions) => Effect.Effect<ServedPage, never, Scope.Scope>
    readonly killService: Effect.Effect<void>
    readonly startService: Effect.Effect<void>
  }
>()("parlance/test/PageScene") {}

const artefacts = fileURLToPath(new URL("../../artefacts/page/", import.meta.url))

/** The sandbox is off as tests may run as root; nothing is fetched from anywhere. */
const flags = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
  ...["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
]

/** Whether there is a browser; without one these tests are skipped. */
export const chromiumPath = "/usr/bin/chromium"

export const layer = (environment: Record<string, string> = {}): Layer.Layer<PageScene> =>
  Layer.effect(
    PageScene,
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const said = toneWav(200, [4, 4], { leadMs: 800, tailMs: 30_000 })
      const microphone = join(folder, "microphone.wav")
      writeFileSync(microphone, said.wav)
      const engine = yield* Effect.orDie(KyutaiSimulator.make())
      const codec = yield* OpusCodec.wasm
      const port = yield* ServiceProcess.freePort
      const service = yield* makeService({
        STT_STREAM_URL: engine.url,
        LT_API_TOKEN: token,
        LT_LISTEN_HOST: "127.0.0.1",
        PORT: String(port),
        ...environment
      })
      yield* service.start
      const browser = yield* Effect.acquireRelease(
        Effect.promise(() =>
          chromium.launch({
            executablePath: chromiumPath,
            headless: true,
            args: [...flags, `--use-file-for-fake-audio-capture=${microphone}%noloop`]
          })
        ),
        (one) => Effect.promise(() => one.close())
      )
      const url = `http://127.0.0.1:${port}`
      return {
        url,
        said,
        engine,
        open: (options = {}) => openPage(browser, { url, makeCodec: codec.make }, options),
        killService: service.kill,
        startService: service.start
      }
    })
  )

/** One at a time, on the same port. */
const makeService = Effect.fnUntraced(function* (environment: Record<string, string>) {
  const scope = yield* Effect.scope
  let running: ServiceProcess.ServiceProcess | undefined
  return {
    start: Effect.gen(function* () {
      const started = yield* ServiceProcess.start(environment).pipe(Scope.provide(scope))
      running = started
      yield* started.says('"listening"')
    }),
    kill: Effect.suspend(() => {
      running?.child.kill("SIGKILL")
      return Effect.asVoid(running?.exit ?? Effect.void)
    })
  }
})

/** Runs in the page before its own scripts. */
const watch = (preferences: Readonly<Record<string, string>>) => `
  window.offences = []
  addEventListener("securitypolicyviolation", (e) => window.offences.push(e.violatedDirective + " " + e.blockedURI))
  for (const [name, value] of Object.entries(${JSON.stringify(preferences)})) {
    if (localStorage.getItem("parlance." + name) === null) localStorage.setItem("parlance." + name, value)
  }`

interface Surroundings {
  readonly url: string
  readonly makeCodec: () => Codec
}

/** Runs in the page: that a line was cut is said in the line. */
const readLines = `Array.from(document.querySelectorAll("#lines p > span:not(.note)"), ({ childNodes }) =>
  Array.from(childNodes, (node) => (node instanceof Text ? node.data : "")).join(" ")).join(" ")`

const openPage = Effect.fnUntraced(function* (
  browser: Browser,
  { makeCodec, url }: Surroundings,
  options: OpenOptions
) {
  const { path = "/", preferences = {}, token: known = token, ...context } = options
  const window = yield* Effect.acquireRelease(
    Effect.promise(() =>
      browser.newContext({
        viewport: { width: 1100, height: 860 },
        reducedMotion: "reduce",
        permissions: ["microphone", "clipboard-read", "clipboard-write"],
        ...context
      })
    ),
    (one) => Effect.promise(() => one.close())
  )
  yield* Effect.promise(() =>
    window.addInitScript(watch({ ...(known === "" ? {} : { token: known }), ...preferences }))
  )
  yield* GivenSound.watch(window)
  const page = yield* Effect.promise(() => window.newPage())
  const offences: Array<string> = []
  page.on("pageerror", ({ message }) => offences.push(message))
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) offences.push(message.text())
  })
  yield* Effect.promise(() => page.goto(`${url}${path}`))
  return {
    page,
    offences,
    words: Effect.promise(() => page.evaluate(readLines)).pipe(
      Effect.map(
        (text) =>
          String(text)
            .toLowerCase()
            .match(/[a-z]+/g) ?? []
      )
    ),
    status: Effect.promise(() => page.textContent("#status")).pipe(Effect.map((text) => text ?? "")),
    given: GivenSound.listen(page, makeCodec)
  } satisfies ServedPage
})

/** Waits until it is so; the test's own time limit ends what never comes. */
export const until = <A>(look: Effect.Effect<A>, isSo: (value: A) => boolean): Effect.Effect<A> =>
  Effect.repeat(look, { until: isSo, schedule: Schedule.spaced("50 millis") })

/** The microphone has said all, and the page shows the last word of it that the browser gave whole. */
export const isSaid = Effect.fnUntraced(function* ({ given, words }: ServedPage) {
  const { wholeOfLast } = yield* until(given, ({ quietMs }) => quietMs >= overMs)
  yield* until(words, (heard) => wholeOfLast.slice(-1).every((word) => heard.includes(word)))
})

/** The page shows what the microphone said: every word that the browser gave whole, each once and in order, and nothing else. */
export const isExact = Effect.fnUntraced(function* ({ given, words }: ServedPage) {
  const { said } = yield* PageScene
  const { doubtful, whole } = yield* given
  const heard = yield* words
  assert.isNotEmpty(whole)
  assert.deepStrictEqual(
    heard,
    said.words.filter((word) => whole.includes(word) || (doubtful.has(word) && heard.includes(word)))
  )
})

/** Kept in `artefacts/page`, for people to look at. */
export const picture = (page: Page, name: string, options: { readonly fullPage?: boolean } = {}) =>
  Effect.promise(() => {
    mkdirSync(artefacts, { recursive: true })
    return page.screenshot({ path: join(artefacts, `${name}.png`), ...options })
  })

export const does = <A>(action: () => Promise<A>): Effect.Effect<A> => Effect.promise(action)

/** Whatever axe finds wrong, as text. */
export const faults = (page: Page) =>
  does(async () => {
    await page.evaluate(axe.source)
    const found: unknown = await page.evaluate(
      "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]))"
    )
    return found
  })

export const textOf = (page: Page, selector: string) =>
  Effect.map(
    does(() => page.textContent(selector)),
    (text) => text ?? ""
  )
