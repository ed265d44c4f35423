import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { Grant } from "../../src/http/Grant.ts"
import * as Quotas from "../../src/http/Quotas.ts"
import { recorder } from "../support/AccessScene.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"

const alice: Grant = { subject: "alice", isAdmin: false, concurrentStreams: 2, minutesPerDay: 10 }
const bob: Grant = { subject: "bob", isAdmin: false, concurrentStreams: 20 }

/** A process that can be ended: `end` as by SIGTERM. */
const begin = Effect.fnUntraced(function* (storage: string, maxStreams = 200) {
  const { layer: log, lines } = recorder()
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const built = yield* Layer.buildWithScope(Quotas.layer({ maxStreams, storage }), scope).pipe(Effect.provide(log))
  return { ...Context.get(built, Quotas.Quotas), lines, end: Scope.close(scope, Exit.void) }
})

const denialOf = <A, R>(asked: Effect.Effect<A, Quotas.QuotaRefusal, R>) =>
  Effect.map(Effect.flip(asked), ({ denial }) => denial)

/** What is on the disk, as an admin would see it. */
const stored = (storage: string): unknown => JSON.parse(readFileSync(join(storage, "quotas.json"), "utf8"))

/** Disks take real time, whatever the clock says: lets it go on, five seconds a look, until it is so. */
const until = (isSo: () => boolean) =>
  Effect.repeat(
    TestClock.adjust("5 seconds").pipe(Effect.andThen(TestClock.withLive(Effect.sleep("5 millis"))), Effect.map(isSo)),
    { until: (so) => so }
  )

const written = (storage: string, text: string) =>
  until(() => {
    const path = join(storage, "quotas.json")
    return existsSync(path) && readFileSync(path, "utf8").includes(text)
  })

describe("streams at a time", () => {
  it.effect("are as many as the credential says, until one of them ends", () =>
    Effect.gen(function* () {
      const { reserve, usage } = yield* begin(yield* temporaryFolder)
      const first = yield* Scope.make()
      yield* Scope.provide(reserve(alice), first)
      yield* reserve(alice)
      assert.strictEqual(yield* denialOf(reserve(alice)), "ConcurrentStreams")
      assert.deepInclude(yield* usage(alice), { activeStreams: 2 })
      yield* reserve(bob)
      yield* Scope.close(first, Exit.void)
      yield* reserve(alice)
      assert.strictEqual((yield* usage(alice)).refusal?.denial, "ConcurrentStreams")
      assert.isUndefined((yield* usage(bob)).refusal)
    })
  )

  it.effect("are as many over all as the service takes", () =>
    Effect.gen(function* () {
      const { reserve, usage } = yield* begin(yield* temporaryFolder, 2)
      yield* reserve(alice)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* reserve(bob)
          assert.strictEqual(yield* denialOf(reserve(alice)), "TooManyStreams")
          assert.strictEqual((yield* usage(bob)).refusal?.denial, "TooManyStreams")
        })
      )
      yield* reserve(bob)
    })
  )

  it.effect("asked for all at once are never more than allowed, and all given back", () =>
    Effect.gen(function* () {
      const { reserve, usage } = yield* begin(yield* temporaryFolder, 100)
      const many = { ...bob, concurrentStreams: 70 }
      const scope = yield* Scope.make()
      const asked = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, index) => (index % 2 === 0 ? many : alice)),
        (grant) => Effect.exit(Effect.andThen(Effect.yieldNow, Scope.provide(reserve(grant), scope))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(asked.filter(Exit.isSuccess).length, 72)
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* usage(many), { activeStreams: 0 })
      assert.deepInclude(yield* usage(alice), { activeStreams: 0 })
    })
  )
})

