/**
 * VoiceTicks: hands the time to those voices of a call for whom it counts. Most are silent, and need none.
 */
import { Effect, type Scope } from "effect"
import { monotonicMs } from "./Monotonic.ts"
import * as Ticker from "./Ticker.ts"
import * as VoiceAccount from "./VoiceAccount.ts"

export interface VoiceTicks {
  /** It has heard something. */
  readonly heard: (one: VoiceAccount.CountedVoice) => void
  /** It is over. */
  readonly forget: (one: VoiceAccount.CountedVoice) => void
}

/** Gaps and the end of speech are noticed to within this. */
const TICK_MS = 20

/** Of one call, until the scope closes. */
export const make: Effect.Effect<VoiceTicks, never, Scope.Scope> = Effect.gen(function* () {
  const now = yield* monotonicMs
  const ticker = yield* Ticker.every(TICK_MS)
  /** Each looks for itself: a bug in the tick of one is nobody else's. */
  const looks = new Map<VoiceAccount.CountedVoice, Ticker.Look>()
  const forget = (one: VoiceAccount.CountedVoice) => {
    const look = looks.get(one)
    if (look === undefined) return
    ticker.remove(look)
    looks.delete(one)
  }
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const look of looks.values()) ticker.remove(look)
    })
  )
  return {
    heard: (one) => {
      if (looks.has(one) || !one.voice.isListening()) return
      const look = (atMs: number) => {
        one.voice.tick(atMs)
        VoiceAccount.notice(one, atMs)
        if (!one.voice.isListening()) forget(one)
      }
      looks.set(one, look)
      ticker.add(look)
      one.voice.attend(now())
    },
    forget
  }
})
