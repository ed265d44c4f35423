import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { RoomToken, SessionId } from "../../src/domain/Call.ts"
import type { Caption } from "../../src/domain/Caption.ts"
import { defaultLanguage, kyutaiLanguages } from "../../src/domain/Language.ts"
import type { Participant, Roster } from "../../src/domain/Roster.ts"
import { isFinal, type Segment, type Transcribed, textOf } from "../../src/domain/Segment.ts"
import * as CallVoices from "../../src/layers/CallVoices.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { keepsNothing } from "../../src/services/SpeechJournal.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import { payloads, send } from "../support/OpusRecordings.ts"

const session = (name: string) => SessionId.make(name)
const person = (name: string, more: Partial<Participant> = {}): Participant => ({
  session: session(name),
  name,
  inCall: 3,
  internal: false,
  virtual: false,
  ...more
})
const rosterOf = (...people: ReadonlyArray<Participant>): Roster => ({
  participants: new Map(people.map((one) => [one.session, one]))
})
const segment = (id: string, revision = 1): Segment => ({ id, revision, committed: "hello", open: "", tokenAtMs: 0 })

/** Voices whose segments a test says. */
const scene = Effect.fnUntraced(function* (first: Roster) {
  let roster = first
  const captions: Array<Caption> = []
  const said = yield* Queue.make<Transcribed>({ capacity: 100 })
  const sink = {
    publish: (caption: Caption) => captions.push(caption),
    speakerLeft: () => {},
    resumed: () => {},
    rejoined: () => {},
    drain: Effect.void
  }
  const transcriber = Layer.succeed(Transcriber, {
    transcribe: () => Stream.fromQueue(said),
    languages: kyutaiLanguages,
    prepare: () => Effect.void
  })
  const voices = yield* CallVoices.make({
    room: RoomToken.make("room1"),
    sink,
    roster: () => roster,
    language: () => defaultLanguage,
    privacy: () => "any",
    journal: keepsNothing
  }).pipe(Effect.provide(Layer.merge(OpusDecoder.layer, transcriber)))
  const gives = (one: Transcribed) =>
    Effect.andThen(Queue.offer(said, one), Effect.repeat(Effect.yieldNow, { times: 5 }))
  return {
    voices,
    says: (segment: Segment) => gives({ _tag: "Segment", segment }),
    /** So many seconds of speech were given up. */
    loses: (seconds: number) => gives({ _tag: "Interrupted", position: 48_000, samples: seconds * 24_000 }),
    captions,
    becomes: (...people: ReadonlyArray<Participant>) => {
      roster = rosterOf(...people)
    },
    speakers: () => captions.map(({ speaker }) => speaker),
    names: () => captions.map(({ speakerName }) => speakerName)
  }
})

const bridge = person("bridge", { internal: true })
const caller = (name: string, talking: boolean) => person(name, { virtual: true, inCall: 9, talking })

