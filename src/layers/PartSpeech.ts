/**
 * What a part of a call makes of its voices, on its way to the lead: numbered, kept until it is acknowledged, made anew for another lead.
 */
import { Deferred, Effect, Latch, Stream } from "effect"
import { type AudioFrame, RTP_CLOCK_RATE, SAMPLE_RATE } from "../domain/Audio.ts"
import { outranks, type Rank } from "../domain/Seat.ts"
import { isFinal, type Transcribed } from "../domain/Segment.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { HeardMark } from "../services/SpeechJournal.ts"
import { type Begun, type Transcriber, transcribeTo, type Voice } from "../services/Transcriber.ts"
import type { PartSaid, Resumed } from "./CallPart.ts"
import type { HeardVoice, SayVoice } from "./CallSpeech.ts"
import { ticksOf } from "./OpusPacket.ts"

export interface PartSpeechOptions {
  readonly transcriber: Pick<Transcriber["Service"], "transcribe" | "transcribeTo">
  /** Of the newest order. */
  readonly turn: () => number
}

export interface PartSpeech {
  readonly say: SayVoice
  /** See `RunningPart`. */
  readonly listen: (lead: Rank, resumed: ReadonlyArray<Resumed>) => Stream.Stream<ReadonlyArray<PartSaid>>
  readonly acknowledge: (numbers: ReadonlyArray<number>) => void
  /** What nobody has acknowledged is forgotten. */
  readonly silence: () => void
}

/** Between two states of an open segment: readers get no more of them anyway. */
const PARTIALS_EVERY = "200 millis"
/** Batches that nobody has acknowledged: with more, engines wait, and then their sound does. */
const MOST_UNACKNOWLEDGED = 2_000

interface SaidVoice {
  readonly id: string
  readonly key: VoiceKey
  /** Not fetched yet. */
  waiting: Array<Transcribed>
  isOver: boolean
  isToldOver: boolean
  /** As acknowledged. */
  mark: HeardMark
  readonly reach: (mark: HeardMark) => void
  again: Deferred.Deferred<Resumed>
  /** The end of it was acknowledged. */
  readonly over: Latch.Latch
}

