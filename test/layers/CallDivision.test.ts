import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import type { LeftVoice } from "../../src/domain/HandOver.ts"
import { defaultLanguage, LanguageId } from "../../src/domain/Language.ts"
import type { Privacy } from "../../src/domain/Privacy.ts"
import { Incarnation } from "../../src/domain/Seat.ts"
import type { VoiceKey } from "../../src/domain/Speaker.ts"
import * as CallDivision from "../../src/layers/CallDivision.ts"
import type { PartEnd, PartLink, PartOrder } from "../../src/layers/CallPart.ts"
import type { RemoteVoices } from "../../src/layers/RemoteVoices.ts"

const room = RoomToken.make("room1")
const rank = { epoch: 1, incarnation: Incarnation.make("lead") }
const keys = (count: number) =>
  Array.from({ length: count }, (_, n): VoiceKey => ({ publisher: SessionId.make(`s${n}`), roomType: "video" }))

/** A part answers so late that it has taken voices. */
const TAKES = "250 millis"
const nothing = new Uint8Array(0)
const left = (key: VoiceKey): LeftVoice => ({
  ...{
    id: `${key.publisher} there`,
    key,
    position: 0,
    said: "",
    speech: nothing,
    newest: nothing,
    quietMs: 0,
    isOver: false
  }
})

const silent = (): RemoteVoices => {
  let turn = 0
  return {
    take: () => {},
    given: () => [],
    resume: () => {},
    resumed: () => [],
    silence: () => {
      turn += 1
    },
    turn: () => turn,
    hold: () => () => {},
    moved: (_, given) => given,
    lost: () => []
  }
}

/** A call of which one runner hears two voices, with as many others as are asked for, up to `available`; `before`: whom a part of a lead before hears. */
const scene = Effect.fnUntraced(function* (available: number, before: ReadonlyArray<VoiceKey> = []) {
  const orders: Array<PartOrder> = []
  const links: Array<PartLink> = []
  const rules: { language: LanguageId; privacy: Privacy } = { language: defaultLanguage, privacy: "any" }
  let changes = 0
  let goesOn = (_: VoiceKey) => false
  const another = (hears: ReadonlyArray<VoiceKey>) => {
    const link: PartLink = {
      incarnation: Incarnation.make(`part${links.length}`),
      hears: () => hears,
      connected: () => orders.at(-1)?.hears.length ?? 0,
      order: (order) => orders.push(order),
      listen: () => Stream.never,
      acknowledge: () => {},
      given: (voices) => Effect.succeed(voices.map(left)),
      kept: Effect.succeed,
      take: () => Effect.as(Effect.sleep(TAKES), []),
      finish: Effect.void,
      leaving: Deferred.makeUnsafe<void>(),
      gone: Deferred.makeUnsafe<PartEnd>()
    }
    links.push(link)
    return link
  }
  const division = yield* CallDivision.make({
    ...{ room, seat: { rank }, remote: silent(), most: 2 },
    parts: {
      running: () => Effect.sync(() => (before.length === 0 ? [] : [another(before)])),
      open: () => Effect.sync(() => (links.length >= available ? undefined : another([])))
    },
    language: () => rules.language,
    privacy: () => rules.privacy,
    iceServers: () => undefined,
    own: { kept: Effect.succeed, take: () => Effect.succeed([]) },
    keep: (isKept, isOurs) => {
      goesOn = (key) => !isKept(key) && isOurs(key)
    },
    findLeft: () => Effect.succeed([]),
    retell: () => {},
    onChange: Effect.sync(() => {
      changes += 1
    })
  })
  const ours = (count: number) => keys(count).filter(division.isOurs).length
  /** Whom the lead hears at once, also of those who were only kept. */
  const heard = (count: number) => keys(count).filter(goesOn).length
  return { division, orders, links, rules, ours, heard, changes: () => changes }
})

