/**
 * What is asked of the benchmark of speakers, from the command line.
 */
import { parseArgs } from "node:util"
import { readOr, within } from "../Arguments.ts"
import type { Silence } from "./Material.ts"

/** Which way RTP takes: past werift's own SRTP, parsers and receivers, or through them. */
export type Path = "fast" | "single" | "plain"

export interface SpeakersOptions {
  /** Each is a run of its own. */
  readonly speakers: ReadonlyArray<number>
  /** Measured, after the warm-up. */
  readonly seconds: number
  /** s. Absent: `usualWarmUp`. */
  readonly warmUp: number | undefined
  /** Share of the time in which a speaker speaks, 0–1; each is a run of its own. */
  readonly speaking: ReadonlyArray<number>
  /** What whoever does not speak sends. */
  readonly silence: Silence
  /** Packets with RFC 6464's audio level, or without; each is a run of its own. Absent: with, and where not all speak also without. */
  readonly levels: ReadonlyArray<boolean> | undefined
  /** Each is a run of its own. */
  readonly paths: ReadonlyArray<Path>
  /** Processes of the service that share the speakers; each is a run of its own. */
  readonly runners: ReadonlyArray<number>
  /** A line for each run instead of a column; a series ends where it is saturated. */
  readonly table: boolean
  /** Speakers in the middle of the run, more than can be heard. */
  readonly overload: number | undefined
  /** So many join in the middle of the run, all at once. */
  readonly storm: number | undefined
  /** The JSON line alone. */
  readonly json: boolean
  /** Each process of the service may run on one processor only. */
  readonly oneCore: boolean
  /** A folder for a profile of the service (`.cpuprofile`). */
  readonly profile: string | undefined
  /** Each run adds its JSON line to this file. Absent: no file; a table has one of its own then. */
  readonly save: string | undefined
}

export const usage = `npm run bench -- --speakers 100[,200] [--seconds 20|--minutes 30] [--warm-up 6|30] [--speaking 1[,0.1]] [--silence muted|room]
  [--levels with|without|both] [--path fast|single|plain|both] [--runners 1[,2]] [--overload 400] [--storm 150] [--table] [--one-core]
  [--profile <folder>] [--save <file>] [--json]
npm run bench -- --table: 50 to 500 speakers, all and a tenth of them speaking, both paths, 1 and 2 runners, 10 s each`

/** Whether these arguments are about speakers. */
export const isAsked = (args: ReadonlyArray<string>): boolean =>
  args.some((one) => /^--(speakers|table|overload|storm)(=|$)/.test(one))

/** A text where what is asked for cannot be. */
export const read = (args: ReadonlyArray<string>): SpeakersOptions | string => readOr(() => readValues(args), usage)

const TABLE_FILE = "artefacts/bench/table.jsonl"
const usually = { speakers: "100", seconds: "20", speaking: "1", path: "fast", runners: "1" }
const inTable = { speakers: "50,100,200,300,400,500", seconds: "10", speaking: "1,0.1", path: "both", runners: "1,2" }

const readValues = (args: ReadonlyArray<string>): SpeakersOptions => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      speakers: { type: "string" },
      seconds: { type: "string" },
      minutes: { type: "string" },
      "warm-up": { type: "string" },
      speaking: { type: "string" },
      silence: { type: "string", default: "muted" },
      levels: { type: "string" },
      path: { type: "string" },
      runners: { type: "string" },
      table: { type: "boolean", default: false },
      overload: { type: "string" },
      storm: { type: "string" },
      json: { type: "boolean", default: false },
      "one-core": { type: "boolean", default: false },
      profile: { type: "string" },
      save: { type: "string" }
    }
  })
  const absent = values.table ? inTable : usually
  const { minutes, path = absent.path, seconds = absent.seconds } = values
  const silence = values.silence === "room" ? "room" : "muted"
  if (values.silence !== silence) throw new Error("--silence must be muted or room")
  if (minutes !== undefined && values.seconds !== undefined) throw new Error("--seconds or --minutes, not both")
  const speakers = listOf(values.speakers ?? absent.speakers, "--speakers", 1, 2000).map(Math.round)
  const overload =
    values.overload === undefined ? undefined : Math.round(within(values.overload, "--overload", 2, 2000))
  if (overload !== undefined && overload <= Math.max(...speakers)) {
    throw new Error("--overload must be more than --speakers")
  }
  const storm = values.storm === undefined ? undefined : Math.round(within(values.storm, "--storm", 1, 2000))
  if (storm !== undefined && overload !== undefined) throw new Error("--overload or --storm, not both")
  return {
    speakers,
    seconds: minutes === undefined ? within(seconds, "--seconds", 1, 3600) : 60 * within(minutes, "--minutes", 1, 120),
    warmUp: values["warm-up"] === undefined ? undefined : within(values["warm-up"], "--warm-up", 1, 600),
    speaking: listOf(values.speaking ?? absent.speaking, "--speaking", 0.02, 1),
    silence,
    levels: values.levels === undefined ? undefined : levelsOf(values.levels),
    paths: pathsOf(path),
    runners: listOf(values.runners ?? absent.runners, "--runners", 1, 16).map(Math.round),
    table: values.table,
    overload,
    storm,
    json: values.json,
    oneCore: values["one-core"],
    profile: values.profile,
    save: values.save ?? (values.table ? TABLE_FILE : undefined)
  }
}

const listOf = (given: string, name: string, least: number, most: number): ReadonlyArray<number> =>
  given.split(",").map((one) => within(one, name, least, most))

const pathsOf = (given: string): ReadonlyArray<Path> => {
  if (given === "both") return ["fast", "plain"]
  if (given === "fast" || given === "single" || given === "plain") return [given]
  throw new Error("--path must be fast, single, plain or both")
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
  readonly path: Path
  readonly runners: number
  /** s; until code is compiled, engines are connected and buffers have their size. */
  readonly warmUp: number
}

/**
 * What is seldom done is compiled late: with 200 participants of whom four spoke, each cost 0.078 % of a core after 6 s and 0.044 % after 45 s. A call is an
 * hour.
 */
const usualWarmUp = (speaking: number) => (speaking < 0.5 ? 30 : 6)

/** All runs that are asked for, in turn: series of growing crowds which are alike in everything else. */
export const series = ({
  levels,
  paths,
  runners,
  speakers,
  speaking,
  warmUp
}: SpeakersOptions): ReadonlyArray<ReadonlyArray<Crowd>> =>
  speaking.flatMap((share) =>
    (levels ?? (share === 1 ? [true] : [true, false])).flatMap((withLevels) =>
      paths.flatMap((path) =>
        runners.map((number) =>
          speakers.map((each) => ({
            speakers: each,
            speaking: share,
            levels: withLevels,
            path,
            runners: number,
            warmUp: warmUp ?? usualWarmUp(share)
          }))
        )
      )
    )
  )
