/**
 * Keeps every speaker of a call heard: who is subscribed to, when, and again when it falls silent.
 *
 * Nothing here waits for a network: peers are set up in fibers of their own, one loop per call looks after all of them.
 */
import { Effect, FiberSet, Schedule, type Scope } from "effect"
import type { IceServer } from "../domain/Call.ts"
import { humansInCall, publishers, type Roster } from "../domain/Roster.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import { PeerConnection, type RtpPacket } from "../services/PeerConnection.ts"
import type { SignalingEvent, SignalingSession } from "../services/Signaling.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as SubscribedVoice from "./SubscribedVoice.ts"
import * as SubscriptionWatchdog from "./SubscriptionWatchdog.ts"

export interface SubscriptionsOptions {
  readonly session: SignalingSession
  /** Asked before each peer: credentials expire. */
  readonly iceServers: Effect.Effect<ReadonlyArray<IceServer>>
  /** Whether the system audio of shared screens is heard too. */
  readonly screenShares: boolean
  /** Voices beyond are not heard, and counted; asked whenever somebody new is to be heard. */
  readonly maxVoices: () => number
  /** A voice is heard from now on; packets go to `onPacket`, in order of arrival and only from one peer at a time. */
  readonly onVoice: (voice: VoiceKey) => { readonly onPacket: (packet: RtpPacket) => void }
  /** The publisher is gone for good. */
  readonly onVoiceEnd: (voice: VoiceKey) => void
  /** Whether speech is heard now: a peer that must be replaced some time is replaced in a pause. */
  readonly isSpeaking: (voice: VoiceKey) => boolean
}

/** How soon a dead voice is noticed, besides the watchdog's patience. */
const reviewEvery = "250 millis"
/** Looks so far apart mean that this process stood still. */
const stoodStillMs = 1_000

/** Plain numbers since the call began. */
export interface SubscriptionCounters {
  /** Offers asked for, and how many of them because nothing was heard. */
  requests: number
  repeatedRequests: number
  /** New subscriptions, and further offers for one that is known. */
  offers: number
  renegotiations: number
  /** Voices refused because there were enough already. */
  refused: number
}

export interface Subscriptions {
  /** Takes the session's events, in their order; returns at once. */
  readonly handle: (event: SignalingEvent) => Effect.Effect<void>
  /** `false`: every peer is closed when it returns, and nothing is asked for. `true`: everybody is subscribed to again. At first `false`. */
  readonly setHearing: (on: boolean) => Effect.Effect<void>
  /** Voices with a connected peer. */
  readonly connected: () => number
  readonly heard: (voice: VoiceKey) => boolean
  readonly counters: Readonly<SubscriptionCounters>
}

