/**
 * Transcripts as files: plain text, SubRip, WebVTT, JSON.
 */
import { wholeSeconds } from "./Elements.js"
import { isGap, isLine } from "./Transcript.js"

/** @typedef {import("./Transcript.js").Line} Line */
/** @typedef {import("./Transcript.js").Entry} Entry */
/** @typedef {"txt" | "srt" | "vtt" | "json"} Format */
/**
 * @typedef {object} Recorded
 * @property {string} startedAt ISO 8601
 * @property {number} durationMs
 * @property {string} language
 * @property {string} engine
 * @property {string} model
 * @property {ReadonlyArray<Entry>} entries
 */

/** Two lines of 42 characters: what subtitles have by convention. */
const cueLineLength = 42
const cueLength = 2 * cueLineLength
/** A cue is seen at least so long. */
const shortestCueMs = 700

/** @type {Readonly<Record<Format, string>>} */
export const mediaTypes = {
  txt: "text/plain;charset=utf-8",
  srt: "application/x-subrip;charset=utf-8",
  vtt: "text/vtt;charset=utf-8",
  json: "application/json"
}

/** @param {Recorded} recorded @returns {ReadonlyArray<Line>} */
export const linesOf = ({ entries }) => entries.filter(isLine)

/**
 * The lines, and marks where words are missing: they read the same in every language.
 *
 * @param {Recorded} recorded
 * @returns {ReadonlyArray<Line>}
 */
const toRead = ({ entries }) =>
  entries.flatMap((entry) => {
    if (isLine(entry)) return [entry]
    if (!isGap(entry)) return []
    const { atMs, missingMs } = entry
    return [{ text: `[… ${wholeSeconds(missingMs)} s …]`, startMs: atMs, endMs: atMs + missingMs }]
  })

/** @param {Recorded} recorded @param {Format} format @returns {string} */
export const write = (recorded, format) => {
  switch (format) {
    case "txt":
      return text(toRead(recorded))
    case "srt":
      return srt(cues(toRead(recorded)))
    case "vtt":
      return vtt(cues(toRead(recorded)), recorded.language)
    case "json":
      return `${JSON.stringify(recorded, undefined, 2)}\n`
  }
}

/** @param {ReadonlyArray<Line>} lines */
const text = (lines) => lines.map((line) => `${line.text}\n`).join("")

/** @param {ReadonlyArray<Line>} cues */
const srt = (cues) =>
  cues
    .map((cue, at) => `${at + 1}\n${time(cue.startMs, ",")} --> ${time(cue.endMs, ",")}\n${wrap(cue.text)}\n`)
    .join("\n")

/** @param {ReadonlyArray<Line>} cues @param {string} language */
const vtt = (cues, language) =>
  [
    `WEBVTT${/^[\w-]+$/.test(language) ? ` - ${language}` : ""}\n`,
    ...cues.map((cue) => `${time(cue.startMs, ".")} --> ${time(cue.endMs, ".")}\n${escapeVtt(wrap(cue.text))}\n`)
  ].join("\n")

/** @param {string} given */
const escapeVtt = (given) => given.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/** @param {number} ms @param {"," | "."} mark */
const time = (ms, mark) => {
  const whole = Math.max(0, Math.round(ms))
  const part = (/** @type {number} */ value, /** @type {number} */ digits) => String(value).padStart(digits, "0")
  const seconds = Math.floor(whole / 1000)
  const hours = part(Math.floor(seconds / 3600), 2)
  return `${hours}:${part(Math.floor(seconds / 60) % 60, 2)}:${part(seconds % 60, 2)}${mark}${part(whole % 1000, 3)}`
}

/**
 * Lines as subtitles: long ones become several, each with its share of the time, and none overlaps the next.
 *
 * @param {ReadonlyArray<Line>} lines
 * @returns {ReadonlyArray<Line>}
 */
const cues = (lines) => {
  const parts = lines.flatMap(divide).sort((one, other) => one.startMs - other.startMs)
  return parts.map((part, at) => {
    const wished = Math.max(part.endMs, part.startMs + shortestCueMs)
    const next = parts[at + 1]?.startMs ?? Number.POSITIVE_INFINITY
    return { ...part, endMs: next > part.startMs ? Math.min(wished, next) : part.startMs + 1 }
  })
}

/** @param {Line} line @returns {Array<Line>} */
const divide = (line) => {
  const pieces = pack(line.text, cueLength)
  const characters = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const spanMs = Math.max(line.endMs - line.startMs, 0)
  let before = 0
  return pieces.map((piece) => {
    const startMs = line.startMs + (spanMs * before) / characters
    before += piece.length
    return { text: piece, startMs, endMs: line.startMs + (spanMs * before) / characters }
  })
}

/** @param {string} given */
const wrap = (given) =>
  given.length <= cueLineLength ? given : pack(given, Math.ceil(given.length / 2) + 4).join("\n")

/**
 * Whole words in pieces of at most `length` characters; a longer word is a piece of its own.
 *
 * @param {string} given
 * @param {number} length
 * @returns {Array<string>}
 */
const pack = (given, length) => {
  /** @type {Array<string>} */
  const pieces = []
  for (const word of given.split(/\s+/).filter((one) => one !== "")) {
    const last = pieces.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= length) pieces[pieces.length - 1] = `${last} ${word}`
    else pieces.push(word)
  }
  return pieces
}
