/**
 * Keeps every speaker of a call heard: who is subscribed to, when, and again when it falls silent.
 *
 * Nothing here waits for a network: peers are set up in fibers of their own, one loop per call looks after all of them.
 */
import { Effect, FiberSet, Schedule, type Scope } from "effect"
import type { IceServer } from "../domain/Call.ts"
import { emptyRoster, humansInCall, publishers, type Roster } from "../domain/Roster.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import { type PacketListener, PeerConnection } from "../services/PeerConnection.ts"
import { Signaling, type SignalingEvent, type SignalingSession } from "../services/Signaling.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as WantedVoice from "./WantedVoice.ts"

export interface SubscriptionsOptions {
  readonly session: SignalingSession
  /** Asked before each peer: credentials expire. */
  readonly iceServers: Effect.Effect<ReadonlyArray<IceServer>>
  /** Whether the system audio of shared screens is heard too. */
  readonly screenShares: boolean
  /** Whether a voice is heard here, where several hear the call; all of them where it is absent. */
  readonly isOurs?: (voice: VoiceKey) => boolean
  /** Voices beyond are not heard, and counted; asked whenever somebody new is to be heard. */
  readonly maxVoices: () => number
  /** A voice is heard from now on: by whom. Packets come from one peer at a time. */
  readonly onVoice: (voice: VoiceKey) => PacketListener
  /** The publisher is gone for good. */
  readonly onVoiceEnd: (voice: VoiceKey) => void
  /** Whether speech is heard now: a peer that must be replaced some time is replaced in a pause. */
  readonly isSpeaking: (voice: VoiceKey) => boolean
}

/** How soon a dead voice is noticed, besides the watchdog's patience. */
const reviewEvery = "250 millis"
/** Looks so far apart mean that this process stood still. */
const stoodStillMs = 1_000

export interface Subscriptions {
  /** Takes the session's events, in their order; returns at once. */
  readonly handle: (event: SignalingEvent) => Effect.Effect<void>
  /** `false`: every peer is closed when it returns, and nothing is asked for. `true`: everybody is subscribed to again. At first `false`. */
  readonly setHearing: (on: boolean) => Effect.Effect<void>
  /** Others are ours than before. */
  readonly lookAgain: Effect.Effect<void>
  /** All that has come of everybody is heard: the voices are about to end. */
  readonly catchUp: Effect.Effect<void>
  /** Voices with a connected peer. */
  readonly connected: () => number
  readonly heard: (voice: VoiceKey) => boolean
  readonly counters: Readonly<WantedVoice.SubscriptionCounters>
}

