/**
 * Nextcloud for programs that have none: calls get their ICE servers with the request, or none.
 */
import { Effect, Layer } from "effect"
import { Nextcloud, NextcloudError } from "../services/Nextcloud.ts"

const absent = Effect.fail(new NextcloudError({ reason: "NotConfigured", detail: "there is no Nextcloud" }))

/** Every call fails with `NotConfigured`. */
export const layer: Layer.Layer<Nextcloud> = Layer.succeed(Nextcloud, {
  reportInit: () => absent,
  enabled: absent,
  absoluteUrl: absent,
  iceServers: () => absent
})
