/**
 * Settings of the speech engines: which, in what order, and how each is reached.
 */
import { optional, secret, withDefault } from "./Setting.ts"
import { engineChain, oneOf, roomList, text, url } from "./SettingKinds.ts"
import { DEFAULT_HOST_SUFFIX } from "./SocketModalClient.ts"

/** Which of them make an engine usable says `engineNeeds` of `AppConfig`. */
export const engines = {
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
  })
}
