/**
 * VoiceText: what one session says becomes the text of its voice, with regard to the sessions before it.
 */
import { type Context, Effect, type Scope } from "effect"
import { msOfSamples, SAMPLE_RATE } from "../domain/Audio.ts"
import type { EndCause, SpeechEvent } from "../domain/Speech.ts"
import type { EngineError } from "../services/SpeechEngine.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as Audition from "./Audition.ts"
import type * as EngineLink from "./EngineLink.ts"
import type { LostAudio } from "./FrameBacklog.ts"
import * as Metrics from "./Metrics.ts"
import type * as SegmentCutter from "./SegmentCutter.ts"
import type * as SegmentOutbox from "./SegmentOutbox.ts"
import type * as Standby from "./Standby.ts"
import { conduct, type Outcome } from "./VoiceConversation.ts"
import type * as VoiceLine from "./VoiceLine.ts"

/** One voice and what is remembered of it. */
export interface Work extends EngineLink.LinkOptions {
  readonly voice: Voice
  readonly line: VoiceLine.VoiceLine
  readonly cutter: SegmentCutter.SegmentCutter
  readonly outbox: SegmentOutbox.SegmentOutbox
  readonly standby: Standby.Standby
  readonly metrics: Context.Context<never>
  /** Ends with the voice. */
  readonly scope: Scope.Scope
}

/** What is known of the sessions that were. */
export interface Past {
  /** End of what the one before was sent: what is said of it comes a second time. */
  seamTo: number
  /** Up to where one that was closed had heard everything, whether it said something or not. */
  heardOnceTo: number
  /** One was closed that had not proven all it was sent. */
  isUnproven: boolean
  /** How many there were. */
  opened: number
  /** How many of the last ones were lost without having said a word. */
  mute: number
}

/** Nobody will hear this: what was said before ends here. */
export const interrupt = (
  { cutter, metrics, outbox }: Pick<Work, "cutter" | "metrics" | "outbox">,
  { position, samples }: LostAudio
) => {
  outbox.put(cutter.end("EngineLost"))
  outbox.interrupt(position, samples)
  Metrics.interruptions.updateUnsafe(1, metrics)
  Metrics.interruptedSeconds.updateUnsafe(samples / SAMPLE_RATE, metrics)
}

/** Uses a session until there is a reason to end it; fails when it ends by itself, after all it said was taken. */
export const converse = Effect.fnUntraced(function* (
  work: Work,
  past: Past,
  link: EngineLink.EngineLink,
  said: ReadonlyArray<SpeechEvent>
): Effect.fn.Return<Outcome<Audition.Relief>, EngineError> {
  const { cutter, line, now, outbox, pool, standby, voice } = work
  const utterances = voice.utterances === true
  let changedMs = now()
  let closing: EndCause | undefined
  let hasSpoken = false

  const mark = (position: number) => {
    if (position <= line.backlog().provenTo()) return
    line.backlog().prove(position)
    outbox.put(cutter.take({ _tag: "Marked", position }, now()))
  }
  const take = (event: SpeechEvent) => {
    if (event._tag === "Marked") return mark(event.position)
    const wasOpen = cutter.isOpen()
    const states = cutter.take(event, now())
    if (states.length === 0) return
    changedMs = now()
    outbox.put(states)
    // what is open already and changes is only stale later
    if (!wasOpen) line.ring()
  }
  const flushed = (position: number, paused: boolean) => {
    // of what two sessions heard without a word there is nothing to say
    const heardTwiceTo = Math.min(position, past.heardOnceTo)
    if (heardTwiceTo > 0 && cutter.isCertain() && link.hasHeard(heardTwiceTo)) mark(heardTwiceTo)
    if (position >= past.seamTo) outbox.put(cutter.endSeam())
    if (paused || !utterances) {
      if (paused) outbox.put(cutter.end("Silence"))
      return outbox.settle(position)
    }
    outbox.put(cutter.endBefore(msOfSamples(position), "Silence"))
    outbox.settle(position, "later")
  }
  for (const event of said) take(event)
  link.attend({
    onEvent: (event) => {
      hasSpoken = true
      take(event)
      return outbox.room()
    },
    onFlushed: (position, paused) => {
      flushed(position, paused)
      line.ring()
    },
    onBroken: line.disconnect
  })
  const audition = Effect.gen(function* () {
    const chosen = pool.choose(voice)
    if (chosen === undefined) return undefined
    hasSpoken = false
    const heard = yield* Audition.run({ ...work, chosen, utterances, isOver: () => hasSpoken })
    if (heard === undefined || "link" in heard) return heard
    mark(Math.min(heard.heardTo, line.backlog().sentTo()))
    return "Acquitted" as const
  })
  const conversation = conduct({
    line,
    link,
    now,
    utterances,
    openTextMs: () => (cutter.isOpen() ? changedMs : undefined),
    onPause: () => outbox.put(cutter.end("Silence")),
    onLost: (position, samples, isFirst) => {
      interrupt(work, { position, samples })
      if (isFirst) cutter.resume(true)
    },
    onClosing: (cause) => {
      closing = cause
    },
    hasOther: () => pool.cover(voice, link.chosen) !== undefined,
    betterSinceMs: () => standby.betterSinceMs(link),
    audition
  })
  return yield* Effect.raceFirst(Effect.scoped(conversation), link.ended).pipe(
    // a server may hang up behind the last words
    Effect.catchIf(
      ({ reason }) => reason === "Closed" && closing !== undefined && link.finishes,
      (): Effect.Effect<Outcome<Audition.Relief>> => Effect.succeed({ _tag: "Closed", cause: closing ?? "StreamEnd" })
    )
  )
})
