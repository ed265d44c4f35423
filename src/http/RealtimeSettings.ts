/**
 * The settings of a session at the OpenAI-compatible door: what the client asked for so far, and what holds.
 */
import { type AudioFormat, rawAudio } from "../domain/AudioFormat.ts"
import type { Complaint, LegacySession, Session } from "../layers/OpenAiRequests.ts"
import type { StartOptions } from "./Dialect.ts"

type FormatName = "audio/pcm" | "audio/pcmu" | "audio/pcma"

export interface RealtimeSettings {
  /** Takes over what an update says; or says why not, and changes nothing. */
  readonly update: (session: Session, eventId: string | null) => Complaint | undefined
  /** What the session program is to be started with. */
  readonly start: () => StartOptions
  /** What it made of that. */
  readonly ready: (ready: { readonly model: string; readonly language: string }) => void
  /** The server cuts utterances at pauses; else the client commits them. */
  readonly cuts: () => boolean
  /** Milliseconds of so many bytes of audio. */
  readonly msOf: (bytes: number) => number
  /** Everything that holds, for `session.created` and `session.updated`. */
  readonly session: () => ReturnType<typeof sessionOf>
  /** The same in the words of the beta. */
  readonly legacySession: () => object
}

/** Bytes a millisecond. */
const BYTES: Readonly<Record<FormatName, number>> = { "audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8 }
const LEGACY: Readonly<Record<FormatName, string>> = {
  "audio/pcm": "pcm16",
  "audio/pcmu": "g711_ulaw",
  "audio/pcma": "g711_alaw"
}

export interface Identity {
  readonly id: string
  /** Seconds since 1970. */
  readonly expiresAt: number
  /** The engine or model of the address, if it names one. */
  readonly model: string | undefined
}

/** PCM16 at 24 kHz, the first engine, the deployment's language, cut at pauses. */
export const make = (identity: Identity): RealtimeSettings => {
  let format: FormatName = "audio/pcm"
  let cuts = true
  let asked: { readonly model: string | undefined; readonly language: string | undefined } = {
    model: identity.model,
    language: undefined
  }
  let holds = { model: "", language: "" }

  const session = () => sessionOf(identity, { format, cuts, ...holds })

  return {
    update: ({ audio }, eventId) => {
      const input = audio?.input
      const refuse = (param: string, message: string): Complaint => ({
        code: "invalid_value",
        param: `session.audio.input.${param}`,
        message,
        eventId
      })
      if (input?.format?.rate !== undefined && input.format.type !== "audio/pcm")
        return refuse("format.rate", "Only audio/pcm has a rate; audio/pcmu and audio/pcma are at 8000 Hz.")
      if (input?.turn_detection?.type === "semantic_vad")
        return refuse("turn_detection.type", "Only server_vad is there, or null for commits of your own.")
      if (input?.transcription === null)
        return refuse("transcription", "A transcription session cannot do without transcription.")
      format = input?.format?.type ?? format
      if (input?.turn_detection !== undefined) cuts = input.turn_detection !== null
      const { language, languages, model } = input?.transcription ?? {}
      asked = { model: model ?? asked.model, language: language ?? languages?.[0] ?? asked.language }
      return undefined
    },
    start: () => ({
      format: audioFormat(format),
      ...(asked.language === undefined ? {} : { language: asked.language }),
      ...(asked.model === undefined ? {} : { engine: asked.model })
    }),
    ready: ({ language, model }) => {
      holds = { language, model }
    },
    cuts: () => cuts,
    msOf: (bytes) => bytes / BYTES[format],
    session,
    legacySession: () => {
      const { audio, expires_at, id, include } = session()
      return {
        id,
        object: "realtime.transcription_session",
        expires_at,
        input_audio_format: LEGACY[format],
        input_audio_noise_reduction: null,
        input_audio_transcription: audio.input.transcription,
        turn_detection: audio.input.turn_detection,
        include
      }
    }
  }
}

/** What the beta's clients ask for, in today's words. */
export const ofLegacy = (legacy: LegacySession): Session => {
  const { input_audio_format, input_audio_transcription, turn_detection } = legacy
  return {
    type: "transcription",
    audio: {
      input: {
        ...(input_audio_format === undefined ? {} : { format: formatOf(input_audio_format) }),
        ...(input_audio_transcription === undefined ? {} : { transcription: input_audio_transcription }),
        ...(turn_detection === undefined ? {} : { turn_detection })
      }
    }
  }
}

const formatOf = (legacy: "pcm16" | "g711_ulaw" | "g711_alaw"): { readonly type: FormatName } => {
  switch (legacy) {
    case "pcm16":
      return { type: "audio/pcm" }
    case "g711_ulaw":
      return { type: "audio/pcmu" }
    case "g711_alaw":
      return { type: "audio/pcma" }
  }
}

const audioFormat = (format: FormatName): AudioFormat => {
  switch (format) {
    case "audio/pcm":
      return rawAudio("pcm16", 24_000)
    case "audio/pcmu":
      return rawAudio("pcmu", 8000)
    case "audio/pcma":
      return rawAudio("pcma", 8000)
  }
}

interface Holding {
  readonly format: FormatName
  readonly cuts: boolean
  readonly model: string
  readonly language: string
}

const wireFormat = (format: FormatName) =>
  format === "audio/pcm" ? { type: format, rate: 24_000 as const } : { type: format }

/** Noise reduction and log probabilities are not there whatever was asked for, and the session says so. */
const sessionOf = ({ expiresAt, id }: Identity, { cuts, format, language, model }: Holding) => ({
  type: "transcription" as const,
  object: "realtime.transcription_session" as const,
  id,
  expires_at: expiresAt,
  audio: {
    input: {
      format: wireFormat(format),
      noise_reduction: null,
      transcription: { model, language },
      turn_detection: cuts ? { type: "server_vad" as const } : null
    }
  },
  include: []
})
