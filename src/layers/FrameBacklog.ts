/**
 * FrameBacklog: frames of one voice that an engine was not sent yet, or has to be sent again. It holds the newest ones; what is older is in the
 * voice's ring, and only its place is remembered here.
 */
import { type AudioFrame, FRAME_SAMPLES } from "../domain/Audio.ts"

/** 2 s: with a warm engine nothing is decoded a second time. At most 190 kB per voice, and only while no session is open. */
const KEPT_FRAMES = 25
/** Places of frames: more than any ring holds of speech (180 s are 2,250). */
const MOST_PLACES = 4_096

/** Speech that nobody can hear any more. */
export interface LostAudio {
  readonly position: number
  readonly samples: number
}

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
  /**
   * What lies before `position` (samples) will never have to be sent again. Within padding that is about the stretch that was padded, not about
   * what began there.
   */
  readonly prove: (position: number) => void
  readonly provenTo: () => number
  /** Nothing that was ever sent has to be sent again. */
  readonly isProven: () => boolean
  /** Samples that were sent, not again since, and not proven. */
  readonly unproven: () => number
  /**
   * Everything that was sent and not proven has to be sent again, from exactly there on; at most the last `most` samples of it. Tells whether it
   * is all of it.
   */
  readonly rewind: (most?: number) => boolean
  /** Another backlog, of what this one would hold after `rewind`. */
  readonly fork: () => FrameBacklog
  /** What was not sent: nobody will hear it when the voice is over. */
  readonly waiting: () => LostAudio | undefined
  /** What the ring had lost before it could be sent, since this was last asked. */
  readonly lost: () => LostAudio | undefined
  /** Ends a replay that is under way: it holds a decoder. */
  readonly close: () => void
}

/**
 * The backlog of a voice whose ring is read by `replay` (see `Voice`), and of which all before `proven` (samples) never has to be sent. Frames
 * leave in order, none twice, cut where a replay overlaps.
 */
export const make = (replay: (position: number) => Iterable<AudioFrame>, proven = 0): FrameBacklog =>
  from(replay, [], [], proven, undefined)

/** Samples that two stretches of speech share: the padding of one, in which the next began. */
interface Shared {
  readonly start: number
  readonly end: number
}

