import { assert, describe, it } from "@effect/vitest"
import * as Gate from "../../src/layers/Gate.ts"

const BLOCK = 480
type Sound = (n: number) => number

const amplitude = (db: number) => 10 ** (db / 20)
/** Noise of this level (RMS in dBFS), darker with a higher `colour`. */
const noise = (db: number, colour = 0, seed = 1): Sound => {
  let state = seed
  let last = 0
  const gain = (amplitude(db) * Math.sqrt(3)) / Math.sqrt((1 - colour) / (1 + colour))
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    last = colour * last + (1 - colour) * (state / 2 ** 31 - 1)
    return gain * last
  }
}
/** Syllables: a tone with overtones that swells five times a second. Its loudest 20 ms have this level. */
const voice =
  (db: number): Sound =>
  (n) => {
    const t = n / 24_000
    const wave = (hz: number) => Math.sin(2 * Math.PI * hz * t)
    return (
      amplitude(db) * (0.25 + 0.75 * Math.sin(Math.PI * 5 * t) ** 2) * 0.9 * (wave(190) + wave(570) + 0.5 * wave(1330))
    )
  }
const silence: Sound = () => 0
const both =
  (one: Sound, other: Sound): Sound =>
  (n) =>
    one(n) + other(n)

/** Feeds a gate this long and says when it was open: seconds, 20 ms exact. */
const listen = (gate: Gate.Gate, sound: Sound, seconds: number, level?: number): ReadonlyArray<boolean> =>
  Array.from({ length: Math.round(seconds * 50) }, (_, block) => {
    gate.hear(
      Float32Array.from({ length: BLOCK }, (_, n) => sound(block * BLOCK + n)),
      level
    )
    return gate.isOpen()
  })
const share = (open: ReadonlyArray<boolean>) => open.filter((one) => one).length / open.length

describe("Gate", () => {
  it("opens within 60 ms of speech, so that the pre-roll covers the onset", () => {
    for (const db of [-10, -25, -45]) {
      const gate = Gate.make()
      assert.strictEqual(share(listen(gate, noise(-70), 2)), 0)
      assert.isAtMost(listen(gate, both(noise(-70), voice(db)), 1).indexOf(true), 2, `${db} dBFS`)
    }
  })

  it("tells for how long somebody has spoken, and for how long nobody since", () => {
    const gate = Gate.make()
    listen(gate, noise(-70), 1)
    assert.strictEqual(gate.spoken(), 0)
    for (const [speech, pause] of [
      [1, 0.2],
      [2, 1]
    ] as const) {
      listen(gate, both(noise(-70), voice(-25)), speech)
      assert.isAtMost(gate.quiet(), 3 * BLOCK)
      listen(gate, noise(-70), pause)
      assert.approximately(gate.quiet(), pause * 24_000, 3 * BLOCK)
    }
    // the short pause is part of it
    assert.approximately(gate.spoken(), 3.2 * 24_000, 4 * BLOCK)
  })

  it("stays open through the stops and breaths of a phrase", () => {
    const gate = Gate.make()
    listen(gate, noise(-70), 1)
    for (const pause of [0.1, 0.2, 0.3, 0.34]) {
      assert.isTrue(listen(gate, both(noise(-70), voice(-25)), 0.6).at(-1))
      assert.isFalse(listen(gate, noise(-70), pause).includes(false), `${pause} s`)
    }
  })

  it("closes when the hang-over is over", () => {
    const gate = Gate.make()
    listen(gate, noise(-70), 1)
    listen(gate, voice(-25), 1)
    const after = listen(gate, noise(-70), 1)
    assert.approximately(after.indexOf(false) * 20, Gate.HANG_OVER_MS, 60)
    assert.isFalse(after.at(-1))
  })

  it("hears quiet speakers all the way through, for minutes", () => {
    for (const room of [-75, -62]) {
      const gate = Gate.make()
      listen(gate, noise(room), 2)
      const open = listen(gate, both(noise(room), voice(-45)), 90)
      assert.isAbove(share(open), 0.995)
    }
  })

  it("ignores a steady fan after some seconds, and hears speech over it", () => {
    for (const [db, colour] of [
      [-50, 0],
      [-45, 0.5],
      [-52, 0.9],
      [-58, 0.9]
    ] as const) {
      const gate = Gate.make()
      const fan = noise(db, colour)
      listen(gate, fan, 12)
      assert.isBelow(share(listen(gate, fan, 60)), 0.02, `${db} dBFS, ${colour}`)
      assert.isAtMost(listen(gate, both(fan, voice(-28)), 0.5).indexOf(true), 3)
    }
  })

  it("remembers the fan while the microphone is muted", () => {
    const gate = Gate.make()
    const fan = noise(-50, 0.5)
    listen(gate, fan, 15)
    listen(gate, silence, 30)
    assert.isBelow(share(listen(gate, fan, 5)), 0.05)
  })

  it("always lets through what is loud, however steady", () => {
    const gate = Gate.make()
    const open = listen(gate, (n) => 0.1 * Math.sin(n / 8), 30)
    assert.isFalse(open.slice(2).includes(false))
  })

  it("does not open for a click or a constant offset", () => {
    const gate = Gate.make()
    listen(gate, noise(-70), 1)
    assert.strictEqual(share(listen(gate, (n) => (n < 300 ? 0.5 * Math.sin(n) : 0), 1)), 0)
    assert.strictEqual(share(listen(gate, () => 0.05, 1)), 0)
  })

  it("believes a sender that says it is silent, and its own ears otherwise", () => {
    const gate = Gate.make()
    assert.strictEqual(share(listen(gate, voice(-25), 1, 127)), 0)
    assert.strictEqual(share(listen(gate, voice(-25), 1, 75)), 0)
    assert.isAbove(share(listen(gate, voice(-25), 1, 30)), 0.9)
    assert.isAbove(share(listen(gate, voice(-25), 1, 0)), 0.9)
    assert.isFalse(listen(gate, silence, 1, 0).at(-1))
  })

  it("takes missing samples for silence, and closes at once when it is told to", () => {
    const gate = Gate.make()
    listen(gate, voice(-25), 1)
    gate.skip(BLOCK * 10)
    assert.isTrue(gate.isOpen())
    gate.skip(BLOCK * 10)
    assert.isFalse(gate.isOpen())
    listen(gate, voice(-25), 1)
    gate.close()
    assert.isFalse(gate.isOpen())
    assert.isAtMost(listen(gate, voice(-25), 1).indexOf(true), 2)
  })

  it("decides the same for packets of any length", () => {
    for (const length of [60, 120, 240, 960, 1440, 2880]) {
      const gate = Gate.make()
      const sound = both(noise(-70), (n) => (n > 24_000 && n < 48_000 ? voice(-30)(n) : 0))
      for (let at = 0; at < 72_000; at += length) {
        gate.hear(
          Float32Array.from({ length }, (_, n) => sound(at + n)),
          undefined
        )
        if (at > 26_000 && at < 48_000) assert.isTrue(gate.isOpen())
      }
      assert.isFalse(gate.isOpen())
    }
  })
})
