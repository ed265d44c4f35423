/**
 * ModelFetch: a model from the web becomes a folder that `SherpaModel` finds; nothing is left of one that is not what was expected.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { createReadStream, createWriteStream } from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { Readable, Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { parseArgs } from "node:util"
import { Effect, Result, Schema, type Scope } from "effect"
import { find, modelsFolder } from "./SherpaModel.ts"

/** One line that says what went wrong. */
export class ModelFetchError extends Schema.TaggedError<ModelFetchError>()("ModelFetchError", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

export interface ModelRequest {
  readonly url: string
  /** Of the archive, hex, lower case. Absent: what it was the first time is remembered, and must stay the same. */
  readonly sha256?: string
  /** Of the folder. */
  readonly name: string
  readonly languages?: ReadonlyArray<string>
}

const USAGE =
  "usage: npm run model -- <url of a .tar.bz2, .tar.gz or .tar> [--sha256 <hex>] [--name <name>] [--languages en,fr]"
/** What each name was when it came first. */
const PINS = "pins.json"
const Pins = Schema.Record(Schema.String, Schema.String)
const decodePins = Schema.decodeUnknownResult(Schema.fromJsonString(Pins))

const failed = (detail: string) => new ModelFetchError({ detail })
const attempt = <A>(what: string, work: () => Promise<A>): Effect.Effect<A, ModelFetchError> =>
  Effect.tryPromise({
    try: work,
    catch: (error) => failed(`${what}: ${error instanceof Error ? error.message : String(error)}`)
  })

/** Reads the command line. */
export const parse = (given: ReadonlyArray<string>): Effect.Effect<ModelRequest, ModelFetchError> =>
  Effect.try({
    try: () =>
      parseArgs({
        args: [...given],
        allowPositionals: true,
        options: { sha256: { type: "string" }, name: { type: "string" }, languages: { type: "string" } }
      }),
    catch: () => failed(USAGE)
  }).pipe(
    Effect.flatMap(({ positionals, values }) => {
      const url = URL.parse(positionals[0] ?? "")
      if (positionals.length !== 1 || url === null || !/^https?:$/.test(url.protocol)) return Effect.fail(failed(USAGE))
      const name = values.name ?? basename(url.pathname).replace(/\.(tar(\.\w+)?|tgz|tbz2?)$/, "")
      const sha256 = values.sha256?.toLowerCase()
      if (!/^[\w][\w.-]*$/.test(name))
        return Effect.fail(failed("--name: letters, digits, dots, dashes and underscores"))
      if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) return Effect.fail(failed("--sha256: 64 hex digits"))
      const request: ModelRequest = {
        url: url.href,
        name,
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(values.languages === undefined ? {} : { languages: values.languages.split(",").map((one) => one.trim()) })
      }
      return Effect.succeed(request)
    })
  )

/**
 * Downloads the archive, compares its hash, unpacks it and looks whether it is a model. `show` gets a bar while it comes. An older model of the
 * same name is replaced when the new one is there. Unpacking is done by `tar`.
 */
export const fetch = Effect.fn("ModelFetch.fetch")(function* (
  request: ModelRequest,
  storage: string,
  show: (text: string) => void
) {
  const models = modelsFolder(storage)
  yield* attempt(`${models} cannot be written`, () => mkdir(models, { recursive: true, mode: 0o700 }))
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const work = yield* workFolder(models)
      const archive = join(work, "archive")
      yield* download(request.url, archive, show)
      const sha256 = yield* hashOf(archive)
      yield* compare(request, sha256, models)
      const unpacked = join(work, "model")
      yield* unpack(archive, unpacked)
      const folder = yield* modelIn(unpacked)
      yield* describe(folder, request)
      yield* find(folder, storage).pipe(
        Effect.mapError(({ message }) => failed(`this is no streaming model: ${message}`))
      )
      const place = join(models, request.name)
      yield* attempt(`${place} cannot be written`, async () => {
        await rm(place, { recursive: true, force: true })
        await rename(folder, place)
      })
      yield* pin(request, sha256, models)
      return { folder: place, sha256 }
    })
  )
})

