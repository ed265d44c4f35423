import { assert, describe, it } from "@effect/vitest"
import { isLocal, isLoopback } from "../../src/layers/Loopback.ts"
import * as MoshiEngine from "../../src/layers/MoshiEngine.ts"
import * as OpenAiEngine from "../../src/layers/OpenAiEngine.ts"
import * as TldwEngine from "../../src/layers/TldwEngine.ts"

describe("Loopback", () => {
  it("is what only this machine can reach", () => {
    for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]) assert.isTrue(isLoopback(host), host)
    for (const host of ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "1127.0.0.1", "127.0.0.1.nip.io"]) {
      assert.isFalse(isLoopback(host), host)
    }
  })

  it("of a URL is its host, whatever else is in it", () => {
    assert.isTrue(isLocal("ws://localhost:8080/api/asr-streaming"))
    for (const url of ["wss://gpu.example.com/localhost", "ws://localhost@gpu.example.com", "localhost", ""]) {
      assert.isFalse(isLocal(url), url)
    }
  })

  it("engines whose server is on this machine are local, others are not", () => {
    for (const [host, local] of [
      ["localhost:8080", true],
      ["gpu.example.com", false]
    ] as const) {
      const url = `ws://${host}`
      assert.strictEqual(MoshiEngine.capabilitiesOf(url).local, local)
      assert.strictEqual(OpenAiEngine.capabilitiesOf({ url, model: "whisper-1" }).local, local)
      assert.strictEqual(TldwEngine.capabilitiesOf({ url, model: "parakeet" }).local, local)
    }
  })
})
