import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as CaptionScene from "../support/CaptionScene.ts"
import { id, nextcloudId, person } from "../support/ScriptedSession.ts"

const sceneWith = Effect.fnUntraced(function* (...names: ReadonlyArray<string>) {
  const scene = yield* CaptionScene.make()
  scene.join(...names.map((name) => person(name)))
  return scene
})

/** Everybody is told at the same time. */
const leave = (scene: CaptionScene.CaptionScene, name: string) => {
  scene.leave(name)
  scene.sink.speakerLeft(id(name))
}

describe("partials", () => {
  it.effect("come at once, then at most every 200 ms with the newest text, and the last one is not forgotten", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("Good")
      yield* scene.wait(50)
      ada.says("morning")
      yield* scene.wait(50)
      ada.says("to")
      assert.deepStrictEqual(scene.messages(), ["eve ada: Good"])
      yield* scene.wait(100)
      assert.deepStrictEqual(scene.messages(), ["eve ada: Good", "eve ada: Good morning to"])
      yield* scene.wait(5_000)
      assert.strictEqual(scene.sent().length, 2)
    })
  )

  it.effect("carry six words a second without falling behind, and the wait is told apart as pacing", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      for (let word = 0; word < 60; word++) {
        ada.says(`w${word}`)
        yield* scene.wait(1000 / 6)
      }
      ada.ends()
      const times = scene
        .page("eve")
        .received()
        .filter(({ transcript }) => !transcript.final)
        .map(({ atMs }) => atMs)
      assert.isAtLeast(Math.min(...times.slice(1).map((at, i) => at - (times[i] ?? 0))), 200)
      assert.strictEqual(scene.delays.length, 60)
      assert.isAtMost(Math.max(...scene.delays.map(({ pacingMs, totalMs, turnMs }) => totalMs - pacingMs - turnMs)), 1)
      assert.isAtMost(Math.max(...scene.delays.map(({ totalMs }) => totalMs)), 201)
    })
  )

  it.effect("are never empty", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says(" ")
      ada.says(".")
      ada.ends()
      yield* scene.wait(1000)
      ada.says(" Hello ")
      ada.ends()
      assert.deepStrictEqual(scene.messages(), ["eve ada: Hello", "eve ada: Hello*"])
    })
  )
})

describe("finals", () => {
  it.effect("are clause-sized within a long segment", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      const text =
        "When the rain had stopped, the children ran out into the garden and jumped into every puddle they saw, " +
        "while their mother looked on from the kitchen window without saying a single word about it to anybody at all " +
        "because she remembered well what it was like."
      for (const word of text.split(" ")) {
        ada.says(word)
        yield* scene.wait(300)
      }
      ada.ends()
      const finals = scene.sent().filter(({ transcript }) => transcript.final)
      assert.deepStrictEqual(
        finals.map(({ transcript }) => transcript.message),
        [
          "When the rain had stopped, the children ran out into the garden and jumped into every puddle they",
          "saw, while their mother looked on from the kitchen window without saying a single word about it to",
          "anybody at all because she remembered well what it was like."
        ]
      )
      assert.strictEqual(scene.page("eve").text(), text)
      assert.deepStrictEqual(scene.page("eve").rewritings(), [])
    })
  )

  it.effect("contain only committed text, and the open words come back at the same moment", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      const words = Array.from({ length: 60 }, (_, i) => `word${i}`)
      for (const [i, word] of words.entries()) {
        ada.says(word, words.slice(i + 1, i + 4).join(" "))
        yield* scene.wait(300)
      }
      ada.ends()
      assert.strictEqual(scene.page("eve").text(), words.join(" "))
      assert.deepStrictEqual(scene.page("eve").rewritings(), [])
      assert.isAtLeast(scene.sent().filter(({ transcript }) => transcript.final).length, 3)
    })
  )
})

