/**
 * What goes with a call from runner to runner: who wants what of it.
 */
import { type IceServer, type Intent, viewerKey } from "../domain/Call.ts"
import type { CallIntents } from "./CallIntents.ts"

/** What is wanted of a call. */
export interface Wishes {
  readonly intents: ReadonlyArray<Intent>
  readonly iceServers?: ReadonlyArray<IceServer>
}

/** What is wanted of one that runs here; last those in whose language it is heard. */
export const wishesIn = (call: Pick<CallIntents, "list" | "language" | "iceServers"> | undefined): Wishes => {
  const isHeard = ({ language }: Intent) => Number(language === call?.language())
  const iceServers = call?.iceServers()
  const intents = (call?.list() ?? []).toSorted((one, other) => isHeard(one) - isHeard(other))
  return { intents, ...(iceServers === undefined ? {} : { iceServers }) }
}

/** Two wishes of one viewer. */
export const viewerOf = ({ viewer }: Intent): string => viewerKey(viewer)
/** Two wishes that say the same. */
export const wordsOf = ({ language, privacy = "any", viewer }: Intent): string =>
  [language, privacy, viewerKey(viewer)].join(" ")
