import { assert, describe, it } from "@effect/vitest"
import * as RelayChoice from "../../src/layers/RelayChoice.ts"

const secret = { username: "1:u", credential: "c" }
const udp = "turn:turn.example.com:3478?transport=udp"
const tcp = "turn:turn.example.com:3478?transport=tcp"
const tls = "turns:turn.example.com:5349?transport=tcp"
const stun = "stun:stun.example.com:443"

describe("RelayChoice", () => {
  it("takes UDP before TCP before TLS, in whatever order they come", () => {
    const choice = RelayChoice.make()
    assert.strictEqual(choice.choose([{ urls: [tls, tcp, udp], ...secret }], 0).relay, udp)
    assert.strictEqual(choice.choose([{ urls: [tls, tcp], ...secret }], 0).relay, tcp)
    assert.strictEqual(choice.choose([{ urls: [tls], ...secret }], 0).relay, tls)
    assert.strictEqual(
      choice.choose([{ urls: [tcp, "turn:other.example.com"], ...secret }], 0).relay,
      "turn:other.example.com"
    )
  })

  it("keeps every STUN server, and one relay with its own credentials", () => {
    const choice = RelayChoice.make()
    const servers = [{ urls: [stun] }, { urls: [tcp], username: "a", credential: "b" }, { urls: [udp], ...secret }]
    assert.deepStrictEqual(choice.choose(servers, 0), {
      servers: [{ urls: [stun] }, { urls: [udp], ...secret }],
      relay: udp
    })
    assert.deepStrictEqual(choice.choose([{ urls: [stun, udp] }], 0), { servers: [{ urls: [stun] }], relay: undefined })
    assert.deepStrictEqual(
      choice.choose([{ urls: ["turns:turn.example.com?transport=udp"], ...secret }], 0).relay,
      undefined
    )
  })

  it("passes over a relay that gave nothing, for ten minutes, and takes it again where no other is left", () => {
    const choice = RelayChoice.make()
    const servers = [{ urls: [udp, tcp], ...secret }]
    choice.tried(udp, false, 1_000)
    assert.strictEqual(choice.choose(servers, 2_000).relay, tcp)
    choice.tried(tcp, false, 3_000)
    assert.strictEqual(choice.choose(servers, 4_000).relay, udp)
    choice.tried(tcp, true, 5_000)
    assert.strictEqual(choice.choose(servers, 6_000).relay, tcp)
    assert.strictEqual(choice.choose(servers, 601_000).relay, udp)
  })
})