describe("cross-talk", () => {
  it.effect("waits for the end of the other's clause", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      const bob = scene.voice("bob")
      ada.says("I think")
      bob.says("No")
      yield* scene.wait(400)
      ada.says("so,")
      ada.says("because")
      yield* scene.wait(2000)
      assert.deepStrictEqual(scene.messages(), [
        "eve ada: I think",
        "eve ada: I think so,*",
        "eve bob: No",
        "eve bob: No*",
        "eve ada: because"
      ])
    })
  )

  it.effect("waits 1.5 s at most, and later sends only what was not shown", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      const bob = scene.voice("bob")
      ada.says("one")
      ada.guesses("to free")
      bob.says("Hello")
      bob.ends()
      yield* scene.wait(1499)
      assert.deepStrictEqual(scene.messages(), ["eve ada: one", "eve ada: one to free"])
      yield* scene.wait(1)
      ada.says("two three four")
      assert.deepStrictEqual(scene.messages().slice(2), ["eve ada: one to free*", "eve bob: Hello*", "eve ada: four"])
      assert.deepStrictEqual(scene.page("eve").abandoned(), [])
      assert.deepStrictEqual(
        scene.delays.map(({ turnMs }) => turnMs),
        [0, 1500, 0]
      )
    })
  )

  it.effect("does not wait where no screen shows both", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob")
      scene.asks("ada")
      scene.asks("bob")
      scene.voice("ada").says("I think")
      scene.voice("bob").says("No")
      assert.deepStrictEqual(scene.messages(), ["bob ada: I think", "ada bob: No"])
    })
  )

  it.effect("four at once: nobody waits longer than 1.5 s, every word is read once", () =>
    Effect.gen(function* () {
      const names = ["ada", "bob", "cyd", "dan"]
      const scene = yield* sceneWith(...names, "eve")
      scene.asks("eve")
      const voices = names.map((name) => scene.voice(name))
      for (let word = 0; word < 40; word++) {
        for (const [i, voice] of voices.entries()) voice.says(`${names[i]}${word}`)
        yield* scene.wait(250)
      }
      for (const voice of voices) voice.ends()
      yield* scene.wait(2000)
      for (const name of names) {
        const expected = Array.from({ length: 40 }, (_, word) => `${name}${word}`).join(" ")
        assert.strictEqual(scene.page("eve").textOf(id(name)), expected)
      }
      assert.deepStrictEqual(scene.page("eve").abandoned(), [])
      assert.deepStrictEqual(scene.page("eve").rewritings(), [])
      assert.isAtMost(Math.max(...scene.delays.map(({ totalMs }) => totalMs)), 1701)
    })
  )
})

describe("speakers", () => {
  it.effect("are captioned only once they are in the call", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("Hello")
      ada.ends()
      yield* scene.wait(3000)
      assert.deepStrictEqual(scene.messages(), [])
      scene.join(person("ada"))
      yield* scene.wait(200)
      assert.deepStrictEqual(scene.messages(), ["eve ada: Hello*"])
    })
  )

  it.effect("who never appear are given up after 30 s", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("Hello")
      ada.ends()
      yield* scene.wait(31_000)
      scene.join(person("ada"))
      yield* scene.wait(1000)
      assert.deepStrictEqual(scene.messages(), [])
    })
  )

  it.effect("who leave say nothing more, and nobody waits for their clause to end", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("I must")
      const bob = scene.voice("bob")
      bob.says("Well")
      yield* scene.wait(500)
      leave(scene, "ada")
      ada.says("go")
      ada.ends()
      yield* scene.wait(31_000)
      scene.join(person("ada"))
      yield* scene.wait(1_000)
      assert.deepStrictEqual(scene.messages(), ["eve ada: I must", "eve bob: Well", "eve bob: Well*"])
    })
  )

  it.effect("who come back are captioned again", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      leave(scene, "ada")
      scene.join(person("ada"))
      scene.voice("ada").says("Back")
      assert.deepStrictEqual(scene.messages(), ["eve ada: Back"])
    })
  )

  it.effect(
    "who come back take nothing off the screens: what stood open is finished first, then what came while they were away",
    () =>
      Effect.gen(function* () {
        const scene = yield* sceneWith("ada", "eve", "fay")
        for (const name of ["eve", "fay"]) scene.asks(name)
        const ada = scene.voice("ada")
        ada.says("I must")
        yield* scene.wait(300)
        leave(scene, "ada")
        ada.says("go")
        ada.ends()
        yield* scene.wait(2_000)
        scene.join(person("ada"))
        yield* scene.wait(300)
        const anew = scene.voice("ada:1", "ada")
        anew.says("Here")
        anew.ends()
        for (const name of ["eve", "fay"]) assert.strictEqual(scene.page(name).text(), "I must go Here")
      })
  )

  it.effect("who come back after others spoke say only what was not read, to each reader", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob", "eve")
      for (const name of ["bob", "eve"]) scene.asks(name)
      const ada = scene.voice("ada")
      ada.says("I must")
      yield* scene.wait(300)
      leave(scene, "ada")
      ada.says("go")
      ada.ends()
      const bob = scene.voice("bob")
      bob.says("Well")
      bob.ends()
      yield* scene.wait(300)
      scene.join(person("ada"))
      yield* scene.wait(300)
      // Bob does not read what he says: on his page Ada's words stood open.
      assert.strictEqual(scene.page("bob").text(), "I must go")
      assert.strictEqual(scene.page("eve").text(), "I must\nWell\ngo")
      assert.strictEqual(scene.page("eve").textOf(id("ada")), "I must go")
    })
  )

  it.effect("who come back under another id say what was not read", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("I must")
      yield* scene.wait(300)
      leave(scene, "ada")
      ada.says("go")
      ada.ends()
      scene.join(person("ada-2", { nextcloudSession: nextcloudId("ada") }))
      yield* scene.wait(300)
      assert.strictEqual(scene.page("eve").text(), "I must\ngo")
    })
  )

  it.effect("whose last final pages did not take any more say it when they are back", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob", "eve", "fay")
      for (const name of ["bob", "eve"]) scene.asks(name)
      const ada = scene.voice("ada")
      ada.says("I must")
      yield* scene.wait(300)
      // On its way to the HPB when the pages are told.
      scene.vanish()
      ada.says("go.")
      ada.ends()
      leave(scene, "ada")
      scene.comeBack()
      yield* scene.wait(300)
      const bob = scene.voice("bob")
      bob.says("Well")
      bob.ends()
      yield* scene.wait(300)
      scene.join(person("ada"))
      yield* scene.wait(300)
      assert.strictEqual(scene.page("bob").text(), "I must go.")
      assert.strictEqual(scene.page("eve").text(), "I must\nWell\ngo.")
    })
  )

  it.effect("do not get their own words", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("ada")
      scene.voice("ada").says("Hello")
      yield* scene.wait(1000)
      assert.deepStrictEqual(scene.messages(), [])
    })
  )
})

