/**
 * What Kyutai's model does with a voice, for synthetic speech: it works in steps of 80 ms and tells a word only when enough audio has come
 * after it. Plain and synchronous.
 */
import { FRAME_MS, FRAME_SAMPLES, msOfSamples, SAMPLE_RATE } from "../domain/Audio.ts"
import * as ToneModem from "./ToneModem.ts"
import { wordText } from "./ToneWords.ts"

/** A word the recogniser is sure of. */
export interface RecognisedWord extends ToneModem.ToneWord {
  /** As it is sent, with punctuation if that is on. */
  readonly text: string
  /** Where it lies in the audio that came in; so does `endMs`. */
  readonly startMs: number
  readonly endMs: number
  /** When the audio arrived in which the word ended, on the caller's clock. */
  readonly audioArrivedAtMs: number
}

export interface SimulatedRecogniserOptions {
  /** Audio that must follow a word before it is told, ms; whole steps are counted. */
  readonly delayMs: number
  readonly format: ToneModem.ToneFormat
  /** A full stop after the last word of an utterance, a comma after every fifth word within it. Needs a delay of 500 ms. */
  readonly punctuation: boolean
  readonly onWord: (word: RecognisedWord) => void
  /** Audio that was speech and could not be understood, or words that are missing. */
  readonly onFault: (fault: "corrupt" | "gap") => void
}

export interface SimulatedRecogniser {
  /** Takes the samples of one message. What does not fill a step waits for more. */
  readonly push: (pcm: Float32Array, arrivedAtMs: number) => void
}

interface PendingWord extends ToneModem.ToneWord {
  readonly startMs: number
  readonly endMs: number
  readonly dueStep: number
}

/** Words of one utterance follow each other within this. */
const pauseMs = 200
/** Arrivals that are remembered: 10 s of 80 ms messages, more than any delay. */
const arrivalLimit = 128

export const make = (options: SimulatedRecogniserOptions): SimulatedRecogniser => {
  const delaySteps = Math.ceil(options.delayMs / FRAME_MS)
  const step = new Float32Array(FRAME_SAMPLES)
  const arrivals: Array<{ readonly endMs: number; readonly atMs: number }> = []
  let filled = 0
  let steps = 0
  let samples = 0
  let pending: Array<PendingWord> = []
  let wordsOfUtterance = 0

  const decoder = ToneModem.toneDecoder(
    SAMPLE_RATE,
    (event) => {
      if (event._tag === "Corrupt") return options.onFault("corrupt")
      if (event._tag === "Gap") return options.onFault("gap")
      const endStep = Math.floor(event.endMs / FRAME_MS)
      pending.push({ ...event, dueStep: endStep + delaySteps })
    },
    options.format
  )

  const textOf = (word: PendingWord, next: PendingWord | undefined): string => {
    const text = wordText(word.word)
    if (!options.punctuation) return text
    wordsOfUtterance++
    if (next === undefined || next.startMs - word.endMs > pauseMs) {
      wordsOfUtterance = 0
      return `${text}.`
    }
    return wordsOfUtterance % 5 === 0 ? `${text},` : text
  }

  const takeStep = () => {
    decoder.push(step)
    const due = pending.filter(({ dueStep }) => dueStep <= steps)
    due.forEach((word, i) => {
      const { sequence, speaker, word: index, startMs, endMs } = word
      const audioArrivedAtMs = arrivals.find(({ endMs }) => endMs >= word.endMs)?.atMs ?? arrivals.at(-1)?.atMs ?? 0
      const text = textOf(word, pending[i + 1])
      options.onWord({ word: index, speaker, sequence, text, startMs, endMs, audioArrivedAtMs })
    })
    pending = pending.slice(due.length)
    steps++
  }

  return {
    push: (pcm, arrivedAtMs) => {
      samples += pcm.length
      arrivals.push({ endMs: msOfSamples(samples), atMs: arrivedAtMs })
      if (arrivals.length > arrivalLimit) arrivals.shift()
      for (let offset = 0; offset < pcm.length; ) {
        const count = Math.min(step.length - filled, pcm.length - offset)
        step.set(pcm.subarray(offset, offset + count), filled)
        filled += count
        offset += count
        if (filled < step.length) return
        filled = 0
        takeStep()
      }
    }
  }
}
