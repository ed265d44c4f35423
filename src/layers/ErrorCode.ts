/**
 * Words that stand for errors (`ECONNREFUSED`, `session_expired`): what may be shown of an error that somebody else made. Its sentences may
 * quote what was said, who asked, or an address with credentials in it.
 */

/** The word, if it is one. */
export const wordOf = (code: unknown): string | undefined =>
  typeof code === "string" && /^[\w.-]{1,64}$/.test(code) ? code : undefined

/** The `code` of an error, where it has one that is a word. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error ? wordOf(error.code) : undefined
