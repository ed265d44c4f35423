/**
 * AWS event streams on the wire: messages with headers, a length before them and two checksums. For the simulated Amazon Transcribe; the
 * engine leaves this to the SDK.
 *
 * https://smithy.io/2.0/aws/amazon-eventstream.html
 */
import { crc32 } from "node:zlib"

/** Values of the three types that Amazon Transcribe uses: text, bytes, a moment. */
export type HeaderValue = string | Uint8Array | Date

export interface EventMessage {
  readonly headers: Readonly<Record<string, HeaderValue>>
  readonly body: Uint8Array
}

/** The bytes are no event stream; whoever sent them is not understood any more. */
export class EventStreamFault extends Error {}

const PRELUDE = 12
const OVERHEAD = PRELUDE + 4
/** Of the specification. */
const LONGEST = 16 * 1024 * 1024
/** Header types of the specification. */
const BYTES = 6
const TEXT = 7
const MOMENT = 8

export const encode = ({ body, headers }: EventMessage): Buffer => {
  const head = encodeHeaders(headers)
  const message = Buffer.alloc(OVERHEAD + head.length + body.length)
  message.writeUInt32BE(message.length, 0)
  message.writeUInt32BE(head.length, 4)
  message.writeUInt32BE(crc32(message.subarray(0, 8)), 8)
  message.set(head, PRELUDE)
  message.set(body, PRELUDE + head.length)
  message.writeUInt32BE(crc32(message.subarray(0, -4)), message.length - 4)
  return message
}

/** Headers alone, as they are signed. */
export const encodeHeaders = (headers: EventMessage["headers"]): Buffer =>
  Buffer.concat(
    Object.entries(headers).map(([name, value]) => {
      const label = Buffer.from(name)
      return Buffer.concat([Buffer.of(label.length), label, encodeValue(value)])
    })
  )

/** One whole message; throws `EventStreamFault` where a checksum, a length or a type is wrong. */
export const decode = (message: Buffer): EventMessage => {
  if (message.length < OVERHEAD || message.readUInt32BE(0) !== message.length) throw new EventStreamFault("length")
  const headLength = message.readUInt32BE(4)
  if (message.readUInt32BE(8) !== crc32(message.subarray(0, 8))) throw new EventStreamFault("checksum of the prelude")
  if (message.readUInt32BE(message.length - 4) !== crc32(message.subarray(0, -4)))
    throw new EventStreamFault("checksum")
  if (headLength > message.length - OVERHEAD) throw new EventStreamFault("length of the headers")
  return {
    headers: decodeHeaders(message.subarray(PRELUDE, PRELUDE + headLength)),
    body: message.subarray(PRELUDE + headLength, -4)
  }
}

/** Puts messages together from whatever pieces the network brings. */
export const splitter = (): ((bytes: Buffer) => ReadonlyArray<Buffer>) => {
  let rest = Buffer.alloc(0)
  return (bytes) => {
    rest = Buffer.concat([rest, bytes])
    const messages: Array<Buffer> = []
    while (rest.length >= 4) {
      const length = rest.readUInt32BE(0)
      if (length < OVERHEAD || length > LONGEST) throw new EventStreamFault("length")
      if (rest.length < length) break
      messages.push(rest.subarray(0, length))
      rest = rest.subarray(length)
    }
    return messages
  }
}

const encodeValue = (value: HeaderValue): Buffer => {
  if (value instanceof Date) {
    const moment = Buffer.alloc(9)
    moment.writeUInt8(MOMENT, 0)
    moment.writeBigInt64BE(BigInt(value.getTime()), 1)
    return moment
  }
  const bytes = typeof value === "string" ? Buffer.from(value) : value
  const head = Buffer.alloc(3)
  head.writeUInt8(typeof value === "string" ? TEXT : BYTES, 0)
  head.writeUInt16BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

const decodeHeaders = (bytes: Buffer): Record<string, HeaderValue> => {
  const headers: Record<string, HeaderValue> = {}
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 1 + bytes.readUInt8(at)
    const name = bytes.toString("utf8", at + 1, nameEnd)
    const type = bytes.readUInt8(nameEnd)
    if (type === MOMENT) {
      headers[name] = new Date(Number(bytes.readBigInt64BE(nameEnd + 1)))
      at = nameEnd + 9
    } else if (type === TEXT || type === BYTES) {
      const from = nameEnd + 3
      at = from + bytes.readUInt16BE(nameEnd + 1)
      headers[name] = type === TEXT ? bytes.toString("utf8", from, at) : bytes.subarray(from, at)
    } else throw new EventStreamFault(`type ${type} of header ${name}`)
  }
  return headers
}
