/**
 * What a call leaves that was heard in parts: the lead's journal says how far each voice is said, the part's has its speech.
 */
import type { Incarnation } from "../domain/Seat.ts"
import { joinText } from "../domain/Segment.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { HeardMark, Left, UnsaidText } from "../services/SpeechJournal.ts"
import type { Resumed } from "./CallPart.ts"

/** Each voice once: with the speech that one journal has, and what was said of it as the one that is furthest has it. */
export const joined = ({ unsaid, voices }: Left): Left => ({
  unsaid,
  voices: [...Map.groupBy(voices, ({ id }) => id).values()].flatMap((same) => {
    const one = same.find(({ hasSpeech }) => hasSpeech) ?? same[0]
    const furthest = same.toSorted((before, after) => compare(after, before))[0]
    return one === undefined || furthest === undefined ? [] : [withMark(one, furthest)]
  })
})

/** The same voice, said as far as `mark`. */
export const withMark = <V extends HeardMark>(voice: V, { position, said }: HeardMark): V => ({
  ...voice,
  position,
  said
})

/** A mark behind another is a later one. At the same position more was said. */
const compare = (one: HeardMark, other: HeardMark): number =>
  one.position - other.position || one.said.length - other.said.length

/** Voices of one life of a part are called so that no other has the same: they keep their ids while leads change. */
export const nameOf = (part: Incarnation, life: number): string => `${part}.${life}.`
const numberOf = (id: string): string => id.slice(id.lastIndexOf(":") + 1)
const isOfPart = (id: string): boolean => numberOf(id).includes(".")
/** Whether some life of this part has named it. */
export const isOf = (part: Incarnation, id: string): boolean => numberOf(id).startsWith(`${part}.`)

/** The ids under which voices go on: those that a part may still hear keep theirs. */
export const idsOf = (
  voices: ReadonlyArray<{ readonly id: string; readonly key: VoiceKey; readonly hasSpeech: boolean }>,
  nextId: (key: VoiceKey) => string
): ReadonlyMap<string, string> =>
  new Map(voices.map(({ hasSpeech, id, key }) => [id, isOfPart(id) && !hasSpeech ? id : nextId(key)]))

/** How far those are said that a part may still hear. */
export const resumed = (
  voices: ReadonlyArray<HeardMark & { readonly id: string; readonly key: VoiceKey; readonly hasSpeech: boolean }>,
  unsaid: ReadonlyArray<UnsaidText>
): ReadonlyArray<ResumedVoice> =>
  voices
    .filter(({ hasSpeech, id }) => isOfPart(id) && !hasSpeech)
    .map(({ id, key, position, said }) => {
      const { ahead, texts } = unsaid.find(({ voice }) => voice === id) ?? { ahead: "", texts: [] }
      return { voice: id, key, position, said: joinText(said, ahead), segments: texts.length }
    })

export interface ResumedVoice extends Resumed {
  readonly key: VoiceKey
}
