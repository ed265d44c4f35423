/**
 * Participants in headless Chromium: one speaks from a file through the fake microphone, others read; every page renders captions as
 * Talk's page does.
 */
import { randomInt } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema, type Scope } from "effect"
import { type BrowserContext, chromium } from "playwright-core"
import type { Shown } from "./Judge.ts"
import type { Ledger } from "./Ledger.ts"
import { attempt, because, failure, type ProofError } from "./ProofError.ts"
import { ROOM, type Scene } from "./Scene.ts"
import * as Speech from "./Speech.ts"

export interface Page {
  readonly name: string
  readonly ncSession: string
  /** Publishes the microphone; a second time without telling anybody. */
  readonly publish: Effect.Effect<void, ProofError>
  readonly shown: Effect.Effect<Shown, ProofError>
  readonly screenshot: (file: string) => Effect.Effect<void, ProofError>
}

export interface Browser {
  /** A participant in the call; `flags` as Talk's in-call flag. */
  readonly page: (name: string, flags: number) => Effect.Effect<Page, ProofError>
}

const HPB = "ws://127.0.0.1:8080/spreed"
const ShownByPage = Schema.Struct({
  blocks: Schema.Array(Schema.Struct({ speaker: Schema.String, text: Schema.String })),
  rewrites: Schema.Array(Schema.Struct({ shown: Schema.String, next: Schema.String }))
})
const decodeShown = Schema.decodeUnknownEffect(ShownByPage)

/** Sandbox and background networking are off: we are root, and this network is closed. */
const flags = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
  ...["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
]

/** Says `count` words in sentences of six after `leadMs` of silence, then is silent: Chromium slips where a file repeats. */
export const speech = (
  ledger: Ledger,
  options: { readonly name: string; readonly number: number; readonly count: number; readonly leadMs: number }
): { readonly wav: Buffer; readonly millis: number } => {
  const vocabulary = Speech.vocabularyOf(options.number).slice(0, options.count)
  const parts: Array<Float32Array> = [new Float32Array((Speech.SPEECH_RATE * options.leadMs) / 1000)]
  for (let i = 0; i < vocabulary.length; i += 6) {
    const words = vocabulary.slice(i, i + 6)
    parts.push(Speech.utterance(words, { speaker: options.number, firstSequence: i % 16, paddingMs: 1200 }).pcm)
    for (const word of words) ledger.note({ word: Speech.textOf(word), speaker: options.name })
  }
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const whole = new Float32Array(length + Speech.SPEECH_RATE * 5)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return { wav: Speech.wav(whole), millis: (length * 1000) / Speech.SPEECH_RATE }
}

const makePage = (context: BrowserContext, { stack }: Scene, name: string, inCall: number) =>
  Effect.gen(function* () {
    const page = yield* attempt(`${name} opens a page`, () => context.newPage())
    const evaluate = (what: string, script: string) =>
      attempt(`${name} ${what}`, (): Promise<unknown> => page.evaluate(script))
    const ncSession = `nc-${name}-${randomInt(1e9)}`
    yield* attempt(`${name} loads the page`, () => page.goto("http://127.0.0.1:8081/page/participant.html"))
    const who = { backend: stack.nextcloud.backend, hpb: HPB, ncSession, room: ROOM, userId: name }
    yield* evaluate(
      "is loaded",
      "new Promise((r) => { const i = setInterval(() => window.participant && r(clearInterval(i)), 10) })"
    )
    stack.ledger.name(String(yield* evaluate("connects", `participant.connect(${JSON.stringify(who)})`)), name)
    yield* stack.nextcloud.setInCall(ROOM, ncSession, inCall)
    return {
      name,
      ncSession,
      publish: evaluate("publishes", "participant.publish()").pipe(
        Effect.flatMap((state) =>
          state === "connected" ? Effect.void : Effect.fail(failure(`${name}: publishing ended as ${String(state)}`))
        )
      ),
      shown: evaluate("shows", "participant.shown()").pipe(
        Effect.flatMap(decodeShown),
        Effect.mapError(because(name)),
        Effect.map((shown) => ({ reader: name, ...shown }))
      ),
      screenshot: (path: string) =>
        Effect.asVoid(attempt("screenshot", () => page.screenshot({ path, fullPage: true })))
    }
  })

/** One browser whose microphone plays `wav` once, for as long as the scope. */
export const make = (scene: Scene, wav: Buffer): Effect.Effect<Browser, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const file = join(scene.stack.folder, "microphone.wav")
    writeFileSync(file, wav)
    const profile = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "parlance-chromium-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const context = yield* Effect.acquireRelease(
      attempt("Chromium starts", () =>
        chromium.launchPersistentContext(profile, {
          executablePath: "/usr/bin/chromium",
          headless: true,
          args: [...flags, `--use-file-for-fake-audio-capture=${file}%noloop`],
          permissions: ["microphone"]
        })
      ),
      (one) => Effect.promise(() => one.close())
    )
    return { page: (name, inCall) => makePage(context, scene, name, inCall) }
  })
