/**
 * OpenAI's Realtime transcription, `WS /v1/realtime?intent=transcription`, for its SDKs and for whatever was written against it
 * (https://platform.openai.com/docs/guides/realtime-transcription).
 *
 * The client may set the session up (`session.update`, or `transcription_session.update` as the beta had it; the full session that holds comes
 * back), appends audio in base64 (`audio/pcm` at 24 kHz, `audio/pcmu`, `audio/pcma`) and is told deltas, which are never taken back, and the
 * transcript of each item once. With `server_vad`, the default, an item ends at a pause or with a sentence; with `turn_detection: null` the
 * client commits.
 *
 * What differs from OpenAI: `model` names an engine or model of `GET /api/v1/engines` (also as `?model=`), an unknown one is the first engine and
 * the session says which; `semantic_vad` is refused; noise reduction, prompts, keywords and log probabilities are accepted and without effect;
 * a message may have 4 MiB. A message that is wrong is answered with `error` and changes nothing. The official SDK insists on `wss:`.
 */
import { Result } from "effect"
import * as OpenAiRequests from "../layers/OpenAiRequests.ts"
import { bytesIn } from "./Base64.ts"
import {
  type Conversation,
  closeCodes,
  type Denial,
  type Dialect,
  type Failure,
  notUnderstood,
  type Opening,
  type Request,
  say
} from "./Dialect.ts"
import * as RealtimeEvents from "./RealtimeEvents.ts"
import * as RealtimeItems from "./RealtimeItems.ts"
import * as RealtimeSettings from "./RealtimeSettings.ts"

/** 65 s of PCM16 in base64; whoever sends a file sends it in parts. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
/** OpenAI's rule for a commit. */
const MIN_COMMIT_MS = 100

const converse = (opening: Opening): Conversation => {
  const connection = opening.sessionId.replaceAll("-", "").slice(0, 20)
  const events = RealtimeEvents.make(connection)
  const settings = RealtimeSettings.make({
    id: `sess_${connection}`,
    expiresAt: Math.floor(opening.now() / 1000) + opening.sessionSeconds,
    model: opening.query.get("model") ?? undefined
  })
  const items = RealtimeItems.make({ connection, events, cuts: settings.cuts })
  /** What is told when the session program says that it is ready, in order. */
  const announcements: Array<() => object> = []
  let appendedMs = 0

  const start = (announcement: () => object): ReadonlyArray<Request> => {
    announcements.push(announcement)
    return [{ _tag: "Start", options: settings.start() }]
  }
  const complain = (complaint: OpenAiRequests.Complaint) => [notUnderstood, say(events.error(complaint))]
  const wrong = (code: string, message: string, of: { readonly param?: string; readonly eventId: string | null }) =>
    complain({ code, message, param: of.param ?? null, eventId: of.eventId })

  const handle = (event: OpenAiRequests.ClientEvent): ReadonlyArray<Request> => {
    const eventId = event.event_id ?? null
    switch (event.type) {
      case "session.update": {
        const complaint = settings.update(event.session, eventId)
        if (complaint !== undefined) return complain(complaint)
        return start(() => events.session("session.updated", settings.session()))
      }
      case "transcription_session.update": {
        const complaint = settings.update(RealtimeSettings.ofLegacy(event.session), eventId)
        if (complaint !== undefined) return complain(complaint)
        return start(() => events.session("transcription_session.updated", settings.legacySession()))
      }
      case "input_audio_buffer.append": {
        const bytes = bytesIn(event.audio)
        if (bytes === undefined)
          return wrong("invalid_value", "Invalid 'audio'. Expected base64.", { param: "audio", eventId })
        appendedMs += settings.msOf(bytes.length)
        return bytes.length === 0 ? [] : [{ _tag: "Audio", bytes }]
      }
      case "input_audio_buffer.commit": {
        const ms = appendedMs - items.committedMs()
        if (ms < MIN_COMMIT_MS)
          return wrong(
            "input_audio_buffer_commit_empty",
            `Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has ${Math.max(0, ms).toFixed(2)}ms of audio.`,
            { eventId }
          )
        return [...items.commit(appendedMs).map(say), { _tag: "Commit" }]
      }
      case "input_audio_buffer.clear":
        items.clear(appendedMs)
        return [{ _tag: "Reset" }]
    }
  }

  return {
    receive: (message) => {
      if (typeof message !== "string")
        return wrong("invalid_value", "Messages are JSON in text; audio is base64 in them.", { eventId: null })
      const event = OpenAiRequests.read(message)
      return Result.isFailure(event) ? complain(event.failure) : handle(event.success)
    },
    tell: (event) => {
      switch (event._tag) {
        case "Admitted":
          return start(() => events.session("session.created", settings.session()))
        case "Ready": {
          settings.ready(event)
          const announcement = announcements.shift()
          return announcement === undefined ? [] : [say(announcement())]
        }
        case "SpeechStarted":
          return items.speechStarted(event.atMs).map(say)
        case "SpeechStopped":
          return items.speechStopped(event.atMs).map(say)
        case "Segment":
          return items.said(event).map(say)
        case "Settled":
          return items.settled(event.throughMs).map(say)
        case "Committed":
          return items.committed().map(say)
        case "WasReset":
          return [say(events.cleared())]
        case "Denied":
          return [
            say(events.error(errorOf(event.denial, event.detail), denials[event.denial].type)),
            close(event.denial, event.detail)
          ]
        case "Failed": {
          const { code, type } = failures[event.failure] ?? { code: "server_error", type: "server_error" }
          return [
            ...items.fail(code, event.detail).map(say),
            say(events.error({ code, message: event.detail, param: null, eventId: null }, type)),
            close(event.failure, event.detail)
          ]
        }
        default:
          return []
      }
    }
  }
}

const close = (why: Denial | Failure, reason: string): Request => ({ _tag: "Close", code: closeCodes[why], reason })
const errorOf = (denial: Denial, message: string): OpenAiRequests.Complaint => ({
  code: denials[denial].code,
  message,
  param: null,
  eventId: null
})

/** The codes OpenAI uses for the like. */
const denials: Readonly<Record<Denial, { readonly code: string; readonly type: string }>> = {
  Unauthorized: { code: "invalid_api_key", type: "authentication_error" },
  Forbidden: { code: "forbidden", type: "permission_error" },
  ConcurrentStreams: { code: "rate_limit_exceeded", type: "rate_limit_error" },
  DailyMinutes: { code: "insufficient_quota", type: "insufficient_quota" },
  TooManyStreams: { code: "server_overloaded", type: "server_error" }
}
const failures: Readonly<Partial<Record<Failure, { readonly code: string; readonly type: string }>>> = {
  BadAudio: { code: "invalid_audio", type: "invalid_request_error" },
  DailyMinutes: { code: "insufficient_quota", type: "insufficient_quota" },
  Idle: { code: "idle_timeout", type: "invalid_request_error" },
  NoEngine: { code: "no_engine", type: "server_error" },
  SessionLimit: { code: "session_expired", type: "invalid_request_error" },
  Unauthenticated: { code: "invalid_api_key", type: "authentication_error" }
}

/** For clients of OpenAI's Realtime transcription. */
export const realtime: Dialect = {
  name: "realtime",
  paths: ["/v1/realtime"],
  credentials: { headers: ["api-key"], subprotocolPrefix: "openai-insecure-api-key.", notInQuery: true },
  subprotocol: "realtime",
  maxMessageBytes: MAX_MESSAGE_BYTES,
  converse
}
