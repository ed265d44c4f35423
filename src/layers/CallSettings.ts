/**
 * Settings of calls: how they are joined, and what is captioned in them.
 */
import { optional, secret, withDefault } from "./Setting.ts"
import { flag, hpbUrl, integer, language, url } from "./SettingKinds.ts"

/** How calls are joined. */
export const backend = {
  hpbUrl: optional("LT_HPB_URL", hpbUrl, {
    description: "Address of the High-Performance Backend, as in Talk's admin settings. Needed for captions in calls.",
    example: "wss://cloud.example.com/standalone-signaling/spreed"
  }),
  internalSecret: secret("LT_INTERNAL_SECRET", {
    description:
      "The internal secret of the HPB (internalsecret under [clients] in its server.conf, INTERNAL_SECRET in AIO). Not the shared secret of Talk's admin settings. Needed for captions in calls.",
    example: "the-hpb-internal-secret"
  })
}

/** What is captioned in calls, and for how long. */
export const calls = {
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
  })
}
