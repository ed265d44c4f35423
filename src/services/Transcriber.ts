/**
 * Transcriber: a voice in, segments out.
 */
import { Context, Effect, Stream } from "effect"
import type { AudioFrame } from "../domain/Audio.ts"
import type { LanguageId, Languages } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Segment, Transcribed } from "../domain/Segment.ts"
import type { EngineTrouble } from "./Engines.ts"

/**
 * Takes a frame on the spot, or leaves it to `frames`. `Used`: nothing of it is kept, and its samples may be written over. `behind` (samples) is where the newest frame begins that went there, −∞ when none
 * did: what is taken before that one is read is taken out of turn.
 */
export type TakeFrame = (frame: AudioFrame, behind: number) => "Left" | "Kept" | "Used"

/** One voice as the Transcriber sees it. */
export interface Voice {
  readonly id: string
  /** Speech only: no frame while the speaker is silent. Bounded; when the reader is too slow the oldest frames go and are counted, unless `waits`. Ends with the voice. */
  readonly frames: Stream.Stream<AudioFrame>
  /**
   * From now on every frame is offered to `take` before it goes into `frames`, which still has to be read; until `undefined` is given. One at a
   * time. A frame on its way through a stream costs as much again as what is done with it. Belongs to `frames`: whoever puts another stream in
   * its place leaves it out. Absent: all of them come through `frames`.
   */
  readonly direct?: (take: TakeFrame | undefined) => void
  /**
   * What was heard of speech from `position` (samples) on, as far as the ring still holds it, decoded anew; the last frames may also
   * still come through `frames` (compare positions). Not for one frame: a fresh decoder needs a lead-in of 100 ms.
   */
  readonly replay: (position: number) => Iterable<AudioFrame>
  /** Read when a session is opened. */
  readonly language: () => LanguageId
  /** Read when a session is opened: the engine, by its `capabilities.name`, that comes before the configured order. */
  readonly engine?: () => string | undefined
  /** Where its audio may go, for all of its life; the deployment's own rule when absent, and never less than that. */
  readonly privacy?: Privacy
  /** The source can be held up: frames that are not taken are not lost. No more than 2 s of them are then taken ahead of an engine. */
  readonly waits?: boolean
  /** Each stretch of speech is an utterance of its own: its segment ends with the flush behind it, also when speech has gone on meanwhile. */
  readonly utterances?: boolean
  /** The reader wants to know how far the voice is said: `Marked`. */
  readonly marks?: boolean
  /** A part of it was said before, by a process that is no more. */
  readonly begun?: Begun
}

/** Plain and short: whoever says it waits. */
export type TakeSaid = (said: ReadonlyArray<Transcribed>) => Effect.Effect<void> | undefined

export interface Begun {
  /** What was heard before it (samples) is said. */
  readonly position: number
  /** What was said behind it: words that come again are left out. */
  readonly said: string
  /** Ordinals of segments that are taken. */
  readonly segments: number
  /** What was heard before it (samples) was heard then; all of the voice where it is absent. */
  readonly heard?: number
}

/**
 * The one place with policy about engines: when a session is opened, kept, renewed and closed, what is sent again, where a segment ends.
 *
 * `transcribe` never fails: sessions come and go inside. Segments come in speaking order, each with exactly one final state; a final
 * always comes, also when the engine is lost or the voice ends. Words that a lost session had not said are said by the next one, none twice,
 * as long as the voice's ring holds their audio; what had to be given up is told as `Interrupted`, between what was said before and behind it.
 * The stream ends after the voice has ended and its last words were delivered (bounded by 10 s, 30 s for a voice that waits, and by the end
 * of the service). `Settled` comes after every flush that an engine has completed, behind the finals it led to. Nothing is opened before
 * the first frame, and no session is held longer than 60 s without speech. An engine is never sent more than it can take (see `Pace`): a
 * source that is faster is held up.
 */
export class Transcriber extends Context.Service<
  Transcriber,
  {
    readonly transcribe: (voice: Voice) => Stream.Stream<Transcribed>
    /**
     * In place of `transcribe`, and faster: gives what belongs together to `take` in the moment it is there; completes where the stream ends. What
     * `take` gives is waited for before the next. Absent: see `transcribeTo`.
     */
    readonly transcribeTo?: (voice: Voice, take: TakeSaid) => Effect.Effect<void>
    readonly languages: Languages
    /** Voices like this one will come soon: engines that sleep are woken. Returns at once. */
    readonly prepare: (voice: Pick<Voice, "language" | "privacy">) => Effect.Effect<void>
    /** Why a voice like this one would get no text now, if that is so. An engine that starts is no trouble. */
    readonly trouble?: (voice: Pick<Voice, "language" | "privacy">) => EngineTrouble | undefined
  }
>()("parlance/services/Transcriber") {}

/** Everything that is made of a voice goes to `take`, by the shortest way the Transcriber has. */
export const transcribeTo = (
  transcriber: Pick<Transcriber["Service"], "transcribe" | "transcribeTo">,
  voice: Voice,
  take: TakeSaid
): Effect.Effect<void> =>
  transcriber.transcribeTo?.(voice, take) ??
  Stream.runForEachArray(transcriber.transcribe(voice), (said) => take(said) ?? Effect.void)

/** Only the segments, for readers who never ask whether all was said. */
export const segments = <E, R>(transcribed: Stream.Stream<Transcribed, E, R>): Stream.Stream<Segment, E, R> =>
  transcribed.pipe(
    Stream.filter((one) => one._tag === "Segment"),
    Stream.map(({ segment }) => segment)
  )