/** Subscriptions of one call; every peer is closed with the scope. */
export const make = Effect.fnUntraced(function* (
  options: SubscriptionsOptions
): Effect.fn.Return<Subscriptions, never, PeerConnection | Signaling | Scope.Scope> {
  const { session } = options
  const peers = yield* PeerConnection
  const signaling = yield* Signaling
  const now = yield* monotonicMs
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)()
  const opened = yield* Metrics.countsOf(Metrics.peersOpened, {})
  const overLimit = yield* Metrics.countsOf(Metrics.drops, { reason: "speaker_limit" })
  const dropped = yield* Metrics.countsOf(Metrics.drops, { reason: "peer_signaling" })
  const counters: WantedVoice.SubscriptionCounters = {
    requests: 0,
    repeatedRequests: 0,
    offers: 0,
    renegotiations: 0,
    refused: 0
  }

  const voices = new Map<string, WantedVoice.WantedVoice>()
  /** Who left while our place may have been spoilt for them. */
  const spoilt = new Map<string, VoiceKey>()
  /** Whom there was no room for. */
  let refused: ReadonlySet<string> = new Set()
  /** As told, one event after the other: with what the session knows by now, whoever came lately would seem to leave and to come back. */
  let roster: Roster = emptyRoster
  let isHearing = false
  let reviewedAtMs = now()
  /** Between `Dropped` and `Resumed` or `Joined` nobody can be asked. */
  let canAsk = session.state()._tag === "Joined"

  const add = (key: VoiceKey) => {
    const voice = WantedVoice.make({
      key,
      first: session,
      canAskFirst: () => canAsk,
      join: signaling.join(session.room),
      peers,
      iceServers: options.iceServers,
      now,
      fork,
      counters,
      isMuted: () => isMuted(key),
      isSpeaking: () => options.isSpeaking(key),
      hasRoom: () => {
        const hasRoom = placesTaken() < options.maxVoices()
        if (!hasRoom) refuse()
        return hasRoom
      },
      onVoice: options.onVoice,
      onVoiceEnd: options.onVoiceEnd,
      onOpened: opened,
      onDropped: dropped,
      onSpare: review
    })
    if (spoilt.delete(voiceId(key))) voice.move()
    voices.set(voiceId(key), voice)
  }

  const endWhere = (isOver: (id: string) => boolean) => {
    for (const [id, voice] of voices) {
      if (!isOver(id)) continue
      voices.delete(id)
      if (voice.end() && roster.participants.has(voice.key.publisher)) spoilt.set(id, voice.key)
    }
  }

  /** A screen that nobody shares takes no place. */
  const placesTaken = () =>
    [...voices.values()].filter(({ key, peerCount }) => key.roomType === "video" || peerCount() > 0).length

  /** Voices become those of the roster. */
  const follow = Effect.sync(() => {
    for (const [id, { publisher }] of spoilt) if (!roster.participants.has(publisher)) spoilt.delete(id)
    if (!isHearing) return
    const all = wantedIn(roster, options.screenShares)
    const ours = options.isOurs === undefined ? all : all.filter(options.isOurs)
    const wanted = new Map(ours.map((key) => [voiceId(key), key]))
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
    for (const voice of voices.values()) voice.review(nowMs, awayMs >= stoodStillMs ? awayMs : 0)
  })

  const takeMedia = (event: WantedVoice.MediaEvent): Effect.Effect<void> => {
    const id = voiceId(event.voice)
    // It came to something after all, or there was nothing published that the HPB could have kept.
    if (event._tag === "Offered" || (event._tag === "RequestFailed" && event.code === "client_not_found"))
      spoilt.delete(id)
    if (event._tag === "Offered") for (const voice of voices.values()) voice.hopes()
    return voices.get(id)?.take(session, event) ?? Effect.void
  }

  const startAnew = ({ again, roster: found }: Extract<SignalingEvent, { readonly _tag: "Joined" }>) => {
    // All session ids are void, and what Janus had for us is gone.
    if (again) {
      endWhere(() => true)
      spoilt.clear()
    }
    canAsk = true
    roster = found
  }

  const handle = (event: SignalingEvent): Effect.Effect<void> => {
    switch (event._tag) {
      case "Joined":
        return Effect.sync(() => startAnew(event)).pipe(Effect.andThen(follow), Effect.andThen(review))
      case "Dropped":
        return Effect.sync(() => {
          canAsk = false
        })
      case "Resumed":
        return Effect.sync(() => {
          canAsk = true
          for (const voice of voices.values()) voice.resumed(session)
        }).pipe(Effect.andThen(review))
      case "RosterChanged":
        return Effect.sync(() => {
          roster = event.roster
        }).pipe(Effect.andThen(follow), Effect.andThen(review))
      case "Offered":
      case "CandidateFound":
      case "RequestFailed":
      case "AnswerRefused":
        return takeMedia(event)
      case "MuteChanged":
        return Effect.sync(() => {
          if (!event.muted) voices.get(voiceId({ publisher: event.speaker, roomType: "video" }))?.unmuted()
        })
      case "CallEnded":
      case "Outranked":
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
    lookAgain: Effect.andThen(follow, review),
    catchUp: Effect.sync(() => {
      for (const voice of voices.values()) voice.catchUp()
    }),
    connected: () => [...voices.values()].filter((voice) => voice.isConnected()).length,
    heard: (key) => voices.get(voiceId(key))?.isConnected() ?? false,
    counters
  }
})

/** Whoever has a voice in the call. */
export const wantedIn = (roster: Roster, screenShares: boolean): Array<VoiceKey> => [
  ...publishers(roster).map(({ session }): VoiceKey => ({ publisher: session, roomType: "video" })),
  ...(screenShares ? humansInCall(roster) : []).map(
    ({ session }): VoiceKey => ({ publisher: session, roomType: "screen" })
  )
]
