/**
 * The receiving end of an SRTP session: out of what comes from the network, the payload of each authentic packet once.
 */
import * as RtpDatagram from "./RtpDatagram.ts"
import * as SrtpCipher from "./SrtpCipher.ts"
import * as SrtpIndex from "./SrtpIndex.ts"
import * as SrtpKeys from "./SrtpKeys.ts"

export interface SrtpReceiver {
  /**
   * The payload of an RTP packet without its padding; `undefined`: broken, not authentic, older than 128 packets, or here before. Never throws,
   * whatever the bytes are.
   */
  readonly open: (packet: Uint8Array) => Uint8Array | undefined
}

/** A publisher has one source, and another after each change of its sender; only who holds the keys can make more. */
const mostSources = 32

/** `undefined`: keys of a kind that is not known here. */
export const make = (master: SrtpKeys.SrtpMaster): SrtpReceiver | undefined => {
  const keys = SrtpKeys.derive(master)
  if (keys === undefined) return undefined
  const cipher = SrtpCipher.make(keys)
  /** By SSRC, oldest first. */
  const sources = new Map<number, SrtpIndex.SrtpIndex>()

  const openAt = (packet: Uint8Array, headerBytes: number, index: number): Uint8Array | undefined =>
    cipher.open(packet, headerBytes, Math.floor(index / 0x1_0000))

  /** Counters begin with 0; but if what came before the first wrap was lost, this source's first packet here is already of the second round. */
  const openFirst = (packet: Uint8Array, headerBytes: number): Uint8Array | undefined => {
    for (let index = RtpDatagram.sequenceNumber(packet); index < 0x1_8000; index += 0x1_0000) {
      const payload = openAt(packet, headerBytes, index)
      if (payload === undefined) continue
      const [oldest] = sources.keys()
      if (oldest !== undefined && sources.size >= mostSources) sources.delete(oldest)
      sources.set(RtpDatagram.ssrc(packet), SrtpIndex.make(index))
      return payload
    }
    return undefined
  }

  return {
    open: (packet) => {
      const headerBytes = RtpDatagram.headerBytes(packet)
      if (headerBytes === 0 || headerBytes + cipher.tagBytes > packet.length) return undefined
      const source = sources.get(RtpDatagram.ssrc(packet))
      if (source === undefined) return unpadded(packet, openFirst(packet, headerBytes))
      const index = source.guess(RtpDatagram.sequenceNumber(packet))
      if (!source.isFresh(index)) return undefined
      const payload = openAt(packet, headerBytes, index)
      if (payload !== undefined) source.accept(index)
      return unpadded(packet, payload)
    }
  }
}

/** The last byte of padding says how much there is; more than there can be is not RTP. */
const unpadded = (packet: Uint8Array, payload: Uint8Array | undefined): Uint8Array | undefined => {
  if (payload === undefined || !RtpDatagram.hasPadding(packet)) return payload
  const bytes = payload.at(-1) ?? 0
  return bytes === 0 || bytes > payload.length ? undefined : payload.subarray(0, payload.length - bytes)
}
