/**
 * One voice's subscription: its peers, of which only the newest that works is listened to.
 */
import { Effect, type Fiber } from "effect"
import type { IceServer } from "../domain/Call.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { Peer, PeerConnection, RtpPacket } from "../services/PeerConnection.ts"
import type { Candidate, SignalingSession } from "../services/Signaling.ts"

export interface SubscriptionOptions {
  readonly voice: VoiceKey
  readonly session: SignalingSession
  readonly connections: PeerConnection["Service"]
  readonly iceServers: Effect.Effect<ReadonlyArray<IceServer>>
  readonly onPacket: (packet: RtpPacket) => void
  /** Runs a peer for as long as it is wanted. */
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly now: () => number
}

export interface Subscription {
  readonly voice: VoiceKey
  /** A new `sid` is a new peer, the same one a renegotiation. */
  readonly offered: (sid: string | undefined, sdp: string) => void
  /** In any order with its offer. */
  readonly candidate: (sid: string | undefined, candidate: Candidate) => void
  readonly isConnected: () => boolean
  /** No peer is there or coming. */
  readonly isDead: () => boolean
  /** When the newest offer came; undefined before the first. */
  readonly offeredAtMs: () => number | undefined
  /** Packets taken from the newest peer so far. */
  readonly packets: () => number
  /** Closes a peer that has had its time after a newer offer. */
  readonly tidy: () => void
  readonly close: () => void
}

interface Entry {
  readonly sid: string | undefined
  readonly offeredAtMs: number
  peer: Peer | undefined
  isConnected: boolean
  isClosed: boolean
  fiber: Fiber.Fiber<void> | undefined
  /** Candidates that came before there was a peer to take them. */
  early: Array<Candidate>
}

/** Janus has a handful of addresses; more is not Janus. */
const maxEarly = 32
/** After a new offer the old peer may still deliver; Janus detaches it at once. */
const overlapMs = 10_000

export const make = (options: SubscriptionOptions): Subscription => {
  const { connections, fork, iceServers, now, onPacket, session, voice } = options
  /** Oldest first; at most two. */
  let entries: Array<Entry> = []
  let orphans: Array<{ readonly sid: string | undefined; readonly candidate: Candidate }> = []
  let packets = 0

  const close = (entry: Entry) => {
    entry.isClosed = true
    entry.fiber?.interruptUnsafe()
    entries = entries.filter((one) => one !== entry)
  }
  const newest = (): Entry | undefined => entries.at(-1)

  /** The newest peer works: nothing is heard twice. */
  const connected = (entry: Entry) => {
    entry.isConnected = true
    if (entry === newest()) for (const older of entries.slice(0, -1)) close(older)
  }
  const take = (entry: Entry, packet: RtpPacket) => {
    if (entry.isClosed) return
    if (!entry.isConnected) connected(entry)
    packets++
    onPacket(packet)
  }

  const run = (entry: Entry, sdp: string): Effect.Effect<void> =>
    Effect.gen(function* () {
      const peer = yield* connections.open({
        sdp,
        iceServers: yield* iceServers,
        onPacket: (packet) => take(entry, packet),
        onState: (state) => {
          if (state === "connected") connected(entry)
          if (state === "closed") close(entry)
        },
        onCandidate: (candidate) => session.sendCandidate(voice, entry.sid, candidate)
      })
      entry.peer = peer
      session.answer(voice, entry.sid, peer.answer)
      for (const candidate of entry.early) peer.addCandidate(candidate)
      entry.early = []
      return yield* Effect.never
    }).pipe(
      Effect.scoped,
      Effect.catchTag("PeerError", (error) =>
        Effect.logWarning("cannot hear a participant", { reason: error.message })
      ),
      Effect.ensuring(Effect.sync(() => close(entry)))
    )

  const renegotiate = (entry: Entry, sdp: string) => {
    const { peer } = entry
    if (peer === undefined) return
    fork(
      peer.renegotiate(sdp).pipe(
        Effect.andThen((answer) => Effect.sync(() => session.answer(voice, entry.sid, answer))),
        Effect.catchTag("PeerError", () => Effect.sync(() => close(entry)))
      )
    )
  }

  return {
    voice,
    offered: (sid, sdp) => {
      const current = newest()
      if (current !== undefined && sid !== undefined && current.sid === sid) return renegotiate(current, sdp)
      if (entries.length === 2 && entries[0] !== undefined) close(entries[0])
      const early = orphans.filter((one) => one.sid === sid).map((one) => one.candidate)
      orphans = []
      const entry: Entry = {
        sid,
        offeredAtMs: now(),
        peer: undefined,
        isConnected: false,
        isClosed: false,
        fiber: undefined,
        early
      }
      entries = [...entries, entry]
      entry.fiber = fork(run(entry, sdp))
    },
    candidate: (sid, candidate) => {
      const entry = entries.find((one) => one.sid === sid)
      if (entry?.peer !== undefined) return entry.peer.addCandidate(candidate)
      if (entry !== undefined && entry.early.length < maxEarly) entry.early.push(candidate)
      if (entry === undefined) orphans = [...orphans.slice(1 - maxEarly), { sid, candidate }]
    },
    isConnected: () => entries.some((entry) => entry.isConnected),
    isDead: () => entries.length === 0,
    offeredAtMs: () => newest()?.offeredAtMs,
    packets: () => packets,
    tidy: () => {
      const since = newest()?.offeredAtMs
      if (since !== undefined && now() - since >= overlapMs) for (const older of entries.slice(0, -1)) close(older)
    },
    close: () => {
      for (const entry of entries) close(entry)
    }
  }
}
