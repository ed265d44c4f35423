/**
 * Reading: one reader's page, word by word, against the record of what was said.
 */
import { wordsOf } from "../Judge.ts"
import type { Record } from "./Record.ts"

/** A caption as it came; `voice` is who said it by the session it names, if anybody has that session. */
export interface Caption {
  readonly voice: string | undefined
  readonly text: string
  /** ms since 1970. */
  readonly atMs: number
}

/** What a page shows at the end: a block is a stretch of one voice. */
export interface Page {
  readonly reader: string
  readonly captions: ReadonlyArray<Caption>
  readonly blocks: ReadonlyArray<{ readonly voice: string | undefined; readonly text: string }>
  /** How often shown words were taken back. */
  readonly rewritten: number
}

/** A word of a voice, by its place in what that voice said. */
export interface Place {
  readonly voice: string
  readonly place: number
}

export interface Reading {
  readonly reader: string
  /** When the reader first saw it; undefined: never. */
  readonly seenMs: (voice: string, place: number) => number | undefined
  /** How often it stands on the page at the end. */
  readonly shown: (voice: string, place: number) => number
  readonly duplicated: ReadonlyArray<Place>
  /** Behind a word that their voice said later. */
  readonly disordered: ReadonlyArray<Place>
  /** Words that stand under a name that did not say them. */
  readonly wrongSpeaker: ReadonlyArray<string>
  /** Words nobody can have said. */
  readonly invented: ReadonlyArray<string>
  readonly rewritten: number
}

const keyOf = (voice: string, place: number) => `${voice} ${place}`

export const read = (record: Record, page: Page): Reading => {
  const seen = new Map<string, number>()
  const pointers = new Map<string, number>()
  for (const { atMs, text, voice } of page.captions) {
    if (voice === undefined) continue
    let pointer = pointers.get(voice) ?? 0
    for (const word of wordsOf(text)) {
      const place = record.nearest(voice, word, pointer)
      if (place === undefined) continue
      pointer = place
      if (!seen.has(keyOf(voice, place))) seen.set(keyOf(voice, place), atMs)
    }
    pointers.set(voice, pointer)
  }

  const shown = new Map<string, number>()
  const newest = new Map<string, number>()
  const last = new Map<string, number>()
  const duplicated: Array<Place> = []
  const disordered: Array<Place> = []
  const wrongSpeaker: Array<string> = []
  const invented: Array<string> = []
  for (const { text, voice } of page.blocks) {
    for (const word of wordsOf(text)) {
      const owner = record.ownerOf(word)
      if (owner !== undefined && owner !== voice) {
        wrongSpeaker.push(word)
        continue
      }
      const place = owner === undefined ? undefined : record.nearest(owner, word, last.get(owner) ?? 0)
      if (owner === undefined || place === undefined) {
        invented.push(word)
        continue
      }
      last.set(owner, place)
      const key = keyOf(owner, place)
      const times = (shown.get(key) ?? 0) + 1
      shown.set(key, times)
      if (times > 1) duplicated.push({ voice: owner, place })
      else if (place < (newest.get(owner) ?? -1)) disordered.push({ voice: owner, place })
      newest.set(owner, Math.max(place, newest.get(owner) ?? -1))
    }
  }
  return {
    reader: page.reader,
    seenMs: (voice, place) => seen.get(keyOf(voice, place)),
    shown: (voice, place) => shown.get(keyOf(voice, place)) ?? 0,
    duplicated,
    disordered,
    wrongSpeaker,
    invented,
    rewritten: page.rewritten
  }
}
