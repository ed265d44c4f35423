/**
 * The parameters of StartStreamTranscription as the service checks them. For the simulated Amazon Transcribe.
 */
import type { IncomingHttpHeaders } from "node:http2"
import { codes } from "./AwsLanguages.ts"

export interface TranscribeRequest {
  /** Hz. */
  readonly rate: number
  /** One, or those that are told apart. */
  readonly languages: ReadonlyArray<string>
  readonly identifies: "Nothing" | "OneLanguage" | "EveryLanguage"
  readonly preferred: string | undefined
  readonly vocabularies: ReadonlyArray<string>
  readonly stabilises: boolean
  readonly sessionId: string | undefined
}

const SESSION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** What is asked for, or in one line why it is refused. `vocabularies`: those there are. */
export const read = (headers: IncomingHttpHeaders, vocabularies: ReadonlyArray<string>): TranscribeRequest | string => {
  const value = (name: string): string | undefined => {
    const given = headers[`x-amzn-transcribe-${name}`]
    return typeof given === "string" && given !== "" ? given : undefined
  }
  const list = (name: string): ReadonlyArray<string> => value(name)?.split(",") ?? []
  const isOn = (name: string): boolean => value(name) === "true"

  const rate = Number(value("sample-rate"))
  const code = value("language-code")
  const options = list("language-options")
  const one = isOn("identify-language")
  const every = isOn("identify-multiple-languages")
  const preferred = value("preferred-language")
  const languages = code === undefined ? options : [code]
  const named = [...list("vocabulary-name"), ...list("vocabulary-names")]
  const sessionId = value("session-id")
  const stabilises = isOn("enable-partial-results-stabilization")
  const stability = value("partial-results-stability")

  if (headers["content-type"] !== "application/vnd.amazon.eventstream") return "the content is no event stream"
  if (value("media-encoding") !== "pcm") return "only pcm is simulated"
  if (!Number.isInteger(rate) || rate < 8000 || rate > 48_000) return "the sample rate must be 8000 to 48000"
  if ([code !== undefined, one, every].filter(Boolean).length !== 1)
    return "exactly one of the three ways to a language"
  if (!languages.every((language) => codes.some((known) => known === language))) return "a language that is not known"
  if (code === undefined && options.length < 2) return "at least two languages to tell apart"
  if (code !== undefined && options.length > 0) return "options without a language to identify"
  if (new Set(languages.map((language) => language.split("-")[0])).size < languages.length)
    return "one variant of each language"
  if (preferred !== undefined && !(one && options.includes(preferred)))
    return "a preferred language that is not among the options, or not one to identify"
  if (value("vocabulary-name") !== undefined && code === undefined) return "several vocabularies have another parameter"
  if (!named.every((name) => vocabularies.includes(name))) return "The vocabulary that you specified doesn't exist."
  if (stability !== undefined && !(stabilises && ["low", "medium", "high"].includes(stability)))
    return "a stability of low, medium or high, when it is enabled"
  if (sessionId !== undefined && !SESSION_ID.test(sessionId)) return "a session id must be a UUID"
  return {
    rate,
    languages,
    identifies: one ? "OneLanguage" : every ? "EveryLanguage" : "Nothing",
    preferred,
    vocabularies: named,
    stabilises,
    sessionId
  }
}
