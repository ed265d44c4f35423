/**
 * The parts of a streaming session that need no socket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import type { Segment } from "../../src/domain/Segment.ts"
import type { Event } from "../../src/http/Dialect.ts"
import * as DoorClock from "../../src/http/DoorClock.ts"
import { chooseSubprotocol, credentialIn } from "../../src/http/DoorCredential.ts"
import * as DoorOutbox from "../../src/http/DoorOutbox.ts"
import * as DoorTranscript from "../../src/http/DoorTranscript.ts"

const state = (id: string, text: string, more: Partial<Segment> = {}): Segment => ({
  id,
  revision: 0,
  committed: text,
  open: "",
  tokenAtMs: 0,
  ...more
})
const final = (id: string, text: string, more: Partial<Segment> = {}) => state(id, text, { final: "Silence", ...more })
const told = (segment: Segment): Event => ({ _tag: "Segment", segment, startMs: 0, endMs: 0, language: "en" })
const brief = (event: Event) =>
  event._tag === "Segment" ? `${event.segment.committed}${event.segment.final === undefined ? "…" : "."}` : event._tag

const outbox = () => {
  const events: Array<string> = []
  let behind = false
  const box = DoorOutbox.make({ isBehind: () => behind, tell: (event) => events.push(brief(event)) })
  return { box, events, lag: (isBehind: boolean) => (behind = isBehind) }
}

describe("what a reader who is behind will be told", () => {
  it("is everything but the partials that were overtaken, in order", () => {
    const { box, events, lag } = outbox()
    box.put(told(state("a", "o")))
    lag(true)
    for (const event of [
      told(state("a", "on")),
      told(state("a", "one")),
      { _tag: "Heartbeat", heardMs: 1 } as const,
      told(final("a", "one")),
      { _tag: "Settled", throughMs: 1 } as const,
      told(state("b", "tw")),
      { _tag: "Heartbeat", heardMs: 2 } as const,
      told(state("b", "two"))
    ]) {
      assert.isTrue(box.put(event))
    }
    assert.deepStrictEqual(events, ["o…"])
    lag(false)
    box.flush()
    assert.deepStrictEqual(events, ["o…", "one.", "Settled", "Heartbeat", "two…"])
  })

  it("never overtakes what waits", () => {
    const { box, events, lag } = outbox()
    lag(true)
    box.put(told(final("a", "one")))
    lag(false)
    box.put(told(final("b", "two")))
    assert.deepStrictEqual(events, ["one.", "two."])
  })

  it("is bounded: a thousand finals, then the reader has to go", () => {
    const { box, lag } = outbox()
    lag(true)
    for (let at = 0; at < 1000; at++) assert.isTrue(box.put(told(final(`s${at}`, "word"))))
    assert.isFalse(box.put(told(final("last", "word"))))
  })
})

describe("where something was said", () => {
  it("is where the engine says, else from the start of speech to what had been heard", () => {
    const transcript = DoorTranscript.make()
    transcript.speechStarted(1000)
    assert.include(transcript.take(state("a", "one"), 1800), { startMs: 1000, endMs: 1800 })
    assert.include(transcript.take(final("a", "one two"), 2400), { startMs: 1000, endMs: 2400 })
    assert.include(transcript.take(final("b", "three"), 3000), { startMs: 2400, endMs: 3000 })
    assert.include(transcript.take(final("c", "four", { startMs: 3100, endMs: 3300 }), 9000), {
      startMs: 3100,
      endMs: 3300
    })
    assert.deepStrictEqual(
      transcript.said().map(({ text }) => text),
      ["one two", "three", "four"]
    )
  })

  it("ends, where the engine does not say, before speech that began after its last word", () => {
    const transcript = DoorTranscript.make()
    transcript.speechStarted(1000)
    transcript.take(state("a", "one"), 1800)
    transcript.speechStarted(2200)
    assert.include(transcript.take(final("a", "one"), 2400), { startMs: 1000, endMs: 2200 })
    transcript.take(state("b", "two"), 3000)
    transcript.speechStarted(3100)
    transcript.take(state("b", "two three"), 3600)
    assert.include(transcript.take(final("b", "two three"), 4000), { startMs: 2200, endMs: 4000 })
  })

  it("is forgotten with a reset: what was open, and what was still to come of it", () => {
    const transcript = DoorTranscript.make()
    transcript.take(final("a", "one"), 1000)
    transcript.take(state("b", "two"), 2000)
    transcript.reset(2000)
    assert.deepStrictEqual(transcript.said(), [])
    assert.isUndefined(transcript.take(final("b", "two"), 2100))
    assert.isUndefined(transcript.take(final("c", "three"), 2100))
    assert.isDefined(transcript.take(final("d", "four", { startMs: 2050, endMs: 2090 }), 2100))
    transcript.settled(2000)
    assert.isDefined(transcript.take(final("e", "five"), 2500))
    assert.deepStrictEqual(
      transcript.said().map(({ text }) => text),
      ["four", "five"]
    )
  })

  it("begins anew at once, when a reset came after everything was said", () => {
    const transcript = DoorTranscript.make()
    transcript.settled(2000)
    transcript.reset(2000)
    assert.isDefined(transcript.take(final("a", "one"), 3000))
  })
})

describe("a session is overdue", () => {
  const limits = { sessionSeconds: 100, idleSeconds: 30, startWithinSeconds: 15, heartbeatSeconds: undefined }
  const progress: DoorClock.Progress = {
    isAdmitted: true,
    isStarted: true,
    isFinishing: false,
    heardFromAtMs: 0,
    waitingSinceMs: undefined
  }
  const at = (seconds: number, now: Partial<DoorClock.Progress> = {}, clock = DoorClock.make(0, limits)) => {
    clock.overdue(0, { ...progress, isStarted: true })
    return clock.overdue(seconds * 1000, { ...progress, heardFromAtMs: seconds * 1000, ...now })?.failure
  }

  it("when nobody says who it is within five seconds", () => {
    const clock = DoorClock.make(0, limits)
    const stranger = { ...progress, isAdmitted: false, isStarted: false }
    assert.isUndefined(clock.overdue(4900, stranger))
    assert.strictEqual(clock.overdue(5100, stranger)?.failure, "Unauthenticated")
  })

  it("when it does not begin, says nothing, or lasts too long", () => {
    assert.isUndefined(at(14, { isStarted: false }))
    assert.strictEqual(at(16, { isStarted: false }), "NotStarted")
    assert.isUndefined(at(29, { heardFromAtMs: 0 }))
    assert.strictEqual(at(31, { heardFromAtMs: 0 }), "Idle")
    assert.isUndefined(at(99))
    assert.strictEqual(at(101), "SessionLimit")
  })

  it("when no engine takes what it says; then it is not the one who is idle", () => {
    assert.isUndefined(at(40, { heardFromAtMs: 0, waitingSinceMs: 15_000 }))
    assert.strictEqual(at(40, { heardFromAtMs: 0, waitingSinceMs: 5_000 }), "NoEngine")
  })

  it("when all engines refuse, as soon as one could have been asked again", () => {
    assert.isUndefined(at(40, { refusedSinceMs: 36_000 }))
    assert.strictEqual(at(40, { refusedSinceMs: 34_000 }), "NoEngine")
    assert.strictEqual(at(40, { refusedSinceMs: 34_000, isFinishing: true }), "NoEngine")
  })

  it("when no engine works for half a minute", () => {
    assert.isUndefined(at(40, { awaySinceMs: 11_000 }))
    assert.strictEqual(at(40, { awaySinceMs: 9_000 }), "NoEngine")
    assert.strictEqual(at(40, { awaySinceMs: 9_000, isFinishing: true }), "NoEngine")
  })

  it("but not for its silence while its last words are awaited", () => {
    assert.isUndefined(at(60, { isFinishing: true, heardFromAtMs: 0 }))
  })
})

describe("a credential", () => {
  const find = (headers: Record<string, string>, query: string, places = {}) => {
    const found = credentialIn({ headers, query: new URLSearchParams(query) }, places)
    return found === undefined ? undefined : Redacted.value(found)
  }

  it("is found in the header, the dialect's own places and the query", () => {
    assert.strictEqual(find({ authorization: "bearer abc" }, "token=def"), "abc")
    assert.isUndefined(find({ authorization: "Basic abc" }, ""))
    assert.strictEqual(find({}, "token=def"), "def")
    assert.isUndefined(find({}, "token=def", { notInQuery: true }))
    assert.isUndefined(find({}, "token="))
    assert.strictEqual(find({}, "auth_id=ghi", { query: ["auth_id"] }), "ghi")
    assert.strictEqual(find({ "kyutai-api-key": "jkl" }, "", { headers: ["kyutai-api-key"] }), "jkl")
    const protocols = { "sec-websocket-protocol": "realtime, key.mno" }
    assert.strictEqual(find(protocols, "", { subprotocolPrefix: "key." }), "mno")
  })

  it("is never what is answered as a subprotocol", () => {
    const credentials = { subprotocolPrefix: "key." }
    assert.strictEqual(chooseSubprotocol(new Set(["key.mno", "realtime"]), { credentials }), "realtime")
    assert.isFalse(chooseSubprotocol(new Set(["key.mno"]), { credentials }))
  })
})

describe("what is kept of a session", () => {
  const gap = { atMs: 1000, lengthMs: 12_400 }

  it("says where words are missing; what a client is told as said does not", () => {
    const transcript = DoorTranscript.make()
    transcript.take(final("a", "one"), 1000)
    assert.isTrue(transcript.interrupted(gap))
    assert.isTrue(transcript.interrupted({ atMs: 14_000, lengthMs: 80 }))
    transcript.take(final("b", "two"), 15_000)
    assert.deepStrictEqual(transcript.record(), ["one", "[… 12 s …]", "[… 1 s …]", "two"])
    assert.deepStrictEqual(
      transcript.said().map(({ text }) => text),
      ["one", "two"]
    )
  })

  it("forgets with a reset what was missing before it, and what comes late of that", () => {
    const transcript = DoorTranscript.make()
    transcript.interrupted(gap)
    transcript.reset(20_000)
    assert.isFalse(transcript.interrupted(gap))
    assert.isTrue(transcript.interrupted({ atMs: 21_000, lengthMs: 1000 }))
    assert.deepStrictEqual(transcript.record(), ["[… 1 s …]"])
  })
})