describe("readers", () => {
  it.effect("get nothing from before they asked but the open text, and nothing after they stopped", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve", "fay")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("Long ago.")
      ada.ends()
      ada.says("And")
      scene.asks("fay")
      yield* scene.wait(200)
      ada.says("now")
      scene.stops("eve")
      yield* scene.wait(200)
      ada.says("this")
      assert.deepStrictEqual(
        scene.messages().filter((message) => message.startsWith("fay")),
        ["fay ada: And now", "fay ada: And now this"]
      )
      assert.deepStrictEqual(
        scene.messages().filter((message) => message.startsWith("eve")),
        ["eve ada: Long ago.", "eve ada: Long ago.*", "eve ada: And", "eve ada: And now"]
      )
    })
  )

  it.effect("are served from the moment their session is known", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("One.")
      ada.ends()
      ada.says("Two")
      scene.join(person("eve-2", { nextcloudSession: nextcloudId("eve") }))
      yield* scene.wait(200)
      ada.says("three")
      assert.deepStrictEqual(scene.messages(), ["eve-2 ada: Two three"])
    })
  )

  it.effect("who come back after nobody read find nothing old, and wait for nobody", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      scene.voice("ada:0", "ada").says("Old words")
      scene.stops("eve")
      yield* scene.wait(1000)
      scene.asks("eve")
      scene.voice("ada:1", "ada").says("New")
      assert.deepStrictEqual(scene.messages(), ["eve ada: Old words", "eve ada: New"])
    })
  )

  it.effect("are not left with an open caption when a voice ends without a final", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      scene.voice("ada").says("And then")
      yield* scene.wait(9_000)
      assert.isTrue(scene.page("eve").isOpen())
      yield* scene.wait(2_000)
      assert.isFalse(scene.page("eve").isOpen())
    })
  )

  it.effect("who change the language get the open text finished in the old one", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve", "en")
      const ada = scene.voice("ada")
      ada.says("Bon")
      scene.asks("eve", "fr")
      yield* scene.wait(200)
      ada.says("jour")
      assert.deepStrictEqual(
        scene.sent().map(({ transcript }) => [transcript.langId, transcript.message, transcript.final]),
        [
          ["en", "Bon", false],
          ["en", "Bon", true],
          ["fr", "jour", false]
        ]
      )
    })
  )
})

