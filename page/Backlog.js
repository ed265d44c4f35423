/**
 * Sound on its way to the service: what is not sent yet, and what was sent but may not be in a finished line yet, because a connection that
 * breaks takes that with it.
 */

/** @typedef {import("./Sound.js").Chunk} Chunk */
/**
 * @typedef {object} Backlog Positions are ms from the beginning of the recording.
 * @property {() => Chunk | undefined} next what is to be sent now
 * @property {(positionMs: number) => void} said everything before it has become text of finished lines
 * @property {() => void} interrupted the connection is gone
 * @property {() => { readonly fromMs: number, readonly lostMs: number, readonly isRepeated: boolean }} rewind for a new connection
 * @property {() => number} sentMs
 * @property {() => number} unsentMs
 * @property {() => boolean} isComplete no more comes, and all was sent
 */

/** What one remembers having said: longer breaks lose the beginning, and the page says so. */
const keptMs = 120_000

/**
 * Sound from a microphone.
 *
 * @param {{ readonly isRepeatable: boolean, readonly restart: () => void }} source
 * @returns {Backlog & { readonly add: (chunk: Chunk) => void, readonly end: () => void }}
 */
export const makeLive = (source) => {
  /** @type {Array<Chunk & { readonly startMs: number }>} */
  const chunks = []
  /** Index in `chunks` of what is sent next. */
  let cursor = 0
  let totalMs = 0
  let lostMs = 0
  let hasEnded = false
  /** Something of the container was sent: the rest of it is nothing without that. */
  let isBegun = false

  /** @param {number} count */
  const drop = (count) => {
    const dropped = chunks.splice(0, count)
    const unsent = dropped.slice(cursor)
    lostMs += unsent.reduce((sum, { ms }) => sum + ms, 0)
    cursor = Math.max(0, cursor - count)
  }
  const startMs = () => chunks[0]?.startMs ?? totalMs
  const beginAnew = () => {
    drop(chunks.length)
    isBegun = false
    source.restart()
  }

  return {
    add: (chunk) => {
      chunks.push({ ...chunk, startMs: totalMs })
      totalMs += chunk.ms
      if (totalMs - startMs() <= keptMs) return
      if (source.isRepeatable) drop(1)
      else beginAnew()
    },
    end: () => {
      hasEnded = true
    },
    next: () => {
      const chunk = chunks[cursor]
      if (chunk === undefined) return undefined
      cursor++
      isBegun = true
      // Nobody asks again for what cannot be sent again.
      if (!source.isRepeatable) drop(cursor)
      return chunk
    },
    said: (positionMs) => {
      if (!source.isRepeatable) return
      const count = chunks.findIndex((chunk, at) => at >= cursor || chunk.startMs + chunk.ms > positionMs)
      drop(count === -1 ? chunks.length : count)
    },
    interrupted: () => {
      if (!source.isRepeatable && isBegun) beginAnew()
    },
    rewind: () => {
      const lost = lostMs
      lostMs = 0
      cursor = 0
      return { fromMs: startMs(), lostMs: lost, isRepeated: source.isRepeatable }
    },
    sentMs: () => chunks[cursor]?.startMs ?? totalMs,
    unsentMs: () => totalMs - (chunks[cursor]?.startMs ?? totalMs),
    isComplete: () => hasEnded && cursor >= chunks.length
  }
}

/** One second, as much as a message may comfortably have. */
const fileChunkMs = 1000

/**
 * Sound of a file: all of it is there from the beginning.
 *
 * @param {Int16Array<ArrayBuffer>} samples
 * @param {number} sampleRate
 * @returns {Backlog & { readonly stop: () => void, readonly durationMs: number }}
 */
export const makeWhole = (samples, sampleRate) => {
  const chunkSamples = Math.round((sampleRate * fileChunkMs) / 1000)
  const msOf = (/** @type {number} */ count) => (count / sampleRate) * 1000
  let end = samples.length
  let cursor = 0
  let said = 0
  return {
    durationMs: msOf(samples.length),
    stop: () => {
      end = cursor
    },
    next: () => {
      if (cursor >= end) return undefined
      const part = samples.slice(cursor, Math.min(cursor + chunkSamples, end))
      cursor += part.length
      return { bytes: part.buffer, ms: msOf(part.length) }
    },
    said: (positionMs) => {
      said = Math.min(cursor, Math.max(said, Math.round((positionMs / 1000) * sampleRate)))
    },
    interrupted: () => {},
    rewind: () => {
      cursor = said
      return { fromMs: msOf(said), lostMs: 0, isRepeated: true }
    },
    sentMs: () => msOf(cursor),
    unsentMs: () => msOf(end - cursor),
    isComplete: () => cursor >= end
  }
}
