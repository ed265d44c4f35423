/**
 * The main job on the real stack: who speaks, who reads, on which HPB.
 */
import { join } from "node:path"
import { Effect } from "effect"
import * as ChromiumPages from "./ChromiumPages.ts"
import { machineMs } from "./HpbClient.ts"
import { delays, judge, percentile } from "./Judge.ts"
import { MEDIA_IP } from "./Namespace.ts"
import * as Processes from "./Processes.ts"
import { failure, until } from "./ProofError.ts"
import type { Generation } from "./Provision.ts"
import { saidSince, settle } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import { wordsOf } from "./Viewer.ts"
import { TALKING } from "./WeriftSpeaker.ts"

/** Time for a peer connection to stand: until then a speaker is not heard. */
const SET_UP = "2 seconds"

const chromium: Scenario = {
  name: "chromium",
  about: "Chromium speaks through its microphone, another page reads",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, { engine: ["punctuation"] })
      const { ledger } = scene.stack
      const voice = ChromiumPages.speech(ledger, { name: "Ada", number: 0, count: 48, leadMs: 4000 })
      const browser = yield* ChromiumPages.make(scene, voice.wav)
      const reader = yield* browser.page("Ben", 1)
      const speaker = yield* browser.page("Ada", TALKING)
      yield* scene.captions(reader, true)
      yield* speaker.publish
      const last = ledger.said.at(-1)?.word ?? ""
      yield* Effect.sleep(voice.millis)
      yield* reader.shown.pipe(
        Effect.delay("250 millis"),
        Effect.repeat({ until: ({ blocks }) => blocks.some(({ text }) => wordsOf(text).includes(last)) }),
        Effect.timeout("8 seconds"),
        Effect.ignore
      )
      yield* Effect.sleep("1 second")
      yield* reader.screenshot(join(scene.stack.folder, "captions.png"))
      return { verdicts: [judge(yield* reader.shown, ledger, ledger.said)] }
    })
}

/** One after the other and at once, in sentences of five. */
const crossTalk: Scenario = {
  name: "cross-talk",
  about: "five speakers at once; readers come late, leave, reload; the language changes",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, { engine: ["punctuation"] })
      const { ledger } = scene.stack
      const [vera, vic, late, leaver, reloader] = yield* Effect.forEach(
        ["vera", "vic", "late", "leaver", "reloader"],
        scene.viewer
      )
      const speakers = yield* Effect.forEach(["ann", "bob", "cyd", "dan", "eve"], scene.speaker, { concurrency: 5 })
      if (!vera || !vic || !late || !leaver || !reloader) return yield* failure("somebody is missing")
      yield* Effect.forEach([vera, vic, leaver, reloader], (one) => scene.captions(one, true))
      yield* Effect.sleep(SET_UP)
      const started = machineMs()
      const talk = (count: number) =>
        Effect.forEach(
          speakers,
          (one, i) =>
            Effect.delay(one.say(count), i * 700).pipe(
              Effect.andThen(Effect.sleep("900 millis")),
              Effect.repeat({ times: 1 })
            ),
          { concurrency: "unbounded", discard: true }
        )
      yield* talk(5)
      yield* scene.captions(late, true)
      yield* scene.captions(leaver, false)
      yield* Effect.sleep("3 seconds")
      const [lateFrom, leaverTo] = [machineMs(), leaver.received.length]
      // A reload is a new session that asks anew; the old one says nothing.
      reloader.client.drop()
      const reloaded = yield* scene.viewer("reloaded")
      yield* scene.captions(reloaded, true)
      yield* Effect.sleep("1 second")
      const reloadedFrom = machineMs()
      yield* talk(5)
      yield* Effect.sleep("3 seconds")
      yield* scene.service.setLanguage(Scene.ROOM, "fr")
      const frenchFrom = vera.received.length
      yield* Effect.sleep("500 millis")
      yield* talk(3)
      const all = () => saidSince(ledger, started)
      const verdicts = [
        yield* settle(ledger, vera, all, 15_000),
        yield* settle(ledger, vic, all),
        yield* settle(ledger, late, () => saidSince(ledger, lateFrom)),
        yield* settle(ledger, reloaded, () => saidSince(ledger, reloadedFrom))
      ]
      const french = vera.received.slice(frenchFrom)
      return {
        verdicts,
        faults: [
          ...(leaver.received.length > leaverTo ? ["captions went on to somebody who had switched them off"] : []),
          ...(french.some(({ langId }) => langId !== "fr") ? ["a caption in the old language after the change"] : []),
          ...(vera.overlay.abandoned() > 0
            ? [`${vera.overlay.abandoned()} blocks were left open for another speaker`]
            : []),
          ...(vera.overlay.dropped() > 0
            ? [`${vera.overlay.dropped()} captions for people the page does not show`]
            : [])
        ],
        figures: { "blocks/page": vera.overlay.blocks.length }
      }
    })
}

