/**
 * What was heard of speech, as Opus packets in a ring: can be decoded again, into the same frames at the same positions.
 */
import { type AudioFrame, FRAME_SAMPLES, msOfSamples, samplesOfMs } from "../domain/Audio.ts"
import type { Codec } from "../services/Decoder.ts"
import type { HeardSpeech } from "../services/SpeechJournal.ts"
import * as ByteRing from "./ByteRing.ts"
import * as SpeechFrames from "./SpeechFrames.ts"

export interface SpeechMemory extends HeardSpeech {
  /**
   * The frames from the one with `position` in it on, decoded anew while they are asked for, up to the last full one there is. Where the
   * ring was overwritten it begins later.
   */
  readonly replay: (position: number) => Iterable<AudioFrame>
  /** Tells all that `replay` would need. */
  readonly tell: (position: number, listener: HeardSpeech) => void
  /** Tells at most so many of the newest packets, of silence too. */
  readonly newest: (count: number, hear: HeardSpeech["hear"]) => void
  readonly counters: Readonly<ByteRing.RingCounters>
}

interface Stretch {
  readonly start: number
  readonly atMs: number
  /** Not yet known while it lasts. */
  heard: number
  end: number
  silence: number
}

/**
 * A fresh decoder sounds like the one that heard everything after 100 ms. It gets more, also where there was a gap: what counts is sound,
 * not time.
 */
const LEAD_IN = samplesOfMs(120)
const LEAD_IN_PACKETS = 5
/** Holds the lead-in and the pre-roll before speech, up to 256 kbit/s. */
const LOBBY_BYTES = 16_384

/** Makes the memory of one voice, at most `size` bytes (allocated with the first speech). `listener` is told what is kept of speech, packets before it included. */
export const make = (size: number, makeCodec: () => Codec, listener?: HeardSpeech): SpeechMemory => {
  const ring = ByteRing.make(size)
  const lobby = ByteRing.make(LOBBY_BYTES)
  const stretches: Array<Stretch> = []
  let current: Stretch | undefined

  const forgetOverwritten = () => {
    const oldest = ring.oldest() ?? 0
    while ((stretches[0]?.end ?? oldest) < oldest) stretches.shift()
  }

  /** First frame of a stretch that can be decoded cleanly, at or behind `position`. */
  const firstFrame = ({ start }: Stretch, position: number): number => {
    const grid = (samples: number) => Math.max(0, samples) * FRAME_SAMPLES + start
    const asked = grid(Math.floor((position - start) / FRAME_SAMPLES))
    const oldest = ring.oldest() ?? 0
    if (ring.counters.overwritten === 0 || oldest + LEAD_IN <= asked) return asked
    return grid(Math.ceil((oldest + LEAD_IN - start) / FRAME_SAMPLES))
  }

  function* replayStretch(stretch: Stretch, position: number, codec: Codec): Generator<AudioFrame> {
    const full: Array<AudioFrame> = []
    const frames = SpeechFrames.make(
      (frame) => {
        full.push(frame.endsSpeech ? { ...frame, silence: stretch.silence } : frame)
        return false
      },
      (reached) => reached >= stretch.end
    )
    const first = firstFrame(stretch, position)
    if (first >= stretch.end) return
    const heardAt = (sample: number) => stretch.atMs + msOfSamples(sample - stretch.start)
    const reader = ring.from(first - LEAD_IN, LEAD_IN_PACKETS)
    frames.begin(first)
    for (let record = reader.next(); record !== undefined && frames.isRunning(); record = reader.next()) {
      if (record.position >= stretch.heard) break
      const missing = record.position - frames.position()
      // Overwritten while we were reading: what follows is another replay.
      if (missing >= SpeechFrames.LONGEST_GAP) return yield* replayStretch(stretch, record.position, codec)
      if (missing > 0) frames.skip(missing, heardAt(record.position))
      const pcm = codec.decode(record.packet)
      if (pcm !== undefined) {
        const from = Math.max(0, frames.position() - record.position)
        frames.write(pcm, from, heardAt(record.position + pcm.length))
      }
      yield* full.splice(0)
    }
    if (stretch.heard < Number.POSITIVE_INFINITY) {
      frames.skip(stretch.heard - frames.position(), heardAt(stretch.heard))
      frames.end()
      yield* full.splice(0)
    }
  }

  const keep = (position: number, packet: Uint8Array) => {
    ring.append(position, packet)
    listener?.hear(position, packet)
  }

  return {
    hear: (position, packet) => (current === undefined ? lobby.append(position, packet) : keep(position, packet)),
    begin: (start, atMs) => {
      forgetOverwritten()
      listener?.begin(start, atMs)
      current = { start, atMs, heard: Number.POSITIVE_INFINITY, end: Number.POSITIVE_INFINITY, silence: 0 }
      stretches.push(current)
      const reader = lobby.from(start - LEAD_IN, LEAD_IN_PACKETS)
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        keep(record.position, record.packet)
      }
      lobby.clear()
    },
    end: (heard, end, silence) => {
      if (current === undefined) return
      current.silence = silence
      current.heard = heard
      current.end = end
      current = undefined
      listener?.end(heard, end, silence)
    },
    replay: function* (position) {
      const codec = makeCodec()
      try {
        let reached = position
        for (let next = nextStretch(stretches, reached); next !== undefined; next = nextStretch(stretches, reached)) {
          yield* replayStretch(next, reached, codec)
          reached = next.end
        }
      } finally {
        codec.close()
      }
    },
    tell: (position, listener) => {
      const waiting = stretches.filter(({ end }) => end > position)
      const first = waiting[0]
      if (first === undefined) return
      const reader = ring.from(firstFrame(first, Math.max(position, first.start)) - LEAD_IN, LEAD_IN_PACKETS)
      let telling: Stretch | undefined
      const finish = () => {
        if (telling !== undefined && telling.heard < Number.POSITIVE_INFINITY) {
          listener.end(telling.heard, telling.end, telling.silence)
        }
        telling = undefined
      }
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        if (telling !== undefined && record.position >= telling.heard) finish()
        const [next] = waiting
        if (telling === undefined && next !== undefined) {
          telling = waiting.shift()
          listener.begin(next.start, next.atMs)
        }
        listener.hear(record.position, record.packet)
      }
      finish()
    },
    newest: (count, hear) => {
      const rings = current === undefined ? [ring, lobby] : [ring]
      const found = rings.flatMap((one) => [...newestOf(one, count)])
      for (const { packet, position } of found.slice(-count)) hear(position, packet)
    },
    counters: ring.counters
  }
}

function* newestOf(ring: ByteRing.ByteRing, count: number): Generator<ByteRing.RingRecord> {
  const reader = ring.from(Number.POSITIVE_INFINITY, count)
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    yield { position: record.position, packet: Uint8Array.from(record.packet) }
  }
}

const nextStretch = (stretches: ReadonlyArray<Stretch>, position: number): Stretch | undefined =>
  position === Number.POSITIVE_INFINITY ? undefined : stretches.find(({ end }) => end > position)
