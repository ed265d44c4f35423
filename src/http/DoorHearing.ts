/**
 * The audio side of one streaming session: its voice, the transcription of it, and what is owed to the client for it: speech borders, segments,
 * answers to commits, the last words.
 */
import { type Cause, Deferred, Effect, Exit, type Fiber, Scope, Stream } from "effect"
import { msOfSamples } from "../domain/Audio.ts"
import type { AudioTrouble } from "../domain/AudioTrouble.ts"
import type { Transcribed } from "../domain/Segment.ts"
import * as SocketVoice from "../layers/SocketVoice.ts"
import type { Decoder } from "../services/Decoder.ts"
import type { EngineTrouble } from "../services/Engines.ts"
import type { Resampler } from "../services/Resampler.ts"
import type { Transcriber } from "../services/Transcriber.ts"
import type { Event, SaidLine } from "./Dialect.ts"
import type { Hearing } from "./DoorChoice.ts"
import * as DoorTranscript from "./DoorTranscript.ts"

export interface DoorHearing {
  /** Begins; later, changes what is meant from then on. */
  readonly start: (hearing: Hearing) => Effect.Effect<void>
  readonly isStarted: () => boolean
  /**
   * Takes audio, waiting while no engine takes it: this holds the client up. It also waits for what was said before a commit or a reset, or
   * nobody could tell which words belong to which side of it. Ends early with what makes the rest of it useless.
   */
  readonly hear: (bytes: Uint8Array) => Effect.Effect<AudioTrouble | undefined>
  /** The same where there is nothing to wait for and it is not much; else `Later`, and nothing was taken. */
  readonly hearNow: (bytes: Uint8Array) => AudioTrouble | "Later" | undefined
  /** `Committed` is told when what was heard so far was said. */
  readonly commit: () => void
  /** So many commits wait for their answer that nothing more should be read. */
  readonly isCrowded: () => boolean
  readonly reset: () => void
  /** No more audio. `Finished` is told behind the last words, or `onUnheard` is called. */
  readonly finish: () => void
  /** No more audio; completes behind the last words, or when none are to be expected any more. */
  readonly lastWords: Effect.Effect<void>
  /** Completes likewise, once there is no more audio. */
  readonly over: Effect.Effect<void>
  /** About every 20 ms. */
  readonly tick: (nowMs: number) => void
  readonly heardMs: () => number
  /** Of that, in which somebody spoke. */
  readonly spokenMs: () => number
  /** When an engine last took or said something, ms of the monotonic clock. */
  readonly movedAtMs: () => number
  /** Since when somebody speaks, or was not answered, and no engine says anything; absent when nothing is owed. */
  readonly owedSinceMs: () => number | undefined
  /** Why no engine would take what is said now, if that is so. */
  readonly trouble: () => EngineTrouble | undefined
  readonly said: () => ReadonlyArray<SaidLine>
  readonly record: () => ReadonlyArray<string>
}

export interface DoorHearingOptions {
  readonly id: string
  readonly decoder: Decoder["Service"]
  readonly resampler: Resampler["Service"]
  readonly transcriber: Transcriber["Service"]
  readonly now: () => number
  readonly put: (event: Event) => void
  /** Some audio could not be used. */
  readonly onTrouble: () => void
  /** In place of `Finished`: no engine has taken all of the audio. */
  readonly onUnheard: () => void
  /** There is a bug. */
  readonly onBroken: (cause: Cause.Cause<never>) => void
}

/** 2 s: frames that may wait for an engine before the client is held up. */
const MOST_FRAMES = 25
/** How often it is looked whether they have been taken. */
const LOOK_AGAIN = "20 millis"
/**
 * Others get their turn between two pieces: 100 ms of float32 at 24 kHz, the most that comes in one message of a conversation; and a second of
 * Opus, which at its lowest rates fills the voice's queue no further.
 */
