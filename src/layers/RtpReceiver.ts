/**
 * From the datagram to the listener: RTP is opened, or left shut and kept where the listener does not want to hear silence.
 *
 * What is kept lies in one preallocated piece of memory, as it came. Of packets that were not opened nothing moves: not the counter and the
 * window of their source (`SrtpIndex`), not what is reported of it (`Reception`) before an authentic one came behind them.
 *
 * docs/decisions/0015-silence-stays-sealed.md
 */
import { RTP_CLOCK_RATE } from "../domain/Audio.ts"
import { KEPT_MS, type PacketListener, type RtpPacket } from "../services/PeerConnection.ts"
import * as ByteRing from "./ByteRing.ts"
import type { Offer } from "./OfferSdp.ts"
import type { Reception } from "./Reception.ts"
import * as RtpDatagram from "./RtpDatagram.ts"
import type { Rest } from "./SocketReader.ts"
import type { SrtpReceiver } from "./SrtpReceiver.ts"

export interface RtpReceiverOptions {
  readonly srtp: SrtpReceiver
  /** Monotonic, in ms. */
  readonly now: () => number
  readonly listener: PacketListener
  /** What the last offer says of packets; `undefined`: nobody listens. */
  readonly offer: () => Pick<Offer, "opus" | "levelId"> | undefined
  /** A packet that was not authentic, or here before. */
  readonly onRefused: () => void
}

export interface RtpReceiver {
  /** A packet that came at `atMs`, or now. */
  readonly receive: (packet: Uint8Array, atMs?: number) => void
  /** Which packets may be received later than they come, behind the one that was received last; valid during the call. */
  readonly rest: () => Rest | undefined
  /** Gives what is kept to the listener. */
  readonly wake: () => void
  /** When the last that was authentic came; of what is left shut, that is looked at. */
  readonly heardMs: () => number
}

/** A muted microphone's last 2 s, and more of one that sends nothing: four looks fit in, so that nothing is gone when one of them finds speech. */
const keptBytes = 8192
/** What a `ByteRing` of that size does not keep; no silence is so long. */
const mostBytes = keptBytes / 8 - 16
/** Of the clock of RTP. */
const keptTicks = KEPT_MS * (RTP_CLOCK_RATE / 1000)

interface Shown extends RtpPacket {
  sequenceNumber: number
  timestamp: number
  ssrc: number
  payload: Uint8Array
  audioLevel: number | undefined
  atMs: number
  wasPassedOver: boolean
}

