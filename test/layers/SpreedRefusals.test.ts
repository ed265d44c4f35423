import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Metric, Redacted } from "effect"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import { Signaling } from "../../src/services/Signaling.ts"
import { advanceUntil, eventually, type FakeHpb, features202, field, make } from "../support/FakeHpb.ts"
import { joined, layerFor, listen } from "../support/SpreedListener.ts"

const minutes = (count: number) => count * 60_000
const hellos = (hpb: FakeHpb) => hpb.ofType("hello").length
const backendsTried = (hpb: FakeHpb) =>
  hpb.ofType("hello").map((hello) => field(hello, "hello", "auth", "params", "backend"))

describe("refusals of the HPB", () => {
  for (const [code, advice] of [
    ["invalid_token", /internalsecret.*not the shared secret/],
    ["invalid_client_type", /internalsecret/],
    ["invalid_hello_version", /Update/],
    ["too_many_requests", /locked us out/]
  ] as const) {
    it.effect(`${code}: says what to do, and tries again only after five minutes`, () =>
      Effect.gen(function* () {
        const hpb = yield* make({ refusal: code })
        yield* Effect.gen(function* () {
          const signaling = yield* Signaling
          const { session } = yield* listen({})
          yield* eventually("refused", () => session.state()._tag === "Refused")
          const state = session.state()
          assert.deepInclude(state, { _tag: "Refused", code })
          assert.match(state._tag === "Refused" ? state.advice : "", advice)
          assert.strictEqual(signaling.refusal()?.code, code)

          hpb.rules.refusal = undefined
          const waited = yield* advanceUntil("another hello", 4_000, () => hellos(hpb) > 1)
          assert.isAtLeast(waited, minutes(5))
          yield* eventually("joined", () => session.state()._tag === "Joined")
          assert.isUndefined(signaling.refusal())
        }).pipe(Effect.provide(layerFor(hpb)))
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    )
  }

  it.effect("a wrong secret costs one failed hello for all rooms together, and later rooms none", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        const rooms = yield* Effect.forEach(["a", "b", "c", "d"], (room) => listen({ room }), {
          concurrency: "unbounded"
        })
        yield* eventually("all refused", () => rooms.every(({ session }) => session.state()._tag === "Refused"))
        const late = yield* listen({ room: "late" })
        yield* eventually("the late one too", () => late.session.state()._tag === "Refused")
        assert.strictEqual(hellos(hpb), 1)
        const counted = yield* Metric.value(Metric.withAttributes(Metrics.signalingRefusals, { code: "invalid_token" }))
        assert.strictEqual(counted.count, 1)
      }).pipe(Effect.provide(layerFor(hpb, { internalSecret: Redacted.make("the shared secret") })))
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("a secret changed under many rooms costs only a few failed hellos", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        const rooms = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, index) => `room${index}`),
          (room) => joined({ room })
        )
        hpb.rules.keepsSessions = false
        // Failed hellos are answered late: here when every room has dialled again.
        const answers: Array<() => void> = []
        hpb.rules.onMessage = (client, message) => {
          if (field(message, "hello", "auth") === undefined) return false
          answers.push(() => client.send({ id: message["id"], type: "error", error: { code: "invalid_token" } }))
          return true
        }
        for (const client of hpb.clients) client.kill()
        yield* advanceUntil("all have dialled again", 50, () => hpb.clients.length === 40)
        const resumes = () => hpb.ofType("hello").filter((hello) => field(hello, "hello", "resumeid") !== undefined)
        yield* eventually("all have tried to resume", () => resumes().length === 20)
        yield* eventually("some have said hello", () => answers.length === 4)
        for (const answer of answers) answer()
        yield* eventually("all refused", () => rooms.every(({ session }) => session.state()._tag === "Refused"))
        assert.strictEqual(answers.length, 4)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("is said once, without the secret, until it is over", () => {
    const said: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Error") said.push(String(message))
    })
    return Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        yield* (yield* Signaling).join(RoomToken.make("room1"))
        yield* (yield* Signaling).join(RoomToken.make("room2"))
        yield* eventually("refused", () => said.length === 1)
        yield* advanceUntil("a third attempt", 4_000, () => hellos(hpb) === 3)
        assert.strictEqual(said.length, 1)
        assert.notInclude(said.join(), "the-wrong-one")
      }).pipe(Effect.provide(layerFor(hpb, { internalSecret: Redacted.make("the-wrong-one") })))
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("a refused backend URL costs one attempt, the accepted one is remembered", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      const backendUrls = Effect.succeed(["http://nextcloud/", "https://nextcloud/", "https://cloud.example.com/"])
      yield* Effect.gen(function* () {
        yield* joined()
        yield* joined({ room: "room2" })
        assert.deepStrictEqual(backendsTried(hpb), [
          "http://nextcloud/",
          "https://nextcloud/",
          "https://cloud.example.com/",
          "https://cloud.example.com/"
        ])
        assert.strictEqual(hpb.clients.length, 2)
      }).pipe(Effect.provide(layerFor(hpb, { backendUrls })))
    })
  )

  it.effect("goes on with the next backend URL when the socket is lost in between", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      hpb.rules.onMessage = (client, message) => {
        if (hpb.clients.length > 1 || message["type"] !== "hello") return false
        client.send({ id: message["id"], type: "error", error: { code: "invalid_backend" } })
        client.send({ type: "bye", bye: { reason: "hello_timeout" } })
        client.kill()
        return true
      }
      const backendUrls = Effect.succeed(["http://nextcloud/", "https://cloud.example.com/"])
      yield* Effect.gen(function* () {
        const { session } = yield* listen({})
        yield* eventually("the first socket", () => hellos(hpb) === 1)
        yield* advanceUntil("joined", 100, () => session.state()._tag === "Joined")
        assert.deepStrictEqual(backendsTried(hpb).slice(0, 1), ["http://nextcloud/"])
        assert.notInclude(backendsTried(hpb).slice(1), "http://nextcloud/")
      }).pipe(Effect.provide(layerFor(hpb, { backendUrls })))
    })
  )

  it.effect("waits so long after many refused backend URLs that the HPB does not lock us out", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      const backendUrls = Effect.succeed(["https://a/", "https://b/", "https://c/"])
      yield* Effect.gen(function* () {
        const { session } = yield* listen({})
        yield* eventually("refused", () => session.state()._tag === "Refused")
        assert.deepInclude(session.state(), { code: "invalid_backend" })
        assert.strictEqual(hellos(hpb), 3)
        const waited = yield* advanceUntil("another round", 4_000, () => hellos(hpb) > 3)
        assert.isAtLeast(waited, minutes(12))
      }).pipe(Effect.provide(layerFor(hpb, { backendUrls })))
    })
  )

  it.effect("without a name for Nextcloud it does not dial, and asks for one again soon", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      const names: Array<string> = []
      yield* Effect.gen(function* () {
        const { session } = yield* listen({})
        yield* eventually("refused", () => session.state()._tag === "Refused")
        assert.deepInclude(session.state(), { code: "no_backend_url" })
        assert.strictEqual(hpb.clients.length, 0)
        names.push("https://cloud.example.com/")
        const waited = yield* advanceUntil("joined", 1_000, () => session.state()._tag === "Joined")
        assert.isBelow(waited, 60_000)
      }).pipe(Effect.provide(layerFor(hpb, { backendUrls: Effect.sync(() => [...names]) })))
    })
  )

  it.effect("an HPB without Janus is refused loudly, left with a bye, and tried again soon", () =>
    Effect.gen(function* () {
      const hpb = yield* make({ features: ["welcome"] })
      yield* Effect.gen(function* () {
        const { session } = yield* listen({})
        yield* eventually("refused", () => session.state()._tag === "Refused")
        assert.deepInclude(session.state(), { code: "no_mcu" })
        assert.strictEqual(hpb.ofType("bye").length, 1)
        assert.strictEqual(hpb.ofType("room").length, 0)
        hpb.rules.features = features202
        const waited = yield* advanceUntil("joined", 1_000, () => session.state()._tag === "Joined")
        assert.isBelow(waited, 30_000)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("internal_error is no refusal: it is tried again at once", () =>
    Effect.gen(function* () {
      const hpb = yield* make({ refusal: "internal_error" })
      yield* Effect.gen(function* () {
        const { session } = yield* listen({})
        yield* eventually("the first hello", () => hellos(hpb) === 1)
        hpb.rules.refusal = undefined
        const waited = yield* advanceUntil("joined", 50, () => session.state()._tag === "Joined")
        assert.isAtMost(waited, 1_000)
        assert.strictEqual((yield* Signaling).refusal(), undefined)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )
})

describe("waiting between attempts", () => {
  it.effect("grows from a quarter of a second to ten seconds, with jitter", () =>
    Effect.gen(function* () {
      const hpb = yield* make({
        onConnect: (client) => {
          client.kill()
          return true
        }
      })
      yield* Effect.gen(function* () {
        yield* listen({})
        yield* eventually("the first dial", () => hpb.clients.length === 1)
        const waits: Array<number> = []
        for (let dials = 1; dials < 13; dials++) {
          const step = dials < 5 ? 25 : 200
          waits.push(yield* advanceUntil("the next dial", step, () => hpb.clients.length > dials))
        }
        assert.isAtLeast(waits[0] ?? 0, 200)
        assert.isAtMost(waits[0] ?? 0, 500)
        assert.isAtLeast(waits.at(-1) ?? 0, 8_000)
        assert.isAtMost(waits.at(-1) ?? 0, 11_000)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("an HPB that was gone for minutes is joined again within two seconds of its return", () =>
    Effect.gen(function* () {
      const hpb = yield* make({ keepsSessions: false })
      yield* Effect.gen(function* () {
        const { events, session } = yield* joined()
        hpb.rules.isAway = true
        hpb.last().kill()
        yield* eventually("dropped", () => session.state()._tag === "Dropped")
        for (const step of [1, 2, 3]) {
          const until = hpb.refusedDials() + 40
          assert.isAtLeast(yield* advanceUntil(`away ${step}`, 100, () => hpb.refusedDials() >= until), 40_000)
        }
        hpb.rules.isAway = false
        const waited = yield* advanceUntil("joined", 50, () => session.state()._tag === "Joined")
        assert.isAtMost(waited, 1_600)
        yield* eventually("told so", () => events.at(-1)?._tag === "Joined")
        assert.deepInclude(events.at(-1), { _tag: "Joined", again: true })
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("one room dials for all while the HPB is away, and all are back soon after it", () =>
    Effect.gen(function* () {
      const hpb = yield* make({ keepsSessions: false })
      yield* Effect.gen(function* () {
        const rooms = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, n) => `room${n}`),
          (room) => joined({ room })
        )
        hpb.rules.isAway = true
        for (const client of hpb.clients) client.kill()
        yield* eventually("dropped", () => rooms.every(({ session }) => session.state()._tag === "Dropped"))
        let steps = 0
        yield* advanceUntil("30 s", 250, () => ++steps > 120)
        // Each found out for itself, and then one every 0.75 s.
        assert.isAtMost(hpb.refusedDials(), rooms.length + 40)
        hpb.rules.isAway = false
        const waited = yield* advanceUntil("all joined", 100, () =>
          rooms.every(({ session }) => session.state()._tag === "Joined")
        )
        assert.isAtMost(waited, 3_000)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("an HPB that is back before its Janus is asked again in seconds, then less often", () =>
    Effect.gen(function* () {
      const hpb = yield* make({ features: ["welcome"] })
      yield* Effect.gen(function* () {
        const { session } = yield* listen({})
        const waits: Array<number> = []
        for (let round = 1; round <= 6; round++) {
          yield* eventually("refused", () => session.state()._tag === "Refused" && hellos(hpb) >= round)
          waits.push(yield* advanceUntil("another hello", 250, () => hellos(hpb) > round))
        }
        assert.isAtMost(waits[0] ?? 0, 3_250)
        assert.isAtLeast(waits.at(-1) ?? 0, 15_000)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("begins anew after a healthy minute", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      hpb.rules.onConnect = (client) => {
        if (hpb.clients.length <= 8) client.kill()
        return hpb.clients.length <= 8
      }
      yield* Effect.gen(function* () {
        const { session } = yield* listen({})
        yield* advanceUntil("joined", 200, () => session.state()._tag === "Joined")
        let steps = 0
        yield* advanceUntil("64 s", 4_000, () => ++steps > 16)
        assert.strictEqual(session.state()._tag, "Joined")
        const before = hpb.clients.length
        hpb.last().kill()
        yield* eventually("dropped", () => session.state()._tag === "Dropped")
        const waited = yield* advanceUntil("resumed", 50, () => hpb.clients.length > before)
        assert.isAtMost(waited, 1_000)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("gives a silent socket up after 15 s, and resumes", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        const { session, tags } = yield* joined()
        hpb.last().freeze()
        const waited = yield* advanceUntil("dropped", 1_000, () => session.state()._tag === "Dropped")
        assert.isAtLeast(waited, 15_000)
        assert.isAtMost(waited, 21_000)
        yield* advanceUntil("resumed", 100, () => session.state()._tag === "Joined")
        yield* eventually("told so", () => tags().length === 3)
        assert.deepStrictEqual(tags(), ["Joined", "Dropped", "Resumed"])
        assert.strictEqual(hpb.ofType("room").length, 1)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("gives a socket up after 3 s of silence behind a caption, and resumes", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        const { session, tags } = yield* joined()
        hpb.last().freeze()
        const verdict = yield* Effect.forkScoped(session.confirm)
        const waited = yield* advanceUntil("dropped", 250, () => session.state()._tag === "Dropped")
        assert.isAtLeast(waited, 2_750)
        assert.isAtMost(waited, 4_250)
        assert.isFalse(yield* Fiber.join(verdict))
        yield* advanceUntil("resumed", 100, () => session.state()._tag === "Joined")
        yield* eventually("told so", () => tags().length === 3)
        assert.deepStrictEqual(tags(), ["Joined", "Dropped", "Resumed"])
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("no longer resumes when the socket was away for 30 s", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      let isDown = false
      hpb.rules.onConnect = (client) => {
        if (isDown) client.kill()
        return isDown
      }
      yield* Effect.gen(function* () {
        const { events, session } = yield* joined()
        isDown = true
        hpb.last().kill()
        yield* eventually("dropped", () => session.state()._tag === "Dropped")
        let steps = 0
        yield* advanceUntil("31 s", 500, () => ++steps > 62)
        isDown = false
        yield* advanceUntil("joined again", 500, () => session.state()._tag === "Joined")
        yield* eventually("told so", () => events.at(-1)?._tag !== "Dropped")
        assert.deepInclude(events.at(-1), { _tag: "Joined", again: true })
        assert.strictEqual(session.roster().self, SessionId.make("self-2"))
        assert.isTrue(hpb.ofType("hello").every((hello) => field(hello, "hello", "resumeid") === undefined))
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )
})
