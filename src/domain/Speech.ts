/**
 * What an engine says about a voice, in one vocabulary for all families of engines: append-only (Kyutai, OpenAI), replacing the
 * open utterance (AWS, Vosk, Deepgram, AssemblyAI, sherpa-onnx, WhisperLive), and keyed items that complete out of order (OpenAI).
 *
 * All times are milliseconds of this voice's audio: monotonic across sessions, silence inserted by the engine's adapter removed.
 */

/** A word or mark of punctuation in display form, without surrounding spaces. */
export interface Word {
  readonly text: string
  /** What stands before it in the text. */
  readonly joiner: "space" | "none"
  readonly startMs?: number
  readonly endMs?: number
  /** 0…1. */
  readonly confidence?: number
  readonly speaker?: string
}

/** Why an utterance ended. */
export type EndCause =
  | "EngineFinal"
  | "Silence"
  | "SentenceEnd"
  | "MaxLength"
  | "Commit"
  | "StreamEnd"
  | "EngineLost"
  | "Rotation"

/**
 * Events of one engine session, in speaking order. `item` names an utterance within the session.
 *
 * - `Appended`: these words follow what the item already has and will not change; the last one `mayGrow`, by a word that is joined to it.
 * - `Replaced`: the item now reads `text`; its first `stableLength` characters will not change.
 * - `Completed`: the item is finished; `text`, when present, overrules what was heard of it before. `previous` orders items which
 *   complete out of order (`null` for the first).
 * - `Failed`: the engine gave the item up; the session goes on.
 * - `SpeechStarted`, `SpeechEnded`: the engine's own voice activity.
 * - `Marked`: the mark. What was sent of the voice before `position` (samples at 24 kHz) is certainly said, in the certain words of the events
 *   before this one; and those said nothing of what lies behind it. Positions grow. In doubt no mark is better than one too far.
 * - `PauseLikely`: probability that a pause of `pauseMs` is under way (Kyutai's pause heads, Flux's end of turn).
 */
export type SpeechEvent =
  | {
      readonly _tag: "Appended"
      readonly item: string
      readonly words: ReadonlyArray<Word>
      readonly mayGrow?: true
    }
  | {
      readonly _tag: "Replaced"
      readonly item: string
      readonly text: string
      readonly stableLength: number
      readonly words: ReadonlyArray<Word>
    }
  | {
      readonly _tag: "Completed"
      readonly item: string
      readonly previous?: string | null
      readonly text?: string
      readonly words?: ReadonlyArray<Word>
      readonly language?: string
      readonly cause: EndCause
    }
  | { readonly _tag: "Failed"; readonly item: string; readonly detail: string }
  | { readonly _tag: "Marked"; readonly position: number }
  | { readonly _tag: "SpeechStarted"; readonly atMs: number }
  | { readonly _tag: "SpeechEnded"; readonly atMs: number }
  | {
      readonly _tag: "PauseLikely"
      readonly atMs: number
      readonly pauses: ReadonlyArray<{ readonly pauseMs: number; readonly probability: number }>
    }