export const make = (options: RtpReceiverOptions): RtpReceiver => {
  const { listener, now, onRefused, srtp } = options
  const { onPacket, silence } = listener
  const kept = ByteRing.make(keptBytes)
  const header = RtpDatagram.emptyHeader()
  const keptHeader = RtpDatagram.emptyHeader()
  // One for all: fifty times a second for every voice, an object would be garbage.
  const shown: Shown = {
    sequenceNumber: 0,
    timestamp: 0,
    ssrc: 0,
    payload: new Uint8Array(0),
    audioLevel: undefined,
    atMs: 0,
    wasPassedOver: false
  }

  /** The last packet is of the listener's. */
  let wasGiven = false
  let heardMs = Number.NEGATIVE_INFINITY

  const show = (
    { sequenceNumber, ssrc, timestamp }: RtpDatagram.RtpHeader,
    payload: Uint8Array,
    audioLevel: number | undefined,
    atMs: number
  ): RtpPacket => {
    shown.sequenceNumber = sequenceNumber
    shown.timestamp = timestamp
    shown.ssrc = ssrc
    shown.payload = payload
    shown.audioLevel = audioLevel
    shown.atMs = atMs
    shown.wasPassedOver = false
    return shown
  }
  const levelOf = (packet: Uint8Array): number | undefined => {
    const id = options.offer()?.levelId
    return id === undefined ? undefined : RtpDatagram.audioLevel(packet, id)
  }

  /**
   * Gives what was kept since a moment, or was sent just before `header`, and forgets the rest. `current`, which that is of, comes in its place: the
   * network may have sent it round a longer way than what is kept already.
   */
  const give = (sinceMs: number, current?: () => void) => {
    let isDue = current !== undefined
    const reader = kept.from(Number.NEGATIVE_INFINITY, 0)
    for (let record = reader.next(); record !== undefined; record = reader.next()) {
      const { packet, position } = record
      if (!RtpDatagram.read(packet, keptHeader)) continue
      if (position < sinceMs && !isJustBefore(keptHeader, header)) continue
      const payload = srtp.open(packet, keptHeader)
      if (payload === undefined) {
        onRefused()
        continue
      }
      // Whoever hears the next reads rings too.
      const audioLevel = levelOf(packet)
      if (isDue && isBehind(keptHeader, header)) {
        isDue = false
        current?.()
      }
      show(keptHeader, payload, audioLevel, position)
      shown.wasPassedOver = true
      onPacket(shown)
    }
    kept.clear()
    if (isDue) current?.()
  }

  /** A packet that is not opened: `look` at it, or not. */
  const passOver = (
    passage: "look" | "shut",
    reception: Reception,
    packet: Uint8Array,
    audioLevel: number | undefined,
    atMs: number
  ) => {
    if (passage === "look") return look(packet, audioLevel, atMs)
    reception.suppose()
    kept.append(atMs, packet)
  }

  const open = (packet: Uint8Array, audioLevel: number | undefined, atMs: number, isHeard: boolean) => {
    const payload = srtp.open(packet, header)
    if (payload === undefined) return onRefused()
    heardMs = atMs
    srtp.reception(header.ssrc)?.note(header.sequenceNumber, header.timestamp, atMs)
    if (!isHeard) return
    wasGiven = true
    if (kept.counters.bytes === 0) onPacket(show(header, payload, audioLevel, atMs))
    else giveBefore(payload, audioLevel, atMs)
  }

  /** Apart, so that no closure is made of a packet before which nothing is kept. */
  const giveBefore = (payload: Uint8Array, audioLevel: number | undefined, atMs: number) => {
    // It is only valid until the next is opened.
    const own = Uint8Array.from(payload)
    give(atMs - KEPT_MS, () => onPacket(show(header, own, audioLevel, atMs)))
  }

  const look = (packet: Uint8Array, audioLevel: number | undefined, atMs: number) => {
    const payload = srtp.look(packet, header)
    if (payload === undefined) return onRefused()
    heardMs = atMs
    srtp.reception(header.ssrc)?.note(header.sequenceNumber, header.timestamp, atMs)
    kept.append(atMs, packet)
    if (silence?.isSilent(show(header, payload, audioLevel, atMs)) === false) give(Number.NEGATIVE_INFINITY)
  }

  return {
    receive: (packet, atMs = now()) => {
      wasGiven = false
      if (!RtpDatagram.read(packet, header)) return onRefused()
      const offer = options.offer()
      const isHeard = offer?.opus.has(header.payloadType) === true
      const audioLevel =
        isHeard && offer.levelId !== undefined ? RtpDatagram.audioLevel(packet, offer.levelId) : undefined
      const reception = silence === undefined || !isHeard ? undefined : srtp.reception(header.ssrc)
      // The first packet of a source is proven, whatever it says.
      if (silence === undefined || reception === undefined || packet.length > mostBytes) {
        return open(packet, audioLevel, atMs, isHeard)
      }
      const passage = silence.passage(audioLevel, packet.length - header.bytes - srtp.tagBytes, atMs)
      if (passage === "open") return open(packet, audioLevel, atMs, isHeard)
      wasGiven = true
      passOver(passage, reception, packet, audioLevel, atMs)
    },
    rest: () => {
      const mayWait = wasGiven ? silence?.mayWait?.() : undefined
      if (mayWait === undefined) return undefined
      const { payloadType, ssrc } = header
      return { ssrc, payloadType, levelId: options.offer()?.levelId ?? 0, tagBytes: srtp.tagBytes, mayWait }
    },
    wake: () => give(Number.NEGATIVE_INFINITY),
    heardMs: () => heardMs
  }
}

/** Whether one of the same source was sent after the other. */
const isBehind = (one: RtpDatagram.RtpHeader, other: RtpDatagram.RtpHeader): boolean =>
  one.ssrc === other.ssrc && (one.sequenceNumber - other.sequenceNumber) << 16 > 0

/** The same by when they were sent: what stood still between them, the network or this process, made the one old and not what it is. */
const isJustBefore = (one: RtpDatagram.RtpHeader, other: RtpDatagram.RtpHeader): boolean =>
  one.ssrc === other.ssrc && (other.timestamp - one.timestamp) >>> 0 <= keptTicks
