/**
 * Setting: one environment variable, how it is read and what an admin is told of it.
 */
import { Config, Effect, Redacted, Schema, SchemaIssue } from "effect"
import type { Kind } from "./SettingKinds.ts"

/** A variable as an admin sees it; `README.md` and `appinfo/info.xml` are checked against these. */
export interface Variable {
  readonly name: string
  readonly description: string
  /** As written in the environment; absent where leaving it out means something that is not a value. */
  readonly default?: string
  readonly unit?: string
  readonly example?: string
  /** `AppAPI` sets it when it starts the container, then it is not an admin's business and not in `info.xml`. */
  readonly setBy: "admin" | "AppAPI"
}

/** How a variable is read, and what it means. */
export type Setting<A> = Config.Config<A> & { readonly variable: Variable }

type Described = Omit<Variable, "name" | "setBy"> & { readonly setBy?: Variable["setBy"] }

/** Absent where it is not set. */
export const optional = <A>(name: string, kind: Kind<A>, described: Described) =>
  documented(Config.withDefault(read(name, kind), undefined), name, described)

/** This value where it is not set. */
export const withDefault = <A>(name: string, kind: Kind<A>, value: A, described: Described) =>
  documented(Config.withDefault(read(name, kind), value), name, { default: String(value), ...described })

/** Absent where it is not set, or to nothing: nobody proves anything with an empty secret. Never shown. */
export const secret = (name: string, described: Described): Setting<Redacted.Redacted | undefined> =>
  documented(Config.withDefault(Config.map(Config.Redacted(name), trimmed), undefined), name, described)

const documented = <A>(config: Config.Config<A>, name: string, described: Described): Setting<A> =>
  Object.assign(config, { variable: { name, setBy: "admin" as const, ...described } })

const read = <A>(name: string, kind: Kind<A>): Config.Config<A> =>
  Config.mapEffect(Config.String(name), (given) => {
    const value = kind.parse(given.trim())
    return value === undefined ? Effect.fail(invalid(`${name} must be ${kind.expected}`)) : Effect.succeed(value)
  })

/** A refused value is never repeated: it may be a secret in the wrong place. */
const invalid = (message: string) =>
  new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))

/** A line break at the end comes with many ways of setting a secret and belongs to none. */
const trimmed = (given: Redacted.Redacted): Redacted.Redacted | undefined => {
  const value = Redacted.value(given).trim()
  return value === "" ? undefined : Redacted.make(value)
}
