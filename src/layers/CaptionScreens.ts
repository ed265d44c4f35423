/**
 * What readers have on their screens: each caption as a block, and with which one a page ends. A page replaces its last caption by the next
 * one of the same speaker while that is open, so what will not be continued has to be finished before anything new.
 */
import type { SessionId } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { type Audience, readersBeside } from "./CaptionAudience.ts"

/** A speaker as pages know it, and as Nextcloud does: the key survives a new session id. */
export interface Speaker {
  readonly session: SessionId
  readonly key: string
}

/** One caption from its first partial to its final, as it stands on readers' screens. */
export interface Block {
  readonly speaker: Speaker
  /** Set: one message to the call, in this language. */
  readonly callLanguage: LanguageId | undefined
  readonly languages: Map<string, LanguageId>
  /** Sent, not proven yet. */
  partials: Array<{ readonly number: number; readonly text: string }>
  /** What readers certainly have of it. */
  proven: string
  /** What certainly stands in it: not what was left over of the block before. */
  standing: string
  /** Its final was not sent. */
  isOpen: boolean
}

export interface CaptionScreens {
  /** This reader's page ends with the block. */
  readonly showed: (reader: string, block: Block) => void
  readonly endsWith: (reader: string, block: Block) => boolean
  /** The open block that `next` would replace on this reader's page. */
  readonly replacedBy: (reader: string, next: Block) => Block | undefined
  /** The pages of all others are gone, and what stood on them. */
  readonly keep: (isReader: (reader: string) => boolean) => void
}

export const begin = (given: Pick<Block, "speaker" | "callLanguage" | "proven">): Block => ({
  ...given,
  languages: new Map(),
  partials: [],
  standing: "",
  isOpen: true
})

/** The HPB has read what was sent up to this number. */
export const noteProven = (block: Block, upTo: number) => {
  const text = block.partials.findLast((partial) => partial.number <= upTo)?.text
  block.proven = text ?? block.proven
  block.standing = text ?? block.standing
  block.partials = block.partials.filter((partial) => partial.number > upTo)
}

/** Who gets a block now, and in which language: those who have begun to read it keep theirs. */
export const readersOf = (block: Block, audience: Audience): ReadonlyMap<string, LanguageId> => {
  const readers = new Map<string, LanguageId>()
  for (const { key, language } of readersBeside(audience, [block.speaker.session])) {
    if (key !== block.speaker.key) readers.set(key, block.callLanguage ?? block.languages.get(key) ?? language)
  }
  return readers
}

export const make = (): CaptionScreens => {
  /** By reader: no more of them than take part in the call. */
  const last = new Map<string, Block>()
  return {
    showed: (reader, block) => {
      last.set(reader, block)
    },
    endsWith: (reader, block) => last.get(reader) === block,
    replacedBy: (reader, next) => {
      const block = last.get(reader)
      if (block === undefined || block === next || !block.isOpen) return undefined
      return block.speaker.session === next.speaker.session ? block : undefined
    },
    keep: (isReader) => {
      for (const reader of last.keys()) if (!isReader(reader)) last.delete(reader)
    }
  }
}
