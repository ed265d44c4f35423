/**
 * ModalClient: one socket to Kyutai on Modal, or to a server that speaks the same.
 */
import { Context, type Effect, Schema, type Scope, type Stream } from "effect"

/** Every way such a socket can fail or end. */
export class ModalError extends Schema.TaggedError<ModalError>()("ModalError", {
  /**
   * `NotConfigured`: no URL or credentials. `Unauthorized`: HTTP 401, 403 or 407 on the upgrade. `Rejected`: another HTTP status.
   * `OpenTimeout`: not open within 180 s. `Unreachable`: no connection. `Closed`: the server closed (`code`); 1000 means as little as any
   * other code, today's server uses it for idle, full and broken. `Silent`: it takes no more, or gives no sign of life. `ServerError`: the
   * server said so.
   */
  reason: Schema.Literals([
    "NotConfigured",
    "Unauthorized",
    "Rejected",
    "OpenTimeout",
    "Unreachable",
    "Closed",
    "Silent",
    "ServerError"
  ]),
  detail: Schema.String,
  code: Schema.optionalKey(Schema.Int),
  /** The server asked to be left alone for so long. */
  retryAfterMs: Schema.optionalKey(Schema.Finite)
}) {
  /** Whether another attempt, later, can help. */
  get retryable() {
    return this.reason !== "NotConfigured" && this.reason !== "Unauthorized"
  }
  override get message() {
    return this.code === undefined ? `${this.reason}: ${this.detail}` : `${this.reason} (${this.code}): ${this.detail}`
  }
}

/** What the server says; today's deployment only sends tokens, one per word and without spaces. Unknown messages are counted and skipped. */
export type ModalMessage =
  | { readonly _tag: "Token"; readonly text: string; readonly atMs: number }
  | { readonly _tag: "VadEnd" }
  | { readonly _tag: "Ping" }

export interface ModalSocket {
  /** Sends float32 samples (24 kHz mono) as one binary message; never waits, and keeps nothing of them. `false`: too much is waiting in the socket, the samples were dropped and counted. */
  readonly send: (pcm: Float32Array) => boolean
  /** An empty message: keeps the server's 30 s receive timer from running out without being audio. */
  readonly keepAlive: () => void
  /** In order; fails with the reason the socket ended. */
  readonly messages: Stream.Stream<ModalMessage, ModalError>
  /** In place of `messages`, and faster: see `EngineSession.hear`. */
  readonly hear?: (take: (message: ModalMessage) => Effect.Effect<void> | undefined) => Effect.Effect<never, ModalError>
}

/** Opens sockets. No policy: no retry, no keep-alive by itself, no flush. The socket closes with its scope. */
export class ModalClient extends Context.Service<
  ModalClient,
  {
    readonly open: Effect.Effect<ModalSocket, ModalError, Scope.Scope>
    /** Asks the server whether it is up (`GET /health`), which wakes a container that sleeps: may take as long as `open`. */
    readonly probe: Effect.Effect<void, ModalError>
    /** The server is on this machine. */
    readonly isLocal: boolean
  }
>()("parlance/services/ModalClient") {}
