/**
 * A call with a Talk sink, readers and voices, on the test clock.
 */
import { Effect, Exit, Fiber, Metric, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Intent, participant } from "../../src/domain/Call.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import { gapBehind, joinText } from "../../src/domain/Segment.ts"
import type { CaptionDelay } from "../../src/layers/CallCaptions.ts"
import { monotonicMs } from "../../src/layers/Monotonic.ts"
import * as TalkTranscriptSink from "../../src/layers/TalkTranscriptSink.ts"
import { TranscriptSink } from "../../src/services/TranscriptSink.ts"
import * as ScriptedSession from "./ScriptedSession.ts"

const english = LanguageId.make("en")

export const make = Effect.fnUntraced(function* (options: Omit<ScriptedSession.ScriptedOptions, "now"> = {}) {
  const now = yield* monotonicMs
  const scripted = ScriptedSession.make({ now, ...options })
  const intents = new Map<string, Intent>()
  const delays: Array<CaptionDelay> = []
  const scope = yield* Scope.make()
  const layer = TalkTranscriptSink.layer({ onDelay: (delay) => delays.push(delay) })
  const sink = yield* TranscriptSink.use((service) =>
    service.open({ session: scripted.session, intents: () => [...intents.values()] })
  ).pipe(Effect.provide(layer), Scope.provide(scope))
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      // Where the HPB does not answer the last words are waited for, on the test clock.
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(closing)
    })
  )
  const { room } = scripted.session

  /** One voice: an engine that appends words, or changes its mind about open ones. */
  const voice = (name: string, speaker = name) => {
    let ordinal = 0
    let revision = 0
    let committed = ""
    let open = ""
    let tokenAtMs = 0
    const publish = (final: boolean) =>
      sink.publish({
        room,
        speaker: ScriptedSession.id(speaker),
        language: english,
        segment: {
          id: `video:${name}:${ordinal}`,
          revision: revision++,
          committed,
          open,
          tokenAtMs,
          ...(final ? { final: "Silence" as const } : {})
        }
      })
    return {
      /** Commits words, and guesses what comes next. */
      says: (text: string, next = "") => {
        committed = joinText(committed, text)
        open = next
        tokenAtMs = now()
        publish(false)
      },
      /** Speech is given up behind what was said. */
      misses: (lengthMs: number) => {
        const newest = ordinal === 0 ? undefined : `video:${name}:${ordinal - 1}`
        const segment = gapBehind(newest, { atMs: now(), ordinal: 1, voice: `video:${name}` })
        const speakerId = ScriptedSession.id(speaker)
        sink.publish({ room, speaker: speakerId, language: english, segment, interrupted: { atMs: 0, lengthMs } })
      },
      /** What the engine thinks comes next, for now. */
      guesses: (text: string) => {
        open = text
        tokenAtMs = now()
        publish(false)
      },
      ends: () => {
        committed = joinText(committed, open)
        open = ""
        publish(true)
        ordinal++
        revision = 0
        committed = ""
      }
    }
  }

  return {
    ...scripted,
    sink,
    voice,
    now,
    delays,
    asks: (name: string, language = "en") => {
      intents.set(name, {
        room,
        viewer: participant(ScriptedSession.nextcloudId(name)),
        language: LanguageId.make(language)
      })
    },
    asksForEveryone: () => {
      intents.set("everyone", { room, viewer: { _tag: "Everyone" }, language: english })
    },
    stops: (name: string) => {
      intents.delete(name)
    },
    wait: (ms: number) => TestClock.adjust(ms),
    /** Messages as they were sent, in short: `*` marks finals. */
    messages: () =>
      scripted
        .sent()
        .map(({ to, transcript }) =>
          [
            to._tag === "Call" ? "call" : to.session,
            `${transcript.speakerSessionId}:`,
            `${transcript.message}${transcript.final ? "*" : ""}`
          ].join(" ")
        )
  }
})

export type CaptionScene = Effect.Success<ReturnType<typeof make>>

/** Metrics of one test are its own. */
export const isolated = Effect.provideService(Metric.MetricRegistry, new Map())