describe("minutes of a day", () => {
  it.effect("are counted over all streams of a subject; then streams end and none begins", () =>
    Effect.gen(function* () {
      const { reserve, usage } = yield* begin(yield* temporaryFolder)
      const one = yield* reserve(alice)
      const other = yield* reserve(alice)
      assert.isTrue(one.spend(299.5))
      assert.isTrue(other.spend(300))
      for (const nonsense of [0, -1000, Number.NaN, Number.POSITIVE_INFINITY]) assert.isTrue(one.spend(nonsense))
      assert.isFalse(one.spend(0.5))
      assert.isFalse(other.spend(0))
      assert.strictEqual((yield* usage(alice)).spentSeconds, 600)
      const third = { ...alice, concurrentStreams: 3 }
      assert.strictEqual(yield* denialOf(reserve(third)), "DailyMinutes")
      assert.strictEqual((yield* usage(third)).refusal?.denial, "DailyMinutes")
      assert.isTrue((yield* reserve(bob)).spend(1e6))
    })
  )

  it.effect("begin anew at midnight UTC, also for streams that go on", () =>
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      const { reserve, usage } = yield* begin(storage)
      yield* TestClock.adjust("23 hours")
      const lease = yield* reserve(alice)
      assert.isFalse(lease.spend(600))
      yield* TestClock.adjust("59 minutes")
      assert.isFalse(lease.spend(0))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* usage(alice)).spentSeconds, 0)
      assert.isTrue(lease.spend(1))
      yield* written(storage, "1970-01-02")
      assert.deepStrictEqual(stored(storage), { day: "1970-01-02", spent: [{ subject: "alice", seconds: 1 }] })
    })
  )

  it.effect("outlive the process, and those of yesterday do not", () =>
    Effect.gen(function* () {
      const storage = yield* temporaryFolder
      const first = yield* begin(storage)
      const odd = { ...bob, subject: "__proto__" }
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isFalse((yield* first.reserve(alice)).spend(600))
          ;(yield* first.reserve(odd)).spend(7)
        })
      )
      yield* first.end
      const second = yield* begin(storage)
      assert.strictEqual(yield* denialOf(second.reserve(alice)), "DailyMinutes")
      assert.strictEqual((yield* second.usage(odd)).spentSeconds, 7)
      yield* second.end
      yield* TestClock.adjust("1 day")
      const third = yield* begin(storage)
      assert.strictEqual((yield* third.usage(alice)).spentSeconds, 0)
      yield* third.reserve(alice)
      assert.deepStrictEqual([first.lines, second.lines, third.lines], [[], [], []])
    })
  )

  it.effect("are written while a process runs, so that one that is killed forgets seconds", () =>
    Effect.gen(function* () {
      const storage = join(yield* temporaryFolder, "made", "here")
      const first = yield* begin(storage)
      const lease = yield* first.reserve(alice)
      lease.spend(600)
      assert.isFalse(existsSync(join(storage, "quotas.json")))
      yield* written(storage, "alice")
      assert.strictEqual(statSync(join(storage, "quotas.json")).mode & 0o777, 0o600)
      assert.strictEqual(statSync(storage).mode & 0o777, 0o700)
      const afterKill = yield* begin(storage)
      assert.strictEqual(yield* denialOf(afterKill.reserve(alice)), "DailyMinutes")
    })
  )
})

describe("more subjects in a day than are remembered", () => {
  it.effect("stream without a limit of minutes; the others keep theirs", () =>
    Effect.gen(function* () {
      const { reserve, usage } = yield* begin(yield* temporaryFolder)
      const spend = (subject: string, seconds: number) =>
        Effect.scoped(Effect.map(reserve({ ...alice, subject }), (lease) => lease.spend(seconds)))
      yield* Effect.forEach(Array.from({ length: 20_000 }), (_, index) => spend(`subject ${index}`, 599))
      assert.isTrue(yield* spend("one more", 1e6))
      assert.strictEqual((yield* usage({ ...alice, subject: "one more" })).spentSeconds, 0)
      assert.isFalse(yield* spend("subject 0", 1))
    })
  )
})

describe("a disk that fails", () => {
  it.effect("counts from zero what nobody can read, says so once, and stops nobody", () =>
    Effect.gen(function* () {
      for (const broken of [
        "",
        "{",
        '{"day":"today","spent":[]}',
        '{"day":"1970-01-01","spent":[{"subject":"alice","seconds":-600}]}',
        '{"day":"1970-01-01","spent":{"alice":600}}'
      ]) {
        const storage = yield* temporaryFolder
        writeFileSync(join(storage, "quotas.json"), broken)
        const { end, lines, reserve } = yield* begin(storage)
        yield* Effect.scoped(Effect.map(reserve(alice), ({ spend }) => assert.isTrue(spend(60))))
        assert.strictEqual(lines.length, 1, broken)
        assert.include(lines[0], "count from zero")
        yield* end
        assert.deepStrictEqual(stored(storage), { day: "1970-01-01", spent: [{ subject: "alice", seconds: 60 }] })
      }
    })
  )

  it.effect("keeps counting in memory what cannot be written, and writes it when it can be", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const storage = join(folder, "storage")
      writeFileSync(storage, "a file where the folder should be")
      const { lines, reserve } = yield* begin(storage)
      const lease = yield* reserve(alice)
      lease.spend(300)
      yield* until(() => lines.some((line) => line.includes("cannot be written down")))
      const before = lines.length
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(lease.spend(299))
      assert.isFalse(lease.spend(1))
      rmSync(storage)
      yield* written(storage, "600")
      assert.strictEqual(lines.length, before)
    })
  )
})
