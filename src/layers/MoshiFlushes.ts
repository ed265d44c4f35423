/**
 * MoshiFlushes: the markers that are on their way through moshi-server, and what they prove when they come back.
 */
import { Deferred, Effect } from "effect"
import type { SpeechEvent } from "../domain/Speech.ts"
import type { EngineMark } from "./EngineMark.ts"
import type { ServerMessage } from "./MoshiProtocol.ts"
import * as MoshiTurns from "./MoshiTurns.ts"

/** One flush. */
export interface Flush {
  /** Of its marker. */
  readonly id: number
  readonly done: Deferred.Deferred<void>
}

export interface FlushRequest {
  /** Position in the voice (24 kHz) behind the last frame before it. */
  readonly upTo: number
  /** Steps of the stream before it. */
  readonly stepsUpTo: number
  /** The open utterance ends with it. */
  readonly completes: boolean
}

export interface MoshiFlushes {
  /** Its marker must be sent, in silence. */
  readonly add: (request: FlushRequest) => Flush
  /** The newest flush, if it covers everything up to this position. */
  readonly newest: (upTo: number) => Flush | undefined
  /** To be called behind `MoshiTurns.read`. What ends with flushes that are done with this message, and the mark behind it. */
  readonly read: (message: ServerMessage) => ReadonlyArray<SpeechEvent>
  /** Everything told so far was read: flushes that are done complete. */
  readonly settle: () => void
}

/** `asr_delay_in_tokens` of the 2.6B model. */
const LONG_DELAY_STEPS = 32
/** The 2.6B model tells no steps, and needs as much more than its delay as the 1B model does. */
const SETTLE_WITHOUT_STEPS = LONG_DELAY_STEPS + MoshiTurns.SETTLE_STEPS - MoshiTurns.DELAY_STEPS

/**
 * Frames of silence before a marker, so that the last word is out when it is answered, and again behind it, so that the server has something
 * to compute until then: on an idle server no time passes without audio. A server of which it is not known yet gets what the slower needs.
 */
export const paddingFrames = (tellsSteps: boolean): number =>
  tellsSteps ? MoshiTurns.SETTLE_STEPS : SETTLE_WITHOUT_STEPS

/** No flush asked for yet. */
export const make = (turns: MoshiTurns.MoshiTurns, mark: EngineMark): MoshiFlushes => {
  const pending: Array<Flush & FlushRequest> = []
  let newest: (Flush & FlushRequest) | undefined
  let done: Array<Flush & FlushRequest> = []
  let returned = 0

  /** On a busy server other people's steps bring a marker back too early; ours tell the truth, where there are any. */
  const isDone = ({ id, stepsUpTo }: Flush & FlushRequest): boolean =>
    id <= returned && (turns.steps() === 0 || turns.steps() >= stepsUpTo + MoshiTurns.SETTLE_STEPS)

  return {
    add: (request) => {
      newest = { ...request, id: (newest?.id ?? 0) + 1, done: Deferred.makeUnsafe<void>() }
      pending.push(newest)
      return newest
    },
    newest: (upTo) => (newest !== undefined && newest.upTo >= upTo ? newest : undefined),
    read: (message) => {
      if (message.type === "Marker") returned = Math.max(returned, message.id)
      const unfinished = pending.findIndex((flush) => !isDone(flush))
      const ready = pending.splice(0, unfinished < 0 ? pending.length : unfinished)
      done.push(...ready)
      return ready.flatMap(({ completes, upTo }) => [
        ...(completes ? turns.complete("Commit") : []),
        ...mark.reach(upTo)
      ])
    },
    settle: () => {
      const completed = done
      done = []
      for (const flush of completed) Deferred.doneUnsafe(flush.done, Effect.void)
    }
  }
}
