/**
 * What a reader of Talk's web page sees: the page's own rules for captions (`transcript` messages), without a browser.
 *
 * The page only looks at its last block. A message of another speaker or direction begins a new block; otherwise the message replaces the
 * last chunk while that one is not final, and is appended when it is. Speakers without a model (unknown, left, or the reader itself) are
 * ignored. Between chunks of one language stands that language's separator, otherwise a space. What happens at one moment is painted once.
 */
import type { SessionId } from "../../src/domain/Call.ts"
import { kyutaiLanguages, type Languages } from "../../src/domain/Language.ts"
import type { Transcript } from "../../src/services/Signaling.ts"

interface Chunk {
  message: string
  readonly langId: string
  final: boolean
}

interface Block {
  readonly speaker: SessionId
  readonly rtl: boolean
  readonly chunks: Array<Chunk>
}

/** Words that stood on the screen at one painting and did not at the next, within one chunk. */
export interface Rewriting {
  readonly atMs: number
  readonly speaker: SessionId
  readonly before: string
  readonly after: string
}

export interface TalkPage {
  readonly receive: (transcript: Transcript, atMs: number) => void
  /** Text of every block in order. */
  readonly blocks: () => ReadonlyArray<{ readonly speaker: SessionId; readonly text: string }>
  /** Everything of one speaker, in reading order. */
  readonly textOf: (speaker: SessionId) => string
  readonly text: () => string
  readonly rewritings: () => ReadonlyArray<Rewriting>
  /** Open chunks which can never be continued: another block came behind them. */
  readonly abandoned: () => ReadonlyArray<string>
  /** Whether the last chunk is still open. */
  readonly isOpen: () => boolean
  /** Messages which the page ignored because it has no such speaker. */
  readonly ignored: () => ReadonlyArray<Transcript>
  /** When each message came. */
  readonly received: () => ReadonlyArray<{ readonly transcript: Transcript; readonly atMs: number }>
}

const words = (text: string): ReadonlyArray<string> => text.split(/\s+/u).filter((word) => word !== "")

export const make = (options: {
  /** Who has a model on this page now: those in the call, without the reader. */
  readonly participants: () => ReadonlySet<SessionId>
  readonly languages?: Languages
}): TalkPage => {
  const languages = options.languages ?? kyutaiLanguages
  const blocks: Array<Block> = []
  const rewritings: Array<Rewriting> = []
  const ignored: Array<Transcript> = []
  const received: Array<{ readonly transcript: Transcript; readonly atMs: number }> = []
  let painted: { readonly atMs: number; readonly block: Block | undefined; readonly text: string } = {
    atMs: 0,
    block: undefined,
    text: ""
  }

  const render = (block: Block): string => {
    let text = ""
    let previous: Chunk | undefined
    for (const chunk of block.chunks) {
      const separator =
        previous === undefined
          ? ""
          : previous.langId === chunk.langId
            ? languages[chunk.langId]?.metadata.separator
            : " "
      text += (separator ?? " ") + chunk.message
      previous = chunk
    }
    return text
  }

  /** The page as it stood since the last moment anything came. */
  const paint = (atMs: number) => {
    const { block } = painted
    if (block !== undefined) {
      const before = words(painted.text)
      const after = words(render(block))
      if (before.some((word, i) => after[i] !== word)) {
        rewritings.push({ atMs: painted.atMs, speaker: block.speaker, before: painted.text, after: render(block) })
      }
    }
    const last = blocks.at(-1)
    painted = { atMs, block: last, text: last === undefined ? "" : render(last) }
  }

  return {
    receive: (transcript, atMs) => {
      if (atMs > painted.atMs) paint(atMs)
      received.push({ transcript, atMs })
      const { final, langId, message, speakerSessionId: speaker } = transcript
      if (!options.participants().has(speaker)) {
        ignored.push(transcript)
        return
      }
      const rtl = languages[langId]?.metadata.rtl ?? false
      let block = blocks.at(-1)
      if (block === undefined || block.speaker !== speaker || block.rtl !== rtl) {
        block = { speaker, rtl, chunks: [] }
        blocks.push(block)
      }
      if (block.chunks.at(-1)?.final === false) block.chunks.pop()
      block.chunks.push({ message, langId, final })
    },
    blocks: () => blocks.map((block) => ({ speaker: block.speaker, text: render(block) })),
    textOf: (speaker) =>
      blocks
        .filter((block) => block.speaker === speaker)
        .map(render)
        .join(" "),
    text: () => blocks.map(render).join("\n"),
    rewritings: () => {
      paint(painted.atMs)
      return rewritings
    },
    abandoned: () =>
      blocks
        .slice(0, -1)
        .flatMap((block) => block.chunks.filter((chunk) => !chunk.final).map((chunk) => chunk.message)),
    isOpen: () => blocks.at(-1)?.chunks.at(-1)?.final === false,
    ignored: () => ignored,
    received: () => received
  }
}
