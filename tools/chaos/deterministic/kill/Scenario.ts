/**
 * Scenario: who says what in a call, with which engines, and at which moments the process that hears it is killed; everything from one number.
 */
import { msOfSamples } from "../../../../src/domain/Audio.ts"
import * as Dice from "../../Dice.ts"
import { type EngineFault, engineFaults } from "../EngineFaults.ts"
import type { EnginePlan, PlannedFault } from "../OracleEngine.ts"
import { engineOf } from "../Scenario.ts"
import * as Utterances from "../Utterances.ts"

/** What the process is doing when it is killed first. */
export const moments = [
  /** Somebody is in the middle of a word. */
  "word",
  /** Somebody makes a pause. */
  "pause",
  /** An engine session was lost: there is none, or its seam is open. */
  "seam",
  /** Engines were away: what waited for them is being sent. */
  "catch-up",
  /** A cover captions while the first engine starts. */
  "cover",
  /** Within milliseconds of a final. */
  "final",
  /** And once more, while the next process tells what the first had heard. */
  "twice"
] as const
export type Moment = (typeof moments)[number]

/** When a process dies: a time of the call; near one of the finals that are read (a share of all); or so long after the process began. */
export type Death =
  | { readonly _tag: "At"; readonly atMs: number }
  | { readonly _tag: "AtFinal"; readonly share: number; readonly offsetMs: number }
  | { readonly _tag: "After"; readonly ms: number }

export interface Kill {
  readonly death: Death
  /** Until the next process takes up what was left. */
  readonly downMs: number
  /** And from then until it hears people. */
  readonly deafMs: number
}

export interface SpeakerPlan {
  readonly name: string
  readonly stretches: ReadonlyArray<Utterances.Stretch>
  readonly unspaced: boolean
}

export interface Scenario {
  readonly seed: number
  readonly moment: Moment
  readonly speakers: ReadonlyArray<SpeakerPlan>
  readonly engines: ReadonlyArray<EnginePlan>
  /** In the order of time. */
  readonly kills: ReadonlyArray<Kill>
  readonly readers: ReadonlyArray<string>
  readonly canReachCall: boolean
  readonly confirmMs: number
  /** Of the journal's file, bytes. */
  readonly growth: number
}

export const make = (seed: number): Scenario => {
  const dice = Dice.make(seed)
  const moment = moments[seed % moments.length] ?? "word"
  const speakers = ["ada", "bob"].slice(0, dice.pick([1, 1, 2])).map((name) => speakerOf(dice.fork(name), name))
  const { atMs, faults } = strike(dice.fork("strike"), moment, speakers)
  const engines = enginesOf(dice.fork("engines"), { moment, speakers, faults })
  const death: Death =
    moment === "final"
      ? { _tag: "AtFinal", share: dice.next(), offsetMs: dice.pick([-0.5, 0.5, 1, 2, 5, 10, 20, 41]) }
      : { _tag: "At", atMs }
  const again = moment === "twice" ? 1 : dice.chance(0.2) ? 1 : 0
  const more = again === 1 && dice.chance(0.3) ? 1 : 0
  return {
    seed,
    moment,
    speakers,
    engines,
    kills: [death, ...Array.from({ length: again + more }, () => afterwards(dice))].map((death) => ({
      death,
      downMs: dice.pick([dice.between(20, 400), dice.between(400, 3_000)]),
      deafMs: dice.between(1, 600)
    })),
    readers: ["vera", "wim"].slice(0, dice.between(1, 2)),
    canReachCall: dice.chance(0.5),
    confirmMs: dice.between(1, 40),
    growth: dice.pick([500, 5_000, 50_000])
  }
}

/** While the first things are said again, or later. */
const afterwards = (dice: Dice.Dice): Death => ({
  _tag: "After",
  ms: dice.pick([dice.between(1, 60), dice.between(1, 1_000), dice.between(500, 4_000)]) + 0.5
})

