/**
 * Things that break: afterwards captions come again without anybody asking.
 */
import { Effect } from "effect"
import * as ChromiumPages from "./ChromiumPages.ts"
import { captionsAgain, drill, rejoined } from "./Drill.ts"
import { machineMs } from "./HpbClient.ts"
import { judge } from "./Judge.ts"
import { failure, until } from "./ProofError.ts"
import { engineSessions, saidSince, settle, shownTo } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import * as SpeakerProcess from "./SpeakerProcess.ts"
import { wordsOf } from "./Viewer.ts"
import { TALKING } from "./WeriftSpeaker.ts"

const resume = drill(
  { name: "socket-killed", about: "the websocket is cut three times while people speak; it resumes" },
  (drilled) =>
    Effect.gen(function* () {
      const { ann, scene, vera } = drilled
      const { door, ledger } = scene.stack
      const from = machineMs()
      const cuts = Effect.repeat(Effect.delay(Effect.sync(door.cut), "2300 millis"), { times: 2 })
      yield* Effect.all([ann.say(22), cuts], { concurrency: 2 })
      return { verdicts: [yield* settle(ledger, vera, () => saidSince(ledger, from), 10_000)] }
    })
)

const longDrop = drill(
  { name: "socket-away-35s", about: "the HPB is out of reach until the session has expired", when: "all" },
  (drilled) =>
    Effect.gen(function* () {
      const { door } = drilled.scene.stack
      door.refuse(true)
      door.cut()
      yield* Effect.sleep("35 seconds")
      door.refuse(false)
      return yield* captionsAgain(drilled)
    })
)

const hpbRestart = drill(
  { name: "hpb-restarted", about: "the HPB is restarted; browsers come back with new sessions" },
  (drilled) =>
    Effect.gen(function* () {
      const { ann, scene, vera } = drilled
      yield* scene.stack.hpb.stop()
      yield* Effect.sleep("3 seconds")
      scene.stack.nextcloud.forget()
      yield* scene.stack.hpb.start
      yield* vera.comeBack
      const joined = yield* rejoined(drilled)
      yield* ann.comeBack
      const { figures, ...again } = yield* captionsAgain(drilled)
      return { ...again, figures: { "rejoined after s": joined, ...figures } }
    })
)

const janusRestart = drill(
  { name: "janus-restarted", about: "Janus is killed and started; browsers publish anew" },
  (drilled) =>
    Effect.gen(function* () {
      const { ann, scene } = drilled
      yield* scene.stack.janus.stop("SIGKILL")
      yield* scene.stack.janus.start
      yield* Effect.sleep("3 seconds")
      yield* ann.leaveCall
      yield* Effect.sleep("300 millis")
      yield* ann.enterCall
      yield* ann.publish.pipe(Effect.retry({ times: 5 }))
      return yield* captionsAgain(drilled)
    })
)

const crash = drill({ name: "speaker-crashed", about: "a speaker's process is killed without a word" }, (drilled) =>
  Effect.gen(function* () {
    const { ann, scene, vera } = drilled
    const { ledger } = scene.stack
    const dan = yield* SpeakerProcess.make(scene, "dan", 3)
    yield* until("dan to be read", () => vera.received.some(({ speaker }) => speaker === dan.session()), 20_000)
    yield* Effect.sleep("2 seconds")
    yield* dan.process.end("SIGKILL")
    const from = machineMs()
    yield* ann.say(6)
    const verdict = yield* settle(ledger, vera, () => saidSince(ledger, from, "ann"))
    // The HPB tells that dan is gone after 30 s.
    yield* until("dan to leave", () => !vera.client.people.has(dan.session()), 40_000)
    yield* engineSessions(scene, 1, 65_000)
    const open =
      shownTo(vera).blocks.length === 0 || vera.overlay.blocks.some(({ chunks }) => chunks.at(-1)?.final === false)
    return { verdicts: [verdict], faults: open ? ["a block was never finished"] : [] }
  })
)

/** Chromium closes its connection and publishes a new one; no message tells anybody. */
const republished: Scenario = {
  name: "microphone-republished",
  about: "Chromium publishes its microphone anew and nobody is told",
  generation: "2",
  when: "always",
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner)
      const { ledger } = scene.stack
      const voice = ChromiumPages.speech(ledger, { name: "Ada", number: 0, count: 132, leadMs: 3000 })
      const browser = yield* ChromiumPages.make(scene, voice.wav)
      const reader = yield* browser.page("Ben", 1)
      const speaker = yield* browser.page("Ada", TALKING)
      yield* scene.captions(reader, true)
      yield* speaker.publish
      const read = Effect.map(reader.shown, ({ blocks }) => blocks.flatMap(({ text }) => wordsOf(text)))
      const moreThan = (count: number, millis: number) =>
        read.pipe(
          Effect.delay("250 millis"),
          Effect.repeat({ until: (words) => words.length > count }),
          Effect.timeout(millis),
          Effect.mapError(() => failure(`no more than ${count} words within ${millis} ms`))
        )
      yield* moreThan(12, 20_000)
      yield* speaker.publish
      const published = performance.now()
      // What was on its way when the old connection closed is still read.
      yield* Effect.sleep("1500 millis")
      const before = (yield* read).length
      yield* moreThan(before, 30_000)
      const again = (performance.now() - published) / 1000
      const heardAgain = (yield* read)[before] ?? ""
      const first = ledger.said.findIndex(({ word }) => word === heardAgain)
      yield* moreThan(before + 18, 30_000)
      const words = yield* read
      const last = ledger.said.findIndex(({ word }) => word === words.at(-1))
      const verdict = judge(yield* reader.shown, ledger, ledger.said.slice(first, last + 1))
      return { verdicts: [verdict], figures: { "again after s": again } }
    })
}

export const breakages: ReadonlyArray<Scenario> = [resume, hpbRestart, janusRestart, republished, crash, longDrop]
