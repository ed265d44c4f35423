/**
 * EngineChoice: which of several engines the next session of a voice is asked of.
 */
import { known, type LanguageId } from "../domain/Language.ts"
import type { ConfiguredEngine } from "../services/Engines.ts"
import type { Voice } from "../services/Transcriber.ts"
import * as EngineBackoff from "./EngineBackoff.ts"

/** An engine and how all voices fared with it. */
export interface Candidate {
  readonly configured: ConfiguredEngine
  readonly backoff: EngineBackoff.EngineBackoff
}

export interface Chosen extends Candidate {
  /** The voice's language as this engine calls it. */
  readonly language: LanguageId
}

/** Chooses for one voice, now; `undefined` only where there is no engine. */
export type EngineChoice = (voice: Pick<Voice, "engine" | "language">) => Chosen | undefined

/**
 * A choice of these engines, in their order: of those that know the voice's language (of all, where none does) the one the voice asks for,
 * else the first, passing over engines that are failing or have as many sessions open as they give. Without another a full one is asked all
 * the same: what an engine gives can have been raised. When all are failing, the one that may be tried soonest.
 */
export const make = (engines: ReadonlyArray<ConfiguredEngine>, now: () => number): EngineChoice => {
  const candidates = engines.map((configured): Candidate => ({ configured, backoff: EngineBackoff.make(now) }))
  return (voice) => {
    const asked = voice.language()
    const own = voice.engine?.()
    const fluent = candidates.flatMap((one): ReadonlyArray<Chosen> => {
      const language = known(one.configured.engine.capabilities.languages, asked)
      return language === undefined ? [] : [{ ...one, language }]
    })
    const possible = fluent.length > 0 ? fluent : candidates.map((one): Chosen => ({ ...one, language: asked }))
    const isOwn = ({ configured }: Candidate) => configured.engine.capabilities.name === own
    const ordered = [...possible.filter(isOwn), ...possible.filter((one) => !isOwn(one))]
    const [soonest] = ordered.toSorted((one, other) => one.backoff.waitMs() - other.backoff.waitMs())
    const working = ordered.filter(({ backoff }) => !backoff.isFailing())
    return working.find(({ configured }) => !isFull(configured)) ?? working[0] ?? soonest
  }
}

const isFull = ({ engine, health }: ConfiguredEngine): boolean =>
  health().sessions >= (engine.capabilities.maxSessions ?? Number.POSITIVE_INFINITY)
