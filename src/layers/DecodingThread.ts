/**
 * A thread that decodes for many voices at once, while JavaScript goes on. What came in one turn of the event loop goes to it together, and comes
 * back, decoded and in order, in a later one.
 *
 * docs/decisions/0025-many-voices-are-decoded-beside-javascript.md
 */
import { availableParallelism } from "node:os"
import type * as NativeAddon from "./NativeAddon.ts"

export interface DecodingThread {
  /** Whether what comes at that time (ms) is to be decoded by it. To be asked for each packet. */
  readonly isWanted: (atMs: number) => boolean
  /** Takes a packet of which libopus makes `samples`. The bytes may be reused at once. */
  readonly decode: (decoder: NativeAddon.NativeHandle, packet: Uint8Array, samples: number, taker: Taker) => void
  /** Waits until all that was taken is given back: some milliseconds. */
  readonly settle: () => void
  readonly close: () => void
}

export interface Taker {
  /** Is given each packet with its sound, in the order they were taken; `undefined`: it is not Opus. Both are valid during the call only. Must not throw. */
  readonly decoded: (packet: Uint8Array, pcm: Float32Array | undefined) => void
}

export interface DecodingThreadOptions {
  readonly addon: NativeAddon.NativeAddon
  /** Whether it is needed at that time (ms). */
  readonly isNeeded: (atMs: number) => boolean
}

/**
 * Of the time of JavaScript's thread: from there on it is needed, and no longer below the second. To hand over and back costs a tenth more than to decode
 * where packets come, so who has time does that; with it, between two thirds and three quarters of the work are left: what fills it without is above
 * the second with.
 */
const FULL = 0.8
const ROOMY = 0.53
const LOOK_MS = 1_000

/** Of one packet in the table: where it is, its length, its samples, and what became of it (samples, or negative), as `native/decoding.c` reads it. */
const ROW_FIELDS = 4
/** What is taken before the event loop turns: the thread is waited for rather than more. */
const MOST_PACKETS = 1024
const MOST_BYTES = 256 * 1024

interface Batch {
  packets: Uint8Array
  used: number
  readonly table: Float64Array
  decoders: Array<NativeAddon.NativeHandle>
  readonly takers: Array<Taker>
  samples: number
}

const makeBatch = (): Batch => ({
  packets: new Uint8Array(MOST_BYTES),
  used: 0,
  table: new Float64Array(MOST_PACKETS * ROW_FIELDS),
  decoders: [],
  takers: [],
  samples: 0
})

/** Begins when it is wanted for the first time; never where there is no processor for it. */
export const make = ({ addon, isNeeded }: DecodingThreadOptions): DecodingThread => {
  let mayBegin = availableParallelism() > 1
  let thread: NativeAddon.NativeHandle | undefined
  let filling = makeBatch()
  /** The thread has it, or it is being given back, up to `given`. */
  let away: Batch | undefined
  let spare = makeBatch()
  let given = 0
  let isDecoded = false
  let sound = new Float32Array(0)
  let soundAt = 0

  /** Hands over what there is, if the thread has nothing. */
  const send = () => {
    if (away !== undefined || filling.decoders.length === 0) return
    const batch = filling
    away = batch
    filling = spare
    given = 0
    soundAt = 0
    const packets = batch.packets.subarray(0, batch.used)
    isDecoded = thread === undefined || addon.decodeBeside(thread, batch.decoders, packets, batch.table) < 0
    // memory is short
    if (isDecoded) decodeHere(batch)
  }
  const packetAt = ({ packets, table }: Batch, row: number) => {
    const offset = table[row] ?? 0
    return packets.subarray(offset, offset + (table[row + 1] ?? 0))
  }
  const makeRoom = (samples: number) => {
    if (sound.length < samples) sound = new Float32Array(2 * samples)
  }
  const decodeHere = (batch: Batch) => {
    makeRoom(batch.samples)
    let at = 0
    for (const [n, decoder] of batch.decoders.entries()) {
      const row = n * ROW_FIELDS
      const samples = batch.table[row + 2] ?? 0
      batch.table[row + 3] = addon.decode(decoder, packetAt(batch, row), sound.subarray(at, at + samples))
      at += samples
    }
    giveBack(batch)
  }

  const giveBack = (batch: Batch) => {
    while (given < batch.decoders.length && away === batch) {
      const row = given * ROW_FIELDS
      const taker = batch.takers[given++]
      const result = batch.table[row + 3] ?? 0
      const from = soundAt
      soundAt += batch.table[row + 2] ?? 0
      taker?.decoded(packetAt(batch, row), result > 0 ? sound.subarray(from, from + result) : undefined)
    }
    // whoever settles in the middle of it has given the rest
    if (away !== batch) return
    batch.used = batch.samples = 0
    batch.decoders = []
    batch.takers.length = 0
    spare = batch
    away = undefined
  }

  /** Gives back what the thread has, as soon as it is done with it. */
  const finish = () => {
    const batch = away
    if (batch !== undefined) {
      if (!isDecoded && thread !== undefined) {
        makeRoom(batch.samples)
        addon.takeDecoded(thread, sound, batch.table)
        isDecoded = true
      }
      giveBack(batch)
    }
    send()
  }
  const settle = () => {
    while (away !== undefined || filling.decoders.length > 0) finish()
  }

  return {
    isWanted: (atMs) => {
      if (!mayBegin || !isNeeded(atMs)) return false
      thread ??= addon.makeThread(finish)
      mayBegin = thread !== undefined
      return mayBegin
    },
    decode: (decoder, packet, samples, taker) => {
      if (filling.decoders.length === MOST_PACKETS || filling.used + packet.length > filling.packets.length) settle()
      const batch = filling
      const row = batch.decoders.length * ROW_FIELDS
      if (row === 0) queueMicrotask(send)
      batch.packets.set(packet, batch.used)
      batch.table[row] = batch.used
      batch.table[row + 1] = packet.length
      batch.table[row + 2] = samples
      batch.table[row + 3] = -1
      batch.used += packet.length
      batch.samples += samples
      batch.decoders.push(decoder)
      batch.takers.push(taker)
    },
    settle,
    close: () => {
      settle()
      mayBegin = false
      if (thread !== undefined) addon.closeThread(thread)
    }
  }
}

/** Since it was asked last. */
const utilization = (): (() => number) => {
  let since = performance.eventLoopUtilization()
  return () => {
    const until = performance.eventLoopUtilization()
    const share = performance.eventLoopUtilization(until, since).utilization
    since = until
    return share
  }
}

/** Needed while JavaScript's thread, whose share of time `busy` says, has little time left. Looks once a second. */
export const whenFull = (busy: () => number = utilization()): ((atMs: number) => boolean) => {
  let lookedMs = Number.NEGATIVE_INFINITY
  let isFull = false
  return (atMs) => {
    if (atMs - lookedMs < LOOK_MS) return isFull
    lookedMs = atMs
    isFull = busy() >= (isFull ? ROOMY : FULL)
    return isFull
  }
}
