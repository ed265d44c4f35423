/**
 * The receiving end of an SRTP session: out of what comes from the network, the payload of each authentic packet once.
 */
import * as Reception from "./Reception.ts"
import * as RtpDatagram from "./RtpDatagram.ts"
import * as SrtpCipher from "./SrtpCipher.ts"
import * as SrtpIndex from "./SrtpIndex.ts"
import * as SrtpKeys from "./SrtpKeys.ts"

export interface SrtpReceiver {
  /**
   * The payload of an RTP packet without its padding, valid until the next is opened, by whomever; `undefined`: broken, not authentic, older than 128
   * packets, or here before. `header` is what was read of this packet. Never throws, whatever the bytes are.
   */
  readonly open: (packet: Uint8Array, header?: RtpDatagram.RtpHeader) => Uint8Array | undefined
  /** The same for a packet that is to be opened again: it does not count as here before. */
  readonly look: (packet: Uint8Array, header: RtpDatagram.RtpHeader) => Uint8Array | undefined
  /** How a source is received, as its owner was told; `undefined` before its first authentic packet. */
  readonly reception: (ssrc: number) => Reception.Reception | undefined
  /** Bytes behind the payload. */
  readonly tagBytes: number
}

interface Source {
  readonly index: SrtpIndex.SrtpIndex
  readonly reception: Reception.Reception
}

/** A publisher has one source, and another after each change of its sender; only who holds the keys can make more. */
const mostSources = 32

/** `undefined`: keys of a kind that is not known here. */
export const make = (master: SrtpKeys.SrtpMaster, makeCipher = SrtpCipher.make): SrtpReceiver | undefined => {
  const keys = SrtpKeys.derive(master)
  if (keys === undefined) return undefined
  const cipher = makeCipher(keys)
  /** By SSRC, oldest first. */
  const sources = new Map<number, Source>()
  /** Whose packet came last: hardly ever is it another's turn. */
  const recent: { ssrc: number; source: Source | undefined } = { ssrc: 0, source: undefined }
  const ownHeader = RtpDatagram.emptyHeader()

  const sourceOf = (ssrc: number): Source | undefined => {
    if (recent.source === undefined || recent.ssrc !== ssrc) {
      recent.source = sources.get(ssrc)
      recent.ssrc = ssrc
    }
    return recent.source
  }

  const openAt = (packet: Uint8Array, headerBytes: number, index: number): Uint8Array | undefined =>
    cipher.open(packet, headerBytes, Math.floor(index / 0x1_0000))

  /** Counters begin with 0; but if what came before the first wrap was lost, this source's first packet here is already of the second round. */
  const openFirst = (packet: Uint8Array, header: RtpDatagram.RtpHeader): Uint8Array | undefined => {
    for (let index = header.sequenceNumber; index < 0x1_8000; index += 0x1_0000) {
      const payload = openAt(packet, header.bytes, index)
      if (payload === undefined) continue
      const [oldest] = sources.keys()
      if (oldest !== undefined && sources.size >= mostSources) sources.delete(oldest)
      recent.source = undefined
      sources.set(header.ssrc, { index: SrtpIndex.make(index), reception: Reception.make() })
      return payload
    }
    return undefined
  }

  const openOnce = (packet: Uint8Array, header: RtpDatagram.RtpHeader, comesAgain: boolean): Uint8Array | undefined => {
    if (header.bytes + cipher.tagBytes > packet.length) return undefined
    const source = sourceOf(header.ssrc)
    if (source === undefined) return unpadded(packet, openFirst(packet, header))
    const index = source.index.guess(header.sequenceNumber)
    if (!source.index.isFresh(index)) return undefined
    const payload = openAt(packet, header.bytes, index)
    if (payload === undefined) return undefined
    if (comesAgain) source.index.reach(index)
    else source.index.accept(index)
    return unpadded(packet, payload)
  }

  return {
    open: (packet, header) => {
      if (header !== undefined) return openOnce(packet, header, false)
      return RtpDatagram.read(packet, ownHeader) ? openOnce(packet, ownHeader, false) : undefined
    },
    look: (packet, header) => openOnce(packet, header, true),
    reception: (ssrc) => sourceOf(ssrc)?.reception,
    tagBytes: cipher.tagBytes
  }
}

/** The last byte of padding says how much there is; more than there can be is not RTP. */
const unpadded = (packet: Uint8Array, payload: Uint8Array | undefined): Uint8Array | undefined => {
  if (payload === undefined || !RtpDatagram.hasPadding(packet)) return payload
  const bytes = payload.at(-1) ?? 0
  return bytes === 0 || bytes > payload.length ? undefined : payload.subarray(0, payload.length - bytes)
}
