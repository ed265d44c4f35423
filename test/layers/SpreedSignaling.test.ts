import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Metric, Scope, Stream } from "effect"
import { SessionId } from "../../src/domain/Call.ts"
import type { VoiceKey } from "../../src/domain/Speaker.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import type { Signaling, SignalingEvent } from "../../src/services/Signaling.ts"
import { advanceUntil, eventually, type FakeHpb, field, type Message, make, type Rules } from "../support/FakeHpb.ts"
import { joined, type Listener, layerFor, listen } from "../support/SpreedListener.ts"

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/hpb-tls/${name}`, import.meta.url), "utf8")
const alice = SessionId.make("alice-session")
const voice: VoiceKey = { publisher: alice, roomType: "video" }
const joinOf = (...names: ReadonlyArray<string>): Message => ({
  type: "event",
  event: {
    target: "room",
    type: "join",
    join: names.map((name) => ({
      sessionid: `${name}-session`,
      userid: name,
      user: { displayname: name },
      roomsessionid: `nc-${name}`
    }))
  }
})
const from = (sender: string, data: Message, type = "session"): Message => ({
  type: "message",
  message: { sender: { type, sessionid: sender }, data }
})
const offer = (sid?: string, roomType = "video"): Message => ({
  to: "self-1",
  from: alice,
  type: "offer",
  roomType,
  payload: { type: "offer", sdp: "v=0" },
  ...(sid === undefined ? {} : { sid })
})
const candidate = (line: Message | null, sid = "1"): Message => ({
  type: "candidate",
  roomType: "video",
  sid,
  payload: { candidate: line }
})
/** Nobody is known yet. */
const joinedAs = (name: string, again: boolean): SignalingEvent => {
  const roster = { self: SessionId.make(name), participants: new Map() }
  return { _tag: "Joined", roster, again }
}
const transcript = { message: "hello", langId: "en", speakerSessionId: alice, final: true }
const toAlice = { _tag: "Session", session: alice } as const
const requestsTo = (hpb: FakeHpb): ReadonlyArray<Message> =>
  hpb.ofType("message").filter((message) => field(message, "message", "data", "type") === "requestoffer")
const answersTo = (hpb: FakeHpb): ReadonlyArray<Message> =>
  hpb.ofType("message").filter((message) => field(message, "message", "data", "type") === "answer")
const transcriptsTo = (hpb: FakeHpb): ReadonlyArray<unknown> =>
  hpb.ofType("message").flatMap((message) => {
    const data = field(message, "message", "data")
    return field(data, "type") === "transcript" ? [field(message, "message")] : []
  })

/** A joined room with a fake HPB; metrics start at zero. */
const room = <A, E>(
  test: (hpb: FakeHpb, listener: Listener) => Effect.Effect<A, E, Signaling | Scope.Scope>,
  rules: Partial<Rules> = {}
) =>
  Effect.gen(function* () {
    const hpb = yield* make(rules)
    return yield* joined().pipe(
      Effect.flatMap((listener) => test(hpb, listener)),
      Effect.provide(layerFor(hpb))
    )
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))

const counted = (metric: Metric.Counter<number>, attributes: Record<string, string>) =>
  Metric.value(Metric.withAttributes(metric, attributes)).pipe(Effect.map(({ count }) => count))

describe("joining", () => {
  it.live("says an internal hello at once, with our flag at 0, and joins without a Nextcloud session", () =>
    room(
      (hpb, { events }) =>
        Effect.sync(() => {
          const [hello] = hpb.ofType("hello")
          assert.strictEqual(field(hello, "hello", "version"), "1.0")
          assert.deepStrictEqual(field(hello, "hello", "features"), ["internal-incall"])
          assert.strictEqual(field(hello, "hello", "auth", "type"), "internal")
          assert.strictEqual(field(hello, "hello", "auth", "params", "backend"), "https://cloud.example.com/")
          assert.deepStrictEqual(
            hpb.ofType("room").map((message) => message["room"]),
            [{ roomid: "room1" }]
          )
          assert.deepStrictEqual(hpb.ofType("internal"), [])
          assert.deepStrictEqual(events, [joinedAs("self-1", false)])
        }),
      // No welcome comes.
      { version: "0.4.1" }
    )
  )

  it.live("treats already_joined as joined", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      hpb.rules.onMessage = (client, message) => {
        if (message["type"] !== "room") return false
        client.send({ id: message["id"], type: "error", error: { code: "already_joined", details: {} } })
        return true
      }
      yield* joined().pipe(Effect.provide(layerFor(hpb)))
    })
  )

  it.effect("starts afresh when the join is refused or not answered", () =>
    Effect.gen(function* () {
      const hpb = yield* make({ answersJoin: false })
      yield* Effect.gen(function* () {
        yield* joined().pipe(Effect.forkScoped)
        yield* eventually("asked to join", () => hpb.ofType("room").length === 1)
        yield* advanceUntil("left with a bye", 500, () => hpb.ofType("bye").length === 1)
        hpb.rules.onMessage = (client, message) => {
          if (message["type"] !== "room" || hpb.clients.length > 2) return false
          client.send({ id: message["id"], type: "error", error: { code: "room_join_failed" } })
          return true
        }
        hpb.rules.answersJoin = true
        yield* advanceUntil("joined", 100, () => hpb.ofType("room").length === 3)
        assert.strictEqual(hpb.ofType("bye").length, 2)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )
})

describe("certificates", () => {
  const tls = { key: fixture("key.pem"), cert: fixture("cert.pem") }

  it.live("of nobody we know are refused, unless told otherwise", () =>
    Effect.gen(function* () {
      const hpb = yield* make({}, tls)
      yield* joined().pipe(Effect.provide(layerFor(hpb, { skipCertVerify: true })))
      assert.strictEqual(hpb.clients.length, 1)
      const { session } = yield* listen({}).pipe(Effect.provide(layerFor(hpb)))
      yield* Effect.sleep(500)
      assert.strictEqual(session.state()._tag, "Connecting")
      assert.strictEqual(hpb.clients.length, 1)
    })
  )
})

describe("leaving", () => {
  it.live("says bye and closes, also on a resumed socket", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        const { session } = yield* joined()
        hpb.last().kill()
        yield* eventually("dropped", () => session.state()._tag === "Dropped")
        yield* eventually("resumed", () => session.state()._tag === "Joined")
      }).pipe(Effect.scoped, Effect.provide(layerFor(hpb)))
      assert.strictEqual(hpb.clients.length, 2)
      assert.strictEqual(hpb.last().ofType("bye").length, 1)
      assert.isFalse(hpb.last().isOpen())
    })
  )

  it.live("does not wait longer than two seconds for an HPB that no longer answers", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      const started = performance.now()
      yield* Effect.gen(function* () {
        yield* joined()
        hpb.last().freeze()
      }).pipe(Effect.scoped, Effect.provide(layerFor(hpb)))
      assert.isBelow(performance.now() - started, 30_000)
    })
  )

  it.live("ends the stream of events with the scope", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { session } = yield* joined({ reads: false }).pipe(Scope.provide(scope))
        yield* Scope.close(scope, Exit.void)
        yield* Stream.runDrain(session.events)
        assert.isFalse(session.sendTranscript(toAlice, transcript))
        assert.isFalse(yield* session.confirm)
      }).pipe(Effect.provide(layerFor(hpb)))
    })
  )
})

describe("a lost socket", () => {
  for (const reason of ["session_resumed", "room_session_reconnected", "hello_timeout"]) {
    it.live(`is followed by a full hello when the HPB said bye (${reason})`, () =>
      room((hpb, { events, session }) =>
        Effect.gen(function* () {
          hpb.last().send({ type: "bye", bye: { reason } })
          hpb.last().kill()
          yield* eventually("joined again", () => events.length === 3)
          assert.deepStrictEqual(events.slice(1), [{ _tag: "Dropped" }, joinedAs("self-2", true)])
          assert.strictEqual(session.state()._tag, "Joined")
          assert.strictEqual(yield* counted(Metrics.signalingReconnects, { kind: "rejoin" }), 1)
        })
      )
    )
  }

  it.live("is resumed, keeps the roster and takes what was missed", () =>
    room((hpb, { heardOf, session, tags }) =>
      Effect.gen(function* () {
        hpb.last().send(joinOf("alice"))
        yield* eventually("alice", () => heardOf(alice))
        hpb.last().kill()
        yield* eventually("dropped", () => session.state()._tag === "Dropped")
        assert.isFalse(session.sendTranscript(toAlice, transcript))
        yield* eventually("resumed", () => session.state()._tag === "Joined")
        hpb.last().send(joinOf("bob"))
        yield* eventually("bob", () => heardOf("bob-session"))
        assert.deepStrictEqual(tags(), ["Joined", "RosterChanged", "Dropped", "Resumed", "RosterChanged"])
        assert.strictEqual(hpb.ofType("room").length, 1)
        assert.strictEqual(yield* counted(Metrics.signalingReconnects, { kind: "resume" }), 1)
      })
    )
  )

  it.live("a frame that is too large closes the socket, and the session is not resumed into the same frame again", () =>
    room((hpb, { events }) =>
      Effect.gen(function* () {
        hpb.last().send(`{"type":"event","x":"${"x".repeat(5 * 1024 * 1024)}"}`)
        yield* eventually("joined again", () => events.some((event) => event._tag === "Joined" && event.again))
        assert.isTrue(hpb.ofType("hello").every((hello) => field(hello, "hello", "resumeid") === undefined))
      })
    )
  )

  it.live("events that nobody reads do not pile up: the session starts afresh, counted", () =>
    Effect.gen(function* () {
      const hpb = yield* make()
      yield* Effect.gen(function* () {
        const { session } = yield* joined({ reads: false })
        hpb.last().send(joinOf("alice"))
        for (let index = 0; index < 5_010; index++) {
          hpb.last().send(from(alice, { type: index % 2 === 0 ? "mute" : "unmute", payload: { name: "audio" } }))
        }
        yield* eventually("a second session", () => hpb.ofType("room").length === 2)
        yield* eventually("joined again", () => session.state()._tag === "Joined")
        assert.strictEqual(yield* counted(Metrics.drops, { reason: "signaling_events_unread" }), 10_000)
        assert.strictEqual(hpb.ofType("bye").length, 1)
      }).pipe(Effect.provide(layerFor(hpb)))
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("offers", () => {
  it.live("one request per voice is under way; errors find their voice by id", () =>
    room((hpb, { events, session }) =>
      Effect.gen(function* () {
        session.requestOffer(voice)
        session.requestOffer(voice)
        session.requestOffer({ publisher: alice, roomType: "screen" })
        yield* eventually("two requests", () => requestsTo(hpb).length === 2)
        const [id] = requestsTo(hpb).map((message) => message["id"])
        hpb.last().send({ id: "offer-99", type: "error", error: { code: "processing_failed" } })
        hpb.last().send({ id, type: "error", error: { code: "client_not_found" } })
        yield* eventually("failed", () => events.length === 2)
        assert.deepStrictEqual(events.at(-1), { _tag: "RequestFailed", voice, code: "client_not_found" })
        session.requestOffer(voice)
        yield* eventually("asked again", () => requestsTo(hpb).length === 3)
        assert.strictEqual(yield* counted(Metrics.offerRequests, { cause: "first" }), 2)
        assert.strictEqual(yield* counted(Metrics.offerRequests, { cause: "again" }), 1)
      })
    )
  )

  it.live("a request over a socket that is gone is under way no more", () =>
    room((hpb, { session }) =>
      Effect.gen(function* () {
        session.requestOffer(voice)
        yield* eventually("asked", () => requestsTo(hpb).length === 1)
        hpb.last().kill()
        yield* eventually("dropped", () => session.state()._tag === "Dropped")
        yield* eventually("resumed", () => session.state()._tag === "Joined")
        session.requestOffer(voice)
        yield* eventually("asked again", () => requestsTo(hpb).length === 2)
      })
    )
  )

  it.live("an answer the HPB has no subscription for any more is told, and only the newest one", () =>
    room((hpb, { events, session }) =>
      Effect.gen(function* () {
        session.requestOffer(voice)
        yield* eventually("asked", () => requestsTo(hpb).length === 1)
        hpb.last().send(from(alice, offer("7")))
        yield* eventually("offered", () => events.length === 2)
        session.answer(voice, "6", "an answer to an earlier offer")
        session.answer(voice, "7", "an answer")
        yield* eventually("answered", () => answersTo(hpb).length === 2)
        for (const answer of answersTo(hpb)) {
          hpb.last().send({ id: answer["id"], type: "error", error: { code: "client_not_found" } })
        }
        yield* eventually("told", () => events.length === 3)
        assert.deepStrictEqual(events.at(-1), { _tag: "AnswerRefused", voice, sid: "7", code: "client_not_found" })
      })
    )
  )

  it.effect(
    "a request that is never answered fails after twelve seconds; an offer which comes later is still taken",
    () =>
      room((hpb, { events, session }) =>
        Effect.gen(function* () {
          session.requestOffer(voice)
          const waited = yield* advanceUntil("failed", 500, () => events.length === 2)
          assert.isAtLeast(waited, 12_000)
          assert.isAtMost(waited, 13_000)
          assert.deepInclude(events.at(-1), { _tag: "RequestFailed", code: "timeout" })
          hpb.last().send(from(alice, offer("7")))
          yield* eventually("offered", () => events.length === 3)
        })
      )
  )

  it.live("takes offers it asked for and their renegotiations, with candidates in any order, and no others", () =>
    room((hpb, { events, heardOf, session }) =>
      Effect.gen(function* () {
        const said = hpb.last().send
        said(from(alice, offer("0")))
        said(joinOf("first"))
        yield* eventually("the first offer was ignored", () => events.length === 2)
        session.requestOffer(voice)
        yield* eventually("asked", () => requestsTo(hpb).length === 1)
        said(from(alice, candidate({ candidate: "candidate:1", sdpMid: "", sdpMLineIndex: 0 })))
        said(from(alice, offer("1")))
        said(from(alice, candidate({ candidate: "candidate:2", sdpMid: null, sdpMLineIndex: null })))
        said(from(alice, candidate({ candidate: "" })))
        said(from(alice, candidate(null)))
        said(from(alice, offer("2", "screen")))
        said(from("mallory", offer("3")))
        said(from(alice, offer("4"), "room"))
        said(from(alice, { ...offer("5"), payload: { type: "offer", sdp: "v".repeat(70_000) } }))
        said(from(alice, offer("1")))
        said(joinOf("last"))
        yield* eventually("all taken", () => heardOf("last-session"))
        assert.deepStrictEqual(events.slice(2, -1), [
          { _tag: "CandidateFound", voice, sid: "1", candidate: { candidate: "candidate:1", sdpMLineIndex: 0 } },
          { _tag: "Offered", voice, sid: "1", sdp: "v=0" },
          { _tag: "CandidateFound", voice, sid: "1", candidate: { candidate: "candidate:2" } },
          { _tag: "Offered", voice, sid: "1", sdp: "v=0" }
        ])
        assert.strictEqual(yield* counted(Metrics.unknownMessages, { source: "hpb" }), 5)
      })
    )
  )

  it.live("answers and candidates go to the publisher, with the sid where there is one", () =>
    room((hpb, { session }) =>
      Effect.gen(function* () {
        session.answer(voice, "17", "v=0 answer")
        session.answer(voice, undefined, "v=0 answer")
        session.sendCandidate(voice, "17", { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0 })
        yield* eventually("three messages", () => hpb.ofType("message").length === 3)
        const common = { to: alice, roomType: "video" }
        const answer = { ...common, type: "answer", payload: { type: "answer", sdp: "v=0 answer" } }
        assert.deepStrictEqual(
          hpb.ofType("message").map((message) => field(message, "message", "data")),
          [
            { ...answer, sid: "17" },
            answer,
            {
              ...common,
              type: "candidate",
              sid: "17",
              payload: { candidate: { candidate: "candidate:1", sdpMid: "0", sdpMLineIndex: 0 } }
            }
          ]
        )
      })
    )
  )

  it.live("a publisher who has left must be asked for anew", () =>
    room((hpb, { events, session }) =>
      Effect.gen(function* () {
        hpb.last().send(joinOf("alice"))
        session.requestOffer(voice)
        hpb.last().send({ type: "event", event: { target: "room", type: "leave", leave: [alice] } })
        hpb.last().send(from(alice, offer("1")))
        hpb.last().send(joinOf("bob"))
        yield* eventually("bob", () => events.length === 4)
        assert.deepStrictEqual(
          events.map(({ _tag }) => _tag),
          ["Joined", "RosterChanged", "RosterChanged", "RosterChanged"]
        )
      })
    )
  )
})

describe("captions", () => {
  for (const [version, roomType] of [
    ["0.4.1", undefined],
    ["1.0.0", "video"],
    ["1.2.4-1~bpo12+1.debian", "video"],
    ["1.3.0", undefined],
    ["2.0.2-2+b2.debian", undefined],
    ["unknown", "video"]
  ] as const) {
    it.live(`carry ${roomType === undefined ? "no roomType" : "roomType video"} on HPB ${version}`, () =>
      room(
        (hpb, { session }) =>
          Effect.gen(function* () {
            assert.isTrue(session.sendTranscript(toAlice, transcript))
            yield* eventually("arrived", () => transcriptsTo(hpb).length === 1)
            assert.deepStrictEqual(transcriptsTo(hpb)[0], {
              recipient: { type: "session", sessionid: alice },
              data: { type: "transcript", ...transcript, ...(roomType === undefined ? {} : { roomType }) }
            })
          }),
        { version }
      )
    )
  }

  it.live("reach the whole call with one message where the HPB can do that, and are not sent where it cannot", () =>
    Effect.gen(function* () {
      yield* room((hpb, { session }) =>
        Effect.gen(function* () {
          assert.isTrue(session.canReachCall())
          assert.isTrue(session.sendTranscript({ _tag: "Call" }, transcript))
          yield* eventually("arrived", () => transcriptsTo(hpb).length === 1)
          assert.deepStrictEqual(field(transcriptsTo(hpb)[0], "recipient"), { type: "call" })
        })
      )
      yield* room(
        (_hpb, { session }) =>
          Effect.sync(() => {
            assert.isFalse(session.canReachCall())
            assert.isFalse(session.sendTranscript({ _tag: "Call" }, transcript))
          }),
        { version: "1.2.4", features: ["mcu"] }
      )
    })
  )

  it.live("carry the roomType from then on when the HPB calls one invalid", () =>
    room((hpb, { session }) =>
      Effect.gen(function* () {
        hpb.rules.onMessage = (client, message) => {
          if (message["type"] !== "message") return false
          client.send({ id: message["id"], type: "error", error: { code: "invalid_format" } })
          client.send(joinOf("alice"))
          return true
        }
        session.sendTranscript(toAlice, transcript)
        yield* eventually("refused", () => session.roster().participants.size === 1)
        session.sendTranscript(toAlice, transcript)
        yield* eventually("arrived", () => transcriptsTo(hpb).length === 2)
        assert.strictEqual(field(transcriptsTo(hpb)[1], "data", "roomType"), "video")
      })
    )
  )

  it.live("larger than the HPB reads are not sent, since it would close the socket", () =>
    room((_hpb, { session }) =>
      Effect.gen(function* () {
        assert.isFalse(session.sendTranscript(toAlice, { ...transcript, message: "ä".repeat(40_000) }))
        assert.strictEqual(yield* counted(Metrics.drops, { reason: "hpb_message_too_large" }), 1)
        assert.isTrue(yield* session.confirm)
      })
    )
  )

  it.live("are confirmed when the HPB has read them, not when the socket went first", () =>
    room((hpb, { session }) =>
      Effect.gen(function* () {
        session.sendTranscript(toAlice, transcript)
        assert.isTrue(yield* session.confirm)
        assert.strictEqual(transcriptsTo(hpb).length, 1)
        hpb.last().freeze()
        session.sendTranscript(toAlice, transcript)
        const [confirmed] = yield* Effect.all([session.confirm, Effect.sync(() => hpb.last().kill())], {
          concurrency: "unbounded"
        })
        assert.isFalse(confirmed)
      })
    )
  )
})

describe("microphones", () => {
  it.live("mute messages change the participant once", () =>
    room((hpb, { events, heardOf, session }) =>
      Effect.gen(function* () {
        const { send } = hpb.last()
        send(joinOf("alice"))
        for (const type of ["mute", "mute", "unmute"]) {
          send(from(alice, { type, payload: { name: "audio" }, roomType: "video", to: "self-1" }))
        }
        send(from(alice, { type: "mute", payload: { name: "video" } }))
        send(from("stranger", { type: "mute", payload: { name: "audio" } }))
        send(joinOf("bob"))
        yield* eventually("bob", () => heardOf("bob-session"))
        const muted = events.flatMap((event) => (event._tag === "MuteChanged" ? [event.muted] : []))
        assert.deepStrictEqual(muted, [true, false])
        assert.isFalse(session.roster().participants.get(alice)?.muted)
      })
    )
  )
})

describe("an HPB before 2.0.3", () => {
  for (const [version, keepsFailed] of [
    ["0.4.1", true],
    ["1.2.4", true],
    ["2.0.2-2+b2.debian", true],
    ["2.0.3", false],
    ["2.0.20", false],
    ["2.1.0", false],
    ["unknown", false]
  ] as const) {
    it.live(
      `is known by its version: ${version} ${keepsFailed ? "keeps" : "forgets"} subscriptions that came to nothing`,
      () =>
        room((_hpb, { session }) => Effect.sync(() => assert.strictEqual(session.keepsFailed(), keepsFailed)), {
          version
        })
    )
  }
})
