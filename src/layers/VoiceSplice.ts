/**
 * Where one runner stopped hearing a voice and another goes on: in the middle of a word, if need be.
 *
 * Both are sent the same Opus payloads, with other numbers and timestamps. So equal bytes tell which packet of the one is which of the other,
 * and by how much their clocks differ. Packets that one of them has twice tell nothing: those of digital silence are all the same, and a pause would
 * be taken for the one before it, with what is said next for said. Where no others are equal the time of arrival says where to go on.
 */
import { RTP_CLOCK_RATE, SAMPLE_RATE } from "../domain/Audio.ts"
import type * as HandOver from "../domain/HandOver.ts"
import type { RtpPacket } from "../services/PeerConnection.ts"
import type { Begun } from "../services/Transcriber.ts"
import * as JournalEntries from "./JournalEntries.ts"
import { ticksOf } from "./OpusPacket.ts"

/** A packet that came before it was known from where on it is to be heard. */
export interface KeptPacket {
  readonly packet: RtpPacket
  readonly atMs: number
}

export interface SplicedVoice {
  /** What the one heard and may not have said, then what the other has kept of what came behind, as packets of one source. */
  readonly packets: ReadonlyArray<KeptPacket>
  /** Whether a packet that comes now is to be heard: the one may have been ahead. */
  readonly isBehind: (packet: RtpPacket, atMs: number) => boolean
  /** What of `packets` is said, in positions of the new voice; `undefined`: nothing was heard before. */
  readonly begun: Omit<Begun, "segments"> | undefined
  /** Whether equal packets were found. */
  readonly isExact: boolean
}

/** 48 kHz ticks in a sample of ours. */
const TICKS = RTP_CLOCK_RATE / SAMPLE_RATE
/** So many pairs have to agree; fewer where what is equal is hardly so by chance. */
const LEAST_PAIRS = 3
/** Packets of what is said already that the decoder hears first: 120 ms. */
const LEAD_IN = 6

interface Heard {
  readonly position: number
  readonly payload: Uint8Array
}

/** `askedMs`: when the one stopped, on the clock by which `kept` arrived. */
export const make = (left: HandOver.LeftVoice, kept: ReadonlyArray<KeptPacket>, askedMs: number): SplicedVoice => {
  const heard = heardOf(left)
  const newest = heard.at(-1)
  if (newest === undefined) return { packets: kept, isBehind: () => true, begun: undefined, isExact: false }
  const heardTo = newest.position + ticksOf(newest.payload) / TICKS
  const stoppedMs = askedMs - left.quietMs
  const unsaid = heard.findIndex((one) => one.position + ticksOf(one.payload) / TICKS > left.position)
  const told = heard.slice(Math.max(0, (unsaid < 0 ? heard.length : unsaid) - LEAD_IN))
  const base = told[0]?.position ?? 0

  const offset = offsetOf(heard, kept)
  const [first] = kept
  /** The timestamp, on the other's clock, of a position of the one. */
  const timestampAt =
    offset !== undefined
      ? (position: number) => (offset + position * TICKS) >>> 0
      : (position: number) =>
          ((first?.packet.timestamp ?? 0) +
            (position - heardTo) * TICKS +
            Math.round(((stoppedMs - (first?.atMs ?? stoppedMs)) * RTP_CLOCK_RATE) / 1000 / TICKS) * TICKS) >>>
          0
  const isBehind =
    offset === undefined
      ? (_: RtpPacket, atMs: number) => atMs > stoppedMs
      : ({ timestamp }: RtpPacket) => ((timestamp - timestampAt(heardTo)) | 0) >= 0

  const next = kept.find(({ atMs, packet }) => isBehind(packet, atMs))
  const source = next?.packet ?? kept.at(-1)?.packet
  const lastNumber = next === undefined ? (source?.sequenceNumber ?? 0) : next.packet.sequenceNumber - 1
  const before = told.map(({ payload, position }, index): KeptPacket => {
    const sequenceNumber = (lastNumber - (told.length - 1 - index)) & 0xffff
    const packet = { sequenceNumber, timestamp: timestampAt(position), ssrc: source?.ssrc ?? 0, payload }
    return { packet, atMs: stoppedMs - ((heardTo - position) * 1000) / SAMPLE_RATE }
  })
  return {
    packets: [...before, ...kept.filter(({ atMs, packet }) => isBehind(packet, atMs))],
    isBehind,
    begun: { position: Math.max(0, left.position - base), said: left.said, heard: heardTo - base },
    isExact: offset !== undefined
  }
}

/** Every packet that is given, once, in order. */
const heardOf = ({ newest, speech }: HandOver.LeftVoice): ReadonlyArray<Heard> => {
  const heard = new Map<number, Heard>()
  for (const bytes of [speech, newest]) {
    for (const entry of JournalEntries.read(bytes)) {
      if (entry._tag === "Heard") heard.set(entry.position, { position: entry.position, payload: entry.packet })
    }
  }
  return [...heard.values()].sort((one, other) => one.position - other.position)
}

/** The other's timestamp of position 0, as most pairs of equal packets have it. */
const offsetOf = (heard: ReadonlyArray<Heard>, kept: ReadonlyArray<KeptPacket>): number | undefined => {
  const alike = Map.groupBy(kept, ({ packet }) => nameOf(packet.payload))
  const pairs = new Map<number, number>()
  for (const [name, [one, another]] of Map.groupBy(heard, ({ payload }) => nameOf(payload))) {
    const [packet, equal] = alike.get(name)?.map((found) => found.packet) ?? []
    if (one === undefined || another !== undefined || packet === undefined || equal !== undefined) continue
    const offset = (packet.timestamp - one.position * TICKS) >>> 0
    pairs.set(offset, (pairs.get(offset) ?? 0) + 1)
  }
  const [best, second] = [...pairs].sort(([, one], [, other]) => other - one)
  if (best === undefined || best[1] < LEAST_PAIRS || best[1] === second?.[1]) return undefined
  return best[0]
}

const nameOf = (payload: Uint8Array): string => Buffer.from(payload).toString("latin1")
