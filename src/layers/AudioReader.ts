/**
 * AudioReader: bytes of one format become sound. All readers are plain and synchronous, take the bytes in any pieces, and hold no more of
 * them than a part that is not complete yet.
 */
import { AudioTrouble } from "../domain/AudioTrouble.ts"

export interface AudioReader {
  /** Takes the next bytes; they may be reused afterwards. Never throws. */
  readonly read: (bytes: Uint8Array) => void
  /** Nothing more comes: hands on what a filter still holds back (up to 3 ms). */
  readonly close: () => void
}

/** Who takes what a reader understood, in order. */
export interface AudioListener {
  /** Mono at 24 kHz, in −1…1, directly behind what came before; valid only during the call. */
  readonly onSound: (pcm: Float32Array) => void
  /** Nothing was recorded for so many samples at 24 kHz. */
  readonly onSilence: (samples: number) => void
  readonly onTrouble: (trouble: AudioTrouble) => void
}

export const headerless = new AudioTrouble({
  reason: "Headerless",
  detail: "The recording begins in its middle: stop the recorder and start it again, so that its header comes first.",
  goesOn: false
})
