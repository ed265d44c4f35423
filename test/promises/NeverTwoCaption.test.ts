/**
 * Two machines share a call through PostgreSQL, and somebody speaks in it all the time, while a machine stands still, the network between them or to the
 * database carries nothing, the database ends or hangs: never do two caption, no word is read twice, and captions go on.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MachinesScene from "../support/MachinesScene.ts"
import { postgres } from "../support/Postgres.ts"
import * as SharedCalls from "../support/SharedCalls.ts"
import * as Standstill from "../support/Standstill.ts"

/** ms; real processes, real speech. */
const patience = 600_000
const room = "room"
/** Words come 1.5 s after they began at most, each sentence is followed by a pause; the machine is shared with other tests. */
const NO_SILENCE_MS = 5_000
/** Between two who cannot speak to each other. */
const SEAM_MS = 5_000

const sceneWithTalk = Effect.gen(function* () {
  const server = yield* postgres
  const scene = yield* MachinesScene.make(server)
  const talking = yield* scene.talking(room)
  // One that has just begun may be given to the one with less to do.
  yield* Effect.sleep("4 seconds")
  yield* SharedCalls.within(
    60,
    Effect.sync(() => scene.talk.servicesIn(room) === 1)
  )
  const [owner, other] = yield* scene.ownerOf(room)
  return { server, scene, talking, owner, other }
})

const neverTwo = ({ isInOrder, senders, twice }: MachinesScene.Account) => {
  assert.deepStrictEqual(twice, [])
  assert.isTrue(isInOrder)
  assert.strictEqual(new Set(senders).size, senders.length)
}

describe.concurrent("of two machines one captions", () => {
  it.live(
    "when the one that does stands still until it was replaced",
    () =>
      Effect.gen(function* () {
        const { other, owner, scene, talking } = yield* sceneWithTalk
        const [joined, frozenMs] = [other.joined(), Date.now()]
        owner.service.child.kill("SIGSTOP")
        yield* SharedCalls.within(
          60,
          Effect.sync(() => other.joined() > joined)
        )
        yield* Effect.sleep("2 seconds")
        const awakeMs = Date.now()
        owner.service.child.kill("SIGCONT")
        yield* SharedCalls.within(
          60,
          Effect.sync(() => scene.talk.servicesIn(room) === 1)
        )
        yield* Effect.sleep("2 seconds")
        const account = yield* talking.stop
        neverTwo(account)
        // What was said while nobody was there.
        assert.isTrue(account.lost.every((atMs) => atMs > frozenMs - 5_000 && atMs < awakeMs))
        assert.isBelow(MachinesScene.silenceMs(account, awakeMs - 2_000, awakeMs + 2_000), NO_SILENCE_MS)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "when they do not reach each other",
    () =>
      Effect.gen(function* () {
        const { scene, talking } = yield* sceneWithTalk
        const partedMs = Date.now()
        scene.part(true)
        yield* Effect.sleep("9 seconds")
        scene.part(false)
        const againMs = Date.now()
        yield* Effect.sleep("3 seconds")
        const account = yield* talking.stop
        neverTwo(account)
        // One may take the call of the other, which cannot tell it what it has just heard: once, and no more than that.
        const [firstLost = 0] = account.lost
        assert.isBelow((account.lost.at(-1) ?? 0) - firstLost, SEAM_MS, `lost at ${account.lost.join(", ")}`)
        assert.isBelow(MachinesScene.silenceMs(account, partedMs, againMs + 3_000), NO_SILENCE_MS)
      }).pipe(Standstill.played),
    patience
  )

  it.live(
    "when its way to the database carries nothing, and when the database ends, and when it hangs",
    () =>
      Effect.gen(function* () {
        const { owner, server, talking } = yield* sceneWithTalk
        const fromMs = Date.now()
        owner.database.hold("all")
        yield* Effect.sleep("5 seconds")
        owner.database.hold("nothing")
        yield* Effect.sleep("1 second")
        owner.database.hold("old")
        yield* Effect.sleep("4 seconds")
        owner.database.hold("nothing")
        yield* server.stop
        yield* Effect.sleep("3 seconds")
        yield* server.start
        yield* Effect.sleep("1 second")
        yield* server.freeze
        yield* Effect.sleep("5 seconds")
        yield* server.thaw
        yield* Effect.sleep("2 seconds")
        const toMs = Date.now()
        const account = yield* talking.stop
        neverTwo(account)
        const lost = account.lost.filter((atMs) => atMs > fromMs)
        assert.deepStrictEqual(lost, [], `lost after ${lost.map((atMs) => atMs - fromMs).join(", ")} ms`)
        assert.isBelow(MachinesScene.silenceMs(account, fromMs, toMs), NO_SILENCE_MS)
      }).pipe(Standstill.played),
    patience
  )
})
