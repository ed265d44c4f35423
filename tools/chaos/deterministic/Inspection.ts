/**
 * Inspection: what is wrong with the outcome of a scenario. Whatever happened, the promises of `Transcriber` hold; and every word is read once
 * and in order unless the stream itself says, rightly, that it may be missing.
 */
import { FRAME_SAMPLES, msOfSamples } from "../../../src/domain/Audio.ts"
import { isFinal, type Segment } from "../../../src/domain/Segment.ts"
import * as Judge from "../Judge.ts"
import type { Outcome, Read, VoiceOutcome } from "./Play.ts"
import { endOf } from "./Scenario.ts"
import type { SpokenWord } from "./Utterances.ts"

/** A session is never held longer without speech, ms; and what it takes to end one that was parked in the last moment. */
const HELD_MS = 60_000 + 5_500
/** A stream ends so long after its voice did, ms; one that waits may still have audio that no engine has taken. */
const LAST_WORDS_MS = 10_600

/** Where the next session begins behind a gap nobody can count what was in doubt: so many words, beside each gap, may come twice. */
const TWICE_AT_A_GAP = 4
/** For last words engines are given this at least, ms. */
const PATIENCE_MS = 9_900

/** Empty when every promise was kept. */
export const inspect = (outcome: Outcome): ReadonlyArray<string> => [
  ...outcome.complaints,
  ...outcome.voices.flatMap((voice) => inspectVoice(outcome, voice).map((what) => `voice ${voice.plan.id}: ${what}`)),
  ...inspectSessions(outcome)
]

const inspectVoice = (outcome: Outcome, voice: VoiceOutcome): ReadonlyArray<string> => {
  const endMs = Math.max(voice.plan.leavesMs, endOf(voice.plan))
  const ending =
    voice.endedMs === undefined
      ? ["its stream never ended"]
      : voice.plan.source === "live" && voice.endedMs > endMs + LAST_WORDS_MS
        ? [`its stream ended ${Math.round(voice.endedMs - endMs)} ms after it`]
        : []
  return [...ending, ...inspectSegments(voice.read), ...inspectWords(outcome, voice)]
}

/** Promise 2, and the order of segments. */
const inspectSegments = (read: ReadonlyArray<Read>): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  let open: Segment | undefined
  let ordinal = -1
  for (const { what } of read) {
    if (what._tag !== "Segment") continue
    const { segment } = what
    const number = Number(segment.id.split(":").at(-1))
    if (open !== undefined && open.id === segment.id) {
      if (segment.revision <= open.revision) wrong.push(`${segment.id} has revision ${segment.revision} again`)
      if (!segment.committed.startsWith(open.committed))
        wrong.push(`${segment.id} said "${open.committed}" and then "${segment.committed}"`)
    } else {
      if (open !== undefined) wrong.push(`${segment.id} begins before ${open.id} had its final`)
      if (number <= ordinal) wrong.push(`${segment.id} comes behind ordinal ${ordinal}`)
      ordinal = number
    }
    if (isFinal(segment) && segment.open !== "") wrong.push(`${segment.id} is final with open text`)
    open = isFinal(segment) ? undefined : segment
  }
  return open === undefined ? wrong : [...wrong, `${open.id} never had its final`]
}

interface Ended {
  readonly simulated: VoiceOutcome["simulated"]
  readonly endMs: number
}

interface Gap {
  readonly from: number
  readonly to: number
}

