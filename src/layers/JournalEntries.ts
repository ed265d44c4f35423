/**
 * The entries of a speech journal as bytes: kind (1), number of the voice (4), length (4), body. Big-endian; positions are 64 bit floats.
 */
import { Option, Schema } from "effect"
import { RoomToken, SessionId } from "../domain/Call.ts"
import type { HeardMark, UnsaidText } from "../services/SpeechJournal.ts"

const VoiceBody = Schema.Struct({
  room: RoomToken,
  id: Schema.String,
  key: Schema.Struct({ publisher: SessionId, roomType: Schema.Literals(["video", "screen"]) })
})
const MarkBody = Schema.Struct({ position: Schema.Finite, said: Schema.String, kept: Schema.optionalKey(Schema.Int) })
const UnsaidBody = Schema.Struct({
  room: RoomToken,
  texts: Schema.Array(
    Schema.Struct({
      voice: Schema.String,
      speaker: SessionId,
      texts: Schema.Array(Schema.String),
      ahead: Schema.String
    })
  )
})

export type VoiceEntry = typeof VoiceBody.Type

/** `number` names a voice within one journal. */
export type Entry =
  | { readonly _tag: "Voice"; readonly number: number; readonly voice: VoiceEntry }
  | { readonly _tag: "Began"; readonly number: number; readonly start: number }
  | { readonly _tag: "Heard"; readonly number: number; readonly position: number; readonly packet: Uint8Array }
  | {
      readonly _tag: "Ended"
      readonly number: number
      readonly heard: number
      readonly end: number
      readonly silence: number
    }
  /** What was said goes behind the first `kept` characters of what the entry before says; without it that is all. */
  | { readonly _tag: "Marked"; readonly number: number; readonly mark: HeardMark & { readonly kept?: number } }
  | { readonly _tag: "Forgotten"; readonly number: number }
  /** All there is of the room. */
  | { readonly _tag: "Unsaid"; readonly room: RoomToken; readonly texts: ReadonlyArray<UnsaidText> }

const kinds = ["Voice", "Began", "Heard", "Ended", "Marked", "Forgotten", "Unsaid"] as const
const HEARD = kinds.indexOf("Heard")
const HEADER = 9

export interface EntryWriter {
  readonly write: (entry: Entry) => void
  /** `write` of a `Heard`, without an object: there are fifty a second of every voice. */
  readonly hear: (number: number, position: number, packet: Uint8Array) => void
  readonly length: () => number
  /** What was written since it was last taken; valid until the next `write`. */
  readonly take: () => Uint8Array
}

/** Makes a writer whose memory grows with what waits in it. */
export const writer = (): EntryWriter => {
  let bytes = new Uint8Array(16_384)
  let view = new DataView(bytes.buffer)
  let length = 0

  const reserve = (more: number) => {
    if (length + more <= bytes.length) return
    const larger = new Uint8Array(Math.max(2 * bytes.length, length + more))
    larger.set(bytes.subarray(0, length))
    bytes = larger
    view = new DataView(bytes.buffer)
  }
  const head = (kind: number, number: number, body: number) => {
    reserve(HEADER + body)
    view.setUint8(length, kind)
    view.setUint32(length + 1, number)
    view.setUint32(length + 5, body)
    length += HEADER
  }
  const begin = (tag: Entry["_tag"], number: number, body: number) => head(kinds.indexOf(tag), number, body)
  const numbers = (tag: Entry["_tag"], number: number, values: ReadonlyArray<number>) => {
    begin(tag, number, 8 * values.length)
    for (const value of values) {
      view.setFloat64(length, value)
      length += 8
    }
  }
  const hear: EntryWriter["hear"] = (number, position, packet) => {
    head(HEARD, number, 8 + packet.length)
    view.setFloat64(length, position)
    bytes.set(packet, length + 8)
    length += 8 + packet.length
  }
  const json = (tag: Entry["_tag"], number: number, value: unknown) => {
    const body = Buffer.from(JSON.stringify(value))
    begin(tag, number, body.length)
    bytes.set(body, length)
    length += body.length
  }

  return {
    write: (entry) => {
      switch (entry._tag) {
        case "Voice":
          return json(entry._tag, entry.number, entry.voice)
        case "Began":
          return numbers(entry._tag, entry.number, [entry.start])
        case "Heard":
          return hear(entry.number, entry.position, entry.packet)
        case "Ended":
          return numbers(entry._tag, entry.number, [entry.heard, entry.end, entry.silence])
        case "Marked":
          return json(entry._tag, entry.number, entry.mark)
        case "Forgotten":
          return begin(entry._tag, entry.number, 0)
        case "Unsaid":
          return json(entry._tag, 0, { room: entry.room, texts: entry.texts })
      }
    },
    hear,
    length: () => length,
    take: () => {
      const taken = bytes.subarray(0, length)
      length = 0
      return taken
    }
  }
}

const decodeVoice = Schema.decodeUnknownOption(Schema.fromJsonString(VoiceBody))
const decodeMark = Schema.decodeUnknownOption(Schema.fromJsonString(MarkBody))
const decodeUnsaid = Schema.decodeUnknownOption(Schema.fromJsonString(UnsaidBody))

/** Reads entries, in place; what is none, or torn, is left out. */
export function* read(bytes: Uint8Array): Generator<Entry> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + HEADER <= buffer.length; ) {
    const tag = kinds[buffer.readUInt8(at)]
    const number = buffer.readUInt32BE(at + 1)
    const start = at + HEADER
    at = start + buffer.readUInt32BE(at + 5)
    if (tag === undefined || at > buffer.length) return
    const entry = entryOf(tag, number, buffer.subarray(start, at))
    if (entry !== undefined) yield entry
  }
}

const entryOf = (tag: Entry["_tag"], number: number, body: Buffer): Entry | undefined => {
  const needed = tag === "Ended" ? 24 : tag === "Began" || tag === "Heard" ? 8 : 0
  if (body.length < needed) return undefined
  switch (tag) {
    case "Voice":
      return Option.getOrUndefined(Option.map(decodeVoice(body.toString()), (voice) => ({ _tag: tag, number, voice })))
    case "Began":
      return { _tag: tag, number, start: body.readDoubleBE(0) }
    case "Heard":
      return { _tag: tag, number, position: body.readDoubleBE(0), packet: body.subarray(8) }
    case "Ended":
      return {
        _tag: tag,
        number,
        heard: body.readDoubleBE(0),
        end: body.readDoubleBE(8),
        silence: body.readDoubleBE(16)
      }
    case "Marked":
      return Option.getOrUndefined(Option.map(decodeMark(body.toString()), (mark) => ({ _tag: tag, number, mark })))
    case "Forgotten":
      return { _tag: tag, number }
    case "Unsaid":
      return Option.getOrUndefined(Option.map(decodeUnsaid(body.toString()), (unsaid) => ({ _tag: tag, ...unsaid })))
  }
}
