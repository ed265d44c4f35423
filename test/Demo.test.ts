import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Options from "../demo/Options.ts"
import type { Reader, ShownWord } from "../demo/Reader.ts"
import * as Score from "../demo/Score.ts"
import * as Script from "../demo/Script.ts"
import * as Standstill from "./support/Standstill.ts"

const demo = fileURLToPath(new URL("../demo/main.ts", import.meta.url))

const run = (args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((done) => {
    execFile(process.execPath, [demo, ...args], { timeout: 100_000 }, (error, stdout, stderr) => {
      done({ code: typeof error?.code === "number" ? error.code : error === null ? 0 : -1, stdout, stderr })
    })
  })

describe("npm run demo", () => {
  it.live(
    "captions every word once, under the right name, and says so in one line of JSON",
    () =>
      Effect.gen(function* () {
        const { code, stderr, stdout } = yield* Effect.promise(() =>
          run(["--speakers", "2", "--seconds", "8", "--json"])
        )
        const outcome = JSON.parse(stdout.trim().split("\n").at(-1) ?? "")
        assert.strictEqual(code, 0, stderr)
        assert.deepInclude(outcome, { lost: 0, duplicated: 0, wrongSpeaker: 0, captioned: outcome.spoken })
        assert.isAbove(outcome.spoken, 5)
        assert.isAbove(outcome.latencyMs.p50, 0)
        assert.isAtLeast(outcome.latencyMs.p99, outcome.latencyMs.p50)
        assert.include(stderr, "simulated")
        assert.include(stderr, "Grace")
      }).pipe(Standstill.played),
    300_000
  )

  it("explains its options when it does not understand them", async () => {
    const { code, stderr } = await run(["--speakers", "none"])
    assert.strictEqual(code, 1)
    assert.include(stderr, "usage:")
  })

  it("takes numbers from the command line", async () => {
    const options = await Effect.runPromise(Options.parse(["--speakers", "7", "--seconds", "9"]))
    assert.deepStrictEqual(options, { speakers: 7, seconds: 9, json: false })
  })
})

describe("the demo's script", () => {
  it("gives everybody turns within the time, words of their own, and some cross-talk", () => {
    const turns = Script.write(3, 60)
    assert.deepStrictEqual([...new Set(turns.map(({ speaker }) => speaker))].sort(), [0, 1, 2])
    assert.isTrue(turns.every(({ atMs, durationMs }) => atMs + durationMs <= 60_000))
    assert.isTrue(turns.some(({ isCrossTalk }) => isCrossTalk) && turns.some(({ isCrossTalk }) => !isCrossTalk))
    const words = turns.flatMap((turn) => turn.words)
    assert.strictEqual(new Set(words).size, words.length)
    for (const [i, turn] of turns.entries()) {
      const next = turns.slice(i + 1).find(({ speaker }) => speaker === turn.speaker)
      if (next !== undefined) assert.isAtLeast(next.atMs, turn.atMs + turn.durationMs)
    }
  })
})

describe("the demo's score", () => {
  const said = [1, 2, 3, 4].map((word) => ({ word, speaker: "ada", endedAtMs: 1000 * word, isCrossTalk: false }))
  const reader = (words: ReadonlyArray<ShownWord>): Reader => ({
    name: "vera",
    words: () => words,
    firstSeenMs: (word) => 1000 * word + 600,
    rewritings: () => 0
  })
  const under = (speaker: string, ...words: ReadonlyArray<number>) => words.map((word) => ({ word, speaker }))

  it("finds what is lost, repeated, out of order and under a wrong name", () => {
    const judge = (words: ReadonlyArray<ShownWord>) => Score.judge(reader(words), said)
    assert.isTrue(Score.isClean(judge(under("ada", 1, 2, 3, 4))))
    assert.deepInclude(judge(under("ada", 1, 2, 4)), { lost: 1, captioned: 3, duplicated: 0 })
    assert.deepInclude(judge(under("ada", 1, 2, 2, 3, 4)), { lost: 0, captioned: 4, duplicated: 1 })
    assert.deepInclude(judge(under("ada", 1, 3, 2, 4)), { lost: 0, duplicated: 0, disordered: 1 })
    const misattributed = judge([...under("ada", 1, 2, 3), ...under("grace", 4)])
    assert.deepInclude(misattributed, { lost: 1, captioned: 3, duplicated: 0, wrongSpeaker: 1 })
  })

  it("takes the engine's time out of the service's own share", () => {
    const told = said.map(({ word }) => ({
      word,
      speaker: 0,
      sequence: 0,
      text: "",
      session: 1,
      startMs: 0,
      endMs: 0,
      audioArrivedAtMs: 0,
      tokenSentAtMs: 560
    }))
    const { felt, own, ownInCrossTalk } = Score.latencies([reader([])], said, told)
    assert.deepStrictEqual([felt.p50, own.p50, own.p99, ownInCrossTalk.p50], [600, 40, 40, 0])
  })
})
