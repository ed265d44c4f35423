/**
 * When a publisher's media is asked for (again). Plain and synchronous; looked at once a second, time is an argument.
 */

/** What is known of a subscription at one moment. */
export interface Health {
  /** No peer is there or coming. */
  readonly isDead: boolean
  readonly isConnected: boolean
  /** Packets so far. */
  readonly packets: number
  readonly offeredAtMs: number | undefined
  /** The participant says that the microphone is off. */
  readonly isMuted: boolean
}

export interface Watchdog {
  /** The request was refused or not answered. */
  readonly failed: (nowMs: number) => void
  /** An offer came: the request was heard. */
  readonly answered: () => void
  /** Why to ask now, if so; the caller then asks. */
  readonly look: (health: Health, nowMs: number) => "joined" | "retry" | "watchdog" | undefined
}

/** A browser needs up to 10 s from "in the call" to publishing. */
const retryMs = [2_000, 4_000, 8_000, 10_000] as const
/** A connected peer without packets for so long is dead, muted by `replaceTrack(null)`, or has lost its permission. */
const silentMs = 5_000
/** ICE and DTLS through a relay take a few seconds; after that the subscription is lost. */
const connectMs = 15_000
const rounds = 3
/** Whoever was asked for in vain three times is asked for once a minute. */
const patientMs = 60_000

export const make = (): Watchdog => {
  let attempt = 0
  let dueAtMs: number | undefined
  let isAsked = false
  let askedAtMs: number | undefined
  let packets = 0
  let heardAtMs: number | undefined
  let silentRounds = 0

  const ask = <A>(cause: A, nowMs: number): A => {
    isAsked = true
    askedAtMs = nowMs
    dueAtMs = undefined
    return cause
  }
  const isSilent = ({ isConnected, isDead, offeredAtMs }: Health, nowMs: number): boolean => {
    if (isDead) return true
    if (!isConnected) return nowMs - (offeredAtMs ?? nowMs) >= connectMs
    return nowMs - Math.max(heardAtMs ?? 0, offeredAtMs ?? 0) >= silentMs
  }

  return {
    failed: (nowMs) => {
      isAsked = false
      dueAtMs = nowMs + (retryMs[Math.min(attempt, retryMs.length - 1)] ?? patientMs)
      attempt++
    },
    answered: () => {
      isAsked = false
      dueAtMs = undefined
      attempt = 0
    },
    look: (health, nowMs) => {
      if (health.packets !== packets) {
        packets = health.packets
        heardAtMs = nowMs
        silentRounds = 0
      }
      if (askedAtMs === undefined) return ask("joined", nowMs)
      if (isAsked) return undefined
      if (dueAtMs !== undefined) return nowMs >= dueAtMs ? ask("retry", nowMs) : undefined
      if (!isSilent(health, nowMs) || (health.isMuted && !health.isDead)) return undefined
      const sinceMs = nowMs - askedAtMs
      if (sinceMs < (silentRounds < rounds ? silentMs : patientMs)) return undefined
      silentRounds++
      return ask("watchdog", nowMs)
    }
  }
}
