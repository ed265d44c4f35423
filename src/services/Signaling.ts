/**
 * Signaling: a place in a Talk room, kept for as long as its scope lives.
 */
import { Context, type Effect, type Scope, type Stream } from "effect"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import type { Roster } from "../domain/Roster.ts"
import type { Rank } from "../domain/Seat.ts"
import type { VoiceKey } from "../domain/Speaker.ts"

/** An ICE candidate as it travels; an empty `sdpMid` has become absent. */
export interface Candidate {
  readonly candidate: string
  readonly sdpMid?: string
  readonly sdpMLineIndex?: number
}

/**
 * What happens in the room.
 *
 * - `Joined`: we are in, for the first time or again after everything was lost (`again`): all session ids known before are void, peers are
 *   dead, what was not confirmed may be lost. Who is there is mostly told only behind it.
 * - `Dropped`: the socket is gone, and what was asked or answered by then may be lost; media may go on. Either `Resumed` follows within 30 s (same ids, missed messages follow) or `Joined`.
 * - `RosterChanged`: somebody came, went, or changed; the roster is complete.
 * - `Offered`: a publisher's media is offered; `sid` names the subscription (absent before HPB 0.5).
 * - `RequestFailed`: `requestOffer` was refused or not answered in time; it may be repeated.
 * - `AnswerRefused`: the HPB had already given up the subscription we answered: no media will come from it.
 * - `CallEnded`: for everybody, by a moderator or because the room is gone.
 * - `Outranked`: another session of ours in the room counts; nothing that is handed to `sendTranscript` is sent any more.
 */
export type SignalingEvent =
  | { readonly _tag: "Joined"; readonly roster: Roster; readonly again: boolean }
  | { readonly _tag: "Dropped" }
  | { readonly _tag: "Resumed" }
  | { readonly _tag: "RosterChanged"; readonly roster: Roster }
  | { readonly _tag: "Offered"; readonly voice: VoiceKey; readonly sid?: string; readonly sdp: string }
  | { readonly _tag: "CandidateFound"; readonly voice: VoiceKey; readonly sid?: string; readonly candidate: Candidate }
  | { readonly _tag: "RequestFailed"; readonly voice: VoiceKey; readonly code: string }
  | { readonly _tag: "AnswerRefused"; readonly voice: VoiceKey; readonly sid?: string; readonly code: string }
  | { readonly _tag: "MuteChanged"; readonly speaker: SessionId; readonly muted: boolean }
  | { readonly _tag: "CallEnded"; readonly reason: "EndedForAll" | "RoomDeleted" }
  | { readonly _tag: "Outranked"; readonly by: Rank }

/** Where the session stands; `Refused` is a configuration error in plain words, retried after minutes. */
export type SignalingState =
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Joined" }
  | { readonly _tag: "Dropped" }
  | { readonly _tag: "Refused"; readonly code: string; readonly advice: string }

export type Recipient = { readonly _tag: "Session"; readonly session: SessionId } | { readonly _tag: "Call" }

/** Talk's caption on the wire, without what only a version of the HPB asks for. */
export interface Transcript {
  readonly message: string
  readonly langId: string
  readonly speakerSessionId: SessionId
  readonly final: boolean
}

export interface SignalingSession {
  readonly room: RoomToken
  /** In the order of the wire; for one reader. Ends only with the scope. */
  readonly events: Stream.Stream<SignalingEvent>
  readonly roster: () => Roster
  readonly state: () => SignalingState
  /** Whether one message can reach everybody in the call (HPB ≥ 2.0.2). */
  readonly canReachCall: () => boolean
  /** Whether a failed request may spoil all later ones for the same voice (HPB < 2.0.3): see `SubscriptionPlace`. */
  readonly keepsFailed: () => boolean
  /** Asks for a publisher's media. At most one request per voice is under way; its failure is an event. */
  readonly requestOffer: (voice: VoiceKey) => void
  readonly answer: (voice: VoiceKey, sid: string | undefined, sdp: string) => void
  readonly sendCandidate: (voice: VoiceKey, sid: string | undefined, candidate: Candidate) => void
  /** Hands a caption to the socket at once; `false` when there is none. Never waits, never queues. */
  readonly sendTranscript: (to: Recipient, transcript: Transcript) => boolean
  /** `true`: the HPB has read everything sent before (a websocket ping was answered). `false`: the socket went first. */
  readonly confirm: Effect.Effect<boolean>
  /** Has the HPB keep a number, behind everything sent before; each is larger than the one before. Nothing where the HPB cannot. */
  readonly mark: (number: number) => void
  /**
   * After `Resumed`: the newest number the HPB has kept, or a smaller one. Everything sent before that mark has been read; what was sent
   * behind the newest one before the socket was lost has not. `undefined` when nothing is known, within two seconds.
   */
  readonly recall: Effect.Effect<number | undefined>
  /** Where it was joined with a rank. */
  readonly fence?: SessionFence
}

/** Of our sessions in a room only the one with the highest rank sends captions. */
export interface SessionFence {
  /** Captions are not sent now, and may be later: until those who are alive have yielded, and in doubt. */
  readonly isMuted: () => boolean
  /** Nothing is sent while it is `true`, whoever counts. */
  readonly hold: (isHeld: boolean) => void
  /** The rank has changed: it is announced. */
  readonly announce: () => void
  readonly outranked: () => Rank | undefined
}

/**
 * Joins rooms of the High-Performance Backend as an internal, invisible client.
 *
 * A session never fails and never ends before its scope: dropped sockets are resumed within 30 s, everything else is joined anew with
 * backoff, configuration errors are said once and retried after minutes. No input from the network ends it. Closing the scope says bye.
 */
export class Signaling extends Context.Service<
  Signaling,
  {
    /** With a rank, `undefined` for as long as nothing is to be said, this session is one of several of ours: see `SessionFence`. */
    readonly join: (
      room: RoomToken,
      rank?: () => Rank | undefined
    ) => Effect.Effect<SignalingSession, never, Scope.Scope>
    /** For health pages: the newest refusal by the HPB, if the last hello was refused. */
    readonly refusal: () => { readonly code: string; readonly advice: string } | undefined
  }
>()("parlance/services/Signaling") {}
