/**
 * What the page asks of the service over HTTP. The token goes in a header.
 */
import { recall } from "./Preferences.js"

/** The service did not answer as wished; 0: not at all. */
export class AnswerError extends Error {
  /** @param {number} status */
  constructor(status) {
    super(`status ${status}`)
    this.status = status
  }
}

const headers = () => {
  const token = recall("token")
  return token === "" ? {} : { authorization: `Bearer ${token}` }
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<Response>} */
export const get = async (path, signal) => {
  const answer = await fetch(path, {
    headers: { ...headers(), accept: "application/json, text/event-stream" },
    cache: "no-store",
    // With the page's own header a browser's remembered password has no say.
    credentials: "omit",
    ...(signal === undefined ? {} : { signal })
  }).catch(() => {
    throw new AnswerError(0)
  })
  if (!answer.ok) throw new AnswerError(answer.status)
  return answer
}

/** @typedef {{ readonly name: string, readonly model?: string, readonly state?: string, readonly languages?: ReadonlyArray<unknown> }} Engine */

/** @returns {Promise<ReadonlyArray<Engine>>} */
export const engines = async () => {
  const answer = await (await get("/api/v1/engines")).json()
  const list = Array.isArray(answer) ? answer : Array.isArray(answer?.engines) ? answer.engines : []
  return list.filter((/** @type {Engine} */ one) => typeof one?.name === "string")
}

/**
 * @typedef {object} Call
 * @property {string} roomToken
 * @property {string} state
 * @property {string} [advice]
 * @property {number} viewers
 * @property {number} speakers
 * @property {string} languageId
 */

/** @returns {Promise<ReadonlyArray<Call>>} */
export const calls = async () => (await (await get("/api/v1/status")).json()).calls

/** @returns {Promise<Readonly<Record<string, { readonly name: string }>>>} */
export const languages = async () => (await get("/api/v1/languages")).json()

/** @typedef {{ readonly event: string, readonly data: string }} ServerEvent */

/**
 * Server-sent events of an answer, read with `fetch`: the browser's own `EventSource` cannot send a token but in the address.
 *
 * @param {Response} answer
 * @param {(event: ServerEvent) => void} onEvent
 */
export const readEvents = async (answer, onEvent) => {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ""
  for (;;) {
    const part = await reader?.read()
    if (part === undefined || part.done) return
    const blocks = `${rest}${part.value}`.split("\n\n")
    rest = blocks.pop() ?? ""
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => /^(event|data): ?(.*)$/.exec(line))
      const of = (/** @type {string} */ name) =>
        fields
          .filter((field) => field?.[1] === name)
          .map((field) => field?.[2] ?? "")
          .join("\n")
      const data = of("data")
      if (data !== "") onEvent({ event: of("event"), data })
    }
  }
}
