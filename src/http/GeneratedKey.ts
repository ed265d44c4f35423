/**
 * The key of single-user mode: made at the first start, shown once in the log, known afterwards only by its hash.
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { Effect, FileSystem, References, Schema } from "effect"
import * as PrivateFile from "../layers/PrivateFile.ts"
import { Front } from "../services/Front.ts"
import { digest } from "./Digest.ts"

const Hash = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))
const decode = Schema.decodeUnknownEffect(Hash)

/**
 * The SHA-256 of the key, from `key.sha256` in the folder. Where there is none, or none that can be used, there is a new key; where it
 * cannot be kept it holds for this process and its fellow runners. Whoever lost it deletes the file.
 */
export const make = Effect.fnUntraced(function* (folder: string) {
  const front = yield* Front
  if (front?.generatedKey !== undefined) return front.generatedKey
  const hash = yield* read(folder)
  front?.keyMade(hash)
  return hash
})

const read = Effect.fnUntraced(function* (folder: string) {
  const path = join(folder, "key.sha256")
  const files = yield* FileSystem.FileSystem
  const known = yield* files.readFileString(path).pipe(
    Effect.flatMap((text) => decode(text.trim())),
    Effect.orElseSucceed(() => undefined)
  )
  if (known !== undefined) {
    yield* Effect.logInfo(
      "The key of this service was shown when it was first started. For a new one, delete the file.",
      {
        path
      }
    )
    return Buffer.from(known, "hex")
  }
  // 256 bits, and a word in front by which secret scanners and people know it.
  const key = `parlance_${randomBytes(32).toString("base64url")}`
  const isKept = yield* PrivateFile.replace(path, `${digest(key).toString("hex")}\n`).pipe(
    Effect.as(true),
    Effect.orElseSucceed(() => false)
  )
  yield* show(
    isKept
      ? `This is the key of your service, shown only this once: ${key}`
      : `This is the key of your service until it ends (it cannot be kept in ${folder}): ${key}`
  )
  return digest(key)
})

/** Whatever the level of the log: nobody could ask again. */
const show = (sentence: string) =>
  Effect.provideService(Effect.logInfo(sentence), References.MinimumLogLevel, "Info" as const)
