/**
 * Captions as Talk's page renders them, without the page: last block only, an open chunk is replaced by the next message, a closed one
 * is followed. No imports, so the page of the proof runs this very file with its types stripped.
 */

export interface TranscriptMessage {
  readonly message: string
  readonly langId: string
  readonly speakerSessionId: string
  /** Missing means final, as in Talk. */
  readonly final?: boolean
}

export interface Chunk {
  readonly message: string
  readonly langId: string
  readonly final: boolean
}

export interface Block {
  readonly speaker: string
  readonly chunks: Array<Chunk>
}

export interface Overlay {
  readonly receive: (transcript: TranscriptMessage) => void
  readonly blocks: ReadonlyArray<Block>
  /** Shown text that a later message took back. */
  readonly rewrites: ReadonlyArray<{ readonly shown: string; readonly next: string }>
  /** Messages for speakers the page has no model of. */
  readonly dropped: () => number
  /** Blocks that another speaker pushed up while their last chunk was open: whatever comes later repeats their words. */
  readonly abandoned: () => number
  readonly textOf: (block: Block) => string
}

/** `knows`: whether the page shows a participant with this session id. Separators by language, as in the list of languages. */
export const makeOverlay = (
  knows: (speaker: string) => boolean,
  separators: Readonly<Record<string, string>> = {}
): Overlay => {
  const blocks: Array<Block> = []
  const rewrites: Array<{ shown: string; next: string }> = []
  let dropped = 0
  let abandoned = 0

  const append = (block: Block, chunk: Chunk) => {
    const last = block.chunks.at(-1)
    if (last !== undefined && !last.final) {
      if (!chunk.message.startsWith(last.message)) rewrites.push({ shown: last.message, next: chunk.message })
      block.chunks.pop()
    }
    block.chunks.push(chunk)
  }

  return {
    receive: ({ final = true, langId, message, speakerSessionId }) => {
      if (!knows(speakerSessionId)) {
        dropped += 1
        return
      }
      const chunk = { message, langId, final }
      const last = blocks.at(-1)
      if (last !== undefined && last.speaker === speakerSessionId) {
        append(last, chunk)
        return
      }
      if (last?.chunks.at(-1)?.final === false) abandoned += 1
      blocks.push({ speaker: speakerSessionId, chunks: [chunk] })
    },
    blocks,
    rewrites,
    dropped: () => dropped,
    abandoned: () => abandoned,
    textOf: ({ chunks }) =>
      chunks
        .map((chunk, i) => {
          const before = chunks[i - 1]
          if (before === undefined) return chunk.message
          return (before.langId === chunk.langId ? (separators[chunk.langId] ?? " ") : " ") + chunk.message
        })
        .join("")
  }
}