const inspectWords = ({ scenario, sessions, voices }: Outcome, voice: VoiceOutcome): ReadonlyArray<string> => {
  const { plan, read, simulated } = voice
  const words = plan.stretches.flatMap((stretch) => stretch.words)
  const isHeard = scenario.engines.some(({ local }) => local || plan.privacy === "any")
  const gaps = read.flatMap(
    ({ what }): ReadonlyArray<Gap> =>
      what._tag === "Interrupted"
        ? [{ from: what.position, to: simulated.endOfSpeech(what.position, what.samples) }]
        : []
  )
  const isMissing = ({ from, to }: SpokenWord) =>
    !isHeard || gaps.some((gap) => from < gap.to + FRAME_SAMPLES && to > gap.from - FRAME_SAMPLES)
  const said = words.map((word): Judge.Said => ({ word: word.word, ...(isMissing(word) ? { optional: true } : {}) }))
  const own = sessions.filter(({ speaker }) => speaker !== undefined && voices[speaker] === voice)
  const claimedTo = Math.max(0, ...own.map((session) => session.claimedTo))
  const all = Judge.judge(said, textOf(read, plan.unspaced))
  // a guess that was shown stays as it was where nobody can hear any more what it was; and words beside a gap may come twice, rather than not
  const verdict =
    gaps.length === 0
      ? all
      : {
          ...all,
          invented: all.invented.filter(({ word }) => !wasGuessed(read, word)),
          duplicated: all.duplicated.slice(TWICE_AT_A_GAP * gaps.length)
        }
  const blamed = verdict.lost.map(({ at }) => `${((words[at]?.from ?? 0) / 24_000).toFixed(2)} s`)
  return [
    ...(Judge.isClean(verdict)
      ? []
      : [`${Judge.complaint(verdict)}${blamed.length > 0 ? ` said at ${blamed[0]}` : ""}`]),
    ...read.flatMap((one) => inspectGap({ simulated, endMs: Math.max(plan.leavesMs, endOf(plan)) }, one)),
    ...inspectSettled(words, said, voice, claimedTo)
  ]
}

const wasGuessed = (read: ReadonlyArray<Read>, word: string): boolean =>
  read.some(({ what }) => what._tag === "Segment" && Judge.wordsOf(what.segment.open).includes(word))

/** Words of all finals in the order in which they came. */
const textOf = (read: ReadonlyArray<Read>, unspaced: boolean): ReadonlyArray<string> => {
  const text = read.flatMap(({ what }) =>
    what._tag === "Segment" && isFinal(what.segment) ? [what.segment.committed] : []
  )
  return unspaced ? Array.from(text.join(""), Judge.plain).filter((one) => one !== "") : Judge.wordsOf(text.join(" "))
}

/** Only what cannot be heard any more is given up: it was overwritten, or the voice has ended and its time for last words too. */
const inspectGap = ({ endMs, simulated }: Ended, { atMs, oldest, what }: Read): ReadonlyArray<string> => {
  if (what._tag !== "Interrupted") return []
  if (what.samples <= 0) return [`interrupted for ${what.samples} samples`]
  const to = simulated.endOfSpeech(what.position, what.samples)
  const isGone = to <= oldest + FRAME_SAMPLES || atMs >= endMs + PATIENCE_MS
  return isGone
    ? []
    : [
        `gave ${Math.round(msOfSamples(what.samples))} ms up from ${(what.position / 24_000).toFixed(2)} s on which could still be heard`
      ]
}

/** Whoever is told that all is said up to a position has read it; unless an engine claimed it falsely. */
const inspectSettled = (
  words: ReadonlyArray<SpokenWord>,
  said: ReadonlyArray<Judge.Said>,
  { plan, read }: VoiceOutcome,
  claimedTo: number
): ReadonlyArray<string> => {
  let last = 0
  return read.flatMap(({ what }, index) => {
    if (what._tag !== "Settled") return []
    if (what.position <= last) return [`is settled up to ${what.position} after ${last}`]
    last = what.position
    if (last <= claimedTo) return []
    const until = words.filter(({ to }) => to <= what.position).length
    const before = read.slice(0, index)
    // what was said of later words does no harm
    const { lost } = Judge.judge(
      said.map((word, at) => (at < until ? word : { ...word, optional: true as const })),
      textOf(before, plan.unspaced)
    )
    return lost.length === 0
      ? []
      : [`is settled up to ${(what.position / 24_000).toFixed(2)} s without ${lost.map(({ word }) => word).join(" ")}`]
  })
}

const inspectSessions = ({ scenario, sessions, voices }: Outcome): ReadonlyArray<string> =>
  sessions.flatMap((session) => {
    const name = `${session.engine}#${session.index}`
    const voice = session.speaker === undefined ? undefined : scenario.voices[session.speaker]
    const isOver = session.speaker !== undefined && voices[session.speaker]?.endedMs !== undefined
    const heldMs = session.closedMs === undefined ? 0 : session.closedMs - session.sentMs
    return [
      ...(voice?.privacy === "local-only" && !session.local ? [`${name} heard ${voice.id}, which is local-only`] : []),
      ...(session.closedMs === undefined && (isOver || voices.every(({ endedMs }) => endedMs !== undefined))
        ? [`${name} is open after its voice has ended`]
        : []),
      ...(heldMs > HELD_MS ? [`${name} was held for ${Math.round(heldMs / 1000)} s without speech`] : [])
    ]
  })
