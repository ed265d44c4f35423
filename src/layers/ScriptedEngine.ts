/**
 * ScriptedEngine: a speech engine that does what it is told, for tests, demonstrations and programs that embed Parlance.
 *
 * A `Script` says what becomes of frames; the `ScriptedEngine` service shows what the engine was given and lets a test speak, fail and
 * delay in the engine's place. Nothing in it depends on real time.
 *
 * ```ts
 * const engine = ScriptedEngine.layer(ScriptedEngine.sayEvery(5, ["good", "morning"]))
 * ```
 */
import { Cause, Context, Deferred, Effect, Layer, Queue, Stream } from "effect"
import { type AudioFrame, SAMPLE_RATE } from "../domain/Audio.ts"
import { kyutaiLanguages, type LanguageId } from "../domain/Language.ts"
import type { SpeechEvent, Word } from "../domain/Speech.ts"
import { type EngineCapabilities, EngineError, SpeechEngine } from "../services/SpeechEngine.ts"

/** One session as the engine sees it, in a test's hands. */
export interface ScriptedSession {
  /** 0 for the engine's first. */
  readonly index: number
  readonly language: LanguageId
  /** Frames sent so far. */
  readonly heard: () => number
  /** Positions of the newest frames sent, in order, at most 10,000. */
  readonly positions: () => ReadonlyArray<number>
  /** Flushes asked for so far. */
  readonly flushes: () => number
  /** The session's scope is closed. */
  readonly closed: () => boolean
  readonly emit: (...events: ReadonlyArray<SpeechEvent>) => void
  /** Appends these words to the session's one utterance. */
  readonly say: (text: string) => void
  /** Ends the session; what was emitted before is still read. */
  readonly fail: (reason: EngineError["reason"]) => void
  /** Moves the mark: what was emitted before is all that was said up to there. */
  readonly proveUpTo: (position: number) => void
}

/** What the engine does by itself; whatever is left out does nothing and takes no time. */
export interface Script {
  readonly capabilities?: Partial<EngineCapabilities>
  /** It tells how far it has computed what it was sent: at once, all of it. Else only words show that it is alive. Default: it tells. */
  readonly tellsProgress?: boolean
  /** Runs before session number `index` is open: sleep for a cold start, fail for a refusal. */
  readonly opening?: (index: number) => Effect.Effect<void, EngineError>
  readonly onFrame?: (frame: AudioFrame, session: ScriptedSession) => void
  /** Runs for each flush, which completes with it; the mark then covers what was sent before, unless more was sent and said meanwhile. */
  readonly flushing?: (session: ScriptedSession) => Effect.Effect<void, EngineError>
  /** Makes the engine one that wants to be told when no more audio comes; runs for that, in place of the last flush. */
  readonly finishing?: (session: ScriptedSession) => Effect.Effect<void, EngineError>
}

/** The engine from behind. */
export class ScriptedEngine extends Context.Service<
  ScriptedEngine,
  {
    /** All that were opened, in order; also those that are closed. */
    readonly sessions: () => ReadonlyArray<ScriptedSession>
    /** How often `open` was called, failures included. */
    readonly attempts: () => number
    /** The session with this index, as soon as it is open. */
    readonly session: (index: number) => Effect.Effect<ScriptedSession>
  }
>()("parlance/layers/ScriptedEngine") {}

/** At most this many events wait for the reader of a session; a script that says more than that unheard loses the newest. */
const EVENT_CAPACITY = 10_000
const MAX_POSITIONS = 10_000
const ITEM = "words"

const standard: EngineCapabilities = {
  name: "scripted",
  sampleRate: SAMPLE_RATE,
  partials: "append",
  endOfTurn: "none",
  mark: "KnownDelay",
  wordTimes: false,
  confidence: false,
  punctuation: true,
  languages: kyutaiLanguages,
  keepAlive: "None",
  fasterThanRealtime: true,
  local: true,
  billed: "Nothing"
}