export const make = ({ transcriber, turn }: PartSpeechOptions): PartSpeech => {
  const voices = new Map<string, SaidVoice>()
  const unacknowledged = new Map<number, PartSaid>()
  const filled = Latch.makeUnsafe(false)
  const urgent = Latch.makeUnsafe(false)
  const roomy = Latch.makeUnsafe(true)
  let numbers = 0
  let lead: Rank | undefined
  /** Only the newest of those who listen is given anything. */
  let listener: object | undefined

  const put = (one: SaidVoice, said: ReadonlyArray<Transcribed>) => {
    for (const next of said) {
      const isSuperseded = (before: Transcribed) =>
        (before._tag === "Marked" && next._tag === "Marked") ||
        (before._tag === "Segment" &&
          next._tag === "Segment" &&
          before.segment.id === next.segment.id &&
          !isFinal(before.segment))
      if (next._tag !== "Settled") one.waiting = [...one.waiting.filter((before) => !isSuperseded(before)), next]
    }
    // whoever is woken fetches at once: a final goes with the mark behind it
    filled.openUnsafe()
    if (said.some(isUrgent)) urgent.openUnsafe()
  }
  const fetch = (): ReadonlyArray<PartSaid> => {
    const batches: Array<PartSaid> = []
    for (const one of voices.values()) {
      if (one.waiting.length === 0 && (!one.isOver || one.isToldOver)) continue
      numbers += 1
      const { id, isOver, key, waiting } = one
      const batch = { number: numbers, turn: turn(), voice: id, key, said: waiting, isOver }
      one.isToldOver = isOver
      one.waiting = []
      unacknowledged.set(numbers, batch)
      batches.push(batch)
    }
    if (unacknowledged.size > MOST_UNACKNOWLEDGED) roomy.closeUnsafe()
    return batches
  }
  const next = Effect.fnUntraced(function* (me: object) {
    yield* filled.await
    yield* Effect.timeoutOption(urgent.await, PARTIALS_EVERY)
    yield* roomy.await
    // It listens again on another way: what this one took would be said to nobody.
    if (listener !== me) return yield* Effect.never
    filled.closeUnsafe()
    urgent.closeUnsafe()
    return fetch()
  })
  const forgetUnacknowledged = () => {
    unacknowledged.clear()
    roomy.openUnsafe()
    for (const one of voices.values()) {
      one.waiting = []
      one.isToldOver = false
    }
  }

  return {
    say: Effect.fnUntraced(function* (heard) {
      const { answered, id, key, mark, voice } = heard
      const one: SaidVoice = {
        ...{ id, key, waiting: [], isOver: false, isToldOver: false },
        mark: voice.begun === undefined ? { position: 0, said: "" } : markOf(voice.begun),
        reach: (at) => {
          one.mark = at
          mark(at)
        },
        again: Deferred.makeUnsafe<Resumed>(),
        over: Latch.makeUnsafe(false)
      }
      const take = (said: ReadonlyArray<Transcribed>): Effect.Effect<void> | undefined => {
        if (!roomy.isOpen()) return Effect.flatMap(roomy.await, () => take(said) ?? Effect.void)
        put(one, said)
        if (said.some(({ _tag }) => _tag === "Segment")) answered()
        return undefined
      }
      const tellOver = Effect.suspend(() => {
        one.isOver = true
        filled.openUnsafe()
        urgent.openUnsafe()
        return one.over.await
      })
      voices.set(id, one)
      // another part has heard it before: where it went on is known before anything is said of it
      if (voice.begun !== undefined) put(one, [{ _tag: "Marked", ...markOf(voice.begun) }])
      yield* Effect.gen(function* () {
        let from = voice
        for (;;) {
          const said = transcribeTo(transcriber, from, take)
          const ended = Effect.as(Effect.andThen(said, tellOver), undefined)
          const again: Resumed | undefined = yield* Effect.raceFirst(ended, Deferred.await(one.again))
          if (again === undefined) return
          one.again = Deferred.makeUnsafe<Resumed>()
          one.isOver = false
          one.waiting = []
          one.reach({ position: again.position, said: again.said })
          const begun = begunOf(heard, again)
          const { direct: _, ...kept } = voice
          from = { ...kept, begun, frames: heardAgain(voice, begun) }
        }
      }).pipe(Effect.ensuring(Effect.sync(() => voices.delete(id))))
    }),
    listen: (by, resumed) =>
      Stream.suspend(() => {
        if (lead !== undefined && outranks(lead, by)) return Stream.empty
        const isOther = lead !== undefined && outranks(by, lead)
        lead = by
        const me = {}
        listener = me
        if (isOther) {
          forgetUnacknowledged()
          for (const { again, id, mark } of voices.values()) {
            const from = resumed.find(({ voice }) => voice === id) ?? { voice: id, ...mark, segments: 0 }
            Deferred.doneUnsafe(again, Effect.succeed(from))
          }
        }
        filled.openUnsafe()
        const before = [...unacknowledged.values()]
        const listening = Stream.fromEffectRepeat(Effect.suspend(() => next(me)))
        return Stream.concat(Stream.succeed(before), listening).pipe(
          Stream.ensuring(
            Effect.sync(() => {
              if (listener === me) listener = undefined
            })
          )
        )
      }),
    acknowledge: (acknowledged) => {
      for (const number of acknowledged) {
        const batch = unacknowledged.get(number)
        if (batch === undefined) continue
        unacknowledged.delete(number)
        const one = voices.get(batch.voice)
        const marked = batch.said.findLast(({ _tag }) => _tag === "Marked")
        if (marked?._tag === "Marked") one?.reach({ position: marked.position, said: marked.said })
        if (batch.isOver) one?.over.openUnsafe()
      }
      if (unacknowledged.size <= MOST_UNACKNOWLEDGED) roomy.openUnsafe()
    },
    silence: forgetUnacknowledged
  }
}

const isUrgent = (one: Transcribed): boolean =>
  one._tag === "Interrupted" || (one._tag === "Segment" && isFinal(one.segment))

const markOf = ({ position, said }: HeardMark): HeardMark => ({ position, said })

/** All that was heard by now is known to an engine only behind the mark. */
const begunOf = ({ newest }: HeardVoice, { position, said, segments }: Resumed): Begun => {
  let heard = position
  newest((at, packet) => {
    heard = Math.max(heard, at + (ticksOf(packet) * SAMPLE_RATE) / RTP_CLOCK_RATE)
  })
  return { position, said, segments, heard }
}

/** What is kept from the mark on, then what comes. */
const heardAgain = (voice: Voice, { position }: Begun): Stream.Stream<AudioFrame> => {
  let to = Number.NEGATIVE_INFINITY
  const kept = Stream.suspend(() => Stream.fromIterable(voice.replay(position))).pipe(
    Stream.map((frame) => {
      to = Math.max(to, frame.position)
      return frame
    })
  )
  return Stream.concat(
    kept,
    Stream.filter(voice.frames, (frame) => frame.position > to)
  )
}