const RAW_PIECE = 9600
const PACKED_PIECE = 1024
/** A flush takes at most 3 s, and before it the engine's share of what was still waiting. */
const COMMIT_MS = 6_000
/** Nothing takes the audio (an engine starts, or is lost): a commit is not put off longer. */
const LATE_COMMIT_MS = 20_000
/** Nobody who means it has so many utterances at once. */
const MOST_COMMITS = 64
/** No frame was taken and no word came for so long: longer than the Transcriber waits for an engine that starts. */
const LAST_WORDS_MS = 35_000

interface Commit {
  readonly throughMs: number
  readonly latestAtMs: number
  dueAtMs: number
}

/** Nothing is opened before `start`; everything ends with the scope. */
export const make = Effect.fnUntraced(function* (
  options: DoorHearingOptions
): Effect.fn.Return<DoorHearing, never, Scope.Scope> {
  const { now, put } = options
  const scope = yield* Effect.scope
  const over = yield* Deferred.make<void>()
  const transcript = DoorTranscript.make()
  const commits: Array<Commit> = []
  let hearing: Hearing | undefined
  let voice: SocketVoice.SocketVoice | undefined
  let fiber: Fiber.Fiber<void> | undefined
  let forgetting: Commit | undefined
  let isEnding = false
  let isFinishAsked = false
  let isOver = false
  let movedAtMs = 0
  let owedSinceMs: number | undefined
  /** Frames that waited when it was looked last. */
  let wasWaiting = 0

  const heardMs = () => voice?.heardMs() ?? 0

  const answerCommits = (isDue: (commit: Commit) => boolean) => {
    for (let next = commits[0]; next !== undefined && isDue(next); next = commits[0]) {
      commits.shift()
      put({ _tag: "Committed", said: transcript.said() })
    }
  }

  const take = (transcribed: Transcribed) => {
    if (transcribed._tag === "Marked") return
    movedAtMs = now()
    const isQuiet = voice?.isSpeaking() === false && voice.queued() === 0
    owedSinceMs = transcribed._tag === "Settled" && isQuiet ? undefined : movedAtMs
    if (transcribed._tag === "Settled") {
      const throughMs = msOfSamples(transcribed.position)
      transcript.settled(throughMs)
      put({ _tag: "Settled", throughMs })
      answerCommits((commit) => transcript.isSettled(commit.throughMs))
      return
    }
    if (transcribed._tag === "Interrupted") {
      const gap = { atMs: msOfSamples(transcribed.position), lengthMs: msOfSamples(transcribed.samples) }
      if (transcript.interrupted(gap)) put({ _tag: "Interrupted", ...gap })
      return
    }
    const placed = transcript.take(transcribed.segment, heardMs())
    if (placed !== undefined && hearing !== undefined) put({ _tag: "Segment", ...placed, language: hearing.language })
  }

  const tellFinished = () => {
    // of a voice that is over, how far it ever came
    const spokenMs = msOfSamples(voice?.endSpeech(now()) ?? 0)
    if (transcript.isSettled(spokenMs)) put({ _tag: "Finished", said: transcript.said() })
    else options.onUnheard()
  }

  const transcribed = (exit: Exit.Exit<void>) => {
    isOver = true
    owedSinceMs = undefined
    answerCommits(() => true)
    if (isFinishAsked) tellFinished()
    Deferred.doneUnsafe(over, Effect.void)
    if (Exit.isFailure(exit) && !Exit.hasInterrupts(exit)) options.onBroken(exit.cause)
  }

  const begin = Effect.fnUntraced(function* (first: Hearing) {
    hearing = first
    const language = () => hearing?.language ?? first.language
    const engine = () => hearing?.engine
    const opened = yield* SocketVoice.make({
      ...options,
      format: first.format,
      language,
      engine,
      privacy: first.privacy,
      onSpeech: (border) => {
        if (border._tag === "SpeechStarted") {
          transcript.speechStarted(border.atMs)
          owedSinceMs ??= now()
        }
        put(border)
      }
    })
    voice = opened
    fiber = yield* Stream.runForEach(options.transcriber.transcribe(opened.voice), (one) =>
      Effect.sync(() => take(one))
    ).pipe(
      Effect.onExit((exit) => Effect.sync(() => transcribed(exit))),
      Effect.forkIn(scope)
    )
  })

  /** Ends the utterance; what is then owed, and until when. */
  const cut = (): Commit => {
    const atMs = now()
    const throughMs = msOfSamples(voice?.endSpeech(atMs) ?? 0)
    return { throughMs, dueAtMs: atMs + COMMIT_MS, latestAtMs: atMs + LATE_COMMIT_MS }
  }
  const isDue = (commit: Commit, nowMs: number) => {
    if ((voice?.queued() ?? 0) > 0) commit.dueAtMs = nowMs + COMMIT_MS
    return transcript.isSettled(commit.throughMs) || nowMs >= Math.min(commit.dueAtMs, commit.latestAtMs)
  }

  /** What is not over by then belongs to what is said from now on. */
  const forgot = (nowMs: number) => {
    if (forgetting === undefined || !isDue(forgetting, nowMs)) return
    transcript.settled(forgetting.throughMs)
    forgetting = undefined
  }

  const end = () => {
    if (isEnding) return
    isEnding = true
    movedAtMs = now()
    if (voice === undefined) transcribed(Exit.void)
    else voice.end(now())
  }

  const isHeldUp = ({ queued }: SocketVoice.SocketVoice) =>
    queued() > MOST_FRAMES || commits.length > 0 || forgetting !== undefined

  /** Gives what makes the rest of it useless. */
  const listen = ({ hear }: SocketVoice.SocketVoice, piece: Uint8Array): AudioTrouble | undefined => {
    const trouble = hear(piece, now())
    if (trouble !== undefined) options.onTrouble()
    return trouble?.goesOn === false ? trouble : undefined
  }

  const pieceOf = () => (hearing?.format._tag === "Raw" ? RAW_PIECE : PACKED_PIECE)

  return {
    start: (next) => {
      if (voice === undefined) return isEnding ? Effect.void : Scope.provide(begin(next), scope)
      hearing = next
      voice.setFormat(next.format)
      return Effect.void
    },
    isStarted: () => hearing !== undefined,
    hear: Effect.fnUntraced(function* (bytes) {
      for (let at = 0; at < bytes.length; ) {
        if (voice === undefined || isEnding) return
        if (isHeldUp(voice)) {
          yield* Effect.sleep(LOOK_AGAIN)
          continue
        }
        const piece = bytes.subarray(at, at + pieceOf())
        at += piece.length
        const trouble = listen(voice, piece)
        if (trouble !== undefined) return trouble
        if (at < bytes.length) yield* Effect.yieldNow
      }
    }),
    hearNow: (bytes) => {
      if (voice === undefined || isEnding) return undefined
      return bytes.length > pieceOf() || isHeldUp(voice) ? "Later" : listen(voice, bytes)
    },
    commit: () => {
      commits.push(cut())
      answerCommits((commit) => isOver || transcript.isSettled(commit.throughMs))
    },
    isCrowded: () => commits.length >= MOST_COMMITS,
    reset: () => {
      forgetting = cut()
      transcript.reset(forgetting.throughMs)
      put({ _tag: "WasReset" })
      forgot(now())
    },
    finish: () => {
      if (isFinishAsked) return
      isFinishAsked = true
      if (isOver) tellFinished()
      end()
    },
    lastWords: Effect.suspend(() => {
      end()
      return Deferred.await(over)
    }),
    over: Deferred.await(over),
    tick: (nowMs) => {
      if (voice === undefined || isOver) return
      voice.tick(nowMs)
      const waiting = voice.queued()
      if (waiting !== wasWaiting) movedAtMs = nowMs
      wasWaiting = waiting
      if (commits.length > 0) answerCommits((commit) => isDue(commit, nowMs))
      forgot(nowMs)
      if (isEnding && nowMs - movedAtMs > LAST_WORDS_MS) fiber?.interruptUnsafe()
    },
    heardMs,
    spokenMs: () => msOfSamples(voice?.counters.spokenSamples ?? 0),
    movedAtMs: () => movedAtMs,
    owedSinceMs: () => owedSinceMs,
    trouble: () => (voice === undefined ? undefined : options.transcriber.trouble?.(voice.voice)),
    said: transcript.said,
    record: transcript.record
  }
})
