/**
 * Voices of a call that other runners hear, as the one that captions has them: what they say is published as if it had been heard here.
 */
import { Effect } from "effect"
import type * as HandOver from "../domain/HandOver.ts"
import type { Incarnation } from "../domain/Seat.ts"
import { isFinal, joinText, type Segment, type Transcribed, textOf } from "../domain/Segment.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { CallJournal, HeardMark, LeftVoice, VoiceJournal } from "../services/SpeechJournal.ts"
import type { PartSaid, Resumed } from "./CallPart.ts"
import * as CallSpeech from "./CallSpeech.ts"
import * as LeftParts from "./LeftParts.ts"

export interface RemoteVoicesOptions extends CallSpeech.CallSpeechOptions {
  readonly journal: CallJournal
  readonly now: () => number
  /** Completes when it is the voice's turn. */
  readonly toldBefore: (key: VoiceKey) => Effect.Effect<void>
  readonly fork: (effect: Effect.Effect<void>) => void
}

export interface RemoteVoices {
  /** What the part gives, in its order; each number once. `taken` is called with the number when it is published and in the journal. */
  readonly take: (part: Incarnation, said: PartSaid, taken: (number: number) => void) => void
  /** As far as they are said; their speech is elsewhere. */
  readonly given: () => ReadonlyArray<HandOver.LeftVoice>
  /** The voices of a lead before. */
  readonly resume: (voices: ReadonlyArray<LeftParts.ResumedVoice>) => void
  readonly resumed: () => ReadonlyArray<Resumed>
  /** Nobody reads: what comes of an earlier turn is passed over. */
  readonly silence: () => void
  readonly turn: () => number
  /** What the part says waits until it is let `go`: what was given of its voices meanwhile is not said twice. */
  readonly hold: (part: Incarnation) => () => void
  /** Others go on with these voices, and the part is not listened to any more. What was given of them, as far as it is said by now. */
  readonly moved: (part: Incarnation, given: ReadonlyArray<HandOver.LeftVoice>) => ReadonlyArray<HandOver.LeftVoice>
  /** The part is gone: what stands open of its voices ends. Of what it left in its journal, what is not said. */
  readonly lost: (part: Incarnation, journal: ReadonlyArray<LeftVoice>) => ReadonlyArray<LeftVoice>
}

interface RemoteVoice {
  readonly id: string
  readonly key: VoiceKey
  readonly entry: VoiceJournal
  readonly take: (said: ReadonlyArray<Transcribed>) => void
  /** Where a lead before has begun it, it is known when the part says something. */
  part: Incarnation | undefined
  mark: HeardMark
  open: Segment | undefined
  /** What was said before it is being said; then what came meanwhile. */
  waiting: Array<() => void> | undefined
  isOver: boolean
}

/** Voices that are over and whose end the part's journal may not have: of the last 40 ms. */
const MOST_OVER = 1_000

const nothing = () => {}

