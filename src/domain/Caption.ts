/**
 * A caption is a state of a segment together with who said it, where, and in which language readers know it.
 */
import type { RoomToken, SessionId } from "./Call.ts"
import type { LanguageId } from "./Language.ts"
import type { Segment } from "./Segment.ts"

/** Where in the voice's audio, and how much of it, ms. */
export interface Gap {
  readonly atMs: number
  readonly lengthMs: number
}

export interface Caption {
  readonly room: RoomToken
  /** Who said it, as readers know them (for a phone caller the virtual session, not the SIP bridge). */
  readonly speaker: SessionId
  readonly speakerName?: string
  readonly language: LanguageId
  readonly segment: Segment
  /** The segment is a mark (`gapMark`): here words are missing, because so much speech had to be given up before an engine could hear it. */
  readonly interrupted?: Gap
}
