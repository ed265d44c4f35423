/**
 * What the OpenAI-compatible door says: the events of https://platform.openai.com/docs/api-reference/realtime-server-events that concern
 * transcription.
 */
import type { Complaint } from "../layers/OpenAiRequests.ts"

const item = (id: string) => ({
  id,
  object: "realtime.item" as const,
  type: "message" as const,
  status: "completed" as const,
  role: "user" as const,
  content: [{ type: "input_audio" as const, transcript: null }]
})

/** Every event has an id of its own. */
export const make = (connection: string) => {
  let count = 0
  const head = <const Type extends string>(type: Type) => ({ event_id: `event_${connection}_${++count}`, type })
  return {
    session: <const Type extends string, Session>(type: Type, session: Session) => ({ ...head(type), session }),
    speechStarted: (item_id: string, atMs: number) => ({
      ...head("input_audio_buffer.speech_started"),
      audio_start_ms: Math.round(atMs),
      item_id
    }),
    speechStopped: (item_id: string, atMs: number) => ({
      ...head("input_audio_buffer.speech_stopped"),
      audio_end_ms: Math.round(atMs),
      item_id
    }),
    cleared: () => head("input_audio_buffer.cleared"),
    committed: (item_id: string, previous_item_id: string | null) => ({
      ...head("input_audio_buffer.committed"),
      previous_item_id,
      item_id
    }),
    added: (item_id: string, previous_item_id: string | null) => ({
      ...head("conversation.item.added"),
      previous_item_id,
      item: item(item_id)
    }),
    done: (item_id: string, previous_item_id: string | null) => ({
      ...head("conversation.item.done"),
      previous_item_id,
      item: item(item_id)
    }),
    delta: (item_id: string, delta: string) => ({
      ...head("conversation.item.input_audio_transcription.delta"),
      item_id,
      content_index: 0,
      delta
    }),
    completed: (item_id: string, transcript: string, seconds: number) => ({
      ...head("conversation.item.input_audio_transcription.completed"),
      item_id,
      content_index: 0,
      transcript,
      usage: { type: "duration" as const, seconds: Math.round(seconds * 1000) / 1000 }
    }),
    failed: (item_id: string, code: string, message: string) => ({
      ...head("conversation.item.input_audio_transcription.failed"),
      item_id,
      content_index: 0,
      error: { type: "server_error", code, message }
    }),
    error: ({ code, eventId, message, param }: Complaint, type = "invalid_request_error") => ({
      ...head("error"),
      error: { type, code, message, param, event_id: eventId }
    })
  }
}
export type RealtimeEvents = ReturnType<typeof make>
