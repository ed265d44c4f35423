/**
 * A real peer of ours and a real publisher, introduced to each other over loopback.
 */
import { setTimeout } from "node:timers/promises"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { IceServer } from "../../src/domain/Call.ts"
import * as WeriftPeerConnection from "../../src/layers/WeriftPeerConnection.ts"
import { PeerConnection, type PeerState, type RtpPacket } from "../../src/services/PeerConnection.ts"
import type { Candidate } from "../../src/services/Signaling.ts"
import type * as WeriftPublisher from "./WeriftPublisher.ts"

export const layer = WeriftPeerConnection.layer({ hostAddresses: ["127.0.0.1"] })

/** In real time also under a test clock: sockets know no other. */
export const pause = (ms: number): Effect.Effect<void> => Effect.promise(() => setTimeout(ms))

/** Waits for something that must become true. */
export const until = Effect.fnUntraced(function* (what: string, isTrue: () => boolean, seconds = 12) {
  for (let tries = 0; tries < seconds * 50 && !isTrue(); tries++) yield* pause(20)
  assert.isTrue(isTrue(), what)
})

/** Opens a peer on an offer and writes down what it says. */
export const listen = Effect.fnUntraced(function* (sdp: string, iceServers: ReadonlyArray<IceServer> = []) {
  const connections = yield* PeerConnection
  const packets: Array<RtpPacket> = []
  const states: Array<PeerState> = []
  const candidates: Array<Candidate> = []
  const peer = yield* connections.open({
    sdp,
    iceServers,
    // The payload is the layer's only until this returns.
    onPacket: (packet) => packets.push({ ...packet, payload: Uint8Array.from(packet.payload) }),
    onState: (state) => states.push(state),
    onCandidate: (candidate) => candidates.push(candidate)
  })
  return { peer, packets, states, candidates }
})

/** The same, connected with its publisher. */
export const connect = Effect.fnUntraced(function* (
  publisher: WeriftPublisher.Publisher,
  iceServers: ReadonlyArray<IceServer> = []
) {
  const listener = yield* listen(publisher.offer, iceServers)
  yield* publisher.answer(listener.peer.answer)
  yield* until("connected", () => listener.peer.state() === "connected" && publisher.isConnected())
  return listener
})
