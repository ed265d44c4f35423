/**
 * Mouths: how engines of different families tell the words they heard, and what they claim to be certain of.
 */
import { msOfSamples } from "../../../src/domain/Audio.ts"
import type { SpeechEvent, Word } from "../../../src/domain/Speech.ts"
import type { Dice } from "../Dice.ts"
import type { SpokenWord } from "./Utterances.ts"

/**
 * - `plain`: words one by one, no times; certain only when a flush was quiet and words had come (Kyutai on Modal).
 * - `timed`: words one by one with their times; certain between two words (moshi-server).
 * - `revising`: the open utterance is told anew with each word, and its end may change; certain when it is complete (AWS, Vosk).
 * - `keyed`: utterances are heard side by side and complete in any order; certain up to the first that is not complete (OpenAI).
 */
export const families = ["plain", "timed", "revising", "keyed"] as const
export type Family = (typeof families)[number]

export interface Mouth {
  /** The engine understood it. */
  readonly say: (word: SpokenWord) => void
  /** The engine heard silence. */
  readonly pause: () => void
  /** Calls back when everything heard before was told. */
  readonly flush: (position: number, done: () => void) => void
}

export interface Throat {
  readonly emit: (event: SpeechEvent) => void
  readonly dice: Dice
  /** All the voice says. */
  readonly words: ReadonlyArray<SpokenWord>
  readonly unspaced: boolean
  /** Words come in pieces. */
  readonly pieces: boolean
  /** What may change never does. */
  readonly steady: boolean
  /** End of what the engine has computed, samples. */
  readonly position: () => number
  readonly now: () => number
  readonly later: (ms: number, run: () => void) => void
  /** Old news come again now. */
  readonly repeats: () => boolean
}

export const make = (family: Family, throat: Throat): Mouth =>
  family === "revising" ? revising(throat) : family === "keyed" ? keyed(throat) : appending(throat, family)

/** As far as everything is told when all words up to `position` are: not into a word that has begun. */
const safe = ({ words }: Throat, position: number): number =>
  Math.min(position, words.find(({ to }) => to > position)?.from ?? position)

/** Somewhere between this word and what has not been heard yet. */
const behind = (throat: Throat, word: SpokenWord): number => {
  const end = safe(throat, Math.max(word.to, throat.position()))
  const next = throat.words.find(({ from }) => from >= word.to)?.from ?? end
  return throat.dice.between(word.to, Math.max(word.to, Math.min(end, next)))
}

const shown = ({ dice, unspaced }: Throat, word: string, isFirst: boolean): string => {
  if (unspaced) return word
  const text = isFirst && dice.chance(0.5) ? word.slice(0, 1).toUpperCase() + word.slice(1) : word
  return dice.chance(0.12) ? `${text}${dice.pick([",", ".", "?", "…"])}` : text
}

const timesOf = ({ from, to }: SpokenWord) => ({ startMs: msOfSamples(from), endMs: msOfSamples(to) })

const appending = (throat: Throat, family: "plain" | "timed"): Mouth => {
  const { dice, emit, pieces, unspaced } = throat
  const isTimed = family === "timed"
  /** Utterances of their own, or one for the whole session. */
  const hasTurns = dice.chance(0.5)
  let turn = 0
  let saidInTurn = 0
  let saidSinceMark = 0
  let last: SpokenWord | undefined
  const mark = (position: number) => {
    saidSinceMark = 0
    emit({ _tag: "Marked", position })
  }
  const endTurn = () => {
    if (!hasTurns || saidInTurn === 0) return
    emit({ _tag: "Completed", item: `turn${turn++}`, cause: "EngineFinal" })
    saidInTurn = 0
  }
  return {
    say: (word) => {
      if (isTimed && last !== undefined && saidSinceMark > 0) mark(dice.between(last.to, Math.max(last.to, word.from)))
      const text = shown(throat, word.word, saidInTurn === 0)
      const times = isTimed ? timesOf(word) : {}
      const joiner = unspaced ? "none" : "space"
      const item = `turn${turn}`
      if (pieces && text.length > 2) {
        const at = dice.between(1, text.length - 1)
        emit({ _tag: "Appended", item, words: [{ text: text.slice(0, at), joiner, ...times }], mayGrow: true })
        emit({ _tag: "Appended", item, words: [{ text: text.slice(at), joiner: "none", ...times }] })
      } else emit({ _tag: "Appended", item, words: [{ text, joiner, ...times }] })
      last = word
      saidInTurn += 1
      saidSinceMark += 1
    },
    pause: () => {},
    flush: (position, done) => {
      endTurn()
      // silence of an engine without signs of life proves nothing
      if (isTimed || saidSinceMark > 0) mark(safe(throat, position))
      done()
    }
  }
}