describe("who is said to have spoken", () => {
  it.effect("is the participant who publishes, by name", () =>
    Effect.gen(function* () {
      const { names, says, speakers, voices } = yield* scene(rosterOf(person("ada")))
      voices.start({ publisher: session("ada"), roomType: "video" })
      yield* says(segment("a:0"))
      assert.deepStrictEqual(speakers(), ["ada"])
      assert.deepStrictEqual(names(), ["ada"])
    })
  )

  it.effect("is told apart by session where two have the same name", () =>
    Effect.gen(function* () {
      const roster = rosterOf(person("ada-1", { name: "Ada" }), person("ada-2", { name: "Ada" }))
      const captions: Array<Caption> = []
      const voices = yield* CallVoices.make({
        room: RoomToken.make("room1"),
        sink: {
          publish: (caption) => captions.push(caption),
          speakerLeft: () => {},
          resumed: () => {},
          rejoined: () => {},
          drain: Effect.void
        },
        roster: () => roster,
        language: () => defaultLanguage,
        privacy: () => "any",
        journal: keepsNothing
      }).pipe(
        Effect.provide(OpusDecoder.layer),
        // Each voice says its own id.
        Effect.provideService(Transcriber, {
          transcribe: ({ id }) =>
            Stream.succeed({ _tag: "Segment" as const, segment: { ...segment(`${id}:0`), committed: id } }),
          languages: kyutaiLanguages,
          prepare: () => Effect.void
        })
      )
      for (const name of ["ada-2", "ada-1", "ada-2"]) {
        voices.start({ publisher: session(name), roomType: "video" })
        yield* Effect.repeat(Effect.yieldNow, { times: 10 })
      }
      assert.deepStrictEqual(
        captions.map(({ segment, speaker, speakerName }) => [textOf(segment).split(":")[1], speaker, speakerName]),
        ["ada-2", "ada-1", "ada-2"].map((name) => [name, name, "Ada"])
      )
      assert.strictEqual(new Set(captions.map(({ segment }) => segment.id)).size, 3)
    })
  )

  it.effect("is the phone caller who talks, not the bridge which publishes", () =>
    Effect.gen(function* () {
      const { says, speakers, voices } = yield* scene(rosterOf(bridge, caller("ann", false), caller("ben", true)))
      voices.start({ publisher: session("bridge"), roomType: "video" })
      yield* says(segment("a:0"))
      assert.deepStrictEqual(speakers(), ["ben"])
    })
  )

  it.effect("stays the same for a whole segment, though another caller begins to talk in it", () =>
    Effect.gen(function* () {
      const { becomes, says, speakers, voices } = yield* scene(
        rosterOf(bridge, caller("ann", true), caller("ben", false))
      )
      voices.start({ publisher: session("bridge"), roomType: "video" })
      yield* says(segment("a:0"))
      becomes(bridge, caller("ann", false), caller("ben", true))
      yield* says(segment("a:0", 2))
      yield* says(segment("a:1"))
      assert.deepStrictEqual(speakers(), ["ann", "ann", "ben"])
    })
  )

  it.effect("stays who it was when the last words come after the speaker has left", () =>
    Effect.gen(function* () {
      const { becomes, says, speakers, voices } = yield* scene(rosterOf(bridge, caller("ann", true)))
      voices.start({ publisher: session("bridge"), roomType: "video" })
      yield* says(segment("a:0"))
      becomes()
      yield* says(segment("a:1"))
      assert.deepStrictEqual(speakers(), ["ann", "ann"])
    })
  )
})

describe("speech that had to be given up", () => {
  it.effect("is a mark of its speaker, final at once, between what was said before and after", () =>
    Effect.gen(function* () {
      const { captions, loses, says, voices } = yield* scene(rosterOf(person("ada")))
      voices.start({ publisher: session("ada"), roomType: "video" })
      yield* loses(1)
      yield* says(segment("a:0"))
      yield* loses(2)
      yield* loses(3)
      yield* says(segment("a:1"))
      assert.deepStrictEqual(
        captions.map(({ interrupted, segment }) => [interrupted?.lengthMs ?? textOf(segment), isFinal(segment)]),
        [
          [1000, true],
          ["hello", false],
          [2000, true],
          [3000, true],
          ["hello", false]
        ]
      )
      assert.deepStrictEqual(captions[2]?.interrupted, { atMs: 2000, lengthMs: 2000 })
      assert.deepStrictEqual([...new Set(captions.map(({ speaker }) => speaker))], ["ada"])
      const ordinals = captions.map(({ segment: { id } }) => Number(id.slice(id.lastIndexOf(":") + 1)))
      assert.deepStrictEqual(ordinals, [-0.5, 0, 0.5, 0.75, 1])
    })
  )
})

describe("what was spoken", () => {
  it.effect("is counted in seconds, without the silence around it that is heard with it", () =>
    Effect.gen(function* () {
      const { voices } = yield* scene(rosterOf(person("ada")))
      const { onPacket } = voices.start({ publisher: session("ada"), roomType: "video" })
      // sound at 0.5–1.3 s and at 2.3–4 s
      for (const { packet } of send(payloads("phrases20"))) {
        onPacket(packet)
        yield* TestClock.adjust("20 millis")
      }
      yield* TestClock.adjust("1 second")
      const { count } = yield* Metric.value(Metric.withAttributes(Metrics.speechSeconds, { source: "talk" }))
      assert.approximately(count, 2.5, 0.1)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
