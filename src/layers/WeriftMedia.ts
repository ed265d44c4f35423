/**
 * The short way of RTP through werift: its ICE and DTLS stay, its SRTP, its parsers and its receivers are passed by.
 *
 * RTP is taken off the socket of the way that ICE has chosen, and off the one event in which everything arrives that comes another way, such as
 * through a relay; it is opened with the keys of werift's own session. STUN, DTLS and RTCP go on to werift. As werift then sees no RTP, it
 * sends no receiver reports: a sender report is answered with one here. A lost packet is never asked for again: it would come too late to be
 * heard.
 *
 * docs/decisions/0013-media-passes-werift-by.md
 */
import { randomInt } from "node:crypto"
import { type RTCDtlsTransport, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, StunProtocol } from "werift"
import * as Reception from "./Reception.ts"
import * as RtpDatagram from "./RtpDatagram.ts"
import * as SrtpReceiver from "./SrtpReceiver.ts"

export interface WeriftMediaOptions {
  /** Monotonic, in ms. */
  readonly now: () => number
  /** A packet, authentic and for the first time. Both are valid only during the call. */
  readonly onRtp: (packet: Uint8Array, payload: Uint8Array) => void
  /** A packet that was neither. */
  readonly onRefused: () => void
}

/** RFC 3550 §6.2: every 5 s. Janus 1.1.2 sends a report each second; the fifth may come a little early. */
const reportMs = 4500
/** As SrtpReceiver: who sends from more sources than these is told only of the last. */
const mostSources = 32

/**
 * Takes RTP out of the way of a transport whose handshake is done. `false`: its keys are of a kind that is not known here; nothing has changed,
 * RTP comes by werift's own `onRtp`.
 */
export const take = (transport: RTCDtlsTransport, options: WeriftMediaOptions): boolean => {
  const { keys, profile } = transport.srtp.config
  const receiver = SrtpReceiver.make({ profile, key: keys.remoteMasterKey, salt: keys.remoteMasterSalt })
  if (receiver === undefined) return false
  const { now, onRefused, onRtp } = options
  const receptions = new Map<number, Reception.Reception>()
  const ownSsrc = randomInt(1, 2 ** 32)
  let reportedMs = Number.NEGATIVE_INFINITY

  const receptionOf = (ssrc: number): Reception.Reception => {
    const known = receptions.get(ssrc)
    if (known !== undefined) return known
    if (receptions.size >= mostSources) receptions.clear()
    const reception = Reception.make()
    receptions.set(ssrc, reception)
    return reception
  }

  const hear = (packet: Uint8Array) => {
    const payload = receiver.open(packet)
    if (payload === undefined) return onRefused()
    const reception = receptionOf(RtpDatagram.ssrc(packet))
    reception.note(RtpDatagram.sequenceNumber(packet), RtpDatagram.timestamp(packet), now())
    onRtp(packet, payload)
  }
  const { nominated, onData } = transport.iceTransport.connection
  const handOn = onData.execute
  onData.execute = (datagram) => (RtpDatagram.isRtp(datagram) ? hear(datagram) : handOn(datagram))
  if (nominated?.protocol instanceof StunProtocol) {
    const socket = nominated.protocol.transport
    const handUp = socket.onData
    socket.onData = (datagram, from) => (RtpDatagram.isRtp(datagram) ? hear(datagram) : handUp(datagram, from))
  }

  transport.onRtcp.subscribe((packet) => {
    if (!(packet instanceof RtcpSrPacket)) return
    const reception = receptions.get(packet.ssrc)
    if (reception === undefined || now() - reportedMs < reportMs) return
    reportedMs = now()
    const report = new RtcpReceiverInfo({
      ssrc: packet.ssrc,
      ...reception.report(),
      // The middle 32 bits, and how long ago that came: at once, but 0 would say that none did.
      lsr: Number((packet.senderInfo.ntpTimestamp >> 16n) & 0xffff_ffffn),
      dlsr: 1
    })
    void transport.sendRtcp([new RtcpRrPacket({ ssrc: ownSsrc, reports: [report] })]).catch(() => undefined)
  })
  return true
}