describe("CallDivision", () => {
  it.effect("asks nobody as long as one runner can hear the call", () =>
    Effect.gen(function* () {
      const { division, links, ours } = yield* scene(1)
      division.follow(keys(2))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(links.length, 0)
      assert.strictEqual(ours(2), 2)
    })
  )

  it.effect("has others hear who is too many, and counts them", () =>
    Effect.gen(function* () {
      const { division, orders, ours } = yield* scene(1)
      division.follow(keys(4))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(ours(4), 2)
      assert.deepStrictEqual(orders.at(-1)?.hears, keys(4).slice(2))
      assert.strictEqual(division.connected(), 2)
    })
  )

  it.effect("hears everybody itself where there is no other runner", () =>
    Effect.gen(function* () {
      const { changes, division, ours } = yield* scene(0)
      division.follow(keys(4))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(ours(4), 4)
      assert.isAtLeast(changes(), 1)
    })
  )

  it.effect("tells parts that nobody reads, and the language and the rule that hold, each once", () =>
    Effect.gen(function* () {
      const { division, orders, rules } = yield* scene(1)
      division.follow(keys(4))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      const before = orders.length
      division.follow(keys(4))
      assert.strictEqual(orders.length, before)
      rules.language = LanguageId.make("de")
      division.follow(keys(4))
      assert.strictEqual(orders.at(-1)?.language, "de")
      rules.privacy = "local-only"
      division.setHearing(false)
      assert.deepInclude(orders.at(-1), { isHearing: false, turn: 1, privacy: "local-only" })
      division.setHearing(true)
      assert.deepInclude(orders.at(-1), { isHearing: true, turn: 1, hears: keys(4).slice(2) })
    })
  )

  it.effect("lets a part of a lead before go on until it is known who reads, and end where nobody does", () =>
    Effect.gen(function* () {
      const { division, orders } = yield* scene(1, keys(4).slice(2))
      division.follow(keys(4))
      assert.strictEqual(orders.length, 0)
      division.setHearing(false)
      assert.deepInclude(orders.at(-1), { isHearing: false })
      division.setHearing(false)
      assert.strictEqual(orders.length, 1)
      division.setHearing(true)
      assert.deepInclude(orders.at(-1), { isHearing: true, hears: keys(4).slice(2) })
    })
  )

  it.effect("has whom a part hears whose runner ends heard by the next one, while its last words come", () =>
    Effect.gen(function* () {
      const { division, links, orders, ours } = yield* scene(2)
      division.follow(keys(4))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      const [first] = links
      if (first !== undefined) yield* Deferred.succeed(first.leaving, undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(links.length, 2)
      assert.strictEqual(ours(4), 2)
      assert.deepStrictEqual(orders.at(-1)?.hears, keys(4).slice(2))
      if (first !== undefined) yield* Deferred.succeed(first.gone, "Left")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(links.length, 2)
    })
  )

  it.effect("has a part hear whom it gives until another has taken them, whatever it is told meanwhile", () =>
    Effect.gen(function* () {
      const { division, links, orders, rules } = yield* scene(2)
      division.follow(keys(4))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      const [first] = links
      if (first !== undefined) yield* Deferred.succeed(first.leaving, undefined)
      for (let n = 0; n < 50; n++) {
        rules.language = LanguageId.make(n % 2 === 0 ? "de" : "en")
        division.follow(keys(4))
        yield* TestClock.adjust("20 millis")
      }
      const letGo = orders.filter(({ moved }) => moved.length > 0)
      assert.deepStrictEqual(letGo[0]?.moved, ["s2 there", "s3 there"])
      assert.isTrue(letGo.every(({ hears }) => hears.length === 0))
    })
  )

  it.effect("has nobody kept or heard where nobody reads any more, also when a runner of a part ends then", () =>
    Effect.gen(function* () {
      const { division, heard, links, orders } = yield* scene(1)
      division.follow(keys(4))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(heard(4), 2)
      division.setHearing(false)
      assert.strictEqual(heard(4), 0)
      const [part] = links
      if (part !== undefined) yield* Deferred.succeed(part.leaving, undefined)
      yield* TestClock.adjust("1 second")
      division.setHearing(true)
      assert.deepInclude(orders.at(-1), { isHearing: true, hears: [] })
    })
  )

  it.effect("has whom a part heard that is gone heard by the next one", () =>
    Effect.gen(function* () {
      const { division, links, orders, ours } = yield* scene(2)
      division.follow(keys(4))
      division.setHearing(true)
      yield* TestClock.adjust("1 second")
      const [first] = links
      if (first !== undefined) yield* Deferred.succeed(first.gone, "Died")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(links.length, 2)
      assert.deepStrictEqual(orders.at(-1)?.hears, keys(4).slice(2))
      assert.strictEqual(ours(4), 2)
    })
  )
})
