/**
 * The peers of one voice: the one that is heard, and the one that is to take its place.
 *
 * The HPB ends a subscription the moment it offers a new one for the same publisher, so a new peer is never doubted: the old one only
 * bridges the time until the new one is connected.
 */
import { Clock, Effect, type Fiber, Queue } from "effect"
import type { IceServer } from "../domain/Call.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { PacketListener, Peer, PeerConnection, PeerError, PeerState } from "../services/PeerConnection.ts"
import type { Candidate, SignalingSession } from "../services/Signaling.ts"
import { expiryOf } from "./NextcloudIceServers.ts"
import type { Health } from "./SubscriptionWatchdog.ts"

export interface SubscribedVoiceOptions {
  readonly key: VoiceKey
  readonly peers: PeerConnection["Service"]
  readonly iceServers: Effect.Effect<ReadonlyArray<IceServer>>
  readonly now: () => number
  /** Runs a peer for as long as it is wanted. */
  readonly fork: (peer: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly onVoice: (voice: VoiceKey) => PacketListener
  readonly onVoiceEnd: (voice: VoiceKey) => void
  /** A peer is connected, and now heard. */
  readonly onConnected: () => void
  readonly onOpened: () => void
  /** A candidate or an offer came too early or too often to be kept. */
  readonly onDropped: () => void
}

export interface SubscribedVoice {
  /** A new subscription of this session of ours, or, with a `sid` which is known, a renegotiation (`false`). */
  readonly offered: (session: SignalingSession, sid: string | undefined, sdp: string) => Effect.Effect<boolean>
  readonly candidateFound: (sid: string | undefined, candidate: Candidate) => void
  /** The HPB has given this subscription up before it was connected. */
  readonly refused: (sid: string | undefined) => void
  /** Closes a peer that is not connected yet; whether there was one. */
  readonly giveUp: () => boolean
  /** To be called now and then: the old peer does not wait for ever for the new one. */
  readonly tick: (nowMs: number) => void
  readonly health: (nowMs: number) => Health
  /** The peer's relay may soon refuse its credentials: it is to be replaced, in a pause of speech while there is time. */
  readonly isWorn: (nowMs: number, isSpeaking: () => boolean) => boolean
  /** Whether a peer is connected, so that everything said is heard. */
  readonly isConnected: () => boolean
  readonly peerCount: () => number
  /** RTP packets handed on so far, and those that were looked at. */
  readonly packets: () => number
  /** All that has come is heard: the voice is about to be over. */
  readonly catchUp: () => void
  /** Closes all peers; the voice is over. */
  readonly end: () => void
}

/** After a new offer; by then its peer is connected, or the network will not let it. */
const swapMs = 10_000
/** After the answer; ICE and DTLS take 0.2 s where they can succeed at all. */
const connectMs = 15_000
/** Candidates of an offer that is on its way: Janus has a handful. */
const earlyCandidates = 32
const earlyMs = 10_000
/** A slow Nextcloud must not keep us from hearing: most peers need none of its servers. */
const iceServersTimeout = "3 seconds"
const mostPeers = 2
/**
 * A relay that checks credentials again does so when werift renews the allocation, every 500 s; refused, it lasts another 100 s. In that
 * order: how long before the credentials end a pause is looked for; how old a peer is at least; how old at most when they have ended.
 */
const renewEarlyMs = 600_000
const renewAfterMs = 300_000
const renewByMs = 560_000

interface Subscription {
  readonly session: SignalingSession
  readonly sid: string | undefined
  readonly offeredAtMs: number
  readonly furtherOffers: Queue.Queue<string>
  /** Before the peer can take them. */
  readonly early: Array<Candidate>
  fiber: Fiber.Fiber<void> | undefined
  peer: Peer | undefined
  answeredAtMs: number | undefined
  state: PeerState
  /** When the credentials of its relay end. */
  expiresAtMs: number
}

export const make = (options: SubscribedVoiceOptions): SubscribedVoice => {
  const { key, now } = options
  /** Oldest first, at most two. */
  let subscriptions: ReadonlyArray<Subscription> = []
  let heard: Subscription | undefined
  let sink: PacketListener | undefined
  let packets = 0
  /** Candidates which came before their offer, oldest first. */
  let early: ReadonlyArray<{
    readonly sid: string | undefined
    readonly candidate: Candidate
    readonly atMs: number
  }> = []

  const drop = (one: Subscription) => {
    if (heard === one) {
      one.peer?.catchUp?.()
      heard = undefined
    }
    one.state = "closed"
    subscriptions = subscriptions.filter((other) => other !== one)
    one.fiber?.interruptUnsafe()
  }

  const take = (one: Subscription, state: PeerState) => {
    if (one.state === "closed") return
    if (state === "closed") return drop(one)
    one.state = state
    if (state !== "connected") return
    // In what was passed over a word may have begun.
    heard?.peer?.wake?.()
    for (const older of subscriptions.slice(0, subscriptions.indexOf(one))) drop(older)
    heard = one
    sink ??= options.onVoice(key)
    options.onConnected()
  }

  const give = (one: Subscription, candidate: Candidate) => {
    if (one.peer !== undefined) one.peer.addCandidate(candidate)
    else if (one.early.length < earlyCandidates) one.early.push(candidate)
    else options.onDropped()
  }

  const carry = Effect.fnUntraced(function* (one: Subscription, sdp: string) {
    const { session } = one
    const iceServers = yield* options.iceServers.pipe(
      Effect.timeoutOrElse({
        duration: iceServersTimeout,
        orElse: () => Effect.succeed<ReadonlyArray<IceServer>>([])
      })
    )
    one.expiresAtMs = now() + expiryOf(iceServers) - (yield* Clock.currentTimeMillis)
    /** The HPB knows nothing of a subscription's candidates before its answer. */
    const ownCandidates: Array<Candidate> = []
    const peer = yield* options.peers.open({
      sdp,
      iceServers,
      onPacket: (packet) => {
        if (heard !== one) return
        packets++
        sink?.onPacket(packet)
      },
      silence: {
        passage: (audioLevel, payloadBytes, atMs) =>
          (heard === one ? sink?.silence?.passage(audioLevel, payloadBytes, atMs) : undefined) ?? "open",
        isSilent: (packet) => {
          packets++
          return heard !== one || (sink?.silence?.isSilent(packet) ?? true)
        },
        mayWait: () => (heard === one ? sink?.silence?.mayWait?.() : undefined)
      },
      onState: (state) => take(one, state),
      onCandidate: (candidate) => {
        if (one.answeredAtMs === undefined) ownCandidates.push(candidate)
        else session.sendCandidate(key, one.sid, candidate)
      }
    })
    options.onOpened()
    session.answer(key, one.sid, peer.answer)
    one.peer = peer
    one.answeredAtMs = now()
    for (const candidate of ownCandidates) session.sendCandidate(key, one.sid, candidate)
    for (const candidate of one.early.splice(0)) peer.addCandidate(candidate)
    while (true) {
      const further = yield* Queue.take(one.furtherOffers)
      session.answer(key, one.sid, yield* peer.renegotiate(further))
    }
  }, Effect.scoped)

  const run = (one: Subscription, sdp: string): Effect.Effect<void> =>
    carry(one, sdp).pipe(
      Effect.catch((error: PeerError) => Effect.logInfo("a publisher's offer was not answered", error.message)),
      Effect.ensuring(Effect.sync(() => drop(one)))
    )

  const subscribe = Effect.fnUntraced(function* (session: SignalingSession, sid: string | undefined, sdp: string) {
    const nowMs = now()
    const one: Subscription = {
      session,
      sid,
      offeredAtMs: nowMs,
      // Capacity 4, sliding: the newest offer describes everything. Drops are counted where it is offered to.
      furtherOffers: yield* Queue.sliding<string>(4),
      early: early.filter((each) => each.sid === sid && nowMs - each.atMs < earlyMs).map((each) => each.candidate),
      fiber: undefined,
      peer: undefined,
      answeredAtMs: undefined,
      state: "connecting",
      expiresAtMs: Number.POSITIVE_INFINITY
    }
    early = early.filter((each) => each.sid !== sid)
    for (const oldest of subscriptions.slice(0, Math.max(0, subscriptions.length + 1 - mostPeers))) drop(oldest)
    subscriptions = [...subscriptions, one]
    one.fiber = options.fork(run(one, sdp))
  })

  return {
    offered: (session, sid, sdp) => {
      const known = sid === undefined ? undefined : subscriptions.find((one) => one.sid === sid)
      if (known === undefined) return Effect.as(subscribe(session, sid, sdp), true)
      return Effect.sync(() => {
        if (Queue.isFullUnsafe(known.furtherOffers)) options.onDropped()
        Queue.offerUnsafe(known.furtherOffers, sdp)
        return false
      })
    },
    candidateFound: (sid, candidate) => {
      const one = subscriptions.findLast((subscription) => subscription.sid === sid)
      if (one !== undefined) give(one, candidate)
      // Without a sid (HPB 0.4.1) nobody knows whether it belongs to this offer or the next; one too many does no harm.
      if (one !== undefined && sid !== undefined) return
      const nowMs = now()
      const fresh = early.filter((each) => nowMs - each.atMs < earlyMs)
      if (fresh.length >= earlyCandidates) options.onDropped()
      early = [...fresh, { sid, candidate, atMs: nowMs }].slice(-earlyCandidates)
    },
    refused: (sid) => {
      const one = subscriptions.findLast((subscription) => subscription.sid === sid)
      if (one?.state === "connecting") drop(one)
    },
    giveUp: () => {
      const newest = subscriptions.at(-1)
      if (newest?.state !== "connecting") return false
      drop(newest)
      return true
    },
    tick: (nowMs) => {
      const newest = subscriptions.at(-1)
      if (newest === undefined || nowMs - newest.offeredAtMs < swapMs) return
      for (const older of subscriptions.slice(0, -1)) drop(older)
    },
    health: (nowMs) => {
      const newest = subscriptions.at(-1)
      if (newest === undefined) return "broken"
      if (newest.state === "connected") return "connected"
      const isLate = newest.answeredAtMs !== undefined && nowMs - newest.answeredAtMs >= connectMs
      return isLate ? "broken" : "settingUp"
    },
    isWorn: (nowMs, isSpeaking) => {
      const newest = subscriptions.at(-1)
      if (newest?.state !== "connected") return false
      const { expiresAtMs, offeredAtMs, peer } = newest
      if (nowMs < Math.max(expiresAtMs - renewEarlyMs, offeredAtMs + renewAfterMs)) return false
      if (peer?.isRelayed() !== true) return false
      return nowMs >= Math.max(expiresAtMs, offeredAtMs + renewByMs) || !isSpeaking()
    },
    isConnected: () => heard !== undefined,
    peerCount: () => subscriptions.length,
    packets: () => packets,
    catchUp: () => heard?.peer?.catchUp?.(),
    end: () => {
      for (const one of subscriptions) drop(one)
      if (sink !== undefined) options.onVoiceEnd(key)
      sink = undefined
    }
  }
}
