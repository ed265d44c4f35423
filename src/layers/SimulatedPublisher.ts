/**
 * Everything one simulated speaker publishes: what Janus holds for it, one sending peer per subscriber.
 */
import { randomInt } from "node:crypto"
import { Effect, Exit, Latch, Scope } from "effect"
import * as SimulatedPublication from "./SimulatedPublication.ts"

/** One subscriber's peer; `sid` is the id of Janus' handle. */
export interface Subscription {
  readonly sid: string
  readonly publication: SimulatedPublication.SimulatedPublication
}

export interface SimulatedPublisher {
  /** The microphone is published: who waits for an offer gets one. */
  readonly publish: () => void
  /** No longer published. Subscribers hear nothing more, and nobody tells them. */
  readonly withdraw: () => void
  /** Completes when published. */
  readonly published: Effect.Effect<void>
  /** A new peer for this subscriber; the one it had before is closed, as Janus does. */
  readonly subscribe: (subscriber: string) => Effect.Effect<Subscription>
  readonly unsubscribe: (subscriber: string) => Effect.Effect<void>
  readonly subscription: (subscriber: string) => Subscription | undefined
  /** One packet to every subscriber. */
  readonly send: (payload: Uint8Array, timestamp: number) => void
}

/** Peers close with the scope. */
export const make = (
  options: SimulatedPublication.PublicationOptions
): Effect.Effect<SimulatedPublisher, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const isPublished = yield* Latch.make(false)
    const subscriptions = new Map<string, Subscription & { readonly scope: Scope.Closeable }>()

    const unsubscribe = (subscriber: string) =>
      Effect.suspend(() => {
        const before = subscriptions.get(subscriber)
        subscriptions.delete(subscriber)
        return before === undefined ? Effect.void : Scope.close(before.scope, Exit.void)
      })

    return {
      publish: () => isPublished.openUnsafe(),
      withdraw: () => {
        isPublished.closeUnsafe()
        for (const { publication } of subscriptions.values()) publication.abandon()
      },
      published: isPublished.await,
      subscribe: Effect.fnUntraced(function* (subscriber) {
        const own = yield* Scope.fork(scope)
        const publication = yield* SimulatedPublication.make(options).pipe(Scope.provide(own))
        yield* unsubscribe(subscriber)
        const subscription = { sid: String(randomInt(1e12)), publication, scope: own }
        subscriptions.set(subscriber, subscription)
        return subscription
      }),
      unsubscribe,
      subscription: (subscriber) => subscriptions.get(subscriber),
      send: (payload, timestamp) => {
        for (const { publication } of subscriptions.values()) publication.send(payload, timestamp)
      }
    }
  })
