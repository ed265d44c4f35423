/**
 * Judge: what was read of one voice against what was said.
 *
 * Words are compared in order and may repeat ("no no no"): of three that were said and two that were read one is lost, whichever. Writing
 * does not count: "No," and "no" are one word.
 */

/** A word that was said. */
export interface Said {
  readonly word: string
  /** May be missing without being lost: nobody could hear it. */
  readonly optional?: true
}

/** Where a word was said (`at`) or read, and which. */
export interface Place {
  readonly at: number
  readonly word: string
}

export interface Verdict {
  /** Words that had to be read. */
  readonly spoken: number
  readonly delivered: number
  readonly lost: ReadonlyArray<Place>
  /** Read again, behind or in front of where they belong. */
  readonly duplicated: ReadonlyArray<Place>
  /** Missing in their place and read in another. */
  readonly disordered: ReadonlyArray<Place>
  /** Read, and never said. */
  readonly invented: ReadonlyArray<Place>
}

/** Punctuation and capitals are the engine's taste. */
export const plain = (word: string): string => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "")

/** The words of a text, plain; what is only punctuation is none. */
export const wordsOf = (text: string): ReadonlyArray<string> =>
  text
    .split(/\s+/u)
    .map(plain)
    .filter((word) => word !== "")

/** Judges by the longest common sequence, so that as few words as possible are blamed. `read` are plain words. */
export const judge = (said: ReadonlyArray<Said>, read: ReadonlyArray<string>): Verdict => {
  const words = said.map(({ word }) => plain(word))
  const { missing, extra } = differences(said, words, read)
  const lost: Array<Place> = []
  const disordered: Array<Place> = []
  const elsewhere = [...extra]
  for (const at of missing) {
    const word = words[at] ?? ""
    const moved = elsewhere.findIndex((place) => read[place] === word)
    if (moved >= 0) {
      elsewhere.splice(moved, 1)
      disordered.push({ at, word })
    } else if (said[at]?.optional !== true) lost.push({ at, word })
  }
  const spokenWords = new Set(words)
  const places = elsewhere.map((at): Place => ({ at, word: read[at] ?? "" }))
  return {
    spoken: said.filter(({ optional }) => optional !== true).length,
    delivered: read.length,
    lost,
    duplicated: places.filter(({ word }) => spokenWords.has(word)),
    disordered,
    invented: places.filter(({ word }) => !spokenWords.has(word))
  }
}

/** Everything was read once and in order. */
export const isClean = ({ disordered, duplicated, invented, lost }: Verdict): boolean =>
  lost.length + duplicated.length + disordered.length + invented.length === 0

/** What is wrong, in one line; empty when nothing is. */
export const complaint = (verdict: Verdict): string => {
  const kinds = ["lost", "duplicated", "disordered", "invented"] as const
  return kinds
    .filter((kind) => verdict[kind].length > 0)
    .map((kind) => {
      const few = verdict[kind].slice(0, 8).map(({ at, word }) => `${word}@${at}`)
      return `${verdict[kind].length} ${kind} (${few.join(" ")}${verdict[kind].length > 8 ? " …" : ""})`
    })
    .join(", ")
}

/** Words that must be read weigh more than all that may be: a repeated word is then taken for the one that must. */
const REQUIRED = 65_536

/** Indices in `said` that were not read, and in `read` that are too many. */
const differences = (said: ReadonlyArray<Said>, words: ReadonlyArray<string>, read: ReadonlyArray<string>) => {
  let from = 0
  while (from < words.length && from < read.length && words[from] === read[from] && said[from]?.optional !== true)
    from++
  let behind = 0
  while (
    behind < Math.min(words.length, read.length) - from &&
    words[words.length - 1 - behind] === read[read.length - 1 - behind] &&
    said[words.length - 1 - behind]?.optional !== true
  )
    behind++
  const rows = words.length - from - behind
  const columns = read.length - from - behind
  const width = columns + 1
  const best = new Float64Array((rows + 1) * width)
  const at = (row: number, column: number) => best[row * width + column] ?? 0
  for (let row = rows - 1; row >= 0; row--) {
    const weight = said[from + row]?.optional === true ? 1 : REQUIRED
    for (let column = columns - 1; column >= 0; column--) {
      const skipped = Math.max(at(row + 1, column), at(row, column + 1))
      best[row * width + column] =
        words[from + row] === read[from + column] ? Math.max(skipped, at(row + 1, column + 1) + weight) : skipped
    }
  }
  const missing: Array<number> = []
  const extra: Array<number> = []
  let row = 0
  let column = 0
  while (row < rows || column < columns) {
    const matches = row < rows && column < columns && words[from + row] === read[from + column]
    const weight = said[from + row]?.optional === true ? 1 : REQUIRED
    if (matches && at(row, column) === at(row + 1, column + 1) + weight) {
      row++
      column++
    } else if (row < rows && (column === columns || at(row + 1, column) >= at(row, column + 1)))
      missing.push(from + row++)
    else extra.push(from + column++)
  }
  return { missing, extra }
}
