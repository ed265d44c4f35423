/**
 * The client's side of every dialect: what is sent, and what that which comes back means.
 */
import { Redacted } from "effect"
import * as Pcm16 from "../../src/layers/Pcm16.ts"

export type Message = string | Uint8Array

/** What a message of the service means. */
export type Told =
  /** Sound may be sent. */
  | { readonly _tag: "Ready" }
  /** The whole text of what is being said. */
  | { readonly _tag: "Partial"; readonly text: string }
  /** To be put behind what is being said. */
  | { readonly _tag: "Appended"; readonly text: string }
  | { readonly _tag: "Final"; readonly text: string }
  | { readonly _tag: "Note"; readonly text: string }
  | { readonly _tag: "Failed"; readonly detail: string }
  /** Nothing follows. */
  | { readonly _tag: "Done" }

export interface Wish {
  readonly token: Redacted.Redacted | undefined
  readonly language: string | undefined
  readonly model: string | undefined
  readonly variant: string | undefined
}

/** One connection's worth. */
export interface Speech {
  readonly begin: ReadonlyArray<Message>
  readonly audio: (pcm: Float32Array) => Message
  readonly finish: ReadonlyArray<Message>
  readonly read: (message: Fields) => ReadonlyArray<Told>
}

export interface Client {
  readonly path: string
  readonly sampleRate: 16_000 | 24_000
  readonly tokenIn: "Header" | "Query" | "Message"
  readonly languageInQuery?: true
  /** Otherwise sound is sent at once. */
  readonly waitsForReady: boolean
  /** The dialect has no end: silence follows what is said, and what comes within so long (ms) after it was all. */
  readonly settlesMs?: number
  readonly speak: (wish: Wish) => Speech
}

/** A message of the service, whatever is in it. */
export type Fields = Readonly<Record<string, unknown>>

const json = (message: object): string => JSON.stringify(message)
const text = (value: unknown): string => (typeof value === "string" ? value : "")
const said = (given: Readonly<Record<string, string | undefined>>) =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
const failed = (detail: string): ReadonlyArray<Told> => [{ _tag: "Failed", detail }]
/** Bytes that may be kept: encoders reuse theirs. */
const pcm16 = () => {
  const encode = Pcm16.encoder()
  return (pcm: Float32Array): Message => Uint8Array.from(encode(pcm))
}
const float32 = (pcm: Float32Array): Buffer => Buffer.from(Float32Array.from(pcm).buffer)

const tuon: Client = {
  path: "/v1/transcriptions",
  sampleRate: 24_000,
  tokenIn: "Message",
  waitsForReady: true,
  speak: ({ language, model, token }) => ({
    begin: [
      json({
        action: "start",
        ...said({ language, model, token: token && Redacted.value(token) }),
        format: "pcm16",
        sample_rate: 24_000,
        details: true
      })
    ],
    audio: pcm16(),
    finish: [json({ action: "stop" })],
    read: (message) => {
      // Servers without details say their session's id and nothing more.
      if ("session_id" in message || "ready" in message) return [{ _tag: "Ready" }]
      if ("error" in message) return failed(text(message["error"]))
      if ("final" in message) return [{ _tag: "Final", text: text(message["final"]) }]
      if ("replace" in message) return [{ _tag: "Partial", text: text(message["replace"]) }]
      return "partial" in message ? [{ _tag: "Appended", text: text(message["partial"]) }] : []
    }
  })
}

const tldw: Client = {
  path: "/api/v1/audio/stream/transcribe",
  sampleRate: 16_000,
  tokenIn: "Query",
  waitsForReady: true,
  speak: ({ language, model = "parakeet", variant = "standard" }) => ({
    begin: [
      json({
        type: "config",
        model,
        variant,
        sample_rate: 16_000,
        ...said({ language }),
        enable_partial: true,
        protocol_version: 1,
        audio_format: "float32"
      })
    ],
    audio: (pcm) => json({ type: "audio", data: float32(pcm).toString("base64") }),
    finish: [json({ type: "commit" }), json({ type: "stop" })],
    read: (message) => {
      switch (message["type"]) {
        case "status":
          return [{ _tag: "Ready" }]
        case "partial":
          return [{ _tag: "Partial", text: text(message["text"]) }]
        case "final":
          return [{ _tag: "Final", text: text(message["text"]) }]
        case "warning":
          return [{ _tag: "Note", text: text(message["message"]) }]
        case "error":
          return failed(text(message["message"]))
        case "done":
          return [{ _tag: "Done" }]
        default:
          return []
      }
    }
  })
}

