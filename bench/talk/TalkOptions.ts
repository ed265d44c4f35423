/**
 * What is asked of the benchmark on a real HPB, from the command line.
 */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { readOr, within } from "../Arguments.ts"

export interface TalkOptions {
  /** Each is a run of its own; after one that is saturated no other is run. */
  readonly speakers: ReadonlyArray<number>
  /** Measured, after the warm-up. */
  readonly seconds: number
  /** Share of the time in which a speaker speaks, 0–1. */
  readonly speaking: number
  /** Packets carry RFC 6464's audio level. */
  readonly levels: boolean
  /** The program that is measured. */
  readonly service: string
  readonly json: boolean
  readonly save: string | undefined
  /** As JSON: the namespaces are made, this is the process in them. */
  readonly inside: string | undefined
}

export const usage = `npm run bench -- --talk [--speakers 20[,40]] [--seconds 20] [--speaking 1] [--levels with|without]
  [--service <main.ts>] [--save <file>] [--json]`

export const isAsked = (args: ReadonlyArray<string>): boolean => args.includes("--talk")

/** A text where what is asked for cannot be. */
export const read = (args: ReadonlyArray<string>): TalkOptions | string => readOr(() => readValues(args), usage)

const readValues = (args: ReadonlyArray<string>): TalkOptions => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      talk: { type: "boolean" },
      speakers: { type: "string", default: "10,20,40,60,80" },
      seconds: { type: "string", default: "20" },
      speaking: { type: "string", default: "1" },
      levels: { type: "string", default: "with" },
      service: { type: "string", default: fileURLToPath(new URL("../../src/main.ts", import.meta.url)) },
      json: { type: "boolean", default: false },
      save: { type: "string" },
      inside: { type: "string" }
    }
  })
  if (values.levels !== "with" && values.levels !== "without") throw new Error("--levels must be with or without")
  return {
    speakers: values.speakers.split(",").map((one) => Math.round(within(one, "--speakers", 1, 500))),
    seconds: within(values.seconds, "--seconds", 1, 3600),
    speaking: within(values.speaking, "--speaking", 0.02, 1),
    levels: values.levels === "with",
    service: values.service,
    json: values.json,
    save: values.save,
    inside: values.inside
  }
}
