import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type IceServer, RoomToken } from "../../src/domain/Call.ts"
import * as CallIceServers from "../../src/layers/CallIceServers.ts"
import { NextcloudError } from "../../src/services/Nextcloud.ts"

const server = (host: string, expirySeconds: number): IceServer => ({
  urls: [`turn:${host}`],
  username: `${String(expirySeconds).padStart(10, "0")}:user`,
  credential: "secret"
})
const nextcloud = { iceServers: () => Effect.succeed([server("nextcloud.example.com", 100_000)]) }
const away = {
  iceServers: () => Effect.fail(new NextcloudError({ reason: "NotConfigured", detail: "no Nextcloud in this test" }))
}
const intents = (given: ReadonlyArray<IceServer> | undefined) => ({
  room: RoomToken.make("room1"),
  iceServers: () => given
})
const hostsOf = (servers: ReadonlyArray<IceServer>) => servers.flatMap(({ urls }) => urls)

describe("CallIceServers", () => {
  it.effect("are those of the request until their credentials end, then Nextcloud's", () =>
    Effect.gen(function* () {
      const servers = CallIceServers.of(nextcloud, intents([server("given.example.com", 3_600)]))
      assert.deepStrictEqual(hostsOf(yield* servers), ["turn:given.example.com"])
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(hostsOf(yield* servers), ["turn:given.example.com"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(hostsOf(yield* servers), ["turn:nextcloud.example.com"])
    })
  )

  it.effect("are those of the request for ever where they do not end", () =>
    Effect.gen(function* () {
      const servers = CallIceServers.of(nextcloud, intents([{ urls: ["stun:given.example.com"] }]))
      yield* TestClock.adjust("365 days")
      assert.deepStrictEqual(hostsOf(yield* servers), ["stun:given.example.com"])
    })
  )

  it.effect("are none where nobody has any: most peers need none", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* CallIceServers.of(away, intents(undefined)), [])
    })
  )
})
