import { assert, describe, it } from "@effect/vitest"
import * as EngineBackoff from "../../src/layers/EngineBackoff.ts"
import { EngineError } from "../../src/services/SpeechEngine.ts"

const away = new EngineError({ reason: "Unreachable", detail: "no" })
const refused = new EngineError({ reason: "Refused", detail: "no" })

/** The longest a voice waits. */
const longest = (backoff: EngineBackoff.EngineBackoff) => backoff.waitMs() + backoff.spreadMs()

describe("EngineBackoff", () => {
  it("doubles from 250 ms to 10 s, spread by a fifth to both sides, and starts anew behind a session that we closed", () => {
    let now = 1_000
    const backoff = EngineBackoff.make(() => now)
    assert.strictEqual(backoff.waitMs(), 0)
    for (const expected of [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
      backoff.failed(away, { triedMs: now })
      assert.closeTo(backoff.waitMs(), expected * 0.8, 1e-6)
      assert.closeTo(longest(backoff), expected * 1.2, 1e-6)
      now += longest(backoff)
    }
    backoff.proved()
    backoff.failed(away, { triedMs: now })
    assert.closeTo(longest(backoff), 300, 1e-6)
  })

  it("counts the same trouble of hundreds of voices once", () => {
    let now = 1_000
    const backoff = EngineBackoff.make(() => now)
    for (let voice = 0; voice < 500; voice++) {
      now += 0.01
      backoff.failed(away, { triedMs: 900 })
    }
    assert.isAtMost(longest(backoff), 300)
    // and again when they all come back
    now += 300
    const triedMs = now
    for (let voice = 0; voice < 500; voice++) {
      now += 0.01
      backoff.failed(away, { triedMs })
    }
    assert.isAtMost(longest(backoff), 600)
  })

  it("waits a minute after a refusal, also when the trouble seemed to be another one", () => {
    let now = 1_000
    const backoff = EngineBackoff.make(() => now)
    backoff.failed(away, { triedMs: 900 })
    now += 1
    backoff.failed(refused, { triedMs: 900 })
    assert.strictEqual(backoff.waitMs(), 60_000)
    assert.isTrue(backoff.isFailing())
    now += 60_000
    assert.isFalse(backoff.isFailing())
  })

  it("takes the loss of a session that had lived a minute for no reason to ask another engine", () => {
    let now = 100_000
    const backoff = EngineBackoff.make(() => now)
    backoff.failed(away, { triedMs: 39_000, openedMs: 40_000 })
    assert.isFalse(backoff.isFailing())
    assert.isAtLeast(backoff.waitMs(), 200)
    now += 300
    backoff.failed(away, { triedMs: now })
    assert.isTrue(backoff.isFailing())
  })
})
