/**
 * EngineRoster: who may caption a voice, the best first.
 */
import { known, type LanguageId } from "../domain/Language.ts"
import type { Privacy } from "../domain/Privacy.ts"
import type { ConfiguredEngine, EngineRole } from "../services/Engines.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as EnginePrivacy from "./EnginePrivacy.ts"

/** What of a voice decides who may be asked. */
export type Asking = Pick<Voice, "engine" | "language" | "privacy">

/** Gives the engines for a voice: those that know its language, or all where none does, by rank. */
export type EngineRoster = (voice: Asking) => ReadonlyArray<EnginePrivacy.Chosen>

/** Where an engine stands for a voice, 0 being the best. The one it asks for by name comes before all roles. */
export const rankOf = ({ engine, role }: ConfiguredEngine, voice: Pick<Voice, "engine">): number =>
  engine.capabilities.name === voice.engine?.() ? 0 : roleRanks[role]

/** The order of the roles. */
export const roleRanks: Readonly<Record<EngineRole, number>> = { Primary: 1, Cover: 2, LastResort: 3 }

/** Languages that are remembered; voices speak the few that engines know. */
const MOST_LANGUAGES = 1_000

/** Of these engines; among those of one rank their order counts. */
export const make = (engines: ReadonlyArray<ConfiguredEngine>): EngineRoster => {
  const hearers = EnginePrivacy.hearersOf(engines)
  const languages = new Map<string, LanguageId | undefined>()
  /** Reading a tag takes a while, and voices that wait ask often. */
  const spoken = ({ engine: { capabilities } }: ConfiguredEngine, asked: LanguageId) => {
    const key = `${capabilities.name} ${asked}`
    if (languages.has(key)) return languages.get(key)
    const language = known(capabilities.languages, asked)
    if (languages.size < MOST_LANGUAGES) languages.set(key, language)
    return language
  }
  const candidates = (privacy: Privacy, asked: LanguageId): ReadonlyArray<EnginePrivacy.Chosen> => {
    const fluent = EnginePrivacy.chosenFrom(hearers, privacy, (one) => spoken(one, asked))
    return fluent.length > 0 ? fluent : EnginePrivacy.chosenFrom(hearers, privacy, () => asked)
  }
  return (voice) =>
    candidates(voice.privacy ?? "any", voice.language()).toSorted(
      (one, other) => rankOf(one.configured, voice) - rankOf(other.configured, voice)
    )
}
