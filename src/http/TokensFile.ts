/**
 * The tokens an admin has handed out (`LT_TOKENS_FILE`): a JSON list, read again when it changes.
 */
import { Effect, FileSystem, Schema, SchemaIssue, Semaphore } from "effect"
import { ConfigurationError } from "../layers/ConfigurationError.ts"
import { versionOf } from "../layers/FileVersion.ts"
import { digest, findByDigest } from "./Digest.ts"
import { Allowance, type Defaults, type Grant, streaming } from "./Grant.ts"

/** The text says where the file is wrong, never what it has there. */
class BrokenFile extends Schema.TaggedError<BrokenFile>()("BrokenFile", { detail: Schema.String }) {}

const Named = { ...Allowance.fields, name: Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(200)) }
const Entry = Schema.Union([
  Schema.Struct({ ...Named, token: Schema.NonEmptyString }),
  Schema.Struct({ ...Named, sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/i)) })
])
// A misspelt quota would be no quota.
const decode = Schema.decodeUnknownEffect(Schema.Array(Entry), { onExcessProperty: "error" })
const parse = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))
const pathsOf = SchemaIssue.makeFormatterStandardSchemaV1()

interface Token {
  readonly digest: Uint8Array
  readonly grant: Grant
}

/**
 * Gives the grant of a token that is in the file now. A file that breaks or goes away later leaves the tokens of the last good one valid,
 * and one line in the log; one that is broken from the beginning is a `ConfigurationError`.
 */
export const make = Effect.fnUntraced(function* (path: string, defaults: Defaults) {
  const files = yield* FileSystem.FileSystem
  const once = yield* Semaphore.make(1)
  let tokens: ReadonlyArray<Token> = []
  let seen = ""

  const read = Effect.gen(function* () {
    const { mode } = yield* files.stat(path)
    const entries = yield* entriesOf(yield* files.readFileString(path))
    if ((mode & 0o077) !== 0) {
      yield* Effect.logWarning("others on this machine can open LT_TOKENS_FILE: chmod 600 is advised", { path })
    }
    tokens = entries.map((entry) => ({
      digest: "token" in entry ? digest(entry.token) : Buffer.from(entry.sha256, "hex"),
      grant: streaming(entry.name, entry, defaults)
    }))
  }).pipe(Effect.mapError((error) => (error._tag === "BrokenFile" ? error.detail : error.message)))

  // The look at the file costs microseconds, and a token that was taken away is gone with the next request.
  const refresh = Effect.gen(function* () {
    const now = yield* versionOf(path)
    if (now === seen) return
    seen = now
    yield* Effect.catch(read, (reason) =>
      Effect.logError("LT_TOKENS_FILE cannot be used: the tokens it had before stay valid", { path, reason })
    )
  }).pipe(Effect.provideService(FileSystem.FileSystem, files), once.withPermit)

  seen = yield* versionOf(path)
  yield* Effect.mapError(
    read,
    (reason) => new ConfigurationError({ detail: `LT_TOKENS_FILE (${path}) cannot be used: ${reason}` })
  )
  return (token: string): Effect.Effect<Grant | undefined> =>
    Effect.map(refresh, () => findByDigest(token, tokens)?.grant)
})

const entriesOf = Effect.fnUntraced(function* (text: string) {
  const json = yield* Effect.mapError(parse(text), () => new BrokenFile({ detail: "it is not JSON" }))
  const entries = yield* Effect.mapError(
    decode(json),
    ({ issue }) =>
      new BrokenFile({
        detail: `it must be a list of {name, token or sha256, concurrentStreams?, minutesPerDay?, privacy?}; look at ${placesOf(issue)}`
      })
  )
  const names = entries.map(({ name }) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  return twice === undefined ? entries : yield* new BrokenFile({ detail: `the name ${twice} is there twice` })
})

const placesOf = (issue: SchemaIssue.Issue): string => {
  const places = pathsOf(issue).issues.map(({ path = [] }) =>
    path.map((part) => String(typeof part === "object" ? part.key : part)).join(".")
  )
  return [...new Set(places)].map((place) => (place === "" ? "the beginning" : place)).join(", ")
}
