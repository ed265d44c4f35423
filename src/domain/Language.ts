/**
 * Languages in the shape Talk's clients read: an entry without `metadata` would break their rendering.
 */
import { Schema } from "effect"

/** A key of the language map, for example `en`. */
export const LanguageId = Schema.NonEmptyString.check(Schema.isMaxLength(35)).pipe(Schema.brand("LanguageId"))
export type LanguageId = typeof LanguageId.Type

/** Name in the language itself, what stands between two captions, and the direction of writing. */
export const Language = Schema.Struct({
  name: Schema.String,
  metadata: Schema.Struct({ separator: Schema.String, rtl: Schema.Boolean })
})
export type Language = typeof Language.Type

/** Insertion order is the order in Talk's menu. */
export type Languages = Readonly<Record<string, Language>>

/** Scripts that put no space between sentences, and those written from right to left (ISO 15924). */
const unspaced = new Set(["Jpan", "Hans", "Hant", "Hani", "Bopo", "Thai", "Laoo", "Khmr", "Mymr", "Tibt"])
const rightToLeft = new Set(["Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg", "Mand"])

/** `undefined` when it is no tag: callers may send anything. */
const localeOf = (tag: string): Intl.Locale | undefined => {
  try {
    return new Intl.Locale(tag.replaceAll("_", "-"))
  } catch {
    return undefined
  }
}

const autonymOf = (tag: string): string => {
  const locale = localeOf(tag)
  if (locale === undefined) return tag
  const names = new Intl.DisplayNames([locale.baseName], { type: "language", languageDisplay: "standard" })
  const name = names.of(locale.baseName) ?? tag
  // the first letter of a menu's entry, not half of a character
  const [first = "", ...rest] = name
  return first.toLocaleUpperCase(locale.baseName) + rest.join("")
}

/** The language of a BCP-47 tag: its name in itself, as far as the platform knows it, else the tag. */
export const languageOf = (tag: string): Language => {
  const script = localeOf(tag)?.maximize().script ?? "Latn"
  return {
    name: autonymOf(tag),
    metadata: { separator: unspaced.has(script) ? "" : " ", rtl: rightToLeft.has(script) }
  }
}

/** The languages of these BCP-47 tags, in their order. */
export const languagesOf = (tags: ReadonlyArray<string>): Languages =>
  Object.fromEntries(tags.map((tag) => [tag, languageOf(tag)]))

/** What Kyutai's 1B model recognises, by itself and mixed. */
export const kyutaiLanguages: Languages = languagesOf(["en", "fr"])

/** Talk shows `en` where a room has no language. */
export const defaultLanguage = LanguageId.make("en")

/**
 * The one of `languages` that is meant by `id`; Talk may hold a language of another app, or none. Besides the id itself that is, whatever the
 * case, the general language of a regional tag (`en` for `en-US`), and the regional one of a general tag: the only one, or the one of the
 * region where most speak it (`en-US` for `en`, `pt-BR` for `pt`).
 */
export const known = (languages: Languages, id: string | undefined): LanguageId | undefined => {
  if (id === undefined) return undefined
  if (Object.hasOwn(languages, id)) return LanguageId.make(id)
  const asked = localeOf(id)
  if (asked === undefined) return undefined
  const others = Object.keys(languages).flatMap((tag) => {
    const locale = localeOf(tag)
    return locale?.language === asked.language ? [{ tag, locale }] : []
  })
  const same = others.find(({ locale }) => locale.baseName === asked.baseName)
  const general = others.find(({ locale }) => locale.baseName === locale.language)
  const regional = asked.baseName === asked.language ? others : []
  const likely = asked.maximize().baseName
  const found =
    same ??
    general ??
    (regional.length === 1 ? regional[0] : regional.find(({ locale }) => locale.maximize().baseName === likely))
  return found === undefined ? undefined : LanguageId.make(found.tag)
}
