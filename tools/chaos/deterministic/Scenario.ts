/**
 * Scenario: who says what, with which engines, and what happens to them; everything from one number.
 */
import { languagesOf } from "../../../src/domain/Language.ts"
import type { Privacy } from "../../../src/domain/Privacy.ts"
import * as Dice from "../Dice.ts"
import { type EngineFault, engineFaultNames, engineFaults } from "./EngineFaults.ts"
import { families } from "./Mouths.ts"
import type { EnginePlan, PlannedFault } from "./OracleEngine.ts"
import * as Utterances from "./Utterances.ts"

/** How the audio of a voice comes: as it is spoken; or from a client that can be held up, which may send a recording as fast as it can. */
export type Source = "live" | "socket" | "recording"

export interface VoicePlan {
  readonly id: string
  readonly source: Source
  readonly stretches: ReadonlyArray<Utterances.Stretch>
  readonly unspaced: boolean
  readonly privacy: Privacy
  /** When its audio begins and when it ends, ms. */
  readonly startsMs: number
  readonly leavesMs: number
  /** Frames of speech that can be heard again. */
  readonly ringFrames: number
  /** The network holds frames up: they come at its end. */
  readonly hitches: ReadonlyArray<{ readonly atMs: number; readonly forMs: number }>
}

export interface Scenario {
  readonly seed: number
  readonly voices: ReadonlyArray<VoicePlan>
  /** In their order. */
  readonly engines: ReadonlyArray<EnginePlan>
}

/** 180 s: what Talk's ring holds of speech at 32 kbit/s. */
const RING_FRAMES = 2_250
/** After a refusal an engine is not asked for a minute, and for a part of one more to spread those who wait. */
const REFUSED_MS = 90_000
/** Longest backoff of an engine that failed often, and the time to say everything once more at the pace of speech. */
const BACKOFF_MS = 55_000

export const make = (seed: number): Scenario => {
  const dice = Dice.make(seed)
  const voiceCount = dice.pick([1, 1, 1, 1, 2, 2, 2, 3, 4])
  const drafts = Array.from({ length: voiceCount }, (_, index) => draft(dice.fork(`voice ${index}`), index))
  const saidMs = Math.max(...drafts.map(endOf))
  const engineCount = dice.pick([1, 1, 1, 2, 2, 3])
  const wanted = dice.chance(0.1) ? 0 : dice.between(1, 4)
  const faults = Array.from({ length: wanted }, () => ({
    // the first engine is the one that most voices have
    engine: dice.chance(0.6) ? 0 : dice.between(0, engineCount - 1),
    fault: faultOf(dice, saidMs)
  }))
  const engines = Array.from({ length: engineCount }, (_, index) =>
    engineOf(dice.fork(`engine ${index}`), {
      index,
      voiceCount,
      faults: faults
        .flatMap(({ engine, fault }) => (engine === index ? [fault] : []))
        .toSorted((one, other) => one.atMs - other.atMs)
    })
  )
  /** Who leaves then may leave in the middle of trouble: what no engine could hear in time is given up. */
  const leavesEarly = dice.chance(0.12)
  const isPeaceful = wanted === 0 && engines.every(({ coldMs }) => coldMs === undefined)
  const over = Math.max(
    saidMs,
    ...faults.map(({ fault }) => fault.atMs + fault.forMs + (fault.kind === "refuse" ? REFUSED_MS : BACKOFF_MS)),
    ...engines.map(({ coldMs = 0 }) => coldMs + BACKOFF_MS)
  )
  const voices = drafts.map((voice) => ({
    ...voice,
    leavesMs:
      isPeaceful || leavesEarly
        ? endOf(voice) + dice.between(0, 4_000)
        : Math.max(endOf(voice), over) + dice.between(0, 4_000)
  }))
  return { seed, voices, engines }
}

/** When its last sound has come. */
export const endOf = ({ hitches, startsMs, stretches }: VoicePlan): number =>
  Math.max(startsMs + (stretches.at(-1)?.to ?? 0) / 24 + 80, ...hitches.map(({ atMs, forMs }) => atMs + forMs))

const draft = (dice: Dice.Dice, index: number): VoicePlan => {
  const source = dice.pick<Source>(["live", "live", "live", "live", "socket", "recording"])
  const manner = {
    soundMs: dice.between(4_000, 22_000),
    unspaced: dice.chance(0.12),
    noise: dice.chance(0.4) ? 0.3 : 0,
    pauses: dice.pick([
      [100, 1_500],
      [300, 6_000],
      [2_000, 45_000]
    ] as const)
  }
  const stretches = Utterances.make(dice, manner, dice.between(0, 3_000))
  const startsMs = dice.between(0, 8_000)
  const hitches =
    source === "live" && dice.chance(0.3)
      ? [{ atMs: startsMs + dice.between(1_000, 15_000), forMs: dice.between(200, 2_500) }]
      : []
  return {
    id: "abcd"[index] ?? "z",
    source,
    stretches,
    unspaced: manner.unspaced,
    privacy: dice.chance(0.15) ? "local-only" : "any",
    startsMs,
    leavesMs: 0,
    ringFrames: source === "live" && dice.chance(0.12) ? dice.between(40, 120) : RING_FRAMES,
    hitches
  }
}

const faultOf = (dice: Dice.Dice, saidMs: number): PlannedFault => {
  const kind = dice.pick(engineFaultNames)
  return {
    kind,
    atMs: dice.between(0, Math.round(saidMs)),
    forMs:
      engineFaults[kind] === "at once" ? 0 : dice.pick([dice.between(200, 2_000), dice.between(1_000, longest(kind))])
  }
}

const longest = (kind: EngineFault): number => (kind === "hang" ? 40_000 : 12_000)

const english = languagesOf(["en"])

/** An engine of any family; the first is a primary one. */
export const engineOf = (
  dice: Dice.Dice,
  options: { readonly index: number; readonly voiceCount: number; readonly faults: ReadonlyArray<PlannedFault> }
): EnginePlan => {
  const { faults, index, voiceCount } = options
  const family = dice.pick(families)
  return {
    name: `engine${index}`,
    role: index === 0 ? "Primary" : dice.pick(["Primary", "Cover", "LastResort"] as const),
    family,
    local: dice.chance(0.6),
    languages: english,
    ...(dice.chance(0.12) ? { coldMs: dice.between(2_000, 40_000) } : {}),
    openMs: dice.between(0, 400),
    latencyMs: dice.between(5, 400),
    delayMs: family === "keyed" ? 0 : dice.pick([0, 240, 500, 1_000]),
    speed: dice.pick([4, 8, 20]),
    fasterThanRealtime: dice.chance(0.85),
    pieces: dice.chance(0.25),
    hasProgress: family !== "plain" && dice.chance(0.6),
    hasProbe: dice.chance(0.5),
    finishes: family !== "plain" && dice.chance(0.2),
    ...(dice.chance(0.2) ? { maxSessionMs: dice.between(12_000, 40_000) } : {}),
    ...(dice.chance(0.1) ? { maxSessions: voiceCount + dice.between(0, 1) } : {}),
    faults
  }
}
