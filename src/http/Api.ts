/**
 * The HTTP interface as a contract: what can be asked, what is answered, how callers prove who they are. No handlers, importable by clients.
 *
 * Two interfaces on two listeners: `ExAppApi` is what Nextcloud (AppAPI and Talk) asks, `ServiceApi` is for everybody else. Every error is
 * `{"error": "…"}` as JSON, with the status of its class.
 */
import { Context, Effect, Schema } from "effect"
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "effect/http-api"
import { IceServer, NextcloudSessionId, RoomToken } from "../domain/Call.ts"
import { Language } from "../domain/Language.ts"
import { Privacy } from "../domain/Privacy.ts"
import { EngineError } from "../services/SpeechEngine.ts"
import type { Grant } from "./Grant.ts"

const error = { error: Schema.String }

/** The request is not what the route takes; the text names the field. */
export class BadRequest extends Schema.Error<BadRequest>("BadRequest")(error, { httpApiStatus: 400 }) {}
/** The caller did not prove who it is. */
export class Unauthorized extends Schema.Error<Unauthorized>("Unauthorized")(error, { httpApiStatus: 401 }) {}
/** A browser asks on behalf of a page that is not ours. */
export class Forbidden extends Schema.Error<Forbidden>("Forbidden")(error, { httpApiStatus: 403 }) {}
/** There is no such call. */
export class NotFound extends Schema.Error<NotFound>("NotFound")(error, { httpApiStatus: 404 }) {}
/** Not configured, or disabled in Nextcloud; the text says what to do. */
export class Unavailable extends Schema.Error<Unavailable>("Unavailable")(error, { httpApiStatus: 503 }) {}
/** Talk's code for "there is nobody who translates, do not ask again". */
export class NoTranslation extends Schema.Error<NoTranslation>("NoTranslation")(error, { httpApiStatus: 550 }) {}

/**
 * AppAPI's shared secret, `base64(user:secret)`, with `EX-APP-ID` and `EX-APP-VERSION` beside it.
 * @effect-expect-leaking HttpServerRequest | ParsedSearchParams | RouteContext
 */
export class AppApiAuth extends HttpApiMiddleware.Service<AppApiAuth>()("parlance/http/AppApiAuth", {
  security: { appApi: HttpApiSecurity.apiKey({ key: "AUTHORIZATION-APP-API", in: "header" }) },
  error: Unauthorized
}) {}

/**
 * `LT_API_TOKEN` as bearer token or, for browsers, as password. Where no credential at all is configured only this machine can ask, and
 * needs none; the generated key is as good.
 * @effect-expect-leaking HttpServerRequest | ParsedSearchParams | RouteContext
 */
export class TokenAuth extends HttpApiMiddleware.Service<TokenAuth>()("parlance/http/TokenAuth", {
  security: { token: HttpApiSecurity.bearer, password: HttpApiSecurity.basic },
  error: [Unauthorized, Forbidden]
}) {}

/** Who asks, and what this one may use. */
export class Asking extends Context.Service<Asking, Grant>()("parlance/http/Asking") {}

/**
 * Any credential with which one may stream, where clients of the streaming sockets put it.
 * @effect-expect-leaking HttpServerRequest | ParsedSearchParams | RouteContext
 */
export class StreamAuth extends HttpApiMiddleware.Service<StreamAuth, { provides: Asking }>()(
  "parlance/http/StreamAuth",
  {
    security: {
      token: HttpApiSecurity.bearer,
      apiKey: HttpApiSecurity.apiKey({ key: "X-API-KEY", in: "header" }),
      query: HttpApiSecurity.apiKey({ key: "token", in: "query" })
    },
    error: [Unauthorized, Forbidden]
  }
) {}

/** An object in the order of the menu; every entry has `metadata`, or Talk's page breaks. */
const Languages = Schema.Record(Schema.String, Language)
const Message = Schema.Struct({ message: Schema.String })
const Health = Schema.Struct({
  status: Schema.Literal("healthy"),
  rooms: Schema.Int,
  speakers: Schema.Int,
  /** Seconds since 1970. */
  timestamp: Schema.Int
})

