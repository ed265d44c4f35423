/**
 * Where one publisher is subscribed to: from our place in the room, or from a spare one.
 *
 * An HPB before 2.0.3 keeps what came of a request even if that was nothing. When the publisher leaves or publishes anew between our
 * request and the offer, every later request of our session waits for the stream of then, 10 s long, and fails; nothing ends that before
 * our session does. Another session of ours is offered the publisher at once, and nobody else is interrupted.
 */
import { Effect, type Fiber, type Scope, Stream } from "effect"
import type { SignalingEvent, SignalingSession } from "../services/Signaling.ts"

export interface SubscriptionPlaceOptions {
  /** Our place in the room. */
  readonly first: SignalingSession
  readonly canAskFirst: () => boolean
  /** Takes another place in the same room. */
  readonly join: Effect.Effect<SignalingSession, never, Scope.Scope>
  readonly fork: (place: Effect.Effect<void>) => Fiber.Fiber<void>
  /** What happens in the spare place. */
  readonly onEvent: (session: SignalingSession, event: SignalingEvent) => Effect.Effect<void>
}

export interface SubscriptionPlace {
  /** Whom to ask for an offer; `undefined`: nobody, for the moment. */
  readonly asks: () => SignalingSession | undefined
  /** Whether offers of this session are still wanted. */
  readonly isAt: (session: SignalingSession) => boolean
  readonly asked: (nowMs: number) => void
  readonly offered: () => void
  /** A request was refused or not answered. */
  readonly failed: (code: string, nowMs: number) => void
  /** Takes a spare place from now on, in the stead of the one before. */
  readonly move: (nowMs: number) => void
  /** Gives up the spare place. `true`: our first place may be offered nothing by this publisher any more. */
  readonly end: () => boolean
}

/** The HPB gives up after 10 s; what it refuses at once it has not waited for, so it keeps nothing. */
const waitedMs = 8_000
/** What an HPB says which waited for a stream that is there, and what we say when it waits longer than we do. */
const waitedCodes: ReadonlySet<string> = new Set(["processing_failed", "timeout"])
/** A microphone that never reaches Janus looks the same, and each spare place is news for everybody in the room. */
const moveAgainMs = 30_000
const longestMoveAgainMs = 600_000

export const make = (options: SubscriptionPlaceOptions): SubscriptionPlace => {
  const { first } = options
  let spare: { session: SignalingSession | undefined; fiber: Fiber.Fiber<void> | undefined } | undefined
  let isFirstStuck = false
  let askedAtMs: number | undefined
  let moves = 0
  let notBeforeMs = Number.NEGATIVE_INFINITY

  const leave = () => {
    spare?.fiber?.interruptUnsafe()
    spare = undefined
  }

  const move = (nowMs: number) => {
    if (nowMs < notBeforeMs) return
    notBeforeMs = nowMs + Math.min(longestMoveAgainMs, moveAgainMs * 2 ** moves++)
    isFirstStuck = true
    askedAtMs = undefined
    leave()
    const taken: NonNullable<typeof spare> = { session: undefined, fiber: undefined }
    spare = taken
    const stay = Effect.gen(function* () {
      yield* Effect.logInfo("a spare place is taken for a publisher whom the HPB does not offer to ours any more")
      const session = yield* options.join
      taken.session = session
      yield* Stream.runForEach(session.events, (event) => options.onEvent(session, event))
    })
    taken.fiber = options.fork(Effect.scoped(stay))
  }

  return {
    asks: () => {
      if (spare === undefined) return options.canAskFirst() ? first : undefined
      return spare.session?.state()._tag === "Joined" ? spare.session : undefined
    },
    isAt: (session) => session === (spare === undefined ? first : spare.session),
    asked: (nowMs) => {
      askedAtMs = nowMs
    },
    offered: () => {
      askedAtMs = undefined
    },
    failed: (code, nowMs) => {
      const waited = askedAtMs === undefined ? 0 : nowMs - askedAtMs
      askedAtMs = undefined
      if (first.keepsFailed() && waitedCodes.has(code) && waited >= waitedMs) move(nowMs)
    },
    move,
    end: () => {
      leave()
      return isFirstStuck || (first.keepsFailed() && askedAtMs !== undefined)
    }
  }
}
