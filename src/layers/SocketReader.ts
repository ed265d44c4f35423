/**
 * Reads the UDP sockets of many peers together: by the addon, once in 10 or 20 ms, instead of by Node, which wakes up for every packet and makes
 * several objects of it. Silence that nobody would open waits there for company.
 *
 * A socket stays Node's: it sends by it, and what is no RTP comes by its `message` event as before. A socket that cannot be read here stays as it is.
 *
 * docs/decisions/0022-packets-are-read-in-batches.md
 */
import type { Socket } from "node:dgram"
import type { MayWait } from "../services/PeerConnection.ts"
import * as ByteViews from "./ByteViews.ts"
import * as DgramHandle from "./DgramHandle.ts"
import * as NativeAddon from "./NativeAddon.ts"

export interface SocketReader {
  /** Reads a bound socket from now on, until it is closed; `undefined`: it cannot be, and nothing has changed. */
  readonly take: (socket: Socket, listener: SocketListener) => TakenSocket | undefined
}

export interface SocketListener {
  /** A packet of RTP that came at `atMs`, which may be a while ago. Valid during the call only. */
  readonly onRtp: (packet: Uint8Array, atMs: number) => void
  /** Which of the packets behind those that were given may wait; `undefined`: none. */
  readonly rest: () => Rest | undefined
  /** One of the two has thrown, or whoever listens to the socket. */
  readonly onDefect: () => void
}

/**
 * These packets of this source may wait, as long as no other datagram comes; the first that may not is given at once, behind all that waited.
 * Nothing is taken on trust by that: whoever is given them decides what they are.
 */
export interface Rest {
  readonly ssrc: number
  readonly payloadType: number
  /** Of the header extension; 0: there is none. */
  readonly levelId: number
  /** Behind the payload. */
  readonly tagBytes: number
  readonly mayWait: MayWait
}

export interface TakenSocket {
  /** Gives what waits. */
  readonly wake: () => void
}

export interface SocketReaderOptions {
  /** Monotonic, in ms. */
  readonly now: () => number
  readonly addon?: NativeAddon.NativeAddon | string
  /** Runs `read` in so many ms; 0: as soon as others had their turn. */
  readonly schedule?: (read: () => void, ms: number) => void
}

const later = (read: () => void, ms: number) => {
  if (ms < 1) setImmediate(read)
  else setTimeout(read, ms)
}

/**
 * From one reading to the next, in ms: an engine is given 80 at a time, and a call looks at its voices every 20. To wake up costs the most of it, so few
 * sockets are read as seldom as one of them gets a packet: more often, three would cost more than when Node reads them.
 */
const REST_MS = 10
const REST_OF_FEW_MS = 20
const FEW = 8
/** Of a `Rest`, as `native/udp.c` reads it. */
const RULE_FIELDS = 13
/** Of a datagram in the slab: socket, offset, length, when it came, bytes of its source's address, which stand behind it (0: RTP), port. */
const ROW_FIELDS = 6
const ROWS = 1024
/** A single socket may have 72 KB to tell. */
const SLAB_BYTES = 256 * 1024
const WAITING = { rows: 64, bytes: 96 * 1024 }
/** In front of the slab, for the packet that is given: no packet of a call is larger. */
const PACKET_BYTES = 2048

interface Taken {
  readonly socket: Socket
  readonly listener: SocketListener
}

/** What the addon writes into. */
interface Told {
  readonly bytes: Buffer
  readonly rows: Float64Array
  /** Valid until it is asked for the next. */
  readonly packetAt: (offset: number, length: number) => Uint8Array
}

const noRoom: Told = { bytes: Buffer.alloc(0), rows: new Float64Array(0), packetAt: () => new Uint8Array(0) }

/** For all that is read: every packet is moved to the same place, which costs less than a view of its own. */
const roomOfAll = (): Told => {
  const memory = Buffer.alloc(PACKET_BYTES + SLAB_BYTES)
  const bytes = memory.subarray(PACKET_BYTES)
  const packets = ByteViews.make(new Uint8Array(memory.buffer, memory.byteOffset, PACKET_BYTES))
  const packetAt = (offset: number, length: number) => {
    if (length > PACKET_BYTES) return bytes.subarray(offset, offset + length)
    memory.copyWithin(0, PACKET_BYTES + offset, PACKET_BYTES + offset + length)
    return packets.of(length)
  }
  return { bytes, rows: new Float64Array(ROWS * ROW_FIELDS), packetAt }
}

/** For what waits of one socket, of memory of its own: another may be about to be told. */
const roomOfOne = (): Told => {
  const bytes = Buffer.alloc(WAITING.bytes)
  const packetAt = (offset: number, length: number) => bytes.subarray(offset, offset + length)
  return { bytes, rows: new Float64Array(WAITING.rows * ROW_FIELDS), packetAt }
}

