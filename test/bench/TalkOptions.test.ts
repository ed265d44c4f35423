import { assert, describe, it } from "@effect/vitest"
import { isAsked, read } from "../../bench/talk/TalkOptions.ts"

describe("what is asked of the benchmark on a real HPB", () => {
  it("is a series of crowds, all speaking, of the program as it is run", () => {
    const options = read(["--talk", "--speakers", "20,40"])
    if (typeof options === "string") throw new Error(options)
    const { service, ...others } = options
    assert.match(service, /src\/main\.ts$/)
    assert.deepStrictEqual(others, {
      speakers: [20, 40],
      seconds: 20,
      speaking: 1,
      levels: true,
      json: false,
      save: undefined,
      inside: undefined
    })
  })

  it("is told from the benchmark of speakers, and refused with a reason where it cannot be", () => {
    assert.isTrue(isAsked(["--talk", "--speakers", "20"]))
    assert.isFalse(isAsked(["--speakers", "20"]))
    assert.match(String(read(["--talk", "--speakers", "0"])), /^--speakers must be 1 to 500\n/)
    assert.match(String(read(["--talk", "--levels", "both"])), /^--levels must be with or without\n/)
  })
})
