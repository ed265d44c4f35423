/**
 * When a publisher is asked for its media again: nothing tells a subscriber that its stream has died (Janus restarted, the microphone was
 * published anew), RTP just stops. Plain and synchronous; time is an argument.
 */

/** `connected` says nothing about packets; `broken` is closed, failed, never connected, or not there at all. */
export type Health = "settingUp" | "connected" | "broken"

export interface VoiceNow {
  readonly health: Health
  readonly isMuted: boolean
  /** Its way to us will soon be closed. */
  readonly isWorn: boolean
}

export interface SubscriptionWatchdog {
  readonly asked: (nowMs: number) => void
  /** The request was refused or not answered. */
  readonly failed: (nowMs: number) => void
  /** The socket is another one: what was asked over the one before may be lost, or (`isGivenUp`) what was answered. What is not comes at once. */
  readonly resumed: (nowMs: number, isGivenUp: boolean) => void
  readonly offered: (nowMs: number) => void
  /** Somebody else's request was answered: what was refused may be there again too. */
  readonly hopes: (nowMs: number) => void
  readonly connected: (nowMs: number) => void
  /** RTP came since the last look. */
  readonly heard: (nowMs: number) => void
  /** The publisher says that there is something to hear again. */
  readonly unmuted: (nowMs: number) => void
  /** Nobody could look for so long (this process stood still): what came meanwhile is only about to be read. */
  readonly stoodStill: (ms: number) => void
  /** Whether to ask now. */
  readonly isDue: (nowMs: number, now: VoiceNow) => boolean
}

export interface Patience {
  /** Without RTP, before a connected publisher who is not known to be muted is asked again. */
  readonly silenceMs: number
  /** After each failed request; the last one counts for all that follow. */
  readonly retryMs: Series
  /** The same after requests that were refused at once. */
  readonly refusedMs: Series
}

type Series = readonly [number, ...ReadonlyArray<number>]

const times = (count: number, ms: number): ReadonlyArray<number> => Array.from({ length: count }, () => ms)

/**
 * A microphone sends 50 packets a second, muted or not, and with DTX one every 0.4 s. Nothing else proves sooner that it is dead: sender
 * reports and consent are the SFU's own. An offer too many costs 0.2 s of sound where there was none. An HPB that knows a publisher waits 10 s
 * for its media before it refuses; it refuses at once while Janus starts and until it has found it again, which takes some 10 s in which
 * people speak already. Talk's own client asks every 10 s while it waits for an offer.
 */
export const microphone: Patience = {
  silenceMs: 2_500,
  retryMs: [500, 1_000, 2_000, 4_000, 8_000, 10_000],
  refusedMs: [500, ...times(12, 1_000), ...times(10, 2_000), 4_000, 8_000, 10_000]
}
/** Nobody announces a shared screen, and most people share none. */
export const screen: Patience = { silenceMs: 30_000, retryMs: [30_000], refusedMs: [30_000] }

/**
 * Offers which brought no sound, besides the first; each further pause is twice as long. Muted tracks that send nothing and lost permissions look
 * the same as a dead stream; who comes back to a call with a new one after a network was away is heard after as long again at the latest.
 */
const silentRounds = 3
/** Over an hour less than one offer a minute. */
const silentPauseMs = 65_000
/** A refusal that comes sooner did not wait for anybody. */
const atOnceMs = 3_000
/** The session fails a request after 12 s; this is for a failure that got lost. */
const answerTimeoutMs = 30_000

export const make = (patience: Patience): SubscriptionWatchdog => {
  let askedAtMs: number | undefined
  let failures = 0
  /** Offers since something was heard, with the one it was heard by. */
  let offers = 0
  let quietSinceMs = 0
  let notBeforeMs = 0

  const soundsAgain = (nowMs: number) => {
    quietSinceMs = nowMs
    offers = Math.min(offers, 1)
    failures = 0
    notBeforeMs = 0
  }
  const isSilent = (nowMs: number, isMuted: boolean) => !isMuted && nowMs - quietSinceMs >= patience.silenceMs

  return {
    asked: (nowMs) => {
      askedAtMs = nowMs
    },
    failed: (nowMs) => {
      const isHeld = askedAtMs !== undefined && nowMs - askedAtMs >= atOnceMs
      const [first, ...further] = isHeld ? patience.retryMs : patience.refusedMs
      askedAtMs = undefined
      notBeforeMs = nowMs + ([first, ...further][Math.min(failures, further.length)] ?? first)
      failures++
    },
    resumed: (nowMs, isGivenUp) => {
      if (askedAtMs === undefined && !isGivenUp) return
      askedAtMs = undefined
      notBeforeMs = nowMs + patience.retryMs[0]
    },
    offered: (nowMs) => {
      askedAtMs = undefined
      failures = 0
      offers++
      const pauseMs = patience.silenceMs * 2 ** Math.max(0, offers - silentRounds)
      notBeforeMs = nowMs + Math.max(patience.silenceMs, Math.min(pauseMs, silentPauseMs))
    },
    hopes: (nowMs) => {
      if (failures > 0) notBeforeMs = Math.min(notBeforeMs, nowMs)
    },
    connected: (nowMs) => {
      quietSinceMs = nowMs
    },
    heard: soundsAgain,
    unmuted: soundsAgain,
    stoodStill: (ms) => {
      quietSinceMs += ms
    },
    isDue: (nowMs, { health, isMuted, isWorn }) => {
      if (askedAtMs !== undefined && nowMs - askedAtMs < answerTimeoutMs) return false
      if (nowMs < notBeforeMs || health === "settingUp") return false
      return isWorn || health === "broken" || isSilent(nowMs, isMuted)
    }
  }
}