/** A call as status pages show it. */
const Call = Schema.Struct({
  roomToken: RoomToken,
  state: Schema.Literals(["Connecting", "Captioning", "Reconnecting", "Leaving", "Refused"]),
  advice: Schema.optionalKey(Schema.String),
  viewers: Schema.Int,
  speakers: Schema.Int,
  languageId: Schema.String
})

const Status = Schema.Struct({
  status: Schema.Literals(["ready", "unconfigured"]),
  version: Schema.String,
  rooms: Schema.Int,
  speakers: Schema.Int,
  viewers: Schema.Int,
  timestamp: Schema.Int,
  /** Environment variables that are not set although calls need them. */
  missing: Schema.Array(Schema.Struct({ name: Schema.String, description: Schema.String })),
  calls: Schema.Array(Call)
})

/** Open to everybody: whoever watches over us has no secret. */
export class HealthGroup extends HttpApiGroup.make("health")
  .add(
    HttpApiEndpoint.get("heartbeat", "/heartbeat", { success: Schema.Struct({ status: Schema.Literal("ok") }) }),
    HttpApiEndpoint.get("health", "/health", { success: Health }),
    HttpApiEndpoint.get("healthz", "/healthz", { success: Health })
  )
  .annotateMerge(OpenApi.annotations({ title: "Health", description: "Is the process alive, and how busy?" })) {}

const languages = HttpApiEndpoint.get("languages", "/api/v1/languages", { success: Languages })
const status = HttpApiEndpoint.get("status", "/api/v1/status", { success: Status })

/** What AppAPI asks of every ExApp. */
export class LifecycleGroup extends HttpApiGroup.make("lifecycle")
  .add(
    HttpApiEndpoint.post("init", "/init", { success: Schema.Struct({}) }),
    HttpApiEndpoint.put("setEnabled", "/enabled", {
      query: { enabled: Schema.Literals(["1", "0", "true", "false"]) },
      success: Schema.Struct(error),
      error: BadRequest
    }),
    HttpApiEndpoint.get("enabled", "/enabled", { success: Schema.Struct({ enabled: Schema.Boolean }) }),
    HttpApiEndpoint.get("capabilities", "/capabilities", {
      success: Schema.Record(
        Schema.String,
        Schema.Struct({
          version: Schema.String,
          features: Schema.Array(Schema.Literals(["live_transcription"])),
          live_transcription: Schema.Struct({ supported_languages: Languages })
        })
      )
    })
  )
  .middleware(AppApiAuth) {}

/** Absent, `null` and unknown are the same to Talk. */
const LangId = Schema.optionalKey(Schema.NullOr(Schema.String))
const enabledByDefault = Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(true)))

/** What Talk asks. Fields nobody knows are ignored. */
export class TalkGroup extends HttpApiGroup.make("talk")
  .add(
    languages,
    status,
    HttpApiEndpoint.post("transcribe", "/api/v1/call/transcribe", {
      payload: Schema.Struct({
        roomToken: RoomToken,
        ncSessionId: NextcloudSessionId,
        enable: enabledByDefault,
        langId: LangId
      }),
      success: Message,
      error: [BadRequest, Unavailable]
    }),
    HttpApiEndpoint.post("setLanguage", "/api/v1/call/set-language", {
      payload: Schema.Struct({ roomToken: RoomToken, langId: Schema.String }),
      success: Message,
      error: [BadRequest, NotFound]
    }),
    HttpApiEndpoint.post("leave", "/api/v1/call/leave", {
      payload: Schema.Struct({ roomToken: RoomToken }),
      success: Message,
      error: BadRequest
    }),
    HttpApiEndpoint.post("setTargetLanguage", "/api/v1/translation/set-target-language", {
      payload: Schema.Struct({ roomToken: RoomToken, ncSessionId: NextcloudSessionId, langId: LangId }),
      success: Message,
      error: [BadRequest, NoTranslation]
    })
  )
  .middleware(AppApiAuth) {}

