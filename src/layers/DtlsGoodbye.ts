/**
 * The close_notify of DTLS (RFC 5246 §7.2.1), which werift does not send: without it Janus goes on sending media to a port nobody
 * listens to, and the HPB keeps the subscription. With it Janus 1.1.2 hung up 2 ms later (21 Nov 2026).
 */
import type { RTCIceTransport } from "werift"
import * as DtlsRecord from "./DtlsRecord.ts"

/** warning, close_notify */
const closeNotify = Buffer.from([1, 0])

/** Says that nothing follows, if there is a connection to say it over. Done when it has left: whoever closes the socket before takes it back. */
export const say = async (dtls: DtlsRecord.Dtls, iceTransport: RTCIceTransport): Promise<void> => {
  if (!dtls.connected) return
  await iceTransport.connection.send(DtlsRecord.seal(dtls, DtlsRecord.ALERT, closeNotify)).catch(() => undefined)
}
