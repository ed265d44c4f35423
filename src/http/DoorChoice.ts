/**
 * Engine and language of a streaming session, from what its client asks for.
 */
import type { AudioFormat } from "../domain/AudioFormat.ts"
import { known, type LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { Engines } from "../services/Engines.ts"
import type { StartOptions } from "./Dialect.ts"

export interface DoorChoice {
  /** `capabilities.name`. */
  readonly engine: string
  readonly model: string
  readonly language: LanguageId
}

/** What is to be transcribed, and with what. */
export interface Hearing extends Pick<DoorChoice, "language"> {
  readonly format: AudioFormat
  /** `capabilities.name` of the engine that comes first. */
  readonly engine: string
  /** Where the audio may go; the first counts, for all of the session. */
  readonly privacy: Privacy
}

/**
 * What was asked for as far as it is there: the engine of that name, else of that model, else the first that knows the language, else the
 * first; `undefined` where there is none.
 */
export const make = (
  engines: Engines["Service"],
  defaultLanguage: LanguageId,
  { engine, language }: Pick<StartOptions, "engine" | "language"> = {}
): DoorChoice | undefined => {
  const all = engines.map((one) => one.engine.capabilities)
  const named =
    all.find(({ name }) => name === engine) ?? all.find(({ model }) => model !== undefined && model === engine)
  const chosen = named ?? all.find(({ languages }) => known(languages, language) !== undefined) ?? all[0]
  if (chosen === undefined) return undefined
  const { languages, model, name } = chosen
  return {
    engine: name,
    model: model ?? name,
    language: known(languages, language) ?? known(languages, defaultLanguage) ?? defaultLanguage
  }
}
