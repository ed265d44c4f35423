/**
 * Every environment variable this service reads, in the order the README lists them. Nothing else reads the environment.
 */
import { Config, Effect, Redacted } from "effect"
import { ConfigurationError } from "./ConfigurationError.ts"
import { isLoopback } from "./Loopback.ts"
import * as PostgresUrl from "./PostgresUrl.ts"
import { isPublic } from "./PrivateNetwork.ts"
import { optional, type Setting, secret, type Variable, withDefault } from "./Setting.ts"
import {
  databaseUrl,
  type EngineName,
  engineChain,
  engineNames,
  flag,
  hostAndPort,
  hpbUrl,
  integer,
  language,
  level,
  oneOf,
  originList,
  port,
  roomList,
  runners,
  text,
  url
} from "./SettingKinds.ts"
import { DEFAULT_HOST_SUFFIX } from "./SocketModalClient.ts"

/** This version, where AppAPI does not say it; `package.json` and `info.xml` say the same. */
export const VERSION = "0.1.0"

/** The one list. Its order is the README's. */
export const settings = {
  hpbUrl: optional("LT_HPB_URL", hpbUrl, {
    description: "Address of the High-Performance Backend, as in Talk's admin settings. Needed for captions in calls.",
    example: "wss://cloud.example.com/standalone-signaling/spreed"
  }),
  internalSecret: secret("LT_INTERNAL_SECRET", {
    description:
      "The internal secret of the HPB (internalsecret under [clients] in its server.conf, INTERNAL_SECRET in AIO). Not the shared secret of Talk's admin settings. Needed for captions in calls.",
    example: "the-hpb-internal-secret"
  }),
  engines: optional("LT_ENGINE", engineChain, {
    description:
      "Speech engines in the order in which they are tried: modal, moshi, openai, aws, tldw, vosk, sherpa. The first is the primary one, those behind it cover for it; name:primary, name:cover and name:last say otherwise. Left out: the first of these that is configured, alone.",
    example: "modal,sherpa,vosk:last"
  }),
  privacy: withDefault("LT_PRIVACY", oneOf("any", "local-only"), "any", {
    description:
      "Where audio may go: any, or local-only, with which engines that send it off this machine are not used at all.",
    example: "local-only"
  }),
  localOnlyRooms: optional("LT_LOCAL_ONLY_ROOMS", roomList, {
    description:
      "Tokens of conversations, separated by commas, whose calls are never heard by an engine that sends audio off this machine.",
    example: "a1b2c3d4,board"
  }),
  modalWorkspace: optional("MODAL_WORKSPACE", text, {
    description: "Modal workspace in which Kyutai is deployed.",
    example: "my-workspace"
  }),
  modalKey: secret("MODAL_KEY", { description: "Key of a Modal proxy auth token.", example: "wk-…" }),
  modalSecret: secret("MODAL_SECRET", { description: "Secret of the same Modal proxy auth token.", example: "ws-…" }),
  modalHostSuffix: optional("MODAL_STT_HOST_SUFFIX", text, {
    description:
      "What follows the workspace and two dashes in the host name on Modal, if the app was deployed under another name.",
    default: DEFAULT_HOST_SUFFIX,
    example: "my-stt-kyutaisttrustservice-serve.modal.run"
  }),
  sttStreamUrl: optional("STT_STREAM_URL", url("wss:", "ws:"), {
    description:
      "A server of your own that speaks the protocol of Kyutai on Modal. Comes before Modal, whose credentials it never gets.",
    example: "ws://gpu.example.com:8000/v1/stream"
  }),
  moshiUrl: optional("LT_MOSHI_URL", url("wss:", "ws:"), {
    description: "Kyutai's own server (moshi-server).",
    example: "ws://gpu.example.com:8080/api/asr-streaming"
  }),
  moshiKey: secret("LT_MOSHI_KEY", { description: "Its kyutai-api-key.", example: "public_token" }),
  openaiApiKey: secret("OPENAI_API_KEY", { description: "Key of OpenAI's API.", example: "sk-…" }),
  openaiModel: withDefault("MODEL_NAME", text, "gpt-live-transcribe", {
    description: "Model of OpenAI's Realtime transcription.",
    example: "gpt-transcribe"
  }),
  openaiUrl: withDefault("LT_OPENAI_URL", url("wss:", "ws:"), "wss://api.openai.com/v1/realtime", {
    description: "Address of OpenAI's Realtime API, or of a server that speaks the same.",
    example: "wss://example.openai.azure.com/openai/v1/realtime"
  }),
  awsRegion: optional("AWS_REGION", text, {
    description:
      "AWS region of Amazon Transcribe and of the bucket. Credentials are found as by every AWS tool (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role).",
    example: "us-east-1"
  }),
  awsLanguage: optional("TRANSCRIBE_LANGUAGE_CODE", text, {
    description:
      "Language of Amazon Transcribe; several separated by commas are told apart by it. Left out: the language of the call or session.",
    example: "en-US"
  }),
  awsVocabulary: optional("LT_AWS_VOCABULARY", text, {
    description: "Name of a custom vocabulary of Amazon Transcribe.",
    example: "product-names"
  }),
  awsEndpoint: optional("LT_AWS_ENDPOINT", url("https:", "http:"), {
    description: "Address of Amazon Transcribe in place of the region's own, for private endpoints.",
    example: "https://vpce-1.transcribestreaming.us-east-1.vpce.amazonaws.com"
  }),
  tldwUrl: optional("LT_TLDW_URL", url("wss:", "ws:"), {
    description: "The NeMo streaming module of a tldw server.",
    example: "ws://gpu.example.com:8000/api/v1/audio/stream/transcribe"
  }),
  tldwKey: secret("LT_TLDW_KEY", { description: "Its API key.", example: "the-api-key" }),
  tldwModel: withDefault("LT_TLDW_MODEL", text, "parakeet", {
    description: "Its model: parakeet (English) or canary (English, Spanish, German, French).",
    example: "canary"
  }),
  tldwVariant: withDefault("LT_TLDW_VARIANT", text, "standard", {
    description: "Variant of the model: standard, onnx or mlx.",
    example: "onnx"
  }),
  tldwAudio: withDefault("LT_TLDW_AUDIO", oneOf("pcm16", "float32"), "pcm16", {
    description: "What the server takes: pcm16, or float32 as servers before 2026 did.",
    example: "float32"
  }),
  voskUrl: optional("LT_VOSK_SERVER_URL", url("wss:", "ws:"), {
    description: "A Vosk server, the stock one or Nextcloud's.",
    example: "ws://vosk.example.com:2700"
  }),
  sherpaModel: optional("LT_SHERPA_MODEL", text, {
    description:
      "Model of the engine in this machine (sherpa-onnx): a folder, or the name of one that npm run model has fetched.",
    example: "streaming-zipformer-en"
  }),
  backendUrl: optional("LT_BACKEND_URL", url("https:", "http:"), {
    description:
      "Nextcloud's address as the HPB's configuration has it, if the addresses that are tried by themselves are refused.",
    example: "https://cloud.example.com"
  }),
  skipCertVerify: withDefault("SKIP_CERT_VERIFY", flag, false, {
    description: "Accepts any TLS certificate of the HPB, the engine and Nextcloud. For test setups only.",
    example: "true"
  }),
  defaultLanguage: optional("LT_DEFAULT_LANGUAGE", language, {
    description: "Language of calls whose room has none, or one that is not known here.",
    default: "en",
    example: "fr"
  }),
  screenAudio: withDefault("LT_SCREEN_AUDIO", flag, false, {
    description: "Captions the system audio of shared screens too.",
    example: "true"
  }),
  maxSpeakers: withDefault("LT_MAX_SPEAKERS", integer(1, 10_000), 200, {
    description: "Most voices heard at a time, over all calls; who comes later is not captioned until somebody leaves.",
    unit: "voices",
    example: "50"
  }),
  graceSeconds: withDefault("LT_GRACE_SECONDS", integer(0, 3600), 60, {
    description: "How long the room is kept after its last reader switched captions off; nothing is heard meanwhile.",
    unit: "seconds",
    example: "10"
  }),
  servicePort: optional("PORT", port, {
    description: "Port of the service API, its documentation and the metrics. As an ExApp it is closed unless set.",
    default: "8080",
    example: "8080"
  }),
  serviceHost: optional("LT_LISTEN_HOST", text, {
    description:
      "Address the service listens on. Without LT_API_TOKEN, LT_TOKENS_FILE, LT_JWT_SECRET or LT_JWT_PUBLIC_KEY only a loopback address is accepted. Left out: 0.0.0.0 with one of them, 127.0.0.1 without.",
    example: "0.0.0.0"
  }),
  apiToken: secret("LT_API_TOKEN", {
    description:
      "Bearer token that the service API asks for (in a browser: any user name, the token as password), and that may stream without quotas. Left out: the service API is closed. With none of the credentials below either it is open to this machine, and a key for streaming is generated at the first start and shown once in the log.",
    example: "a long random text"
  }),
  tokensFile: optional("LT_TOKENS_FILE", text, {
    description:
      "JSON file with further tokens for streaming: [{name, token or sha256 (hex), concurrentStreams?, minutesPerDay?, privacy?}]. Read again when it changes.",
    example: "/run/secrets/tokens.json"
  }),
  jwtSecret: secret("LT_JWT_SECRET", {
    description:
      "Secret of signed tokens (JWT, HS256) that an application of yours hands out; 32 characters or more. They need sub, exp and aud, and may have concurrentStreams and minutesPerDay.",
    example: "a long random text"
  }),
  jwtPublicKey: optional("LT_JWT_PUBLIC_KEY", text, {
    description: "Public key of such tokens where they are signed with RS256: a PEM file, or the PEM text.",
    example: "/run/secrets/jwt.pem"
  }),
  jwtAudience: withDefault("LT_JWT_AUDIENCE", text, "transcribe", {
    description: "The audience (aud) that signed tokens must name.",
    example: "transcribe"
  }),
  allowedOrigins: optional("LT_ALLOWED_ORIGINS", originList, {
    description: "Origins, separated by commas, whose pages may use the service besides its own.",
    example: "https://app.example.com"
  }),
  maxStreams: withDefault("LT_MAX_STREAMS", integer(1, 10_000), 200, {
    description: "Most streaming sessions at a time.",
    unit: "sessions",
    example: "50"
  }),
  streamsPerToken: withDefault("LT_STREAMS_PER_TOKEN", integer(1, 10_000), 20, {
    description: "Most streaming sessions of one token at a time, where the token says nothing else.",
    unit: "sessions",
    example: "3"
  }),
  minutesPerDay: optional("LT_MINUTES_PER_DAY", integer(1, 1_000_000), {
    description: "Minutes of audio that one token may stream in a day (UTC), where the token says nothing else.",
    unit: "minutes",
    example: "300"
  }),
  sessionSeconds: withDefault("LT_SESSION_SECONDS", integer(10, 86_400), 14_400, {
    description: "Longest streaming session.",
    unit: "seconds",
    example: "3600"
  }),
  idleSeconds: withDefault("LT_IDLE_SECONDS", integer(5, 3600), 300, {
    description: "A streaming session that sends nothing for so long is closed.",
    unit: "seconds",
    example: "60"
  }),
  tlsCertificate: optional("LT_TLS_CERT", text, {
    description:
      "PEM file with the certificate for PORT, with which it speaks TLS (https, wss). It and the key are read again when they change.",
    example: "/run/secrets/tls.crt"
  }),
  tlsKey: optional("LT_TLS_KEY", text, {
    description: "PEM file with its key.",
    example: "/run/secrets/tls.key"
  }),
  transcriptDir: optional("LT_TRANSCRIPT_DIR", text, {
    description:
      "Folder in which the transcripts of streaming sessions are kept. Nothing is kept unless this or S3_BUCKET is set.",
    example: "/data/transcripts"
  }),
  s3Bucket: optional("S3_BUCKET", text, {
    description: "Bucket in which the transcripts of streaming sessions that ask for it are kept.",
    example: "my-transcripts"
  }),
  s3Endpoint: optional("LT_S3_ENDPOINT", url("https:", "http:"), {
    description: "Address of an S3-compatible store other than Amazon's.",
    example: "https://minio.example.com"
  }),
  runners: withDefault("LT_RUNNERS", runners, 1, {
    description:
      "Processes that share the work on this machine, about one for each core; auto starts with one and adds others while they are needed, one for each core at most.",
    unit: "processes",
    example: "auto"
  }),
  databaseUrl: optional("LT_DATABASE_URL", databaseUrl, {
    description:
      "PostgreSQL, for runners on several machines: who wants captions, who runs which call. Left out: a file in the folder of this machine.",
    example: "postgres://parlance:password@db.example.com/parlance?sslmode=verify-full"
  }),
  runnerAddress: optional("LT_RUNNER_ADDRESS", hostAndPort, {
    description:
      "Where runners of other machines reach the first one of this machine; the second one is at the next port, and so on. What they say to each other is encrypted, and both ends prove that they know LT_INTERNAL_SECRET, the same for all; a private network all the same. Left out: runners of this machine only, and a database of this machine.",
    example: "10.0.0.5:23100"
  }),
  runnerPublic: withDefault("LT_RUNNER_PUBLIC", flag, false, {
    description: "Lets LT_RUNNER_ADDRESS be a public address, behind a firewall of your own.",
    example: "true"
  }),
  logLevel: withDefault("LOG_LEVEL", level, "Info", {
    default: "info",
    description:
      "Least level of the logs: debug, info, warn or error. They are JSON lines on the standard output; no secrets, nothing that was said.",
    example: "debug"
  }),
  shutdownSeconds: withDefault("LT_SHUTDOWN_SECONDS", integer(1, 600), 8, {
    description:
      "After a signal to stop: time to deliver the last words and say goodbye, then the process ends by force. Less than what stops it waits before it kills (Docker: 10).",
    unit: "seconds",
    example: "25"
  }),
  nextcloudUrl: optional("NEXTCLOUD_URL", url("https:", "http:"), {
    description: "Address of Nextcloud.",
    example: "https://cloud.example.com",
    setBy: "AppAPI"
  }),
  appId: withDefault("APP_ID", text, "live_transcription", {
    description: "Id of the ExApp. Talk only asks the app of the default name.",
    setBy: "AppAPI"
  }),
  appVersion: withDefault("APP_VERSION", text, VERSION, { description: "Version of the ExApp.", setBy: "AppAPI" }),
  appSecret: secret("APP_SECRET", {
    description: "Secret shared with Nextcloud. Its presence makes this process an ExApp.",
    setBy: "AppAPI"
  }),
  aaVersion: withDefault("AA_VERSION", text, "4.0.0", {
    description: "Version of AppAPI.",
    setBy: "AppAPI"
  }),
  appHost: withDefault("APP_HOST", text, "127.0.0.1", {
    description: "Address on which Nextcloud reaches the ExApp.",
    example: "0.0.0.0",
    setBy: "AppAPI"
  }),
  appPort: optional("APP_PORT", port, {
    description: "Port on which Nextcloud reaches the ExApp.",
    default: "23000",
    setBy: "AppAPI"
  }),
  storage: optional("APP_PERSISTENT_STORAGE", text, {
    description:
      "Folder for what must outlive a restart: who wants captions, what users last read in, quotas, the generated key, models, transcripts not yet stored. One for each service. Left out: .parlance in the working directory.",
    setBy: "AppAPI"
  }),
  harpKey: secret("HP_SHARED_KEY", {
    description:
      "Set by HaRP deployments: the ExApp listens on a unix socket instead of a port, and frpc carries it to HaRP.",
    setBy: "AppAPI"
  }),
  harpSocket: withDefault("HP_EXAPP_SOCK", text, "/tmp/exapp.sock", {
    description: "That socket.",
    setBy: "AppAPI"
  })
}