/** Captions for everybody in a call, for callers without Nextcloud. */
export class CallsGroup extends HttpApiGroup.make("calls")
  .add(
    HttpApiEndpoint.post("start", "/api/v1/call/transcribe", {
      payload: Schema.Struct({
        roomToken: RoomToken,
        languageId: Schema.optionalKey(Schema.NullOr(Schema.String)),
        /** `stun:`, `turn:` and `turns:` only; kept in memory for this call, in place of Nextcloud's. */
        turnServers: Schema.optionalKey(Schema.NullOr(Schema.Array(IceServer).check(Schema.isMaxLength(16)))),
        /** Only makes the call stricter than the deployment's rules do. */
        privacy: Schema.optionalKey(Schema.NullOr(Privacy))
      }),
      success: Schema.Struct({ status: Schema.Literal("started"), roomToken: RoomToken, message: Schema.String }),
      error: [BadRequest, Unavailable]
    }),
    HttpApiEndpoint.delete("stop", "/api/v1/call/transcribe/:roomToken", {
      params: { roomToken: RoomToken },
      success: Schema.Struct({ status: Schema.Literal("stopped"), roomToken: RoomToken, message: Schema.String }),
      error: [BadRequest, NotFound]
    }),
    languages,
    status
  )
  .middleware(TokenAuth)
  .annotateMerge(OpenApi.annotations({ title: "Calls", description: "Captions for everybody in a call." })) {}

/** One state of what a speaker says: `text` is the whole text of the segment and replaces the one before; after `final` it does not change. */
export const LiveCaption = Schema.Struct({
  speaker: Schema.String,
  speakerName: Schema.optionalKey(Schema.String),
  language: Schema.String,
  segment: Schema.String,
  revision: Schema.Int,
  text: Schema.String,
  final: Schema.Boolean,
  /** Position in the speaker's audio, where the engine knows it. */
  startMs: Schema.optionalKey(Schema.Finite)
})

/** Here words of a speaker are missing: so much speech had to be given up before an engine could hear it. Times are of the speaker's audio. */
export const LiveGap = Schema.Struct({
  speaker: Schema.String,
  speakerName: Schema.optionalKey(Schema.String),
  /** Tells it from others, as a caption's `segment` does. */
  segment: Schema.String,
  atMs: Schema.Finite,
  lengthMs: Schema.Finite
})

/** The last event: nothing follows. A reader that was too slow may come again. */
export const FeedEnd = Schema.Struct({ reason: Schema.Literals(["CallEnded", "ReaderBehind"]), detail: Schema.String })

/** Server-sent events of a feed. Comments in between keep the connection alive. */
export const FeedEvent = Schema.Union([
  Schema.Struct({ event: Schema.Literal("caption"), data: Schema.fromJsonString(LiveCaption) }),
  Schema.Struct({ event: Schema.Literal("interrupted"), data: Schema.fromJsonString(LiveGap) }),
  Schema.Struct({ event: Schema.Literal("end"), data: Schema.fromJsonString(FeedEnd) })
])

/** Captions of running calls, live. */
export class CaptionsGroup extends HttpApiGroup.make("captions")
  .add(
    HttpApiEndpoint.get("captions", "/api/v1/calls/:roomToken/captions", {
      params: { roomToken: RoomToken },
      success: HttpApiSchema.StreamSse({ events: FeedEvent }),
      error: [BadRequest, NotFound]
    })
  )
  .middleware(TokenAuth)
  .annotateMerge(
    OpenApi.annotations({
      title: "Captions",
      description:
        "What is said in a call: first the newest finals and the open segments, then everything that follows."
    })
  ) {}

const StreamLimits = Schema.Struct({
  user_id: Schema.String,
  tier: Schema.Literals(["admin", "standard"]),
  limits: Schema.Struct({
    /** `null`: as many as they like. */
    daily_minutes: Schema.NullOr(Schema.Int),
    concurrent_streams: Schema.Int
  }),
  /** Of this day (UTC). */
  used_today_minutes: Schema.Finite,
  remaining_minutes: Schema.NullOr(Schema.Finite),
  active_streams: Schema.Int,
  can_start_stream: Schema.Boolean,
  /** The same; clients of the original look at either. */
  _can_start_stream: Schema.Boolean
})

