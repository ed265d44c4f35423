/**
 * What `LT_RUNNERS` may say. Read twice: by `AppConfig`, and before it by the process that may become a supervisor, which is too small to load that.
 */

const MOST = 64

export const expected = `a whole number from 1 to ${MOST}, or auto`

/** `undefined`: neither. */
export const parse = (given: string): number | "auto" | undefined => {
  if (given.toLowerCase() === "auto") return "auto"
  const count = /^\d{1,9}$/.test(given) ? Number(given) : 0
  return count >= 1 && count <= MOST ? count : undefined
}
