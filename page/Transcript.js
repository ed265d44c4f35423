/**
 * What was said in one recording: finished lines, which never change, and the open text, which may.
 */

/**
 * @typedef {object} Line Times are ms from the beginning of the recording.
 * @property {number} startMs
 * @property {number} endMs
 * @property {string} text
 * @property {true} [isCut] the connection was lost in it: the end of it may be missing
 */
/** @typedef {{ readonly atMs: number, readonly note: string }} Note Something that happened to the recording. */
/** @typedef {{ readonly atMs: number, readonly missingMs: number }} Gap So much was said there, and no engine could hear it. */
/** @typedef {Line | Note | Gap} Entry In the order in which they came. */
/**
 * @typedef {object} Transcript
 * @property {() => ReadonlyArray<Entry>} entries
 * @property {() => ReadonlyArray<Line>} lines
 * @property {() => string} open the text that may still change
 * @property {(segment: string, line: Line) => void} partial
 * @property {(segment: string, line: Line) => void} final
 * @property {(atMs: number, note: string) => void} note
 * @property {(atMs: number, missingMs: number) => void} gap
 * @property {() => void} forgetOpen it will be heard again
 * @property {() => void} cutOpen nothing more comes of it: what is known of it is kept
 */

/** @param {Entry} entry @returns {entry is Note} */
export const isNote = (entry) => "note" in entry

/** @param {Entry} entry @returns {entry is Gap} */
export const isGap = (entry) => "missingMs" in entry

/** @param {Entry} entry @returns {entry is Line} */
export const isLine = (entry) => "text" in entry

/**
 * @param {(change: { readonly added?: Entry, readonly open: string }) => void} onChange
 * @returns {Transcript}
 */
export const makeTranscript = (onChange) => {
  /** @type {Array<Entry>} */
  const entries = []
  /** @type {Map<string, Line>} */
  const open = new Map()
  const openText = () =>
    [...open.values()]
      .map(({ text }) => text.trim())
      .join(" ")
      .trim()
  /** @param {Entry} [added] */
  const changed = (added) => {
    if (added !== undefined) entries.push(added)
    onChange(added === undefined ? { open: openText() } : { added, open: openText() })
  }
  return {
    entries: () => entries,
    lines: () => entries.filter(isLine),
    open: openText,
    partial: (segment, line) => {
      open.set(segment, line)
      changed()
    },
    final: (segment, line) => {
      open.delete(segment)
      const text = line.text.trim()
      changed(text === "" ? undefined : { ...line, text })
    },
    note: (atMs, note) => changed({ atMs, note }),
    gap: (atMs, missingMs) => changed({ atMs, missingMs }),
    forgetOpen: () => {
      open.clear()
      changed()
    },
    cutOpen: () => {
      const cut = [...open.values()]
      open.clear()
      for (const line of cut)
        changed(line.text.trim() === "" ? undefined : { ...line, text: line.text.trim(), isCut: true })
    }
  }
}
