/**
 * Identity of a voice in a room.
 */
import type { SessionId } from "./Call.ts"

/** What a participant publishes: the microphone (and camera), or a shared screen with its system audio. Names are the HPB's. */
export type RoomType = "video" | "screen"

/** One voice of a call. `publisher` sends the audio; `speaker` is who said it: a SIP bridge publishes for its phone callers. */
export interface VoiceKey {
  readonly publisher: SessionId
  readonly roomType: RoomType
}

export const voiceId = ({ publisher, roomType }: VoiceKey): string => `${roomType}:${publisher}`
