/**
 * The dialect of tuon-live-transcribe's second version, `WS /api/ws/transcriptions`: the same sessions as `TuonDialect.ts` with messages that
 * have a `type`.
 *
 * ```json
 * {"type": "connected", "message": "…"}                        at once
 * {"ready": true}                                              after {"action": "start", "lang": "en"}
 * {"type": "partial", "text": " morning", "item_id": "s:3"}    to be appended
 * {"type": "final", "text": "Good morning.", "item_id": "s:3"}
 * {"type": "interrupted", "seconds": 12.4, "at": 31.2}         here words are missing; as other types, for who knows it
 * {"error": "openai_error", "detail": "…"}                     or upstream_already_started, upstream_setup_failed
 * ```
 * The client may also `commit` and `stop`. Close codes are those of `TuonDialect.ts`.
 */
import { isFinal, textOf } from "../domain/Segment.ts"
import * as Deltas from "./Deltas.ts"
import {
  type Conversation,
  closeCodes,
  type Dialect,
  type Event,
  type Message,
  notUnderstood,
  type Request,
  say
} from "./Dialect.ts"
import { tuon } from "./TuonDialect.ts"
import { readFirst, readLater } from "./TuonStart.ts"

const converse = (): Conversation => {
  const delta = Deltas.make()
  let isStarted = false

  const first = (message: Message): ReadonlyArray<Request> => {
    const read =
      typeof message === "string" ? readFirst(message) : { _tag: "Refused" as const, detail: "a start comes first" }
    if (read._tag === "Unreadable") return [notUnderstood, { _tag: "Close", code: 1008 }]
    if (read._tag === "Refused")
      return [notUnderstood, error("upstream_setup_failed", read.detail), { _tag: "Close", code: 1008 }]
    const { options, token } = read.start
    isStarted = true
    return [...(token === undefined ? [] : [{ _tag: "Authenticate" as const, token }]), { _tag: "Start", options }]
  }

  const later = (message: Message): ReadonlyArray<Request> => {
    const asked = readLater(message)
    if (asked === "AlreadyStarted") return [error("upstream_already_started")]
    if (asked !== "NotUnderstood") return asked
    return [notUnderstood, error("not_understood", "text must be a JSON object with action stop or commit")]
  }

  const tell = (event: Event): ReadonlyArray<Request> => {
    switch (event._tag) {
      case "Ready":
        return [say({ ready: true })]
      case "Segment": {
        const { segment } = event
        const text = isFinal(segment) ? textOf(segment).trim() : delta(segment)
        return text === "" ? [] : [say({ type: isFinal(segment) ? "final" : "partial", text, item_id: segment.id })]
      }
      case "Interrupted":
        return [say({ type: "interrupted", seconds: seconds(event.lengthMs), at: seconds(event.atMs) })]
      case "Finished":
        return [{ _tag: "Close", code: 1000 }]
      case "Denied":
        return [error("upstream_setup_failed", event.detail), { _tag: "Close", code: closeCodes[event.denial] }]
      case "Failed": {
        const name = event.failure === "NoEngine" ? "upstream_setup_failed" : "openai_error"
        return [error(name, event.detail), { _tag: "Close", code: closeCodes[event.failure] }]
      }
      default:
        return []
    }
  }

  return {
    opened: () => [say({ type: "connected", message: "send a start" })],
    receive: (message) => (isStarted ? later(message) : first(message)),
    tell
  }
}

const seconds = (ms: number): number => Math.round(ms) / 1000

const error = (name: string, detail?: string) => say({ error: name, ...(detail === undefined ? {} : { detail }) })

/** For clients of the newer tuon-live-transcribe. */
export const tuonV2: Dialect = { ...tuon, name: "tuon-v2", paths: ["/api/ws/transcriptions"], converse }
