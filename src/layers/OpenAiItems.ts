/**
 * OpenAiItems: what a session appended and committed, what became of each item, and what its text says so far. Pure and synchronous.
 *
 * Every commit is answered by `committed`, which names an item, and the item ends with `completed` or `failed`, in any order; what is said of it
 * leaves in speaking order (see `OpenAiCommits`).
 */
import { msOfSamples, SAMPLE_RATE } from "../domain/Audio.ts"
import type { EndCause, SpeechEvent } from "../domain/Speech.ts"
import { wordOf } from "./ErrorCode.ts"
import type { OpenAiCommits } from "./OpenAiCommits.ts"
import type * as OpenAiProtocol from "./OpenAiProtocol.ts"
import { wordsOf } from "./OpenAiWords.ts"

/** Less than this cannot be committed. */
const MIN_COMMIT_SAMPLES = SAMPLE_RATE / 10
/** Items with text of which the end has not come; a server that begins more than this loses the oldest. */
const MAX_ITEMS = 64

export interface OpenAiItems {
  /** `samples` more were sent, the last of them at position `end` of the voice. */
  readonly appended: (samples: number, end: number) => void
  /** Samples since the last commit. */
  readonly uncommitted: () => number
  /**
   * The id of a commit to send at this moment; nothing when there is too little to commit. It ends between two words so many samples (24 kHz) before
   * the end of what was appended; in the middle of one, for all we know, without.
   */
  readonly commit: (cause: EndCause, atMs: number, gapBefore?: number) => string | undefined
  /** What an event of the server tells. */
  readonly take: (message: OpenAiProtocol.ServerMessage, atMs: number) => ReadonlyArray<SpeechEvent>
  /** The item that others have waited for too long is over. */
  readonly giveUp: (atMs: number) => ReadonlyArray<SpeechEvent>
}

interface Item {
  spaceBefore: boolean
}

/** A session that has sent nothing yet. */
export const make = (commits: OpenAiCommits): OpenAiItems => {
  const items = new Map<string, Item>()
  /** Over: whatever is still said of them is not passed on. At most `MAX_ITEMS`, the newest. */
  const ended = new Set<string>()
  /** The server's own voice activity detection ended these: it commits them without being asked. */
  const detected = new Set<string>()
  let pending = 0
  let sentTo = 0
  /** Where each stretch that was appended without a gap begins: in all that was appended, and in the voice. */
  let stretch = { appendedFrom: 0, from: 0 }
  let appended = 0

  const itemOf = (id: string): Item => {
    const known = items.get(id)
    if (known !== undefined) return known
    const item: Item = { spaceBefore: true }
    items.set(id, item)
    const [oldest] = items.keys()
    if (items.size > MAX_ITEMS && oldest !== undefined) items.delete(oldest)
    return item
  }

  const finish = (id: string): void => {
    items.delete(id)
    ended.add(id)
    const [oldest] = ended
    if (ended.size > MAX_ITEMS && oldest !== undefined) ended.delete(oldest)
  }
  const fail = (id: string, atMs: number, reason: string): ReadonlyArray<SpeechEvent> => {
    finish(id)
    return commits.end(id, atMs, reason)
  }

  /** ms of all that was appended, as ms of the voice; exact within the newest stretch. */
  const voiceMs = (ms: number): number => {
    const at = (ms * SAMPLE_RATE) / 1000 - stretch.appendedFrom
    return ((stretch.from + Math.max(0, at)) * 1000) / SAMPLE_RATE
  }

  return {
    appended: (samples, end) => {
      if (end - samples !== sentTo) stretch = { appendedFrom: appended, from: end - samples }
      appended += samples
      pending += samples
      sentTo = end
    },
    uncommitted: () => pending,
    commit: (cause, atMs, gapBefore) => {
      if (pending < MIN_COMMIT_SAMPLES) return undefined
      const cut = { cause, durationMs: msOfSamples(pending) }
      pending = 0
      return commits.add(gapBefore === undefined ? cut : { ...cut, markAt: sentTo - gapBefore }, atMs)
    },
    take: (message, atMs) => {
      if ("item_id" in message && ended.has(message.item_id)) return []
      switch (message.type) {
        case "input_audio_buffer.committed": {
          commits.named(message.item_id, detected.delete(message.item_id))
          return []
        }
        case "conversation.item.input_audio_transcription.delta": {
          const { delta = "", item_id, logprobs } = message
          const item = itemOf(item_id)
          const words = wordsOf(delta, { spaceBefore: item.spaceBefore, logprobs })
          if (words.length > 0 || /^\s/.test(delta)) item.spaceBefore = /\s$/.test(delta)
          if (words.length === 0) return []
          return commits.tell(item_id, [
            { _tag: "Appended", item: item_id, words, ...(/\s$/.test(delta) ? {} : { mayGrow: true as const }) }
          ])
        }
        case "conversation.item.input_audio_transcription.completed": {
          const { item_id, languages, logprobs, transcript } = message
          finish(item_id)
          const words = wordsOf(transcript, { spaceBefore: true, logprobs })
          const language = languages?.[0]?.code
          const completed = {
            _tag: "Completed" as const,
            item: item_id,
            text: transcript,
            cause: commits.causeOf(item_id),
            ...(words.some(({ confidence }) => confidence !== undefined) ? { words } : {}),
            ...(language === undefined ? {} : { language })
          }
          return [...commits.tell(item_id, [completed]), ...commits.end(item_id, atMs)]
        }
        case "conversation.item.input_audio_transcription.failed": {
          return fail(message.item_id, atMs, reasonOf(message.error))
        }
        case "input_audio_buffer.speech_started":
          return [{ _tag: "SpeechStarted", atMs: voiceMs(message.audio_start_ms) }]
        case "input_audio_buffer.speech_stopped": {
          if (detected.size < MAX_ITEMS) detected.add(message.item_id)
          return [{ _tag: "SpeechEnded", atMs: voiceMs(message.audio_end_ms) }]
        }
        default:
          return []
      }
    },
    giveUp: (atMs) => {
      const id = commits.stuck(atMs)
      return id === undefined ? [] : fail(id, atMs, "it never ended")
    }
  }
}

const reasonOf = ({ code, type }: OpenAiProtocol.Fault): string => wordOf(code ?? type) ?? "no reason was given"
