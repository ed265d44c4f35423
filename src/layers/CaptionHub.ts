/**
 * Captions for many readers who read at their own speed: feeds, journals, programs. Nobody slows anybody else.
 *
 * For each reader the hub keeps the latest partial of every open segment (older ones are skipped) and the finals not yet taken, at most
 * 1,000. A reader further behind is disconnected, told why and counted: finals are never lost silently.
 */
import { Effect, Latch, Metric, Schema, type Scope, Stream } from "effect"
import type { Caption } from "../domain/Caption.ts"
import { isFinal } from "../domain/Segment.ts"
import * as Metrics from "./Metrics.ts"

/** The reader was disconnected: so many finals were waiting for it that it could not be served any more. */
export class ReaderBehind extends Schema.TaggedError<ReaderBehind>()("ReaderBehind", { waitingFinals: Schema.Int }) {
  override get message() {
    return `reader too far behind: ${this.waitingFinals} finals were waiting for it`
  }
}

export interface CaptionHub {
  /** Never waits. */
  readonly publish: (caption: Caption) => void
  /** Captions from now on, until the scope closes. Per segment in order of revision, finals in the order they came. */
  readonly subscribe: Effect.Effect<Stream.Stream<Caption, ReaderBehind>, never, Scope.Scope>
}

/** Finals that may wait for one reader: an hour of one busy speaker. */
export const maxFinals = 1_000

const drops = Metric.withAttributes(Metrics.drops, { reason: "caption_reader_behind" })

/** What waits for one reader, by segment. Bounded by `maxFinals` plus the number of segments open at a time. */
interface Reader {
  readonly waiting: Map<string, Caption>
  readonly news: Latch.Latch
  finals: number
  isBehind: boolean
}

const offer = (reader: Reader, caption: Caption, onBehind: () => void) => {
  if (reader.isBehind) return
  const key = `${caption.speaker} ${caption.segment.id}`
  const final = isFinal(caption.segment)
  // A final takes its place behind everything that waits, so that finals keep their order.
  if (final) reader.waiting.delete(key)
  reader.waiting.set(key, caption)
  if (final) reader.finals++
  if (reader.finals > maxFinals) {
    reader.isBehind = true
    reader.waiting.clear()
    onBehind()
  }
  reader.news.openUnsafe()
}

const take = (reader: Reader): Effect.Effect<ReadonlyArray<Caption>, ReaderBehind> =>
  Effect.andThen(
    reader.news.await,
    Effect.suspend(() => {
      if (reader.isBehind) return Effect.fail(new ReaderBehind({ waitingFinals: reader.finals }))
      const captions = [...reader.waiting.values()]
      reader.waiting.clear()
      reader.finals = 0
      reader.news.closeUnsafe()
      return Effect.succeed(captions)
    })
  )

export const make: Effect.Effect<CaptionHub> = Effect.gen(function* () {
  const context = yield* Effect.context()
  const readers = new Set<Reader>()
  const subscribe = Effect.gen(function* () {
    const news = yield* Latch.make(false)
    const reader = yield* Effect.acquireRelease(
      Effect.sync((): Reader => {
        const one: Reader = { waiting: new Map(), news, finals: 0, isBehind: false }
        readers.add(one)
        return one
      }),
      (one) => Effect.sync(() => readers.delete(one))
    )
    return Stream.flattenIterable(Stream.fromEffectRepeat(take(reader)))
  })
  const hub: CaptionHub = {
    publish: (caption) => {
      for (const reader of readers) {
        offer(reader, caption, () => {
          readers.delete(reader)
          drops.updateUnsafe(reader.finals, context)
        })
      }
    },
    subscribe
  }
  return hub
})
