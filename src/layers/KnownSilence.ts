/**
 * KnownSilence: the one packet that a muted microphone sends again and again, bit for bit, so that it is not decoded each time somebody looks at it.
 */

export interface KnownSilence {
  /** This packet, of which its sender says that it is so loud, was silent each time it was decoded, the last times of all. Asked once for each look. */
  readonly has: (payload: Uint8Array, level: number) => boolean
  /** It was decoded, and is silent. */
  readonly add: (payload: Uint8Array, level: number) => void
}

/** A codec may get louder from one to the next of the same packets: then it has done so by now. */
const SURE = 8
/** So often it is decoded all the same. */
const AGAIN_EVERY = 10

export const make = (): KnownSilence => {
  let known: { readonly payload: Uint8Array; readonly level: number } | undefined
  let added = 0
  let asked = 0
  const isIt = (payload: Uint8Array, level: number): boolean =>
    known !== undefined && known.level === level && Buffer.compare(known.payload, payload) === 0
  return {
    has: (payload, level) => added >= SURE && isIt(payload, level) && ++asked % AGAIN_EVERY !== 0,
    add: (payload, level) => {
      if (isIt(payload, level)) added++
      else {
        known = { payload: Uint8Array.from(payload), level }
        added = 1
      }
    }
  }
}
