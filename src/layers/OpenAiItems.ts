/**
 * OpenAiItems: what a session appended and committed, what became of each item, and what its text says so far. Pure and synchronous.
 *
 * Every commit is answered by `committed`, which names an item, and the item ends with `completed` or `failed`, in any order.
 */
import { SAMPLE_RATE } from "../domain/Audio.ts"
import type { EndCause, SpeechEvent } from "../domain/Speech.ts"
import { wordOf } from "./ErrorCode.ts"
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
  /** The id of a commit to send; nothing when there is too little to commit. */
  readonly commit: (cause: EndCause) => string | undefined
  /** What an event of the server tells. */
  readonly take: (message: OpenAiProtocol.ServerMessage) => ReadonlyArray<SpeechEvent>
  /** An error about an event of ours: `true` when it was a commit, which is over with it. */
  readonly refused: (eventId: string, isEmpty: boolean) => boolean
  /** Commits so far. */
  readonly commits: () => number
  /** The first `count` commits are over. */
  readonly areOver: (count: number) => boolean
  /** Position (samples) up to which everything was committed and is over, the last of it with text. */
  readonly mark: () => number
}

interface Commit {
  /** Counted from 1; 0 for what the server committed by itself. */
  readonly ordinal: number
  readonly eventId: string
  readonly upTo: number
  readonly cause: EndCause
  item: string | undefined
  end: "Proven" | "Failed" | undefined
}

interface Item {
  previous: string | null | undefined
  spaceBefore: boolean
}

/** A session that has sent nothing yet. */
export const make = (): OpenAiItems => {
  const items = new Map<string, Item>()
  /** Over: whatever is still said of them is not passed on. At most `MAX_ITEMS`, the newest. */
  const ended = new Set<string>()
  /** The server's own voice activity detection ended these: it commits them without being asked. */
  const detected = new Set<string>()
  /** Not over yet, or behind one that is not. */
  let open: Array<Commit> = []
  let commits = 0
  let pending = 0
  let sentTo = 0
  let mark = 0
  /** Where each stretch that was appended without a gap begins: in all that was appended, and in the voice. */
  let stretch = { appendedFrom: 0, from: 0 }
  let appended = 0

  const itemOf = (id: string): Item => {
    const known = items.get(id)
    if (known !== undefined) return known
    const item: Item = { previous: undefined, spaceBefore: true }
    items.set(id, item)
    const [oldest] = items.keys()
    if (items.size > MAX_ITEMS && oldest !== undefined) items.delete(oldest)
    return item
  }

  const committed = (item: string): void => {
    const unasked = detected.delete(item)
    const waiting = open.findIndex((commit) => commit.item === undefined)
    const commit = open[waiting]
    if (commit !== undefined && !unasked) {
      commit.item = item
      return
    }
    const own: Commit = { ordinal: 0, eventId: "", upTo: 0, cause: "EngineFinal", item, end: undefined }
    open = open.toSpliced(waiting < 0 ? open.length : waiting, 0, own)
  }

  const over = (commit: Commit | undefined, end: "Proven" | "Failed"): void => {
    if (commit !== undefined) commit.end = end
    for (let [first] = open; first?.end !== undefined; [first] = open) {
      if (first.end === "Proven") mark = Math.max(mark, first.upTo)
      open.shift()
    }
  }

  const finish = (id: string, end: "Proven" | "Failed") => {
    const commit = open.find(({ item }) => item === id)
    const { previous } = itemOf(id)
    items.delete(id)
    ended.add(id)
    const [oldest] = ended
    if (ended.size > MAX_ITEMS && oldest !== undefined) ended.delete(oldest)
    over(commit, end)
    return { previous, cause: commit?.cause ?? "EngineFinal" }
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
    commit: (cause) => {
      if (pending < MIN_COMMIT_SAMPLES) return undefined
      pending = 0
      commits += 1
      const eventId = `commit_${commits}`
      open.push({ ordinal: commits, eventId, upTo: sentTo, cause, item: undefined, end: undefined })
      return eventId
    },
    take: (message) => {
      if ("item_id" in message && ended.has(message.item_id)) return []
      switch (message.type) {
        case "input_audio_buffer.committed": {
          itemOf(message.item_id).previous = message.previous_item_id
          committed(message.item_id)
          return []
        }
        case "conversation.item.input_audio_transcription.delta": {
          const { delta = "", item_id, logprobs } = message
          const item = itemOf(item_id)
          const words = wordsOf(delta, { spaceBefore: item.spaceBefore, logprobs })
          if (words.length > 0 || /^\s/.test(delta)) item.spaceBefore = /\s$/.test(delta)
          if (words.length === 0) return []
          return [{ _tag: "Appended", item: item_id, words, ...(/\s$/.test(delta) ? {} : { mayGrow: true as const }) }]
        }
        case "conversation.item.input_audio_transcription.completed": {
          const { item_id, languages, logprobs, transcript } = message
          const { cause, previous } = finish(item_id, "Proven")
          const words = wordsOf(transcript, { spaceBefore: true, logprobs })
          const language = languages?.[0]?.code
          return [
            {
              _tag: "Completed",
              item: item_id,
              text: transcript,
              cause,
              ...(previous === undefined ? {} : { previous }),
              ...(words.some(({ confidence }) => confidence !== undefined) ? { words } : {}),
              ...(language === undefined ? {} : { language })
            }
          ]
        }
        case "conversation.item.input_audio_transcription.failed": {
          finish(message.item_id, "Failed")
          return [{ _tag: "Failed", item: message.item_id, detail: reasonOf(message.error) }]
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
    refused: (eventId, isEmpty) => {
      const commit = open.find((one) => one.eventId === eventId && one.eventId !== "")
      if (commit === undefined) return false
      over(commit, isEmpty ? "Proven" : "Failed")
      return true
    },
    commits: () => commits,
    areOver: (count) => !open.some(({ ordinal }) => ordinal > 0 && ordinal <= count),
    mark: () => mark
  }
}

const reasonOf = ({ code, type }: OpenAiProtocol.Fault): string => wordOf(code ?? type) ?? "no reason was given"
