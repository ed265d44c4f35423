import { assert, describe, it } from "@effect/vitest"
import { NextcloudSessionId, SessionId } from "../../src/domain/Call.ts"
import { humansInCall, publishers, sessionOf, speakerOf } from "../../src/domain/Roster.ts"
import { decodeFrame, type RoomEvent } from "../../src/layers/SpreedProtocol.ts"
import * as SpreedRoster from "../../src/layers/SpreedRoster.ts"

const self = SessionId.make("self")
const alice = SessionId.make("alice")
const bob = SessionId.make("bob")

/** As it comes from the wire. */
const event = (content: unknown): RoomEvent => {
  const message = decodeFrame(JSON.stringify({ type: "event", event: content }))
  if (message._tag === "None" || message.value.type !== "event") throw new Error(`no event: ${JSON.stringify(content)}`)
  return message.value.event
}
const join = (...entries: ReadonlyArray<unknown>) => event({ target: "room", type: "join", join: entries })
const leave = (...entries: ReadonlyArray<unknown>) => event({ target: "room", type: "leave", leave: entries })
const update = (...users: ReadonlyArray<unknown>) =>
  event({ target: "participants", type: "update", update: { roomid: "room1", users } })
const flags = (sessionid: string, bits: number) =>
  event({ target: "participants", type: "flags", flags: { roomid: "room1", sessionid, flags: bits } })
const rosterAfter = (...events: ReadonlyArray<RoomEvent>) =>
  events.reduce((state, one) => SpreedRoster.apply(state, one), SpreedRoster.enter(self))
const inCall = (session: string, lastPing = 1) => ({
  sessionId: session,
  nextcloudSessionId: `nc-${session}`,
  inCall: 3,
  lastPing,
  userId: session
})

