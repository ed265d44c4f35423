import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"

/** What others read of the line: more may be in it. */
const Line = Schema.fromJsonString(
  Schema.Struct({
    speakers: Schema.Literal(4),
    percentCore: Schema.Finite,
    percentCorePerSpeaker: Schema.Finite,
    sent: Schema.Int,
    lost: Schema.Int,
    eventLoopP99Ms: Schema.Finite,
    packetToEngineMs: Schema.Struct({ p50: Schema.Finite, p99: Schema.Finite }),
    rssMbPerSpeaker: Schema.Finite,
    machinePercent: Schema.Finite,
    perRunner: Schema.Array(Schema.Struct({ percentCore: Schema.Finite, speakers: Schema.Literal(2) }))
  })
)

const main = fileURLToPath(new URL("../../bench/main.ts", import.meta.url))

describe("the benchmark of speakers", () => {
  it.live.skipIf(process.platform !== "linux")(
    "ends with one line of JSON: two speakers on each of two runners, by werift's own path",
    () =>
      Effect.gen(function* () {
        const crowd = ["--speakers", "4", "--path", "plain", "--runners", "2"]
        const args = [main, ...crowd, "--seconds", "1", "--warm-up", "1", "--json"]
        const { stdout } = yield* Effect.promise(() => promisify(execFile)(process.execPath, args))
        const lines = stdout.trimEnd().split("\n")
        assert.strictEqual(lines.length, 1)
        const cost = yield* Schema.decodeUnknownEffect(Line)(lines[0])
        assert.strictEqual(cost.perRunner.length, 2)
        assert.isAbove(cost.percentCorePerSpeaker, 0)
        // A busy machine may lose some, never most.
        assert.isBelow(cost.lost, cost.sent / 2)
      }),
    180_000
  )
})
