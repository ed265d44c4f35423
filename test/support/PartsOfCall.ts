/**
 * A call on the test clock that is heard in parts: a lead that captions, parts on other runners that hear, and whoever dies in between. The
 * captions of everybody are judged word by word.
 */
import { Context, Deferred, Effect, FiberSet, Layer, Metric, Random, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import { participant } from "../../src/domain/Call.ts"
import { defaultLanguage } from "../../src/domain/Language.ts"
import * as CallIntents from "../../src/layers/CallIntents.ts"
import type { CallParts } from "../../src/layers/CallPart.ts"
import type { Answer } from "../../src/layers/CallSeat.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import { PeerConnection } from "../../src/services/PeerConnection.ts"
import * as Dice from "../../tools/chaos/Dice.ts"
import * as Utterances from "../../tools/chaos/deterministic/Utterances.ts"
import * as Judge from "../../tools/chaos/Judge.ts"
import * as CountedSound from "./CountedSound.ts"
import * as RunnerOfPart from "./RunnerOfPart.ts"
import * as RunnersOfCall from "./RunnersOfCall.ts"
import * as ScriptedSession from "./ScriptedSession.ts"

/** What becomes of a call that is heard in parts. */
export const partFaults = [
  "a part dies",
  "the runner of a part ends",
  "the runners of two parts end",
  "the runners of the lead and a part end",
  "the lead dies",
  "the lead dies while voices go from part to part",
  "the lead and a part die",
  "the lead gives the call away",
  "the way from a part to the lead breaks",
  "the engine's sessions of a part are cut"
] as const
export type PartFault = (typeof partFaults)[number]

export interface PartsOptions {
  readonly voices: number
  /** Voices that one runner hears. */
  readonly most: number
  readonly soundMs: number
  /** Everybody begins within this, ms. */
  readonly withinMs: number
  /** In turn, each after 1 to 3 s; absent: nothing. */
  readonly faults?: ReadonlyArray<PartFault>
}

export interface PartsOutcome {
  readonly seed: number
  readonly faults: ReadonlyArray<PartFault>
  readonly parts: number
  readonly words: number
  /** Words that nobody had to say. */
  readonly excused: number
  /** The most voices that the status has shown. */
  readonly speakers: number
  /** The longest that voices of a part that died were not heard, ms. */
  readonly deafMs: number
  readonly complaints: ReadonlyArray<string>
  readonly story: ReadonlyArray<string>
}

const STEP_MS = 20
const AFTERWARDS_MS = 16_000
/** Where nothing fails nobody waits for anything but the last words. */
const CALM_AFTERWARDS_MS = 6_000
const MOST_CONFIRM_MS = 31
/** What a part has heard within this before it died may not be in its journal: 40 ms, and what is on its way to it. */
const UNWRITTEN_MS = 100

/** Plays the call of a seed; nothing of it outlives it. */
export const play = (seed: number, options: PartsOptions): Effect.Effect<PartsOutcome> =>
  Effect.scoped(scene(seed, options)).pipe(
    Random.withSeed(`parts ${seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer())
  )

const scene = Effect.fnUntraced(function* (
  seed: number,
  options: PartsOptions
): Effect.fn.Return<PartsOutcome, never, Scope.Scope> {
  const now = yield* monotonicMs
  const scope = yield* Effect.scope
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const dice = Dice.make(seed)
  const story: Array<string> = []
  const note = (what: string) => story.push(`${(now() / 1000).toFixed(3).padStart(8)} ${what}`)
  const complaints = new Set<string>()
  const confirmMs = dice.between(1, MOST_CONFIRM_MS - 1)
  const scripted = ScriptedSession.make({ now, canReachCall: dice.chance(0.5), confirmMs })
  const { room } = scripted.session
  const names = Array.from({ length: options.voices }, (_, n) => `speaker${n}`)
  const reader = "vera"
  const manner = { soundMs: options.soundMs, unspaced: false, noise: 0, pauses: [100, 1_500] as const }
  const sounds = CountedSound.make(
    names.map((name) => ({
      name,
      stretches: Utterances.make(dice.fork(name), manner, 2_500 + dice.between(0, options.withinMs))
    }))
  )
  const peers = Context.get(yield* Layer.build(sounds.peers), PeerConnection)
  scripted.join(ScriptedSession.person(reader, { inCall: 1 }), ...names.map((name) => ScriptedSession.person(name)))
  const later = (ms: number, run: () => void) => fork(Effect.delay(Effect.sync(run), ms))
  const came = new Map(names.map((name) => [name, new Set<number>()]))
  const intents = CallIntents.make(room, defaultLanguage)
  const viewer = participant(ScriptedSession.nextcloudId(reader))
  intents.add({ room, viewer, language: defaultLanguage }, undefined)

  const parts = new Map<RunnersOfCall.Runner, RunnerOfPart.RunnerOfPart>()
  /** Voices of another go on at a part; its lead does not know it yet. */
  let onTaken = Effect.void
  const reached = (by: RunnersOfCall.Runner, link: RunnerOfPart.RunnerOfPart) =>
    RunnerOfPart.reachedBy(
      by,
      link,
      Effect.suspend(() => onTaken)
    )
  const alive = () => [...parts.values()].filter(({ gone }) => !Deferred.isDoneUnsafe(gone))
  const partsFor = (by: RunnersOfCall.Runner): CallParts => ({
    running: () => Effect.sync(() => [...parts.values()].map((link) => reached(by, link))),
    open: () =>
      Effect.gen(function* () {
        const made = Deferred.makeUnsafe<RunnerOfPart.RunnerOfPart>()
        yield* Effect.sleep(dice.between(0, 300))
        const program = RunnerOfPart.run(room, (runner, link) => {
          parts.set(runner, link)
          Deferred.doneUnsafe(made, Effect.succeed(link))
        })
        const { runner } = yield* launch(undefined, undefined, program)
        const link = yield* Deferred.await(made)
        // a process of its own: it goes on when the lead dies
        note(`${runner.name} is a part`)
        return reached(by, link)
      }).pipe(Scope.provide(scope))
  })
  const runners = RunnersOfCall.make({
    ...{ now, dice, note, later, scripted, confirmMs, names, sounds, peers, came, intents, partsFor },
    most: options.most,
    complain: (what) => complaints.add(what)
  })
  const { launch } = runners

  let lead = (yield* launch()).runner
  let sentMs = 0
  /** Nobody can be blamed for what only a process that died at once has heard. */
  const forgetNewest = (heard: ReadonlyArray<string>) => {
    const from = Math.floor((sentMs - UNWRITTEN_MS) / STEP_MS)
    for (const name of heard)
      for (const packet of came.get(name) ?? []) if (packet >= from) came.get(name)?.delete(packet)
  }
  const killPart = (): boolean => {
    const all = [...parts].filter(([runner]) => !runner.isDead)
    const [runner, link] = all[dice.between(0, Math.max(0, all.length - 1))] ?? []
    if (runner === undefined || link === undefined) return false
    const heard = link.hears().map(({ publisher }) => publisher)
    deaf.push({ names: heard, sinceMs: now() })
    forgetNewest(heard)
    runner.kill()
    later(dice.between(0, 300), () => Deferred.doneUnsafe(link.gone, Effect.succeed("Died")))
    return true
  }
  const endPart = Effect.suspend(() => {
    const staying = alive().filter(({ leaving }) => !Deferred.isDoneUnsafe(leaving))
    return staying[dice.between(0, Math.max(0, staying.length - 1))]?.end ?? Effect.void
  })
  const killLead = () => {
    const elsewhere = new Set(alive().flatMap((link) => link.hears().map(({ publisher }) => `${publisher}`)))
    forgetNewest(names.filter((name) => !elsewhere.has(name)))
    lead.kill()
  }
  const replaceLead = Effect.gen(function* () {
    yield* Effect.sleep(dice.between(0, 1_000))
    lead = (yield* launch(lead)).runner
  })
  const killLeadInMove = Effect.gen(function* () {
    const taken = Deferred.makeUnsafe<void>()
    // what it has said until then is proven
    onTaken = Effect.sync(() => {
      onTaken = Effect.void
      killLead()
    }).pipe(Effect.delay(MOST_CONFIRM_MS), Effect.andThen(Deferred.succeed(taken, undefined)), Effect.asVoid)
    yield* Effect.all([endPart, Effect.andThen(Deferred.await(taken), replaceLead)], { concurrency: 2 })
  })
  const giveAway = Effect.gen(function* () {
    const giver = lead
    giver.isGoing = true
    const ask = Effect.suspend(() => giver.running?.handOver ?? Effect.never).pipe(
      Effect.map((left): Answer => ({ _tag: "Given", left })),
      Effect.orElseSucceed((): Answer => ({ _tag: "Stays" }))
    )
    const { runner: taker } = yield* launch(giver, () => ask)
    while (!giver.isOver && !taker.isOver) yield* Effect.sleep(STEP_MS)
    lead = giver.isOver ? taker : giver
    lead.isGoing = false
  })
  const deaf: Array<{ readonly names: ReadonlyArray<string>; readonly sinceMs: number }> = []
  const faults: Array<PartFault> = []
  const journey = Effect.gen(function* () {
    yield* Effect.sleep(2_500)
    for (const fault of options.faults ?? []) {
      yield* Effect.sleep(dice.between(1_000, 3_000) + dice.between(0, 19))
      if (now() > sounds.endMs()) return
      faults.push(fault)
      note(fault)
      if (fault === "a part dies") killPart()
      if (fault === "the runner of a part ends") yield* endPart
      if (fault === "the runners of two parts end") yield* Effect.all([endPart, endPart], { concurrency: 2 })
      if (fault === "the runners of the lead and a part end") yield* Effect.all([endPart, giveAway], { concurrency: 2 })
      if (fault === "the lead dies") {
        killLead()
        yield* replaceLead
      }
      if (fault === "the lead dies while voices go from part to part") yield* killLeadInMove
      if (fault === "the lead and a part die") {
        killPart()
        killLead()
        yield* replaceLead
      }
      if (fault === "the lead gives the call away") yield* giveAway
      if (fault === "the way from a part to the lead breaks") for (const link of alive()) link.breakWay()
      if (fault === "the engine's sessions of a part are cut")
        for (const [{ engine, isDead }] of parts)
          if (!isDead) for (const one of engine.sessions()) if (!one.closed()) one.fail("Closed")
    }
  })
  yield* Effect.forkScoped(journey)
  const endMs = sounds.endMs() + (options.faults === undefined ? CALM_AFTERWARDS_MS : AFTERWARDS_MS)
  let speakers = 0
  for (let atMs = 0; atMs < endMs; atMs += STEP_MS) {
    const partMs = dice.between(1, STEP_MS - 1)
    yield* TestClock.adjust(partMs)
    sounds.send(STEP_MS)
    sentMs += STEP_MS
    yield* TestClock.adjust(STEP_MS - partMs)
    speakers = Math.max(speakers, lead.status?.().speakers ?? 0)
  }
  intents.clear()
  yield* TestClock.adjust(15_000)

  const deafMs = deaf.map(({ names: heard, sinceMs }) => {
    const from = Math.ceil(sinceMs / STEP_MS)
    return Math.max(
      0,
      ...heard.map((name) => {
        let packet = from
        while (packet < sentMs / STEP_MS && came.get(name)?.has(packet) !== true) packet++
        return (packet - from) * STEP_MS
      })
    )
  })
  const saidBy = (name: string) =>
    sounds.said(name).map(({ packets: [from, to], word }): Judge.Said => {
      const isMissed = Array.from({ length: to - from }, (_, n) => from + n).some(
        (n) => came.get(name)?.has(n) !== true
      )
      return isMissed ? { word, optional: true } : { word }
    })
  const blocks = scripted.page(reader).blocks()
  for (const name of names) {
    const text = blocks.flatMap((block) => (block.speaker === name ? [block.text] : [])).join(" ")
    const verdict = Judge.judge(saidBy(name), Judge.wordsOf(text))
    if (!Judge.isClean(verdict)) complaints.add(`${name}: ${Judge.complaint(verdict)}`)
  }
  const notOver = [lead].filter(({ isOver }) => !isOver)
  if (notOver.length > 0) complaints.add(`${lead.name} did not end`)
  const said = names.flatMap(saidBy)
  return {
    seed,
    faults,
    parts: parts.size,
    words: said.length,
    excused: said.filter(({ optional }) => optional === true).length,
    speakers,
    deafMs: Math.max(0, ...deafMs),
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
      `${reader} reads ${scripted.page(reader).text()}`
    ]
  }
})
