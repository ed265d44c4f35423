/**
 * What is asked of the benchmark of streaming sockets, from the command line.
 */
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { readOr, within } from "../Arguments.ts"

export const doors = ["tuon", "nemo", "kyutai", "realtime", "recorder", "vosk"] as const
export type Door = (typeof doors)[number]

export interface SocketsOptions {
  readonly sockets: number
  /** Measured, after the warm-up. */
  readonly seconds: number
  readonly door: Door
  readonly format: "pcm16" | "webm"
  /** Share of the time in which a client speaks, 0–1. */
  readonly speaking: number
  /** Of every message; absent: 20, 40, 60, 80 and 100 ms by turns, client by client. */
  readonly messageMs: number | undefined
  /** The JSON line alone. */
  readonly json: boolean
  /** The service may run on one processor only. */
  readonly oneCore: boolean
  /** A folder for a profile of the service (`.cpuprofile`). */
  readonly profile: string | undefined
  /** The `main.ts` or `main.js` that is measured. */
  readonly service: string
  /** Its processes (`LT_RUNNERS`). */
  readonly runners: number
}

/** Tone-coded words say who speaks in 9 bits; 0 is nobody here. */
const MOST_SOCKETS = 511
const MESSAGES_MS = [20, 40, 60, 80, 100]

export const usage = `npm run bench -- --sockets 200 [--seconds 30] [--door ${doors.join("|")}] [--format pcm16|webm]
  [--speaking 1.0] [--message 20|40|60|80|100] [--one-core] [--profile <folder>] [--service <main.ts>]
  [--runners 2] [--json]`

/** `undefined` where no sockets are asked for; a text where what is asked for cannot be. */
export const read = (args: ReadonlyArray<string>): SocketsOptions | string | undefined =>
  readOr(() => readValues(args), usage)

const readValues = (args: ReadonlyArray<string>): SocketsOptions | undefined => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sockets: { type: "string" },
      seconds: { type: "string", default: "30" },
      door: { type: "string", default: "tuon" },
      format: { type: "string", default: "pcm16" },
      speaking: { type: "string", default: "1.0" },
      message: { type: "string" },
      json: { type: "boolean", default: false },
      "one-core": { type: "boolean", default: false },
      profile: { type: "string" },
      runners: { type: "string", default: "1" },
      service: { type: "string", default: fileURLToPath(new URL("../../src/main.ts", import.meta.url)) }
    }
  })
  if (values.sockets === undefined) return undefined
  const door = doors.find((one) => one === values.door)
  if (door === undefined) throw new Error(`--door must be one of ${doors.join(", ")}`)
  const format = values.format === "webm" ? "webm" : "pcm16"
  if (values.format !== format) throw new Error("--format must be pcm16 or webm")
  if (format === "webm" && door !== "tuon") throw new Error("only the door tuon takes webm")
  const messageMs = values.message === undefined ? undefined : within(values.message, "--message", 20, 100)
  if (messageMs !== undefined && !MESSAGES_MS.includes(messageMs)) {
    throw new Error(`--message must be one of ${MESSAGES_MS.join(", ")}`)
  }
  return {
    sockets: Math.round(within(values.sockets, "--sockets", 1, MOST_SOCKETS)),
    seconds: within(values.seconds, "--seconds", 1, 1200),
    door,
    format,
    speaking: within(values.speaking, "--speaking", 0.05, 1),
    messageMs,
    json: values.json,
    oneCore: values["one-core"],
    profile: values.profile,
    service: values.service,
    runners: Math.round(within(values.runners, "--runners", 1, 64))
  }
}

/** Milliseconds of sound in each message of a client. */
export const messageMsOf = ({ messageMs }: { readonly messageMs?: number | undefined }, client: number): number =>
  messageMs ?? MESSAGES_MS[client % MESSAGES_MS.length] ?? 20
