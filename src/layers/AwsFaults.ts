/**
 * What the exceptions of Amazon Transcribe and of its SDK mean to us, in our own words: its messages name accounts, users and roles.
 */
import { EngineError } from "../services/SpeechEngine.ts"
import { codeOf, wordOf } from "./ErrorCode.ts"

/** How far a session had come. */
export interface Stage {
  /** The request was accepted. */
  readonly isOpen: boolean
  /** It gave at least one result: how it was set up is right. */
  readonly hasResults: boolean
}

/** Names of exceptions, and what an admin should know. */
const refusals: ReadonlyArray<readonly [name: RegExp, detail: string]> = [
  [
    /^(CredentialsProviderError|CredentialsError)$/,
    "no AWS credentials were found (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role)"
  ],
  [/^AccessDenied/, "the AWS credentials lack the permission transcribe:StartStreamTranscription"],
  [/^Expired|^TokenRefreshRequired/, "the AWS credentials have expired"],
  [
    /^(UnrecognizedClient|InvalidClientTokenId|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|InvalidAccessKeyId|AuthFailure)/,
    "AWS does not accept the credentials, or the clock of this machine is wrong"
  ],
  [/^ResourceNotFound/, "Amazon Transcribe has no vocabulary of the name in LT_AWS_VOCABULARY"],
  [/^(OptInRequired|SubscriptionRequired)/, "the AWS account is not signed up for Amazon Transcribe in this region"]
]

/** The reason a session could not be opened or ended. */
export const ofException = (exception: unknown, { isOpen, hasResults }: Stage): EngineError => {
  const { code, message, name, status } = partsOf(exception)
  const error = (reason: EngineError["reason"], detail: string) => new EngineError({ reason, detail })
  const refusal = refusals.find(([pattern]) => pattern.test(name))
  if (refusal !== undefined) return error("Refused", refusal[1])
  if (/^LimitExceeded/.test(name))
    return hasResults
      ? error("LimitReached", "Amazon Transcribe ends the stream: it has reached a limit")
      : error("Busy", "the AWS account has as many streams as it may have")
  if (/^(ServiceUnavailable|Throttling|TooManyRequests|SlowDown|RequestLimitExceeded)/.test(name))
    return error("Busy", "Amazon Transcribe is overloaded")
  if (/^Conflict/.test(name)) return error("Closed", "another stream took this one's place")
  if (/^BadRequest/.test(name)) {
    if (/no new audio|timed out/i.test(message)) return error("Closed", "no audio came for 15 s")
    return hasResults
      ? error("Protocol", "Amazon Transcribe does not understand what it is sent")
      : error("Refused", "Amazon Transcribe refuses the language, the vocabulary or the region of the configuration")
  }
  if (/^(InternalFailure|InternalServer)/.test(name))
    return error(isOpen ? "Closed" : "Unreachable", "Amazon Transcribe had an internal failure")
  // what the SDK stumbles over says so in many ways
  if (
    /^(SyntaxError|TypeError|RangeError)$/.test(name) ||
    /checksum|truncated event|message length|header type/i.test(message)
  )
    return error("Protocol", "Amazon Transcribe sent something that cannot be read")
  if (isOpen) return error("Closed", `the connection to Amazon Transcribe broke (${code})`)
  if (status === 401 || status === 402 || status === 403)
    return error("Refused", "AWS does not let these credentials in")
  if (status === 429 || status === 503) return error("Busy", "Amazon Transcribe is overloaded")
  return error("Unreachable", `no connection to Amazon Transcribe in this region (${code})`)
}

/** `code` is what may be shown: the system's own code, or the kind of exception. */
const partsOf = (exception: unknown) => {
  if (!(exception instanceof Error)) return { name: "", message: "", code: "no exception", status: 0 }
  const { message, name } = exception
  const metadata = "$metadata" in exception ? exception.$metadata : undefined
  const status =
    typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata ? metadata.httpStatusCode : 0
  const code = codeOf(exception) ?? wordOf(name) ?? "no reason was given"
  return { name, message, code, status }
}
