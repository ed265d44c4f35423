/**
 * PeerConnection: the receiving end of one publisher's audio.
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { IceServer } from "../domain/Call.ts"
import type { Candidate } from "./Signaling.ts"

/** The offer could not be answered. */
export class PeerError extends Schema.TaggedError<PeerError>()("PeerError", {
  reason: Schema.Literals(["NoOpus", "BadOffer", "Failed"]),
  detail: Schema.String
}) {
  override get message() {
    return `${this.reason}: ${this.detail}`
  }
}

/** One RTP packet of Opus. `payload` is valid only during the callback. */
export interface RtpPacket {
  readonly sequenceNumber: number
  /** 48 kHz clock (RFC 7587). */
  readonly timestamp: number
  readonly ssrc: number
  readonly payload: Uint8Array
  /** RFC 6464 level in −dBov (0 loudest, 127 silence), where it was negotiated. */
  readonly audioLevel?: number
}

export type PeerState = "connecting" | "connected" | "closed"

export interface PeerOptions {
  /** The publisher's offer, as Janus made it. */
  readonly sdp: string
  readonly iceServers: ReadonlyArray<IceServer>
  /** Synchronous, once per packet, in order of arrival. */
  readonly onPacket: (packet: RtpPacket) => void
  readonly onState: (state: PeerState) => void
  readonly onCandidate: (candidate: Candidate) => void
}

export interface Peer {
  /** What to answer the publisher. */
  readonly answer: string
  /** Candidates in any order; one that cannot be used is counted and ignored. */
  readonly addCandidate: (candidate: Candidate) => void
  /** A new offer for the same subscription (a track came or went): the answer to it, media goes on. `Failed`: it needs a new connection. */
  readonly renegotiate: (sdp: string) => Effect.Effect<string, PeerError>
  readonly state: () => PeerState
  /** Whether packets come through a relay. */
  readonly isRelayed: () => boolean
}

/**
 * Answers offers audio-only: video is never accepted, data channels are not used. Contacts no server that was not configured. The
 * connection closes with its scope; it never reconnects. At most 8 are being set up at a time, others wait.
 */
export class PeerConnection extends Context.Service<
  PeerConnection,
  { readonly open: (options: PeerOptions) => Effect.Effect<Peer, PeerError, Scope.Scope> }
>()("parlance/services/PeerConnection") {}
