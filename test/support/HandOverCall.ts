/**
 * A call on the test clock that goes from runner to runner: the real calls with their fences, between one scripted HPB with the pages of its
 * readers, publishers whose packets all runners get, and engines that understand the words that come to them whole.
 */
import { Context, Effect, Fiber, FiberSet, Layer, Metric, Random, References, Schema, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { participant } from "../../src/domain/Call.ts"
import * as HandOver from "../../src/domain/HandOver.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as CallIntents from "../../src/layers/CallIntents.ts"
import { type Answer, HandOverRefused } from "../../src/layers/CallSeat.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import { PeerConnection } from "../../src/services/PeerConnection.ts"
import * as Dice from "../../tools/chaos/Dice.ts"
import * as Utterances from "../../tools/chaos/deterministic/Utterances.ts"
import * as Judge from "../../tools/chaos/Judge.ts"
import * as CountedSound from "./CountedSound.ts"
import * as RunnersOfCall from "./RunnersOfCall.ts"
import * as ScriptedSession from "./ScriptedSession.ts"

/** What happens while the call is handed over. */
export const handOverFaults = [
  "nothing",
  "the engine's sessions are cut",
  "the HPB is cut from who gives",
  "who takes dies before it asks",
  "who takes dies with what it was given",
  "the answer is lost",
  "who gives dies when it has given",
  "who gives dies before it is asked"
] as const
export type HandOverFault = (typeof handOverFaults)[number]

export interface HandOverOutcome {
  readonly seed: number
  readonly faults: ReadonlyArray<HandOverFault>
  /** Hand-overs that came to something. */
  readonly moved: number
  readonly words: number
  /** Words that nobody had to say. */
  readonly excused: number
  readonly complaints: ReadonlyArray<string>
  readonly story: ReadonlyArray<string>
}

const STEP_MS = 20
const SPEECH_MS = 14_000
const AFTERWARDS_MS = 16_000
const wire = Schema.fromJsonString(HandOver.Left)

/** Plays the call of a seed; nothing of it outlives it. */
export const play = (
  seed: number,
  faults: ReadonlyArray<HandOverFault> = handOverFaults
): Effect.Effect<HandOverOutcome> =>
  Effect.scoped(scene(seed, faults)).pipe(
    Random.withSeed(`hand-over ${seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer())
  )

const scene = Effect.fnUntraced(function* (
  seed: number,
  possible: ReadonlyArray<HandOverFault>
): Effect.fn.Return<HandOverOutcome, never, Scope.Scope> {
  const now = yield* monotonicMs
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const dice = Dice.make(seed)
  const story: Array<string> = []
  const note = (what: string) => story.push(`${(now() / 1000).toFixed(3).padStart(8)} ${what}`)
  const complaints = new Set<string>()
  const confirmMs = dice.between(1, 30)
  const scripted = ScriptedSession.make({ now, canReachCall: dice.chance(0.5), confirmMs })
  const { room } = scripted.session
  const names = ["ada", "bob", "cyd"].slice(0, dice.between(1, 3))
  const readers = ["vera", "wim"].slice(0, dice.between(1, 2))
  const sounds = CountedSound.make(
    names.map((name) => ({
      name,
      stretches: Utterances.make(
        dice.fork(name),
        { soundMs: SPEECH_MS, unspaced: false, noise: 0, pauses: [100, 1_500] },
        dice.between(1_500, 2_500)
      )
    }))
  )
  const peers = Context.get(yield* Layer.build(sounds.peers), PeerConnection)
  scripted.join(...readers.map((name) => ScriptedSession.person(name, { inCall: 1 })))
  scripted.join(...names.map((name) => ScriptedSession.person(name)))
  const later = (ms: number, run: () => void) => fork(Effect.delay(Effect.sync(run), ms))

  /** By publisher: packets that came to somebody who was alive. */
  const came = new Map(names.map((name) => [name, new Set<number>()]))
  /** What each runner's journal has, as if on a disk. */
  const intents = CallIntents.make(room, defaultLanguage)
  for (const name of readers) {
    const viewer = participant(ScriptedSession.nextcloudId(name))
    intents.add({ room, viewer, language: defaultLanguage }, undefined)
  }

  const runners = RunnersOfCall.make({
    ...{ now, dice, note, later, scripted, confirmMs, names, sounds, peers, came, intents },
    complain: (what) => complaints.add(what)
  })
  const { launch } = runners

  const askOf =
    (giver: RunnersOfCall.Runner, fault: HandOverFault) =>
    (taker: RunnersOfCall.Runner): Effect.Effect<Answer> => {
      const give = Effect.suspend(() =>
        giver.running === undefined || giver.isDead
          ? Effect.fail(new HandOverRefused({ reason: "Over" }))
          : giver.running.handOver
      ).pipe(
        Effect.tap((left) =>
          Effect.sync(() =>
            note(
              `${giver.name} gives ${left.voices.map(({ id, position, said }) => `${id} from ${(position / 24_000).toFixed(2)} "${said}"`)}; ${JSON.stringify(left.unsaid)}`
            )
          )
        ),
        Effect.map(
          (left): Answer => ({
            _tag: "Given",
            left: Schema.decodeSync(wire)(Schema.encodeSync(wire)(left))
          })
        ),
        Effect.catch((refused) => {
          note(`refused: ${refused.reason}`)
          return Effect.succeed<Answer>({ _tag: "Stays" })
        }),
        Effect.delay(dice.between(0, 30)),
        Effect.tap(() => Effect.sleep(dice.between(0, 30)))
      )
      switch (fault) {
        case "who gives dies before it is asked":
          giver.kill()
          return Effect.delay(Effect.succeed<Answer>({ _tag: "Gone" }), dice.between(0, 500))
        case "who takes dies before it asks":
          return Effect.andThen(Effect.sync(taker.kill), Effect.never)
        case "who takes dies with what it was given":
          return Effect.andThen(give, Effect.andThen(Effect.sync(taker.kill), Effect.never))
        case "the answer is lost":
          return Effect.andThen(give, Effect.never)
        case "who gives dies when it has given":
          return Effect.tap(give, ({ _tag }) => Effect.sync(() => (_tag === "Given" ? giver.kill() : undefined)))
        default:
          return give
      }
    }

  const faults: Array<HandOverFault> = []
  let moved = 0
  const { runner: first } = yield* launch()
  const journey = Effect.gen(function* () {
    let current = first
    const count = dice.between(2, 5)
    for (let nth = 0; nth < count; nth++) {
      yield* Effect.sleep(dice.between(nth === 0 ? 1_500 : 400, 3_000) + dice.between(0, 19))
      if (now() > sounds.endMs()) return
      const fault = dice.pick(possible)
      faults.push(fault)
      note(`hand-over of ${current.name}: ${fault}`)
      const giver = current
      if (fault === "the engine's sessions are cut") {
        later(dice.between(300, 700), () => {
          for (const one of giver.engine.sessions()) if (!one.closed()) one.fail("Closed")
        })
      }
      if (fault === "the HPB is cut from who gives") {
        later(dice.between(300, 600), () => {
          note(`${giver.name} is cut`)
          giver.cut()
          later(dice.between(100, 3_000), () => {
            note(`${giver.name} is back`)
            giver.comeBack()
          })
        })
      }
      const { runner: taker } = yield* launch(giver, askOf(giver, fault))
      while (!giver.isOver && !taker.isOver) yield* Effect.sleep(STEP_MS)
      if (giver.isOver) moved++
      current = giver.isOver ? taker : giver
    }
  })
  const travelling = yield* Effect.forkScoped(journey)
  const endMs = sounds.endMs()
  for (let atMs = 0; atMs < endMs + AFTERWARDS_MS; atMs += STEP_MS) {
    const partMs = dice.between(1, STEP_MS - 1)
    yield* TestClock.adjust(partMs)
    sounds.send(STEP_MS)
    yield* TestClock.adjust(STEP_MS - partMs)
  }
  yield* Fiber.interrupt(travelling)
  intents.clear()
  yield* TestClock.adjust(15_000)

  const alive = runners.all().filter(({ isOver }) => !isOver)
  if (alive.length > 0) complaints.add(`${alive.map(({ name }) => name).join(", ")} did not end`)
  const saidBy = (name: string) =>
    sounds.said(name).map(({ packets: [from, to], word }): Judge.Said => {
      const isMissed = Array.from({ length: to - from }, (_, n) => from + n).some(
        (n) => came.get(name)?.has(n) !== true
      )
      return isMissed ? { word, optional: true } : { word }
    })
  for (const reader of readers)
    for (const name of names) {
      const text = scripted
        .page(reader)
        .blocks()
        .flatMap((block) => (block.speaker === name ? [block.text] : []))
        .join(" ")
      const verdict = Judge.judge(saidBy(name), Judge.wordsOf(text))
      if (!Judge.isClean(verdict)) complaints.add(`${name} read by ${reader}: ${Judge.complaint(verdict)}`)
    }
  const said = names.flatMap(saidBy)
  return {
    seed,
    faults,
    moved,
    words: said.length,
    excused: said.filter(({ optional }) => optional === true).length,
    complaints: [...complaints],
    story: [
      ...story,
      ...names.map(
        (name) =>
          `${name} said ${sounds
            .said(name)
            .map(({ fromMs, word }) => `${word}@${(fromMs / 1000).toFixed(2)}`)
            .join(" ")}`
      ),
      ...readers.map((reader) => `${reader} reads ${scripted.page(reader).text()}`)
    ]
  }
})
