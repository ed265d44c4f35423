/**
 * A viewer of the demo: what its page shows, as Talk's web page renders captions, and when each word first appeared.
 */
import { SessionId } from "../src/domain/Call.ts"
import type { SimulatedViewer } from "../src/layers/SimulatedViewer.ts"
import { wordIndex } from "../src/layers/ToneWords.ts"
import * as TalkPage from "../test/support/TalkPage.ts"

/** A word on the page; `undefined` is one that is not in the vocabulary. */
export interface ShownWord {
  readonly word: number | undefined
  /** Session id of the speaker it stands under. */
  readonly speaker: string
}

export interface Reader {
  readonly name: string
  /** In reading order. */
  readonly words: () => ReadonlyArray<ShownWord>
  /** When the first caption with this word came, ms since 1970. */
  readonly firstSeenMs: (word: number) => number | undefined
  /** How often words that stood on the page were changed. */
  readonly rewritings: () => number
}

/** `participants`: session ids of those whom the page knows. */
export const make = (viewer: SimulatedViewer, participants: () => ReadonlyArray<string>): Reader => {
  const page = TalkPage.make({ participants: () => new Set(participants().map((id) => SessionId.make(id))) })
  const firstSeenMs = new Map<number, number>()

  viewer.onCaption(({ atMs, final, langId, message, speakerSessionId }) => {
    page.receive({ message, langId, speakerSessionId: SessionId.make(speakerSessionId), final }, atMs)
    for (const word of wordsOf(message)) {
      if (word !== undefined && !firstSeenMs.has(word)) firstSeenMs.set(word, atMs)
    }
  })
  return {
    name: viewer.name,
    words: () => page.blocks().flatMap(({ speaker, text }) => wordsOf(text).map((word) => ({ word, speaker }))),
    firstSeenMs: (word) => firstSeenMs.get(word),
    rewritings: () => page.rewritings().length
  }
}

const wordsOf = (text: string): ReadonlyArray<number | undefined> => text.split(/\s+/).filter(Boolean).map(wordIndex)
