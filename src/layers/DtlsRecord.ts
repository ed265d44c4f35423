/**
 * Records of DTLS 1.2 (RFC 6347 §4.1), as far as we write some ourselves.
 */
import type { RTCDtlsTransport } from "werift"

export type Dtls = NonNullable<RTCDtlsTransport["dtls"]>

export const ALERT = 21
export const HANDSHAKE = 22

const EPOCH = 3
const NUMBER = 5
const NUMBER_BYTES = 6
const LENGTH = 11
const HEADER_BYTES = 13

export const typeOf = (record: Buffer): number => record.readUInt8(0)
export const epochOf = (record: Buffer): number => record.readUInt16BE(EPOCH)
export const numberOf = (record: Buffer): number => record.readUIntBE(NUMBER, NUMBER_BYTES)

/** The records of a datagram of ours. */
export const split = (datagram: Buffer): Array<Buffer> => {
  const records: Array<Buffer> = []
  for (let start = 0; start + HEADER_BYTES <= datagram.length; ) {
    const end = start + HEADER_BYTES + datagram.readUInt16BE(start + LENGTH)
    records.push(datagram.subarray(start, end))
    start = end
  }
  return records
}

/** The same record under another number; only before there are keys, which vouch for it from then on. */
export const renumbered = (record: Buffer, number: number): Buffer => {
  const copy = Buffer.from(record)
  copy.writeUIntBE(number, NUMBER, NUMBER_BYTES)
  return copy
}

/** A record under the keys of the connection and its next number. */
export const seal = ({ cipher, dtls: context, sessionType }: Dtls, type: number, content: Buffer): Buffer => {
  const version = (context.version.major << 8) | context.version.minor
  const sequenceNumber = ++context.recordSequenceNumber
  const fragment = cipher.cipher.encrypt(sessionType, content, { type, version, epoch: context.epoch, sequenceNumber })
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt8(type, 0)
  header.writeUInt16BE(version, 1)
  header.writeUInt16BE(context.epoch, EPOCH)
  header.writeUIntBE(sequenceNumber, NUMBER, NUMBER_BYTES)
  header.writeUInt16BE(fragment.length, LENGTH)
  return Buffer.concat([header, fragment])
}
