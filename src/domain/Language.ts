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

/** What Kyutai's 1B model recognises, by itself and mixed. */
export const kyutaiLanguages: Languages = {
  en: { name: "English", metadata: { separator: " ", rtl: false } },
  fr: { name: "Français", metadata: { separator: " ", rtl: false } }
}

/** Talk shows `en` where a room has no language. */
export const defaultLanguage = LanguageId.make("en")

/** The id when it is one of `languages`; Talk may hold a language of another app, or none. */
export const known = (languages: Languages, id: string | undefined): LanguageId | undefined =>
  id !== undefined && Object.hasOwn(languages, id) ? LanguageId.make(id) : undefined