const recorder: Client = {
  path: "/ws",
  sampleRate: 16_000,
  languageInQuery: true,
  tokenIn: "Query",
  waitsForReady: false,
  speak: () => {
    const encode = Pcm16.base64Encoder()
    return {
      begin: [],
      audio: (pcm) => json({ type: "audio", payload: encode(pcm) }),
      finish: [json({ type: "control", action: "stop" })],
      read: (message) => {
        switch (message["type"]) {
          case "transcript":
            return [{ _tag: message["is_final"] === true ? "Final" : "Partial", text: text(message["text"]) }]
          case "saved":
            return [{ _tag: "Note", text: `saved as ${text(message["s3_key"])}` }]
          case "error":
            return failed(text(message["message"]))
          default:
            return []
        }
      }
    }
  }
}

const kyutai: Client = {
  path: "/v1/stream",
  sampleRate: 24_000,
  tokenIn: "Header",
  waitsForReady: false,
  settlesMs: 3000,
  speak: () => {
    let open = ""
    return {
      begin: [],
      audio: (pcm) => float32(pcm),
      finish: [],
      read: (message) => {
        switch (message["type"]) {
          case "token": {
            // Today's server tells words without spaces, yesterday's with their own.
            const token = text(message["text"])
            const joined = open === "" || /^\s/.test(token) ? token : ` ${token}`
            open += joined
            return [{ _tag: "Appended", text: joined }]
          }
          case "vad_end": {
            const final = open.trim()
            open = ""
            return [{ _tag: "Final", text: final }]
          }
          case "error":
            return failed(text(message["message"]))
          default:
            return []
        }
      }
    }
  }
}

const vosk: Client = {
  path: "/vosk",
  sampleRate: 16_000,
  tokenIn: "Header",
  waitsForReady: false,
  speak: ({ language }) => ({
    begin: [json({ config: { sample_rate: 16_000, ...said({ language }) } })],
    audio: pcm16(),
    finish: [json({ eof: 1 })],
    read: (message) => {
      if ("text" in message) return [{ _tag: "Final", text: text(message["text"]) }]
      return "partial" in message ? [{ _tag: "Partial", text: text(message["partial"]) }] : []
    }
  })
}

const realtime: Client = {
  path: "/v1/realtime?intent=transcription",
  sampleRate: 24_000,
  tokenIn: "Header",
  waitsForReady: true,
  speak: ({ language, model }) => {
    const encode = Pcm16.base64Encoder()
    const awaited = new Set<string>()
    /** The service has come to the second of two commits, and of course found nothing to commit. */
    let isCommitted = false
    const done = (): ReadonlyArray<Told> => (isCommitted && awaited.size === 0 ? [{ _tag: "Done" }] : [])
    const setup = { input: { format: { type: "audio/pcm", rate: 24_000 }, transcription: said({ model, language }) } }
    const commit = (event_id: string) => json({ type: "input_audio_buffer.commit", event_id })
    return {
      begin: [json({ type: "session.update", session: { type: "transcription", audio: setup } })],
      audio: (pcm) => json({ type: "input_audio_buffer.append", audio: encode(pcm) }),
      finish: [commit("all"), commit("behind all")],
      read: (message) => {
        const item = text(message["item_id"])
        switch (message["type"]) {
          case "session.updated":
            return [{ _tag: "Ready" }]
          case "input_audio_buffer.committed":
            awaited.add(item)
            return []
          case "conversation.item.input_audio_transcription.delta":
            return [{ _tag: "Appended", text: text(message["delta"]) }]
          case "conversation.item.input_audio_transcription.completed":
            awaited.delete(item)
            return [{ _tag: "Final", text: text(message["transcript"]) }, ...done()]
          case "error": {
            const { code, event_id, message: detail } = Object(message["error"])
            if (code !== "input_audio_buffer_commit_empty") return failed(text(detail))
            isCommitted = event_id === "behind all"
            return done()
          }
          default:
            return []
        }
      }
    }
  }
}

/** By name. */
export const clients: Readonly<Record<string, Client>> = { tldw, tuon, recorder, kyutai, vosk, realtime }
