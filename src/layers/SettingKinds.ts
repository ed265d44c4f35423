/**
 * Kinds of settings: how the text of an environment variable is read, and what is said of one that cannot be.
 */
import { type Redacted, Schema } from "effect"
import { RoomToken } from "../domain/Call.ts"
import { LanguageId } from "../domain/Language.ts"
import type { EngineRole } from "../services/Engines.ts"
import * as RunnerCount from "../supervisor/RunnerCount.ts"
import * as PostgresUrl from "./PostgresUrl.ts"

/** Reads a text; `undefined` when it is not what the variable takes. */
type Parse<A> = (text: string) => A | undefined

/** What a variable may hold. */
export interface Kind<A> {
  /** Completes "NAME must be …". */
  readonly expected: string
  readonly parse: Parse<A>
}

/** Anything but nothing. */
export const text: Kind<string> = { expected: "a text that is not empty", parse: (given) => given || undefined }
/** A switch. */
export const flag: Kind<boolean> = {
  expected: "true or false",
  // Python's str(True) is in use in existing deployments.
  parse: (given) =>
    ["true", "1", "yes", "on"].includes(given.toLowerCase())
      ? true
      : ["false", "0", "no", "off"].includes(given.toLowerCase())
        ? false
        : undefined
}
/** A whole number, without sign. */
export const integer = (minimum: number, maximum: number): Kind<number> => ({
  expected: `a whole number from ${minimum} to ${maximum}`,
  parse: (given) => {
    const value = /^\d{1,9}$/.test(given) ? Number(given) : Number.NaN
    return value >= minimum && value <= maximum ? value : undefined
  }
})
/** A TCP port. */
export const port: Kind<number> = { ...integer(1, 65_535), expected: "a port number from 1 to 65535" }
/** A host and a port of it. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}
export const hostAndPort: Kind<HostAndPort> = {
  expected: "a host and a port, for example 10.0.0.5:23100",
  parse: (given) => {
    const [, host = "", digits = ""] = /^([\w.-]+|\[[\da-f:]+\]):(\d+)$/i.exec(given) ?? []
    const value = port.parse(digits)
    return host === "" || value === undefined ? undefined : { host: host.replace(/^\[|\]$/g, ""), port: value }
  }
}
/** An absolute URL with one of these protocols (`https:`). */
export const url = (...protocols: ReadonlyArray<string>): Kind<string> => ({
  expected: `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
  parse: (given) => (protocols.includes(URL.parse(given)?.protocol ?? "") ? given : undefined)
})
/** The address of an HPB; existing deployments name it in every form, also without a protocol. */
export const hpbUrl: Kind<string> = {
  expected: "the address of the HPB, for example wss://cloud.example.com/standalone-signaling/spreed",
  parse: (given) => url("wss:", "ws:", "https:", "http:").parse(given.includes("://") ? given : `wss://${given}`)
}
/** A PostgreSQL; it holds a password. */
export const databaseUrl: Kind<Redacted.Redacted> = {
  expected: "the address of a PostgreSQL, for example postgres://user:password@host:5432/database?sslmode=verify-full",
  parse: PostgresUrl.parse
}
/** The tag of a language; which ones captions can be in is known only when the engines are. */
export const language: Kind<LanguageId> = {
  expected: "the tag of a language, for example en or pt-BR",
  parse: (given) => (/^[a-z]{2,3}([-_][a-z0-9]{2,8}){0,3}$/i.test(given) ? LanguageId.make(given) : undefined)
}
const levels = { debug: "Debug", info: "Info", warn: "Warn", warning: "Warn", error: "Error" } as const
/** A log level, however it is written. */
export const level: Kind<(typeof levels)[keyof typeof levels]> = {
  expected: "debug, info, warn or error",
  parse: (given) => Object.entries(levels).find(([name]) => name === given.toLowerCase())?.[1]
}
/** One of these words. */
export const oneOf = <const A extends string>(...words: ReadonlyArray<A>): Kind<A> => ({
  expected: words.join(" or "),
  parse: (given) => words.find((word) => word === given.toLowerCase())
})
/** How many processes share the work. */
export const runners: Kind<number | "auto"> = RunnerCount
/** Engines in the order in which the first configured one is taken where nothing was chosen. */
export const engineNames = ["modal", "moshi", "openai", "aws", "tldw", "vosk", "sherpa"] as const
export type EngineName = (typeof engineNames)[number]
/** Engines in order, none twice. */
export interface NamedEngine {
  readonly name: EngineName
  readonly role: EngineRole
}
const roles: Readonly<Record<string, EngineRole>> = { primary: "Primary", cover: "Cover", last: "LastResort" }
/** Engines in order, none twice: the first is the primary one and those behind it cover, unless they say otherwise (`vosk:last`). */
export const engineChain: Kind<ReadonlyArray<NamedEngine>> = {
  expected: `names of engines (${engineNames.join(", ")}), separated by commas, none twice, each alone or with its role (:primary, :cover, :last)`,
  parse: (given) => {
    const named = given.split(",").map((one, index) => {
      const [text = "", roleText, ...rest] = one.split(":").map((part) => part.trim())
      const name = oneOf(...engineNames).parse(text)
      const role = roles[roleText?.toLowerCase() ?? (index === 0 ? "primary" : "cover")]
      return name === undefined || role === undefined || rest.length > 0 ? [] : [{ name, role }]
    })
    const found = named.flat()
    return found.length === named.length && new Set(found.map(({ name }) => name)).size === found.length
      ? found
      : undefined
  }
}
const isRoomToken = Schema.is(RoomToken)
/** Rooms by their tokens. */
export const roomList: Kind<ReadonlyArray<RoomToken>> = {
  expected: "tokens of conversations, separated by commas",
  parse: (given) => {
    const tokens = given.split(",").map((one) => one.trim())
    const found = tokens.filter(isRoomToken)
    return found.length === tokens.length ? found : undefined
  }
}
/** Origins as browsers send them. */
export const originList: Kind<ReadonlyArray<string>> = {
  expected: "origins like https://app.example.com, separated by commas",
  parse: (given) => {
    const origins = given.split(",").map((one) => one.trim())
    return origins.every((one) => URL.parse(one)?.origin === one) ? origins : undefined
  }
}
