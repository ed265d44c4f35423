/**
 * MoshiTurns: what moshi-server says about one channel becomes speech events. Pure: messages in, events out.
 */
import { FRAME_SAMPLES, msOfSamples, SAMPLE_RATE } from "../domain/Audio.ts"
import type { EndCause, SpeechEvent, Word } from "../domain/Speech.ts"
import type { EngineMark } from "./EngineMark.ts"
import type { ServerMessage } from "./MoshiProtocol.ts"
import type { StreamTimeline } from "./StreamTimeline.ts"

export interface MoshiTurns {
  readonly read: (message: ServerMessage) => ReadonlyArray<SpeechEvent>
  /** Steps that were told: 80 ms of this channel each. */
  readonly steps: () => number
  /** Words that were told. */
  readonly words: () => number
  /** An utterance has words and is not complete. */
  readonly isOpen: () => boolean
  /** The open utterance ends; nothing when it has no words. */
  readonly complete: (cause: EndCause) => ReadonlyArray<SpeechEvent>
}

/** `asr_delay_in_tokens` of the 1B model, which alone tells steps. */
export const DELAY_STEPS = 6
/** A word is told when the model knows that it is over: one step later, or two when that was not in the middle of the audio's step. */
export const SETTLE_STEPS = DELAY_STEPS + 2
/** The heads jump around in the first second of a channel. */
const WARM_UP_STEPS = 12
/** What the heads predict, ms. */
const PAUSES_MS = [500, 1000, 2000, 3000] as const
/** The head for pauses of 2 s, and how sure it must be, as in Kyutai's own unmute. */
const TURN_HEAD = 2
const TURN_PROBABILITY = 0.6
/** Characters of a piece of a word (one step each), low: only for models that tell no steps. */
const PIECE_CHARS = 3

/**
 * Makes the reader of one channel.
 *
 * An utterance ends when a pause was predicted after at least one word, as soon as everything said before the pause is told: the model is
 * half a second behind with words, and not with pauses. A word that begins after the pause belongs to the next utterance. `EndWord` comes
 * with the next word, too late for captions and with the pause in it, so a word's end is where the model had got to when it told the word.
 *
 * Words are told in order, so everything before a word is told when the word is: the mark is where it begins, told before the word itself (of
 * where a word ends the model knows nothing that one could cut at). So it is where a word was said to end, which is where the next one
 * begins, and at a pause that lasted until all words before it were told.
 */
export const make = (timeline: StreamTimeline, mark: EngineMark): MoshiTurns => {
  let turn = 0
  let turnWords = 0
  let words = 0
  let steps = 0
  /** Heads are ignored up to this step. */
  let deafUntil = WARM_UP_STEPS
  let pausedAt: number | undefined
  let lastStartMs = 0

  const streamOf = (seconds: number): number =>
    Math.min(timeline.sent(), Math.max(0, Math.round(seconds * SAMPLE_RATE)))
  const voiceMs = (sample: number): number => msOfSamples(timeline.voiceAt(sample))
  const prove = (sample: number): ReadonlyArray<SpeechEvent> => mark.reach(timeline.voiceAt(sample))

  const complete = (cause: EndCause): Array<SpeechEvent> => {
    if (turnWords === 0) return []
    const item = `turn-${turn}`
    turn += 1
    turnWords = 0
    pausedAt = undefined
    return [{ _tag: "Completed", item, cause }]
  }

  const endOf = (start: number, text: string): number => {
    const pieces = steps > 0 ? steps - DELAY_STEPS - start / FRAME_SAMPLES : Math.ceil(text.length / PIECE_CHARS) + 1
    return start + Math.max(1, pieces) * FRAME_SAMPLES
  }

  const onWord = (text: string, seconds: number): Array<SpeechEvent> => {
    const parts = text.split(/\s+/).filter((part) => part !== "")
    const start = streamOf(seconds)
    const proven = prove(start)
    if (parts.length === 0) return [...proven]
    const before = pausedAt !== undefined && start > pausedAt * FRAME_SAMPLES ? complete("Silence") : []
    if (turnWords === 0) deafUntil = Math.max(deafUntil, steps + 1)
    turnWords += parts.length
    words += parts.length
    const startMs = Math.max(lastStartMs, msOfSamples(timeline.onsetAt(start)))
    lastStartMs = startMs
    const endMs = Math.max(startMs, voiceMs(endOf(start, text)))
    const said = parts.map(
      (part, index): Word => ({
        text: part,
        joiner: /^[,.;:!?…%)\]}»”’]+$/.test(part) ? "none" : "space",
        ...(index === 0 ? { startMs } : {}),
        ...(index === parts.length - 1 ? { endMs } : {})
      })
    )
    return [...before, ...proven, { _tag: "Appended", item: `turn-${turn}`, words: said }]
  }

  const onStep = (prs: ReadonlyArray<number>): Array<SpeechEvent> => {
    steps += 1
    const likely = prs[TURN_HEAD] ?? 0
    if (turnWords > 0 && steps > deafUntil && likely > TURN_PROBABILITY) pausedAt ??= steps
    const pauses = PAUSES_MS.flatMap((pauseMs, head) => {
      const probability = prs[head]
      return probability === undefined ? [] : [{ pauseMs, probability }]
    })
    const event: SpeechEvent = { _tag: "PauseLikely", atMs: voiceMs(steps * FRAME_SAMPLES), pauses }
    if (pausedAt === undefined || steps < pausedAt + SETTLE_STEPS) return [event]
    // a pause that was over at once may have been none: a long word is told later
    const proven = likely > TURN_PROBABILITY ? prove(pausedAt * FRAME_SAMPLES) : []
    return [event, ...complete("Silence"), ...proven]
  }

  return {
    read: (message) => {
      switch (message.type) {
        case "Word":
          return onWord(message.text, message.start_time)
        case "EndWord":
          return prove(streamOf(message.stop_time))
        case "Step":
          return onStep(message.prs)
        default:
          return []
      }
    },
    steps: () => steps,
    words: () => words,
    isOpen: () => turnWords > 0,
    complete
  }
}
