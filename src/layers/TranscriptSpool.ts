/**
 * TranscriptSpool: keeps transcripts on this machine until they are where they belong, also over a restart.
 */
import { join } from "node:path"
import { Duration, Effect, FileSystem, Latch, Metric, Option, Random, Result, Schema, type Scope } from "effect"
import { type SessionTranscript, type TranscriptStore, TranscriptStoreError } from "../services/TranscriptStore.ts"
import { wordsOf } from "./DiskTrouble.ts"
import * as Metrics from "./Metrics.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { PlaceError, type TranscriptPlace, uniqueStampOf } from "./TranscriptPlace.ts"

export interface Options {
  readonly place: TranscriptPlace
  /** Made, for us alone, where it is missing. */
  readonly folder: string
  /** After the first failure; twice as long after each that follows, up to 15 minutes. Absent: 15 s. */
  readonly firstRetry?: Duration.Input
}

const FIRST_RETRY = "15 seconds"
const LONGEST_RETRY_MS = 15 * 60_000
/** Clients wait for the answer. */
const PUT_LIMIT = "20 seconds"
/** Some hundreds of megabytes; a store that is away for longer loses the newest. */
const MOST_KEPT = 10_000
const SUFFIX = ".json"

const Kept = Schema.fromJsonString(
  Schema.Struct({ sessionId: Schema.String, endedAtMs: Schema.Int, lines: Schema.Array(Schema.String) })
)
const decode = Schema.decodeUnknownOption(Kept)
const encode = Schema.encodeEffect(Kept)

/**
 * A store over a place that may fail.
 *
 * A transcript is first kept, in a file of its own that only we can read, then put; when it is there the file goes. So a transcript survives
 * an outage of the place, and the end of this process at any moment; it may be put twice when the answer to the first time was lost. What is
 * kept is tried again at the start, after a while, and whenever a newer one could be put. A failure is said in one line of the log until it is over.
 */