/** Beside the models, so that the last step is a rename; gone in any case. */
const workFolder = (models: string): Effect.Effect<string, ModelFetchError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(`${models} cannot be written`, () => mkdtemp(join(models, ".fetch-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )

const download = (url: string, to: string, show: (text: string) => void) =>
  attempt("the download failed", async () => {
    const response = await globalThis.fetch(url)
    if (!response.ok || response.body === null) throw new Error(`the server answers ${response.status}`)
    const total = Number(response.headers.get("content-length") ?? 0)
    await pipeline(Readable.fromWeb(response.body), progress(total, show), createWriteStream(to, { mode: 0o600 }))
    show("\n")
  })

/** A bar of 30 characters, redrawn in place at each percent, or at each megabyte where the size is not known. */
const progress = (total: number, show: (text: string) => void): Transform => {
  const mebibytes = (size: number) => `${(size / 1024 / 1024).toFixed(1)} MiB`
  let taken = 0
  let shown = -1
  return new Transform({
    transform: (chunk: Buffer, _, done) => {
      taken += chunk.length
      const mark = Math.floor(total > 0 ? (100 * taken) / total : taken / 1024 / 1024)
      if (mark !== shown) {
        shown = mark
        const bar = "█".repeat(Math.floor((30 * Math.min(mark, 100)) / 100)).padEnd(30, "░")
        show(total > 0 ? `\r${bar} ${mark} % of ${mebibytes(total)}` : `\r${mebibytes(taken)}`)
      }
      done(null, chunk)
    }
  })
}

const hashOf = (path: string) =>
  attempt("the archive cannot be read", async () => {
    const hash = createHash("sha256")
    await pipeline(createReadStream(path), hash)
    return hash.digest("hex")
  })

const compare = Effect.fnUntraced(function* ({ name, sha256 }: ModelRequest, found: string, models: string) {
  const expected = sha256 ?? (yield* pins(models))[name]
  if (expected === undefined || expected === found) return
  const source = sha256 === undefined ? "it was the first time" : "was asked for"
  return yield* failed(`the archive has sha256 ${found}, not ${expected} as ${source}; nothing was kept`)
})

const pins = (models: string) =>
  Effect.promise(() => readFile(join(models, PINS), "utf8").catch(() => "{}")).pipe(
    Effect.flatMap((text) => {
      const read = decodePins(text)
      return Result.isSuccess(read)
        ? Effect.succeed(read.success)
        : Effect.fail(failed(`${PINS} in ${models} is broken`))
    })
  )

const pin = Effect.fnUntraced(function* ({ name }: ModelRequest, sha256: string, models: string) {
  const all = { ...(yield* pins(models)), [name]: sha256 }
  yield* attempt("the hash cannot be remembered", () =>
    writeFile(join(models, PINS), `${JSON.stringify(all, undefined, 2)}\n`, { mode: 0o600 })
  )
})

const unpack = (archive: string, to: string) =>
  attempt("the archive cannot be unpacked", async () => {
    await mkdir(to)
    await new Promise<void>((resolve, reject) => {
      const tar = spawn("tar", ["-xf", archive, "-C", to, "--no-same-owner"], { stdio: ["ignore", "ignore", "pipe"] })
      let complaint = ""
      tar.stderr.on("data", (chunk: Buffer) => {
        complaint = `${complaint}${chunk.toString()}`.slice(0, 500)
      })
      tar.on("error", reject)
      tar.on("close", (code) => (code === 0 ? resolve() : reject(new Error(complaint.trim()))))
    })
  })

/** The folder with the tokens: archives hold a folder, or the files themselves. */
const modelIn = Effect.fnUntraced(function* (folder: string) {
  const entries = yield* attempt("the archive cannot be read", () => readdir(folder, { withFileTypes: true }))
  if (entries.some(({ name }) => name === "tokens.txt")) return folder
  const [only, ...others] = entries.filter((entry) => entry.isDirectory())
  if (only === undefined || others.length > 0) return yield* failed("the archive does not hold one folder with a model")
  return join(folder, only.name)
})

const describe = Effect.fnUntraced(function* (folder: string, { languages }: ModelRequest) {
  if (languages === undefined) return
  const path = join(folder, "model.json")
  const text = yield* Effect.promise(() => readFile(path, "utf8").catch(() => "{}"))
  const read = Schema.decodeResult(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))(text)
  const known = Result.isSuccess(read) ? read.success : {}
  yield* attempt("the model cannot be described", () => writeFile(path, JSON.stringify({ ...known, languages })))
})
