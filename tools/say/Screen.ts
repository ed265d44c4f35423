/**
 * What `say` prints: finals as lines on the standard output; partials in place, where somebody sees them; the rest on the standard error.
 */

export interface Screen {
  readonly partial: (text: string) => void
  readonly final: (text: string) => void
  readonly note: (text: string) => void
  /** Leaves nothing half-written behind. */
  readonly end: () => void
}

type Output = Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns">

/** Back to the beginning of the line, which is emptied. */
const wipe = "\r\u001b[2K"
/** What a service says moves no cursor and changes no terminal. */
const plain = (text: string) => text.replace(/\p{Cc}/gu, " ")
const dim = (text: string) => `\u001b[2m${text}\u001b[22m`

/** Prints there; who reads it there sees nothing but text. */
export const make = (out: Output, err: Output): Screen => {
  let isDirty = false
  const clean = () => {
    if (isDirty) out.write(wipe)
    isDirty = false
  }
  return {
    partial: (given) => {
      if (out.isTTY !== true) return
      const text = plain(given)
      clean()
      isDirty = text !== ""
      // A line that is broken by the terminal cannot be taken back: the end of it is what is new.
      const room = (out.columns || 80) - 1
      if (isDirty) out.write(dim(text.length <= room ? text : `…${text.slice(1 - room)}`))
    },
    final: (text) => {
      clean()
      if (text !== "") out.write(`${plain(text)}\n`)
    },
    note: (text) => {
      clean()
      err.write(`${plain(text)}\n`)
    },
    end: clean
  }
}
