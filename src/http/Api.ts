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
import { FeedEvent } from "./FeedEvents.ts"
import type { Grant } from "./Grant.ts"
import { Engine, StreamLimits, StreamStatus } from "./Offers.ts"

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
