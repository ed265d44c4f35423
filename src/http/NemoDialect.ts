/**
 * The dialect of the NeMo streaming module of tldw_server, `WS /api/v1/audio/stream/transcribe`, old and new.
 *
 * The client may begin with `{"type": "auth", "token": "…"}` (answered `{"type": "status", "message": "Authenticated"}`) where its request had no
 * `?token=`, `X-API-KEY` or `Authorization: Bearer`. Then
 * ```json
 * {"type": "config", "model": "parakeet", "variant": "standard", "sample_rate": 16000, "language": "en", "enable_partial": true}
 * {"type": "audio", "data": "…"}      base64; then, whenever it likes:
 * {"type": "commit"}                  tell me all that was said
 * {"type": "reset"}                   forget it
 * {"type": "stop"}                    finish
 * ```
 * and is told
 * ```json
 * {"type": "status", "state": "ready", "model": "parakeet", "variant": "standard", "engine": "modal", "language": "en"}
 * {"type": "partial", "text": "good mor", "timestamp": 1763726400.25, "is_final": false, "model": "parakeet-standard", "segment_id": 1, "segment_start": 1.2, "segment_end": 2.4}
 * {"type": "final", "text": "Good morning.", "timestamp": …, "is_final": true, …}
 * {"type": "full_transcript", "text": "Good morning. How are you?", "timestamp": …, "auto_commit": false}
 * {"type": "warning", "warning_type": "model_unavailable", "state": "model_unavailable", "message": "…", "fallback": true, …}
 * {"type": "error", "message": "…", "code": "quota_exceeded", "error_type": "quota_exceeded", "quota": "daily_minutes", …}
 * {"type": "done"}                    after a stop; then the connection closes with 1000
 * ```
 * `status` is `configured` for every further `config`, `reset` after a reset. `full_transcript` holds everything since the start or the last reset,
 * and answers every commit, also when it is empty; with `enable_vad` it also comes at pauses, `auto_commit` being true.
 *
 * **Today's clients** say `"protocol_version": 1`. Their audio is PCM16 unless `audio_format` says `float32`; everything is told as soon as it is
 * known, finals before the `full_transcript` they belong to; every 10 s comes `{"type": "ping"}`; a message that cannot be read closes with 4400.
 *
 * **Clients of 2024** do not, and may leave `config` out (float32 at 16 kHz). Their audio is float32; audio that can only be PCM16 is taken for
 * it, with a warning. They read one message for each message of audio they send, as their server answered, and take the next message after
 * a commit for its answer. So results wait for the next message of audio, of partials only the newest, of finals all in one; when none came for
 * 2 s everything is told. Behind a commit nothing comes before its answer. Messages that cannot be read are answered with an error, the session goes
 * on; a `config` that cannot be closes with 4400.
 *
 * `model` may name an engine of `GET /api/v1/engines`; `parakeet` and `canary` are the first engine. Close codes: 4400 (message, audio, no
 * beginning within 15 s), 4401 (credential), 4403 (not allowed), 4003 (quota), 1008 (session too long), 1001 (nothing came), 1011 (engine,
 * error of ours), 1013 (too many, too slow, shutting down).
 */
import { isFinal, textOf } from "../domain/Segment.ts"
import { bytesIn } from "./Base64.ts"
import {
  type Conversation,
  type Dialect,
  type Event,
  type Message,
  notUnderstood,
  type Opening,
  type Request,
  type SaidLine,
  say
} from "./Dialect.ts"
import { looksLikePcm16 } from "./NemoAudio.ts"
import { type ClientMessage, endOf, errorOf, type NemoConfig, parse, standardConfig } from "./NemoMessages.ts"
import * as NemoResults from "./NemoResults.ts"

/** 5 s of float32 at 48 kHz; clients send up to some seconds at a time. */
const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
/** The original's words for whatever it has. */
const FAMILY = new Set(["parakeet", "canary"])
/** Heartbeats come every second. */
const PING_EVERY = 10
const QUIET_BEATS = 3

/** What the next `Ready` is told as. */
type Announcement = "ready" | "configured" | "nothing"

