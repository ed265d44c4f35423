/**
 * Play: a call on the test clock whose process is killed, between the packets of people, engines that understand what comes to them, a journal
 * in bytes and the pages of readers.
 */
import { Effect, Metric, Random, References, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { monotonicMs } from "../../../../src/layers/Monotonic.ts"
import type { SignalingSession } from "../../../../src/services/Signaling.ts"
import * as ScriptedSession from "../../../../test/support/ScriptedSession.ts"
import type { TalkPage } from "../../../../test/support/TalkPage.ts"
import * as Dice from "../../Dice.ts"
import * as OracleEngine from "../OracleEngine.ts"
import { missing } from "./Inspection.ts"
import * as KeptJournal from "./KeptJournal.ts"
import * as Microphones from "./Microphones.ts"
import * as Process from "./Process.ts"
import { type Death, endOf, type Kill, type Scenario, wordsOf } from "./Scenario.ts"

/** One life of the service. */
export interface Life {
  /** When it took up what was left to it, and when it was killed, ms. */
  readonly beganMs: number
  diedMs: number | undefined
  /** The packets that were given to it: from this one on, up to the one before that; the same of everybody. */
  fromPacket: number
  toPacket: number
}

export interface Outcome {
  readonly scenario: Scenario
  readonly lives: ReadonlyArray<Life>
  readonly pages: ReadonlyArray<{ readonly reader: string; readonly page: TalkPage }>
  /** Promises that were seen to be broken while it was played. */
  readonly complaints: ReadonlyArray<string>
  /** What happened, by time. */
  readonly story: ReadonlyArray<{ readonly atMs: number; readonly what: string }>
  readonly sessions: number
  /** When finals were sent. */
  readonly finalsMs: ReadonlyArray<number>
}

/** Behind the last word: what waits for an engine that failed is said by then. */
const PATIENCE_MS = 90_000
/** Behind the last word that had to be read: what is said once more is said by then. */
const AFTERWARDS_MS = 4_000

/** Plays it on the test clock, which must be the clock. Nothing it does outlives it. */
export const play = Effect.fnUntraced(function* (scenario: Scenario): Effect.fn.Return<Outcome> {
  const [first, ...others] = scenario.kills
  if (first?.death._tag !== "AtFinal") return yield* isolated(scenario, scenario.kills)
  const { offsetMs, share } = first.death
  const { finalsMs } = yield* isolated(scenario, [])
  const atMs = (finalsMs[Math.floor(share * finalsMs.length)] ?? 1_000) + offsetMs
  return yield* isolated(scenario, [{ ...first, death: { _tag: "At", atMs } }, ...others])
})

const isolated = (scenario: Scenario, kills: ReadonlyArray<Kill>): Effect.Effect<Outcome> =>
  Effect.scoped(scene(scenario, kills)).pipe(
    Random.withSeed(`kill ${scenario.seed}`),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(TestClock.layer())
  )

const scene = Effect.fnUntraced(function* (
  scenario: Scenario,
  kills: ReadonlyArray<Kill>
): Effect.fn.Return<Outcome, never, Scope.Scope> {
  const monotonic = yield* monotonicMs
  const now = () => Math.round(monotonic() * 1000) / 1000
  const { canReachCall, confirmMs, readers, speakers } = scenario
  const dice = Dice.make(scenario.seed).fork("processes")
  const story: Array<{ readonly atMs: number; readonly what: string }> = []
  const note = (what: string) => story.push({ atMs: now(), what })
  const complaints: Array<string> = []
  const finalsMs: Array<number> = []
  const lives: Array<Life> = []
  const oracles: Array<OracleEngine.OracleEngine> = []
  const scripted = ScriptedSession.make({ now, canReachCall, confirmMs })
  scripted.join(...[...readers, ...speakers.map(({ name }) => name)].map((name) => ScriptedSession.person(name)))
  const session: SignalingSession = {
    ...scripted.session,
    sendTranscript: (to, transcript) => {
      const { final, message, speakerSessionId } = transcript
      note(`  ${to._tag === "Call" ? "call" : to.session}: ${speakerSessionId} "${message}"${final ? " ." : ""}`)
      if (final) finalsMs.push(now())
      return scripted.session.sendTranscript(to, transcript)
    }
  }
  const pages = readers.map((reader) => ({ reader, page: scripted.page(reader) }))
  const journal = KeptJournal.make({ ...scenario, note })

  let alive: { readonly life: Life; readonly process: Process.Process; readonly strike: () => void } | undefined
  const begin = Effect.fnUntraced(function* () {
    const life: Life = { beganMs: now(), diedMs: undefined, fromPacket: Number.POSITIVE_INFINITY, toPacket: 0 }
    const isDead = () => life.diedMs !== undefined
    const generation = lives.push(life) - 1
    note(`process ${generation} begins`)
    const world: OracleEngine.World = {
      speakers: speakers.map((one) => ({ id: one.name, unspaced: one.unspaced, words: wordsOf(one) })),
      now,
      dice: dice.fork(`process ${generation}`),
      note: (what) => {
        if (!isDead()) note(what)
      },
      complain: (what) => {
        if (!isDead()) complaints.push(`${(now() / 1000).toFixed(2)} s: ${what}`)
      }
    }
    const engines = scenario.engines.map((plan) => ({ plan, oracle: OracleEngine.make(plan, world) }))
    const process = yield* Process.start({ room: session.room, session, journal, readers, engines, isDead })
    const struck = new Set<OracleEngine.PlannedFault>()
    const strike = () => {
      for (const { oracle, plan } of engines)
        for (const fault of plan.faults) {
          if (fault.atMs > now() || fault.atMs < life.beganMs || struck.has(fault)) continue
          struck.add(fault)
          if (fault.forMs === 0) oracle.strike(fault.kind)
          else world.note(`${plan.name}: ${fault.kind} for ${fault.forMs} ms`)
        }
    }
    oracles.push(...engines.map(({ oracle }) => oracle))
    alive = { life, process, strike }
  })
  const die = Effect.fnUntraced(function* () {
    if (alive === undefined) return
    const { life, process } = alive
    life.diedMs = now()
    alive = undefined
    note(`killed: ${pages.map(({ page, reader }) => `${reader} reads "${page.text().slice(-40)}"`).join(", ")}`)
    // what it does at its end is heard of by nobody
    yield* Effect.forkScoped(process.end)
  })

  const agenda: Array<{ readonly atMs: number; readonly run: Effect.Effect<unknown, never, Scope.Scope> }> = []
  const plan = (atMs: number, run: Effect.Effect<unknown, never, Scope.Scope>) => {
    agenda.push({ atMs: whole(atMs), run })
    agenda.sort((one, other) => one.atMs - other.atMs)
  }
  const waiting = [...kills]
  let nowMs = 0
  const until = (atMs: number) => {
    nowMs = Math.max(nowMs, atMs)
    return TestClock.setTime(nowMs)
  }
  let packet = 0
  const live = (deafMs: number): Effect.Effect<void, never, Scope.Scope> =>
    Effect.gen(function* () {
      yield* begin()
      const one = alive
      if (one === undefined) return
      plan(
        now() + deafMs,
        Effect.sync(() => {
          if (alive !== one) return
          one.process.hear(speakers.map(({ name }) => ScriptedSession.id(name)))
          one.life.fromPacket = packet
          note("people are heard")
        })
      )
      const kill = waiting.shift()
      if (kill === undefined) return
      plan(
        Math.max(now() + 0.5, timeOf(kill.death, now())),
        Effect.gen(function* () {
          yield* die()
          plan(Math.ceil(nowMs) + kill.downMs, live(kill.deafMs))
        })
      )
    })
  yield* live(1)
  for (const { faults } of scenario.engines)
    for (const fault of faults)
      plan(
        fault.atMs,
        Effect.sync(() => alive?.strike())
      )

  const endMs = endOf(scenario) + 800
  while (Microphones.PACKET_MS * packet < endMs || agenda.length > 0) {
    const sentMs = Microphones.PACKET_MS * (packet + 1)
    const next = agenda[0]
    if (next !== undefined && next.atMs < sentMs) {
      agenda.shift()
      yield* until(next.atMs)
      yield* next.run
      continue
    }
    yield* until(sentMs)
    if (alive !== undefined) {
      for (const [index, { stretches }] of speakers.entries())
        alive.process.onPacket(index, Microphones.packetOf(index, stretches, packet))
      alive.life.toPacket = packet + 1
    }
    packet += 1
  }
  const outcome = () => ({
    scenario: { ...scenario, kills },
    lives,
    pages,
    complaints,
    story,
    sessions: oracles.reduce((sum, { sessions }) => sum + sessions.length, 0),
    finalsMs
  })
  for (let waited = 0; waited < PATIENCE_MS && missing(outcome()).length > 0; waited += 500) yield* until(nowMs + 500)
  yield* until(nowMs + AFTERWARDS_MS)
  if (alive !== undefined) yield* Effect.forkScoped(alive.process.finish)
  yield* until(nowMs + 15_000)
  return outcome()
})

/** Half a millisecond is exact on every clock; beside finer steps those that come every 20 ms lose themselves in fractions. */
const whole = (ms: number): number => Math.round(ms * 2) / 2

const timeOf = (death: Death, beganMs: number): number =>
  death._tag === "At" ? death.atMs : death._tag === "After" ? beganMs + death.ms : Number.POSITIVE_INFINITY
