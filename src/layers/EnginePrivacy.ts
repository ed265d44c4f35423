/**
 * EnginePrivacy: which engines may hear a voice. The one place that takes engines of a deployment for voices, and the one that opens them.
 */
import type { Effect, Scope } from "effect"
import type { LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { ConfiguredEngine } from "../services/Engines.ts"
import type { EngineError, EngineSession } from "../services/SpeechEngine.ts"

/** Only types know it: nothing becomes a `LocalEngine` but through this file. */
declare const staysHere: unique symbol

/** An engine on this machine: what it hears never leaves it. */
export type LocalEngine = ConfiguredEngine & { readonly [staysHere]: true }

/** Who may hear voices of which privacy, in the order in which they were given. */
export interface Hearers {
  readonly any: ReadonlyArray<ConfiguredEngine>
  readonly "local-only": ReadonlyArray<LocalEngine>
}

/** An engine for a voice of this privacy, and the voice's language as that engine calls it. */
export type Chosen =
  | { readonly privacy: "any"; readonly configured: ConfiguredEngine; readonly language: LanguageId }
  | { readonly privacy: "local-only"; readonly configured: LocalEngine; readonly language: LanguageId }

/** `local-only` voices are given engines on this machine and cannot be given another. */
export const hearersOf = (engines: ReadonlyArray<ConfiguredEngine>): Hearers => ({
  any: engines,
  "local-only": engines.filter(isLocal)
})

/** Those of a deployment's engines that any of its voices may reach. */
export const allowedBy = (
  privacy: Privacy,
  engines: ReadonlyArray<ConfiguredEngine>
): ReadonlyArray<ConfiguredEngine> => hearersOf(engines)[privacy]

/** Those of them that may hear a voice of this privacy and have a language for it. */
export const chosenFrom = (
  hearers: Hearers,
  privacy: Privacy,
  languageOf: (engine: ConfiguredEngine) => LanguageId | undefined
): ReadonlyArray<Chosen> =>
  privacy === "any"
    ? hearers.any.flatMap((configured) =>
        inLanguage(languageOf(configured), (language) => ({ privacy, configured, language }))
      )
    : hearers[privacy].flatMap((configured) =>
        inLanguage(languageOf(configured), (language) => ({ privacy, configured, language }))
      )

/** A session for the voice that the engine was chosen for. Nothing else opens one. */
export const open = ({
  configured: { engine },
  language
}: Chosen): Effect.Effect<EngineSession, EngineError, Scope.Scope> => engine.open({ language })

const isLocal = (one: ConfiguredEngine): one is LocalEngine => one.engine.capabilities.local

const inLanguage = (
  language: LanguageId | undefined,
  chosen: (language: LanguageId) => Chosen
): ReadonlyArray<Chosen> => (language === undefined ? [] : [chosen(language)])
