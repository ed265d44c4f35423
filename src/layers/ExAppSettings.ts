/**
 * Settings of the ExApp: what AppAPI sets.
 */
import { optional, secret, withDefault } from "./Setting.ts"
import { port, text, url } from "./SettingKinds.ts"

/** This version, where AppAPI does not say it; `package.json` and `info.xml` say the same. */
export const VERSION = "0.1.0"

/** An admin sets these only for development and service mode. */
export const exApp = {
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