describe("the roster", () => {
  it("knows a viewer by its Nextcloud session from the join on, before it is in the call", () => {
    const { roster } = rosterAfter(
      join({ sessionid: "alice", userid: "a", user: { displayname: "Alice" }, roomsessionid: "nc-1" })
    )
    assert.deepStrictEqual(sessionOf(roster, NextcloudSessionId.make("nc-1")), {
      session: alice,
      nextcloudSession: NextcloudSessionId.make("nc-1"),
      userId: "a",
      name: "Alice",
      inCall: 0,
      internal: false,
      virtual: false
    })
  })

  it("learns the Nextcloud session late, and keeps it when a later list lacks it", () => {
    const { roster } = rosterAfter(
      join({ sessionid: "alice", userid: "a" }),
      update(inCall("alice")),
      update({ sessionId: "alice", displayName: "Alice", inCall: 3 })
    )
    assert.strictEqual(sessionOf(roster, NextcloudSessionId.make("nc-alice"))?.name, "Alice")
  })

  it("answers with the newest session of somebody who reconnected", () => {
    const { roster } = rosterAfter(
      join({ sessionid: "alice", roomsessionid: "nc-1" }),
      join({ sessionid: "alice-2", roomsessionid: "nc-1" })
    )
    assert.strictEqual(sessionOf(roster, NextcloudSessionId.make("nc-1"))?.session, "alice-2")
  })

  it("reads flags as numbers, booleans and small keys", () => {
    const { roster } = rosterAfter(
      update(
        { sessionid: "alice", inCall: true, nextcloudSessionId: "n" },
        { sessionId: "bob", inCall: false },
        { sessionId: "c", inCall: 1 }
      )
    )
    assert.deepStrictEqual(
      [...roster.participants.values()].map((one) => one.inCall),
      [7, 0, 1]
    )
    assert.deepStrictEqual(
      publishers(roster).map(({ session }) => session),
      [alice]
    )
  })

  it("takes an explicit 0 for leaving the call, and a leave event for leaving the room", () => {
    const state = rosterAfter(
      update(inCall("alice"), inCall("bob")),
      update({ ...inCall("alice"), inCall: 0 }),
      leave("bob")
    )
    assert.deepStrictEqual([...state.roster.participants.keys()], [alice])
    assert.deepStrictEqual(humansInCall(state.roster), [])
  })

  it("does not believe in leaving when somebody is missing in one list", () => {
    const state = rosterAfter(
      update(inCall("alice"), inCall("bob")),
      update(inCall("alice", 2)),
      update(inCall("alice", 2), inCall("bob", 2))
    )
    assert.strictEqual(humansInCall(state.roster).length, 2)
  })

  it("believes it when somebody is missing in two different in-call lists in a row", () => {
    const state = rosterAfter(
      update(inCall("alice"), inCall("bob")),
      update(inCall("alice", 2)),
      update(inCall("alice", 3))
    )
    assert.deepStrictEqual(
      humansInCall(state.roster).map(({ session }) => session),
      [alice]
    )
    assert.isTrue(state.roster.participants.has(bob))
  })

  it("is not fooled by the HPB repeating its last list for internal sessions, nor by lists of participants", () => {
    const recorder = (flag: number) => ({ sessionId: "recorder", internal: true, inCall: flag })
    const state = rosterAfter(
      update(inCall("alice"), inCall("bob")),
      update(inCall("alice", 2), recorder(0)),
      update(inCall("alice", 2), recorder(1)),
      update(recorder(3)),
      update({ sessionId: "alice", displayName: "Alice", inCall: 3, lastPing: 9 })
    )
    assert.strictEqual(humansInCall(state.roster).length, 2)
  })

  it("attributes the audio of a SIP bridge to the caller who is talking", () => {
    const bridge = SessionId.make("bridge")
    const state = rosterAfter(
      update(
        { sessionId: "bridge", internal: true, inCall: 3 },
        { sessionId: "caller-1", virtual: true, inCall: 9 },
        { sessionId: "caller-2", virtual: true, inCall: 9 }
      ),
      flags("caller-1", 1),
      flags("caller-2", 4)
    )
    assert.strictEqual(speakerOf(state.roster, bridge)?.session, "caller-2")
    assert.isTrue(state.roster.participants.get(SessionId.make("caller-1"))?.muted)
    assert.deepStrictEqual(
      publishers(state.roster).map(({ session }) => session),
      [bridge]
    )
    const silent = SpreedRoster.apply(state, flags("caller-2", 0))
    assert.strictEqual(speakerOf(silent.roster, bridge)?.session, "caller-1")
  })

  it("is the same object when nothing is new", () => {
    const state = rosterAfter(join({ sessionid: "alice", userid: "alice" }), update(inCall("alice")))
    const again = [join({ sessionid: "alice", userid: "alice" }), update(inCall("alice")), leave("nobody")].reduce(
      (one, next) => SpreedRoster.apply(one, next),
      state
    )
    assert.strictEqual(again.roster, state.roster)
  })

  it("reads the entries it can read and counts the others", () => {
    const state = rosterAfter(
      join({ sessionid: "alice" }, { sessionid: 7 }, null),
      update(inCall("bob"), "nonsense", { inCall: 3 }),
      leave(["x"], "alice")
    )
    assert.deepStrictEqual([...state.roster.participants.keys()], [bob])
    assert.strictEqual(state.unreadable, 5)
  })

  it("does not count our own session among the others", () => {
    const { roster } = rosterAfter(update({ sessionId: "self", internal: false, inCall: 3, nextcloudSessionId: "n" }))
    assert.deepStrictEqual(publishers(roster), [])
    assert.deepStrictEqual(humansInCall(roster), [])
  })

  it("stays bounded, and names too", () => {
    const crowd = Array.from({ length: 12_000 }, (_, index) => ({
      sessionid: `s${index}`,
      user: { displayname: "x".repeat(5_000) }
    }))
    const { roster } = rosterAfter(join(...crowd))
    assert.strictEqual(roster.participants.size, 10_000)
    assert.strictEqual(roster.participants.get(SessionId.make("s0"))?.name?.length, 200)
  })
})
