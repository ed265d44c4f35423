/**
 * Promise: no input from the network ends a session. Ten thousand frames that no HPB should send, in the middle of a session and before
 * its hello, and then the session still does all it is for, on the same socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { SessionId } from "../../src/domain/Call.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import { eventually, field, make } from "../support/FakeHpb.ts"
import { framesOf, read } from "../support/Recording.ts"
import { joined, layerFor } from "../support/SpreedListener.ts"

const seed = 20_261_121
const frames = 10_000

describe("no input ends a session", () => {
  it.live(`${frames} malformed, mutated and random frames later everything still works`, () =>
    Effect.gen(function* () {
      const nonsense = nonsenseFrom(seed)
      const hpb = yield* make()
      hpb.rules.onConnect = (client) => {
        for (let index = 0; index < 500; index++) client.send(nonsense())
        return false
      }
      yield* Effect.gen(function* () {
        const { events, session } = yield* joined()
        const { send } = hpb.last()
        for (let sent = 0; sent < frames; sent++) {
          send(nonsense())
          if (sent % 500 === 0) yield* Effect.sleep(1)
        }
        const alice = SessionId.make("alice-after-all")
        send({ type: "event", event: { target: "room", type: "join", join: [{ sessionid: alice, userid: "alice" }] } })
        yield* eventually("alice", () => session.roster().participants.has(alice))

        session.requestOffer({ publisher: alice, roomType: "video" })
        yield* eventually("asked", () => hpb.ofType("message").length === 1)
        const offer = { type: "offer", roomType: "video", sid: "after-all", payload: { type: "offer", sdp: "v=0" } }
        send({ type: "message", message: { sender: { type: "session", sessionid: alice }, data: offer } })
        yield* eventually("offered", () =>
          events.some((event) => event._tag === "Offered" && event.sid === "after-all")
        )

        const transcript = { message: "still here", langId: "en", speakerSessionId: alice, final: true }
        assert.isTrue(session.sendTranscript({ _tag: "Session", session: alice }, transcript))
        assert.isTrue(yield* session.confirm)
        assert.strictEqual(field(hpb.ofType("message").at(-1), "message", "data", "message"), "still here")

        assert.strictEqual(session.state()._tag, "Joined")
        assert.strictEqual(hpb.clients.length, 1)
        assert.strictEqual(events.filter(({ _tag }) => _tag === "Joined" || _tag === "Dropped").length, 1)
        assert.isUndefined(field({}, "polluted"))
        const unknown = yield* Metric.value(Metric.withAttributes(Metrics.unknownMessages, { source: "hpb" }))
        assert.isAbove(unknown.count, frames / 4)
      }).pipe(Effect.provide(layerFor(hpb)))
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

const recordings = [
  "0.4.1-hpb-restart",
  "1.2.4-ws-kill-resume",
  "2.0.2-chromium",
  "2.0.2-two-internal",
  "2.0.2-room-delete"
]

/** The same frames for the same seed. */
const nonsenseFrom = (from: number): (() => string | Buffer) => {
  const random = randomFrom(from)
  const pick = <A>(choices: ReadonlyArray<A>, otherwise: A): A =>
    choices[Math.floor(random() * choices.length)] ?? otherwise
  const recorded = recordings.flatMap((name) => framesOf(read(name)).map((frame) => JSON.stringify(frame)))

  const leaf = (): unknown =>
    pick<unknown>(
      [null, true, false, 0, -1, 1e308, 2 ** 53, "", "x", "video", "offer", "self-1", "\u0000", "🙂", [], {}],
      null
    )
  const value = (depth: number): unknown => {
    if (depth === 0 || random() < 0.3) return leaf()
    if (random() < 0.3) return Array.from({ length: Math.floor(random() * 4) }, () => value(depth - 1))
    return Object.fromEntries(
      Array.from({ length: Math.floor(random() * 5) }, () => [pick(keys, "type"), value(depth - 1)])
    )
  }
  const wrongShape = () => JSON.stringify({ type: pick(types, "event"), [pick(types, "event")]: value(4) })
  const mutatedValue = () => JSON.stringify(mutate(JSON.parse(pick(recorded, "{}"))))
  const mutate = (node: unknown): unknown => {
    if (random() < 0.08) return leaf()
    if (Array.isArray(node)) return random() < 0.1 ? [...node, ...node] : node.map(mutate)
    if (typeof node !== "object" || node === null) return node
    const entries = Object.entries(node).filter(() => random() > 0.05)
    return Object.fromEntries(entries.map(([key, child]) => [random() < 0.03 ? pick(keys, "x") : key, mutate(child)]))
  }
  const mutatedText = () => {
    const text = pick(recorded, "{}")
    const at = Math.floor(random() * text.length)
    return random() < 0.5 ? text.slice(0, at) : text.slice(0, at) + pick([...'"{}[]:,\\0e'], "x") + text.slice(at + 1)
  }
  const polluted = () =>
    `{"type":"event","__proto__":{"polluted":1},"event":{"target":"room","type":"join","join":[{"sessionid":"__proto__","__proto__":{"polluted":1},"user":{"constructor":{"prototype":{"polluted":1}}}}]}}`
  const deep = () => {
    const depth = 1 + Math.floor(random() * 50_000)
    return `{"type":"message","message":{"sender":{"type":"session","sessionid":"x"},"data":${"[".repeat(depth)}${"]".repeat(depth)}}}`
  }
  const huge = () =>
    `{"type":"event","event":{"target":"room","type":"join","join":[{"sessionid":"${"x".repeat(300_000)}"},{"sessionid":"y","user":{"displayname":"${"y".repeat(300_000)}"}}]}}`
  const bytes = () => Buffer.from(Array.from({ length: Math.floor(random() * 200) }, () => Math.floor(random() * 256)))
  const noise = () => bytes().toString("latin1")

  const kinds: ReadonlyArray<readonly [number, () => string | Buffer]> = [
    [0.35, wrongShape],
    [0.7, mutatedValue],
    [0.85, mutatedText],
    [0.92, bytes],
    [0.97, noise],
    [0.99, polluted],
    [0.998, deep],
    [1, huge]
  ]
  const frame = (): string | Buffer => {
    const dice = random()
    return (kinds.find(([below]) => dice < below) ?? kinds[0])?.[1]() ?? ""
  }
  const lawful = (text: string | Buffer): string | Buffer => (endsTheSession(text) ? lawful(frame()) : text)
  return () => lawful(frame())
}

/** An HPB that says bye, or that the room is gone, is to be believed. */
const endsTheSession = (text: string | Buffer): boolean => {
  if (typeof text !== "string") return false
  try {
    const message: unknown = JSON.parse(text)
    const event = field(message, "event")
    return (
      field(message, "type") === "bye" ||
      field(message, "room", "roomid") === "" ||
      (field(event, "target") === "room" && field(event, "type") === "delete")
    )
  } catch {
    return false
  }
}

const types = ["welcome", "hello", "error", "room", "event", "message", "control", "transient", "internal", "nonsense"]
const keys = [
  ...[
    "type",
    "id",
    "target",
    "event",
    "join",
    "leave",
    "change",
    "update",
    "users",
    "flags",
    "message",
    "sender",
    "data"
  ],
  ...[
    "sessionid",
    "sessionId",
    "nextcloudSessionId",
    "inCall",
    "roomType",
    "payload",
    "candidate",
    "sdp",
    "sid",
    "all"
  ],
  ...["incall", "error", "code", "features", "__proto__", "constructor", "prototype", "toString", "length", ""]
]

/** mulberry32 */
const randomFrom = (from: number) => {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
