/**
 * One recording: sound goes to the service over a connection, words come back. The connection may break; the recording does not: sound is
 * kept meanwhile, and what may not be in a finished line is heard again over the next connection.
 */
import { connect } from "./Connection.js"
import * as Problems from "./Problems.js"
import { makeRepeats } from "./Repeats.js"

/** @typedef {import("./Backlog.js").Backlog} Backlog */
/** @typedef {import("./Connection.js").Connection} Connection */
/**
 * @typedef {{ readonly name: "connecting" | "listening" | "waiting" | "finishing" | "waitingAtEnd" }
 *   | { readonly name: "over", readonly problem?: string, readonly code?: string }} State
 */
/**
 * @typedef {object} DictationOptions
 * @property {Backlog} backlog
 * @property {() => import("./Connection.js").Start} start read for every connection
 * @property {import("./Transcript.js").Transcript} transcript
 * @property {(state: State) => void} onState
 * @property {(ready: { readonly engine: string, readonly model: string, readonly language: string }) => void} onReady
 */

/** More than that waits in here and not in the browser, so that a connection that breaks does not take it away. */
const maxWaitingBytes = 256 * 1024
const pumpEveryMs = 50
const firstRetryMs = 500
const retryGrowth = 1.5
const longestRetryMs = 5000
/** So that the pages of many people do not come back in the same moment. */
const retrySpread = 0.4
/** Nothing is told for so long after the last sound: nothing more will be. */
const silenceAtEndMs = 30_000
/** Sound lost that is worth a word. */
const noticeableMs = 500

/** @param {DictationOptions} options */
export const begin = ({ backlog, onReady, onState, start, transcript }) => {
  /** @type {Connection | undefined} */
  let connection
  let isReady = false
  let isStopping = false
  let hasSaidStop = false
  let isOver = false
  let failures = 0
  /** Where in the recording the connection's audio begins. */
  let fromMs = 0
  let hasBroken = false
  let heardAtMs = performance.now()
  const repeats = makeRepeats()
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let retry

  /** @param {string} [problem] @param {string} [code] */
  const end = (problem, code) => {
    if (isOver) return
    isOver = true
    clearInterval(pumping)
    clearTimeout(retry)
    removeEventListener("online", tryNow)
    transcript.cutOpen()
    connection?.close()
    onState({ name: "over", ...(problem === undefined ? {} : { problem }), ...(code === undefined ? {} : { code }) })
  }

  const pump = () => {
    if (!isReady || connection === undefined) return
    while (connection.waitingBytes() < maxWaitingBytes) {
      const chunk = backlog.next()
      if (chunk === undefined) break
      connection.send(chunk.bytes)
      heardAtMs = performance.now()
    }
    if (isStopping && !hasSaidStop && backlog.isComplete()) {
      hasSaidStop = true
      connection.finish()
    }
    if (hasSaidStop && performance.now() - heardAtMs > silenceAtEndMs) end("The last words did not come back in time.")
  }

  const open = () => {
    isReady = false
    hasSaidStop = false
    onState({ name: isStopping ? "finishing" : hasBroken ? "waiting" : "connecting" })
    /** @param {import("./Connection.js").Words} words */
    const placed = ({ endMs, startMs, text }) => ({ text, startMs: fromMs + startMs, endMs: fromMs + endMs })
    connection = connect(start(), {
      onReady: (ready) => {
        const begun = backlog.rewind()
        fromMs = begun.fromMs
        isReady = true
        failures = 0
        heardAtMs = performance.now()
        repeats.interrupted(begun.isRepeated, fromMs)
        if (hasBroken) sayWhatWasKept(begun)
        onReady(ready)
        onState({ name: isStopping ? "finishing" : "listening" })
        pump()
      },
      onPartial: (words) => {
        heardAtMs = performance.now()
        transcript.partial(words.segment, placed({ ...words, text: repeats.partial(words.text) }))
      },
      onFinal: (words) => {
        heardAtMs = performance.now()
        const line = placed(words)
        transcript.final(words.segment, { ...line, text: repeats.final(words.text, line.endMs) })
      },
      // Where a line ends in the sound is an estimate: what lies before its end may have words of the next.
      onSettled: (positionMs) => {
        heardAtMs = performance.now()
        repeats.settled(fromMs + positionMs)
        backlog.said(fromMs + positionMs)
      },
      onGap: ({ atMs, missingMs }) => {
        heardAtMs = performance.now()
        transcript.gap(fromMs + atMs, missingMs)
      },
      onEnd: broke
    })
  }

  /** @param {ReturnType<Backlog["rewind"]>} begun */
  const sayWhatWasKept = ({ fromMs, isRepeated, lostMs }) => {
    if (isRepeated) transcript.forgetOpen()
    else transcript.cutOpen()
    const kept = isRepeated
      ? "What was said meanwhile was kept."
      : "What was said meanwhile was kept; words just before may be missing."
    const lost = lostMs > noticeableMs ? `${seconds(lostMs)} of sound were lost.` : kept
    transcript.note(fromMs, `The connection was lost and is back. ${lost}`)
  }

  /** @param {import("./Connection.js").Ended} ended */
  const broke = ({ code, detail, isClean }) => {
    connection = undefined
    if (isOver) return
    if (isClean && hasSaidStop) return end()
    if (Problems.isFinal(code)) return end(Problems.ofService(code, detail), code)
    // Limits are no failures: the next connection is a new session.
    const pauseMs = Math.min(firstRetryMs * retryGrowth ** failures, longestRetryMs)
    const waitMs = code === "SessionLimit" ? 0 : pauseMs * (1 + retrySpread * (Math.random() - 0.5))
    if (isReady) hasBroken = true
    isReady = false
    backlog.interrupted()
    failures++
    onState({ name: isStopping ? "waitingAtEnd" : "waiting" })
    retry = setTimeout(open, waitMs)
  }

  const tryNow = () => {
    if (connection !== undefined || isOver) return
    clearTimeout(retry)
    open()
  }

  const pumping = setInterval(pump, pumpEveryMs)
  addEventListener("online", tryNow)
  open()
  return {
    pump,
    /** No more sound comes: sends the rest, waits for the last words. */
    finish: () => {
      isStopping = true
      heardAtMs = performance.now()
      if (isReady) onState({ name: "finishing" })
      else if (connection === undefined) tryNow()
      pump()
    },
    /** Ends now, with what is there. */
    abandon: () => end()
  }
}

/** @param {number} ms */
const seconds = (ms) => (ms < 1500 ? "1 s" : `${Math.round(ms / 1000)} s`)
