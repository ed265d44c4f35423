/**
 * RealtimeItems: the utterances of one session at the OpenAI-compatible door: which there are, in which order, and what was told of each.
 *
 * Where the server cuts, an item is a segment of the Transcriber: what is said between two pauses, or a sentence of it. Where the client commits,
 * an item is what was said of the audio of a commit. Text is told once and never taken back: the deltas of an item make up its transcript,
 * and every committed item completes or fails once.
 */
import { languageOf } from "../domain/Language.ts"
import { isFinal, type Segment } from "../domain/Segment.ts"
import type { RealtimeEvents } from "./RealtimeEvents.ts"

/** A segment as the session tells it. */
export interface Said {
  readonly segment: Segment
  readonly startMs: number
  readonly endMs: number
  readonly language: string
}

/** All give the events to send, in order. */
export interface RealtimeItems {
  readonly speechStarted: (atMs: number) => ReadonlyArray<object>
  readonly speechStopped: (atMs: number) => ReadonlyArray<object>
  readonly said: (said: Said) => ReadonlyArray<object>
  /** Everything said up to there was told. */
  readonly settled: (throughMs: number) => ReadonlyArray<object>
  /** The client commits what it appended, up to there. */
  readonly commit: (atMs: number) => ReadonlyArray<object>
  /** What was said for the oldest commit was told. */
  readonly committed: () => ReadonlyArray<object>
  /** What was appended is forgotten; commits are not. */
  readonly clear: (atMs: number) => void
  /** No more text comes for what was committed. */
  readonly fail: (code: string, message: string) => ReadonlyArray<object>
  /** Where the audio ends that is in items, ms. */
  readonly committedMs: () => number
}

interface Item {
  readonly id: string
  startMs: number
  endMs: number
  text: string
  /** Told that it stopped, or committed by the client, where nobody is told. */
  hasStopped: boolean
}

/** The segment that is being told: how much of it was, and whether it was shown before the commit that is waited for. */
interface Telling {
  readonly id: string
  given: number
  item: Item | undefined
}

/** A segment whose place is known may begin so much before the commit it comes after: pre-roll, and words are not cut to the ms. */
const SLACK_MS = 40

export interface RealtimeItemsOptions {
  /** Part of all ids. */
  readonly connection: string
  readonly events: RealtimeEvents
  /** The server cuts. */
  readonly cuts: () => boolean
}

export const make = ({ connection, cuts, events }: RealtimeItemsOptions): RealtimeItems => {
  let count = 0
  let previous: string | null = null
  /** The item that is not committed yet, once something is known of it. */
  let current: Item | undefined
  /** Committed by the client, and text may still come; oldest first. */
  const pending: Array<Item> = []
  let telling: Telling | undefined
  let committedMs = 0
  /** Where speech began that has no item yet. */
  let speechMs: number | undefined
  const separators = new Map<string, string>()

  const separatorOf = (language: string): string => {
    const known = separators.get(language) ?? languageOf(language).metadata.separator
    separators.set(language, known)
    return known
  }

  const newItem = (startMs: number): Item => {
    current = { id: `item_${connection}_${++count}`, startMs, endMs: startMs, text: "", hasStopped: false }
    return current
  }

  /** The item that is not committed yet; with the event that it began, where the server cuts. */
  const begin = (startMs: number): readonly [Item, ReadonlyArray<object>] => {
    if (current !== undefined) return [current, []]
    const item = newItem(Math.max(committedMs, speechMs ?? startMs))
    speechMs = undefined
    return [item, cuts() ? [events.speechStarted(item.id, item.startMs)] : []]
  }

  const stop = (item: Item, endMs: number): ReadonlyArray<object> => {
    item.endMs = Math.max(item.startMs, item.endMs, endMs)
    if (item.hasStopped || !cuts()) return []
    item.hasStopped = true
    return [events.speechStopped(item.id, item.endMs)]
  }

  const put = (item: Item): ReadonlyArray<object> => {
    const before = previous
    previous = item.id
    committedMs = item.endMs
    if (current === item) current = undefined
    return [events.committed(item.id, before), events.added(item.id, before), events.done(item.id, before)]
  }

  const complete = (item: Item) => events.completed(item.id, item.text, (item.endMs - item.startMs) / 1000)

  /** What of a segment is certain and was not told yet, as the next words of an item. */
  const tell = (item: Item, { language, segment }: Said, from: Telling): ReadonlyArray<object> => {
    const fresh = segment.committed.slice(from.given)
    const isFirst = from.given === 0 || from.item !== item
    from.given = segment.committed.length
    from.item = item
    const words = isFirst ? fresh.trimStart() : fresh
    if (words === "") return []
    const delta = isFirst && item.text !== "" ? separatorOf(language) + words : words
    item.text += delta
    return [events.delta(item.id, delta)]
  }

  /** The commit a segment belongs to, if any; `Later` when only its end will tell. */
  const ownerOf = ({ segment }: Said, from: Telling): Item | "Later" | undefined => {
    const [oldest] = pending
    if (oldest === undefined) return undefined
    const { startMs } = segment
    if (startMs !== undefined) return pending.find(({ endMs }) => startMs < endMs - SLACK_MS)
    if (from.item === oldest || isFinal(segment)) return oldest
    return "Later"
  }

  return {
    speechStarted: (atMs) => {
      if (!cuts()) return []
      speechMs = atMs
      return current === undefined ? begin(atMs)[1] : []
    },
    speechStopped: (atMs) => (current === undefined || !cuts() ? [] : stop(current, atMs)),
    said: (said) => {
      const { endMs, segment, startMs } = said
      const from: Telling = telling?.id === segment.id ? telling : { id: segment.id, given: 0, item: undefined }
      telling = isFinal(segment) ? undefined : from
      const owner = ownerOf(said, from)
      if (owner === "Later") return []
      if (owner !== undefined) return tell(owner, said, from)
      if (current === undefined && segment.committed.length <= from.given) return []
      const [item, began] = begin(startMs)
      const words = tell(item, said, from)
      item.endMs = Math.max(item.endMs, endMs)
      if (!isFinal(segment) || !cuts()) return [...began, ...words]
      // an utterance of which nothing came is over when everything is said of it
      if (item.text === "" && !item.hasStopped) return began
      const stopped = stop(item, endMs)
      return [...began, ...stopped, ...put(item), ...words, complete(item)]
    },
    settled: (throughMs) => {
      const item = current
      if (item === undefined || !cuts() || !item.hasStopped || item.text !== "" || throughMs < item.endMs) return []
      return [...put(item), complete(item)]
    },
    commit: (atMs) => {
      const item = current ?? newItem(committedMs)
      if (!cuts()) item.startMs = committedMs
      item.endMs = Math.max(item.startMs, atMs)
      item.hasStopped = true
      speechMs = undefined
      pending.push(item)
      return put(item)
    },
    committed: () => {
      const item = pending.shift()
      return item === undefined ? [] : [complete(item)]
    },
    clear: (atMs) => {
      current = undefined
      telling = undefined
      speechMs = undefined
      committedMs = atMs
    },
    fail: (code, message) => pending.splice(0).map(({ id }) => events.failed(id, code, message)),
    committedMs: () => committedMs
  }
}
