/**
 * Words that come twice: behind a connection that broke, the next one hears again what was not settled, also words that are in finished lines
 * already.
 */

/**
 * @typedef {object} Repeats
 * @property {(text: string) => string} partial what of it is new
 * @property {(text: string, endMs: number) => string} final what of it is new; from now on all of it is in a finished line, which ends no later
 * @property {(positionMs: number) => void} settled what was said before it is in finished lines and will not be heard again
 * @property {(isRepeated: boolean, fromMs: number) => void} interrupted the next connection hears again what was not settled, from there on, or it
 *   does not
 */
/** @typedef {{ readonly word: string, readonly endMs: number }} Said `endMs`: of its line. */

/** So many words in a row are at the same place, where an engine has heard those before them differently. */
const enough = 3

/** @param {string} text */
const wordsOf = (text) => text.split(/\s+/).filter((word) => word !== "")

/** @param {string} word */
const plain = (word) => word.toLowerCase().replaceAll(/[\p{P}\p{S}]/gu, "")

/**
 * How many words at the beginning of `fresh` are those of `due`, in doubt fewer: words that are read twice are better than none. `heard`: how many
 * words of `due` are over with them. The first of `due` may be missing: where a line begins in the sound nobody knows.
 *
 * @param {ReadonlyArray<Said>} due @param {ReadonlyArray<string>} fresh
 */
const repeated = (due, fresh) => {
  const same = (/** @type {number} */ from, /** @type {number} */ at) => {
    let count = 0
    while (
      from + count < due.length &&
      at + count < fresh.length &&
      plain(due[from + count]?.word ?? "") === plain(fresh[at + count] ?? "")
    )
      count++
    return count
  }
  const from = Math.max(
    0,
    due.findIndex((_, at) => same(at, 0) >= enough)
  )
  const count = same(from, 0)
  const found = { count, heard: from + count }
  if (count === fresh.length || found.heard === due.length || due.length < enough) return found
  for (let at = count; at + enough <= fresh.length; at++)
    if (same(due.length - enough, at) === enough) return { count: at + enough, heard: due.length }
  return found
}

/** @returns {Repeats} */
export const makeRepeats = () => {
  /** @type {ReadonlyArray<Said>} In finished lines, and not settled. */
  let said = []
  /** @type {ReadonlyArray<Said>} Of these: not heard again yet. */
  let due = []
  return {
    partial: (text) => {
      const fresh = wordsOf(text)
      const { count } = repeated(due, fresh)
      return count === 0 ? text : fresh.slice(count).join(" ")
    },
    final: (text, endMs) => {
      const fresh = wordsOf(text)
      const { count, heard } = repeated(due, fresh)
      // Once something else is heard, nothing more of it comes.
      due = count === fresh.length ? due.slice(heard) : []
      said = [...said, ...fresh.slice(count).map((word) => ({ word, endMs }))]
      return count === 0 ? text : fresh.slice(count).join(" ")
    },
    settled: (positionMs) => {
      // What is not recognised a second time is no repeat when it is said again.
      due = due.filter(({ endMs }) => endMs > positionMs)
      said = due
    },
    interrupted: (isRepeated, fromMs) => {
      said = isRepeated ? said.filter(({ endMs }) => endMs > fromMs) : []
      due = said
    }
  }
}
