/**
 * A publisher who is to be heard: its peers, when it is asked for its media, and from which place in the room.
 */
import { Effect } from "effect"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { SignalingEvent, SignalingSession } from "../services/Signaling.ts"
import * as SubscribedVoice from "./SubscribedVoice.ts"
import * as SubscriptionPlace from "./SubscriptionPlace.ts"
import * as SubscriptionWatchdog from "./SubscriptionWatchdog.ts"

/** What the HPB says about the media of one publisher. */
export type MediaEvent = Extract<SignalingEvent, { readonly voice: VoiceKey }>

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

export interface WantedVoiceOptions
  extends Omit<SubscribedVoice.SubscribedVoiceOptions, "onConnected">,
    Pick<SubscriptionPlace.SubscriptionPlaceOptions, "first" | "canAskFirst" | "join"> {
  readonly isMuted: () => boolean
  readonly isSpeaking: () => boolean
  /** Asked before the first offer of a screen is answered; `false` refuses it. */
  readonly hasRoom: () => boolean
  readonly counters: SubscriptionCounters
  /** The spare place can be asked. */
  readonly onSpare: Effect.Effect<void>
}

export interface WantedVoice {
  readonly key: VoiceKey
  readonly isConnected: () => boolean
  readonly peerCount: () => number
  /** All that has come is heard. */
  readonly catchUp: () => void
  /** To be called often: notices what was heard, and asks where that is due. `awayMs`: nobody could look for so long. */
  readonly review: (nowMs: number, awayMs: number) => void
  /** Our place (`from`) has another socket: what was under way over the one before may be lost. */
  readonly resumed: (from: SignalingSession) => void
  /** What `from` was told; from a place that is not this voice's any more it is nothing. */
  readonly take: (from: SignalingSession, event: MediaEvent) => Effect.Effect<void>
  readonly unmuted: () => void
  /** Another publisher was offered: who was refused is asked again at once. */
  readonly hopes: () => void
  /** The first place can be offered nothing by this publisher: from now on a spare one is asked. */
  readonly move: () => void
  /** Closes all peers; the voice is over. `true`: the first place may be offered nothing by this publisher any more. */
  readonly end: () => boolean
}

export const make = (options: WantedVoiceOptions): WantedVoice => {
  const { counters, isMuted, isSpeaking, key, now } = options
  const watchdog = SubscriptionWatchdog.make(
    key.roomType === "screen" ? SubscriptionWatchdog.screen : SubscriptionWatchdog.microphone
  )
  const voice = SubscribedVoice.make({ ...options, onConnected: () => watchdog.connected(now()) })
  /** As of the last look. */
  let packets = 0
  let isNew = true

  const offered = Effect.fnUntraced(function* (from: SignalingSession, sid: string | undefined, sdp: string) {
    place.offered()
    if (key.roomType === "screen" && voice.peerCount() === 0 && !options.hasRoom()) return watchdog.failed(now())
    if (!(yield* voice.offered(from, sid, sdp))) {
      counters.renegotiations++
      return
    }
    counters.offers++
    watchdog.offered(now())
  })

  const failed = (code: string) => {
    watchdog.failed(now())
    place.failed(code, now())
    // It has fallen silent and the HPB knows of none: nobody shares it any more.
    if (key.roomType === "screen" && code === "client_not_found") voice.end()
  }

  /** Without this the set-up would be waited for until it is certainly late. */
  const answerRefused = (sid: string | undefined) => {
    voice.refused(sid)
    watchdog.failed(now())
  }

  /** Nobody tells whether our answer was read; without it a set-up would be waited for until it is certainly late. */
  const resumed = (from: SignalingSession) => {
    if (place.isAt(from)) watchdog.resumed(now(), voice.giveUp())
  }

  const take = (from: SignalingSession, event: MediaEvent): Effect.Effect<void> => {
    if (!place.isAt(from)) return Effect.void
    switch (event._tag) {
      case "Offered":
        return offered(from, event.sid, event.sdp)
      case "CandidateFound":
        return Effect.sync(() => voice.candidateFound(event.sid, event.candidate))
      case "RequestFailed":
        return Effect.sync(() => failed(event.code))
      case "AnswerRefused":
        return Effect.sync(() => answerRefused(event.sid))
    }
  }

  const place = SubscriptionPlace.make({
    ...options,
    /** Who is in the room we know from our first place. */
    onEvent: (session, event) => {
      if ("voice" in event) return take(session, event)
      if (event._tag === "Resumed") resumed(session)
      return event._tag === "Joined" || event._tag === "Resumed" ? options.onSpare : Effect.void
    }
  })

  return {
    key,
    isConnected: voice.isConnected,
    peerCount: voice.peerCount,
    catchUp: voice.catchUp,
    review: (nowMs, awayMs) => {
      if (awayMs > 0) watchdog.stoodStill(awayMs)
      voice.tick(nowMs)
      if (voice.packets() !== packets) {
        packets = voice.packets()
        watchdog.heard(nowMs)
      }
      const isWorn = voice.isWorn(nowMs, isSpeaking)
      const session = place.asks()
      if (session === undefined) return
      if (!watchdog.isDue(nowMs, { health: voice.health(nowMs), isMuted: isMuted(), isWorn })) return
      counters.requests++
      if (!isNew) counters.repeatedRequests++
      isNew = false
      watchdog.asked(nowMs)
      place.asked(nowMs)
      session.requestOffer(key)
    },
    resumed,
    take,
    unmuted: () => watchdog.unmuted(now()),
    hopes: () => watchdog.hopes(now()),
    move: () => place.move(now()),
    end: () => {
      voice.end()
      return place.end()
    }
  }
}
