/** What the HPB kept of our marks decides, after a cut, what is sent again. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as CaptionScene from "../support/CaptionScene.ts"
import { nextcloudId, person } from "../support/ScriptedSession.ts"

const sceneWith = Effect.fnUntraced(function* (options: Parameters<typeof CaptionScene.make>[0] = {}) {
  const scene = yield* CaptionScene.make({ recallMs: 20, ...options })
  for (const name of ["ada", "eve", "fay"]) {
    scene.join(person(name))
    if (name !== "ada") scene.asks(name)
  }
  return scene
})

const cut = (scene: CaptionScene.CaptionScene) => {
  scene.drop()
  scene.comeBack()
  scene.sink.resumed()
}

describe("a final that was not confirmed when the socket was lost", () => {
  for (const canReachCall of [false, true]) {
    it.effect(`is not sent again when its mark was kept (${canReachCall ? "call" : "sessions"})`, () =>
      Effect.gen(function* () {
        const scene = yield* sceneWith({ canReachCall })
        const ada = scene.voice("ada")
        scene.hush()
        ada.says("One.")
        ada.ends()
        ada.says("Two")
        yield* scene.wait(300)
        const count = scene.sent().length
        cut(scene)
        yield* scene.wait(5_000)
        ada.ends()
        yield* scene.wait(300)
        for (const name of ["eve", "fay"]) assert.strictEqual(scene.page(name).text(), "One. Two")
        assert.isFalse(
          scene
            .sent()
            .slice(count)
            .some(({ transcript }) => transcript.message.startsWith("One."))
        )
      })
    )
  }

  it.effect("is sent again when only an earlier one was read", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith()
      const ada = scene.voice("ada")
      scene.hush()
      ada.says("One.")
      ada.ends()
      yield* scene.wait(100)
      scene.vanish()
      ada.says("Two.")
      ada.ends()
      yield* scene.wait(100)
      const count = scene.sent().length
      cut(scene)
      yield* scene.wait(1_000)
      assert.deepStrictEqual(scene.messages().slice(count), ["eve ada: Two.*", "fay ada: Two.*"])
      for (const name of ["eve", "fay"]) assert.strictEqual(scene.page(name).text(), "One. Two.")
    })
  )

  it.effect(
    "nothing is sent while the HPB is asked, and the answer still counts when the socket is lost again before it",
    () =>
      Effect.gen(function* () {
        const scene = yield* sceneWith({ recallMs: 1_500 })
        const ada = scene.voice("ada")
        scene.hush()
        ada.says("One.")
        ada.ends()
        yield* scene.wait(100)
        const count = scene.sent().length
        cut(scene)
        ada.says("Two")
        yield* scene.wait(1_300)
        assert.strictEqual(scene.sent().length, count)
        cut(scene)
        yield* scene.wait(1_400)
        assert.strictEqual(scene.sent().length, count)
        yield* scene.wait(200)
        assert.deepStrictEqual(scene.messages().slice(count), ["eve ada: Two", "fay ada: Two"])
      })
  )

  it.effect("after a rejoin nobody is asked: it is sent again", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith({ recallMs: 1_500 })
      const ada = scene.voice("ada")
      scene.vanish()
      ada.says("One.")
      ada.ends()
      yield* scene.wait(100)
      scene.drop()
      scene.comeBack()
      scene.sink.resumed()
      yield* scene.wait(100)
      scene.drop()
      scene.comeBack()
      scene.sink.rejoined()
      yield* scene.wait(200)
      assert.strictEqual(scene.page("eve").text(), "One.")
    })
  )
})

it.effect("a final that waits for one reader is not sent again to the others who have it", () =>
  Effect.gen(function* () {
    const scene = yield* sceneWith()
    const ada = scene.voice("ada")
    ada.says("One.")
    ada.ends()
    yield* scene.wait(300)
    scene.drop()
    for (const name of ["ada", "eve", "fay"]) scene.leave(name)
    for (const name of ["ada", "eve"]) scene.join(person(`${name}-2`, { nextcloudSession: nextcloudId(name) }))
    scene.comeBack()
    scene.sink.rejoined()
    const anew = scene.voice("ada:1", "ada-2")
    anew.says("Two.")
    anew.ends()
    yield* scene.wait(300)
    cut(scene)
    yield* scene.wait(500)
    scene.join(person("fay-2", { nextcloudSession: nextcloudId("fay") }))
    yield* scene.wait(1_000)
    for (const name of ["eve", "fay"]) assert.strictEqual(scene.page(name).text(), "One.\nTwo.")
  })
)

it.effect("what was sent again and is lost once more is sent once more", () =>
  Effect.gen(function* () {
    const scene = yield* sceneWith()
    const ada = scene.voice("ada")
    scene.vanish()
    ada.says("One.")
    ada.ends()
    yield* scene.wait(100)
    cut(scene)
    scene.vanish()
    yield* scene.wait(300)
    cut(scene)
    yield* scene.wait(500)
    for (const name of ["eve", "fay"]) assert.strictEqual(scene.page(name).text(), "One.")
  })
)
