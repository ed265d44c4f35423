/**
 * Inspection: every word that a process had heard, whole and some time before it was killed, is read once as final, in order, under the name of
 * who said it, on every page. Words that nobody or a dying process heard may be read or not; nothing is read twice.
 */
import * as Seam from "../../../../src/layers/Seam.ts"
import type { TalkPage } from "../../../../test/support/TalkPage.ts"
import * as Judge from "../../Judge.ts"
import * as Microphones from "./Microphones.ts"
import type { Outcome } from "./Play.ts"
import { type SpeakerPlan, wordsOf } from "./Scenario.ts"

/** What was heard so shortly before a process is killed may be lost. */
export const EXCUSED_MS = 150

/** Empty when every promise was kept. */
export const inspect = (outcome: Outcome): ReadonlyArray<string> => [
  ...outcome.complaints,
  ...outcome.pages.flatMap(({ page, reader }) => [
    ...page.abandoned().map((text) => `${reader} cannot read on behind "${text}"`),
    ...(page.isOpen() ? [`${reader} reads text that never became final`] : [])
  ]),
  ...judged(outcome).flatMap(({ name, reader, verdict }) =>
    Judge.isClean(verdict) ? [] : [`${name} read by ${reader}: ${Judge.complaint(verdict)}`]
  )
]

/** Words that have to be read and are not yet. */
export const missing = (outcome: Outcome): ReadonlyArray<string> =>
  judged(outcome).flatMap(({ verdict }) => verdict.lost.map(({ word }) => word))

/** What a speaker said, and which words of it nobody has to have heard. */
export const saidBy = (outcome: Outcome, speaker: SpeakerPlan): ReadonlyArray<Judge.Said> =>
  wordsOf(speaker).map((word) => {
    const [first, last] = [Microphones.firstPacketOf(word), Microphones.lastPacketOf(word)]
    const heardMs = (last + 1) * Microphones.PACKET_MS
    const isHeard = outcome.lives.some(
      ({ diedMs = Number.POSITIVE_INFINITY, fromPacket, toPacket }) =>
        first >= fromPacket && last < toPacket && heardMs <= diedMs - EXCUSED_MS
    )
    return { word: word.word, ...(isHeard ? {} : { optional: true as const }) }
  })

const judged = (outcome: Outcome) =>
  outcome.pages.flatMap(({ page, reader }) =>
    outcome.scenario.speakers.map((speaker) => {
      const text = page
        .blocks()
        .flatMap((block) => (block.speaker === speaker.name ? [block.text] : []))
        .join(" ")
      const read = Seam.wordsOf(text)
        .map(Judge.plain)
        .filter((word) => word !== "")
      const verdict = Judge.judge(saidBy(outcome, speaker), read)
      return { name: speaker.name, reader, verdict: withGuesses(verdict, page) }
    })
  )

/** Beside a guess that stays nobody can tell which words stand for which: so many may come twice. */
const TWICE_AT_A_GUESS = 3

/** What was read of an engine's guess stays, where somebody else began to speak or the process died: nobody corrects what stands there. */
const withGuesses = (verdict: Judge.Verdict, page: TalkPage): Judge.Verdict => {
  const shown = new Set(
    page
      .received()
      .flatMap(({ transcript }) => (transcript.final ? [] : Seam.wordsOf(transcript.message).map(Judge.plain)))
  )
  const invented = verdict.invented.filter(({ word }) => !shown.has(word))
  const guesses = verdict.invented.length - invented.length
  return {
    invented,
    lost: verdict.lost.slice(guesses),
    duplicated: verdict.duplicated.slice(TWICE_AT_A_GUESS * guesses),
    disordered: verdict.disordered.slice(TWICE_AT_A_GUESS * guesses),
    spoken: verdict.spoken,
    delivered: verdict.delivered
  }
}
