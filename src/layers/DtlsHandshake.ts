/**
 * The handshake of DTLS where werift 0.25 alone would wait for ever: where something is repeated, by us or by the other side.
 *
 * werift repeats a flight as it was, numbers of records included, and OpenSSL, which is Janus, passes over a record whose number it has
 * seen. What it saw and could not use yet, or what was answered by a datagram that was lost, never reached it again: where 5 % of the
 * datagrams were lost, a fifth of the handshakes never ended, at 15 % more than half (60 each with OpenSSL 3.0, 21 Nov 2026). RFC 6347
 * §4.2.4 wants new numbers.
 */
import * as DtlsRecord from "./DtlsRecord.ts"

/** RFC 6347 §4.3.2 and RFC 5246 §7.4 */
const HELLO_VERIFY_REQUEST = 3
const FINISHED = 20
/** Flights of the client as werift counts them: the hello that shows the cookie, and all that follows the server's hello. */
const COOKIE_FLIGHT = 3
const LAST_FLIGHT = 5

/** To be called as soon as the handshake begins. */
export const tend = (dtls: DtlsRecord.Dtls): void => {
  numberAnew(dtls)
  passOverRepeats(dtls)
}

const numberAnew = (dtls: DtlsRecord.Dtls) => {
  const { dtls: context, transport } = dtls
  const send = transport.socket.send
  let sent = 0
  let hasFinished = false

  const finishedAnew = (first: Buffer): Buffer => {
    const finished = context.handshakeCache[LAST_FLIGHT]?.data.find(({ msg_type }) => msg_type === FINISHED)
    if (hasFinished && finished !== undefined) return DtlsRecord.seal(dtls, DtlsRecord.HANDSHAKE, finished.serialize())
    hasFinished = true
    // werift counts from 0 again, and would come by this number a second time.
    context.recordSequenceNumber = Math.max(context.recordSequenceNumber, DtlsRecord.numberOf(first))
    return first
  }
  const anew = (record: Buffer): Buffer => {
    if (DtlsRecord.epochOf(record) === 0) return DtlsRecord.renumbered(record, sent++)
    return DtlsRecord.typeOf(record) === DtlsRecord.HANDSHAKE ? finishedAnew(record) : record
  }
  transport.socket.send = (datagram, address) => send(Buffer.concat(DtlsRecord.split(datagram).map(anew)), address)
}

/**
 * A second request for a cookie comes whenever our first hello was repeated: this process stood still for half a second, and its timer
 * ran before it could read the answer. werift takes it for a fault, or begins anew in the middle of the handshake.
 */
const passOverRepeats = (dtls: DtlsRecord.Dtls) => {
  const handle = dtls.onHandleHandshakes
  dtls.onHandleHandshakes = (messages) =>
    handle(messages.filter(({ msg_type }) => msg_type !== HELLO_VERIFY_REQUEST || dtls.dtls.flight < COOKIE_FLIGHT))
}
