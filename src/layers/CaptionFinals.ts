/**
 * CaptionFinals: finals that were sent and are not proven to have been read, and to whom they are to be sent again. Plain and synchronous.
 *
 * Messages are numbered in the order they were sent (`CaptionProof`); up to `settled` it is known of each whether it was read.
 */
import type { SessionId } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { returnMs } from "./CaptionReturns.ts"
import type { Block } from "./CaptionScreens.ts"

/** Finals kept until they are proven; the oldest goes first, counted. */
const maxUnproven = 1_000
/** The HPB answers within milliseconds; beyond this it may never have got a final. */
const provenWithinMs = 300

/** Changed by its `CaptionFinals` only, but for `pending`. */
export interface Final {
  readonly block: Block
  readonly text: string
  /** To whom it was sent without proof. */
  readers: Map<string, LanguageId>
  /** To whom it is still to be sent; whoever sends strikes off who will not come any more. */
  pending: Map<string, LanguageId>
  sentMs: number
  untilMs: number
  /** Of the last message that carried it. */
  number: number
  /** The speaker left before it was proven: pages ignored it, and some went on with what others said. */
  isIgnored: boolean
  /** It was lost with its socket, or with its speaker, and is to be sent again. */
  isTakenBack: boolean
}

/** The message that carried a final. */
export interface SentMessage {
  readonly number: number
  readonly atMs: number
}

export interface CaptionFinals {
  /** Oldest first. */
  readonly all: () => ReadonlyArray<Final>
  readonly keep: (one: Pick<Final, "block" | "text" | "readers" | "pending">, sent: SentMessage) => void
  /** It was sent once more, to one reader. */
  readonly sentAgain: (one: Final, reader: string, langId: LanguageId, sent: SentMessage) => void
  /** All who were sent one of these messages have read it. */
  readonly proven: (upTo: number) => void
  /** Of none is known whether it was read: each is to be sent again to those to whom it was sent without proof. */
  readonly takeBack: (nowMs: number) => void
  /** The same of what its speaker said and is not settled: pages ignored it. */
  readonly ignored: (speaker: SessionId, settled: number, nowMs: number) => void
  /** What is settled and waits for nobody is kept no longer. */
  readonly forget: (settled: number) => void
}

/** Keeps nothing yet; `onDropped` is told of each that goes although it is not proven. */
export const make = (onDropped: () => void): CaptionFinals => {
  let finals: Array<Final> = []

  const takeBack = (one: Final, nowMs: number) => {
    one.pending = new Map([...one.readers, ...one.pending])
    one.readers.clear()
    one.isTakenBack = true
    one.untilMs = nowMs + returnMs
  }

  return {
    all: () => finals,
    keep: (one, { atMs, number }) => {
      finals.push({ ...one, sentMs: atMs, untilMs: atMs + returnMs, number, isIgnored: false, isTakenBack: false })
      if (finals.length <= maxUnproven) return
      finals.shift()
      onDropped()
    },
    sentAgain: (one, reader, langId, { atMs, number }) => {
      one.pending.delete(reader)
      one.isTakenBack &&= one.pending.size > 0
      one.readers.set(reader, langId)
      one.number = number
      one.sentMs = atMs
    },
    proven: (upTo) => {
      for (const one of finals) if (one.number <= upTo) one.readers.clear()
    },
    takeBack: (nowMs) => {
      for (const one of finals) takeBack(one, nowMs)
    },
    ignored: (speaker, settled, nowMs) => {
      for (const one of finals) {
        if (one.block.speaker.session !== speaker || one.number <= settled) continue
        takeBack(one, nowMs)
        one.isIgnored = true
      }
    },
    forget: (settled) => {
      finals = finals.filter((one) => one.pending.size > 0 || one.number > settled)
    }
  }
}

/** Whether it should be known by now that it was read. */
export const isLate = (one: Final, settled: number, nowMs: number): boolean =>
  one.number > settled && nowMs - one.sentMs > provenWithinMs
