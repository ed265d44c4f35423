/**
 * The close_notify of DTLS (RFC 5246 §7.2.1), which werift does not send: without it Janus goes on sending media to a port nobody
 * listens to, and the HPB keeps the subscription. With it Janus 1.1.2 hung up 2 ms later (21 Nov 2026).
 */
import type { RTCDtlsTransport, RTCIceTransport } from "werift"

/** warning, close_notify */
const closeNotify = Buffer.from([1, 0])
const ALERT = 21
const headerBytes = 13

/** Says that nothing follows, if there is a connection to say it over. Done when it has left: whoever closes the socket before takes it back. */
export const say = async (
  dtls: NonNullable<RTCDtlsTransport["dtls"]>,
  iceTransport: RTCIceTransport
): Promise<void> => {
  const { cipher, dtls: context, sessionType } = dtls
  if (!dtls.connected) return
  const version = (context.version.major << 8) | context.version.minor
  const sequenceNumber = ++context.recordSequenceNumber
  const header = { type: ALERT, version, epoch: context.epoch, sequenceNumber }
  const fragment = cipher.cipher.encrypt(sessionType, closeNotify, header)
  const record = Buffer.alloc(headerBytes)
  record.writeUInt8(ALERT, 0)
  record.writeUInt16BE(version, 1)
  record.writeUInt16BE(header.epoch, 3)
  record.writeUIntBE(sequenceNumber, 5, 6)
  record.writeUInt16BE(fragment.length, 11)
  await iceTransport.connection.send(Buffer.concat([record, fragment])).catch(() => undefined)
}
