/**
 * Streams that are open, of each subject and of all.
 */
import type { OpenStreams, Reserved, StreamLimits } from "./Messages.ts"

export interface StreamCounts {
  /** Counts one more where the limits allow it. */
  readonly reserve: (subject: string, limits: StreamLimits) => Reserved
  /** One that was reserved is over. */
  readonly release: (subject: string) => void
  readonly of: (subject: string) => OpenStreams
}

export const make = (): StreamCounts => {
  const bySubject = new Map<string, number>()
  let all = 0
  const change = (subject: string, by: 1 | -1) => {
    const left = (bySubject.get(subject) ?? 0) + by
    all += by
    if (left === 0) bySubject.delete(subject)
    else bySubject.set(subject, left)
  }
  const of = (subject: string) => ({ ofSubject: bySubject.get(subject) ?? 0, ofAll: all })
  return {
    reserve: (subject, limits) => {
      const answer = answerOf(of(subject), limits)
      if (answer === "Reserved") change(subject, 1)
      return answer
    },
    release: (subject) => change(subject, -1),
    of
  }
}

/** What `reserve` would answer. */
export const answerOf = (open: OpenStreams, limits: StreamLimits): Reserved => {
  if (open.ofAll >= limits.ofAll) return "TooManyStreams"
  return open.ofSubject >= limits.ofSubject ? "ConcurrentStreams" : "Reserved"
}
