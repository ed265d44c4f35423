/**
 * What a model says about itself: the metadata of an ONNX file, without its weights.
 */
import { type FileHandle, open } from "node:fs/promises"
import { Effect } from "effect"

/** `ModelProto.metadata_props` (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). */
const METADATA = 14
/** A property is tens of bytes; some hold a list of settings. */
const MAX_PROPERTY_BYTES = 1024 * 1024

/** The properties of a file; empty when it is not an ONNX file. Reads a few bytes of each top-level field, whatever the size of the model. */
export const read = (path: string): Effect.Effect<ReadonlyMap<string, string>> =>
  Effect.acquireUseRelease(
    Effect.tryPromise(() => open(path)),
    (file) => Effect.tryPromise(() => readAll(file)),
    (file) => Effect.promise(() => file.close())
  ).pipe(Effect.orElseSucceed(() => new Map()))

const readAll = async (file: FileHandle): Promise<ReadonlyMap<string, string>> => {
  const found = new Map<string, string>()
  const { size } = await file.stat()
  for (let at = 0; at < size; ) {
    const head = await bytesAt(file, at, 20)
    const tag = varint(head, 0)
    const value = varint(head, tag.next)
    const field = tag.value >> 3
    const kind = tag.value & 7
    // ModelProto has nothing but numbers (0) and pieces with a length (2)
    if (kind !== 0 && kind !== 2) return found
    const start = at + value.next
    if (kind === 2 && field === METADATA && value.value <= MAX_PROPERTY_BYTES) {
      const [key, text] = property(await bytesAt(file, start, value.value))
      found.set(key, text)
    }
    at = kind === 0 ? start : start + value.value
  }
  return found
}

const bytesAt = async (file: FileHandle, position: number, length: number): Promise<Buffer> => {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
  return buffer.subarray(0, bytesRead)
}

/** Sizes of files fit a number; bits beyond that do not occur. */
const varint = (bytes: Buffer, from: number): { readonly value: number; readonly next: number } => {
  let value = 0
  for (let at = from, factor = 1; ; at++, factor *= 128) {
    const byte = bytes[at] ?? 0
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return { value, next: at + 1 }
  }
}

/** `StringStringEntryProto`: key (1) and value (2). */
const property = (bytes: Buffer): readonly [string, string] => {
  const texts = ["", ""]
  for (let at = 0; at < bytes.length; ) {
    const tag = varint(bytes, at)
    const length = varint(bytes, tag.next)
    texts[(tag.value >> 3) - 1] = bytes.toString("utf8", length.next, length.next + length.value)
    at = length.next + length.value
  }
  return [texts[0] ?? "", texts[1] ?? ""]
}
