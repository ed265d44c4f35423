/**
 * Speech or silence: decides from the energy of decoded audio, and from the sender's own level where there is one.
 *
 * Energy is judged in blocks of 20 ms against the noise floor of the last seconds. The gate opens when two of three blocks are loud, so
 * a click does not open it; who keeps the 300 ms before misses no soft onset by that. It closes when nothing was loud for the hang-over.
 */
import { SAMPLE_RATE, samplesOfMs } from "../domain/Audio.ts"

export interface Gate {
  /** The next samples of the voice; `level` as in RFC 6464. */
  readonly hear: (pcm: Float32Array, level: number | undefined) => void
  /** The next samples are missing and count as silence. */
  readonly skip: (samples: number) => void
  readonly isOpen: () => boolean
  /**
   * Whether sound of that level (RFC 6464), which is not heard, would leave the gate closed as it is. It may tell that the room has become quieter, but
   * not that it has become louder.
   */
  readonly isSilentAt: (level: number) => boolean
  /** Levels to which `isSilentAt` says yes, in whatever order they come; `undefined`: none. Valid until it is asked again. */
  readonly silentLevels: () => SilentLevels | undefined
  /** Samples since something was last loud; 0 before that. */
  readonly quiet: () => number
  /** Samples in which somebody spoke, soft moments within speech included, since the voice began. */
  readonly spoken: () => number
  /** Packets have stopped: silence at once. What is known about the noise stays. */
  readonly close: () => void
}

/** From here to there; and those of digital silence. */
export interface SilentLevels {
  readonly fromLevel: number
  readonly toLevel: number
  readonly fromDigital: number
}

const BLOCK = SAMPLE_RATE / 50
/**
 * ms. Stops and breaths within a phrase stay below 350 ms; a longer hang-over would only delay the end of the segment. Whoever closes at
 * the end of an 80 ms frame waits 400 ms on average.
 */
export const HANG_OVER_MS = 360
/** A sender that says −70 dBov or less sends nothing that could be understood. */
const SILENT_LEVEL = 70

const power = (db: number): number => 10 ** (db / 10)
/** Below −55 dBFS nobody speaks: quiet speakers come with about −45. Above −38 dBFS it is sent to the engine however steady it is. */
const LOWEST_THRESHOLD = power(-55)
const HIGHEST_THRESHOLD = power(-38)
/** Speech exceeds the quietest moment of a noise by this; a fan or hiss does not (its blocks scatter by about 3 dB). */
const ABOVE_FLOOR = power(9)
/** Soft endings count as speech when speech has begun. */
const ENDING = power(-3)

const thresholdOver = (floor: number): number =>
  Math.min(Math.max(floor * ABOVE_FLOOR, LOWEST_THRESHOLD), HIGHEST_THRESHOLD)

