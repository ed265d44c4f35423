/**
 * TranscriptSink for Nextcloud Talk: captions go back into the call through the HPB, so that they read well on Talk's page.
 *
 * - A partial carries the whole open text and replaces the one before: the first at once, then at most one every 200 ms per segment.
 * - Finals are clause-sized, each shown caption gets exactly one, words that were finalised are never revised.
 * - In cross-talk speakers take turns (`TurnTaking`), because the page continues only its last block.
 * - One message serves the whole call where all have asked in one language, else each viewer gets its own (`CaptionOutbox`).
 * - Whoever leaves is not shown any more, by the pages themselves; whoever comes back first has finished what stood open, then said what nobody
 *   could read.
 * - What is not proven to have reached the HPB is sent again after the socket is back, to those who still read; the HPB is asked first what
 *   it has read, where it can tell.
 *
 * Nothing here waits for a reader: messages are handed to the socket and forgotten. A call has two fibers, one for what becomes due
 * and one for confirmations, and a third while the HPB is asked.
 */
import { Effect, FiberHandle, Latch, Layer, Metric } from "effect"
import { Stopping } from "../services/Stopping.ts"
import { type CallSink, type SinkCall, TranscriptSink } from "../services/TranscriptSink.ts"
import * as CallCaptions from "./CallCaptions.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"

export interface TalkTranscriptSinkOptions {
  /** Told for each token how long it was under way here and why; synchronous. For benchmarks. */
  readonly onDelay?: (delay: CallCaptions.CaptionDelay) => void
}

/** Longest wait for the HPB when the call ends; less where the service stops and has no time left for it. */
const drainWait = "2 seconds"

const sent = {
  partial: Metric.withAttributes(Metrics.captions, { kind: "partial" }),
  final: Metric.withAttributes(Metrics.captions, { kind: "final" })
}

export const layer = (options: TalkTranscriptSinkOptions = {}): Layer.Layer<TranscriptSink> =>
  Layer.succeed(TranscriptSink, { open: (call) => open(call, options) })

const makeObserver = Effect.fnUntraced(function* (options: TalkTranscriptSinkOptions) {
  const context = yield* Effect.context()
  const observer: CallCaptions.CaptionObserver = {
    onSent: (kind) => sent[kind].updateUnsafe(1, context),
    onResent: () => Metrics.captionsResent.updateUnsafe(1, context),
    onDropped: (reason, count) => Metric.withAttributes(Metrics.drops, { reason }).updateUnsafe(count, context),
    onDelay: (delay) => {
      Metrics.tokenToHpb.updateUnsafe(delay.totalMs / 1000, context)
      Metrics.captionTurnWait.updateUnsafe(delay.turnMs / 1000, context)
      Metrics.captionPacing.updateUnsafe(delay.pacingMs / 1000, context)
      options.onDelay?.(delay)
    }
  }
  return observer
})

const open = Effect.fnUntraced(function* (
  { intents, onUnsaid, session }: SinkCall,
  options: TalkTranscriptSinkOptions
) {
  const now = yield* monotonicMs
  const stopping = yield* Stopping
  const captions = CallCaptions.make({ session, intents, now, observer: yield* makeObserver(options) })
  const earlier = yield* Latch.make(false)
  const unproven = yield* Latch.make(false)
  const settled = yield* Latch.make(true)
  let sleepsUntilMs = Number.POSITIVE_INFINITY

  /** After every change: wakes whom it concerns. */
  const look = () => {
    onUnsaid?.(captions.unsaid())
    if (captions.dueMs() < sleepsUntilMs) earlier.openUnsafe()
    if (captions.needsProof()) unproven.openUnsafe()
    if (captions.isSettled()) settled.openUnsafe()
    else settled.closeUnsafe()
  }
  const changing =
    <A extends ReadonlyArray<unknown>>(change: (...args: A) => void) =>
    (...args: A) => {
      change(...args)
      look()
    }
  const attend = changing(captions.attend)
  const resumed = changing(captions.resumed)
  const rejoined = changing(captions.rejoined)
  const asking = yield* FiberHandle.make<void, never>()
  const ask = yield* FiberHandle.runtime(asking)()
  const recall = Effect.gen(function* () {
    const upTo = yield* session.recall
    // Lost again meanwhile: asked again when it is back.
    if (session.state()._tag === "Joined") resumed(upTo)
  })

  const clock = Effect.gen(function* () {
    earlier.closeUnsafe()
    sleepsUntilMs = captions.dueMs()
    if (sleepsUntilMs === Number.POSITIVE_INFINITY) return yield* earlier.await
    const sleep = Effect.as(Effect.sleep(Math.max(1, Math.ceil(sleepsUntilMs - now()))), true)
    if (yield* Effect.raceFirst(sleep, Effect.as(earlier.await, false))) attend()
  })
  const confirmation = Effect.gen(function* () {
    yield* unproven.await
    unproven.closeUnsafe()
    if (!captions.needsProof()) return
    const verdict = captions.prove()
    const isProven = yield* session.confirm
    verdict(isProven)
    look()
  })
  yield* Effect.forkScoped(Effect.forever(clock))
  yield* Effect.forkScoped(Effect.forever(confirmation))

  const drain = Effect.suspend(() => {
    // whoever counts says it
    if (session.fence?.outranked() !== undefined) return Effect.void
    captions.finish()
    look()
    return Effect.raceFirst(settled.await, stopping.until("Delivered")).pipe(
      Effect.timeoutOption(drainWait),
      Effect.asVoid
    )
  })
  // Runs before the fibers are interrupted: finalizers run newest first.
  yield* Effect.addFinalizer(() => drain)
  const sink: CallSink = {
    publish: changing(captions.publish),
    speakerLeft: changing(captions.speakerLeft),
    resumed: () => {
      if (captions.doubt()) ask(recall)
      else resumed()
    },
    rejoined: () => {
      ask(Effect.void)
      rejoined()
    },
    drain,
    unsaid: () => (captions.isProven() ? captions.unsaid() : undefined)
  }
  return sink
})
