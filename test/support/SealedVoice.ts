/**
 * A voice behind SRTP: what is sent is sealed packet by packet, received, and heard, as if a peer were between them.
 */
import { Effect, Stream } from "effect"
import type { AudioFrame } from "../../src/domain/Audio.ts"
import { LanguageId } from "../../src/domain/Language.ts"
import * as RtpReceiver from "../../src/layers/RtpReceiver.ts"
import * as SrtpKeys from "../../src/layers/SrtpKeys.ts"
import * as SrtpReceiver from "../../src/layers/SrtpReceiver.ts"
import * as Voice from "../../src/layers/Voice.ts"
import { Decoder } from "../../src/services/Decoder.ts"
import { protect } from "./SrtpSender.ts"

export interface Sent {
  readonly payload: Uint8Array
  /** Absent: without the header extension. */
  readonly level?: number
  /** In place of what follows from its number. */
  readonly ssrc?: number
  readonly index?: number
  readonly timestamp?: number
  /** Not by who holds the keys. */
  readonly isForged?: boolean
}

export const levelId = 1
const master = { profile: SrtpKeys.AEAD_AES_128_GCM, key: Buffer.alloc(16, 3), salt: Buffer.alloc(12, 5) }
const keys = SrtpKeys.derive(master)

/** `firstIndex`: rollover counter · 65536 + sequence number of the first packet, below 65536. */
export const make = Effect.fnUntraced(function* (
  options: {
    readonly firstIndex?: number
    readonly isEager?: boolean
    /** Brings a packet to the receiver, now or later; default: at once. */
    readonly way?: (receiver: RtpReceiver.RtpReceiver, now: () => number) => (packet: Uint8Array) => void
  } = {}
) {
  const {
    firstIndex = 1000,
    isEager = false,
    way = ({ receive }) =>
      (packet) =>
        receive(packet)
  } = options
  const srtp = SrtpReceiver.make(master)
  if (srtp === undefined || keys === undefined) return yield* Effect.die("keys of an unknown kind")
  const voice = yield* Voice.make({
    id: "a",
    language: () => LanguageId.make("en"),
    decoder: yield* Decoder,
    now: () => nowMs,
    queueCapacity: 100_000
  })
  let nowMs = 0
  let sent = 0
  const counts = { opened: 0, looks: 0, refused: 0 }
  const receiver = RtpReceiver.make({
    srtp: {
      ...srtp,
      open: (packet, header) => {
        counts.opened++
        return srtp.open(packet, header)
      },
      look: (packet, header) => {
        counts.looks++
        return srtp.look(packet, header)
      }
    },
    now: () => nowMs,
    offer: () => ({ opus: new Set([111]), levelId }),
    listener: {
      onPacket: (packet) => voice.onPacket(packet, packet.atMs ?? nowMs),
      ...(isEager ? {} : { silence: voice.silence })
    },
    onRefused: () => counts.refused++
  })
  const send = way(receiver, () => nowMs)
  return {
    voice,
    counts,
    receiver,
    reception: srtp.reception,
    /** One packet; time does not go on. */
    give: ({
      index = firstIndex + sent,
      isForged = false,
      level,
      payload,
      ssrc = 7,
      timestamp = index * 960
    }: Sent) => {
      const extension = level === undefined ? {} : { extension: Uint8Array.of(levelId << 4, 0x80 | level) }
      const packet = protect(keys, index, { ssrc, payload, timestamp, ...extension })
      if (isForged) packet.writeUInt8(packet.readUInt8(packet.length - 1) ^ 1, packet.length - 1)
      else sent++
      send(packet)
    },
    /** 20 ms of silence on the line. */
    wait: () => {
      nowMs += 20
      voice.tick(nowMs)
    },
    /** Nothing of this process runs for so long. */
    standStill: (ms: number) => {
      nowMs += ms
    },
    /** Says that it was sent without being received. */
    lose: () => {
      sent++
    },
    finish: Effect.suspend(() => {
      voice.end()
      return Stream.runCollect(voice.voice.frames)
    })
  }
})

export type SealedVoice = Effect.Success<ReturnType<typeof make>>

/** Every 20 ms one. */
export const play = (to: SealedVoice, packets: Iterable<Sent>): void => {
  for (const packet of packets) {
    to.wait()
    to.give(packet)
  }
}

export const soundOf = (frames: ReadonlyArray<AudioFrame>, from = 0): Float32Array => {
  const pcm = new Float32Array(Math.max(0, (frames.at(-1)?.position ?? 0) + 1920 - from))
  for (const frame of frames) if (frame.position >= from) pcm.set(frame.pcm, frame.position - from)
  return pcm
}
