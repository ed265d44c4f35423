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
  const listening = new Set<VoiceAccount.CountedVoice>()
  const tick = (atMs: number) => {
    for (const one of listening) {
      one.voice.tick(atMs)
      VoiceAccount.notice(one, atMs)
      if (!one.voice.isListening()) listening.delete(one)
    }
    if (listening.size === 0) ticker.remove(tick)
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => ticker.remove(tick)))
  return {
    heard: (one) => {
      if (listening.has(one) || !one.voice.isListening()) return
      if (listening.size === 0) ticker.add(tick)
      listening.add(one)
      one.voice.attend(now())
    },
    forget: (one) => {
      listening.delete(one)
    }
  }
})
