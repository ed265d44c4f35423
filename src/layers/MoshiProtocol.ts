/**
 * The messages of Kyutai's moshi-server (`/api/asr-streaming`): each is one MessagePack map in a binary message.
 *
 * https://github.com/kyutai-labs/moshi/blob/main/rust/moshi-server/src/asr.rs
 */
import { encode } from "@msgpack/msgpack"
import { Option, Schema } from "effect"
import * as MessagePack from "./MessagePack.ts"

/** First of all: a channel is ours. */
export const Ready = Schema.Struct({ type: Schema.tag("Ready") })
/** A word; rarely several. `start_time` is in seconds of this channel's audio, the model's delay already taken off. */
export const Word = Schema.Struct({
  type: Schema.tag("Word"),
  text: Schema.String.check(Schema.isMaxLength(512)),
  start_time: Schema.Finite
})
/** Said at the boundary to the next word, so `stop_time` is where that one begins: a pause between them counts as the word. */
export const EndWord = Schema.Struct({ type: Schema.tag("EndWord"), stop_time: Schema.Finite })
/**
 * 80 ms of this channel were computed. `prs` are the probabilities that a pause of 0.5, 1, 2 and 3 s is under way; `buffered_pcm` samples wait.
 * Its `step_idx` counts for all channels together and is no clock. The 2.6B model sends none.
 */
export const Step = Schema.Struct({
  type: Schema.tag("Step"),
  prs: Schema.Array(Schema.Finite).check(Schema.isMaxLength(16)),
  buffered_pcm: Schema.optionalKey(Schema.Finite)
})
/** Our own marker: what was sent before it has been computed. */
export const Marker = Schema.Struct({ type: Schema.tag("Marker"), id: Schema.Finite })
/** Today only `no free channels`. */
export const ServerFault = Schema.Struct({ type: Schema.tag("Error"), message: Schema.String })

export const ServerMessage = Schema.Union([Ready, Word, EndWord, Step, Marker, ServerFault])
export type ServerMessage = typeof ServerMessage.Type

/** Bytes of a message; a word is tens of bytes. */
export const MAX_MESSAGE_BYTES = 8192

const decodeMessage = Schema.decodeUnknownOption(ServerMessage)

/** The message in a binary frame; nothing when it is not one. */
export const parse = (bytes: Uint8Array): Option.Option<ServerMessage> =>
  bytes.length > MAX_MESSAGE_BYTES ? Option.none() : Option.flatMap(MessagePack.readMap(bytes), decodeMessage)

/** `GET /api/modules_info`: what the server can do and how much of it is in use; its numbers are text. */
const Modules = Schema.Array(
  Schema.Struct({
    path: Schema.optionalKey(Schema.String),
    used_slots: Schema.optionalKey(Schema.String),
    total_slots: Schema.optionalKey(Schema.String)
  })
)
const decodeModules = Schema.decodeUnknownOption(Schema.fromJsonString(Modules))

/** No channel of the module at this path is free, as far as its page says. */
export const isFull = (modulesInfo: string, path: string): boolean => {
  const ours = Option.getOrElse(decodeModules(modulesInfo), () => []).find((module) => module.path === path)
  return Number(ours?.total_slots) > 0 && Number(ours?.used_slots) >= Number(ours?.total_slots)
}

/** Comes back when everything sent before it was computed, provided that audio goes on meanwhile. */
export const marker = (id: number): Uint8Array => encode({ type: "Marker", id })

/** `{type: "Audio", pcm: [` without the array's own header: fixmap of two, fixstr 4, fixstr 5, fixstr 3. */
const AUDIO_HEAD = Uint8Array.of(
  0x82,
  0xa4,
  ...Buffer.from("type"),
  0xa5,
  ...Buffer.from("Audio"),
  0xa3,
  ...Buffer.from("pcm")
)
const ARRAY_16 = 0xdc
const FLOAT_32 = 0xca
/** A float32 with its marker. */
const SAMPLE_BYTES = 5
/** What an `array 16` can count. */
const MAX_SAMPLES = 65_535

/**
 * Makes an encoder of audio messages. It writes into one buffer, which the next call overwrites. By hand, as the server wants an array of
 * numbers and general encoders box every sample: `MoshiEngine.test.ts` compares.
 */
export const audioEncoder = (): ((pcm: Float32Array) => Uint8Array) => {
  let buffer = new Uint8Array()
  let view = new DataView(buffer.buffer)
  let samples = -1

  const prepare = (length: number): void => {
    const head = AUDIO_HEAD.length + 3
    buffer = new Uint8Array(head + length * SAMPLE_BYTES).fill(FLOAT_32, head)
    buffer.set(AUDIO_HEAD)
    view = new DataView(buffer.buffer)
    view.setUint8(AUDIO_HEAD.length, ARRAY_16)
    view.setUint16(AUDIO_HEAD.length + 1, length)
    samples = length
  }

  return (pcm) => {
    if (pcm.length > MAX_SAMPLES) throw new RangeError("a frame is never so long")
    if (pcm.length !== samples) prepare(pcm.length)
    let offset = AUDIO_HEAD.length + 4
    // by index: iterating takes ten times as long
    for (let index = 0; index < pcm.length; index++) {
      view.setFloat32(offset, pcm[index] ?? 0)
      offset += SAMPLE_BYTES
    }
    return buffer
  }
}
