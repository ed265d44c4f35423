/**
 * The dialect of Kyutai's own moshi-server, `WS /api/asr-streaming`: its scripts and everything made for it can use any engine through us.
 *
 * Every message is one MessagePack map in a binary message. The client sends `Audio {pcm}` (24 kHz), `Marker {id}` and, to begin anew, `Init`;
 * the service answers `Ready`, then `Word {text, start_time}` and `EndWord {stop_time}` in seconds of the client's audio, a `Step` for each
 * 80 ms of it, and each `Marker` when everything before it was said. Clients take the times of words for proof of what was heard, so a word is
 * never said to begin later than it did: all words of a segment begin with it. `prs` of a step, with the model itself a guess, are how much of a pause of 0.5, 1, 2 and 3 s has passed.
 */
import { encode } from "@msgpack/msgpack"
import { Option, Schema } from "effect"
import { FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE } from "../domain/Audio.ts"
import { rawAudio } from "../domain/AudioFormat.ts"
import { isFinal, type Segment } from "../domain/Segment.ts"
import * as MessagePack from "../layers/MessagePack.ts"
import * as Deltas from "./Deltas.ts"
import {
  type Conversation,
  closeCodes,
  type Dialect,
  type Event,
  type Message,
  notUnderstood,
  type Request
} from "./Dialect.ts"

/** 10 s of audio, nine bytes a sample at most. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
const MAX_SAMPLES = 10 * SAMPLE_RATE
/** One is enough for an utterance. */
const MAX_MARKERS = 256
const PAUSES_MS = [500, 1000, 2000, 3000] as const

const ClientMessage = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("Audio"),
    pcm: Schema.Array(Schema.Finite).check(Schema.isMaxLength(MAX_SAMPLES))
  }),
  Schema.Struct({ type: Schema.Literal("Marker"), id: Schema.Int }),
  Schema.Struct({ type: Schema.Literal("Init") })
])
const decodeMessage = Schema.decodeUnknownOption(ClientMessage)

const read = (message: Message): Option.Option<typeof ClientMessage.Type> =>
  typeof message === "string" ? Option.none() : Option.flatMap(MessagePack.readMap(message), decodeMessage)

const say = (message: object): Request => ({ _tag: "Send", message: encode(message, { ignoreUndefined: true }) })
const refuse = (message: string, code: number): ReadonlyArray<Request> => [
  say({ type: "Error", message }),
  { _tag: "Close", code }
]

const converse = (): Conversation => {
  const delta = Deltas.make()
  /** Markers that were not answered, in order. */
  const markers: Array<number> = []
  let isWordOpen = false
  let lastSeconds = 0
  let samples = 0
  let steps = 0
  /** Where speech stopped, ms; absent while somebody speaks. */
  let silentSinceMs: number | undefined = 0

  const stepsDue = (): ReadonlyArray<Request> => {
    const due: Array<Request> = []
    while ((steps + 1) * FRAME_SAMPLES <= samples) {
      steps += 1
      const pausedMs = silentSinceMs === undefined ? 0 : Math.max(0, steps * FRAME_MS - silentSinceMs)
      const prs = PAUSES_MS.map((pause) => Math.min(1, pausedMs / pause))
      due.push(say({ type: "Step", step_idx: steps, prs, buffered_pcm: samples - steps * FRAME_SAMPLES }))
    }
    return due
  }

  const hear = (pcm: ReadonlyArray<number>): ReadonlyArray<Request> => {
    samples += pcm.length
    const bytes = new Uint8Array(Float32Array.from(pcm).buffer)
    return pcm.length === 0 ? [] : [{ _tag: "Audio", bytes }, ...stepsDue()]
  }

  const endWord = (): ReadonlyArray<Request> => {
    if (!isWordOpen) return []
    isWordOpen = false
    return [say({ type: "EndWord", stop_time: lastSeconds })]
  }
  const words = (segment: Segment, startMs: number, endMs: number): ReadonlyArray<Request> => {
    lastSeconds = Math.max(lastSeconds, startMs / 1000)
    const told = (delta(segment).match(/\S+/g) ?? []).flatMap((text) => {
      const ended = endWord()
      isWordOpen = true
      return [...ended, say({ type: "Word", text, start_time: lastSeconds })]
    })
    if (!isFinal(segment)) return told
    lastSeconds = Math.max(lastSeconds, endMs / 1000)
    return [...told, ...endWord()]
  }

  const tell = (event: Event): ReadonlyArray<Request> => {
    switch (event._tag) {
      case "Admitted":
        return [{ _tag: "Start", options: { format: rawAudio("float32", SAMPLE_RATE) } }]
      case "Ready":
      case "WasReset":
        return [say({ type: "Ready" })]
      case "SpeechStarted":
        silentSinceMs = undefined
        return []
      case "SpeechStopped":
        silentSinceMs = event.atMs
        return []
      case "Segment":
        return words(event.segment, event.startMs, event.endMs)
      case "Committed":
        return [say({ type: "Marker", id: markers.shift() })]
      case "Denied":
        return refuse(event.denial === "TooManyStreams" ? "no free channels" : event.detail, closeCodes[event.denial])
      case "Failed":
        return refuse(event.detail, closeCodes[event.failure])
      default:
        return []
    }
  }

  return {
    receive: (message) => {
      const known = Option.getOrUndefined(read(message))
      switch (known?.type) {
        case "Audio":
          return hear(known.pcm)
        case "Marker":
          if (markers.length >= MAX_MARKERS) return refuse("too many markers are waiting", 1008)
          markers.push(known.id)
          return [{ _tag: "Commit" }]
        case "Init":
          return [{ _tag: "Reset" }]
        default:
          return [notUnderstood, ...refuse("a message is a MessagePack map of type Audio, Marker or Init", 1003)]
      }
    },
    tell
  }
}

export const moshi: Dialect = {
  name: "moshi",
  paths: ["/api/asr-streaming"],
  credentials: { headers: ["kyutai-api-key"], query: ["auth_id"], noneKnown: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  converse
}
