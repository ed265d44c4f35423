/**
 * A PeerConnection under a test's control: what was offered to it, and when its peers connect, hear something, and die.
 */
import { Deferred, Effect, Layer } from "effect"
import { PeerConnection, type PeerError, type PeerOptions, type PeerState } from "../../src/services/PeerConnection.ts"
import type { Candidate } from "../../src/services/Signaling.ts"

export interface ScriptedPeer {
  /** The offers it was given, the first one included. */
  readonly offers: Array<string>
  readonly candidates: Array<string>
  readonly iceServers: PeerOptions["iceServers"]
  isClosed: boolean
  isRelayed: boolean
  /** Nothing that has come waits any more. */
  isCaughtUp: boolean
  readonly connect: () => void
  readonly die: () => void
  /** A packet with this sequence number. */
  readonly send: (sequenceNumber: number) => void
  /** One that has come and waits for company. */
  readonly hold: (sequenceNumber: number) => void
  readonly findCandidate: (candidate: Candidate) => void
}

export interface ScriptedPeers {
  /** Every peer that was opened, oldest first. */
  readonly all: ReadonlyArray<ScriptedPeer>
  readonly open: () => ReadonlyArray<ScriptedPeer>
  /** Offers are refused from now on. */
  readonly refuse: (error: PeerError | undefined) => void
  /** Offers are answered only when this returns. */
  readonly hold: () => () => void
  readonly layer: Layer.Layer<PeerConnection>
}

export const make = (): ScriptedPeers => {
  const all: Array<ScriptedPeer> = []
  let refusal: PeerError | undefined
  let held: Deferred.Deferred<void> | undefined

  const open = Effect.fnUntraced(function* (options: PeerOptions) {
    let state: PeerState = "connecting"
    const become = (next: PeerState) => {
      state = next
      options.onState(next)
    }
    const offers = [options.sdp]
    const candidates: Array<string> = []
    const waiting: Array<number> = []
    const peer: ScriptedPeer = {
      offers,
      candidates,
      iceServers: options.iceServers,
      isClosed: false,
      isRelayed: false,
      isCaughtUp: false,
      connect: () => become("connected"),
      die: () => become("closed"),
      send: (sequenceNumber) =>
        options.onPacket({ sequenceNumber, timestamp: sequenceNumber * 960, ssrc: 1, payload: new Uint8Array(3) }),
      hold: (sequenceNumber) => waiting.push(sequenceNumber),
      findCandidate: options.onCandidate
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => all.push(peer)),
      () =>
        Effect.sync(() => {
          peer.isClosed = true
          if (state !== "closed") become("closed")
        })
    )
    if (held !== undefined) yield* Deferred.await(held)
    if (refusal !== undefined) return yield* refusal
    return {
      answer: `answer to ${options.sdp}`,
      addCandidate: ({ candidate }: Candidate) => {
        candidates.push(candidate)
      },
      renegotiate: (sdp: string) =>
        Effect.suspend(() => {
          offers.push(sdp)
          return refusal === undefined ? Effect.succeed(`answer to ${sdp}`) : Effect.fail(refusal)
        }),
      state: () => state,
      isRelayed: () => peer.isRelayed,
      catchUp: () => {
        peer.isCaughtUp = true
        waiting.splice(0).forEach(peer.send)
      }
    }
  })

  return {
    all,
    open: () => all.filter((one) => !one.isClosed),
    refuse: (error) => {
      refusal = error
    },
    hold: () => {
      const gate = Deferred.makeUnsafe<void>()
      held = gate
      return () => {
        held = undefined
        Deferred.doneUnsafe(gate, Effect.void)
      }
    },
    layer: Layer.succeed(PeerConnection, { open })
  }
}
