/**
 * What a dialect wants done, in order: at once where that can be, else later, and then what follows it too.
 */
import { Effect } from "effect"
import type { Request } from "./Dialect.ts"

/** These can make those that follow wait. */
export type SlowRequest = Extract<Request, { readonly _tag: "Authenticate" | "Start" | "Audio" }>
export type QuickRequest = Exclude<Request, SlowRequest>

export interface DoorRequests {
  /** At once; from the first on that takes time, later. */
  readonly act: (requests: ReadonlyArray<Request>) => void
  /** The same; but audio that need not wait is heard at once. */
  readonly actNow: (requests: ReadonlyArray<Request>) => void
  /** To the end, whatever takes time. What is wanted in answer to what is told meanwhile comes before the rest. */
  readonly perform: (requests: ReadonlyArray<Request>) => Effect.Effect<void>
  /** What was put off. */
  readonly catchUp: Effect.Effect<void>
}

export interface DoorRequestsOptions {
  readonly doNow: (request: QuickRequest) => void
  readonly doInTime: (request: SlowRequest) => Effect.Effect<void>
  /** `false`: it has to wait, and nothing of it was heard. */
  readonly hearNow: (bytes: Uint8Array) => boolean
  /** Nothing more is done. */
  readonly isEnding: () => boolean
  /** Something was put off. */
  readonly onLater: () => void
}

/** Nothing is wanted yet. Unbounded by itself: whoever reads messages stops while something is put off. */
export const make = ({ doInTime, doNow, hearNow, isEnding, onLater }: DoorRequestsOptions): DoorRequests => {
  /** What cannot be done at once, and what follows it. */
  const later: Array<Request> = []

  /** Those from here on, if there are any. */
  const putOff = (requests: ReadonlyArray<Request>, from: number) => {
    if (from < 0) return
    later.push(...requests.slice(from))
    onLater()
  }
  const isDone = (request: Request): boolean => {
    if (takesTime(request)) return false
    doNow(request)
    return true
  }
  const isDoneNow = (request: Request): boolean => {
    if (isEnding()) return true
    return request._tag === "Audio" ? hearNow(request.bytes) : isDone(request)
  }
  const perform = Effect.fnUntraced(function* (requests: ReadonlyArray<Request>): Effect.fn.Return<void> {
    for (const request of requests) {
      if (isEnding()) return
      if (takesTime(request)) yield* doInTime(request)
      else doNow(request)
      while (later.length > 0) yield* perform(later.splice(0))
    }
  })

  return {
    act: (requests) =>
      putOff(
        requests,
        requests.findIndex((request) => !isDone(request))
      ),
    actNow: (requests) =>
      putOff(
        requests,
        requests.findIndex((request) => later.length > 0 || !isDoneNow(request))
      ),
    perform,
    catchUp: Effect.suspend(() => perform(later.splice(0)))
  }
}

const takesTime = (request: Request): request is SlowRequest =>
  request._tag === "Authenticate" || request._tag === "Start" || request._tag === "Audio"
