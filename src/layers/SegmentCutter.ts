/**
 * SegmentCutter: speech events of one voice become states of segments. Pure: time is an argument, states are returned.
 */
import { joinText, type Segment } from "../domain/Segment.ts"
import type { EndCause, SpeechEvent } from "../domain/Speech.ts"
import * as ItemText from "./ItemText.ts"
import * as Seam from "./Seam.ts"
import * as SegmentEnd from "./SegmentEnd.ts"

/** Utterances that wait for an earlier one to complete; with more the earlier one is given up. */
const MAX_ITEMS = 16
/** Finished utterances of which late news are recognised as such. */
const MAX_FINISHED = 64
/** Characters: more than is said in the three minutes that a voice is remembered for. */
const MOST_DOUBT = 8_000

export interface SegmentCutter {
  /** What an event that came at `atMs` changes in the segments. */
  readonly take: (event: SpeechEvent, atMs: number) => ReadonlyArray<Segment>
  /** A segment is open. */
  readonly isOpen: () => boolean
  /** Nothing was promised since the mark. */
  readonly isCertain: () => boolean
  /** What was promised since the mark. */
  readonly doubt: () => string
  /** Whatever is open becomes final as it was shown. Words that follow make a new segment. */
  readonly end: (cause: EndCause) => ReadonlyArray<Segment>
  /**
   * As `end`, of what was said before `ms`. What is known to begin later stays open, and so does what may still change where nobody knows when
   * it was said.
   */
  readonly endBefore: (ms: number, cause: EndCause) => ReadonlyArray<Segment>
  /** As `end`; and utterances of the engine's next session are others. */
  readonly endSession: (cause: EndCause) => ReadonlyArray<Segment>
  /**
   * The session was lost, and the next one begins where the mark is: what it says first was said before (see `Seam`). The open segment goes
   * on; what was certain of it stays, the rest is what the next session makes of it. `mayLead`: it begins later than at the mark.
   */
  readonly resume: (mayLead: boolean) => void
  /** At a pause: everything that was said before has been said again, or will not be. What nobody has continued is final. */
  readonly endSeam: () => ReadonlyArray<Segment>
  /** Another one as it would be behind `resume`, to see what a session would say that is new. */
  readonly rehearse: (mayLead: boolean) => SegmentCutter
}

/**
 * Makes the cutter of one voice.
 *
 * Committed text never changes, whatever an engine says later; of a text that contradicts it, only the words beyond as many as were
 * promised are taken. Utterances that complete out of order are put in order; one segment is open at a time; every segment that was
 * shown gets exactly one final. A segment ends with its utterance, at the end of a sentence, and at 200 characters.
 */