export const make = Effect.fnUntraced(function* ({
  place,
  folder,
  firstRetry = FIRST_RETRY
}: Options): Effect.fn.Return<TranscriptStore["Service"], never, FileSystem.FileSystem | Scope.Scope> {
  const files = yield* FileSystem.FileSystem
  const attributes = { place: place.name }
  const stored = Metric.withAttributes(Metrics.transcriptsStored, attributes)
  const failed = Metric.withAttributes(Metrics.transcriptsFailed, attributes)
  const waiting = Metric.withAttributes(Metrics.transcriptsWaiting, attributes)
  const firstMs = Duration.toMillis(firstRetry)
  /** Rung when the place took a transcript, and when it refused one. */
  const bell = Latch.makeUnsafe(false)
  /** Files of those that `save` has in hand. */
  const inHand = new Set<string>()
  const unreadable = new Set<string>()
  let retryMs = 0
  let trouble: string | undefined
  /** The newest could be written down before it was put. */
  let canKeep = true

  const pathOf = (name: string) => join(folder, name)
  const list = files.readDirectory(folder).pipe(
    Effect.orElseSucceed((): Array<string> => []),
    Effect.map((names) => names.filter((name) => name.endsWith(SUFFIX) && !unreadable.has(name)).sort())
  )
  const count = Effect.flatMap(list, (names) => Metric.update(waiting, names.length))

  const keep = (name: string, transcript: SessionTranscript) =>
    Effect.gen(function* () {
      const kept = yield* list
      if (kept.length >= MOST_KEPT) return yield* new PlaceError({ detail: "too many are kept" })
      const { endedAtMs, lines, sessionId } = transcript
      yield* PrivateFile.replace(pathOf(name), yield* encode({ sessionId, endedAtMs: Math.round(endedAtMs), lines }))
    }).pipe(
      Effect.provideService(FileSystem.FileSystem, files),
      Effect.matchEffect({
        onSuccess: () => Effect.sync(() => (canKeep = true)),
        onFailure: (error) =>
          Effect.suspend(() => {
            const isKnown = !canKeep
            canKeep = false
            const why = error._tag === "PlatformError" ? wordsOf(error) : error.message
            const warning = `Transcripts cannot be kept in ${folder}: ${why}. One that cannot be stored at once is lost.`
            return Effect.as(isKnown ? Effect.void : Effect.logWarning(warning), false)
          })
      })
    )
  const forget = (name: string) => Effect.ignore(files.remove(pathOf(name), { force: true }))

  const worked = Effect.suspend(() => {
    const before = trouble
    trouble = undefined
    return Effect.andThen(
      Metric.update(stored, 1),
      before === undefined ? Effect.void : Effect.logInfo("Transcripts are stored again.")
    )
  })
  const complain = ({ detail }: PlaceError) =>
    Effect.suspend(() => {
      const isKnown = trouble === detail
      trouble = detail
      return Effect.andThen(
        Metric.update(failed, 1),
        isKnown
          ? Effect.void
          : Effect.logWarning(
              `Transcripts cannot be stored: ${detail}. ${canKeep ? `They wait in ${folder} and are tried again.` : "They are lost."}`
            )
      )
    })
  const put = (transcript: SessionTranscript): Effect.Effect<string, PlaceError> =>
    place.put(transcript).pipe(
      Effect.timeoutOrElse({
        duration: PUT_LIMIT,
        orElse: () => Effect.fail(new PlaceError({ detail: "the store does not answer" }))
      }),
      Effect.tap(() => worked),
      Effect.tapError(complain)
    )

  const saved = Effect.fnUntraced(function* (name: string, transcript: SessionTranscript) {
    const isKept = yield* Effect.uninterruptible(keep(name, transcript))
    const outcome = yield* Effect.result(put(transcript))
    if (Result.isSuccess(outcome)) {
      yield* forget(name)
      return outcome.success
    }
    retryMs = Math.max(retryMs, firstMs)
    const { detail } = outcome.failure
    return yield* new TranscriptStoreError({
      detail: isKept ? `${detail}; the transcript is kept and will be stored later` : detail,
      isKept
    })
  })
  const save = Effect.fn("TranscriptStore.save")((transcript: SessionTranscript) => {
    const name = `${uniqueStampOf(transcript)}${SUFFIX}`
    inHand.add(name)
    const over = Effect.sync(() => {
      inHand.delete(name)
      bell.openUnsafe()
    })
    return saved(name, transcript).pipe(Effect.ensuring(over), Effect.ensuring(count))
  })

  /** Puts one that was kept; `false` when the place does not take it. */
  const retry = Effect.fnUntraced(function* (name: string) {
    const transcript = Option.flatMap(yield* Effect.option(files.readFileString(pathOf(name))), (text) => decode(text))
    if (Option.isNone(transcript)) {
      unreadable.add(name)
      yield* Effect.logWarning(`A kept transcript cannot be read: ${pathOf(name)}`)
      return true
    }
    const outcome = yield* Effect.result(put(transcript.value))
    if (Result.isFailure(outcome)) return false
    yield* forget(name)
    return true
  })

  const work = Effect.gen(function* () {
    for (;;) {
      yield* bell.close
      const names = (yield* list).filter((name) => !inHand.has(name))
      yield* count
      if (names.length === 0) {
        yield* bell.await
        continue
      }
      const jitter = 0.8 + 0.4 * (yield* Random.next)
      if (retryMs > 0 && trouble !== undefined) yield* Effect.timeoutOption(untilItWorks, retryMs * jitter)
      let isWorking = true
      for (const name of names) isWorking = isWorking && (yield* retry(name))
      retryMs = isWorking ? 0 : Math.min(LONGEST_RETRY_MS, Math.max(firstMs, retryMs * 2))
    }
  })
  const untilItWorks: Effect.Effect<void> = Effect.gen(function* () {
    while (trouble !== undefined) {
      yield* bell.await
      yield* bell.close
    }
  })
  yield* Effect.forkScoped(work)
  return { isConfigured: true, save }
})