const speakerOf = (dice: Dice.Dice, name: string): SpeakerPlan => {
  const unspaced = dice.chance(0.1)
  const manner = { soundMs: dice.between(3_000, 8_000), unspaced, noise: 0, pauses: [300, 2_000] } as const
  return { name, unspaced, stretches: Utterances.make(dice, manner, dice.between(500, 2_500)) }
}

export const wordsOf = ({ stretches }: SpeakerPlan): ReadonlyArray<Utterances.SpokenWord> =>
  stretches.flatMap((stretch) => stretch.words)

/** When the last sound has come. */
export const endOf = ({ speakers }: Pick<Scenario, "speakers">): number =>
  Math.max(...speakers.map(({ stretches }) => msOfSamples(stretches.at(-1)?.to ?? 0)))

/** When the first kill strikes, and what happens to the first engine for it. */
const strike = (
  dice: Dice.Dice,
  moment: Moment,
  speakers: ReadonlyArray<SpeakerPlan>
): { readonly atMs: number; readonly faults: ReadonlyArray<PlannedFault> } => {
  const speaker = dice.pick(speakers)
  const word = dice.pick(wordsOf(speaker))
  const [from, to] = [msOfSamples(word.from), msOfSamples(word.to)]
  const inWord = from + dice.next() * (to - from)
  if (moment === "pause") {
    const stretch = dice.pick(speaker.stretches)
    return { atMs: msOfSamples(stretch.to) + dice.next() * 900, faults: faultsOf(dice, inWord) }
  }
  if (moment === "seam") {
    const kind = dice.pick(["cut", "cut", "closeEarly", "garbage", "halfOpen", "throws", "limit"] as const)
    return { atMs: inWord + dice.next() * 1_500, faults: [{ kind, atMs: inWord, forMs: 0 }] }
  }
  if (moment === "catch-up") {
    const forMs = dice.between(800, 5_000)
    const away = { kind: dice.pick(["unreachable", "hang", "busy"] as const), atMs: inWord, forMs }
    return {
      atMs: inWord + forMs + dice.next() * dice.pick([300, 3_000]),
      faults: [away, { kind: "cut", atMs: inWord + 1, forMs: 0 }]
    }
  }
  return { atMs: inWord, faults: faultsOf(dice, inWord) }
}

/** Sometimes something else goes wrong, too. */
const faultsOf = (dice: Dice.Dice, aroundMs: number): ReadonlyArray<PlannedFault> => {
  if (!dice.chance(0.3)) return []
  const kind: EngineFault = dice.pick(["cut", "stall", "slow", "flushHangs", "repeats", "acceptThenClose"] as const)
  const atMs = Math.max(0, aroundMs + dice.between(-2_000, 2_000))
  return [{ kind, atMs, forMs: engineFaults[kind] === "at once" ? 0 : dice.between(200, 2_500) }]
}

const enginesOf = (
  dice: Dice.Dice,
  {
    faults,
    moment,
    speakers
  }: {
    readonly moment: Moment
    readonly speakers: ReadonlyArray<SpeakerPlan>
    readonly faults: ReadonlyArray<PlannedFault>
  }
): ReadonlyArray<EnginePlan> => {
  const count = moment === "cover" ? 2 : dice.pick([1, 1, 1, 2])
  const isColdFirst = moment === "cover"
  return Array.from({ length: count }, (_, index) => {
    const one = engineOf(dice.fork(`engine ${index}`), {
      index,
      voiceCount: 2 * speakers.length,
      faults: index === 0 ? faults : []
    })
    // what stands on screens while others wait for their turn is nobody's matter here
    const { coldMs: _coldMs, ...plan } = { ...one, steady: speakers.length > 1 }
    if (index > 0) return { ...plan, role: isColdFirst ? ("Cover" as const) : plan.role }
    return isColdFirst ? { ...plan, coldMs: dice.between(3_000, 20_000) } : plan
  })
}