/** Makes the gate of one voice. It takes nobody's word for long: what a sender labels as silent must also be silent. */
export const make = (hangOverMs = HANG_OVER_MS): Gate => {
  const silent = { fromLevel: 0, toLevel: 0, fromDigital: DIGITAL_LEVEL }
  const hangOver = samplesOfMs(hangOverMs)
  const floor = makeFloor()
  let open = false
  let quiet = 0
  let spoken = 0
  /** The last three blocks as bits. */
  let loud = 0
  let filled = 0
  // The block in progress: an object, because a number that closures share is boxed at every change.
  const block = { sum: 0, squares: 0 }

  const forget = () => {
    filled = 0
    block.sum = 0
    block.squares = 0
  }
  const judge = () => {
    // The variance, so that a constant offset is no sound.
    const energy = block.squares / BLOCK - (block.sum / BLOCK) ** 2
    forget()
    const threshold = thresholdOver(floor.update(energy))
    loud = ((loud << 1) | (energy > (open ? threshold * ENDING : threshold) ? 1 : 0)) & 7
    if (twoOfThree[loud] === true) {
      spoken += open ? quiet + BLOCK : 2 * BLOCK
      open = true
      quiet = 0
    } else {
      quiet += BLOCK
      if (quiet >= hangOver) open = false
    }
  }

  const skip = (samples: number) => {
    let left = samples
    while (left > 0) {
      const taken = Math.min(left, BLOCK - filled)
      filled += taken
      left -= taken
      if (filled === BLOCK) judge()
    }
  }

  return {
    hear: (pcm, level) => {
      if (level !== undefined && level >= SILENT_LEVEL) return skip(pcm.length)
      for (let at = 0; at < pcm.length; ) {
        const until = Math.min(pcm.length, at + BLOCK - filled)
        filled += until - at
        let sum = 0
        let squares = 0
        for (; at < until; at++) {
          const sample = pcm[at] ?? 0
          sum += sample
          squares += sample * sample
        }
        block.sum += sum
        block.squares += squares
        if (filled === BLOCK) judge()
      }
    },
    skip,
    isOpen: () => open,
    isSilentAt: (level) => {
      if (open) return false
      const energy = powers[level] ?? 1
      return energy * MARGIN < thresholdOver(floor.lower(energy))
    },
    silentLevels: () => {
      if (open) return undefined
      const lowest = floor.value()
      const threshold = thresholdOver(lowest)
      silent.fromLevel = Math.floor(levelOf(threshold / MARGIN)) + 1
      // A lower floor would change nothing more; else what is quieter than the floor becomes the floor.
      silent.toLevel = threshold > LOWEST_THRESHOLD ? Math.floor(levelOf(lowest)) : LAST_LEVEL
      return silent
    },
    quiet: () => quiet + filled,
    spoken: () => spoken,
    close: () => {
      open = false
      loud = 0
      forget()
    }
  }
}

/** How much a level may differ from the loudest 20 ms of a packet of 60 ms, and from what is decoded. */
const MARGIN = power(6)
const LAST_LEVEL = 127
/** Of which the energy is the `power`; raised by less than any two levels differ, as rounding would else lower it by a whole one. */
const levelOf = (energy: number): number => -10 * Math.log10(energy) + 1e-6
/** By level. */
const powers = Float64Array.from({ length: 128 }, (_, level) => power(-level))

const twoOfThree = [false, false, false, true, false, true, true, true]

/** Blocks below −80 dBFS are a muted microphone and say nothing about the room. */
const DIGITAL_SILENCE = power(-80)
const DIGITAL_LEVEL = 81
const FIRST_FLOOR = power(-60)
/** The quietest block of the last 3 s, in six parts; speech reaches down to the noise more often than that. */
const PART_BLOCKS = 25
const PARTS = 6
/** 1.5 dB/s: somebody who speaks quietly and without a pause does not become noise, a fan that starts is ignored after some seconds. */
const RISE = power(1.5 / 50)

/** Follows the noise floor: down at once, up slowly. */
const makeFloor = () => {
  const parts = new Float64Array(PARTS).fill(FIRST_FLOOR)
  let blocks = 0
  let part = 0
  /** Of the part in progress, and of all: an object for the same reason as the block. */
  const quietest = { current: Number.POSITIVE_INFINITY, floor: FIRST_FLOOR }
  const update = (energy: number): number => {
    if (energy < DIGITAL_SILENCE) return quietest.floor
    quietest.current = Math.min(quietest.current, energy)
    if (++blocks === PART_BLOCKS) {
      parts[part] = quietest.current
      part = (part + 1) % PARTS
      quietest.current = Number.POSITIVE_INFINITY
      blocks = 0
    }
    let lowest = quietest.current
    // An iterator over a typed array boxes each of its numbers.
    for (let n = 0; n < PARTS; n++) lowest = Math.min(lowest, parts[n] ?? lowest)
    quietest.floor = Math.min(lowest, quietest.floor * RISE)
    return quietest.floor
  }
  const lower = (energy: number): number => {
    if (energy >= DIGITAL_SILENCE && energy < quietest.floor) quietest.current = quietest.floor = energy
    return quietest.floor
  }
  return { update, lower, value: () => quietest.floor }
}
