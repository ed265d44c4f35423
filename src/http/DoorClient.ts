/**
 * What a streaming session is given: the connection it is for, and what all sessions share.
 */
import type { Redacted } from "effect"
import type { WebSocket } from "ws"
import type { LanguageId } from "../domain/Language.ts"
import type { Decoder } from "../services/Decoder.ts"
import type { Engines } from "../services/Engines.ts"
import type { Resampler } from "../services/Resampler.ts"
import type { Stopping } from "../services/Stopping.ts"
import type { Transcriber } from "../services/Transcriber.ts"
import type { TranscriptStore } from "../services/TranscriptStore.ts"
import type { Access } from "./Access.ts"
import type { Dialect, Opening } from "./Dialect.ts"
import type { Provenance } from "./Origin.ts"
import type { Quotas } from "./Quotas.ts"

/** What all sessions share. */
export interface DoorServices {
  readonly access: Access["Service"]
  readonly quotas: Quotas["Service"]
  readonly engines: Engines["Service"]
  readonly transcriber: Transcriber["Service"]
  readonly store: TranscriptStore["Service"]
  readonly decoder: Decoder["Service"]
  readonly resampler: Resampler["Service"]
  readonly limits: DoorLimits
  readonly stopping: Stopping
  readonly now: () => number
  /** Some audio could not be used. */
  readonly onTrouble: () => void
}

export interface DoorLimits {
  readonly sessionSeconds: number
  readonly idleSeconds: number
  readonly defaultLanguage: LanguageId
}

/** A connection that was accepted. */
export interface DoorClient {
  readonly socket: WebSocket
  readonly dialect: Dialect
  readonly opening: Opening
  readonly provenance: Provenance
  /** Bytes that have come since. */
  readonly received: () => number
  /** What the request showed. */
  readonly credential: Redacted.Redacted | undefined
}
