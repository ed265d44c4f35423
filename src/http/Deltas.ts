/**
 * The text of segments for clients that append what they are told.
 */
import type { Segment } from "../domain/Segment.ts"

/**
 * Gives what of a segment's text was not given yet, with the space it needs. Only committed text is given, so nothing is ever taken back. For
 * segments one after the other.
 */
export const make = (): ((segment: Segment) => string) => {
  let id = ""
  let given = 0
  return (segment) => {
    if (segment.id !== id) given = 0
    id = segment.id
    const delta = segment.committed.slice(given)
    given = segment.committed.length
    return delta
  }
}
