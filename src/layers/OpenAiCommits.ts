/**
 * OpenAiCommits: which item speaks, of those that a session committed. Pure and synchronous.
 *
 * A server transcribes several items at a time, and they end in any order. What it says of an item behind one that has not ended waits here, so
 * that events leave in speaking order, and a mark stands exactly between the words of two commits.
 */
import type { EndCause, SpeechEvent } from "../domain/Speech.ts"
import type { EngineMark } from "./EngineMark.ts"

/** What is committed. */
export interface Cut {
  readonly cause: EndCause
  /** Length of it in the voice, ms. */
  readonly durationMs: number
  /** Position up to which everything is in it or in those before; absent where it may end within a word. */
  readonly markAt?: number
}

export interface OpenAiCommits {
  /** The id of the commit to send at this moment. */
  readonly add: (cut: Cut, atMs: number) => string
  /** The server named the item of the oldest commit it had not named yet; `unasked`: of one that was its own idea. */
  readonly named: (item: string, unasked: boolean) => void
  readonly causeOf: (item: string) => EndCause
  /** What the server says of an item, and ends in its turn. */
  readonly tell: (item: string, events: ReadonlyArray<SpeechEvent>) => ReadonlyArray<SpeechEvent>
  /** An item has ended, behind its last event: what was waiting for that. With a `failure` its text will never come. */
  readonly end: (item: string, atMs: number, failure?: string) => ReadonlyArray<SpeechEvent>
  /** The server did not take the commit with this id, because there was nothing to commit or for another reason; `undefined`: there is none. */
  readonly refused: (eventId: string, isEmpty: boolean) => ReadonlyArray<SpeechEvent> | undefined
  /** Events wait. */
  readonly isHolding: () => boolean
  /** The item that those behind it have waited for too long. */
  readonly stuck: (atMs: number) => string | undefined
  /** An item failed, and what it said can be said again by another session. */
  readonly isBroken: () => boolean
  readonly count: () => number
  /** The first `count` commits are over. */
  readonly areOver: (count: number) => boolean
  /** The server has had more than enough time for the oldest commit that is not over, given for how long it has said nothing, ms. */
  readonly isOverdue: (atMs: number, quietMs: number) => boolean
}

interface Commit extends Cut {
  /** Counted from 1; 0 for what the server committed by itself. */
  readonly ordinal: number
  readonly eventId: string
  readonly sentMs: number
  item: string | undefined
  end: { readonly atMs: number; readonly failure?: string } | undefined
}

/** An item that ends in this time behind one that was committed later is slow, not lost. */
const PATIENCE_MS = 3_000
/** Events that wait; with more the item that they wait for is given up. A minute of speech is 600 deltas. */
const MOST_HELD = 4_096
/** A commit is acknowledged at once. */
const ACKNOWLEDGE_MS = 2_000
/** From there to the text it takes a second or two; a server that takes longer than the audio lasts does not keep up. */
const COMPLETE_MS = 6_000

/**
 * A session that has committed nothing. An item that fails, or never ends, breaks the session when there was one before it that did not: sent
 * again, it is said after all. In a session that begins with it, which has tried it again, it is passed over.
 */
export const make = (mark: EngineMark): OpenAiCommits => {
  /** Not over yet, or behind one that is not. */
  let open: Array<Commit> = []
  let held: Array<{ readonly item: string; readonly event: SpeechEvent }> = []
  let count = 0
  let hasProven = false
  let isBroken = false

  const commitOf = (item: string): Commit | undefined => open.find((commit) => commit.item === item)
  /** Words of an item may come before it is named: nobody names them out of order. */
  const isOnTurn = (item: string): boolean => {
    const [first] = open
    return first === undefined || first.item === item || (first.item === undefined && commitOf(item) === undefined)
  }
  const release = (): Array<SpeechEvent> => {
    const released = held.filter(({ item }) => isOnTurn(item))
    held = held.filter(({ item }) => !isOnTurn(item))
    return released.map(({ event }) => event)
  }

  const advance = (): Array<SpeechEvent> => {
    const events = release()
    for (let [first] = open; first?.end !== undefined && !isBroken; [first] = open) {
      const { failure } = first.end
      isBroken = failure !== undefined && hasProven
      if (isBroken) return events
      if (failure !== undefined && first.item !== undefined)
        events.push({ _tag: "Failed", item: first.item, detail: failure })
      hasProven ||= failure === undefined && first.ordinal > 0
      if (failure === undefined && first.markAt !== undefined) events.push(...mark.reach(first.markAt))
      open.shift()
      events.push(...release())
    }
    return events
  }

  return {
    add: (cut, atMs) => {
      count += 1
      const eventId = `commit_${count}`
      open.push({ ...cut, ordinal: count, eventId, sentMs: atMs, item: undefined, end: undefined })
      return eventId
    },
    named: (item, unasked) => {
      const waiting = open.findIndex((commit) => commit.item === undefined)
      const commit = open[waiting]
      if (commit !== undefined && !unasked) {
        commit.item = item
        return
      }
      const own = { ordinal: 0, eventId: "", durationMs: 0, sentMs: 0, cause: "EngineFinal", end: undefined } as const
      open = open.toSpliced(waiting < 0 ? open.length : waiting, 0, { ...own, item })
    },
    causeOf: (item) => commitOf(item)?.cause ?? "EngineFinal",
    tell: (item, events) => {
      if (isOnTurn(item)) return events
      held.push(...events.map((event) => ({ item, event })))
      return []
    },
    end: (item, atMs, failure) => {
      const commit = commitOf(item)
      if (commit === undefined) return failure === undefined ? [] : [{ _tag: "Failed", item, detail: failure }]
      commit.end = failure === undefined ? { atMs } : { atMs, failure }
      return advance()
    },
    refused: (eventId, isEmpty) => {
      const commit = open.find((one) => one.eventId === eventId && one.eventId !== "")
      if (commit === undefined) return undefined
      // what was to be committed is still there and goes with the next one
      if (!isEmpty) open = open.filter((one) => one !== commit)
      else commit.end = { atMs: commit.sentMs }
      return advance()
    },
    isHolding: () => held.length > 0,
    stuck: (atMs) => {
      const [first, ...behind] = open
      if (first === undefined || first.end !== undefined) return undefined
      const waitingMs = Math.max(...behind.map(({ end }) => (end === undefined ? 0 : atMs - end.atMs)), 0)
      return waitingMs >= PATIENCE_MS || held.length > MOST_HELD ? first.item : undefined
    },
    isBroken: () => isBroken,
    count: () => count,
    areOver: (many) => !open.some(({ ordinal }) => ordinal > 0 && ordinal <= many),
    isOverdue: (atMs, quietMs) => {
      const oldest = open.find(({ end, ordinal }) => ordinal > 0 && end === undefined)
      if (oldest === undefined) return false
      const patienceMs = oldest.item === undefined ? ACKNOWLEDGE_MS : Math.max(COMPLETE_MS, oldest.durationMs)
      return Math.min(quietMs, atMs - oldest.sentMs) >= patienceMs
    }
  }
}
