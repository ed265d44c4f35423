import { assert, describe, it } from "@effect/vitest"
import { Everyone, type Intent, NextcloudSessionId, participant, RoomToken, SessionId } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import type { Participant, Roster } from "../../src/domain/Roster.ts"
import * as CallPresence from "../../src/layers/CallPresence.ts"

const room = RoomToken.make("room1")
const ada = participant(NextcloudSessionId.make("nc-ada"))
const intentOf = (viewer: Intent["viewer"]): Intent => ({ room, viewer, language: defaultLanguage })

const person = (name: string, inCall = 3): Participant => ({
  session: SessionId.make(`hpb-${name}`),
  nextcloudSession: NextcloudSessionId.make(`nc-${name}`),
  inCall,
  internal: false,
  virtual: false
})
const rosterOf = (...people: ReadonlyArray<Participant>): Roster => ({
  self: SessionId.make("hpb-self"),
  participants: new Map(people.map((one) => [one.session, one]))
})
const seconds = (n: number) => n * 1000

describe("CallPresence", () => {
  it("hears from the moment a viewer is in the call and stops the moment the last one is not", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const at = (nowMs: number, roster: Roster) => presence.review({ intents: [intentOf(ada)], roster, nowMs })
    assert.isFalse(at(0, rosterOf(person("bob"))).hearing)
    assert.isTrue(at(1, rosterOf(person("bob"), person("ada"))).hearing)
    assert.isFalse(at(2, rosterOf(person("bob"), person("ada", 0))).hearing)
    assert.isFalse(at(3, rosterOf(person("bob"))).hearing)
  })

  it("forgets a viewer who has not been in the call for a minute, not one who comes back within it", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const at = (nowMs: number, roster: Roster) => presence.review({ intents: [intentOf(ada)], roster, nowMs }).forget
    assert.deepStrictEqual(at(0, rosterOf(person("bob"))), [])
    assert.deepStrictEqual(at(seconds(59), rosterOf(person("bob"))), [])
    assert.deepStrictEqual(at(seconds(59.5), rosterOf(person("bob"), person("ada"))), [])
    assert.deepStrictEqual(at(seconds(61), rosterOf(person("bob"))), [])
    assert.deepStrictEqual(at(seconds(121), rosterOf(person("bob"))), [ada])
  })

  const pageOf = (userId: string, name: string, inCall = 3): Participant => ({ ...person(name, inCall), userId })

  it("forgets a viewer at once whose page was loaded anew, and not the new page, which is not in the call yet", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const anew = participant(NextcloudSessionId.make("nc-anew"))
    const at = (nowMs: number, intents: ReadonlyArray<Intent>, ...people: ReadonlyArray<Participant>) =>
      presence.review({ intents, roster: rosterOf(...people), nowMs }).forget
    const before = pageOf("ada", "ada")
    assert.deepStrictEqual(at(0, [intentOf(ada)], before), [])
    // Its socket was cut without a word: the HPB shows it for another half minute.
    assert.deepStrictEqual(at(seconds(1), [intentOf(ada), intentOf(anew)], before, pageOf("ada", "anew", 0)), [])
    assert.deepStrictEqual(at(seconds(2), [intentOf(ada), intentOf(anew)], before, pageOf("ada", "anew")), [])
    assert.deepStrictEqual(at(seconds(30), [intentOf(ada), intentOf(anew)], pageOf("ada", "anew")), [ada])
    assert.deepStrictEqual(at(seconds(31), [intentOf(anew)], pageOf("ada", "anew")), [])
  })

  it("waits for a viewer who has lost the connection although another device of the same user is there", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const phone = pageOf("ada", "phone")
    const at = (nowMs: number, ...people: ReadonlyArray<Participant>) =>
      presence.review({ intents: [intentOf(ada)], roster: rosterOf(...people), nowMs }).forget
    assert.deepStrictEqual(at(0, phone, pageOf("ada", "ada")), [])
    assert.deepStrictEqual(at(seconds(30), phone), [])
    assert.deepStrictEqual(at(seconds(50), phone, pageOf("ada", "ada")), [])
  })

  it("two users of the same name are two, and guests have no second page", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const named = (one: Participant): Participant => ({ ...one, name: "Ada" })
    const at = (nowMs: number, ...people: ReadonlyArray<Participant>) =>
      presence.review({ intents: [intentOf(ada)], roster: rosterOf(...people), nowMs }).forget
    assert.deepStrictEqual(at(0, named(pageOf("ada", "ada"))), [])
    assert.deepStrictEqual(at(seconds(1), named(pageOf("other-ada", "other")), named(person("guest"))), [])
  })

  it("leaves a minute after the last viewer switched captions off", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const full = rosterOf(person("ada"), person("bob"))
    const leaves = (nowMs: number, intents: ReadonlyArray<Intent>) =>
      presence.review({ intents, roster: full, nowMs }).leave
    assert.isFalse(leaves(0, [intentOf(ada)]))
    assert.isFalse(leaves(seconds(1), []))
    assert.isFalse(leaves(seconds(60), []))
    assert.isTrue(leaves(seconds(61), []))
  })

  it("leaves ten seconds after the last person left the call", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const at = (nowMs: number, roster: Roster) => presence.review({ intents: [intentOf(ada)], roster, nowMs })
    assert.isFalse(at(0, rosterOf(person("ada"))).leave)
    assert.isFalse(at(seconds(1), rosterOf()).leave)
    assert.isFalse(at(seconds(10.9), rosterOf()).leave)
    const last = at(seconds(11), rosterOf())
    assert.isTrue(last.leave)
    assert.deepStrictEqual(last.forget, [ada])
  })

  it("waits a minute for people to come back after the room was joined anew", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const at = (nowMs: number, roster: Roster) => presence.review({ intents: [intentOf(ada)], roster, nowMs })
    assert.isTrue(at(0, rosterOf(person("ada"))).hearing)
    presence.rejoined()
    assert.isFalse(at(seconds(1), rosterOf()).leave)
    assert.isFalse(at(seconds(50), rosterOf()).leave)
    assert.isTrue(at(seconds(55), rosterOf(person("ada"))).hearing)
    assert.isFalse(at(seconds(100), rosterOf(person("ada"))).leave)
  })

  it("waits ten minutes for the first person when captions were started for everybody", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const at = (nowMs: number, roster: Roster) => presence.review({ intents: [intentOf(Everyone)], roster, nowMs })
    assert.isFalse(at(0, rosterOf()).leave)
    assert.deepStrictEqual(at(seconds(599), rosterOf()).forget, [])
    assert.isTrue(at(seconds(599.5), rosterOf(person("bob"))).hearing)
    assert.isFalse(at(seconds(605), rosterOf()).leave)
    assert.isTrue(at(seconds(615), rosterOf()).leave)
  })

  it("does not count services and phone callers as somebody who reads", () => {
    const presence = CallPresence.make(CallPresence.defaultLimits)
    const recorder: Participant = { session: SessionId.make("hpb-rec"), inCall: 3, internal: true, virtual: false }
    const decision = presence.review({ intents: [intentOf(Everyone)], roster: rosterOf(recorder), nowMs: 0 })
    assert.isFalse(decision.hearing)
  })
})
