import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { isAsked, read, series } from "../../bench/speakers/SpeakersOptions.ts"

const Text = Schema.String
const options = (...args: ReadonlyArray<string>) => {
  const given = read(args)
  if (typeof given === "string") throw new Error(given)
  return given
}
const refusal = (...args: ReadonlyArray<string>) => Schema.decodeUnknownSync(Text)(read(args)).split("\n")[0]

describe("what is asked of the benchmark of speakers", () => {
  it("is one run on the fast path, all speaking, where only a number is given", () => {
    assert.deepStrictEqual(series(options("--speakers", "100")), [
      [{ speakers: 100, speaking: 1, levels: true, path: "fast", runners: 1, warmUp: 6 }]
    ])
    assert.strictEqual(options("--speakers", "100").seconds, 20)
  })

  it("is the whole table where a table is asked for: each series grows in speakers and in nothing else", () => {
    const all = series(options("--table"))
    assert.strictEqual(all.length, 3 * 2 * 2)
    for (const crowds of all) {
      assert.deepStrictEqual(
        crowds.map(({ speakers }) => speakers),
        [50, 100, 200, 300, 400, 500]
      )
      assert.strictEqual(new Set(crowds.map((crowd) => JSON.stringify({ ...crowd, speakers: 0 }))).size, 1)
    }
    const [first] = series(options("--table", "--speakers", "10,20", "--speaking", "1", "--path", "plain"))
    const last = { speakers: 20, speaking: 1, levels: true, path: "plain", runners: 1, warmUp: 6 }
    assert.deepStrictEqual(first?.at(-1), last)
  })

  it("is with and without levels where not all speak", () => {
    const levels = series(options("--speakers", "10", "--speaking", "0.1")).flat()
    assert.deepStrictEqual(
      levels.map((crowd) => crowd.levels),
      [true, false]
    )
  })

  it("warms up for longer where most are silent, unless it is told how long", () => {
    const warmUps = (...args: ReadonlyArray<string>) =>
      series(options("--speaking", "1,0.1", "--levels", "with", ...args))
        .flat()
        .map(({ warmUp }) => warmUp)
    assert.deepStrictEqual(warmUps(), [6, 30])
    assert.deepStrictEqual(warmUps("--warm-up", "9"), [9, 9])
  })

  it("may be minutes", () => {
    assert.strictEqual(options("--speakers", "10", "--minutes", "30").seconds, 1800)
    assert.strictEqual(refusal("--minutes", "1", "--seconds", "1"), "--seconds or --minutes, not both")
  })

  it("is refused with a reason where it cannot be", () => {
    assert.strictEqual(refusal("--speakers", "0"), "--speakers must be 1 to 2000")
    assert.strictEqual(refusal("--speakers", "10,x"), "--speakers must be 1 to 2000")
    assert.strictEqual(refusal("--path", "short"), "--path must be fast, single, plain or both")
    assert.strictEqual(refusal("--runners", "0"), "--runners must be 1 to 16")
    assert.strictEqual(refusal("--levels", "loud"), "--levels must be with, without or both")
    assert.strictEqual(refusal("--speakers", "200", "--overload", "150"), "--overload must be more than --speakers")
  })

  it("is known by its first word", () => {
    assert.isTrue(isAsked(["--speakers=5"]))
    assert.isTrue(isAsked(["--json", "--table"]))
    assert.isFalse(isAsked(["--sockets", "5"]))
  })

  it("is a storm of so many, or an overload, not both", () => {
    assert.strictEqual(options("--speakers", "50", "--storm", "150").storm, 150)
    assert.strictEqual(refusal("--storm", "150", "--overload", "400"), "--overload or --storm, not both")
  })
})
