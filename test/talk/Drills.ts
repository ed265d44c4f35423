/**
 * Things that break, and calls that end: afterwards captions come again without anybody asking, or we are gone and leave nothing behind.
 */
import { Effect, type Scope } from "effect"
import * as ChromiumPages from "./ChromiumPages.ts"
import { machineMs } from "./HpbClient.ts"
import { judge } from "./Judge.ts"
import { failure, type ProofError, until } from "./ProofError.ts"
import { engineSessions, isGone, readsAgain, saidSince, settle, shownTo } from "./Reading.ts"
import type { Outcome } from "./Report.ts"
import type { Scenario } from "./Scenario.ts"
import * as Scene from "./Scene.ts"
import * as SpeakerProcess from "./SpeakerProcess.ts"
import { type Viewer, wordsOf } from "./Viewer.ts"
import { type Speaker, TALKING } from "./WeriftSpeaker.ts"

interface Drilled {
  readonly scene: Scene.Scene
  readonly vera: Viewer
  readonly ann: Speaker
}

/** One speaker whom one viewer reads; `happens` is what the drill is about. */
const drill = (
  about: Omit<Scenario, "generation" | "when" | "run"> & Partial<Pick<Scenario, "when">>,
  happens: (drilled: Drilled) => Effect.Effect<Outcome, ProofError, Scope.Scope>,
  options: Scene.SceneOptions = {}
): Scenario => ({
  generation: "2",
  when: "always",
  ...about,
  run: (corner) =>
    Effect.gen(function* () {
      const scene = yield* Scene.make(corner, options)
      const vera = yield* scene.viewer("vera")
      const ann = yield* scene.speaker("ann", 0)
      yield* scene.captions(vera, true)
      yield* Effect.sleep("2 seconds")
      const started = machineMs()
      yield* ann.say(4)
      const before = yield* settle(scene.stack.ledger, vera, () => saidSince(scene.stack.ledger, started))
      if (before.lost.length > 0) return { verdicts: [before], faults: ["no captions even before the drill"] }
      // Whoever is to be gone must have been there.
      if (vera.bots().length !== 1 || scene.stack.door.open() === 0) return { faults: ["the bot is not in the room"] }
      return yield* happens({ scene, vera, ann })
    })
})

/** Says a few words until one is read (those on the way are lost rightly), then words that must all be read. */
const captionsAgain = ({ ann, scene, vera }: Drilled, millis = 40_000) =>
  Effect.gen(function* () {
    const { ledger } = scene.stack
    const chatter = Effect.andThen(ann.say(2), Effect.sleep("500 millis"))
    const again = yield* readsAgain(vera, "ann", millis).pipe(
      Effect.raceFirst(Effect.andThen(Effect.repeat(chatter, { times: 60 }), Effect.never))
    )
    yield* until("ann to finish", () => ann.quiet(), 5000)
    yield* Effect.sleep("1 second")
    const from = machineMs()
    yield* ann.say(6)
    const verdict = yield* settle(ledger, vera, () => saidSince(ledger, from))
    return { verdicts: [verdict], figures: { "again after s": again / 1000 } }
  })

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
      yield* ann.comeBack
      return yield* captionsAgain(drilled)
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

const callEnded = drill({ name: "call-ended", about: "a moderator ends the call for everybody" }, ({ scene, vera }) =>
  Effect.gen(function* () {
    yield* scene.stack.nextcloud.endCall(Scene.ROOM)
    const started = performance.now()
    const faults = yield* isGone(scene, vera, 20_000)
    return { faults, figures: { "gone after s": (performance.now() - started) / 1000 } }
  })
)

const roomDeleted = drill({ name: "room-deleted", about: "the conversation is deleted" }, ({ scene }) =>
  Effect.gen(function* () {
    yield* scene.stack.nextcloud.deleteRoom(Scene.ROOM)
    const started = performance.now()
    const faults = yield* isGone(scene, undefined, 20_000)
    return { faults, figures: { "gone after s": (performance.now() - started) / 1000 } }
  })
)

