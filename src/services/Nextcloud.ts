/**
 * Nextcloud: the OCS calls of an ExApp.
 */
import { Context, type Effect, Schema } from "effect"
import type { IceServer, RoomToken } from "../domain/Call.ts"

/** Nextcloud did not answer as expected; never carries a body or a secret. The detail of `Status` begins with the status, if there was one. */
export class NextcloudError extends Schema.TaggedError<NextcloudError>()("NextcloudError", {
  reason: Schema.Literals(["NotConfigured", "Unreachable", "Status", "Unreadable"]),
  detail: Schema.String
}) {
  /** Whether asking again, later, can help; a refusal repeated counts as an attack on the secret. */
  get retryable() {
    return this.reason === "Unreachable" || (this.reason === "Status" && /^(429|5\d\d)$/.test(this.detail))
  }
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

/** Speaks to Nextcloud as the app itself, never as a user. */
export class Nextcloud extends Context.Service<
  Nextcloud,
  {
    /** Progress of `/init`, 0…100. Reaching 100 makes AppAPI call us back inside this request. */
    readonly reportInit: (progress: number, error?: string) => Effect.Effect<void, NextcloudError>
    /** Whether AppAPI holds us enabled; asked after a restart, when no `/enabled` comes. */
    readonly enabled: Effect.Effect<boolean, NextcloudError>
    /** The address users know Nextcloud by (`overwrite.cli.url`), for the backend of the hello. */
    readonly absoluteUrl: Effect.Effect<string, NextcloudError>
    /** STUN and TURN servers with credentials that are good for at least an hour; asked again when they are not. Empty when there are none. */
    readonly iceServers: (room: RoomToken) => Effect.Effect<ReadonlyArray<IceServer>, NextcloudError>
  }
>()("parlance/services/Nextcloud") {}
