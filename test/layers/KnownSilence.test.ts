import { assert, describe, it } from "@effect/vitest"
import * as KnownSilence from "../../src/layers/KnownSilence.ts"

const MUTED = Uint8Array.of(0x78, 7, 0xc9, 0x79)

/** As a decoder looks at packets: which of these were decoded. */
const decoded = (known: KnownSilence.KnownSilence, looks: ReadonlyArray<readonly [Uint8Array, number]>) =>
  looks.flatMap(([payload, level], n) => {
    if (known.has(payload, level)) return []
    known.add(payload, level)
    return [n]
  })
const times = <A>(count: number, one: A): ReadonlyArray<A> => Array.from({ length: count }, () => one)

describe("KnownSilence", () => {
  it("knows a packet that was silent eight times, and has it decoded again now and then", () => {
    assert.deepStrictEqual(decoded(KnownSilence.make(), times(30, [MUTED, 127])), [0, 1, 2, 3, 4, 5, 6, 7, 17, 27])
  })

  it("knows no packet that differs in a bit or a byte, or is said to be louder or quieter", () => {
    const others: ReadonlyArray<readonly [Uint8Array, number]> = [
      [Uint8Array.of(0x78, 7, 0xc9, 0x78), 127],
      [MUTED.subarray(0, 3), 127],
      [Uint8Array.of(...MUTED, 0), 127],
      [MUTED, 126]
    ]
    for (const other of others) {
      const known = KnownSilence.make()
      decoded(known, times(8, [MUTED, 127]))
      assert.deepStrictEqual(decoded(known, [other, [MUTED, 127]]), [0, 1])
    }
  })

  it("keeps nothing of a packet's memory, which is another's a moment later", () => {
    const known = KnownSilence.make()
    const memory = Uint8Array.from(MUTED)
    decoded(known, times(8, [memory, 127]))
    memory[3] = 0
    assert.isFalse(known.has(memory, 127))
    assert.isTrue(known.has(MUTED, 127))
  })
})
