/**
 * SherpaHost: keeps the child process with the recogniser, and says what it says to the sessions it is for.
 */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Deferred, Effect, Option, type Scope } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"
import { monotonicMs } from "./Monotonic.ts"
import { type SherpaModel, toText } from "./SherpaModel.ts"
import { type Command, type Report, readReport } from "./SherpaProtocol.ts"

/** What a session is told, in order; after `Gone` nothing more. */
export type SessionReport =
  | Extract<Report, { readonly session: number }>
  | { readonly _tag: "Gone"; readonly error: EngineError }

export interface HostSession {
  readonly id: number
  /** Never waits. Nothing happens when the child is gone. */
  readonly send: (command: Command) => void
}

export interface SherpaHost {
  /** A child runs and has its model; it is started when there is none. */
  readonly running: Effect.Effect<void, EngineError>
  /** A session of the child, which is started when there is none. It closes with its scope. */
  readonly open: (
    language: string,
    onReport: (report: SessionReport) => void
  ) => Effect.Effect<HostSession, EngineError, Scope.Scope>
}

/** Large models take seconds to load. */
const LOAD_LIMIT = "120 seconds"
const LEAVE_LIMIT = "2 seconds"
/** A step of eight sessions takes a tenth of a second; a child that was sent audio for a step and says nothing at all for so long hangs. */
const HUNG_MS = 2_000
const WATCH_EVERY = "250 millis"
/** The same file, from the sources or from what they were compiled to. */
const CHILD = fileURLToPath(new URL(import.meta.url.replace("SherpaHost", "SherpaProcess")))

/** A child as long as it lives. */
interface Child {
  readonly process: ChildProcess
  readonly loaded: Deferred.Deferred<void, EngineError>
}

/** Starts the child at once, so that a model which cannot be used is known before anybody speaks. It ends with the scope. */
export const make = Effect.fnUntraced(function* (model: SherpaModel): Effect.fn.Return<SherpaHost, never, Scope.Scope> {
  const readers = new Map<number, (report: SessionReport) => void>()
  let child: Child | undefined
  let sessions = 0
  const now = yield* monotonicMs
  /** Samples sent since the child said anything, and since when they were enough for it to say something. */
  let unanswered = 0
  let silentSinceMs: number | undefined
  const enough = (model.flushMs * model.sampleRate) / 1000

  const answered = () => {
    unanswered = 0
    silentSinceMs = undefined
  }
  const asked = (command: Command) => {
    if (command._tag === "Audio") unanswered += command.pcm.length
    if (unanswered >= enough) silentSinceMs ??= now()
  }
  const gone = (error: EngineError) => {
    child = undefined
    answered()
    const told = [...readers.values()]
    readers.clear()
    for (const reader of told) reader({ _tag: "Gone", error })
  }

  const start = (): Child => {
    // none of our secrets: it needs no environment
    const forked = fork(CHILD, [toText(model)], {
      serialization: "advanced",
      env: {},
      stdio: ["ignore", "ignore", "ignore", "ipc"]
    })
    const one: Child = { process: forked, loaded: Deferred.makeUnsafe() }
    let isLoaded = false
    const fail = (error: EngineError) => {
      Deferred.doneUnsafe(one.loaded, Effect.fail(error))
      if (child === one) gone(error)
    }
    forked.on("message", (message: unknown) => {
      const report = Option.getOrUndefined(readReport(message))
      if (report === undefined) return
      answered()
      if (report._tag === "Loaded") {
        isLoaded = true
        Deferred.doneUnsafe(one.loaded, Effect.void)
      } else if (report._tag === "Unusable") fail(unusable(report.detail))
      else readers.get(report.session)?.(report)
    })
    forked.on("error", () => fail(ended("it could not be started")))
    forked.on("exit", () => fail(isLoaded ? ended("its process ended") : unusable("it ends the process that loads it")))
    return one
  }

  yield* Effect.addFinalizer(() => Effect.suspend(() => (child === undefined ? Effect.void : leave(child.process))))
  child = start()
  yield* Effect.forever(
    Effect.andThen(
      Effect.sleep(WATCH_EVERY),
      Effect.sync(() => {
        // its end is told to all sessions, as any other
        if (silentSinceMs !== undefined && now() - silentSinceMs >= HUNG_MS) child?.process.kill("SIGKILL")
      })
    )
  ).pipe(Effect.forkScoped)

  const running = Effect.suspend(() => {
    child ??= start()
    const { loaded, process } = child
    return Effect.as(
      Deferred.await(loaded).pipe(
        Effect.timeoutOrElse({ duration: LOAD_LIMIT, orElse: () => Effect.fail(ended("its model does not load")) })
      ),
      process
    )
  })

  return {
    running: Effect.asVoid(running),
    open: (language, onReport) =>
      Effect.gen(function* () {
        const process = yield* running
        const id = ++sessions
        const send = (command: Command) => {
          if (!readers.has(id) || !process.connected) return
          process.send(command)
          asked(command)
        }
        readers.set(id, onReport)
        send({ _tag: "Open", session: id, language })
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            send({ _tag: "Close", session: id })
            readers.delete(id)
          })
        )
        return { id, send }
      })
  }
})

const ended = (detail: string) => new EngineError({ reason: "Closed", detail })
const unusable = (detail: string) =>
  new EngineError({ reason: "Refused", detail: `the model cannot be used: ${detail}` })

/** It leaves when it is told; one that computes for long is ended. */
const leave = (process: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (process.exitCode !== null || process.signalCode !== null) return resume(Effect.void)
    process.once("exit", () => resume(Effect.void))
    if (process.connected) process.disconnect()
  }).pipe(
    Effect.timeoutOrElse({ duration: LEAVE_LIMIT, orElse: () => Effect.sync(() => process.kill("SIGKILL")) }),
    Effect.asVoid
  )
