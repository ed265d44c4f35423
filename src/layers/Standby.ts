/**
 * Standby: the next session of a voice, and the one that is starting behind it. An engine that starts from cold takes minutes; a cover captions
 * meanwhile.
 */
import { Effect, Exit, Fiber, Option, Scope } from "effect"
import type { Voice } from "../services/Transcriber.ts"
import * as EngineLink from "./EngineLink.ts"
import type { Chosen } from "./EnginePool.ts"

/** An engine that is running has opened a session by then; behind it one is taken to start from cold. */
const COLD_MS = 1_500
/** Neither the one that starts nor a cover: how soon it is looked again. */
const LOOK_AGAIN_MS = 250

export type Found =
  | { readonly _tag: "Open"; readonly link: EngineLink.EngineLink }
  /** Nobody may be asked before so many milliseconds have passed. */
  | { readonly _tag: "NotYet"; readonly waitMs: number }
  /** No engine may ever hear this voice. */
  | { readonly _tag: "Never" }

export interface Standby {
  /** The session to go on with: the one that has started meanwhile, or a new one. To be asked again where an engine takes its time to start. */
  readonly open: Effect.Effect<Found>
  /** Since when a better session could be had than this one, ms; absent while none could. */
  readonly betterSinceMs: (current: EngineLink.EngineLink) => number | undefined
  /** Nobody speaks: what has started and what is starting ends. */
  readonly drop: Effect.Effect<void>
}

export interface StandbyOptions extends EngineLink.LinkOptions {
  readonly voice: Voice
  /** A better session is open. */
  readonly onReady: () => void
}

interface Starting {
  readonly chosen: Chosen
  readonly fiber: Fiber.Fiber<EngineLink.EngineLink, unknown>
}

/** The standby of one voice; its sessions end with the scope. */
export const make = Effect.fnUntraced(function* (
  options: StandbyOptions
): Effect.fn.Return<Standby, never, Scope.Scope> {
  const { now, onReady, pool, voice } = options
  const scope = yield* Effect.scope
  const connect = (chosen: Chosen) => Scope.provide(EngineLink.open(chosen, options), scope)
  let starting: Starting | undefined
  let ready: { readonly link: EngineLink.EngineLink; readonly sinceMs: number } | undefined
  let preferredSinceMs: number | undefined

  const settle = Effect.fnUntraced(function* (one: Starting) {
    const exit = yield* Fiber.await(one.fiber)
    if (starting === one) starting = undefined
    if (Exit.isFailure(exit)) return
    ready = { link: exit.value, sinceMs: now() }
    onReady()
  })

  const start = Effect.fnUntraced(function* (chosen: Chosen): Effect.fn.Return<Found> {
    const fiber = yield* Effect.forkIn(connect(chosen), scope, { startImmediately: true })
    const soon = yield* Effect.timeoutOption(Fiber.await(fiber), COLD_MS)
    if (Option.isSome(soon)) {
      return Exit.isSuccess(soon.value) ? { _tag: "Open", link: soon.value.value } : { _tag: "NotYet", waitMs: 0 }
    }
    starting = { chosen, fiber }
    yield* Effect.forkIn(settle(starting), scope)
    return { _tag: "NotYet", waitMs: 0 }
  })

  /** While one takes its time: a better one that is back, else a cover. */
  const meanwhile = Effect.fnUntraced(function* (one: Starting): Effect.fn.Return<Found> {
    const better = pool.preferred(voice, one.chosen)
    if (better !== undefined) {
      starting = undefined
      yield* Fiber.interrupt(one.fiber)
      return yield* start(better)
    }
    const chosen = pool.cover(voice, one.chosen)
    if (chosen === undefined) {
      yield* Effect.timeoutOption(Fiber.await(one.fiber), LOOK_AGAIN_MS)
      return { _tag: "NotYet", waitMs: 0 }
    }
    const link = yield* Effect.option(connect(chosen))
    return Option.isSome(link) ? { _tag: "Open", link: link.value } : { _tag: "NotYet", waitMs: LOOK_AGAIN_MS }
  })

  return {
    open: Effect.suspend((): Effect.Effect<Found> => {
      if (ready !== undefined) {
        const { link } = ready
        ready = undefined
        return Effect.succeed({ _tag: "Open", link })
      }
      if (starting !== undefined) return meanwhile(starting)
      const chosen = pool.choose(voice)
      if (chosen !== undefined) return start(chosen)
      const waitMs = pool.waitMs(voice)
      return Effect.succeed(waitMs === Number.POSITIVE_INFINITY ? { _tag: "Never" } : { _tag: "NotYet", waitMs })
    }),
    betterSinceMs: (current) => {
      const isPreferred = starting === undefined && pool.preferred(voice, current.chosen) !== undefined
      preferredSinceMs = isPreferred ? (preferredSinceMs ?? now()) : undefined
      return ready?.sinceMs ?? preferredSinceMs
    },
    drop: Effect.suspend(() => {
      const open = ready
      const cold = starting
      ready = undefined
      starting = undefined
      return Effect.andThen(
        open === undefined ? Effect.void : open.link.close(),
        cold === undefined ? Effect.void : Fiber.interrupt(cold.fiber)
      )
    })
  }
})