describe("the route", () => {
  it.effect("is one message to the call when all have asked in one language", () =>
    Effect.gen(function* () {
      const scene = yield* CaptionScene.make({ canReachCall: true })
      const phone = person("phone", { virtual: true, inCall: 9 })
      scene.join(person("ada"), person("bob"), person("eve"), phone)
      for (const name of ["ada", "bob", "eve"]) scene.asks(name)
      const ada = scene.voice("ada")
      ada.says("Hello")
      ada.ends()
      assert.deepStrictEqual(scene.messages(), ["call ada: Hello", "call ada: Hello*"])
    })
  )

  it.effect("changes only between captions, and only after the HPB has read what went the other way", () =>
    Effect.gen(function* () {
      const scene = yield* CaptionScene.make({ canReachCall: true })
      scene.join(person("ada"), person("bob"), person("eve"))
      for (const name of ["ada", "bob", "eve"]) scene.asks(name)
      const ada = scene.voice("ada")
      ada.says("Hello")
      yield* scene.wait(200)
      scene.join(person("newcomer"))
      ada.says("there")
      assert.deepStrictEqual(scene.messages(), ["call ada: Hello", "call ada: Hello*"])
      yield* scene.wait(10)
      assert.deepStrictEqual(scene.messages().slice(2), ["bob ada: there", "eve ada: there"])
      scene.asks("newcomer")
      yield* scene.wait(200)
      ada.says("you")
      ada.ends()
      assert.strictEqual(scene.messages().at(-1), "newcomer ada: there you*")
      yield* scene.wait(10)
      ada.says("Now")
      assert.strictEqual(scene.messages().at(-1), "call ada: Now")
    })
  )

  it.effect("is a message to each where an older HPB cannot reach the call", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob", "eve")
      scene.join(person("recorder", { internal: true }))
      scene.asksForEveryone()
      scene.voice("ada").says("Hello")
      assert.deepStrictEqual(scene.messages(), ["bob ada: Hello", "eve ada: Hello"])
      scene.setCanReachCall(true)
      yield* scene.wait(10)
      scene.voice("bob").says("Hi")
      yield* scene.wait(2000)
      assert.strictEqual(scene.messages().at(-1), "call bob: Hi")
    })
  )
})

describe("a lost socket", () => {
  it.effect("finals that were not proven are sent again, then the newest partial", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("One.")
      ada.ends()
      yield* scene.wait(100)
      scene.vanish()
      ada.says("Two.")
      ada.ends()
      ada.says("Three")
      yield* scene.wait(500)
      scene.drop()
      yield* scene.wait(500)
      ada.says("four.")
      ada.ends()
      ada.says("Five")
      yield* scene.wait(500)
      scene.comeBack()
      scene.sink.resumed()
      yield* scene.wait(1000)
      assert.strictEqual(scene.page("eve").text(), "One. Two. Three four. Five")
      assert.deepStrictEqual(scene.page("eve").abandoned(), [])
      const count = scene.sent().length
      yield* scene.wait(5_000)
      assert.strictEqual(scene.sent().length, count)
    })
  )

  it.effect("what went to the call goes to the call again", () =>
    Effect.gen(function* () {
      const scene = yield* CaptionScene.make({ canReachCall: true })
      const names = ["ada", "eve", "fay"]
      scene.join(...names.map((name) => person(name)))
      for (const name of names) scene.asks(name)
      const ada = scene.voice("ada")
      scene.vanish()
      ada.says("One.")
      ada.ends()
      ada.says("Two")
      yield* scene.wait(100)
      scene.drop()
      scene.comeBack()
      scene.sink.resumed()
      yield* scene.wait(300)
      assert.deepStrictEqual(scene.messages().slice(3), ["call ada: One.*", "call ada: Two"])
      assert.strictEqual(scene.page("eve").text(), "One. Two")
    })
  )

  it.effect("recovers without being told when it never really went", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      scene.drop()
      ada.says("One.")
      ada.ends()
      scene.comeBack()
      yield* scene.wait(2000)
      assert.strictEqual(scene.page("eve").text(), "One.")
    })
  )

  it.effect("after a rejoin old words go out under the new id, once, to readers as they come back", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve", "fay")
      scene.asks("eve")
      scene.asks("fay")
      const ada = scene.voice("ada")
      ada.says("One two")
      yield* scene.wait(300)
      scene.vanish()
      ada.says("three.")
      ada.ends()
      yield* scene.wait(300)
      scene.drop()
      yield* scene.wait(40_000)
      for (const name of ["ada", "eve", "fay"]) scene.leave(name)
      scene.comeBack()
      scene.sink.rejoined()
      scene.sink.speakerLeft(id("ada"))
      yield* scene.wait(1000)
      const count = scene.sent().length
      scene.join(person("eve-2", { nextcloudSession: nextcloudId("eve") }))
      scene.join(person("ada-2", { nextcloudSession: nextcloudId("ada") }))
      yield* scene.wait(200)
      const anew = scene.voice("ada:1", "ada-2")
      anew.says("Four.")
      anew.ends()
      scene.join(person("fay-2", { nextcloudSession: nextcloudId("fay") }))
      yield* scene.wait(2000)
      assert.deepStrictEqual(scene.messages().slice(count), [
        "eve-2 ada-2: three.*",
        "eve-2 ada-2: Four.",
        "eve-2 ada-2: Four.*",
        "fay-2 ada-2: three.*",
        "fay-2 ada-2: Four.*"
      ])
    })
  )
})

