import { assert, describe, it } from "@effect/vitest"
import { type Intent, NextcloudSessionId, participant, RoomToken } from "../../src/domain/Call.ts"
import { defaultLanguage, LanguageId } from "../../src/domain/Language.ts"
import * as CallIntents from "../../src/layers/CallIntents.ts"
import * as CallPrivacy from "../../src/layers/CallPrivacy.ts"

const room = RoomToken.make("room1")
const of = (viewer: string, more: Partial<Intent> = {}): Intent => ({
  room,
  viewer: participant(NextcloudSessionId.make(viewer)),
  language: defaultLanguage,
  ...more
})

/** The intents of a room, and what of them is recorded at last. */
const scene = (rooms: ReadonlyArray<RoomToken> = []) => {
  const recorded = new Map<string, Intent["privacy"] | "gone">()
  const intents = CallIntents.make(room, defaultLanguage, ({ privacy, viewer }, isWanted) => {
    if (viewer._tag === "Participant") recorded.set(viewer.session, isWanted ? privacy : "gone")
  })
  return { intents, recorded, privacy: CallPrivacy.make(rooms, intents) }
}

describe("a call's privacy", () => {
  it("is as strict as its room, and as whoever asked most strictly, for as long as anybody reads", () => {
    const { intents, privacy, recorded } = scene()
    intents.add(of("ada"), undefined)
    assert.strictEqual(privacy(), "any")
    intents.add(of("vera", { privacy: "local-only" }), undefined)
    assert.strictEqual(privacy(), "local-only")
    intents.add(of("vera"), undefined)
    intents.add(of("carl", { privacy: "any" }), undefined)
    intents.remove(of("vera").viewer)
    intents.setLanguage(LanguageId.make("fr"))
    assert.strictEqual(privacy(), "local-only")
    // so that it is after a restart, too
    assert.deepStrictEqual(Object.fromEntries(recorded), { ada: "local-only", vera: "gone", carl: "local-only" })
    intents.clear()
    intents.add(of("ada"), undefined)
    assert.strictEqual(privacy(), "any")
  })

  it("is local-only in the rooms that are listed", () => {
    assert.strictEqual(scene([RoomToken.make("other")]).privacy(), "any")
    assert.strictEqual(scene([RoomToken.make("other"), room]).privacy(), "local-only")
  })

  it("is what an earlier process knew", () => {
    const { intents, privacy } = scene()
    intents.add(of("ada"), undefined)
    intents.restore(of("ada", { privacy: "local-only" }))
    assert.strictEqual(privacy(), "local-only")
  })
})
