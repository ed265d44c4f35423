/**
 * Readers who come back: after the session was joined anew everybody does, one by one, within seconds.
 */
import type { LanguageId } from "../domain/Language.ts"
import type { Audience } from "./CaptionAudience.ts"

/** How long after the socket is back people are waited for who have to come back themselves. */
export const returnMs = 30_000

export interface CaptionReturns {
  /** These get captions. */
  readonly reads: (keys: Iterable<string>) => void
  readonly rejoined: (nowMs: number) => void
  /** Who was here before the session was joined anew and is still on the way back. */
  readonly absent: (audience: Audience, nowMs: number) => Map<string, LanguageId>
}

export const make = (): CaptionReturns => {
  const known = new Set<string>()
  let returning: { readonly keys: ReadonlySet<string>; readonly untilMs: number } | undefined
  return {
    reads: (keys) => {
      for (const key of keys) known.add(key)
    },
    rejoined: (nowMs) => {
      returning = { keys: new Set(known), untilMs: nowMs + returnMs }
    },
    absent: (audience, nowMs) => {
      const keys = new Map<string, LanguageId>()
      if (returning === undefined || nowMs > returning.untilMs) return keys
      for (const key of returning.keys) {
        const language = audience.wanted(key)
        if (language !== undefined && !audience.readers.has(key)) keys.set(key, language)
      }
      return keys
    }
  }
}
