/**
 * What may be logged of a bug that a client's message has met: messages of errors may quote what a client sent or said.
 */

/** Kind of the error and where it was thrown, never its message. */
export const traceOf = (defect: unknown): { readonly error: string; readonly trace: ReadonlyArray<string> } => {
  if (!(defect instanceof Error)) return { error: typeof defect, trace: [] }
  const lines = (defect.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line))
  return { error: defect.name, trace: lines.slice(0, 12).map((line) => line.trim()) }
}
