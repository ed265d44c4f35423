/**
 * CaptionFeed of the calls in this process: a `TranscriptSink` that keeps a hub per running call. It goes beside other sinks (`all` of
 * `TranscriptSink`).
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { Caption } from "../domain/Caption.ts"
import { isFinal } from "../domain/Segment.ts"
import { CaptionFeed, NoSuchCall } from "../services/CaptionFeed.ts"
import { all, type CallSink, type SinkCall, TranscriptSink } from "../services/TranscriptSink.ts"
import * as CaptionHub from "./CaptionHub.ts"

/** What a newcomer sees of what was said before: about a minute of a lively call. */
const recentFinals = 20
/** Every segment gets its final, and a voice has one open at a time: more voices than a call can have. */
const maxOpen = 1_000

interface RunningCall {
  readonly hub: CaptionHub.CaptionHub
  readonly publish: (caption: Caption) => void
  readonly now: () => ReadonlyArray<Caption>
}

/** The feed, and the sink it is fed by. */
export const make: Effect.Effect<{
  readonly feed: CaptionFeed["Service"]
  readonly sink: TranscriptSink["Service"]
}> = Effect.sync(() => {
  const calls = new Map<RoomToken, RunningCall>()
  const open = Effect.fnUntraced(function* ({
    session: { room }
  }: SinkCall): Effect.fn.Return<CallSink, never, Scope.Scope> {
    const call = yield* makeCall
    yield* Effect.acquireRelease(
      Effect.sync(() => calls.set(room, call)),
      () =>
        Effect.sync(() => {
          if (calls.get(room) === call) calls.delete(room)
          call.hub.close()
        })
    )
    const nothing = () => {}
    // Readers of the feed are not waited for.
    return { publish: call.publish, speakerLeft: nothing, resumed: nothing, rejoined: nothing, drain: Effect.void }
  })
  const subscribe: CaptionFeed["Service"]["subscribe"] = (room) =>
    Effect.suspend(() => {
      const call = calls.get(room)
      return call === undefined ? Effect.fail(new NoSuchCall()) : call.hub.subscribeBehind(call.now)
    })
  return { feed: { subscribe }, sink: { open } }
})

/** Provides the feed and, as the only sink, what feeds it. */
export const layer: Layer.Layer<CaptionFeed | TranscriptSink> = Layer.effectContext(
  Effect.map(make, ({ feed, sink }) => Context.make(CaptionFeed, feed).pipe(Context.add(TranscriptSink, sink)))
)

/** The same beside another sink: each gets everything. */
export const beside = <E, R>(
  other: Layer.Layer<TranscriptSink, E, R>
): Layer.Layer<CaptionFeed | TranscriptSink, E, R> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const { feed, sink } = yield* make
      return Context.make(CaptionFeed, feed).pipe(Context.add(TranscriptSink, all([yield* TranscriptSink, sink])))
    })
  ).pipe(Layer.provide(other))

const makeCall: Effect.Effect<RunningCall> = Effect.map(CaptionHub.make, (hub) => {
  const open = new Map<string, Caption>()
  const recent: Array<Caption> = []
  const remember = (caption: Caption) => {
    const key = `${caption.speaker} ${caption.segment.id}`
    if (!isFinal(caption.segment)) {
      open.set(key, caption)
      for (const oldest of open.keys()) {
        if (open.size <= maxOpen) break
        open.delete(oldest)
      }
      return
    }
    open.delete(key)
    recent.push(caption)
    if (recent.length > recentFinals) recent.shift()
  }
  return {
    hub,
    publish: (caption) => {
      remember(caption)
      hub.publish(caption)
    },
    now: () => [...recent, ...open.values()]
  }
})
