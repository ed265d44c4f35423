/**
 * What the errors and close codes of a tldw server mean for a session.
 */
import { EngineError } from "../services/SpeechEngine.ts"
import * as EngineSocket from "./EngineSocket.ts"
import type { ServerFault } from "./TldwProtocol.ts"

/**
 * What an error says by itself; `undefined`: that depends on the close code behind it. Its text is only looked at, never passed on: it could
 * quote what was said.
 */
export const ofFault = (fault: ServerFault): EngineError | undefined => {
  const code = fault.code ?? fault.error_type ?? ""
  if (code === "quota_exceeded" || fault.quota) {
    return fault.quota === "concurrent_streams"
      ? new EngineError({ reason: "Busy", detail: "no more streams at a time are allowed" })
      : new EngineError({ reason: "LimitReached", detail: "the minutes of the day are used up" })
  }
  if (code === "billing_limit_exceeded") {
    return new EngineError({ reason: "LimitReached", detail: "the billing limit is reached" })
  }
  if (code === "model_unavailable") return new EngineError({ reason: "Refused", detail: "it has no such model" })
  if (/concurren|too many/i.test(fault.message ?? "")) {
    return new EngineError({ reason: "Busy", detail: "too many streams" })
  }
  return undefined
}

/** The end of the connection, with the error that came before it, if any. */
export const ofEnd = (error: EngineSocket.EngineSocketError, fault: ServerFault | undefined): EngineError => {
  if (error.reason !== "Closed") return EngineSocket.toEngineError(error)
  const said = fault === undefined ? undefined : ofFault(fault)
  if (said !== undefined) return said
  const reason = closed(error.code ?? 0, fault !== undefined)
  return new EngineError({ reason, detail: `${details[reason]} (${error.code})` })
}

/** 1008 without a quota is an address that is not let in; 1000 may hide an error. */
const closed = (code: number, isFault: boolean): "Refused" | "LimitReached" | "Busy" | "Protocol" | "Closed" => {
  switch (code) {
    case 4401:
    case 4403:
    case 1008:
      return "Refused"
    case 4003:
      return "LimitReached"
    case 1013:
      return "Busy"
    case 4400:
    case 1011:
      return "Protocol"
    default:
      return isFault ? "Protocol" : "Closed"
  }
}

const details = {
  Refused: "the server does not accept our credentials",
  LimitReached: "a quota is used up",
  Busy: "the server takes nobody in",
  Protocol: "the server reported an error",
  Closed: "the server closed the connection"
} as const