const from = (
  replay: (position: number) => Iterable<AudioFrame>,
  /** Where frames begin that only the ring has, in order. */
  older: Array<number>,
  kept: Array<AudioFrame>,
  proven: number,
  /** The last frame that ended a stretch. */
  padded: Shared | undefined
): FrameBacklog => {
  /** Where frames begin that were sent and are not proven, in order. */
  let sent: Array<number> = []
  /** The last frame that was sent, and where it ends. */
  let lastStart = Number.NEGATIVE_INFINITY
  let lastEnd = proven
  let lastEnded = true
  let farthest = proven
  let mark = proven
  let lastPadded = padded
  let shared: Array<Shared> = []
  let replaying: Iterator<AudioFrame> | undefined
  let gave = false
  let lost: LostAudio | undefined

  /** Speech that begins within padding was not said yet when the padding was proven. */
  const share = (start: number): void => {
    if (lastPadded === undefined || start <= lastPadded.start || start >= lastPadded.end) return
    const { end } = lastPadded
    if (!shared.some((one) => one.start === start)) shared.push({ start, end })
    if (shared.length > MOST_PLACES) shared.shift()
    if (mark <= end) mark = Math.min(mark, start)
  }

  const pass = (frame: AudioFrame): AudioFrame | undefined => {
    if (frame.position <= lastStart) return undefined
    const end = frame.position + frame.pcm.length
    share(frame.position)
    // the last frame of a stretch is padded: what follows may begin within the padding
    const overlap = Math.max(lastEnded ? 0 : lastEnd - frame.position, mark - frame.position)
    lastStart = frame.position
    if (overlap >= frame.pcm.length) return undefined
    sent.push(frame.position)
    if (sent.length > MOST_PLACES) sent.shift()
    lastEnd = end
    farthest = Math.max(farthest, end)
    lastEnded = frame.endsSpeech
    if (lastEnded) lastPadded = { start: frame.position, end }
    return overlap <= 0 ? frame : { ...frame, position: frame.position + overlap, pcm: frame.pcm.subarray(overlap) }
  }

  const giveUp = (position: number): void => {
    lost = { position: lost?.position ?? position, samples: (lost?.samples ?? 0) + FRAME_SAMPLES }
  }

  const endReplay = (): void => {
    replaying?.return?.()
    replaying = undefined
  }

  /** The ring gave this frame: those before it are gone. */
  const settle = ({ pcm, position }: AudioFrame): void => {
    const before = older.findIndex((place) => place + FRAME_SAMPLES > position)
    for (const place of older.splice(0, Math.max(0, before))) giveUp(place)
    // a replay may be cut into other frames than those that were heard
    const covered =
      older[0] === position ? 1 : older.filter((place) => place + FRAME_SAMPLES <= position + pcm.length).length
    older.splice(0, covered)
    if (older.length === 0) endReplay()
  }

  /** The next frame of the ring that is not among the kept ones. */
  const fromRing = (): AudioFrame | undefined => {
    for (let [first] = older; first !== undefined; [first] = older) {
      if (replaying === undefined) {
        replaying = replay(Math.max(first, mark))[Symbol.iterator]()
        gave = false
      }
      const { done, value } = replaying.next()
      const last = older.at(-1) ?? first
      if (done === true || value.position >= last + FRAME_SAMPLES) {
        endReplay()
        // frames went by while the ring was read: read on from there; else they are gone
        if (done !== true || !gave) for (const place of older.splice(0)) giveUp(place)
        continue
      }
      settle(value)
      const fresh = pass(value)
      if (fresh !== undefined) {
        gave = true
        return fresh
      }
    }
    return undefined
  }

  const next = (): AudioFrame | undefined => {
    const old = fromRing()
    if (old !== undefined) return old
    for (let frame = kept.shift(); frame !== undefined; frame = kept.shift()) {
      const fresh = pass(frame)
      if (fresh !== undefined) return fresh
    }
    return undefined
  }

  const remember = (place: number): void => {
    older.push(place)
    if (older.length > MOST_PLACES) giveUp(older.shift() ?? 0)
  }

  return {
    add: (frame) => {
      kept.push(frame)
      const first = kept.length > KEPT_FRAMES ? kept.shift() : undefined
      if (first !== undefined) remember(first.position)
    },
    take: (count) => {
      const frames: Array<AudioFrame> = []
      for (let frame = next(); frame !== undefined; frame = frames.length < count ? next() : undefined)
        frames.push(frame)
      return frames
    },
    isEmpty: () => kept.length === 0 && older.length === 0,
    isFull: () => kept.length >= KEPT_FRAMES,
    sentTo: () => lastEnd,
    pass,
    prove: (position) => {
      // rates do not divide each other: engines tell positions that are a little behind the last sample
      const to = Math.min(position, lastEnd)
      const within = shared.find(({ end, start }) => start < to && to <= end)
      mark = Math.max(mark, within?.start ?? to)
      shared = shared.filter(({ end }) => end > mark)
      sent = sent.filter((place) => place + FRAME_SAMPLES > mark)
    },
    provenTo: () => mark,
    isProven: () => sent.length === 0 && (older[0] ?? kept[0]?.position ?? farthest) >= farthest,
    unproven: () => sent.length * FRAME_SAMPLES,
    rewind: (most = Number.POSITIVE_INFINITY) => {
      endReplay()
      const places = sent.slice(-Math.max(1, Math.floor(most / FRAME_SAMPLES)))
      const isAll = places.length === sent.length
      older = [...places, ...older]
      sent = []
      lastStart = Number.NEGATIVE_INFINITY
      lastEnd = mark
      lastEnded = true
      return isAll
    },
    waiting: () => {
      const position = older[0] ?? kept[0]?.position
      if (position === undefined) return undefined
      return { position: Math.max(position, mark), samples: (older.length + kept.length) * FRAME_SAMPLES }
    },
    fork: () => from(replay, [...sent, ...older], [...kept], mark, lastPadded),
    lost: () => {
      const gone = lost
      lost = undefined
      return gone
    },
    close: endReplay
  }
}
