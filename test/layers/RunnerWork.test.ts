import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { RoomToken } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as RunnerWork from "../../src/layers/RunnerWork.ts"

/** Voices. */
const PER_CORE = 125

const callOf = (n: number, work: number) => ({ room: RoomToken.make(`room${n}`), work })

/** A process that uses this much of a core from now on. */
const processor = () => {
  const used = { ms: 0, cores: 0 }
  const run = (seconds: number) =>
    Effect.repeat(
      Effect.andThen(
        Effect.sync(() => {
          used.ms += used.cores * 1000
        }),
        TestClock.adjust("1 second")
      ),
      { times: seconds - 1 }
    )
  return { cpuMs: () => used.ms, run, use: (cores: number) => Effect.sync(() => Object.assign(used, { cores })) }
}

describe("RunnerWork.make", () => {
  it.effect("counts nothing of what a process uses while it starts", () =>
    Effect.gen(function* () {
      const { cpuMs, run, use } = processor()
      const busy = yield* RunnerWork.make(cpuMs)
      yield* use(2)
      yield* run(19)
      assert.strictEqual(busy(), 0)
      yield* use(0)
      yield* run(30)
      assert.isBelow(busy(), 1)
    })
  )

  it.effect("takes no instant between two looks for what a process uses", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let looks = 0
      // each look takes 0.05 ms, in which nothing else runs
      const lookMs = 0.05
      const monotonicTimeNanosUnsafe = () => clock.monotonicTimeNanosUnsafe() + BigInt(++looks * lookMs * 1e6)
      const busy = yield* RunnerWork.make(() => looks * lookMs).pipe(
        Effect.provideService(Clock.Clock, Object.assign(Object.create(clock), { monotonicTimeNanosUnsafe }))
      )
      for (let seconds = 0; seconds < 30; seconds++) {
        yield* TestClock.adjust("1 second")
        assert.isBelow(busy(), 0.1, `${seconds + 1} s`)
      }
    })
  )

  it.effect("is what the process uses, in voices, once that has lasted; a busy second is little of it", () =>
    Effect.gen(function* () {
      const { cpuMs, run, use } = processor()
      const busy = yield* RunnerWork.make(cpuMs)
      yield* use(0.4)
      yield* run(80)
      assert.closeTo(busy(), 0.4 * PER_CORE, 1)
      yield* use(1)
      yield* run(1)
      assert.isBelow(busy(), 0.5 * PER_CORE)
      yield* use(0)
      yield* run(60)
      assert.isBelow(busy(), 1)
    })
  )
})

describe("RunnerWork.workOf", () => {
  const status = { room: RoomToken.make("room"), viewers: 1 }
  it("is who speaks in a call, one where nobody does, and two until that is known", () => {
    const workOf = (state: "Connecting" | "Captioning", speakers: number) =>
      RunnerWork.workOf({ ...status, state, speakers, language: defaultLanguage }).work
    assert.deepStrictEqual(
      [workOf("Connecting", 0), workOf("Captioning", 0), workOf("Captioning", 1), workOf("Captioning", 7)],
      [2, 1, 1, 7]
    )
  })
})

describe("RunnerWork.shared", () => {
  it("is what is known of calls where the process uses less", () => {
    const calls = [callOf(1, 3), callOf(2, 1)]
    assert.deepStrictEqual(RunnerWork.shared(calls, [], 2), { work: 4, calls })
    assert.deepStrictEqual(RunnerWork.shared([], [], 0), { work: 0, calls: [] })
  })

  it("gives what is used beyond that to the calls, each as much as it is of them", () => {
    const { calls, work } = RunnerWork.shared([callOf(1, 3), callOf(2, 1)], [], 20)
    assert.strictEqual(work, 20)
    assert.deepStrictEqual(calls, [callOf(1, 15), callOf(2, 5)])
  })

  it("keeps apart what is heard for calls of others: it cannot move", () => {
    const { calls, work } = RunnerWork.shared([callOf(1, 2)], [callOf(2, 6)], 16)
    assert.strictEqual(work, 16)
    assert.deepStrictEqual(calls, [callOf(1, 4)])
  })

  it("leaves what is used without a call to nobody", () => {
    assert.deepStrictEqual(RunnerWork.shared([], [], 9), { work: 9, calls: [] })
  })
})
