/**
 * AwsLanguages: what Amazon Transcribe recognises in streams, and how a request says which of it.
 */
import type { LanguageCode } from "@aws-sdk/client-transcribe-streaming"
import { known, type LanguageId, type Languages, languagesOf } from "../domain/Language.ts"

/** The codes of StartStreamTranscription, the most general of each language first, as menus show them. */
export const codes = [
  ...["en-US", "en-GB", "en-AU", "en-IN", "en-IE", "en-NZ", "en-ZA", "en-AB", "en-WL", "es-US", "es-ES", "es-MX"],
  ...["fr-FR", "fr-CA", "de-DE", "de-CH", "it-IT", "pt-BR", "pt-PT", "nl-NL", "ja-JP", "ko-KR", "zh-CN", "zh-TW"],
  ...["zh-HK", "hi-IN", "ar-SA", "ar-AE", "af-ZA", "am-ET", "be-BY", "bg-BG", "bn-IN", "bs-BA", "ca-ES", "ckb-IQ"],
  ...["ckb-IR", "cs-CZ", "cy-WL", "da-DK", "el-GR", "et-ET", "eu-ES", "fa-IR", "fa-AF", "fi-FI", "gl-ES", "gu-IN"],
  ...["he-IL", "hr-HR", "ht-HT", "hu-HU", "hy-AM", "id-ID", "is-IS", "jv-ID", "kab-DZ", "ka-GE", "kk-KZ", "km-KH"],
  ...["kn-IN", "lg-IN", "lt-LT", "lv-LV", "mk-MK", "ml-IN", "mr-IN", "ms-MY", "my-MM", "ne-NP", "no-NO", "or-IN"],
  ...["pa-IN", "pl-PL", "ps-AF", "ro-RO", "ru-RU", "si-LK", "sk-SK", "sl-SI", "so-SO", "sq-AL", "sr-RS", "su-ID"],
  ...["sv-SE", "sw-KE", "sw-TZ", "sw-BI", "sw-RW", "sw-UG", "ta-IN", "te-IN", "th-TH", "tl-PH", "tr-TR", "uk-UA"],
  ...["uz-UZ", "vi-VN", "zu-ZA"]
] as const satisfies ReadonlyArray<LanguageCode>

/** Scotland and Wales have codes of Amazon's own, which no platform has a name for. */
const ownNames: Languages = {
  "en-AB": { name: "English (Scotland)", metadata: { separator: " ", rtl: false } },
  "en-WL": { name: "English (Wales)", metadata: { separator: " ", rtl: false } },
  "cy-WL": { name: "Cymraeg", metadata: { separator: " ", rtl: false } }
}

export const languages: Languages = { ...languagesOf(codes), ...ownNames }

/** For a call whose language is none of these. */
const FALLBACK: LanguageCode = "en-US"

/** The part of a request that is about languages: exactly one of the three ways there are. */
export type LanguageRequest =
  | { readonly LanguageCode: LanguageCode }
  | { readonly IdentifyLanguage: true; readonly LanguageOptions: string; readonly PreferredLanguage: LanguageCode }
  | { readonly IdentifyMultipleLanguages: true; readonly LanguageOptions: string }

/** The codes of a setting like `en-US` or `en-US,de-DE`, or in one line why they cannot be used. */
export const parse = (text: string | undefined): ReadonlyArray<LanguageCode> | string => {
  const asked = (text ?? "").split(",").flatMap((one) => one.trim() || [])
  const found = asked.flatMap((one) => codeOf(one) ?? [])
  if (found.length < asked.length) return `must be among those Amazon Transcribe knows: ${codes.join(", ")}`
  const families = new Set(found.map((code) => code.split("-")[0]))
  return families.size === found.length ? found : "must not name two variants of one language"
}

/**
 * What is asked of Amazon for a voice in `language` where `configured` was set. One code, or else the voice's own language, is taken for granted.
 * Several are told apart: if the voice's language is among them the one it speaks is found out once and that one preferred, else as often as
 * it changes.
 */
export const request = (configured: ReadonlyArray<LanguageCode>, language: LanguageId): LanguageRequest => {
  const spoken = codeOf(language)
  const [only, ...others] = configured
  if (only === undefined) return { LanguageCode: spoken ?? FALLBACK }
  if (others.length === 0) return { LanguageCode: only }
  const LanguageOptions = configured.join(",")
  const preferred = configured.find((code) => code.split("-")[0] === spoken?.split("-")[0])
  return preferred === undefined
    ? { IdentifyMultipleLanguages: true, LanguageOptions }
    : { IdentifyLanguage: true, LanguageOptions, PreferredLanguage: preferred }
}

const codeOf = (tag: string): LanguageCode | undefined => {
  const id = known(languages, tag)
  return codes.find((code) => code === id)
}
