import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as DtlsHandshake from "../../src/layers/DtlsHandshake.ts"
import * as DtlsRecord from "../../src/layers/DtlsRecord.ts"
import * as OpenSslServer from "../support/OpenSslServer.ts"
import { until } from "../support/WeriftScene.ts"

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body), 180_000)

/** A handshake on this way; given when it is done. */
const shakeHands = Effect.fnUntraced(function* (what: string, way: OpenSslServer.Way) {
  const handshake = yield* OpenSslServer.make(way)
  const { client } = handshake
  const faults: Array<unknown> = []
  client.onError.subscribe((fault) => faults.push(fault))
  DtlsHandshake.tend(client)
  client.connect().catch((fault: unknown) => faults.push(fault))
  yield* until(what, () => client.connected || faults.length > 0)
  assert.deepStrictEqual(faults, [], what)
  return handshake
})

const standStill = (ms: number) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe("a handshake with OpenSSL", () => {
  live(
    "ends whichever datagram is lost, ours or the server's",
    Effect.gen(function* () {
      const { received, sent } = yield* shakeHands("nothing lost", {})
      assert.isAtLeast(sent.length, 6)
      assert.isAtLeast(received.length, 3)
      const losses = [
        ...sent.map((_, lost) => shakeHands(`our datagram ${lost}`, { losesSent: (place) => place === lost })),
        ...received.map((_, lost) =>
          shakeHands(`the server's datagram ${lost}`, { losesReceived: (place) => place === lost })
        )
      ]
      yield* Effect.all(losses, { concurrency: 6 })
    })
  )

  live(
    "ends when this process stands still while the first answer is on its way",
    Effect.gen(function* () {
      const { sent } = yield* shakeHands("connected", { onSent: (place) => place === 0 && standStill(700) })
      const hellos = sent.filter((datagram) => datagram[13] === 1)
      assert.isAtLeast(hellos.length, 3, "the first hello, the same once more, and that with the cookie")
    })
  )

  live(
    "no number is used twice in one epoch, whatever is repeated and said afterwards",
    Effect.gen(function* () {
      const { client, sent } = yield* shakeHands("connected", { losesReceived: (place) => place > 1 && place < 5 })
      const records = sent.flatMap(DtlsRecord.split)
      records.push(DtlsRecord.seal(client, DtlsRecord.ALERT, Buffer.from([1, 0])))
      const names = records.map((record) => `${DtlsRecord.epochOf(record)}.${DtlsRecord.numberOf(record)}`)
      assert.strictEqual(new Set(names).size, names.length)
      assert.isAtLeast(names.filter((name) => name.startsWith("1.")).length, 3)
    })
  )
})
