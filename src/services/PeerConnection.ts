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

/** One RTP packet of Opus. Valid only during the callback, as is its `payload`. */
export interface RtpPacket {
  readonly sequenceNumber: number
  /** 48 kHz clock (RFC 7587). */
  readonly timestamp: number
  readonly ssrc: number
  readonly payload: Uint8Array
  /** RFC 6464 level in −dBov (0 loudest, 127 silence), where it was negotiated. */
  readonly audioLevel?: number | undefined
  /** When it arrived, in ms of the monotonic clock, which may be a while ago; absent: now. */
  readonly atMs?: number
  /** It was passed over when it came, and is wanted after all. */
  readonly wasPassedOver?: boolean
}

/** What becomes of a packet that has just come and is still sealed. */
export type Passage = "open" | "shut" | "look"

/**
 * Takes the packets of one publisher. All calls are synchronous.
 *
 * Who listens to silence may leave it sealed. A packet that is passed over is kept as it came for a while. Before the next that is opened,
 * the last of them (`KEPT_MS`) are given to `onPacket` too, as if they had never been passed over.
 */
export interface PacketListener {
  /** Once per packet, in order of arrival. */
  readonly onPacket: (packet: RtpPacket) => void
  /** Absent: every packet is opened. */
  readonly silence?: Silence
}

export interface Silence {
  /**
   * Asked before a packet is opened. What its header says, and so both arguments, could have been written by whoever can send to us. `look`: it is
   * passed over, but opened for `isSilent`; asked for now and then, so that the numbers of its source are known for certain.
   */
  readonly passage: (audioLevel: number | undefined, payloadBytes: number, atMs: number) => Passage
  /** A packet that was passed over, authentic. `false`: it is no silence; it and all that are kept are given to `onPacket` now. */
  readonly isSilent: (packet: RtpPacket) => boolean
  /**
   * Which packets behind the last one may wait for company: while nobody speaks those to which `passage` would answer `shut`, while somebody does those
   * that do not complete a frame of speech. Whoever lets them wait gives them later, in order and with the times of arrival; `undefined`: none. Valid during
   * the call.
   */
  readonly mayWait?: () => MayWait | undefined
}

/** Packets by what their header says: levels of RFC 6464, sizes of payloads, times as of arrival. */
export interface MayWait {
  /** So many, and none that comes at this moment or later. */
  readonly packets: number
  readonly untilMs: number
  /** With a level from here to there, or of digital silence, and no larger than that. */
  readonly fromLevel: number
  readonly toLevel: number
  readonly fromDigital: number
  readonly levelledBytes: number
  /** Without a level and no larger than that. */
  readonly tinyBytes: number
  /** The same, but only until another moment. */
  readonly sizedBytes: number
  readonly sizedUntilMs: number
}

/** Of what was passed over, this much is heard before what is opened: 300 ms before speech was noticed, and 120 ms for the decoder to settle. */
export const KEPT_MS = 440

export type PeerState = "connecting" | "connected" | "closed"

export interface PeerOptions extends PacketListener {
  /** The publisher's offer, as Janus made it. */
  readonly sdp: string
  readonly iceServers: ReadonlyArray<IceServer>
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
  /** Gives what is kept of packets that were passed over to `onPacket`: somebody else will give those that follow. */
  readonly wake?: () => void
  /** Gives all that has come and waits (`MayWait`): nothing behind it will be heard. */
  readonly catchUp?: () => void
}

/**
 * Answers offers audio-only: video is never accepted, data channels are not used. Contacts no server that was not configured. The
 * connection closes with its scope; it never reconnects. At most 8 are being set up at a time. While this process is late, another begins only where none
 * is under way, or a second after the last has begun; whoever waits does so in order.
 */
export class PeerConnection extends Context.Service<
  PeerConnection,
  { readonly open: (options: PeerOptions) => Effect.Effect<Peer, PeerError, Scope.Scope> }
>()("parlance/services/PeerConnection") {}