describe("the end", () => {
  it.effect("everything open is finished and confirmed", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "bob", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.says("That is")
      scene.voice("bob").says("Wait")
      ada.says("all")
      yield* Effect.forkChild(scene.sink.drain)
      yield* scene.wait(10)
      assert.deepStrictEqual(scene.messages(), ["eve ada: That is", "eve ada: That is all*", "eve bob: Wait*"])
    })
  )

  it.effect("takes 2 s at most where the HPB does not answer", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      scene.vanish()
      scene.voice("ada").says("Hello")
      const draining = yield* Effect.forkChild(scene.sink.drain)
      yield* scene.wait(1999)
      assert.isUndefined(draining.pollUnsafe())
      yield* scene.wait(1)
      assert.isDefined(draining.pollUnsafe())
    })
  )
})

describe("metrics", () => {
  it.effect("count captions, those sent again, and how long tokens were under way", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve", "fay")
      scene.asks("eve")
      scene.asks("fay")
      const ada = scene.voice("ada")
      ada.says("One")
      yield* scene.wait(100)
      scene.vanish()
      ada.says("two")
      ada.ends()
      yield* scene.wait(100)
      scene.drop()
      yield* scene.wait(100)
      scene.comeBack()
      scene.sink.resumed()
      const kind = (value: string) => Metric.value(Metric.withAttributes(Metrics.captions, { kind: value }))
      assert.strictEqual((yield* kind("partial")).count, 1)
      assert.strictEqual((yield* kind("final")).count, 1)
      assert.strictEqual((yield* Metric.value(Metrics.captionsResent)).count, 2)
      assert.strictEqual((yield* Metric.value(Metrics.tokenToHpb)).count, 2)
    }).pipe(CaptionScene.isolated)
  )

  it.effect("count what could not be shown", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      leave(scene, "ada")
      const ada = scene.voice("ada")
      ada.says("Too late")
      ada.ends()
      const nobody = scene.voice("nobody")
      nobody.says("Never seen")
      nobody.ends()
      yield* scene.wait(31_000)
      const dropped = (reason: string) => Metric.value(Metric.withAttributes(Metrics.drops, { reason }))
      assert.strictEqual((yield* dropped("caption_speaker_left")).count, 1)
      assert.strictEqual((yield* dropped("caption_speaker_unknown")).count, 1)
      assert.deepStrictEqual(scene.messages(), [])
    }).pipe(CaptionScene.isolated)
  )
})

describe("speech that had to be given up", () => {
  it.effect("is seen by whoever reads, where it was", () =>
    Effect.gen(function* () {
      const scene = yield* sceneWith("ada", "eve")
      scene.asks("eve")
      const ada = scene.voice("ada")
      ada.misses(3000)
      ada.says("Good morning")
      ada.ends()
      ada.misses(12_000)
      yield* scene.wait(1000)
      ada.says("so we agree")
      ada.ends()
      yield* scene.wait(1000)
      const finals = scene.messages().filter((message) => message.endsWith("*"))
      assert.deepStrictEqual(finals, [
        "eve ada: […]*",
        "eve ada: Good morning*",
        "eve ada: […]*",
        "eve ada: so we agree*"
      ])
    })
  )
})
