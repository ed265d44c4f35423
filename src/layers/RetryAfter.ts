/**
 * RetryAfter: how long a server wants to be left alone (RFC 9110 §10.2.3).
 */

/** Of the header's value: seconds, or a date; `nowMs` since 1970. `undefined` where it says nothing that can be understood. */
export const msOf = (header: string | undefined, nowMs: number): number | undefined => {
  const value = header?.trim() ?? ""
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const atMs = /[a-z]/i.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}

/** As a part of an error. */
export const part = (retryAfterMs: number | undefined): { readonly retryAfterMs?: number } =>
  retryAfterMs === undefined ? {} : { retryAfterMs }