export const make = (options: RemoteVoicesOptions): RemoteVoices => {
  const { fork, journal, now, toldBefore } = options
  const voices = new Map<string, RemoteVoice>()
  const over = new Map<string, HeardMark>()
  /**
   * By part: with whom others go on, so that what it leaves of them is not said. How far they are said stays in the journal until the part is gone:
   * where this lead dies before the part is told, they go on there.
   */
  const movedOn = new Map<Incarnation, Map<string, VoiceJournal | undefined>>()
  /** Of parts that are held. */
  const held = new Map<Incarnation, Array<() => void>>()
  /** The newest number of each part. */
  const numbers = new Map<Incarnation, number>()
  let left: ReadonlyArray<Resumed> = []
  let turn = 0

  const begin = (id: string, key: VoiceKey, part: Incarnation | undefined, begun?: HeardMark): RemoteVoice => {
    const entry = journal.voice(id, key, nothing)
    const mark = (reached: HeardMark) => {
      one.mark = reached
      entry.mark(reached)
    }
    const speech = CallSpeech.make(options, { key, id, now, journal: { mark } })
    const one: RemoteVoice = {
      ...{ id, key, entry, part },
      take: speech.take,
      mark: { position: 0, said: "" },
      open: undefined,
      waiting: [],
      isOver: false
    }
    if (begun !== undefined) mark(begun)
    voices.set(id, one)
    const wait = Effect.sync(() => {
      const waiting = one.waiting ?? []
      one.waiting = undefined
      for (const run of waiting) run()
    })
    fork(Effect.andThen(toldBefore(key), wait))
    return one
  }
  const forget = (one: RemoteVoice) => {
    voices.delete(one.id)
    one.entry.forget()
  }
  const end = (one: RemoteVoice) => {
    forget(one)
    over.set(one.id, one.mark)
    for (const oldest of over.keys()) {
      if (over.size <= MOST_OVER) break
      over.delete(oldest)
    }
  }
  /** Whatever was read of it, or may have been, stays as it is; how far it is said then. */
  const close = (one: RemoteVoice): HeardMark => {
    const { mark, open } = one
    if (open === undefined) return mark
    const final = {
      ...open,
      revision: open.revision + 1,
      committed: textOf(open),
      open: "",
      final: "EngineLost"
    } as const
    one.take([{ _tag: "Segment", segment: final }])
    return { position: mark.position, said: joinText(mark.said, open.open) }
  }

  const take: RemoteVoices["take"] = (part, batch, taken) => {
    const waiting = held.get(part)
    if (waiting !== undefined) {
      waiting.push(() => take(part, batch, taken))
      return
    }
    const { isOver, key, number, said, voice } = batch
    if (number <= (numbers.get(part) ?? 0)) return
    numbers.set(part, number)
    if (batch.turn !== turn || over.has(voice)) return taken(number)
    const one = voices.get(voice) ?? begin(voice, key, part)
    one.part = part
    const run = () => {
      if (voices.get(one.id) !== one) return taken(number)
      one.take(said)
      const newest = said.findLast(({ _tag }) => _tag === "Segment")
      if (newest?._tag === "Segment") one.open = isFinal(newest.segment) ? undefined : newest.segment
      if (isOver) end(one)
      taken(number)
    }
    if (one.waiting === undefined) run()
    else one.waiting.push(run)
  }

  return {
    take,
    hold: (part) => {
      const waiting: Array<() => void> = []
      held.set(part, waiting)
      return () => {
        if (held.get(part) !== waiting) return
        held.delete(part)
        for (const run of waiting) run()
      }
    },
    moved: (part, given) => {
      const gone = movedOn.get(part) ?? new Map<string, VoiceJournal | undefined>()
      movedOn.set(part, gone)
      return given.map((voice) => {
        const { id, position, said } = voice
        const one = voices.get(id)
        const mark = one === undefined ? (over.get(id) ?? { position, said }) : close(one)
        voices.delete(id)
        one?.entry.mark(mark)
        gone.set(id, one?.entry ?? gone.get(id))
        over.set(id, mark)
        return LeftParts.withMark(voice, mark)
      })
    },
    given: () =>
      [...voices.values()].map(({ id, isOver, key, mark }) => {
        const none = new Uint8Array(0)
        return { id, key, ...mark, speech: none, newest: none, quietMs: 0, isOver }
      }),
    resume: (before) => {
      left = before
      for (const { key, position, said, voice } of before) begin(voice, key, undefined, { position, said })
    },
    resumed: () => left,
    silence: () => {
      turn += 1
      left = []
      for (const one of [...voices.values()]) forget(one)
      for (const gone of movedOn.values()) for (const entry of gone.values()) entry?.forget()
    },
    turn: () => turn,
    lost: (part, found) => {
      const marks = new Map(over)
      for (const one of [...voices.values()]) {
        if (one.part !== part && !LeftParts.isOf(part, one.id) && !found.some(({ id }) => id === one.id)) continue
        marks.set(one.id, close(one))
        end(one)
      }
      numbers.delete(part)
      held.delete(part)
      const gone = movedOn.get(part)
      movedOn.delete(part)
      for (const entry of gone?.values() ?? []) entry?.forget()
      return found.flatMap((voice) => {
        if (gone?.has(voice.id) === true) return []
        const mark = marks.get(voice.id)
        return [mark === undefined ? voice : LeftParts.withMark(voice, mark)]
      })
    }
  }
}