/** One for all sockets that share a clock; without the addon it takes none. */
export const make = ({ addon = NativeAddon.load(), now, schedule = later }: SocketReaderOptions): SocketReader => {
  const reader = typeof addon === "string" ? undefined : addon.makeReader()
  if (typeof addon === "string" || reader === undefined) return { take: () => undefined }
  /** By the number the addon knows it by. */
  const taken: Array<Taken | undefined> = []
  const free: Array<number> = []
  /** Numbers that are not given away before all that was read under them is told. */
  const left: Array<number> = []
  let count = 0
  let isRunning = false
  let room = noRoom
  let rules = new Float64Array(0)

  const restMs = () => (count < FEW ? REST_OF_FEW_MS : REST_MS)

  const give = ({ listener, socket }: Taken, { bytes, packetAt, rows }: Told, row: number) => {
    const offset = rows[row + 1] ?? 0
    const length = rows[row + 2] ?? 0
    const addressBytes = rows[row + 4] ?? 0
    try {
      if (addressBytes === 0) return listener.onRtp(packetAt(offset, length), rows[row + 3] ?? 0)
      const address = bytes.toString("latin1", offset + length, offset + length + addressBytes)
      const from = { address, family: address.includes(":") ? "IPv6" : "IPv4", port: rows[row + 5] ?? 0, size: length }
      // Whoever takes it may keep it.
      socket.emit("message", Buffer.from(bytes.subarray(offset, offset + length)), from)
    } catch {
      listener.onDefect()
    }
  }

  /** Tells what the addon wrote. What is of one socket stands together. */
  const tell = (told: Told, end: number) => {
    const { rows } = told
    for (let row = 0; row < end; ) {
      const id = rows[row] ?? 0
      let one = taken[id]
      for (; row < end && rows[row] === id; row += ROW_FIELDS) {
        if (one !== undefined) give(one, told, row)
        one = taken[id]
      }
      if (one !== undefined) allow(id, one.listener)
    }
  }

  const allow = (id: number, { onDefect, rest }: SocketListener) => {
    const at = id * RULE_FIELDS
    rules[at] = 0
    try {
      const allowed = rest()
      if (allowed !== undefined) write(rules, at, allowed)
    } catch {
      onDefect()
    }
  }

  const read = () => {
    const startedMs = now()
    const answer = count === 0 ? 0 : addon.readSockets(reader, startedMs, room.bytes, room.rows, rules)
    const hasMore = answer >= NativeAddon.MORE
    tell(room, (hasMore ? answer - NativeAddon.MORE : answer) * ROW_FIELDS)
    free.push(...left.splice(0))
    isRunning = count > 0
    if (!isRunning) return
    // What takes longer than the rest needs none.
    const leftMs = Math.round(restMs() - (now() - startedMs))
    schedule(read, hasMore ? 0 : Math.max(0, leftMs))
  }

  const enter = (one: Taken, fd: number): number | undefined => {
    if (room === noRoom) room = roomOfAll()
    const id = free.pop() ?? taken.length
    if (addon.addSocket(reader, id, fd) < 0) {
      if (id < taken.length) free.push(id)
      return undefined
    }
    if (rules.length < (id + 1) * RULE_FIELDS) {
      const more = new Float64Array(2 * (id + 1) * RULE_FIELDS)
      more.set(rules)
      rules = more
    }
    rules[id * RULE_FIELDS] = 0
    taken[id] = one
    count++
    return id
  }
  const leave = (id: number, one: Taken) => {
    if (taken[id] !== one) return
    addon.removeSocket(reader, id)
    taken[id] = undefined
    left.push(id)
    count--
  }

  return {
    take: (socket, listener) => {
      const handle = DgramHandle.of(socket)
      if (handle === undefined) return undefined
      const one = { socket, listener }
      const id = enter(one, handle.fd)
      if (id === undefined) return undefined
      if (handle.recvStop() !== 0) {
        leave(id, one)
        return undefined
      }
      // Before its descriptor may be another's.
      DgramHandle.beforeClose(socket, () => leave(id, one))
      if (!isRunning) {
        isRunning = true
        schedule(read, restMs())
      }
      return {
        wake: () => {
          if (taken[id] !== one) return
          const waiting = roomOfOne()
          tell(waiting, addon.wakeSocket(reader, id, waiting.bytes, waiting.rows) * ROW_FIELDS)
        }
      }
    }
  }
}

const write = (rules: Float64Array, at: number, { levelId, mayWait, payloadType, ssrc, tagBytes }: Rest) => {
  rules[at] = mayWait.packets
  rules[at + 1] = ssrc
  rules[at + 2] = payloadType
  rules[at + 3] = levelId
  rules[at + 4] = mayWait.fromLevel
  rules[at + 5] = mayWait.toLevel
  rules[at + 6] = mayWait.fromDigital
  rules[at + 7] = mayWait.levelledBytes
  rules[at + 8] = mayWait.untilMs
  rules[at + 9] = mayWait.tinyBytes
  rules[at + 10] = mayWait.sizedBytes
  rules[at + 11] = mayWait.sizedUntilMs
  rules[at + 12] = tagBytes
}
