/**
 * Calls that end, and viewers who go: we are gone too, leave nothing behind, and come back when we are needed.
 */
import { Effect } from "effect"
import { captionsAgain, drill } from "./Drill.ts"
import { machineMs } from "./HpbClient.ts"
import { until } from "./ProofError.ts"
import { engineSessions, isGone, saidSince, settle } from "./Reading.ts"
import type { Scenario } from "./Scenario.ts"
import { ROOM } from "./Scene.ts"

const callEnded = drill({ name: "call-ended", about: "a moderator ends the call for everybody" }, ({ scene, vera }) =>
  Effect.gen(function* () {
    yield* scene.stack.nextcloud.endCall(ROOM)
    const started = performance.now()
    const faults = yield* isGone(scene, vera, 20_000)
    return { faults, figures: { "gone after s": (performance.now() - started) / 1000 } }
  })
)

const roomDeleted = drill({ name: "room-deleted", about: "the conversation is deleted" }, ({ scene }) =>
  Effect.gen(function* () {
    yield* scene.stack.nextcloud.deleteRoom(ROOM)
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

export const endings: ReadonlyArray<Scenario> = [
  callEnded,
  roomDeleted,
  emptyCall,
  viewerAway,
  lastViewer("last-viewer", "always", 3),
  stopped,
  lastViewer("last-viewer-60s", "all", 60)
]