/** As one text with its words. */
const written = ({ unspaced }: Throat, texts: ReadonlyArray<string>, spoken: ReadonlyArray<SpokenWord>) => ({
  text: texts.join(unspaced ? "" : " "),
  words: texts.map((text, index): Word => {
    const word = spoken[index]
    return { text, joiner: unspaced ? "none" : "space", ...(word === undefined ? {} : timesOf(word)) }
  })
})

const revising = (throat: Throat): Mouth => {
  const { dice, emit, steady } = throat
  /** As many of the newest words may change; all of them with some engines. */
  const unstable = dice.pick([1, 2, 3, Number.POSITIVE_INFINITY])
  const longest = dice.between(4, 30)
  let utterance = 0
  let texts: Array<string> = []
  let spoken: Array<SpokenWord> = []
  const complete = () => {
    const last = spoken.at(-1)
    const item = `utterance${utterance}`
    if (last === undefined) return
    utterance += 1
    const event: SpeechEvent = {
      _tag: "Completed",
      item,
      ...written(throat, texts, spoken),
      cause: dice.chance(0.5) ? "EngineFinal" : "Silence"
    }
    emit(event)
    emit({ _tag: "Marked", position: behind(throat, last) })
    if (throat.repeats()) {
      emit(event)
      emit({ _tag: "Failed", item, detail: "late" })
    }
    texts = []
    spoken = []
  }
  return {
    say: (word) => {
      texts.push(shown(throat, word.word, texts.length === 0))
      spoken.push(word)
      if (texts.length >= longest) return complete()
      const sure = texts.slice(0, Math.max(0, texts.length - unstable))
      const guesses = texts
        .slice(sure.length)
        .map((text) => (!steady && dice.chance(0.3) ? dice.pick(["hm", "oops", text]) : text))
      const { text: stable } = written(throat, sure, spoken)
      emit({
        _tag: "Replaced",
        item: `utterance${utterance}`,
        ...written(throat, [...sure, ...guesses], spoken),
        stableLength: stable.length
      })
    },
    pause: complete,
    flush: (position, done) => {
      complete()
      if (dice.chance(0.5)) emit({ _tag: "Marked", position: safe(throat, position) })
      done()
    }
  }
}

interface Keyed {
  readonly id: string
  readonly last: SpokenWord
  hasSpoken: boolean
  isComplete: boolean
}

const keyed = (throat: Throat): Mouth => {
  const { dice, emit, later, unspaced } = throat
  const hasDeltas = dice.chance(0.6)
  const longest = dice.between(3, 20)
  let made = 0
  let beginsAtMs = 0
  let previous: string | null = null
  let spoken: Array<SpokenWord> = []
  const open: Array<Keyed> = []
  let flushes: Array<{ readonly behind: Keyed; readonly position: number; readonly done: () => void }> = []

  const settle = () => {
    let done: Keyed | undefined
    for (let [first] = open; first?.isComplete === true; [first] = open) done = open.shift()
    if (done === undefined) return
    // what a later one has said already is said of audio that lies behind
    if (open.every(({ hasSpoken }) => !hasSpoken)) emit({ _tag: "Marked", position: behind(throat, done.last) })
    const completed = flushes.filter((one) => !open.includes(one.behind))
    flushes = flushes.filter((one) => open.includes(one.behind))
    for (const one of completed) {
      // audio without words in it was heard all the same
      if (open.length === 0 && spoken.length === 0) emit({ _tag: "Marked", position: safe(throat, one.position) })
      one.done()
    }
  }
  const commit = () => {
    const last = spoken.at(-1)
    if (last === undefined) return
    const item: Keyed = { id: `item${made++}`, last, hasSpoken: false, isComplete: false }
    const follows = previous
    const texts = spoken.map(({ word }, index) => shown(throat, word, index === 0))
    const whole = spoken
    previous = item.id
    spoken = []
    open.push(item)
    // in speaking order, as everything that does not name what it follows
    beginsAtMs = Math.max(beginsAtMs + 1, throat.now() + dice.between(50, 600))
    const beginsMs = beginsAtMs - throat.now()
    const eachMs = dice.between(0, 40)
    if (hasDeltas)
      for (const [index, text] of texts.entries())
        later(beginsMs + index * eachMs, () => {
          item.hasSpoken = true
          emit({ _tag: "Appended", item: item.id, words: [{ text, joiner: unspaced ? "none" : "space" }] })
        })
    later(beginsMs + texts.length * eachMs + dice.between(0, 900), () => {
      const event: SpeechEvent = {
        _tag: "Completed",
        item: item.id,
        previous: follows,
        ...written(throat, texts, whole),
        cause: "Commit"
      }
      emit(event)
      if (throat.repeats()) emit(event)
      item.hasSpoken = true
      item.isComplete = true
      settle()
    })
  }
  return {
    say: (word) => {
      spoken.push(word)
      if (spoken.length >= longest) commit()
    },
    pause: commit,
    flush: (position, done) => {
      commit()
      const last = open.at(-1)
      if (last === undefined) done()
      else flushes.push({ behind: last, position, done })
    }
  }
}
