/**
 * A call that is too large for one runner is heard in parts. Each part has a session of its own in the room and hears some of the voices; what is
 * made of them goes to the lead, the runner of the call's seat, and only that one captions. Here is what lead and parts say to each other.
 */
import type { Deferred, Effect, Redacted, Scope, Stream } from "effect"
import type { IceServer, RoomToken } from "../domain/Call.ts"
import type * as HandOver from "../domain/HandOver.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Incarnation, Rank } from "../domain/Seat.ts"
import type { Transcribed } from "../domain/Segment.ts"
import type { VoiceKey } from "../domain/Speaker.ts"

/** What a lead wants of a part: always all of it. */
export interface PartOrder {
  readonly lead: Rank
  readonly hears: ReadonlyArray<VoiceKey>
  /** Those of them whom another part hears until they go on here: what comes is kept. Whoever is not among them any more goes on with that. */
  readonly keeps: ReadonlyArray<VoiceKey>
  /** Voices (their ids) of this part that go on elsewhere by now: they end without another word. */
  readonly moved: ReadonlyArray<string>
  /** Somebody reads. Otherwise nobody is heard, and what was not said is forgotten. */
  readonly isHearing: boolean
  /** Counts how often this lead has ended hearing; what is said carries it. */
  readonly turn: number
  readonly language: LanguageId
  /** For voices that begin; to change it for others, hearing has to end. */
  readonly privacy: Privacy
  /** Those of the request, where it had some; otherwise each asks Nextcloud. */
  readonly iceServers: Redacted.Redacted<ReadonlyArray<IceServer>> | undefined
}

/** What belongs together of one voice, to be taken at once. */
export interface PartSaid {
  /** Grows by one; for the acknowledgement. */
  readonly number: number
  readonly turn: number
  /** Id of the voice, as no other part has it. */
  readonly voice: string
  readonly key: VoiceKey
  /** In speaking order. Of states that were not fetched in time only the newest of each segment; finals and the newest `Marked` always. */
  readonly said: ReadonlyArray<Transcribed>
  /** It was the last of the voice. */
  readonly isOver: boolean
}

/** How far a lead that is no more had said a voice. */
export interface Resumed {
  readonly voice: string
  /** As in `Begun`. */
  readonly position: number
  readonly said: string
  readonly segments: number
}

/** Where voices go on that another part hears. */
export interface Heir {
  /** Which of these it has kept for long enough to go on with them; completes when that is all of them, or within two seconds. */
  readonly kept: (voices: ReadonlyArray<VoiceKey>) => Effect.Effect<ReadonlyArray<VoiceKey>>
  /** They go on exactly behind what was given. Gives back the ids of those that were not kept: what was given of them is still to be said. */
  readonly take: (given: ReadonlyArray<HandOver.LeftVoice>) => Effect.Effect<ReadonlyArray<string>>
}

/** A part, as leads see it. */
export interface RunningPart extends Heir {
  readonly incarnation: Incarnation
  /** Whom it hears, without those that it only keeps; a new lead leaves them there. */
  readonly hears: () => ReadonlyArray<VoiceKey>
  /** Voices with a connected peer, likewise. */
  readonly connected: () => number
  /** Returns at once; of several leads the one with the highest rank counts. */
  readonly order: (order: PartOrder) => void
  /**
   * What is said, to one lead at a time: whoever has the highest rank. The same lead gets again what it has not acknowledged. For another one
   * every voice is heard again by an engine from where it was said, as `resumed` has it, or else as far as was acknowledged.
   */
  readonly listen: (lead: Rank, resumed: ReadonlyArray<Resumed>) => Stream.Stream<ReadonlyArray<PartSaid>>
  /** These were taken: published, and in the lead's journal. */
  readonly acknowledge: (numbers: ReadonlyArray<number>) => void
  /** What was heard of these by now and may not be said; it goes on hearing them. `undefined`: it cannot be asked. */
  readonly given: (voices: ReadonlyArray<VoiceKey>) => Effect.Effect<ReadonlyArray<HandOver.LeftVoice> | undefined>
  /** All voices end, then the part; completes when their last words were acknowledged, within some seconds. */
  readonly finish: Effect.Effect<void>
}

/** Why a part hears nobody any more: its process has ended and its journal has what it left; or it has left the room itself. */
export type PartEnd = "Died" | "Left"

/** How a lead has a part. */
export interface PartLink extends RunningPart {
  /** Done when its runner ends: it goes on for some seconds, in which its voices are to be heard elsewhere. */
  readonly leaving: Deferred.Deferred<void>
  /** Done when it is certain that the part hears nobody any more. */
  readonly gone: Deferred.Deferred<PartEnd>
}

/** Where a lead gets parts of its call from; each goes on for some seconds when the scope closes: another lead may want it. */
export interface CallParts {
  /** Those of a lead before: that run, or are gone without that a lead has seen to what they left. */
  readonly running: (room: RoomToken) => Effect.Effect<ReadonlyArray<PartLink>, never, Scope.Scope>
  /** One more, on a runner that has none of this call. `undefined`: there is no such runner. */
  readonly open: (room: RoomToken) => Effect.Effect<PartLink | undefined, never, Scope.Scope>
}
