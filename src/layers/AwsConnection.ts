/**
 * AwsConnection: Amazon Transcribe through its SDK, which signs, frames and finds credentials. The SDK is loaded when a connection is
 * made, not when this module is.
 */
import type { TranscribeStreamingClient } from "@aws-sdk/client-transcribe-streaming"
import { Effect, type Scope, Stream } from "effect"
import { EngineError } from "../services/SpeechEngine.ts"
import { RATE } from "./AwsAudio.ts"
import * as AwsFaults from "./AwsFaults.ts"
import type { LanguageRequest } from "./AwsLanguages.ts"

export interface Options {
  readonly region: string
  /** Name of a custom vocabulary. */
  readonly vocabulary?: string | undefined
  /** In place of the region's own. */
  readonly endpoint?: string | undefined
  readonly skipCertVerify?: boolean
  /** Absent: found as by every AWS tool. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

/** A region and account, for all sessions. */
export interface AwsConnection {
  /** Opens a stream, which is gone when the scope closes. Gives what the SDK reads, for one reader. */
  readonly open: (stream: Outgoing) => Effect.Effect<Stream.Stream<unknown, EngineError>, EngineError, Scope.Scope>
}

export interface Outgoing {
  readonly audio: AsyncIterable<OutgoingAudio>
  readonly language: LanguageRequest
  /** Ends the audio: called when the scope closes. */
  readonly end: () => void
  /** The service has understood something: how the stream was set up is right. */
  readonly hasResults: () => boolean
}

export interface OutgoingAudio {
  readonly AudioEvent: { readonly AudioChunk: Uint8Array }
}

/** The service answers within a second; before that credentials may have to be fetched, from the machine's role or by a single sign-on. */
const OPEN_TIMEOUT = "8 seconds"

/** Makes the client; nothing is connected or asked for yet. */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<AwsConnection, never, Scope.Scope> {
  const { credentials, endpoint, region, skipCertVerify, vocabulary } = options
  const sdk = yield* Effect.promise(() => import("@aws-sdk/client-transcribe-streaming"))
  const create = (): TranscribeStreamingClient =>
    new sdk.TranscribeStreamingClient({
      region,
      // a failed session is the Transcriber's affair
      maxAttempts: 1,
      logger: silent,
      requestHandler: {
        disableConcurrentStreams: true,
        ...(skipCertVerify === true ? { nodeHttp2ConnectOptions: { rejectUnauthorized: false } } : {})
      },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials })
    })
  const client = yield* Effect.acquireRelease(Effect.sync(create), (made) => Effect.sync(() => made.destroy()))

  /** Resolves when the service has answered; what it says comes from `incoming`, which the SDK gives only with the first of it. */
  const start = async (audio: Outgoing["audio"], language: LanguageRequest, abortSignal: AbortSignal) => {
    const vocabularies = "LanguageCode" in language ? { VocabularyName: vocabulary } : { VocabularyNames: vocabulary }
    const command = new sdk.StartStreamTranscriptionCommand({
      MediaEncoding: "pcm",
      MediaSampleRateHertz: RATE,
      EnablePartialResultsStabilization: true,
      PartialResultsStability: "high",
      ...language,
      ...(vocabulary === undefined ? {} : vocabularies),
      AudioStream: audio
    })
    const answered = Promise.withResolvers<void>()
    command.middlewareStack.add(
      (next) => async (args) => {
        const answer = await next(args)
        if (isAccepted(answer.response)) answered.resolve()
        return answer
      },
      // the last one before the wire
      { step: "deserialize", priority: "low" }
    )
    const incoming = client.send(command, { abortSignal }).then(({ TranscriptResultStream }) => TranscriptResultStream)
    await Promise.race([answered.promise, incoming])
    return { incoming }
  }

  return {
    open: Effect.fnUntraced(function* ({ audio, end, hasResults, language }) {
      const controller = yield* Effect.acquireRelease(
        Effect.sync(() => new AbortController()),
        (made) =>
          Effect.sync(() => {
            end()
            made.abort()
          })
      )
      const { incoming } = yield* Effect.tryPromise({
        try: () => start(audio, language, controller.signal),
        catch: (exception) => AwsFaults.ofException(exception, { isOpen: false, hasResults: false })
      }).pipe(
        Effect.timeoutOrElse({
          duration: OPEN_TIMEOUT,
          orElse: () =>
            Effect.fail(new EngineError({ reason: "Unreachable", detail: "Amazon Transcribe does not answer" }))
        })
      )
      return messagesOf(incoming, hasResults)
    })
  }
})

/** What the SDK would write to the console. */
const silent = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

const isAccepted = (response: unknown): boolean =>
  typeof response === "object" && response !== null && "statusCode" in response && response.statusCode === 200

/** One after the other. Whoever stops reading does not wait for the next: the SDK's iterator would. */
const messagesOf = (
  incoming: Promise<AsyncIterable<unknown> | undefined>,
  hasResults: () => boolean
): Stream.Stream<unknown, EngineError> => {
  const wait = <A>(of: () => Promise<A>) =>
    Effect.tryPromise({
      try: of,
      catch: (exception) => AwsFaults.ofException(exception, { isOpen: true, hasResults: hasResults() })
    })
  return Stream.unwrap(
    Effect.gen(function* () {
      const iterator = (yield* wait(() => incoming))?.[Symbol.asyncIterator]()
      if (iterator === undefined) return Stream.empty
      return Stream.unfold(undefined, () =>
        Effect.map(
          wait(() => iterator.next()),
          ({ done, value }) => (done === true ? undefined : [value, undefined])
        )
      )
    })
  )
}
