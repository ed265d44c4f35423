/**
 * What OpenAI's errors mean to us, in our own words: its messages quote parts of keys and of what was sent.
 */
import { EngineError } from "../services/SpeechEngine.ts"
import { type EngineSocketError, toEngineError } from "./EngineSocket.ts"
import type { Fault } from "./OpenAiProtocol.ts"

const KEY = "OpenAI does not accept the key of OPENAI_API_KEY"
const MODEL = "OpenAI does not transcribe with the model of MODEL_NAME"
const CREDIT = "the OpenAI account has no credit left"

/** A refused upgrade, a connection that failed or was closed. */
export const ofSocket = (error: EngineSocketError): EngineError => {
  const refused = (detail: string) => new EngineError({ reason: "Refused", detail: `${detail} (${error.code})` })
  if (error.reason === "Unauthorized")
    return refused(error.code === 403 ? "OpenAI does not let this key use this, or not from here" : KEY)
  if (error.reason === "Rejected" && error.code === 402) return refused(CREDIT)
  if (error.reason === "Rejected" && (error.code === 400 || error.code === 404))
    return refused("there is no Realtime transcription at the address of LT_OPENAI_URL")
  return toEngineError(error)
}

/**
 * An `error` event. Nothing when the session goes on: most concern one event of ours, and `mayGoOn` says that it can be done without.
 */
export const ofFault = (fault: Fault, { mayGoOn }: { readonly mayGoOn: boolean }): EngineError | undefined => {
  const said = `${fault.code ?? ""} ${fault.type ?? ""} ${fault.param ?? ""}`.toLowerCase()
  const error = (reason: EngineError["reason"], detail: string) => new EngineError({ reason, detail })
  if (/session_expired|session_.*(duration|limit)/.test(said))
    return error("LimitReached", "the session has reached the longest life OpenAI gives it")
  if (/api_key|authentication|permission/.test(said)) return error("Refused", KEY)
  if (/insufficient_quota|billing/.test(said)) return error("Refused", CREDIT)
  if (!mayGoOn && /rate_limit|too_many|overloaded/.test(said)) return error("Busy", "OpenAI's rate limit is reached")
  return undefined
}

/** An `error` event in answer to how the session was set up: there is no session then. */
export const ofRefusal = (fault: Fault): EngineError => {
  const known = ofFault(fault, { mayGoOn: false })
  if (known !== undefined) return known
  const said = `${fault.code ?? ""} ${fault.param ?? ""} ${fault.message ?? ""}`.toLowerCase()
  if (/beta/.test(said))
    return new EngineError({ reason: "Refused", detail: "the server speaks another form of the Realtime API" })
  if (/model/.test(said)) return new EngineError({ reason: "Refused", detail: MODEL })
  return fault.type === "server_error"
    ? new EngineError({ reason: "Unreachable", detail: "the server reported an error" })
    : new EngineError({ reason: "Refused", detail: "the server refuses how the session is set up" })
}
