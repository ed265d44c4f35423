/** How clients of each family say a piece of audio through their door, and what they have read at the end. */
import { decode, encode } from "@msgpack/msgpack"
import { Effect } from "effect"
import type { DoorClient, Json } from "./DoorSetup.ts"

/** Audio as its door takes it. `format` is what the client tells of it, where its dialect can. */
export interface Sound {
  readonly bytes: Uint8Array
  readonly encoding: "pcm16" | "float32" | "pcmu" | "pcma" | "webm" | "ogg" | "wav"
  readonly sampleRate: number
  readonly channels: 1 | 2
}

export interface DoorClients {
  readonly path: string
  /** Says all of it in messages of about 100 ms, waits for the last words and gives the text. */
  readonly say: (client: DoorClient, sound: Sound) => Effect.Effect<string>
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
const textOf = (value: unknown): string => (typeof value === "string" ? value : "")
const pieces = ({ bytes, channels, encoding, sampleRate }: Sound): ReadonlyArray<Uint8Array> => {
  const width = { pcm16: 2, float32: 4, pcmu: 1, pcma: 1, webm: 0, ogg: 0, wav: 2 }[encoding]
  const length = width === 0 ? 333 : Math.round(sampleRate / 10) * channels * width
  return Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) =>
    bytes.subarray(at * length, (at + 1) * length)
  )
}
const all = (client: DoorClient, read: (message: Json) => string) => client.messages.map(read).filter(Boolean).join(" ")

const tuon: DoorClients = {
  path: "/v1/transcriptions",
  say: Effect.fnUntraced(function* (client, sound) {
    const { channels, encoding, sampleRate } = sound
    client.send({ action: "start", format: encoding, sample_rate: sampleRate, channels })
    for (const piece of pieces(sound)) client.send(piece)
    client.send({ action: "stop" })
    yield* client.closed
    return all(client, (message) => textOf(message["final"]))
  })
}

const tuonV2: DoorClients = {
  path: "/api/ws/transcriptions",
  say: Effect.fnUntraced(function* (client, sound) {
    client.send({
      action: "start",
      lang: "en",
      format: sound.encoding,
      sample_rate: sound.sampleRate,
      channels: sound.channels
    })
    for (const piece of pieces(sound)) client.send(piece)
    client.send({ action: "stop" })
    yield* client.closed
    return all(client, (message) => (message["type"] === "final" ? textOf(message["text"]) : ""))
  })
}

const nemo: DoorClients = {
  path: "/api/v1/audio/stream/transcribe",
  say: Effect.fnUntraced(function* (client, sound) {
    const today = sound.encoding === "pcm16" ? { protocol_version: 1, audio_format: "pcm16" } : {}
    client.send({ type: "config", model: "parakeet", sample_rate: sound.sampleRate, enable_partial: true, ...today })
    yield* client.said((message) => message["state"] === "ready")
    for (const piece of pieces(sound)) client.send({ type: "audio", data: base64(piece) })
    client.send({ type: "commit" })
    const whole = yield* client.said((message) => message["type"] === "full_transcript")
    client.send({ type: "stop" })
    yield* client.closed
    return textOf(whole["text"])
  })
}

const recorder: DoorClients = {
  path: "/ws",
  say: Effect.fnUntraced(function* (client, sound) {
    for (const piece of pieces(sound)) client.send({ type: "audio", payload: base64(piece) })
    client.send({ type: "control", action: "stop" })
    yield* client.closed
    return all(client, (message) => (message["is_final"] === true ? textOf(message["text"]) : ""))
  })
}

const kyutai: DoorClients = {
  path: "/v1/stream",
  say: Effect.fnUntraced(function* (client, sound) {
    for (const piece of pieces(sound)) client.send(piece)
    yield* client.said((message) => message["type"] === "vad_end")
    return client.messages
      .map((message) => (message["type"] === "token" ? textOf(message["text"]) : ""))
      .join("")
      .trim()
  })
}

const moshi: DoorClients = {
  path: "/api/asr-streaming",
  say: Effect.fnUntraced(function* (client, sound) {
    for (const piece of pieces(sound)) {
      const samples = new DataView(piece.buffer, piece.byteOffset, piece.byteLength)
      const pcm = Array.from({ length: piece.byteLength / 4 }, (_, at) => samples.getFloat32(4 * at, true))
      client.send(encode({ type: "Audio", pcm }, { forceFloat32: true }))
    }
    client.send(encode({ type: "Marker", id: 1 }))
    const read = ({ bytes }: Json): Json => {
      const message = bytes instanceof Uint8Array ? decode(bytes) : {}
      return typeof message === "object" && message !== null ? { ...message } : {}
    }
    yield* client.said((message) => read(message)["type"] === "Marker")
    return all(client, (message) => (read(message)["type"] === "Word" ? textOf(read(message)["text"]) : ""))
  })
}

/** In lockstep, as everything made for Vosk does it. */
const vosk: DoorClients = {
  path: "/vosk",
  say: Effect.fnUntraced(function* (client, sound) {
    client.send({ config: { sample_rate: sound.sampleRate } })
    let answers = 0
    for (const piece of pieces(sound)) {
      client.send(piece)
      answers += 1
      yield* client.said(() => client.messages.length >= answers)
    }
    client.send('{"eof" : 1}')
    yield* client.closed
    return all(client, (message) => textOf(message["text"]))
  })
}

const realtime: DoorClients = {
  path: "/v1/realtime?intent=transcription",
  say: Effect.fnUntraced(function* (client, sound) {
    const format =
      sound.encoding === "pcm16" ? { type: "audio/pcm", rate: 24_000 } : { type: `audio/${sound.encoding}` }
    client.send({
      type: "session.update",
      session: { type: "transcription", audio: { input: { format, turn_detection: null } } }
    })
    yield* client.said((message) => message["type"] === "session.updated")
    for (const piece of pieces(sound)) client.send({ type: "input_audio_buffer.append", audio: base64(piece) })
    client.send({ type: "input_audio_buffer.commit" })
    const completed = yield* client.said(
      (message) => message["type"] === "conversation.item.input_audio_transcription.completed"
    )
    return textOf(completed["transcript"])
  })
}

export const clients = { tuon, tuonV2, nemo, recorder, kyutai, moshi, vosk, realtime }