/** A speech engine that follows the script, and the service to direct it. */
export const layer = (script: Script = {}): Layer.Layer<SpeechEngine | ScriptedEngine> =>
  Layer.effectContext(
    Effect.sync(() => {
      const sessions: Array<ScriptedSession> = []
      const arrivals = new Map<number, Deferred.Deferred<ScriptedSession>>()
      let attempts = 0
      const arrival = (index: number) => {
        const known = arrivals.get(index) ?? Deferred.makeUnsafe<ScriptedSession>()
        arrivals.set(index, known)
        return known
      }
      const open = Effect.fnUntraced(function* (options: { readonly language: LanguageId }) {
        const index = attempts++
        yield* script.opening?.(index) ?? Effect.void
        const { inside, outside } = yield* makeSession(script, sessions.length, options.language)
        sessions.push(inside)
        Deferred.doneUnsafe(arrival(inside.index), Effect.succeed(inside))
        return outside
      })
      return Context.make(SpeechEngine, { capabilities: { ...standard, ...script.capabilities }, open }).pipe(
        Context.add(ScriptedEngine, {
          sessions: () => sessions,
          attempts: () => attempts,
          session: (index) => Deferred.await(arrival(index))
        })
      )
    })
  )

/** A script by which each session says the next of `words` after every `frames` frames, and starts again when all are said. */
export const sayEvery = (frames: number, words: ReadonlyArray<string>): Script => ({
  onFrame: (_frame, session) => {
    const turn = session.heard() / frames
    if (Number.isInteger(turn)) session.say(words[(turn - 1) % words.length] ?? "")
  }
})

const makeSession = Effect.fnUntraced(function* (script: Script, index: number, language: LanguageId) {
  // bounded: EVENT_CAPACITY, the newest goes
  const events = yield* Queue.dropping<SpeechEvent, EngineError>(EVENT_CAPACITY)
  const ended = yield* Deferred.make<never, EngineError>()
  const positions: Array<number> = []
  let heard = 0
  let sentTo = 0
  let flushes = 0
  let closed = false
  let mark = 0
  let emitted = 0
  let emittedAtMark = 0
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
    })
  )
  const emit = (...said: ReadonlyArray<SpeechEvent>) => {
    emitted += said.length
    for (const event of said) Queue.offerUnsafe(events, event)
  }
  const proveUpTo = (position: number) => {
    if (position <= mark) return
    mark = position
    emit({ _tag: "Marked", position })
  }
  const inside: ScriptedSession = {
    index,
    language,
    heard: () => heard,
    positions: () => positions,
    flushes: () => flushes,
    closed: () => closed,
    emit,
    say: (text) => emit({ _tag: "Appended", item: ITEM, words: wordsOf(text) }),
    fail: (reason) => {
      const error = new EngineError({ reason, detail: "as scripted" })
      Queue.failCauseUnsafe(events, Cause.fail(error))
      Deferred.doneUnsafe(ended, Effect.fail(error))
    },
    proveUpTo
  }
  const flush = Effect.gen(function* () {
    const upTo = sentTo
    const emittedBefore = emitted
    flushes += 1
    yield* script.flushing?.(inside) ?? Effect.void
    // of words that came meanwhile nobody knows where they belong; and who says nothing, and does not tell that it hears, proves nothing
    const isCertain = sentTo === upTo || emitted === emittedBefore
    if (isCertain && (script.tellsProgress !== false || emitted > emittedAtMark)) proveUpTo(upTo)
    emittedAtMark = emitted
  })
  const finish = script.finishing?.(inside)
  return {
    inside,
    outside: {
      send: (frame: AudioFrame) => {
        heard += 1
        sentTo = frame.position + frame.pcm.length
        positions.push(frame.position)
        if (positions.length > MAX_POSITIONS) positions.shift()
        script.onFrame?.(frame, inside)
      },
      commit: Effect.void,
      flush: Effect.raceFirst(flush, Deferred.await(ended)),
      ...(finish === undefined ? {} : { finish: Effect.raceFirst(finish, Deferred.await(ended)) }),
      events: Stream.fromQueue(events),
      ...(script.tellsProgress === false ? {} : { progress: () => sentTo }),
      mark: () => mark
    }
  }
})

const wordsOf = (text: string): Array<Word> =>
  text
    .split(/\s+/)
    .filter((one) => one !== "")
    .map((one) => ({ text: one, joiner: "space" }))
