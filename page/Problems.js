/**
 * What went wrong, in words for whoever reads the page: what happened, and what to do.
 */

/** @type {Readonly<Record<string, string>>} */
const failures = {
  Unauthorized: "The service does not accept this token. Check it under Settings.",
  Unauthenticated: "The service asks for a token. Enter it under Settings.",
  Forbidden: "The service does not accept this page here.",
  ConcurrentStreams: "Too many recordings use this token at the same time. Stop another one and start again.",
  TooManyStreams: "The service is full at the moment. Try again in a minute.",
  DailyMinutes: "The minutes of this token for today are used up.",
  BadMessage: "The service did not understand this page. Reload it; it may have been updated.",
  BadAudio: "The service cannot read this sound. Choose another way under “Sound is sent as”.",
  NoEngine: "No speech engine works for this service at the moment. Whoever runs it finds the reason in its log.",
  Idle: "The service heard nothing for a long time and hung up.",
  SessionLimit: "The longest time for one recording is reached.",
  Internal: "Something broke in the service."
}

/** @type {Readonly<Record<string, string>>} */
const microphone = {
  InsecureContext: "Browsers allow the microphone only over https or on this machine as localhost.",
  NotAllowedError: "The microphone may not be used. Allow it in the browser, next to the address, and start again.",
  NotFoundError: "No microphone was found. Plug one in and start again.",
  OverconstrainedError: "The chosen microphone is not there any more. Choose another one under Settings.",
  NotReadableError: "Another program uses the microphone, or it does not answer."
}

/** Trying again cannot help before something was changed. */
const final = new Set([
  "Unauthorized",
  "Unauthenticated",
  "Forbidden",
  "ConcurrentStreams",
  "DailyMinutes",
  "BadMessage",
  "BadAudio",
  // Engines that are only away are waited for; this comes when there is none, or all of them refuse.
  "NoEngine"
])

/** @param {string} code */
export const isFinal = (code) => final.has(code)

/** @param {string} code @param {string} [detail] */
export const ofService = (code, detail = "") => failures[code] ?? (detail === "" ? "The connection broke." : detail)

/** @param {string} name */
export const ofMicrophone = (name) => microphone[name] ?? `The microphone does not work (${name}).`

/** @param {number} status */
export const ofAnswer = (status) => {
  if (status === 401) return "The service asks for a valid token. Enter it under Settings."
  if (status === 403) return "This token is for streaming only, or the service does not accept this page here."
  if (status === 404) return "There is no such call any more."
  if (status === 0) return "The service cannot be reached."
  return `The service answered with an error (${status}).`
}
