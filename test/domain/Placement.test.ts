import { assert, describe, it } from "@effect/vitest"
import { RoomToken } from "../../src/domain/Call.ts"
import { balance, leastBusy, type RunnerWork, type SeatedCall, spread } from "../../src/domain/Placement.ts"
import { Incarnation } from "../../src/domain/Seat.ts"

const runnerOf = (n: number) => Incarnation.make(`r${n}`)
const roomOf = (n: number) => RoomToken.make(`room${n}`)

/** The same numbers each time: 0 to 1. */
const numbers = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const workOf = (calls: ReadonlyArray<SeatedCall>, runners: number): ReadonlyArray<RunnerWork> =>
  Array.from({ length: runners }, (_, n) => ({
    incarnation: runnerOf(n),
    work: calls.reduce((sum, { runner, work }) => sum + (runner === runnerOf(n) ? work : 0), 0)
  }))

const moved = (calls: ReadonlyArray<SeatedCall>, moves: ReturnType<typeof balance>): ReadonlyArray<SeatedCall> =>
  calls.map((call) => ({ ...call, runner: moves.find(({ room }) => room === call.room)?.to ?? call.runner }))

const ratioOf = (runners: ReadonlyArray<RunnerWork>): number => {
  const work = runners.map((runner) => runner.work)
  return Math.max(...work) / Math.min(...work)
}

/** Calls of one to `most` voices, wherever chance puts them. */
const scene = (seed: number, most: number) => {
  const next = numbers(seed)
  const runners = 2 + Math.floor(next() * 7)
  const calls = Array.from({ length: runners * (8 + Math.floor(next() * 8)) }, (_, n) => ({
    room: roomOf(n),
    work: 1 + Math.floor(next() * most),
    runner: runnerOf(Math.floor(next() ** 2 * runners))
  }))
  return { calls, runners }
}

describe("leastBusy", () => {
  it("is the first of those with the least to do, and nobody where there is nobody", () => {
    const runners = [3, 1, 1].map((work, n) => ({ incarnation: runnerOf(n), work }))
    assert.strictEqual(leastBusy(runners), "r1")
    assert.isUndefined(leastBusy([]))
  })
})

describe("spread", () => {
  it("leaves no runner with twice the work of another where calls are small", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { calls, runners } = scene(seed, 6)
      const where = spread(calls, workOf([], runners))
      assert.strictEqual(where.length, calls.length)
      const seated = calls.map((call) => ({
        ...call,
        runner: where.find(({ room }) => room === call.room)?.to ?? call.runner
      }))
      assert.isAtMost(ratioOf(workOf(seated, runners)), 2, `seed ${seed}`)
    }
  })

  it("looks at what runners do already", () => {
    const runners = [10, 0].map((work, n) => ({ incarnation: runnerOf(n), work }))
    const where = spread(
      [1, 2, 3].map((work) => ({ room: roomOf(work), work })),
      runners
    )
    assert.deepStrictEqual([...new Set(where.map(({ to }) => to))], ["r1"])
  })
})

describe("balance", () => {
  it("leaves no runner with twice the work of another where calls are small", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { calls, runners } = scene(seed, 6)
      const after = moved(calls, balance(calls, workOf(calls, runners)))
      assert.isAtMost(ratioOf(workOf(after, runners)), 2, `seed ${seed}`)
    }
  })

  it("moves nothing that is balanced, and no call twice", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { calls, runners } = scene(seed, 20)
      const moves = balance(calls, workOf(calls, runners))
      assert.strictEqual(new Set(moves.map(({ room }) => room)).size, moves.length)
      const after = moved(calls, moves)
      if (ratioOf(workOf(after, runners)) <= 2) assert.deepStrictEqual(balance(after, workOf(after, runners)), [])
      if (ratioOf(workOf(calls, runners)) <= 2) assert.deepStrictEqual(moves, [])
    }
  })

  it("moves few: a runner that joins gets no more than its share", () => {
    for (let runners = 2; runners <= 16; runners++) {
      const calls = Array.from({ length: 10 * (runners - 1) }, (_, n) => ({
        room: roomOf(n),
        work: 1 + (Math.floor(n / (runners - 1)) % 7),
        runner: runnerOf(n % (runners - 1))
      }))
      const moves = balance(calls, workOf(calls, runners))
      assert.isAbove(moves.length, 0)
      assert.isAtMost(moves.length, Math.ceil(calls.length / runners))
      for (const { to } of moves) assert.strictEqual(to, runnerOf(runners - 1))
    }
  })

  it("leaves a call where it is that is larger than the difference, and moves those of others", () => {
    const large = { room: roomOf(0), work: 40, runner: runnerOf(0) }
    const small = Array.from({ length: 6 }, (_, n) => ({ room: roomOf(n + 1), work: 1, runner: runnerOf(1) }))
    const moves = balance([large, ...small], workOf([large, ...small], 3))
    assert.deepStrictEqual([...new Set(moves.map(({ from, to }) => `${from} ${to}`))], ["r1 r2"])
    assert.isAtMost(ratioOf(workOf(moved(small, moves), 3).slice(1)), 2)
    assert.deepStrictEqual(balance([large], workOf([large], 3)), [])
  })

  it("moves nothing while nobody is busy", () => {
    const call = { room: roomOf(0), work: 1, runner: runnerOf(0) }
    assert.deepStrictEqual(balance([call], workOf([call], 2)), [])
  })

  it("counts work that cannot move", () => {
    const calls = Array.from({ length: 4 }, (_, n) => ({ room: roomOf(n), work: 1, runner: runnerOf(0) }))
    const moves = balance(calls, [
      { incarnation: runnerOf(0), work: 4 },
      { incarnation: runnerOf(1), work: 8 }
    ])
    assert.deepStrictEqual(moves, [])
  })
})
