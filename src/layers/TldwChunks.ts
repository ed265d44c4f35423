/**
 * How a tldw server transcribes one stream: chunk by chunk, each with the end of the one before it. Plain and synchronous.
 */
import * as ToneModem from "./ToneModem.ts"
import { wordText } from "./ToneWords.ts"

export interface TldwChunksOptions {
  readonly chunkSeconds: number
  readonly overlapSeconds: number
  /** What finals call themselves. */
  readonly finalType: "final" | "transcription"
  readonly model: string
  readonly say: (message: object) => void
  readonly onFinal: (text: string) => void
}

export interface TldwChunks {
  readonly hear: (pcm: Float32Array) => void
  /** Everything in finals so far. */
  readonly transcript: () => string
}

const RATE = 16_000
const PARTIAL_SECONDS = 0.5

export const make = (options: TldwChunksOptions): TldwChunks => {
  const { chunkSeconds, finalType, model, onFinal, overlapSeconds, say } = options
  const finals: Array<string> = []
  let buffer = new Float32Array(0)
  let heard = 0
  let sincePartial = 0
  let segment = 0

  const result = (isFinal: boolean) => {
    const text = wordsIn(buffer)
    const start = (heard - buffer.length) / RATE
    const end = heard / RATE
    if (isFinal && text !== "") finals.push(text)
    if (isFinal) onFinal(text)
    segment += isFinal ? 1 : 0
    say({
      type: isFinal ? finalType : "partial",
      text,
      timestamp: Date.now() / 1000,
      is_final: isFinal,
      model,
      segment_id: segment,
      segment_start: start,
      segment_end: end,
      cumulative_audio: end,
      ...(isFinal
        ? { chunk_start: start, chunk_end: end, chunk_duration: end - start, overlap: overlapSeconds }
        : { buffer_duration: end - start })
    })
  }

  /** Samples as they come, each chunk as soon as it is full. */
  const hear = (pcm: Float32Array): void => {
    const room = Math.max(0, Math.round(chunkSeconds * RATE) - buffer.length)
    const part = pcm.subarray(0, room)
    const joined = new Float32Array(buffer.length + part.length)
    joined.set(buffer)
    joined.set(part, buffer.length)
    buffer = joined
    heard += part.length
    sincePartial += part.length
    if (buffer.length >= chunkSeconds * RATE) {
      result(true)
      sincePartial = 0
      buffer = buffer.slice(buffer.length - Math.round(overlapSeconds * RATE))
    } else if (sincePartial >= PARTIAL_SECONDS * RATE) {
      result(false)
      sincePartial = 0
    }
    if (room < pcm.length) hear(pcm.subarray(room))
  }

  return { hear, transcript: () => finals.join(" ") }
}

/** Words that lie in it as a whole. */
const wordsIn = (pcm: Float32Array): string => {
  const words: Array<string> = []
  const decoder = ToneModem.toneDecoder(RATE, (event) => {
    if (event._tag === "Word") words.push(wordText(event.word))
  })
  decoder.push(pcm)
  decoder.flush()
  return words.join(" ")
}
