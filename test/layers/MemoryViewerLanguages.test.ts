import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { RoomToken } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as MemoryViewerLanguages from "../../src/layers/MemoryViewerLanguages.ts"
import { ViewerLanguages } from "../../src/services/ViewerLanguages.ts"

const room = RoomToken.make("room1")
const en = LanguageId.make("en")
const fr = LanguageId.make("fr")

describe("MemoryViewerLanguages", () => {
  it.effect("keeps each user's choice until the room's is newer", () =>
    Effect.gen(function* () {
      const languages = yield* ViewerLanguages
      assert.isUndefined(yield* languages.last(room, "ada"))
      yield* languages.choose(room, "ada", fr)
      assert.strictEqual(yield* languages.last(room, "ada"), fr)
      assert.isUndefined(yield* languages.last(room, "bob"))
      assert.isUndefined(yield* languages.last(room, undefined))
      assert.isUndefined(yield* languages.last(RoomToken.make("room2"), "ada"))
      yield* languages.chooseForAll(room, en)
      assert.strictEqual(yield* languages.last(room, "ada"), en)
      assert.strictEqual(yield* languages.last(room, undefined), en)
      yield* languages.choose(room, "ada", fr)
      assert.strictEqual(yield* languages.last(room, "ada"), fr)
    }).pipe(Effect.provide(MemoryViewerLanguages.layer))
  )

  it.effect("stays bounded: the rooms and users go of whom nothing was heard for longest", () =>
    Effect.gen(function* () {
      const languages = yield* ViewerLanguages
      for (let n = 0; n < 1_001; n++) yield* languages.choose(room, `user${n}`, fr)
      assert.isUndefined(yield* languages.last(room, "user0"))
      assert.strictEqual(yield* languages.last(room, "user1"), fr)
      for (let n = 0; n < 1_000; n++) yield* languages.choose(RoomToken.make(`other${n}`), "ada", fr)
      assert.isUndefined(yield* languages.last(room, "user1000"))
      assert.strictEqual(yield* languages.last(RoomToken.make("other0"), "ada"), fr)
    }).pipe(Effect.provide(MemoryViewerLanguages.layer))
  )
})