const StreamStatus = Schema.Struct({
  /** `unavailable`: no engine is configured, or none works now. */
  status: Schema.Literals(["available", "unavailable"]),
  available_models: Schema.Array(Schema.String),
  websocket_endpoint: Schema.Literal("/api/v1/audio/stream/transcribe"),
  supported_features: Schema.Struct({
    partial_results: Schema.Boolean,
    multiple_languages: Schema.Boolean,
    concurrent_streams: Schema.Boolean,
    segment_metadata: Schema.Boolean,
    live_insights: Schema.Boolean,
    meeting_notes: Schema.Boolean,
    speaker_diarization: Schema.Boolean,
    audio_persistence: Schema.Boolean
  })
})

/** What the streaming sockets offer, as clients of tldw's streaming module ask. */
export class StreamGroup extends HttpApiGroup.make("stream")
  .add(
    HttpApiEndpoint.get("limits", "/api/v1/audio/stream/limits", { success: StreamLimits }),
    HttpApiEndpoint.get("streamStatus", "/api/v1/audio/stream/status", { success: StreamStatus })
  )
  .middleware(StreamAuth)
  .annotateMerge(
    OpenApi.annotations({ title: "Streaming", description: "What a credential may stream, and with what." })
  ) {}

/** An engine: how it does as far as sessions have shown, and what it can. */
const Engine = Schema.Struct({
  name: Schema.String,
  model: Schema.optionalKey(Schema.String),
  role: Schema.Literals(["primary", "cover", "last"]),
  state: Schema.Literals(["untried", "healthy", "failing"]),
  /** Whether it is asked for sessions: open while it is left alone, half-open while a probe asks whether it is back. */
  circuit: Schema.Literals(["closed", "open", "half-open"]),
  /** Open now. */
  sessions: Schema.Int,
  /** Why the newest session failed, while it is failing. */
  reason: Schema.optionalKey(EngineError.fields.reason),
  detail: Schema.optionalKey(Schema.String),
  /** Audio never leaves this machine. */
  local: Schema.Boolean,
  capabilities: Schema.Struct({
    partials: Schema.Literals(["append", "replace", "none"]),
    endOfTurn: Schema.Literals(["none", "vad", "semantic", "commit"]),
    wordTimes: Schema.Boolean,
    confidence: Schema.Boolean,
    punctuation: Schema.Boolean,
    mark: Schema.Literals(["WordTimes", "Commits", "KnownDelay"]),
    sampleRate: Schema.Int,
    keepAlive: Schema.Literals(["None", "Silence", "Message"]),
    maxSessionMs: Schema.optionalKey(Schema.Finite),
    maxSessions: Schema.optionalKey(Schema.Finite),
    fasterThanRealtime: Schema.Boolean
  }),
  languages: Schema.Array(Schema.String)
})

/** What this deployment transcribes with. */
export class EnginesGroup extends HttpApiGroup.make("engines")
  .add(HttpApiEndpoint.get("engines", "/api/v1/engines", { success: Schema.Array(Engine) }))
  .middleware(TokenAuth)
  .annotateMerge(
    OpenApi.annotations({
      title: "Engines",
      description: "The configured speech engines, in the order in which they are tried."
    })
  ) {}

/** On `APP_HOST:APP_PORT` or the unix socket. */
export class ExAppApi extends HttpApi.make("exapp").add(HealthGroup, LifecycleGroup, TalkGroup) {}

/** On `PORT`. */
export class ServiceApi extends HttpApi.make("service")
  .add(HealthGroup, CallsGroup, CaptionsGroup, StreamGroup, EnginesGroup)
  .annotateMerge(
    OpenApi.annotations({
      title: "Parlance",
      version: "1",
      description: 'Live captions for calls on a Nextcloud Talk High-Performance Backend. Errors are `{"error": "…"}`.'
    })
  ) {}
