/**
 * What the chaos is asked for on the command line.
 */
import { parseArgs } from "node:util"
import { type Fault, type KnownKind, kindOf, kinds } from "./Faults.ts"

export interface Options {
  readonly seed: number
  readonly minutes: number
  readonly json: boolean
  /** On simulators, also where the real stack could be had. */
  readonly simulated: boolean
  readonly voices: number
  /** Processes of the service. */
  readonly runners: number
  /** Chance picks among these. */
  readonly kinds: ReadonlyArray<KnownKind>
  /** In place of chance. */
  readonly script: ReadonlyArray<Fault> | undefined
  /** The program under test. */
  readonly main: string
  /** As they were given, for the command that does the same again. */
  readonly given: ReadonlyArray<string>
}

export const help = `Breaks things while people speak in a call, and counts the words.

  npm run chaos                                    two minutes of random faults
  npm run chaos -- --seed 7 --minutes 30           the same faults at the same times each time
  npm run chaos -- --only engine --without slow    faults whose names have this in them, or not (several: with commas)
  npm run chaos -- --script engine-kill@8:3,hpb-cut@25   these faults: what, at which second, for how many seconds
  npm run chaos -- --deterministic --seed 7        scenario 7 of the tests, on a clock that jumps; with --count 50, as many from there on
  npm run chaos -- --deterministic --kill --seed 7 the same of calls whose process is killed

  --seed N       random unless said; the same seed gives the same faults and the same sentences
  --minutes M    2 unless said; may be a fraction
  --voices V     how many people speak, 2 unless said
  --runners N    how many processes the service is, 1 unless said; more on the real stack only, with runner- faults
  --simulated    on simulators of the HPB and Janus, also where the real ones can be had
  --main FILE    the program under test, src/main.ts unless said
  --json         ends with one line of JSON with the same figures

Faults: ${kinds.map(({ name }) => name).join(", ")}.
Exits with 1 when a word was lost that somebody could hear, when one was read twice, out of order or under the wrong name.
`

/** What is wrong with the command line, for people. */
export class UsageError extends Error {}

const numberOf = (name: string, given: string, least: number, most: number): number => {
  const value = Number(given)
  if (!(value >= least && value <= most)) throw new UsageError(`--${name} must be a number from ${least} to ${most}`)
  return value
}

const namesIn = (given: string | undefined): ReadonlyArray<string> => given?.split(",").filter(Boolean) ?? []

/** `engine-kill@8:3`. */
const faultOf = (given: string, at: number): Fault => {
  const [, name = "", second = "", seconds = "0", target = ""] =
    /^([a-z-]+)@([\d.]+)(?::([\d.]+))?(?:\/(cover|\d+))?$/.exec(given) ?? []
  const kind = kinds.find((one) => one.name === name)
  if (kind === undefined) throw new UsageError(`"${given}" is not a fault and a second, such as engine-kill@8:3`)
  return {
    number: at + 1,
    kind: kindOf(kind.name).name,
    atMs: Number(second) * 1000,
    forMs: Number(seconds) * 1000,
    engine: target === "cover" ? "cover" : "primary",
    voice: Number(/\d+/.exec(target)?.[0] ?? 0)
  }
}

/** Reads the command line; `undefined`: somebody asks for help. Throws `UsageError`. */
export const parse = (args: ReadonlyArray<string>): Options | undefined => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string" },
      minutes: { type: "string", default: "2" },
      voices: { type: "string", default: "2" },
      runners: { type: "string", default: "1" },
      only: { type: "string" },
      without: { type: "string" },
      script: { type: "string" },
      main: { type: "string", default: "src/main.ts" },
      simulated: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
      /** From the outer process to the inner one. */
      inside: { type: "string" }
    }
  })
  if (values.help) return undefined
  const [only, without] = [namesIn(values.only), namesIn(values.without)]
  const runners = numberOf("runners", values.runners, 1, 8)
  const wanted = kinds.filter(
    ({ name, shared }) =>
      (shared !== true || runners > 1) &&
      (only.length === 0 || only.some((part) => name.includes(part))) &&
      !without.some((part) => name.includes(part))
  )
  if (wanted.length === 0) throw new UsageError("no fault is left")
  const script = values.script === undefined ? undefined : namesIn(values.script).map(faultOf)
  const lastMs = Math.max(0, ...(script ?? []).map(({ atMs, forMs }) => atMs + forMs))
  return {
    seed: numberOf("seed", values.seed ?? String(Math.floor(Math.random() * 1_000_000)), 0, 0xffff_ffff),
    minutes: script === undefined ? numberOf("minutes", values.minutes, 0.3, 24 * 60) : (lastMs + 15_000) / 60_000,
    json: values.json,
    simulated: values.simulated,
    voices: numberOf("voices", values.voices, 1, 8),
    runners,
    kinds: wanted,
    script,
    main: values.main,
    given: args.filter((one, i) => !/^--(seed|json|inside)/.test(one) && !/^--seed$/.test(args[i - 1] ?? ""))
  }
}

/** The command that does the same again. */
export const again = ({ given, seed }: Options): string => `npm run chaos -- --seed ${seed} ${given.join(" ")}`.trim()