export const make = (voice: string, { said: known = "", segments = 0 }: Partial<Before> = {}): SegmentCutter => {
  let ordinal = segments
  let open: Segment | undefined
  /** The open segment is of a session that was lost, and no utterance continues it yet. */
  let isOrphan = false
  /** Promised since the mark, as one text. */
  let doubt = known
  let seam: Seam.Seam | undefined
  /** In speaking order; only the first is shown. */
  let items: Array<ItemText.ItemText> = []
  let finished: Array<string> = []

  const promise = (before: string, after: string): void => {
    const more = after.slice(before.length)
    if (more === "") return
    doubt = (before === "" ? joinText(doubt, more) : doubt + more).slice(-MOST_DOUBT)
  }

  const close = (segment: Segment, committed: string, cause: EndCause): Segment => {
    promise(segment.committed, committed)
    open = undefined
    isOrphan = false
    return { ...segment, revision: segment.revision + 1, committed, open: "", final: cause }
  }

  /** Leaves out what an utterance repeats at the seam; all of it as long as that cannot be told. */
  const cross = (item: ItemText.ItemText, isComplete: boolean): void => {
    if (seam === undefined) return
    const { known, mayLead, overlap, passed } = seam
    const { certain, text } = item.own()
    const fresh = Seam.wordsOf(certain)
    const repeated = overlap(fresh, isComplete)
    if (repeated === undefined) {
      // what is new may be read before it is certain
      const seen = Seam.wordsOf(text)
      item.hide(overlap(seen, false) ?? seen.length)
      return
    }
    const isThrough = !isComplete || repeated < fresh.length
    const rest = isThrough ? [] : known.slice(passed(fresh))
    seam = rest.length > 0 ? Seam.make(rest, mayLead) : undefined
    item.repeat(repeated)
  }

  /** What was said so far will not be sent again. */
  const mark = (): Array<Segment> => {
    const states = items[0] === undefined || seam === undefined ? [] : show(items[0], true)
    doubt = seam === undefined ? "" : seam.known.join(" ")
    return states
  }

  /** The unfinished part of the first utterance: states of the open segment, and of those that are cut from it. */
  const show = (item: ItemText.ItemText, isComplete = false): Array<Segment> => {
    const states: Array<Segment> = []
    cross(item, isComplete)
    if (isOrphan) {
      // what was read of a lost session stays until there is something else to read
      if (item.isSilent()) return states
      item.follow(open?.committed ?? "")
      isOrphan = false
    }
    for (;;) {
      const part = item.since(open?.committed ?? "")
      if (part.committed === "" && part.open === "" && open === undefined) return states
      const before = open ?? { id: `${voice}:${ordinal++}`, revision: -1, committed: "", open: "", tokenAtMs: 0 }
      const cut = SegmentEnd.of(part.committed, part.open)
      const current = { ...before, ...item.times(cut?.at), tokenAtMs: item.atMs }
      if (cut === undefined) {
        if (part.committed === open?.committed && part.open === open.open) return states
        open = { ...current, ...part, revision: before.revision + 1 }
        promise(before.committed, part.committed)
        return [...states, open]
      }
      const text = part.committed.slice(0, cut.at)
      states.push(close(current, text, cut.cause))
      item.finish(text)
    }
  }

  const finish = (item: ItemText.ItemText, cause: EndCause): Array<Segment> => {
    item.settle()
    const states = show(item, true)
    if (open === undefined || isOrphan) return states
    item.finish(open.committed)
    return [...states, close(open, open.committed, cause)]
  }

  const remove = (item: ItemText.ItemText): void => {
    items = items.filter((one) => one !== item)
    finished = [...finished, item.id].slice(-MAX_FINISHED)
  }

  /** An utterance that is complete while the one before it is still to come. */
  const waits = (item: ItemText.ItemText): boolean =>
    open === undefined && item.previous !== undefined && item.previous !== null && !finished.includes(item.previous)

  /** Shows the first utterance, and finishes as many as are complete. */
  const advance = (): Array<Segment> => {
    const states: Array<Segment> = []
    for (let [first] = items; first !== undefined; [first] = items) {
      const crowded = items.length > MAX_ITEMS
      if (first.done === undefined && !crowded) return [...states, ...show(first)]
      if (waits(first) && !crowded) return states
      states.push(...finish(first, first.done ?? "EngineLost"))
      remove(first)
    }
    return states
  }

  /** Puts an utterance behind the one it follows, and those that follow it behind it; the one on show stays first. */
  const place = (item: ItemText.ItemText, moved: ReadonlyArray<ItemText.ItemText> = []): void => {
    const shown = open === undefined || isOrphan ? undefined : items[0]
    // engines may name utterances in a circle
    if (item === shown || moved.includes(item)) return
    const others = items.filter((one) => one !== item)
    const before = others.findIndex((one) => one.id === item.previous)
    if (before >= 0 || item.previous === null)
      items = others.toSpliced(Math.max(before + 1, shown === undefined ? 0 : 1), 0, item)
    for (const one of items) if (one.previous === item.id) place(one, [...moved, item])
  }

  const itemOf = (id: string, atMs: number): ItemText.ItemText => {
    const known = items.find((item) => item.id === id)
    const item = known ?? ItemText.make(id)
    item.atMs = atMs
    if (known === undefined) {
      items.push(item)
      for (const one of items) if (one.previous === id) place(one)
    }
    return item
  }

  const end = (cause: EndCause): Array<Segment> => {
    const states = items.flatMap((item) => finish(item, item.done ?? cause))
    for (const item of items) if (item.done !== undefined) remove(item)
    // of a session that was lost, and nothing has followed
    if (open !== undefined) states.push(bury(open, cause))
    return states
  }

  /** Where no other session has said what becomes of the open text, it stays as it was read; it may come again, too. */
  const bury = (segment: Segment, cause: EndCause): Segment => {
    const isAll = cause === "EngineLost" || cause === "StreamEnd"
    const text = isAll ? joinText(segment.committed, segment.open) : segment.committed
    const more = Seam.wordsOf(text.slice(segment.committed.length))
    if (more.length > 0) seam = Seam.make([...(seam?.known ?? []), ...more], seam?.mayLead === true)
    return close(segment, text, cause)
  }

  const endBefore = (ms: number, cause: EndCause): Array<Segment> => {
    const [item] = items
    // what was said of it before has all been said again, and nothing has continued it
    if (open !== undefined && isOrphan && seam === undefined) return [close(open, open.committed, cause)]
    if (item === undefined || open === undefined || (open.startMs ?? 0) >= ms) return []
    const { committed, open: uncertain } = item.since(open.committed)
    const text = joinText(committed, uncertain)
    // what is certain was promised, wherever it is
    const at = Math.max(committed.length, Math.min(text.length, item.before(ms)))
    if (at === 0) return []
    const said = text.slice(0, at).trimEnd()
    const closed = close({ ...open, ...item.times(at) }, said, cause)
    item.finish(said)
    return [closed, ...show(item)]
  }

  return {
    take: (event, atMs) => {
      if (event._tag === "Marked") return mark()
      if (!("item" in event) || finished.includes(event.item)) return []
      const item = itemOf(event.item, atMs)
      switch (event._tag) {
        case "Appended":
          return event.words.flatMap((word, index) => {
            item.append(word, event.mayGrow === true && index === event.words.length - 1)
            // word by word, as each may end a sentence
            return items[0] === item ? show(item) : advance()
          })
        case "Replaced":
          item.replace(event.text, event.stableLength, event.words)
          return advance()
        case "Completed":
          if (event.text !== undefined) item.replace(event.text, event.text.length, event.words ?? [])
          item.previous = event.previous
          item.done = event.cause
          place(item)
          return advance()
        case "Failed":
          item.done = "EngineLost"
          return advance()
      }
    },
    isOpen: () => open !== undefined,
    doubt: () => doubt,
    isCertain: () => doubt === "" && open === undefined,
    end,
    endBefore,
    endSession: (cause) => {
      const states = end(cause)
      items = []
      finished = []
      return states
    },
    resume: (mayLead) => {
      items = []
      finished = []
      isOrphan = open !== undefined
      seam = seamOf(doubt, mayLead)
    },
    endSeam: () => {
      const states = seam === undefined || items[0] === undefined ? [] : show(items[0], true)
      seam = undefined
      if (open !== undefined && isOrphan) states.push(close(open, open.committed, "Silence"))
      return states
    },
    rehearse: (mayLead) => {
      const other = make(voice, { said: doubt })
      other.resume(mayLead)
      return other
    }
  }
}

/** Of the voice, before this cutter had anything to do with it. */
interface Before {
  /** Promised since the mark. */
  readonly said: string
  /** How many ordinals are taken. */
  readonly segments: number
}

/** What was said before and may come again. */
const seamOf = (doubt: string, mayLead: boolean): Seam.Seam | undefined => {
  const known = Seam.wordsOf(doubt)
  return known.length === 0 ? undefined : Seam.make(known, mayLead)
}
