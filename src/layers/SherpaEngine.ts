/**
 * sherpa-onnx as a SpeechEngine: streaming models in a child process of this machine. No audio leaves it.
 */
import { Cause, Deferred, Effect, Layer, Queue, type Scope, Stream } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import { known, type LanguageId, languagesOf } from "../domain/Language.ts"
import type { EndCause, SpeechEvent } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, type EngineSession, SpeechEngine } from "../services/SpeechEngine.ts"
import type { ConfigurationError } from "./ConfigurationError.ts"
import * as EngineMark from "./EngineMark.ts"
import * as Metrics from "./Metrics.ts"
import * as SherpaHost from "./SherpaHost.ts"
import * as SherpaModel from "./SherpaModel.ts"
import * as SherpaWords from "./SherpaWords.ts"
import * as StreamTimeline from "./StreamTimeline.ts"

export interface Options {
  /** A folder, or the name of a model under `storage`. */
  readonly model: string
  readonly storage: string
}

/** s of audio: a machine that is so far behind does not catch up. */
const MOST_BEHIND = 30
const FLUSH_CAP = "5 seconds"
/**
 * An utterance that ends by itself has more than this behind its last token (see `SherpaLibrary`): a word takes less to fade away than half of
 * it, and none begins before its first token by the other half.
 */
const SILENT_SECONDS = 0.8
/** So long nobody speaks without a pause: such an utterance was cut, be it within a word. */
const CUT_SECONDS = 250

/** Greedy search only adds: all but the last word, which may go on. */
const stableLength = (text: string): number => text.length - (text.match(/\S+$/)?.[0].length ?? 0)

const capabilitiesOf = (model: SherpaModel.SherpaModel): EngineCapabilities => ({
  name: "sherpa",
  model: model.name,
  sampleRate: model.sampleRate,
  partials: "replace",
  endOfTurn: "vad",
  mark: "Commits",
  wordTimes: true,
  confidence: model.kind === "transducer",
  // some write it, none says so
  punctuation: false,
  languages: languagesOf(model.languages),
  keepAlive: "None",
  fasterThanRealtime: true,
  local: true,
  billed: "Nothing"
})

/**
 * Sessions with a model on this machine.
 *
 * One child process computes for all of them, several at a time; when it ends, all sessions end as `Closed` and the next one starts it anew. A
 * flush pushes silence behind the last word and completes when all was computed. A session whose audio is not computed within 30 s of audio ends
 * as `Silent`. The mark lies in the silence that ended an utterance, and at the end of what was flushed. Progress is what the child says it has
 * computed.
 */
export const layer = (options: Options): Layer.Layer<SpeechEngine, ConfigurationError> =>
  Layer.effect(
    SpeechEngine,
    Effect.gen(function* () {
      const model = yield* SherpaModel.find(options.model, options.storage)
      const host = yield* SherpaHost.make(model)
      const capabilities = capabilitiesOf(model)
      return { capabilities, probe: host.running, open: ({ language }) => open(host, model, capabilities, language) }
    })
  )

const open = Effect.fn("SherpaEngine.open")(function* (
  host: SherpaHost.SherpaHost,
  model: SherpaModel.SherpaModel,
  capabilities: EngineCapabilities,
  language: LanguageId
): Effect.fn.Return<EngineSession, EngineError, Scope.Scope> {
  const count = yield* Metrics.engineAudio(capabilities)
  // bounded by MOST_BEHIND: the child tells a few things for each step it computes of what it was sent
  const reports = yield* Queue.unbounded<SherpaHost.SessionReport, EngineError>()
  const ended = yield* Deferred.make<never, EngineError>()
  const timeline = StreamTimeline.make(model.sampleRate)
  const mark = EngineMark.make()
  const flushes = new Map<number, { readonly through: number; readonly done: () => void }>()
  let token = 0
  let computed = 0
  let utterance = 0
  let isShown = false

  const end = (error: EngineError) => {
    Queue.failCauseUnsafe(reports, Cause.fail(error))
  }
  const session = yield* host.open(String(known(capabilities.languages, language) ?? model.languages[0]), (report) => {
    if (report._tag === "Gone") end(report.error)
    else if (report._tag === "Computed") computed = report.samples
    else Queue.offerUnsafe(reports, report)
  })
  yield* Metrics.engineSession(capabilities)
  const msAt = (seconds: number) => msOfSamples(timeline.onsetAt(Math.round(seconds * model.sampleRate)))

  /** Behind an utterance that a pause has ended. */
  const markBehind = (times: ReadonlyArray<number>): ReadonlyArray<SpeechEvent> => {
    const [first] = times
    const last = times.at(-1)
    if (first === undefined || last === undefined || last - first > CUT_SECONDS) return []
    return mark.reach(timeline.voiceAt(Math.round((last + SILENT_SECONDS / 2) * model.sampleRate)))
  }

  const eventsOf = (report: SherpaHost.SessionReport): ReadonlyArray<SpeechEvent> => {
    if (report._tag === "Flushed") return mark.reach(timeline.voiceAt(flushes.get(report.token)?.through ?? 0))
    if (report._tag !== "Text") return []
    const item = `u${utterance}`
    const words = report.text === "" ? [] : SherpaWords.wordsOf(report, msAt)
    if (!report.isFinal) {
      isShown = true
      return [{ _tag: "Replaced", item, text: report.text, stableLength: stableLength(report.text), words }]
    }
    if (report.text === "" && !isShown) return []
    isShown = false
    utterance += 1
    const cause: EndCause = flushes.size > 0 ? "Silence" : "EngineFinal"
    return [{ _tag: "Completed", item, text: report.text, words, cause }, ...markBehind(report.times)]
  }
  /** After the reader has taken the events before it. */
  const settle = (report: SherpaHost.SessionReport) =>
    Effect.sync(() => {
      mark.settle()
      if (report._tag !== "Flushed") return
      const flushed = flushes.get(report.token)
      flushes.delete(report.token)
      flushed?.done()
    })

  const flush = Effect.callback<void>((resume) => {
    const silence = Math.ceil((model.flushMs * model.sampleRate) / 1000)
    const id = ++token
    flushes.set(id, { through: timeline.sent(), done: () => resume(Effect.void) })
    timeline.silence(silence)
    count(silence)
    session.send({ _tag: "Flush", session: session.id, token: id, silence })
  }).pipe(Effect.timeoutOrElse({ duration: FLUSH_CAP, orElse: () => Effect.void }))
  const flushing = Effect.raceFirst(flush, Deferred.await(ended))

  return {
    send: ({ pcm, position }) => {
      timeline.frame(position, pcm.length)
      count(pcm.length)
      // a copy: a view would take all of its memory along
      session.send({ _tag: "Audio", session: session.id, pcm: pcm.slice() })
      if (timeline.sent() - computed > MOST_BEHIND * model.sampleRate) {
        end(new EngineError({ reason: "Silent", detail: "this machine does not keep up" }))
      }
    },
    commit: flushing,
    flush: flushing,
    events: Stream.fromQueue(reports).pipe(
      Stream.tapError((error) => Deferred.fail(ended, error)),
      Stream.flatMap((report) =>
        Stream.concat(Stream.fromIterable(eventsOf(report)), Stream.fromEffectDrain(settle(report)))
      )
    ),
    mark: mark.position,
    progress: () => timeline.voiceAt(computed)
  }
})