const converse = ({ now, query }: Opening): Conversation => {
  let config: NemoConfig | undefined
  const results = NemoResults.make(standardConfig, now)
  const announcements: Array<Announcement> = []
  let mayBeOther = true
  let commits = 0
  let isStopping = false
  let beats = 0
  let quietBeats = 0

  const requestId = query.get("request_id")
  const fault = (code: string, detail: string, more: object = {}): Request =>
    say(errorOf(code, detail, { ...more, ...(requestId === null ? {} : { request_id: requestId.slice(0, 100) }) }))

  const start = (next: NemoConfig, as: Announcement): Request => {
    config = next
    mayBeOther = next.isFormatGuessed
    announcements.push(as)
    const { format, language } = next
    const engine = FAMILY.has(next.model) ? undefined : next.model
    return {
      _tag: "Start",
      options: { format, ...(language === undefined ? {} : { language }), ...(engine === undefined ? {} : { engine }) }
    }
  }

  /** A client that begins with anything else has no configuration to send. */
  const started = (): ReadonlyArray<Request> => (config === undefined ? [start(standardConfig, "ready")] : [])

  const configure = (next: NemoConfig): ReadonlyArray<Request> => {
    const as = config === undefined ? "ready" : "configured"
    results.configure(next)
    return [start(next, as)]
  }

  /** Immediately to today's clients, else with the next message of audio. */
  const notice = (message: object): ReadonlyArray<Request> => {
    results.notice(message)
    return release("Now")
  }

  const release = (why: "Now" | "Audio" | "Quiet"): ReadonlyArray<Request> => {
    const isLockstep = config?.isStrict !== true
    if (isLockstep && (why === "Now" || commits > 0)) return []
    const messages = isLockstep && why === "Audio" ? results.one() : results.all(commits === 0)
    return messages.map(say)
  }

  const refuse = (message: Extract<ClientMessage, { readonly _tag: "Bad" }>): ReadonlyArray<Request> => {
    const closes = config?.isStrict === true || message.code === "invalid_config"
    const said = fault(message.code, message.detail)
    return [notUnderstood, said, ...(closes ? [{ _tag: "Close" as const, code: 4400, reason: message.code }] : [])]
  }

  const hear = (data: string): ReadonlyArray<Request> => {
    const bytes = bytesIn(data)
    if (
      bytes === undefined ||
      bytes.length === 0 ||
      (config?.isStrict === true && bytes.length % sampleBytes(config) !== 0)
    ) {
      return refuse({ _tag: "Bad", code: "invalid_audio", detail: "data must be whole samples in base64" })
    }
    quietBeats = 0
    return [...started(), ...otherFormat(bytes), ...release("Audio"), { _tag: "Audio", bytes }]
  }

  const otherFormat = (bytes: Uint8Array): ReadonlyArray<Request> => {
    const isPcm16 = mayBeOther ? looksLikePcm16(bytes) : false
    if (isPcm16 === undefined || config === undefined) return []
    mayBeOther = false
    if (!isPcm16) return []
    const format = { ...config.format, encoding: "pcm16" as const }
    const restart = start({ ...config, format, isFormatGuessed: false }, "nothing")
    const message = "this audio is no float32, and is taken for pcm16; say audio_format in config"
    return [restart, ...notice({ type: "warning", warning_type: "audio_format", state: "audio_format", message })]
  }

  const receive = (message: Message): ReadonlyArray<Request> => {
    if (isStopping) return []
    if (typeof message !== "string") {
      return refuse({ _tag: "Bad", code: "bad_request", detail: "messages are text, audio in base64" })
    }
    const read = parse(message)
    switch (read._tag) {
      case "Auth":
        return [{ _tag: "Authenticate", token: read.token }]
      case "Config":
        return configure(read.config)
      case "Audio":
        return hear(read.data)
      case "Commit":
        commits += 1
        return [...started(), { _tag: "Commit" }]
      case "Reset":
        return [...started(), { _tag: "Reset" }]
      case "Stop":
        isStopping = true
        return [{ _tag: "Finish" }]
      case "Bad":
        return refuse(read)
      case "Ignored":
        return [notUnderstood]
    }
  }

  const ready = (event: Extract<Event, { readonly _tag: "Ready" }>): ReadonlyArray<Request> => {
    const { model, variant } = config ?? standardConfig
    const state = announcements.shift()
    if (state === undefined || state === "nothing") return []
    const { engine, language } = event
    const status = say({ type: "status", state, model, variant, engine, language })
    if (FAMILY.has(model) || model === engine || model === event.model) return [status]
    return [
      status,
      ...notice({
        type: "warning",
        warning_type: "model_unavailable",
        state: "model_unavailable",
        message: `there is no model ${model}`,
        fallback: true,
        original_model: model,
        active_model: event.model
      })
    ]
  }

  const committed = (said: ReadonlyArray<SaidLine>): ReadonlyArray<Request> => {
    const before = config?.isStrict === true ? results.finals().map(say) : []
    commits -= 1
    return [...before, say(results.fullTranscript(said, false))]
  }

  const finished = (said: ReadonlyArray<SaidLine>): ReadonlyArray<Request> => [
    ...results.finals().map(say),
    ...(results.hasNews() ? [say(results.fullTranscript(said, false))] : []),
    say({ type: "done" }),
    { _tag: "Close", code: 1000 }
  ]

  const beat = (): ReadonlyArray<Request> => {
    beats += 1
    quietBeats += 1
    const held = quietBeats >= QUIET_BEATS ? release("Quiet") : []
    return config?.isStrict === true && beats % PING_EVERY === 0 ? [...held, say({ type: "ping" })] : held
  }

  return {
    receive,
    tell: (event) => {
      switch (event._tag) {
        case "Admitted":
          return event.by === "Message" ? [say({ type: "status", message: "Authenticated" })] : []
        case "Ready":
          return ready(event)
        case "Segment":
          if (isFinal(event.segment)) results.final(event, textOf(event.segment))
          else results.partial(event, textOf(event.segment))
          return release("Now")
        case "Settled":
          results.pause()
          return release("Now")
        case "Committed":
          return committed(event.said)
        case "WasReset":
          results.forget()
          return [say({ type: "status", state: "reset" })]
        case "Finished":
          return finished(event.said)
        case "Heartbeat":
          return beat()
        case "Denied":
        case "Failed": {
          const { close, code, more } = endOf(event)
          const left = results.all(false).map(say)
          return [...left, fault(code, event.detail, more), { _tag: "Close", code: close, reason: event.detail }]
        }
        default:
          return []
      }
    }
  }
}

const sampleBytes = ({ format }: NemoConfig): number => (format.encoding === "float32" ? 4 : 2) * format.channels

/** For clients of tldw_server's NeMo module. */
export const nemo: Dialect = {
  name: "nemo",
  paths: ["/api/v1/audio/stream/transcribe"],
  credentials: { headers: ["x-api-key"], messages: true },
  maxMessageBytes: MAX_MESSAGE_BYTES,
  startWithinSeconds: 15,
  heartbeatSeconds: 1,
  converse
}
