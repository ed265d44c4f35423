/**
 * What goes with a call from runner to runner: who wants what of it.
 */
import { type IceServer, type Intent, viewerKey } from "../domain/Call.ts"

/** What is wanted of a call. */
export interface Wishes {
  readonly intents: ReadonlyArray<Intent>
  readonly iceServers?: ReadonlyArray<IceServer>
}

/** Two wishes of one viewer. */
export const viewerOf = ({ viewer }: Intent): string => viewerKey(viewer)
/** Two wishes that say the same. */
export const wordsOf = ({ language, privacy = "any", viewer }: Intent): string =>
  [language, privacy, viewerKey(viewer)].join(" ")
