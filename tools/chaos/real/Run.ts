/**
 * Run: a conversation on a stage with its faults, from the first word to the table.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Fiber, type Scope } from "effect"
import { failure, type ProofError } from "../../../test/talk/ProofError.ts"
import * as Dice from "../Dice.ts"
import * as Breaking from "./Breaking.ts"
import * as Conversation from "./Conversation.ts"
import * as Faults from "./Faults.ts"
import { again, type Options } from "./Options.ts"
import * as Reading from "./Reading.ts"
import * as Reckoning from "./Reckoning.ts"
import type { Stage } from "./Stage.ts"
import * as Stillness from "./Stillness.ts"
import type { Sample } from "./Subject.ts"
import * as Table from "./Table.ts"
import * as Watch from "./Watch.ts"

/** Until a voice is heard: peer connections, the first session with an engine. */
const SET_UP_MS = 30_000
/** What was said last must be read within this; an engine may still be on its way back. */
const LAST_WORDS_MS = 15_000

/** People go on talking for so long after the last fault. */
const TAIL_MS = 8000

/** Everybody is heard before anything is counted: one word each, until all readers have seen something of all voices. */
const warmUp = (stage: Stage) =>
  Effect.forEach(
    stage.mouths,
    (mouth) =>
      Effect.andThen(mouth.say(1), Effect.sleep("1500 millis")).pipe(
        Effect.repeat({
          until: () => stage.pages().every(({ captions }) => captions.some(({ voice }) => voice === mouth.voice))
        }),
        Effect.timeoutOrElse({
          duration: SET_UP_MS,
          orElse: () => Effect.fail(failure(`${mouth.voice} is not read within ${SET_UP_MS} ms`))
        })
      ),
    { concurrency: "unbounded", discard: true }
  )

/** Waits until no caption has come for a while. */
const lastWords = (stage: Stage) =>
  Effect.gen(function* () {
    let [before, quietMs] = [stage.received(), 0]
    const startedMs = performance.now()
    while (quietMs < 4000 && performance.now() - startedMs < LAST_WORDS_MS) {
      yield* Effect.sleep("500 millis")
      const now = stage.received()
      quietMs = now === before ? quietMs + 500 : 0
      before = now
    }
  })

const breakThings = (
  stage: Stage,
  schedule: ReadonlyArray<Faults.Fault>,
  startedMs: number,
  say: (line: string) => void
) =>
  Effect.forEach(schedule, (fault) =>
    Effect.gen(function* () {
      // A fault that took longer than it was to moves those behind it.
      yield* Effect.sleep(Math.max(0, startedMs + fault.atMs - performance.now()))
      say(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${Faults.describe(fault)}`)
      const happened = yield* Breaking.perform(stage, fault)
      if (happened.trouble !== undefined) say(`          !!! ${happened.trouble}`)
      return happened
    })
  )

export interface Played {
  readonly reckoning: Reckoning.Reckoning
  readonly samples: ReadonlyArray<Sample>
  readonly minutes: number
}

export interface Play {
  readonly seed: number
  /** People talk at least for so long, also without faults. */
  readonly minutes: number
  readonly schedule: ReadonlyArray<Faults.Fault>
  readonly say: (line: string) => void
}

/** People talk while the faults of a schedule happen, until the last words were read; what was seen is kept in the stage's folder. */
export const play = (
  stage: Stage,
  { minutes, say, schedule, seed }: Play
): Effect.Effect<Played, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    yield* stage.press
    yield* warmUp(stage)
    const firstWord = new Map(stage.record.voices.map((voice) => [voice, stage.record.said(voice).length]))
    say("everybody is read; from now on every word counts")
    const samples: Array<Sample> = []
    const still = yield* Stillness.watch
    const watching = yield* Effect.forkScoped(Watch.follow(stage.service, samples))
    const startedMs = performance.now()
    // What the last fault broke must have a chance to show, also where faults took longer than they were to.
    let talkUntilMs = startedMs + minutes * 60_000 - TAIL_MS
    let areDone = false
    const talk = Conversation.hold(
      stage.mouths,
      Dice.make(seed).fork("talk"),
      () => areDone && performance.now() >= talkUntilMs
    )
    const breaking = Effect.tap(breakThings(stage, schedule, startedMs, say), () =>
      Effect.sync(() => {
        areDone = true
        talkUntilMs = Math.max(talkUntilMs, performance.now() + TAIL_MS)
      })
    )
    const [, happened] = yield* Effect.all([talk, breaking], { concurrency: 2 })
    yield* lastWords(stage)
    yield* Fiber.interrupt(watching)
    const pages = stage.pages()
    const readings = pages.map((page) => Reading.read(stage.record, page))
    const reckoning = Reckoning.reckon({
      record: stage.record,
      firstWord,
      readings,
      happened,
      deafness: stage.deafness,
      joins: stage.joins(),
      still
    })
    const metrics = yield* Effect.orElseSucceed(stage.service.metrics, () => new Map<string, number>())
    const evidence = {
      schedule,
      happened,
      faults: reckoning.faults,
      still,
      deafness: happened.map(({ startMs }) =>
        Object.fromEntries(stage.record.voices.map((voice) => [voice, stage.deafness(voice, startMs)]))
      ),
      readings: readings.map(({ disordered, duplicated, invented, reader, wrongSpeaker }) => ({
        reader,
        duplicated,
        disordered,
        invented,
        wrongSpeaker
      })),
      samples,
      metrics: Object.fromEntries(metrics),
      said: Object.fromEntries(stage.record.voices.map((voice) => [voice, stage.record.said(voice)])),
      pages
    }
    writeFileSync(join(stage.folder, "evidence.json"), JSON.stringify(evidence))
    return { reckoning, samples, minutes: (performance.now() - startedMs) / 60_000 }
  })

/** Plays what was asked for and prints its figures; true when all that must hold did. */
export const perform = (
  stage: Stage,
  options: Options,
  say: (line: string) => void
): Effect.Effect<boolean, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { kinds, minutes, seed } = options
    const schedule = options.script ?? Faults.schedule({ seed, minutes, kinds, voices: stage.mouths.length })
    say(`seed ${seed}, ${minutes.toFixed(1)} minutes, ${stage.about}; ${schedule.length} faults:`)
    for (const fault of schedule) say(`  ${Faults.describe(fault)}`)
    const played = yield* play(stage, { seed, minutes, schedule, say })
    const figures: Table.Figures = {
      seed,
      minutes: played.minutes,
      stage: stage.about,
      reckoning: played.reckoning,
      trends: Watch.trends(played.samples),
      schedule: schedule.map(Faults.describe),
      again: again(options)
    }
    say(Table.print(figures))
    if (options.json) say(Table.json(figures))
    return Table.broken(played.reckoning).length === 0
  })
