/**
 * A caption is a state of a segment together with who said it, where, and in which language readers know it.
 */
import type { RoomToken, SessionId } from "./Call.ts"
import type { LanguageId } from "./Language.ts"
import type { Segment } from "./Segment.ts"

export interface Caption {
  readonly room: RoomToken
  /** Who said it, as readers know them (for a phone caller the virtual session, not the SIP bridge). */
  readonly speaker: SessionId
  readonly speakerName?: string
  readonly language: LanguageId
  readonly segment: Segment
}