/** What `settings` say, read and checked. */
export type AppConfig = { readonly [K in keyof typeof settings]: Config.Success<(typeof settings)[K]> }

/** One of these sets of settings makes an engine usable. */
const engineNeeds: Readonly<Record<EngineName, ReadonlyArray<ReadonlyArray<keyof AppConfig>>>> = {
  modal: [["sttStreamUrl"], ["modalWorkspace", "modalKey", "modalSecret"]],
  moshi: [["moshiUrl"]],
  openai: [["openaiApiKey"]],
  aws: [["awsRegion"]],
  tldw: [["tldwUrl"]],
  vosk: [["voskUrl"]],
  sherpa: [["sherpaModel"]]
}

/** For documentation and tests. */
export const variables: ReadonlyArray<Variable> = Object.values(settings).map(({ variable }) => variable)

/** RFC 7518 §3.2: no shorter than the hash. */
const LEAST_SECRET_CHARACTERS = 32

/** Reads the environment (or whatever `ConfigProvider` is provided) once. */
export const load: Effect.Effect<AppConfig, ConfigurationError> = Effect.gen(function* () {
  const config: AppConfig = yield* Config.all(settings)
  if (!hasCredentials(config) && !isLoopback(config.serviceHost ?? "127.0.0.1")) {
    return yield* new ConfigurationError({
      detail:
        "LT_LISTEN_HOST must be a loopback address unless LT_API_TOKEN, LT_TOKENS_FILE, LT_JWT_SECRET or LT_JWT_PUBLIC_KEY is set"
    })
  }
  if (config.jwtSecret !== undefined && Redacted.value(config.jwtSecret).length < LEAST_SECRET_CHARACTERS) {
    return yield* new ConfigurationError({
      detail: `LT_JWT_SECRET must have ${LEAST_SECRET_CHARACTERS} characters or more`
    })
  }
  if ((config.tlsCertificate === undefined) !== (config.tlsKey === undefined)) {
    return yield* new ConfigurationError({ detail: "LT_TLS_CERT and LT_TLS_KEY must be set together" })
  }
  if (config.runnerAddress !== undefined && !config.runnerPublic && isPublic(config.runnerAddress.host)) {
    return yield* new ConfigurationError({
      detail: "LT_RUNNER_ADDRESS must be an address of a private network unless LT_RUNNER_PUBLIC is true"
    })
  }
  if (config.databaseUrl !== undefined && !PostgresUrl.isLocal(config.databaseUrl)) {
    const { runnerAddress } = config
    // Whoever else uses that database would take this machine for dead, or itself for this machine.
    if (runnerAddress === undefined || isLoopback(runnerAddress.host)) {
      return yield* new ConfigurationError({
        detail:
          "LT_RUNNER_ADDRESS must be where other machines reach this one, as LT_DATABASE_URL is a database of another machine"
      })
    }
  }
  for (const { name } of config.engines ?? []) {
    const needed = missingFor(config, name).map((variable) => variable.name)
    if (needed.length > 0) {
      return yield* new ConfigurationError({ detail: `LT_ENGINE names ${name}, but ${listed(needed)} not set` })
    }
  }
  return config
}).pipe(Effect.catchTag("ConfigError", ({ cause }) => Effect.fail(new ConfigurationError({ detail: cause.message }))))

