/**
 * Captions for many readers who read at their own speed: feeds, journals, programs. Nobody slows anybody else.
 *
 * For each reader the hub keeps the latest partial of every open segment (older ones are skipped) and the finals not yet taken, at most
 * 1,000. A reader further behind is disconnected, told why and counted: finals are never lost silently.
 */
import { Effect, Latch, Metric, type Scope, Stream } from "effect"
import type { Caption } from "../domain/Caption.ts"
import { isFinal } from "../domain/Segment.ts"
import { ReaderBehind } from "../services/CaptionFeed.ts"
import * as Metrics from "./Metrics.ts"

export interface CaptionHub {
  /** Never waits. */
  readonly publish: (caption: Caption) => void
  /** Captions from now on, until the scope closes. Per segment in order of revision, finals in the order they came. */
  readonly subscribe: Effect.Effect<Stream.Stream<Caption, ReaderBehind>, never, Scope.Scope>
  /** The same, behind captions of before; between them and those that follow nothing is missing and nothing is twice. */
  readonly subscribeBehind: (
    before: () => Iterable<Caption>
  ) => Effect.Effect<Stream.Stream<Caption, ReaderBehind>, never, Scope.Scope>
  /** Nothing more comes: streams end when all that waits was taken. */
  readonly close: () => void
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

interface Taken {
  readonly captions: ReadonlyArray<Caption>
  readonly isLast: boolean
}

const take = (reader: Reader, isClosed: () => boolean): Effect.Effect<Taken, ReaderBehind> =>
  Effect.andThen(
    reader.news.await,
    Effect.suspend(() => {
      if (reader.isBehind) return Effect.fail(new ReaderBehind({ waitingFinals: reader.finals }))
      const captions = [...reader.waiting.values()]
      reader.waiting.clear()
      reader.finals = 0
      reader.news.closeUnsafe()
      return Effect.succeed({ captions, isLast: isClosed() })
    })
  )

export const make: Effect.Effect<CaptionHub> = Effect.gen(function* () {
  const context = yield* Effect.context()
  const readers = new Set<Reader>()
  let isClosed = false

  const subscribeBehind: CaptionHub["subscribeBehind"] = Effect.fnUntraced(function* (before) {
    const news = yield* Latch.make(isClosed)
    const reader = yield* Effect.acquireRelease(
      Effect.sync((): Reader => {
        const one: Reader = { waiting: new Map(), news, finals: 0, isBehind: false }
        readers.add(one)
        for (const caption of before()) offer(one, caption, () => readers.delete(one))
        return one
      }),
      (one) => Effect.sync(() => readers.delete(one))
    )
    return Stream.fromEffectRepeat(take(reader, () => isClosed)).pipe(
      Stream.takeUntil(({ isLast }) => isLast),
      Stream.flatMap(({ captions }) => Stream.fromIterable(captions))
    )
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
    subscribe: subscribeBehind(() => []),
    subscribeBehind,
    close: () => {
      isClosed = true
      for (const reader of readers) reader.news.openUnsafe()
    }
  }
  return hub
})
