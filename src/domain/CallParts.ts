/**
 * Who hears whom in a call that is too large for one runner. Whoever is heard somewhere stays there; nobody is moved for the sake of evenness.
 */

/**
 * Voices that one runner hears of one call. A voice costs up to 0.3 % of a core, most of it for packets that come whether anybody speaks or not:
 * 120 are a third of a core, which leaves room for those who speak at once, for doors, and for the captions that the first part sends.
 */
export const MOST_VOICES = 120

export interface Division<Part> {
  /** By voice. */
  readonly heardBy: ReadonlyMap<string, Part>
  /** Voices beyond what all parts should hear. */
  readonly beyond: ReadonlyArray<string>
}

/**
 * Divides the voices that are wanted among the parts, the first of which is the one that captions. Who is new goes to the first as long as that
 * has room, then to the part with the fewest voices; of several the earliest. Where nobody has room they are `beyond`.
 */
export const divide = <Part>(
  wanted: ReadonlyArray<string>,
  before: ReadonlyMap<string, Part>,
  parts: ReadonlyArray<Part>,
  most = MOST_VOICES
): Division<Part> => {
  const count = new Map(parts.map((part) => [part, 0]))
  const heardBy = new Map<string, Part>()
  const hear = (voice: string, part: Part) => {
    heardBy.set(voice, part)
    count.set(part, (count.get(part) ?? 0) + 1)
  }
  for (const voice of wanted) {
    const part = before.get(voice)
    if (part !== undefined && count.has(part)) hear(voice, part)
  }
  const beyond: Array<string> = []
  for (const voice of wanted) {
    if (heardBy.has(voice)) continue
    const part = withRoom(count, most)
    if (part === undefined) beyond.push(voice)
    else hear(voice, part)
  }
  return { heardBy, beyond }
}

const withRoom = <Part>(count: ReadonlyMap<Part, number>, most: number): Part | undefined => {
  const [first, ...others] = [...count].filter(([, voices]) => voices < most)
  const [lead] = count.keys()
  if (first === undefined || first[0] === lead) return first?.[0]
  return others.reduce((least, one) => (one[1] < least[1] ? one : least), first)[0]
}
