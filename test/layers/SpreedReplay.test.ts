/**
 * What real HPBs said to an internal client, said again: recordings of three versions against the whole layer over a real websocket.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope, Stream } from "effect"
import { SessionId } from "../../src/domain/Call.ts"
import { humansInCall, publishers } from "../../src/domain/Roster.ts"
import type { RoomType } from "../../src/domain/Speaker.ts"
import type { SignalingEvent, SignalingSession } from "../../src/services/Signaling.ts"
import * as FakeHpb from "../support/FakeHpb.ts"
import * as Recording from "../support/Recording.ts"
import { layerFor, listen } from "../support/SpreedListener.ts"

interface Replay {
  readonly events: ReadonlyArray<SignalingEvent>
  readonly session: SignalingSession
  readonly hpb: FakeHpb.FakeHpb
}

/** Plays a recording to a listener who asks for every publisher's media, as the recording client did. */
const replay = Effect.fnUntraced(function* (
  name: string,
  until?: (entry: unknown) => boolean
): Effect.fn.Return<Replay, never, Scope.Scope> {
  const recording = Recording.read(name)
  const roomType: RoomType = recording.hpb === "0.4.1" ? "screen" : "video"
  const hpb = yield* FakeHpb.make({ version: recording.hpb })
  const player = Recording.play(hpb, recording, until)
  const events: Array<SignalingEvent> = []
  const { session } = yield* listen({ room: Recording.roomOf(recording), reads: false }).pipe(
    Effect.provide(layerFor(hpb))
  )
  const asked = new Set<string>()
  yield* session.events.pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        events.push(event)
        if (event._tag !== "RosterChanged") return
        for (const { session: publisher } of publishers(event.roster)) {
          if (!asked.has(publisher)) session.requestOffer({ publisher, roomType })
          asked.add(publisher)
        }
        for (const publisher of asked) {
          if (!publishers(event.roster).some((one) => one.session === publisher)) asked.delete(publisher)
        }
      })
    ),
    Effect.forkScoped
  )
  yield* FakeHpb.eventually("the end of the recording", player.isOver).pipe(
    Effect.catchCause(() => Effect.die(new Error(player.where())))
  )
  // Somebody comes and goes behind the last frame: by then everything before it was heard.
  hpb.last().send({ type: "event", event: { target: "room", type: "join", join: [{ sessionid: "last" }] } })
  hpb.last().send({ type: "event", event: { target: "room", type: "leave", leave: ["last"] } })
  yield* FakeHpb.eventually("the last one", () => isAboutLast(events.at(-2)) && !isAboutLast(events.at(-1)))
  return { events: events.slice(0, -2), session, hpb }
})

const isAboutLast = (event: SignalingEvent | undefined): boolean =>
  event?._tag === "RosterChanged" && event.roster.participants.has(SessionId.make("last"))

const story = (events: ReadonlyArray<SignalingEvent>): string =>
  events
    .map((event) => (event._tag === "Joined" ? (event.again ? "Rejoined" : "Joined") : event._tag))
    .filter((tag, index, tags) => tag !== tags[index - 1])
    .join(" ")

const isSecondResume = (entry: unknown) => typeof entry === "string" && entry.includes("second resume")

