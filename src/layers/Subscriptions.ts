/**
 * Subscriptions: keeps everybody heard who should be. Nothing tells a subscriber that its stream died (the HPB sends no message when a
 * publisher, Janus or the subscription goes), so a watchdog asks again when somebody should be heard and is not, without hammering those
 * who are merely silent.
 */
import { Effect, FiberSet, Metric, Schedule, type Scope } from "effect"
import type { IceServer } from "../domain/Call.ts"
import { emptyRoster, type Participant, publishers, type Roster } from "../domain/Roster.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import { PeerConnection, type RtpPacket } from "../services/PeerConnection.ts"
import type { SignalingEvent, SignalingSession } from "../services/Signaling.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as Subscription from "./Subscription.ts"
import * as Watchdog from "./SubscriptionWatchdog.ts"

export interface SubscriptionsOptions {
  readonly session: SignalingSession
  readonly iceServers: Effect.Effect<ReadonlyArray<IceServer>>
  /** Whether the system audio of shared screens is heard too. */
  readonly screenShares: boolean
  /** Most voices at a time; further ones are counted and not heard. */
  readonly maxVoices: number
  /** Somebody is to be heard: where packets go. Called before the first packet. */
  readonly onVoice: (voice: VoiceKey) => { readonly onPacket: (packet: RtpPacket) => void }
  readonly onVoiceEnd: (voice: VoiceKey) => void
}

export interface Subscriptions {
  /** To be told of every event of the session, in order. */
  readonly handle: (event: SignalingEvent) => Effect.Effect<void>
  /** `false`: all peers close at once and nobody is asked for. `true`: everybody is subscribed. */
  readonly setHearing: (hearing: boolean) => Effect.Effect<void>
  /** Voices with a connected peer. */
  readonly connected: () => number
}

/** The subscriptions of one call; all peers close with the scope. */
export const make = Effect.fnUntraced(function* (
  options: SubscriptionsOptions
): Effect.fn.Return<Subscriptions, never, PeerConnection | Scope.Scope> {
  const connections = yield* PeerConnection
  const now = yield* monotonicMs
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const refused = yield* Metrics.countsOf(Metrics.drops, { reason: "speaker_limit" })
  const listened = new Map<string, Listened>()
  const { session } = options
  let roster: Roster = emptyRoster
  let isHearing = false
  let isOnline = false

  const listen = (voice: VoiceKey) => {
    if (listened.size >= options.maxVoices) return refused()
    const { onPacket } = options.onVoice(voice)
    const subscription = Subscription.make({
      voice,
      session,
      connections,
      iceServers: options.iceServers,
      onPacket,
      fork: (effect) => fork(effect),
      now
    })
    listened.set(voiceId(voice), { subscription, watchdog: Watchdog.make() })
  }
  const endListening = (key: string, { subscription }: Listened) => {
    subscription.close()
    listened.delete(key)
    options.onVoiceEnd(subscription.voice)
  }
  const endAll = () => {
    for (const [key, one] of listened) endListening(key, one)
  }

  /** Makes the set of voices equal to those who should be heard. */
  const reconcile = () => {
    const wanted = new Map(
      isHearing ? voicesOf(roster, options.screenShares).map((voice) => [voiceId(voice), voice]) : []
    )
    for (const [key, one] of listened) if (!wanted.has(key)) endListening(key, one)
    for (const [key, voice] of wanted) if (!listened.has(key)) listen(voice)
  }

  /** Asks for whom it is time; only while somebody could answer. */
  const look = Effect.suspend(() => {
    const asked = [...listened.values()].flatMap(({ subscription, watchdog }) => {
      subscription.tidy()
      const cause = isOnline ? watchdog.look(healthOf(subscription, roster), now()) : undefined
      if (cause === undefined) return []
      session.requestOffer(subscription.voice)
      return [cause]
    })
    return Effect.forEach(asked, (cause) => Metric.update(Metric.withAttributes(Metrics.offerRequests, { cause }), 1), {
      discard: true
    })
  })
  yield* look.pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)

  const take = (event: SignalingEvent) => {
    switch (event._tag) {
      case "Joined":
        isOnline = true
        // New ids for us, and perhaps for everybody: no peer survives it.
        if (event.again) endAll()
        return
      case "Dropped":
        isOnline = false
        return
      case "Resumed":
        isOnline = true
        return
      case "RosterChanged":
        roster = event.roster
        return reconcile()
      case "Offered": {
        const one = listened.get(voiceId(event.voice))
        one?.watchdog.answered()
        one?.subscription.offered(event.sid, event.sdp)
        return
      }
      case "CandidateFound":
        return listened.get(voiceId(event.voice))?.subscription.candidate(event.sid, event.candidate)
      case "RequestFailed":
        return listened.get(voiceId(event.voice))?.watchdog.failed(now())
      case "CallEnded":
        return endAll()
      case "MuteChanged":
        return
    }
  }

  return {
    handle: (event) =>
      Effect.andThen(
        Effect.sync(() => take(event)),
        look
      ),
    setHearing: (hearing) =>
      Effect.sync(() => {
        isHearing = hearing
        reconcile()
      }).pipe(Effect.andThen(look)),
    connected: () => [...listened.values()].filter(({ subscription }) => subscription.isConnected()).length
  }
})

interface Listened {
  readonly subscription: Subscription.Subscription
  readonly watchdog: Watchdog.Watchdog
}

const voicesOf = (roster: Roster, screenShares: boolean): Array<VoiceKey> => {
  const publishing = publishers(roster)
  const keyOf = (roomType: VoiceKey["roomType"]) => (one: Participant) => ({ publisher: one.session, roomType })
  return [...publishing.map(keyOf("video")), ...(screenShares ? publishing.map(keyOf("screen")) : [])]
}

const healthOf = (subscription: Subscription.Subscription, roster: Roster): Watchdog.Health => ({
  isDead: subscription.isDead(),
  isConnected: subscription.isConnected(),
  packets: subscription.packets(),
  offeredAtMs: subscription.offeredAtMs(),
  isMuted: roster.participants.get(subscription.voice.publisher)?.muted === true
})
