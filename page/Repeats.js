/**
 * Words that come twice: behind a connection that broke, the next one hears again what was not settled, also words that are in finished lines
 * already.
 */

/**
 * @typedef {object} Repeats
 * @property {(text: string) => string} partial what of it is new
 * @property {(text: string) => string} final what of it is new; from now on all of it is in a finished line
 * @property {() => void} settled everything that was said so far is in finished lines and will not be heard again
 * @property {(isRepeated: boolean) => void} interrupted the next connection hears what was not settled again, or it does not
 */

/** So many words in a row are at the same place, where an engine has heard those before them differently. */
const enough = 3

/** @param {string} text */
const wordsOf = (text) => text.split(/\s+/).filter((word) => word !== "")

/** @param {string} word */
const plain = (word) => word.toLowerCase().replaceAll(/[\p{P}\p{S}]/gu, "")

/**
 * How many words at the beginning of `fresh` are those of `due`; in doubt fewer, as words that are read twice are better than none.
 *
 * @param {ReadonlyArray<string>} due @param {ReadonlyArray<string>} fresh
 */
const repeated = (due, fresh) => {
  const isSame = (/** @type {number} */ at, /** @type {number} */ other) =>
    plain(due[at] ?? "") === plain(fresh[other] ?? "")
  const count = Math.min(due.length, fresh.length)
  let same = 0
  while (same < count && isSame(same, same)) same++
  if (same === count || due.length < enough) return same
  const from = due.length - enough
  for (let at = same; at + enough <= fresh.length; at++)
    if (Array.from({ length: enough }).every((_, n) => isSame(from + n, at + n))) return at + enough
  return same
}

/** @returns {Repeats} */
export const makeRepeats = () => {
  /** @type {Array<string>} In finished lines, and not settled. */
  let said = []
  /** @type {Array<string>} Of these: not heard again yet. */
  let due = []
  return {
    partial: (text) => {
      const fresh = wordsOf(text)
      const count = repeated(due, fresh)
      return count === 0 ? text : fresh.slice(count).join(" ")
    },
    final: (text) => {
      const fresh = wordsOf(text)
      const count = repeated(due, fresh)
      // Once something else is heard, nothing more of it comes.
      due = count === fresh.length ? due.slice(count) : []
      said.push(...fresh.slice(count))
      return count === 0 ? text : fresh.slice(count).join(" ")
    },
    settled: () => {
      said = [...due]
    },
    interrupted: (isRepeated) => {
      if (!isRepeated) said = []
      due = [...said]
    }
  }
}