/** Hearing stops at once; the place in the room is kept for the grace period; asking within it needs no new join. */
const lastViewer = (name: string, when: Scenario["when"], graceSeconds: number): Scenario =>
  drill(
    {
      name,
      about: `the last viewer switches off, on again, and off for ${graceSeconds} s`,
      when,
      seconds: 90 + graceSeconds * 2
    },
    (drilled) =>
      Effect.gen(function* () {
        const { ann, scene, vera } = drilled
        yield* scene.captions(vera, false)
        const off = performance.now()
        yield* engineSessions(scene, 0, 5000)
        const deaf = performance.now() - off
        const words = vera.received.length
        yield* ann.say(3)
        yield* Effect.sleep("1 second")
        const faults = [
          ...(vera.received.length > words ? ["captions went on after the last viewer had left"] : []),
          ...(scene.service.descriptors().udp > 0 ? ["peer connections stay open without a viewer"] : []),
          ...(vera.bots().length === 1 ? [] : ["the place in the room was given up at once"])
        ]
        yield* scene.captions(vera, true)
        const again = yield* captionsAgain(drilled)
        yield* scene.captions(vera, false)
        const started = performance.now()
        const left = yield* isGone(scene, vera, graceSeconds * 1000 + 10_000)
        const gone = (performance.now() - started) / 1000
        return {
          ...again,
          faults: [...faults, ...left],
          figures: { ...again.figures, "deaf after s": deaf / 1000, "gone after s": gone }
        }
      }),
    { env: { LT_GRACE_SECONDS: String(graceSeconds) } }
  )

/** Everybody hangs up: nobody tells us but the list of participants. */
const emptyCall = drill({ name: "everybody-left", about: "everybody leaves the call" }, ({ ann, scene, vera }) =>
  Effect.gen(function* () {
    yield* ann.leaveCall
    yield* vera.leaveCall
    const started = performance.now()
    const faults = yield* isGone(scene, vera, 25_000)
    return { faults, figures: { "gone after s": (performance.now() - started) / 1000 } }
  })
)

/** A viewer who hangs up without switching off, and calls again: the intent is remembered, so nobody has to ask. */
const viewerAway = drill({ name: "viewer-away", about: "the only viewer leaves the call and comes back" }, (drilled) =>
  Effect.gen(function* () {
    const { scene, vera } = drilled
    yield* vera.leaveCall
    yield* engineSessions(scene, 0, 5000)
    const faults = scene.service.descriptors().udp > 0 ? ["peer connections stay open without a viewer"] : []
    yield* vera.enterCall
    return { ...(yield* captionsAgain(drilled)), faults }
  })
)

/** Promise 6: what was said before the signal is read, and we go properly. */
const stopped = drill(
  { name: "service-stopped", about: "the service is told to end in mid-sentence" },
  ({ ann, scene, vera }) =>
    Effect.gen(function* () {
      const { ledger } = scene.stack
      const from = machineMs()
      yield* Effect.forkScoped(ann.say(10))
      yield* Effect.sleep("2200 millis")
      // What is on its way through the network when the signal comes may be lost.
      const heardUntil = machineMs() - 150
      scene.service.process.signal("SIGTERM")
      const started = performance.now()
      yield* until("the process to end", () => !scene.service.process.alive(), 30_000)
      const ended = (performance.now() - started) / 1000
      const expected = () => saidSince(ledger, from).filter(({ atMs = 0 }) => atMs < heardUntil)
      const verdict = yield* settle(ledger, vera, expected, 1000)
      const code = scene.service.process.exitCode()
      return {
        verdicts: [verdict],
        faults: [
          ...(code === 0 ? [] : [`the process ended with ${code}`]),
          ...(vera.bots().length === 0 ? [] : ["no goodbye: we are still in the room"]),
          ...(vera.received.at(-1)?.final === true ? [] : ["the last caption was not finished"])
        ],
        figures: { "ended after s": ended }
      }
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

export const drills: ReadonlyArray<Scenario> = [
  resume,
  hpbRestart,
  janusRestart,
  republished,
  crash,
  callEnded,
  roomDeleted,
  emptyCall,
  viewerAway,
  lastViewer("last-viewer", "always", 3),
  stopped,
  longDrop,
  lastViewer("last-viewer-60s", "all", 60)
]
