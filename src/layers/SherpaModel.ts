/**
 * SherpaModel: what lies in a model's folder, and how sherpa-onnx has to be told.
 */
import { readdir, readFile } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { Effect, Result, Schema } from "effect"
import { ConfigurationError } from "./ConfigurationError.ts"
import * as OnnxMetadata from "./OnnxMetadata.ts"

const kinds = ["transducer", "paraformer", "nemoCtc", "zipformer2Ctc", "toneCtc"] as const
type Kind = (typeof kinds)[number]

/** `model.json` in the folder, where the files do not say enough. */
const Description = Schema.Struct({
  type: Schema.optionalKey(Schema.Literals(kinds)),
  /** BCP-47. */
  languages: Schema.optionalKey(Schema.NonEmptyArray(Schema.String)),
  sampleRate: Schema.optionalKey(Schema.Literals([8000, 16_000]))
})
const decodeDescription = Schema.decodeUnknownResult(Schema.fromJsonString(Description))

/** A streaming model on this machine. */
export const SherpaModel = Schema.Struct({
  /** Name of its folder. */
  name: Schema.String,
  kind: Schema.Literals(kinds),
  /** Paths by their names in sherpa-onnx's configuration. */
  files: Schema.Record(Schema.String, Schema.String),
  tokens: Schema.String,
  sampleRate: Schema.Literals([8000, 16_000]),
  languages: Schema.NonEmptyArray(Schema.String),
  /**
   * sherpa-onnx takes every CTC model for one with frames of 40 ms: what it says of times is so many times too small, and what it is told of
   * them has to be.
   */
  timeScale: Schema.Finite,
  /** ms of silence that push the last word out: twice what the model looks at in one step. */
  flushMs: Schema.Finite
})
export type SherpaModel = typeof SherpaModel.Type

/** For the child process. */
export const toText = (model: SherpaModel): string => JSON.stringify(model)
export const fromText = Schema.decodeSync(Schema.fromJsonString(SherpaModel))

/** Where `npm run model` puts models. */
export const modelsFolder = (storage: string): string => join(storage, "models")

/** ms of a feature frame. */
const FEATURE_MS = 10
const LEAST_FLUSH_MS = 800
/** Features per frame that sherpa-onnx assumes of CTC models. */
const ASSUMED_SUBSAMPLING = 4

/** Reads the model at a path, or of a name under `storage`. Fails in one line that says what is missing. */
export const find = Effect.fn("SherpaModel.find")(function* (
  wanted: string,
  storage: string
): Effect.fn.Return<SherpaModel, ConfigurationError> {
  const known = yield* files(join(modelsFolder(storage), wanted))
  const folder = resolve(known === undefined ? wanted : join(modelsFolder(storage), wanted))
  const names = known ?? (yield* files(folder))
  if (names === undefined) {
    return yield* unusable(
      `${wanted} is neither a folder nor a model in ${modelsFolder(storage)} (npm run model -- <url> fetches one)`
    )
  }
  if (!names.includes("tokens.txt")) return yield* unusable(`there is no tokens.txt in ${folder}`)
  const description = yield* describe(folder, names)
  const onnx = names.filter((name) => name.endsWith(".onnx"))
  const found = description.type ?? kindOf(onnx)
  const parts = partsOf(found, onnx)
  const [main] = Object.values(parts)
  if (main === undefined) return yield* unusable(`no streaming model of a known kind in ${folder}`)
  const metadata = yield* OnnxMetadata.read(join(folder, main))
  const kind = description.type ?? (found === "nemoCtc" && isZipformer(metadata) ? "zipformer2Ctc" : found)
  const subsampling =
    kind === "nemoCtc" ? numberOf(metadata, "subsampling_factor", ASSUMED_SUBSAMPLING) : ASSUMED_SUBSAMPLING
  const window = Math.max(numberOf(metadata, "window_size", 0), numberOf(metadata, "T", 0))
  const model: SherpaModel = {
    name: basename(folder),
    kind,
    files: Object.fromEntries(Object.entries(parts).map(([part, name]) => [part, join(folder, name)])),
    tokens: join(folder, "tokens.txt"),
    sampleRate: description.sampleRate ?? (kind === "toneCtc" ? 8000 : 16_000),
    languages: description.languages ?? ["en"],
    timeScale: subsampling / ASSUMED_SUBSAMPLING,
    flushMs: Math.max(LEAST_FLUSH_MS, 2 * FEATURE_MS * window)
  }
  return model
})

const unusable = (detail: string) => new ConfigurationError({ detail: `LT_SHERPA_MODEL: ${detail}` })

/** `undefined` when it is no folder. */
const files = (folder: string): Effect.Effect<ReadonlyArray<string> | undefined> =>
  Effect.orElseSucceed(
    Effect.tryPromise(() => readdir(folder)),
    () => undefined
  )

const describe = Effect.fnUntraced(function* (folder: string, names: ReadonlyArray<string>) {
  if (!names.includes("model.json")) return {}
  const text = yield* Effect.tryPromise(() => readFile(join(folder, "model.json"), "utf8")).pipe(
    Effect.mapError(() => unusable(`${folder}/model.json cannot be read`))
  )
  const description = decodeDescription(text)
  return Result.isSuccess(description)
    ? description.success
    : yield* unusable(
        `${folder}/model.json must be JSON with type (${kinds.join(", ")}), languages (tags) and sampleRate (8000 or 16000), all optional`
      )
})

const kindOf = (onnx: ReadonlyArray<string>): Kind => {
  if (onnx.some((name) => name.includes("joiner"))) return "transducer"
  return onnx.some((name) => name.includes("encoder")) ? "paraformer" : "nemoCtc"
}

const partNames = {
  transducer: ["encoder", "decoder", "joiner"],
  paraformer: ["encoder", "decoder"],
  nemoCtc: ["model"],
  zipformer2Ctc: ["model"],
  toneCtc: ["model"]
} as const

/** Quantised files come first: they are several times as fast. Empty when a part is missing. */
const partsOf = (kind: Kind, onnx: ReadonlyArray<string>): Readonly<Record<string, string>> => {
  const found = partNames[kind].map((part) => {
    const candidates = onnx.filter((name) => name.includes(part))
    return [part, candidates.find((name) => name.includes("int8")) ?? candidates[0]] as const
  })
  const parts = found.flatMap(([part, name]) => (name === undefined ? [] : [[part, name] as const]))
  return parts.length === found.length ? Object.fromEntries(parts) : {}
}

const isZipformer = (metadata: ReadonlyMap<string, string>): boolean =>
  metadata.get("model_type")?.startsWith("zipformer") === true

const numberOf = (metadata: ReadonlyMap<string, string>, key: string, otherwise: number): number => {
  const value = Number(metadata.get(key))
  return Number.isFinite(value) && value > 0 ? value : otherwise
}