/** Two speakers in turn, two readers: what must work on every HPB. */
const core = (name: string, about: string, generation: Generation, options: Scene.SceneOptions = {}): Scenario => ({
  name,
  about,
  generation,
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, options)
      const { ledger } = scene.stack
      const vera = yield* scene.viewer("vera")
      const vic = yield* scene.viewer("vic")
      const ann = yield* scene.speaker("ann", 0)
      const bob = yield* scene.speaker("bob", 1)
      yield* scene.captions(vera, true)
      yield* Effect.sleep(SET_UP)
      const started = machineMs()
      for (const speaker of [ann, bob, ann]) {
        yield* speaker.say(6)
        yield* Effect.sleep("1200 millis")
      }
      // In the middle of a sentence somebody else asks.
      yield* scene.captions(vic, true)
      yield* Effect.sleep("1 second")
      const vicFrom = machineMs()
      yield* Effect.all([ann.say(6), Effect.delay(bob.say(6), "400 millis")], { concurrency: 2 })
      const verdicts = [
        yield* settle(ledger, vera, () => saidSince(ledger, started)),
        yield* settle(ledger, vic, () => saidSince(ledger, vicFrom))
      ]
      const told = yield* scene.engine.told
      const took = delays(vera, saidSince(ledger, started).slice(0, 18), told).map(({ ms }) => ms)
      return { verdicts, figures: { "p50 ms": percentile(took, 0.5), "p99 ms": percentile(took, 0.99) } }
    })
})

/** Credentials that expire while the call goes on: who is heard stays heard, who comes later needs fresh ones. */
const turn: Scenario = {
  name: "turn",
  about: "coturn is the only way to Janus; credentials expire in mid-call",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const turnSeconds = 12
      const scene = yield* Scene.make(corner, { turnSeconds })
      const { ledger, nextcloud } = scene.stack
      const direct = yield* Effect.result(Processes.run("ip", ["-n", corner.bench.far, "route", "get", MEDIA_IP]))
      if (direct._tag === "Success") return yield* failure("there is a way to Janus past coturn")
      const vera = yield* scene.viewer("vera")
      const ann = yield* scene.speaker("ann", 0)
      yield* scene.captions(vera, true)
      const asked = Date.now()
      yield* Effect.sleep("3 seconds")
      const started = machineMs()
      yield* ann.say(6)
      yield* Effect.sleep(turnSeconds * 1000 + 1000 - (Date.now() - asked))
      yield* ann.say(4)
      const bob = yield* scene.speaker("bob", 1)
      yield* until(
        "bob's peer connection",
        () => (scene.stack.turn?.log().match(/ALLOCATE processed, success/g)?.length ?? 0) >= 2
      )
      yield* Effect.sleep("2 seconds")
      yield* bob.say(6)
      yield* ann.say(4)
      const verdict = yield* settle(ledger, vera, () => saidSince(ledger, started))
      const settings = nextcloud.asked.filter(({ what }) => what.endsWith("/signaling/settings")).length
      return { verdicts: [verdict], figures: { "settings asked": settings } }
    })
}

/** Longer than TURN's permissions (5 min), channels and allocations (10 min) live without being renewed. */
const longTurn: Scenario = {
  name: "turn-11-minutes",
  about: "the same peer connection through coturn for eleven minutes, with credentials that expire in the first",
  generation: "2",
  when: "all",
  seconds: 780,
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, { turnSeconds: 30 })
      const { ledger } = scene.stack
      const vera = yield* scene.viewer("vera")
      const ann = yield* scene.speaker("ann", 0)
      yield* scene.captions(vera, true)
      yield* Effect.sleep("3 seconds")
      const started = machineMs()
      yield* Effect.repeat(Effect.andThen(ann.say(6), Effect.sleep("30 seconds")), { times: 20 })
      return { verdicts: [yield* settle(ledger, vera, () => saidSince(ledger, started))] }
    })
}

/** A bridge publishes for its caller, who is a participant without media: words go under the caller's name. */
const phone: Scenario = {
  name: "phone",
  about: "somebody calls by phone, through a SIP bridge",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner)
      const { ledger } = scene.stack
      const vera = yield* scene.viewer("vera")
      const phil = yield* scene.caller("phil", 0)
      const ann = yield* scene.speaker("ann", 1)
      yield* scene.captions(vera, true)
      yield* Effect.sleep(SET_UP)
      for (const speaker of [phil, ann, phil]) {
        yield* speaker.say(5)
        yield* Effect.sleep("1200 millis")
      }
      return { verdicts: [yield* settle(ledger, vera, () => ledger.said)] }
    })
}

export const scenarios: ReadonlyArray<Scenario> = [
  chromium,
  crossTalk,
  turn,
  longTurn,
  phone,
  core("core-1.2", "the core on an HPB that refuses captions without a room type", "1.2"),
  core("rough-network", "the core with packets late by up to 70 ms and out of order", "2", { rough: true }),
  core("core-0.4-screen", "the core on Debian's own HPB, with the audio of shared screens", "0.4", {
    roomType: "screen",
    env: { LT_SCREEN_AUDIO: "true" }
  }),
  core("https-told", "the HPB knows Nextcloud by https, the service by http; AppAPI says the address", "2", {
    https: "told"
  }),
  core("https-guessed", "the same, and AppAPI does not say it", "2", { https: "guessed" })
]
