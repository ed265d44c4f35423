/**
 * CallState: how others see a call that runs.
 */
import type { CallStatus } from "../services/Calls.ts"
import type { SignalingSession } from "../services/Signaling.ts"
import type { CallDivision } from "./CallDivision.ts"
import type { CallIntents } from "./CallIntents.ts"
import type { CallVoices } from "./CallVoices.ts"
import type { Subscriptions } from "./Subscriptions.ts"

export type ReadStatus = () => CallStatus

export interface StatedCall {
  readonly session: Pick<SignalingSession, "state">
  readonly intents: CallIntents
  readonly voices: Pick<CallVoices, "advice">
  readonly subscriptions: Pick<Subscriptions, "connected">
  /** Where others hear some of the voices. */
  readonly division: Pick<CallDivision, "connected"> | undefined
}

/** A call as it is whenever that is asked. */
export const statusOf =
  ({ division, intents, session, subscriptions, voices }: StatedCall): ReadStatus =>
  () => {
    const state = session.state()
    const advice = state._tag === "Refused" ? state.advice : voices.advice()
    return {
      room: intents.room,
      state: callState(state._tag, intents.list().length > 0),
      ...(advice === undefined ? {} : { advice }),
      viewers: intents.list().length,
      speakers: subscriptions.connected() + (division?.connected() ?? 0),
      language: intents.language()
    }
  }

const callState = (state: ReturnType<SignalingSession["state"]>["_tag"], isWanted: boolean): CallStatus["state"] => {
  if (state === "Joined") return isWanted ? "Captioning" : "Leaving"
  return state === "Dropped" ? "Reconnecting" : state
}
