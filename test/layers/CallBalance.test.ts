import { assert, describe, it } from "@effect/vitest"
import { RoomToken } from "../../src/domain/Call.ts"
import { balance, ENOUGH, type Move, type SeatedCall, spread } from "../../src/domain/Placement.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as CallBalance from "../../src/layers/CallBalance.ts"

const runnerOf = (n: number) => Incarnation.make(`r${n}`)

/** The same numbers each time: 0 to 1. */
const numbers = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

/** Reviews once a second of calls that do what they are told, after so many reviews; a reading is off by as much as `noise` says. */
const fleet = (runners: number, first: ReadonlyArray<SeatedCall>, next: () => number, noise: number, slowness = 0) => {
  let nowMs = 0
  let calls = first
  const made = CallBalance.make(() => nowMs)
  let underWay: ReadonlyArray<Move & { readonly atMs: number }> = []
  const off = () => 1 + noise * (2 * next() - 1)
  const works = () =>
    Array.from({ length: runners }, (_, n) => ({
      incarnation: runnerOf(n),
      work: calls.reduce((sum, { runner, work }) => sum + (runner === runnerOf(n) ? work : 0), 0)
    }))
  const review = () => {
    nowMs += 1000
    const errors = new Map(works().map(({ incarnation }) => [incarnation, off()]))
    const read = (incarnation: Incarnation, work: number) => work * (errors.get(incarnation) ?? 1)
    const moves = made.review(
      calls.map((call) => ({ ...call, work: read(call.runner, call.work) })),
      works().map(({ incarnation, work }) => ({ incarnation, work: read(incarnation, work) }))
    )
    underWay = [...underWay, ...moves.map((move) => ({ ...move, atMs: nowMs + slowness * 1000 }))]
    const arrived = underWay.filter(({ atMs }) => atMs <= nowMs)
    underWay = underWay.filter(({ atMs }) => atMs > nowMs)
    calls = calls.map((call) => ({
      ...call,
      runner: arrived.find(({ room }) => room === call.room)?.to ?? call.runner
    }))
    return moves
  }
  return {
    calls: () => calls,
    works,
    ratio: () => Math.max(...works().map(({ work }) => work)) / Math.min(...works().map(({ work }) => work)),
    reviews: (count: number) => Array.from({ length: count }, review).flat()
  }
}

const scene = (seed: number) => {
  const next = numbers(seed)
  const runners = 2 + Math.floor(next() * 7)
  const calls = Array.from({ length: runners * (4 + Math.floor(next() * 8)) }, (_, n) => ({
    room: RoomToken.make(`room${n}`),
    work: 1 + Math.floor(next() * 6)
  }))
  return { runners, calls, next }
}

describe("CallBalance", () => {
  it("moves nothing in a fleet as calls were spread over it, whatever noise is in the readings", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const { calls, next, runners } = scene(seed)
      const empty = Array.from({ length: runners }, (_, n) => ({ incarnation: runnerOf(n), work: 0 }))
      const places = new Map(spread(calls, empty).map(({ room, to }) => [room, to]))
      const seated = calls.map((call) => ({ ...call, runner: places.get(call.room) ?? runnerOf(0) }))
      assert.deepStrictEqual(fleet(runners, seated, next, 0.2).reviews(300), [], `seed ${seed}`)
    }
  })

  it("comes to rest from anywhere, and moves no call twice; later only where a runner has nearly twice the work of another", () => {
    let late = 0
    for (let seed = 1; seed <= 100; seed++) {
      const { calls, next, runners } = scene(seed)
      const seated = calls.map((call) => ({ ...call, runner: runnerOf(Math.floor(next() ** 2 * runners)) }))
      const made = fleet(runners, seated, next, 0.2)
      const moves = made.reviews(200)
      const ratio = made.ratio()
      assert.isAtMost(ratio, 2.2, `seed ${seed}`)
      const more = made.reviews(400)
      if (more.length > 0) {
        assert.isAbove(ratio, 1.75, `seed ${seed}`)
        late++
      }
      const rooms = [...moves, ...more].map(({ room }) => room)
      assert.strictEqual(new Set(rooms).size, rooms.length, `seed ${seed}: a call moved twice`)
    }
    assert.isAtMost(late, 5)
  })

  it("gives a runner that joins calls after three reviews, four at once, until nobody has much more than it", () => {
    const calls = Array.from({ length: 40 }, (_, n) => ({
      ...{ room: RoomToken.make(`room${n}`), work: 1 },
      runner: runnerOf(n % 2)
    }))
    const made = fleet(3, calls, () => 0.5, 0)
    assert.deepStrictEqual(made.reviews(2), [])
    assert.strictEqual(made.reviews(1).length, 4)
    const { length } = made.reviews(30)
    assert.isAtMost(made.ratio(), ENOUGH)
    assert.isAtMost(4 + length, Math.ceil(40 / 3))
    assert.deepStrictEqual(balance(made.calls(), made.works()), [])
  })

  it("does the same where it takes calls seconds to move: those on their way are not seen where they were", () => {
    for (const slowness of [1, 3, 8]) {
      const calls = Array.from({ length: 20 }, (_, n) => ({
        ...{ room: RoomToken.make(`room${n}`), work: 1 + (n % 3) },
        runner: runnerOf(0)
      }))
      const made = fleet(2, calls, () => 0.5, 0, slowness)
      const moves = made.reviews(50)
      assert.isAtMost(made.ratio(), ENOUGH, `after ${slowness} s`)
      assert.isAtMost(moves.length, 10, `after ${slowness} s`)
    }
  })

  it("sees a call that was to move and did not where it is", () => {
    const calls = [1, 1, 1, 1, 1, 1].map((work, n) => ({ room: RoomToken.make(`room${n}`), work, runner: runnerOf(0) }))
    const made = fleet(2, calls, () => 0.5, 0, 1000)
    assert.isAbove(made.reviews(30).length, 3)
  })

  it("does not move a call twice within a minute", () => {
    const calls = [8, 1, 1].map((work, n) => ({ room: RoomToken.make(`room${n}`), work, runner: runnerOf(0) }))
    const made = fleet(2, calls, () => 0.5, 0)
    const moves = made.reviews(59)
    assert.strictEqual(new Set(moves.map(({ room }) => room)).size, moves.length)
  })
})
