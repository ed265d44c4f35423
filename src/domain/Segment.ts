/**
 * A segment is what one voice says between two cuts: committed text, which never changes, and open text, which may.
 */
import type { EndCause } from "./Speech.ts"

/**
 * One state of a segment. Later states have a higher `revision`; `committed` of a later state begins with `committed` of every earlier
 * one; exactly one state, the last, has `final` set, and its `open` is empty.
 */
export interface Segment {
  /** `<voice>:<ordinal>`; ordinals of a voice grow. */
  readonly id: string
  readonly revision: number
  readonly committed: string
  readonly open: string
  /** Position in the voice's audio, ms; absent where the engine has no times. */
  readonly startMs?: number
  readonly endMs?: number
  /** When the newest token in it reached us: milliseconds of the monotonic clock. Only for latency figures. */
  readonly tokenAtMs: number
  readonly final?: EndCause
}

/**
 * What a voice gives: states of its segments; whenever an engine has finished with what it was sent, up to which position (samples at
 * 24 kHz) everything that was said is in finals that came before; to those who ask for it, how far what was heard is certainly in the segments
 * that came before, and what of them was `said` behind that; and where words may be missing, because `samples` of speech had to be given
 * up before an engine could hear them (behind what was said before it, in front of what was said after).
 */
export type Transcribed =
  | { readonly _tag: "Segment"; readonly segment: Segment }
  | { readonly _tag: "Settled"; readonly position: number }
  | { readonly _tag: "Marked"; readonly position: number; readonly said: string }
  | { readonly _tag: "Interrupted"; readonly position: number; readonly samples: number }

/** Stands for words that nobody could recognise, in every language. */
export const gapMark = "[…]"

/**
 * A segment that says nothing but that words are missing, in its voice between `newest` (absent: nothing was said) and what will be said next;
 * `ordinal` counts such marks behind the same segment, from 1.
 */
export const gapBehind = (
  newest: string | undefined,
  { atMs, ordinal, voice }: { readonly atMs: number; readonly ordinal: number; readonly voice: string }
): Segment => {
  const before = newest === undefined ? -1 : Number(newest.slice(newest.lastIndexOf(":") + 1))
  return {
    id: `${voice}:${before + 1 - 2 ** -ordinal}`,
    revision: 1,
    committed: gapMark,
    open: "",
    tokenAtMs: atMs,
    final: "EngineLost"
  }
}

/** The whole current text. */
export const textOf = (segment: Segment): string => joinText(segment.committed, segment.open)

export const isFinal = (segment: Segment): boolean => segment.final !== undefined

/**
 * Puts `next` behind `text`. Today's Kyutai sends words without spaces, yesterday's sent pieces with their own leading space: a space
 * goes in only where neither side brings one, and never before closing punctuation.
 */
export const joinText = (text: string, next: string): string => {
  if (text === "") return next.trimStart()
  if (next === "") return text
  return /\s$/.test(text) || /^\s/.test(next) || /^[,.;:!?…%)\]}»”’]/.test(next) ? text + next : `${text} ${next}`
}
