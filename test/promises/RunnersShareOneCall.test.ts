/**
 * Promise: a call with too many voices for one process is heard by several and captioned by one of them; a process that is killed costs those
 * whom it heard a moment, and nobody else a word; one that is told to end costs nobody a word.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { PROCESS, program, VOICES } from "../support/FewVoicesOfPart.ts"
import * as SaidAndRead from "../support/SaidAndRead.ts"
import * as SharedCalls from "../support/SharedCalls.ts"
import * as Standstill from "../support/Standstill.ts"

/** ms; real processes, real speech. */
const PATIENCE = 600_000

/** A part that ends has three seconds; whoever needs them all was not relieved in time. */
const IN_TIME_MS = 2_800

const room = "room0"
describe("processes that share one call", () => {
  it.live(
    "are read as one, and go on when one of them is killed",
    () =>
      Effect.gen(function* () {
        const { ask, folder, seats, service, status, talk, want } = yield* SharedCalls.make(
          { LT_RUNNERS: "3" },
          program
        )
        const areReady = (count: number) =>
          SharedCalls.within(
            60,
            Effect.sync(() => service.output().split("a runner takes its share").length >= count)
          )
        yield* areReady(3)
        const { allHeard, comes, everybody, isRead, readOf, say, sayAll, senders } = yield* SaidAndRead.make({
          ...{ talk, room },
          heard: Effect.map(status, ({ calls }) => (calls.length === 1 ? (calls[0]?.speakers ?? 0) : 0))
        })
        const pidOf = (incarnation: string) => Number(readFileSync(join(folder, PROCESS + incarnation), "utf8"))
        /** When parts have ended in order, in ms since 1970. */
        const endings = () =>
          [...service.output().matchAll(/"the part of the call has ended".*?"timestamp":"([^"]+)"/g)].map(([, at]) =>
            Date.parse(at ?? "")
          )

        yield* want(room)
        yield* comes(["Ada", "Alan"])
        assert.strictEqual(talk.servicesIn(room), 1)
        yield* comes(["Bert", "Bo"])
        assert.strictEqual(everybody.length, 2 * VOICES)
        assert.strictEqual(talk.servicesIn(room), 2)
        yield* sayAll
        assert.strictEqual(senders().length, 1)
        const metrics = yield* ask("/metrics")
        assert.match(metrics, /^transcription_speakers_active(\{[^}]*\})? 4$/m)

        // One that hears.
        const asked = () => service.output().split('"another":"').length
        /** Another one was asked to hear. */
        const untilAsked = (times: number) =>
          SharedCalls.within(
            60,
            Effect.sync(() => asked() > times)
          )
        const before = asked()
        const part = /"another":"([^"]+)"/.exec(service.output())?.[1] ?? ""
        process.kill(pidOf(part), "SIGKILL")
        yield* untilAsked(before)
        yield* allHeard
        yield* sayAll
        assert.strictEqual(senders().length, 1)

        // Whoever is to hear next is there, and known.
        yield* areReady(4)
        yield* Effect.sleep("2 seconds")
        // One that hears is told to end while it is heard: it goes on until somebody else hears.
        const helper =
          service
            .output()
            .match(/(?<="another":")[^"]+/g)
            ?.at(-1) ?? ""
        const bo = everybody[3]
        assert(bo !== undefined)
        const counting = say(bo, 14)
        const told = [...counting.words]
        const saying = yield* Effect.forkChild(counting.speaking)
        yield* Effect.sleep("1500 millis")
        const toldMs = Date.now()
        process.kill(pidOf(helper), "SIGTERM")
        yield* Fiber.join(saying)
        // He goes on until he is heard again, and more of him than not.
        const unread = () => told.flatMap((word, n) => (readOf(bo, told).includes(word) ? [] : [n]))
        const isHeard = Effect.sync(() => unread().length <= told.length / 2 && !unread().includes(told.length - 1))
        yield* Effect.gen(function* () {
          if (Option.isSome(yield* Effect.timeoutOption(SharedCalls.within(60, isHeard), "3 seconds"))) return true
          const more = say(bo, 4)
          told.push(...more.words)
          yield* more.speaking
          return false
        }).pipe(Effect.repeat({ until: (is) => is }))
        const read = readOf(bo, told)
        assert.deepStrictEqual(
          read,
          told.filter((word) => read.includes(word))
        )
        // Not a word is missed if there was time to hand over; one gap otherwise.
        const missed = unread()
        const tookMs = Math.max(...endings()) - toldMs
        if (tookMs > 0 && tookMs < IN_TIME_MS) assert.deepStrictEqual(missed, [], `handed over within ${tookMs} ms`)
        assert.isTrue(missed.every((at, n) => at === (missed[0] ?? 0) + n))
        yield* allHeard
        assert.strictEqual(senders().length, 1)

        // The one that captions, in the middle of what one says whom another hears.
        const [lead] = yield* seats
        const bert = everybody[2]
        assert(lead !== undefined && bert !== undefined)
        const { speaking, words } = say(bert, 14)
        const telling = yield* Effect.forkChild(speaking)
        yield* Effect.sleep("1500 millis")
        process.kill(pidOf(lead.incarnation), "SIGKILL")
        yield* Fiber.join(telling)
        yield* isRead(bert, words)
        yield* allHeard
        yield* sayAll
        assert.strictEqual(senders().length, 2)
      }).pipe(Standstill.played),
    PATIENCE
  )
})
