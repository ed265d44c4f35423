/** One conversation of a dialect without a socket: what it asks for and what it sends, in order. */
import type { Segment } from "../../src/domain/Segment.ts"
import type { Conversation, Dialect, Event, Message, Request } from "../../src/http/Dialect.ts"

export const opening = {
  sessionId: "5a3c0c1e-0000-4000-8000-000000000000",
  path: "/",
  query: new URLSearchParams(),
  sessionSeconds: 3600,
  now: () => 1_700_000_000_000
}

export const begin = (dialect: Dialect) => {
  const conversation: Conversation = dialect.converse(opening)
  let misunderstood = 0
  const note = (requests: ReadonlyArray<Request>) => {
    misunderstood += requests.filter(({ _tag }) => _tag === "NotUnderstood").length
    return requests.filter(({ _tag }) => _tag !== "NotUnderstood").map(brief)
  }
  return {
    /** Messages that meant nothing, so far; `says` leaves them out. */
    misunderstood: () => misunderstood,
    opened: () => note(conversation.opened?.() ?? []),
    /** What comes of a message. */
    says: (message: Message | object) =>
      note(
        conversation.receive(
          typeof message === "string" || message instanceof Uint8Array ? message : JSON.stringify(message)
        )
      ),
    tells: (event: Event) => note(conversation.tell(event))
  }
}

/** Sent JSON as it is, everything else by its name and what matters. */
const brief = (request: Request): unknown => {
  switch (request._tag) {
    case "Send":
      return typeof request.message === "string" ? JSON.parse(request.message) : request.message
    case "Audio":
      return `Audio ${request.bytes.length}`
    case "Start":
      return { Start: request.options }
    case "Close":
      return `Close ${request.code}`
    case "Authenticate":
      return `Authenticate ${request.token}`
    default:
      return request._tag
  }
}

let ordinal = 0
/** States of one segment: what is committed grows, the last is final. */
export const segment = (committed: string, options: { open?: string; final?: boolean; id?: string } = {}): Event => {
  const state: Segment = {
    id: options.id ?? "s:0",
    revision: ordinal++,
    committed,
    open: options.open ?? "",
    tokenAtMs: 0,
    ...(options.final === true ? { final: "Silence" } : {})
  }
  return { _tag: "Segment", segment: state, startMs: 1000, endMs: 2000, language: "en" }
}