describe("recorded sessions", () => {
  for (const name of ["0.4.1-ws-kill-resume", "1.2.4-ws-kill-resume", "2.0.2-ws-kill-resume"]) {
    it.live(`resumes a killed socket with the same ids and without joining again (${name})`, () =>
      Effect.gen(function* () {
        const { events, hpb, session } = yield* replay(name, isSecondResume)
        assert.match(
          story(events),
          /^Joined RosterChanged Offered CandidateFound (RosterChanged )?Dropped Resumed( RosterChanged)?$/
        )
        assert.strictEqual(hpb.ofType("room").length, 1)
        assert.strictEqual(session.state()._tag, "Joined")
        assert.strictEqual(publishers(session.roster()).length, 1)
      })
    )
  }

  for (const name of ["0.4.1-hpb-restart", "1.2.4-hpb-restart", "2.0.2-hpb-restart"]) {
    it.live(`joins anew with a fresh roster after a restart of the HPB (${name})`, () =>
      Effect.gen(function* () {
        const { events, hpb, session } = yield* replay(name)
        assert.strictEqual(hpb.last().ofType("hello").length, 2, "resume and full hello on the same socket")
        assert.match(
          story(events),
          /^Joined RosterChanged Offered CandidateFound Dropped Rejoined RosterChanged Offered CandidateFound$/
        )
        const selves = events.flatMap((event) => (event._tag === "Joined" ? [event.roster.self] : []))
        assert.strictEqual(new Set(selves).size, 2)
        assert.strictEqual(session.roster().self, selves[1])
        assert.strictEqual(humansInCall(session.roster()).length, 1)
        assert.strictEqual(session.roster().participants.size, 2)
      })
    )
  }

  it.live("joins anew when it comes too late, also when the socket is lost again right after the refusal", () =>
    Effect.gen(function* () {
      const { events } = yield* replay("2.0.2-ws-kill-late")
      assert.match(
        story(events),
        /^Joined RosterChanged Offered CandidateFound Dropped Rejoined RosterChanged Offered CandidateFound/
      )
    })
  )

  for (const name of ["0.4.1-room-delete", "2.0.2-room-delete"]) {
    it.live(`ends the call once when the room is deleted (${name})`, () =>
      Effect.gen(function* () {
        const { events, session } = yield* replay(name)
        assert.match(story(events), /RosterChanged CallEnded$/)
        assert.deepInclude(events.at(-1), { _tag: "CallEnded", reason: "RoomDeleted" })
        assert.strictEqual(session.roster().participants.size, 0)
        assert.strictEqual(session.state()._tag, "Joined")
      })
    )
  }

  for (const name of ["1.2.4-call-end-all", "2.0.2-call-end-all"]) {
    it.live(`stays in the room with nobody in the call when it is ended for all (${name})`, () =>
      Effect.gen(function* () {
        const { events, session } = yield* replay(name)
        assert.deepInclude(events.at(-1), { _tag: "CallEnded", reason: "EndedForAll" })
        assert.strictEqual(session.roster().participants.size, 2)
        assert.deepStrictEqual(
          [...session.roster().participants.values()].map(({ inCall }) => inCall),
          [0, 0]
        )
      })
    )
  }

  it.live("hears nothing of it on 0.4.1, which swallows the end for all", () =>
    Effect.gen(function* () {
      const { events } = yield* replay("0.4.1-call-end-all")
      assert.notInclude(story(events), "CallEnded")
    })
  )

  it.live("follows a publisher who leaves the call and comes back", () =>
    Effect.gen(function* () {
      const { events } = yield* replay("2.0.2-pub-leave-call")
      const sids = events.flatMap((event) => (event._tag === "Offered" ? [event.sid] : []))
      assert.strictEqual(sids.length, 2)
      assert.strictEqual(new Set(sids).size, 2)
    })
  )

  it.live("takes a leave event for what it is", () =>
    Effect.gen(function* () {
      const { session } = yield* replay("2.0.2-pub-leave-room")
      assert.strictEqual(publishers(session.roster()).length, 0)
    })
  )

  for (const [name, people] of [
    ["0.4.1-chromium-screen", 1],
    ["1.2.4-chromium", 1],
    ["2.0.2-chromium", 1],
    ["2.0.2-two-internal", 1]
  ] as const) {
    it.live(`tells people from services, with names and Nextcloud sessions (${name})`, () =>
      Effect.gen(function* () {
        const { session } = yield* replay(name)
        const humans = humansInCall(session.roster())
        assert.strictEqual(humans.length, people)
        for (const one of humans) {
          assert.isString(one.name)
          assert.match(one.nextcloudSession ?? "", /^nc-/)
        }
      })
    )
  }

  it.live("never lets an empty sdpMid through", () =>
    Effect.gen(function* () {
      const { events } = yield* replay("2.0.2-hpb-restart")
      const candidates = events.flatMap((event) => (event._tag === "CandidateFound" ? [event.candidate] : []))
      assert.deepStrictEqual(
        candidates.map(({ sdpMid }) => sdpMid),
        [undefined, "0"]
      )
    })
  )
})