/** Subscriptions of one call; every peer is closed with the scope. */
export const make = Effect.fnUntraced(function* (
  options: SubscriptionsOptions
): Effect.fn.Return<Subscriptions, never, PeerConnection | Scope.Scope> {
  const { session } = options
  const peers = yield* PeerConnection
  const now = yield* monotonicMs
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)()
  const opened = yield* Metrics.countsOf(Metrics.peersOpened, {})
  const overLimit = yield* Metrics.countsOf(Metrics.drops, { reason: "speaker_limit" })
  const dropped = yield* Metrics.countsOf(Metrics.drops, { reason: "peer_signaling" })
  const counters: SubscriptionCounters = { requests: 0, repeatedRequests: 0, offers: 0, renegotiations: 0, refused: 0 }

  const voices = new Map<string, WantedVoice>()
  /** Whom there was no room for. */
  let refused: ReadonlySet<string> = new Set()
  let roster: Roster = session.roster()
  let isHearing = false
  let reviewedAtMs = now()
  /** Between `Dropped` and `Resumed` or `Joined` nobody can be asked. */
  let canAsk = session.state()._tag === "Joined"

  const add = (key: VoiceKey) => {
    const watchdog = SubscriptionWatchdog.make(
      key.roomType === "screen" ? SubscriptionWatchdog.screen : SubscriptionWatchdog.microphone
    )
    const voice = SubscribedVoice.make({
      key,
      session,
      peers,
      iceServers: options.iceServers,
      now,
      fork,
      onVoice: options.onVoice,
      onVoiceEnd: options.onVoiceEnd,
      onConnected: () => watchdog.connected(now()),
      onOpened: opened,
      onDropped: dropped
    })
    voices.set(voiceId(key), { key, voice, watchdog, packets: 0, isNew: true })
  }

  const endWhere = (isOver: (id: string) => boolean) => {
    for (const [id, { voice }] of voices) {
      if (!isOver(id)) continue
      voices.delete(id)
      voice.end()
    }
  }

  /** A screen that nobody shares takes no place. */
  const placesTaken = () =>
    [...voices.values()].filter(({ key, voice }) => key.roomType === "video" || voice.peerCount() > 0).length

  /** Voices become those of the roster. */
  const follow = Effect.sync(() => {
    if (!isHearing) return
    const wanted = new Map(wantedIn(roster, options.screenShares).map((key) => [voiceId(key), key]))
    endWhere((id) => !wanted.has(id))
    const before = refused
    const without = new Set<string>()
    for (const [id, key] of wanted) {
      if (voices.has(id)) continue
      if (key.roomType === "video" && placesTaken() >= options.maxVoices()) without.add(id)
      else add(key)
    }
    refused = without
    for (const id of without) if (!before.has(id)) refuse()
  })

  const refuse = () => {
    counters.refused++
    overLimit()
  }

  const isMuted = ({ publisher, roomType }: VoiceKey) =>
    roomType === "video" && roster.participants.get(publisher)?.muted === true

  /** Looks after every voice: what was heard, and who must be asked. */
  const review = Effect.sync(() => {
    const nowMs = now()
    const awayMs = nowMs - reviewedAtMs
    reviewedAtMs = nowMs
    for (const one of voices.values()) {
      const { key, voice, watchdog } = one
      if (awayMs >= stoodStillMs) watchdog.stoodStill(awayMs)
      voice.tick(nowMs)
      if (voice.packets() !== one.packets) {
        one.packets = voice.packets()
        watchdog.heard(nowMs)
      }
      const isWorn = voice.isWorn(nowMs, () => options.isSpeaking(key))
      if (!canAsk || !watchdog.isDue(nowMs, { health: voice.health(nowMs), isMuted: isMuted(key), isWorn })) continue
      counters.requests++
      if (!one.isNew) counters.repeatedRequests++
      one.isNew = false
      watchdog.asked(nowMs)
      session.requestOffer(key)
    }
  })

  const offered = Effect.fnUntraced(function* (key: VoiceKey, sid: string | undefined, sdp: string) {
    const one = voices.get(voiceId(key))
    if (one === undefined) return
    if (key.roomType === "screen" && one.voice.peerCount() === 0 && placesTaken() >= options.maxVoices()) {
      one.watchdog.failed(now())
      return refuse()
    }
    const isNew = yield* one.voice.offered(sid, sdp)
    if (!isNew) {
      counters.renegotiations++
      return
    }
    counters.offers++
    one.watchdog.offered(now())
  })

  const failed = (key: VoiceKey, code: string) => {
    const one = voices.get(voiceId(key))
    if (one === undefined) return
    one.watchdog.failed(now())
    // It has fallen silent and the HPB knows of none: nobody shares it any more.
    if (key.roomType === "screen" && code === "client_not_found") one.voice.end()
  }

  /** Without this the set-up would be waited for until it is certainly late. */
  const answerRefused = (key: VoiceKey, sid: string | undefined) => {
    const one = voices.get(voiceId(key))
    one?.voice.refused(sid)
    one?.watchdog.failed(now())
  }

  const startAnew = (again: boolean) => {
    // All session ids are void, and what Janus had for us is gone.
    if (again) endWhere(() => true)
    canAsk = true
    roster = session.roster()
  }

  const handle = (event: SignalingEvent): Effect.Effect<void> => {
    switch (event._tag) {
      case "Joined":
        return Effect.sync(() => startAnew(event.again)).pipe(Effect.andThen(follow), Effect.andThen(review))
      case "Dropped":
        return Effect.sync(() => {
          canAsk = false
        })
      case "Resumed":
        return Effect.sync(() => {
          canAsk = true
        }).pipe(Effect.andThen(review))
      case "RosterChanged":
        return Effect.sync(() => {
          roster = event.roster
        }).pipe(Effect.andThen(follow), Effect.andThen(review))
      case "Offered":
        return offered(event.voice, event.sid, event.sdp)
      case "CandidateFound":
        return Effect.sync(() => voices.get(voiceId(event.voice))?.voice.candidateFound(event.sid, event.candidate))
      case "RequestFailed":
        return Effect.sync(() => failed(event.voice, event.code))
      case "AnswerRefused":
        return Effect.sync(() => answerRefused(event.voice, event.sid))
      case "MuteChanged":
        return Effect.sync(() => {
          const microphone = voices.get(voiceId({ publisher: event.speaker, roomType: "video" }))
          if (!event.muted) microphone?.watchdog.unmuted(now())
        })
      case "CallEnded":
        return Effect.sync(() => endWhere(() => true))
    }
  }

  yield* follow.pipe(
    Effect.when(Effect.sync(() => refused.size > 0)),
    Effect.andThen(review),
    Effect.repeat(Schedule.spaced(reviewEvery)),
    Effect.forkScoped
  )

  return {
    handle,
    setHearing: Effect.fnUntraced(function* (on) {
      isHearing = on
      if (on) return yield* Effect.andThen(follow, review)
      endWhere(() => true)
      yield* FiberSet.clear(fibers)
    }),
    connected: () => [...voices.values()].filter(({ voice }) => voice.isConnected()).length,
    heard: (key) => voices.get(voiceId(key))?.voice.isConnected() ?? false,
    counters
  }
})

interface WantedVoice {
  readonly key: VoiceKey
  readonly voice: SubscribedVoice.SubscribedVoice
  readonly watchdog: SubscriptionWatchdog.SubscriptionWatchdog
  /** As of the last look. */
  packets: number
  /** Not asked for yet. */
  isNew: boolean
}

const wantedIn = (roster: Roster, screenShares: boolean): Array<VoiceKey> => [
  ...publishers(roster).map(({ session }): VoiceKey => ({ publisher: session, roomType: "video" })),
  ...(screenShares ? humansInCall(roster) : []).map(
    ({ session }): VoiceKey => ({ publisher: session, roomType: "screen" })
  )
]
