/**
 * The short way of RTP through werift: its ICE and DTLS stay, its SRTP, its parsers and its receivers are passed by.
 *
 * RTP is taken off the socket of the way that ICE has chosen (which a `SocketReader` reads), and off the one event in which everything arrives that comes another way, such as
 * through a relay; it is opened with the keys of werift's own session. STUN, DTLS and RTCP go on to werift. As werift then sees no RTP, it
 * sends no receiver reports: a sender report is answered with one here, now and then; those in between are not opened. A lost packet is never asked for again: it would come too late to be
 * heard.
 *
 * docs/decisions/0013-media-passes-werift-by.md
 */
import { randomInt } from "node:crypto"
import { type RTCDtlsTransport, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket, StunProtocol } from "werift"
import type { IceConsents } from "./IceConsents.ts"
import * as RtpDatagram from "./RtpDatagram.ts"
import * as RtpReceiver from "./RtpReceiver.ts"
import type { SocketReader, TakenSocket } from "./SocketReader.ts"
import * as SrtpReceiver from "./SrtpReceiver.ts"

export interface WeriftMediaOptions extends Omit<RtpReceiver.RtpReceiverOptions, "srtp"> {
  /** Reads the socket of the chosen way, where it can; absent: Node does. */
  readonly sockets?: SocketReader | undefined
  /** Asks the other side whether it still listens; absent: werift does. */
  readonly consents?: IceConsents | undefined
  /** Something has thrown that was told of a packet. */
  readonly onDefect: () => void
}

export interface WeriftMedia {
  /** Gives what is kept of silence, behind all that waits. */
  readonly wake: () => void
  /** Gives what waits. */
  readonly catchUp: () => void
}

/** RFC 3550 §6.2: every 5 s. Janus 1.1.2 sends a report each second; the fifth may come a little early. */
const reportMs = 4500

/**
 * Takes RTP out of the way of a transport whose handshake is done. `undefined`: its keys are of a kind that is not known here; nothing has
 * changed, RTP comes by werift's own `onRtp`.
 */
export const take = (transport: RTCDtlsTransport, options: WeriftMediaOptions): WeriftMedia | undefined => {
  const { keys, profile } = transport.srtp.config
  const srtp = SrtpReceiver.make({ profile, key: keys.remoteMasterKey, salt: keys.remoteMasterSalt })
  if (srtp === undefined) return undefined
  const { now } = options
  const receiver = RtpReceiver.make({ ...options, srtp })
  const receive = (datagram: Uint8Array) => receiver.receive(datagram)
  let taken: TakenSocket | undefined
  const ownSsrc = randomInt(1, 2 ** 32)
  let reportedMs = Number.NEGATIVE_INFINITY
  const isReportDue = () => now() - reportedMs >= reportMs
  /** Nothing would be made of it: werift would open it, which is more than is done with all packets of a second of silence. */
  const isUnwanted = (datagram: Uint8Array) => RtpDatagram.isSenderReport(datagram) && !isReportDue()

  const { nominated, onData } = transport.iceTransport.connection
  const handOn = onData.execute
  onData.execute = (datagram) => {
    if (RtpDatagram.isRtp(datagram)) receive(datagram)
    else if (!isUnwanted(datagram)) handOn(datagram)
  }
  if (nominated?.protocol instanceof StunProtocol) {
    const socket = nominated.protocol.transport
    const handUp = socket.onData
    const consent = options.consents?.keep(transport.iceTransport.connection, receiver.heardMs)
    socket.onData = (datagram, from) => {
      if (RtpDatagram.isRtp(datagram)) receive(datagram)
      else if (!isUnwanted(datagram) && consent?.take(datagram, from) !== true) handUp(datagram, from)
    }
    taken = options.sockets?.take(socket.socket, {
      onRtp: receiver.receive,
      rest: receiver.rest,
      onDefect: options.onDefect
    })
  }

  transport.onRtcp.subscribe((packet) => {
    if (!(packet instanceof RtcpSrPacket)) return
    const reception = srtp.reception(packet.ssrc)
    if (reception === undefined || !isReportDue()) return
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
  const catchUp = () => taken?.wake()
  return {
    catchUp,
    wake: () => {
      catchUp()
      receiver.wake()
    }
  }
}
