/**
 * S3TranscriptStore: transcripts as objects in a bucket, Amazon's or that of a store which speaks the same.
 *
 * The SDK is loaded when the layer is built, not when this module is.
 */
import type { S3Client } from "@aws-sdk/client-s3"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { type Duration, Effect, Layer, type Scope } from "effect"
import { type SessionTranscript, TranscriptStore } from "../services/TranscriptStore.ts"
import { codeOf, wordOf } from "./ErrorCode.ts"
import { fileOf, PlaceError, stampOf, type TranscriptPlace, uniqueStampOf } from "./TranscriptPlace.ts"
import * as TranscriptSpool from "./TranscriptSpool.ts"

export interface PlaceOptions {
  readonly bucket: string
  readonly region: string
  /** A store other than Amazon's. */
  readonly endpoint?: string | undefined
  /** The store refuses to overwrite where it is asked not to. Absent: Amazon's does, others are not trusted to. */
  readonly isConditional?: boolean
  /** Absent: found as by every AWS tool. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

export interface Options extends PlaceOptions {
  /** Where transcripts are kept until they are in the bucket. */
  readonly spool: string
  /** See `TranscriptSpool`. */
  readonly firstRetry?: Duration.Input
}

/** Where none is configured, as the AWS tools have it; other stores take any. */
export const DEFAULT_REGION = "us-east-1"

/** Names of the SDK's errors, and what an admin should know. */
const faults: ReadonlyArray<readonly [name: RegExp, detail: string]> = [
  [/^NoSuchBucket/, "the bucket does not exist"],
  [/^AccessDenied|^AllAccessDisabled|^Forbidden/, "the credentials lack the permission s3:PutObject for the bucket"],
  [
    /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|ExpiredToken|TokenRefreshRequired|UnrecognizedClient|AuthorizationHeaderMalformed)/,
    "the store does not accept the credentials, or the bucket is in another region"
  ],
  [/^PermanentRedirect|^IllegalLocationConstraint/, "the bucket is in another region"],
  [
    /^Credentials/,
    "no AWS credentials were found (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role)"
  ],
  [/^(SlowDown|ServiceUnavailable|Throttling|InternalError)/, "the store is overloaded"]
]
/** The object is there already, or somebody is just putting it there. */
const TAKEN = /^(PreconditionFailed|ConditionalRequestConflict)/

/**
 * Objects are named for the second a session ended; Amazon refuses a second object of a name, which then gets eight more digits. Other stores
 * may not know that condition, so there every name has them. Nothing is overwritten. Only s3:PutObject is needed.
 */
export const layer = (options: Options): Layer.Layer<TranscriptStore> =>
  Layer.effect(
    TranscriptStore,
    Effect.flatMap(place(options), (made) => TranscriptSpool.make({ ...options, place: made, folder: options.spool }))
  ).pipe(Layer.provide(NodeFileSystem.layer))

export const place = Effect.fnUntraced(function* (
  options: PlaceOptions
): Effect.fn.Return<TranscriptPlace, never, Scope.Scope> {
  const { bucket, credentials, endpoint, region } = options
  const isConditional = options.isConditional ?? endpoint === undefined
  const sdk = yield* Effect.promise(() => import("@aws-sdk/client-s3"))
  const create = (): S3Client =>
    new sdk.S3Client({
      region,
      ...(credentials === undefined ? {} : { credentials }),
      // other stores: the bucket in the path, and none of the checksums that some of them refuse
      ...(endpoint === undefined
        ? {}
        : {
            endpoint,
            forcePathStyle: true,
            requestChecksumCalculation: "WHEN_REQUIRED",
            responseChecksumValidation: "WHEN_REQUIRED"
          })
    })
  const client = yield* Effect.acquireRelease(Effect.sync(create), (made) => Effect.sync(() => made.destroy()))

  /** `false`: there is an object of this name. */
  const putAs = (key: string, transcript: SessionTranscript): Effect.Effect<boolean, PlaceError> =>
    Effect.tryPromise({
      try: (abortSignal) =>
        client.send(
          new sdk.PutObjectCommand({
            Bucket: bucket,
            Key: key,
            Body: fileOf(transcript),
            ContentType: "text/plain; charset=utf-8",
            ...(isConditional ? { IfNoneMatch: "*" } : {})
          }),
          { abortSignal }
        ),
      catch: (exception) => (TAKEN.test(nameOf(exception)) ? "Taken" : toPlaceError(exception))
    }).pipe(
      Effect.as(true),
      Effect.catchIf(
        (fault) => fault === "Taken",
        () => Effect.succeed(false)
      )
    )

  return {
    name: "s3",
    put: Effect.fn("S3TranscriptStore.put")(function* (transcript: SessionTranscript) {
      const plain = `${stampOf(transcript)}.txt`
      const unique = `${uniqueStampOf(transcript)}.txt`
      if (isConditional && (yield* putAs(plain, transcript))) return plain
      // whoever is there under this name is this session
      yield* putAs(unique, transcript)
      return unique
    })
  }
})

const nameOf = (exception: unknown): string => (exception instanceof Error ? exception.name : "")

/** In our own words: the store's name accounts, and may quote what it was sent. */
const toPlaceError = (exception: unknown): PlaceError => {
  const name = nameOf(exception)
  const known = faults.find(([pattern]) => pattern.test(name))
  const code = codeOf(exception) ?? wordOf(name) ?? "no reason was given"
  return new PlaceError({ detail: known?.[1] ?? `the store cannot be reached or refuses (${code})` })
}