/** What calls cannot do without and is not set, each with what it is for. Empty when captions can be given. */
export const missing = (config: AppConfig): ReadonlyArray<MissingSetting> => {
  const needed: Array<Setting<unknown>> = []
  if (isExApp(config) && config.appSecret === undefined) needed.push(settings.appSecret)
  if (config.hpbUrl === undefined) needed.push(settings.hpbUrl)
  if (config.internalSecret === undefined) needed.push(settings.internalSecret)
  return [...needed.map(({ variable }) => variable), ...missingEngine(config)]
}

/** What keeps speech from becoming text at all: an engine that is half configured, else that there is none. Empty when there is one. */
export const missingEngine = (config: AppConfig): ReadonlyArray<MissingSetting> => {
  if (engineNames.some((name) => missingFor(config, name).length === 0)) return []
  const begun = engineNames.find((name) => engineNeeds[name].flat().some((key) => config[key] !== undefined))
  if (begun !== undefined) return missingFor(config, begun)
  const ways = engineNames.flatMap((name) => engineNeeds[name].map((keys) => keys.map(nameOf).join(" + ")))
  return [{ name: "a speech engine", description: `one of these makes one: ${ways.join(", ")}` }]
}

/** What an engine still needs; of several ways the one that is nearest. Empty when it is configured. */
export const missingFor = (config: AppConfig, name: EngineName): ReadonlyArray<Variable> => {
  const ways = engineNeeds[name].map((keys) => keys.filter((key) => config[key] === undefined))
  const begun = ways.filter((left, index) => left.length < (engineNeeds[name][index]?.length ?? 0))
  const nearest = begun[0] ?? ways[0] ?? []
  return (ways.some((left) => left.length === 0) ? [] : nearest).map((key) => settings[key].variable)
}

/** A variable that is not set, or what one of several would give. */
export type MissingSetting = Pick<Variable, "name" | "description">

const nameOf = (key: keyof AppConfig): string => settings[key].variable.name

const listed = (names: ReadonlyArray<string>): string =>
  names.length === 1 ? `${names[0]} is` : `${names.slice(0, -1).join(", ")} and ${names.at(-1)} are`

/** Whether Nextcloud is to reach us: AppAPI always sets the secret; the rest is for whoever forgot it. */
export const isExApp = (config: AppConfig): boolean =>
  config.appSecret !== undefined || config.appPort !== undefined || config.harpKey !== undefined

/** Whether somebody was given a credential; without any there is one user, on this machine. */
export const hasCredentials = (
  config: Pick<AppConfig, "apiToken" | "jwtPublicKey" | "jwtSecret" | "tokensFile">
): boolean =>
  [config.apiToken, config.tokensFile, config.jwtSecret, config.jwtPublicKey].some((one) => one !== undefined)

/** Where things are kept that must outlive a restart. */
export const storageOf = ({ storage }: Pick<AppConfig, "storage">): string => storage ?? ".parlance"
