/**
 * SpeechJournal: what was heard in calls and has not been said to their readers yet, kept where the end of the process does not reach it.
 *
 * A process that is killed is to a voice what a lost session is: the next one hears again what is not proven, and says what nobody was told.
 */
import { Context, Effect, type Scope } from "effect"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import type { Incarnation } from "../domain/Seat.ts"
import type { VoiceKey } from "../domain/Speaker.ts"

/** Speech of one voice as it is heard: Opus packets, in stretches. Positions are samples of the voice, at 24 kHz. */
export interface HeardSpeech {
  /** Takes every packet that was decoded, with the position of its audio. In silence only the last ones are kept. */
  readonly hear: (position: number, packet: Uint8Array) => void
  /** Speech begins at `start`, which lies in a packet heard before or in the next one, and was heard at `atMs`. */
  readonly begin: (start: number, atMs: number) => void
  /** Speech ended: sound up to `heard`, zeros up to `end`, the end of its last frame, silence in the last `silence` samples before that. */
  readonly end: (heard: number, end: number, silence: number) => void
}

/** How far a voice is said. */
export interface HeardMark {
  /** What was heard before it is certainly in the text. */
  readonly position: number
  /** What was said of the voice behind it, or may have been. */
  readonly said: string
}

/** A voice that was being heard. */
export interface LeftVoice extends HeardMark {
  /** The id it had. */
  readonly id: string
  readonly key: VoiceKey
  /** Whether there is speech behind the mark. */
  readonly hasSpeech: boolean
  /** Tells what is kept of its speech; a stretch that was being heard ends where it was cut off. */
  readonly tell: (listener: HeardSpeech) => void
}

/** Text of one voice that is promised and that its readers have not been given as final. */
export interface UnsaidText {
  /** The voice's id. */
  readonly voice: string
  readonly speaker: SessionId
  /** In speaking order; each was to be a caption of its own. */
  readonly texts: ReadonlyArray<string>
  /** Given to readers as final behind what is promised: an engine may still hear it otherwise. */
  readonly ahead: string
}

export interface Left {
  readonly voices: ReadonlyArray<LeftVoice>
  readonly unsaid: ReadonlyArray<UnsaidText>
}

export interface VoiceJournal extends HeardSpeech {
  readonly mark: (mark: HeardMark) => void
  /** All of the voice was said. */
  readonly forget: () => void
}

/** The journal of one call. Plain and synchronous: what it is told is kept some 40 ms later, `unsaid` as soon as the disk takes it. */
export interface CallJournal {
  /** What another process left of this call when it was killed; once. Whoever takes it has it journalled anew. */
  readonly take: () => Left
  readonly voice: (id: string, key: VoiceKey, tell: (position: number, listener: HeardSpeech) => void) => VoiceJournal
  /** All there is of it now. */
  readonly unsaid: (texts: ReadonlyArray<UnsaidText>) => void
}

/** Never fails and never waits for a disk: where nothing can be kept that is said in the log, and captions go on. */
export interface SpeechJournal {
  /** What is kept of the call is forgotten with the scope. */
  readonly open: (room: RoomToken) => Effect.Effect<CallJournal, never, Scope.Scope>
  /** `take` has then what processes that are gone have left of the call; `before` is known to be. For a call that is open. */
  readonly find?: (room: RoomToken, before: Incarnation | undefined) => Effect.Effect<void>
  /** What a process that is gone had heard of a call that goes on; once. Whoever asks has it journalled anew. */
  readonly leftBy?: (room: RoomToken, gone: Incarnation) => Effect.Effect<ReadonlyArray<LeftVoice>>
}

const nothing = () => {}
/** For a call of which nothing is kept. */
export const keepsNothing: CallJournal = {
  take: () => ({ voices: [], unsaid: [] }),
  voice: () => ({ hear: nothing, begin: nothing, end: nothing, mark: nothing, forget: nothing }),
  unsaid: nothing
}

/** Nothing is kept where this was not provided. */
export const SpeechJournal: Context.Reference<SpeechJournal> = Context.Reference<SpeechJournal>(
  "parlance/services/SpeechJournal",
  { defaultValue: () => ({ open: () => Effect.succeed(keepsNothing) }) }
)
