/**
 * What of the captions of a call is proven to have been read by the HPB.
 *
 * A confirmation (`SignalingSession.confirm`) proves everything sent before it. Where the socket went first, the HPB may still know how far
 * it had read (`SignalingSession.recall`); what is not proven then is taken for lost. Plain and synchronous; time is an argument.
 */
import type { SignalingSession } from "../services/Signaling.ts"

export interface CaptionProofOptions {
  readonly session: SignalingSession
  /** Everything sent up to this number has been read. */
  readonly onProven: (upTo: number) => void
  /** There is a socket again: what was sent on the former one and is not proven is taken for lost. */
  readonly onLost: (nowMs: number) => void
}

export interface CaptionProof {
  /** Counts a message that was handed to the socket. */
  readonly count: () => void
  readonly sent: () => number
  /** Everything up to here is proven, or known to be lost. */
  readonly settled: () => number
  /** The socket did not take a message. */
  readonly lose: () => void
  readonly isLost: () => boolean
  /** Whether there is a point in sending now. */
  readonly canSend: () => boolean
  /** To be called before `canSend` is believed. */
  readonly look: (nowMs: number) => void
  /** Something was sent that is not proven: run the confirmation. */
  readonly needsProof: () => boolean
  /** A confirmation begins; the result takes its verdict. */
  readonly prove: () => (isProven: boolean, nowMs: number) => void
  /** The socket is back, and it is being found out what was read: nothing can be sent until `back`. */
  readonly doubt: () => void
  /** The socket is back; `upTo` of the former one has been read, as far as is known. */
  readonly back: (nowMs: number, upTo?: number) => void
}

/** Without news of the session, how long it must look joined before we believe that the socket never went. */
const calmMs = 1_000

export const make = ({ onLost, onProven, session }: CaptionProofOptions): CaptionProof => {
  let sent = 0
  let settled = 0
  let isLost = false
  let isProving = false
  let isDoubting = false
  /** Grows with every new socket: a confirmation that began on a former one says nothing any more. */
  let epoch = 0
  let isBackWhileProving = false
  let calmSince: number | undefined

  const settle = (upTo: number) => {
    settled = Math.max(settled, upTo)
    onProven(settled)
  }
  const begin = (nowMs: number) => {
    isLost = false
    epoch++
    settled = sent
    onLost(nowMs)
  }

  return {
    count: () => {
      sent++
    },
    sent: () => sent,
    settled: () => settled,
    lose: () => {
      isLost = true
    },
    isLost: () => isLost,
    canSend: () => !isLost && !isBackWhileProving && !isDoubting,
    look: (nowMs) => {
      if (isLost && !isDoubting && session.state()._tag === "Joined") {
        calmSince ??= nowMs
        if (nowMs - calmSince >= calmMs) isLost = false
      } else calmSince = undefined
    },
    needsProof: () => !isLost && !isProving && !isDoubting && settled < sent,
    prove: () => {
      const upTo = sent
      const begunIn = epoch
      isProving = true
      return (isProven, nowMs) => {
        isProving = false
        if (begunIn !== epoch) return
        if (isProven) settle(upTo)
        else if (isBackWhileProving) begin(nowMs)
        else isLost = true
        isBackWhileProving = false
      }
    },
    doubt: () => {
      isDoubting = true
    },
    back: (nowMs, upTo = 0) => {
      isDoubting = false
      if (upTo > settled) settle(Math.min(upTo, sent))
      if (isLost) begin(nowMs)
      else isBackWhileProving = isProving
    }
  }
}
