/**
 * FrameBacklog: frames of one voice that no engine was sent yet. Holds the newest ones, and the voice's ring has those before them.
 */
import type { AudioFrame } from "../domain/Audio.ts"

/** 2 s: with a warm engine nothing is decoded a second time. At most 190 kB per voice, and only while no session is open. */
const KEPT_FRAMES = 25

export interface FrameBacklog {
  /** A frame that cannot be sent now. */
  readonly add: (frame: AudioFrame) => void
  /** The next frames to send, oldest first, at most `count`; none when everything was sent. */
  readonly take: (count: number) => ReadonlyArray<AudioFrame>
  /** Everything was sent, and a frame that comes now may be sent at once. */
  readonly isEmpty: () => boolean
  /** It holds as much as it keeps itself: with one more frame it would need the ring. */
  readonly isFull: () => boolean
  /** End of what was sent, samples. */
  readonly sentTo: () => number
  /** What of a live frame was not sent yet, usually all; it counts as sent. */
  readonly pass: (frame: AudioFrame) => AudioFrame | undefined
  /** Frames that the ring had lost before they could be sent, since this was last asked. */
  readonly lost: () => number
  /** Ends a replay that is under way: it holds a decoder. */
  readonly close: () => void
}

/** The backlog of a voice whose ring is read by `replay` (see `Voice`). Frames leave in order, none twice, cut where a replay overlaps. */
export const make = (replay: (position: number) => Iterable<AudioFrame>): FrameBacklog => {
  const kept: Array<AudioFrame> = []
  /** Frames before `kept` that only the ring has: how many, where the first begins and the last ends. */
  let older = 0
  let olderFrom = 0
  let olderTo = 0
  let replaying: Iterator<AudioFrame> | undefined
  let replayedNew = false
  let sent: AudioFrame | undefined
  let lost = 0

  const pass = (frame: AudioFrame): AudioFrame | undefined => {
    if (sent !== undefined && frame.position <= sent.position) return undefined
    // the last frame of a stretch is padded: what follows may begin within the padding
    const overlap = sent === undefined || sent.endsSpeech ? 0 : sent.position + sent.pcm.length - frame.position
    sent = frame
    if (overlap >= frame.pcm.length) return undefined
    return overlap <= 0 ? frame : { ...frame, position: frame.position + overlap, pcm: frame.pcm.subarray(overlap) }
  }

  const ringDone = (): void => {
    lost += Math.max(0, older)
    older = 0
    replaying = undefined
  }

  /** The next frame of the ring that is not among the kept ones. */
  const fromRing = (): AudioFrame | undefined => {
    for (;;) {
      if (replaying === undefined) {
        replaying = replay(olderFrom)[Symbol.iterator]()
        replayedNew = false
      }
      const { done, value } = replaying.next()
      const reachedKept = kept[0] !== undefined && value !== undefined && value.position >= kept[0].position
      if (done === true || reachedKept) {
        if (!reachedKept && replayedNew && sent !== undefined && sent.position + sent.pcm.length < olderTo) {
          // frames went by while the ring was read: read on from there
          olderFrom = sent.position + sent.pcm.length
          replaying = undefined
          continue
        }
        replaying?.return?.()
        return undefined
      }
      const fresh = pass(value)
      if (fresh !== undefined) {
        older -= 1
        replayedNew = true
        return fresh
      }
    }
  }

  const next = (): AudioFrame | undefined => {
    while (older > 0 || replaying !== undefined) {
      const frame = fromRing()
      if (frame !== undefined) return frame
      ringDone()
    }
    for (let frame = kept.shift(); frame !== undefined; frame = kept.shift()) {
      const fresh = pass(frame)
      if (fresh !== undefined) return fresh
    }
    return undefined
  }

  return {
    add: (frame) => {
      kept.push(frame)
      if (kept.length <= KEPT_FRAMES) return
      const first = kept.shift()
      if (first === undefined) return
      if (older <= 0 && replaying === undefined) olderFrom = first.position
      older += 1
      olderTo = first.position + first.pcm.length
    },
    take: (count) => {
      const frames: Array<AudioFrame> = []
      for (let frame = next(); frame !== undefined; frame = frames.length < count ? next() : undefined)
        frames.push(frame)
      return frames
    },
    isEmpty: () => kept.length === 0 && older <= 0 && replaying === undefined,
    isFull: () => kept.length >= KEPT_FRAMES,
    sentTo: () => (sent === undefined ? 0 : sent.position + sent.pcm.length),
    pass,
    lost: () => {
      const count = lost
      lost = 0
      return count
    },
    close: () => {
      replaying?.return?.()
      replaying = undefined
    }
  }
}
