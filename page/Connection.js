/**
 * One connection to the service: `WS /v1/transcriptions` with details. The token goes in the first message, never into an address that
 * others write down.
 */

/**
 * @typedef {object} Start
 * @property {string} token
 * @property {string} language
 * @property {string} engine
 * @property {{ readonly format: string, readonly sample_rate?: number }} format
 */
/**
 * @typedef {{ readonly segment: string, readonly text: string, readonly startMs: number, readonly endMs: number }} Words
 * Times are ms of the connection's own audio.
 */
/**
 * @typedef {object} Told
 * @property {(ready: { readonly engine: string, readonly model: string, readonly language: string }) => void} onReady
 * @property {(words: Words) => void} onPartial
 * @property {(words: Words) => void} onFinal
 * @property {(gap: { readonly atMs: number, readonly missingMs: number }) => void} onGap words are missing there: no engine could hear it
 * @property {(positionMs: number) => void} onSettled everything said before it is in finals that came before
 * @property {(end: Ended) => void} onEnd once, also when it never came to be
 */
/** @typedef {{ readonly code: string, readonly detail: string, readonly isClean: boolean }} Ended `code` as the service names it, or "Lost". */
/**
 * @typedef {object} Connection
 * @property {(bytes: ArrayBuffer) => void} send
 * @property {() => number} waitingBytes
 * @property {() => void} finish no more sound comes; it ends when all was told
 * @property {() => void} close
 */

/** The service takes milliseconds; an engine that has to wake up is its own affair, behind `ready`. */
const readyWithinMs = 20_000

/** @param {Start} start @param {Told} told @returns {Connection} */
export const connect = (start, told) => {
  const address = new URL("/v1/transcriptions", location.href)
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:"
  const socket = new WebSocket(address)
  socket.binaryType = "arraybuffer"
  let code = "Lost"
  let detail = ""
  let isOver = false

  /** @param {boolean} isClean */
  const over = (isClean) => {
    if (isOver) return
    isOver = true
    clearTimeout(impatience)
    told.onEnd({ code, detail, isClean })
  }
  const close = () => {
    socket.close()
    // A network that is gone answers nothing.
    over(false)
  }
  const impatience = setTimeout(close, readyWithinMs)

  socket.onopen = () => {
    const { engine, format, language, token } = start
    const optional = { ...(token === "" ? {} : { token }), ...(engine === "" ? {} : { engine }) }
    socket.send(JSON.stringify({ action: "start", language, ...format, ...optional, details: true }))
  }
  socket.onmessage = ({ data }) => {
    const message = isOver ? undefined : read(data)
    if (message === undefined) return
    if (typeof message["error"] === "string") {
      detail = message["error"]
      code = textOf(message["code"]) || "Internal"
      return
    }
    const ready = message["ready"]
    if (isRecord(ready)) {
      clearTimeout(impatience)
      told.onReady({
        engine: textOf(ready["engine"]),
        model: textOf(ready["model"]),
        language: textOf(ready["language"])
      })
    }
    const missing = message["interrupted"]
    if (typeof missing === "number") told.onGap({ atMs: numberOf(message["at"]) * 1000, missingMs: missing * 1000 })
    if (typeof message["settled"] === "number") told.onSettled(message["settled"] * 1000)
    const times = {
      segment: textOf(message["segment"]),
      startMs: numberOf(message["start"]) * 1000,
      endMs: numberOf(message["end"]) * 1000
    }
    if (typeof message["final"] === "string") told.onFinal({ ...times, text: message["final"] })
    else if (typeof message["replace"] === "string") told.onPartial({ ...times, text: message["replace"] })
  }
  socket.onclose = (event) => over(event.code === 1000)

  return {
    send: (bytes) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes)
    },
    waitingBytes: () => socket.bufferedAmount,
    finish: () => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ action: "stop" }))
    },
    close
  }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isRecord = (value) => typeof value === "object" && value !== null

/** @param {unknown} value */
const textOf = (value) => (typeof value === "string" ? value : "")

/** @param {unknown} value */
const numberOf = (value) => (typeof value === "number" ? value : 0)

/** @param {unknown} data */
const read = (data) => {
  try {
    const message = typeof data === "string" ? JSON.parse(data) : undefined
    return isRecord(message) ? message : undefined
  } catch {
    return undefined
  }
}
