/**
 * What is asked of the benchmark of speakers, from the command line.
 */
import { parseArgs } from "node:util"
import { readOr, within } from "../Arguments.ts"
import type { Silence } from "./Material.ts"

export interface SpeakersOptions {
  /** Each is a run of its own. */
  readonly speakers: ReadonlyArray<number>
  /** Measured, after the warm-up. */
  readonly seconds: number
  /** Share of the time in which a speaker speaks, 0–1; each is a run of its own. */
  readonly speaking: ReadonlyArray<number>
  /** What whoever does not speak sends. */
  readonly silence: Silence
  /** Packets with RFC 6464's audio level, or without; each is a run of its own. Absent: with, and where not all speak also without. */
  readonly levels: ReadonlyArray<boolean> | undefined
  /** The JSON line alone. */
  readonly json: boolean
  /** The service may run on one processor only. */
  readonly oneCore: boolean
  /** A folder for a profile of the service (`.cpuprofile`). */
  readonly profile: string | undefined
  /** Each run adds its JSON line to this file. */
  readonly save: string | undefined
}

export const usage = `npm run bench -- --speakers 100[,200] [--seconds 20] [--speaking 1[,0.1]] [--silence muted|room]
  [--levels with|without|both] [--one-core] [--profile <folder>] [--save <file>] [--json]`

/** A text where what is asked for cannot be. */
export const read = (args: ReadonlyArray<string>): SpeakersOptions | string => readOr(() => readValues(args), usage)

const readValues = (args: ReadonlyArray<string>): SpeakersOptions => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      speakers: { type: "string", default: "100" },
      seconds: { type: "string", default: "20" },
      speaking: { type: "string", default: "1" },
      silence: { type: "string", default: "muted" },
      levels: { type: "string" },
      json: { type: "boolean", default: false },
      "one-core": { type: "boolean", default: false },
      profile: { type: "string" },
      save: { type: "string" }
    }
  })
  const silence = values.silence === "room" ? "room" : "muted"
  if (values.silence !== silence) throw new Error("--silence must be muted or room")
  return {
    speakers: values.speakers.split(",").map((one) => Math.round(within(one, "--speakers", 1, 2000))),
    seconds: within(values.seconds, "--seconds", 1, 3600),
    speaking: values.speaking.split(",").map((one) => within(one, "--speaking", 0.02, 1)),
    silence,
    levels: values.levels === undefined ? undefined : levelsOf(values.levels),
    json: values.json,
    oneCore: values["one-core"],
    profile: values.profile,
    save: values.save
  }
}

const levelsOf = (given: string): ReadonlyArray<boolean> => {
  switch (given) {
    case "with":
      return [true]
    case "without":
      return [false]
    case "both":
      return [false, true]
    default:
      throw new Error("--levels must be with, without or both")
  }
}

/** One run. */
export interface Crowd {
  readonly speakers: number
  readonly speaking: number
  readonly levels: boolean
}

/** All runs that are asked for, in turn. */
export const crowds = ({ levels, speakers, speaking }: SpeakersOptions): ReadonlyArray<Crowd> =>
  speaking.flatMap((share) =>
    (levels ?? (share === 1 ? [true] : [false, true])).flatMap((withLevels) =>
      speakers.map((number) => ({ speakers: number, speaking: share, levels: withLevels }))
    )
  )
