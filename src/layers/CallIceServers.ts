/**
 * The STUN and TURN servers of a call's peers.
 */
import { Clock, Effect } from "effect"
import type { IceServer } from "../domain/Call.ts"
import type { Nextcloud } from "../services/Nextcloud.ts"
import type { CallIntents } from "./CallIntents.ts"
import { expiryOf } from "./NextcloudIceServers.ts"

/**
 * Those of the request for as long as they let us in, else Nextcloud's; a call without any is still worth trying: Janus often has a
 * public address.
 */
export const of = (
  nextcloud: Pick<Nextcloud["Service"], "iceServers">,
  intents: Pick<CallIntents, "iceServers" | "room">
) =>
  Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
    const given = intents.iceServers()
    return given !== undefined && expiryOf(given) > nowMs ? Effect.succeed(given) : nextcloud.iceServers(intents.room)
  }).pipe(
    Effect.tapError((error) =>
      error.reason === "NotConfigured"
        ? Effect.void
        : Effect.logWarning("no ICE servers from Nextcloud, going on without", { reason: error.message })
    ),
    Effect.orElseSucceed((): ReadonlyArray<IceServer> => [])
  )
