/**
 * Microphones: what people say as packets of 20 ms, and a Decoder for them. Packets look like Opus from outside and only say which part of whose
 * sound they stand for; so everything behind the decoder is as it is in a call, and an engine can tell what came to it.
 */
import { Layer } from "effect"
import { samplesOfMs } from "../../../../src/domain/Audio.ts"
import { Decoder } from "../../../../src/services/Decoder.ts"
import type { RtpPacket } from "../../../../src/services/PeerConnection.ts"
import * as Sound from "../Sound.ts"
import type { SpokenWord, Stretch } from "../Utterances.ts"

export const PACKET_MS = 20
const PACKET = samplesOfMs(PACKET_MS)
/** Opus, CELT, 20 ms, mono, one frame (RFC 6716 §3.1). */
const TOC = 31 << 3
/** RFC 6464. */
const SILENCE = 127

/** The packet of a speaker that begins `number` packets behind the first moment of the call; between stretches it says that it is silent. */
export const packetOf = (speaker: number, stretches: ReadonlyArray<Stretch>, number: number): RtpPacket => {
  const payload = new Uint8Array(6)
  const view = new DataView(payload.buffer)
  view.setUint8(0, TOC)
  view.setUint8(1, speaker)
  view.setUint32(2, number)
  const isLoud = stretches.some(({ from, to }) => from < (number + 1) * PACKET && to > number * PACKET)
  return {
    sequenceNumber: number & 0xffff,
    timestamp: number * PACKET * 2,
    ssrc: speaker + 1,
    payload,
    ...(isLoud ? {} : { audioLevel: SILENCE })
  }
}

/** The last packet with a part of the word. */
export const lastPacketOf = ({ to }: SpokenWord): number => Math.ceil(to / PACKET) - 1
/** The first one. */
export const firstPacketOf = ({ from }: SpokenWord): number => Math.floor(from / PACKET)

const soundOf = (payload: Uint8Array): Float32Array | undefined => {
  if (payload.length !== 6) return undefined
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const from = view.getUint32(2) * PACKET
  const speaker = view.getUint8(1)
  const pcm = new Float32Array(PACKET)
  for (let at = 0; at < PACKET; at++) pcm[at] = Sound.sampleOf(speaker, from + at)
  return pcm
}

/** Positions are those of the call, whenever a voice began to be heard. */
export const decoder: Layer.Layer<Decoder> = Layer.succeed(Decoder, {
  library: "none",
  makeCodec: () => ({ decode: soundOf, close: () => {} }),
  make: (onAudio) => {
    const counters = { packets: 0, lost: 0, reordered: 0, late: 0, concealedSamples: 0, undecodable: 0 }
    return {
      decode: ({ audioLevel, payload, timestamp }, atMs) => {
        const pcm = soundOf(payload)
        if (pcm === undefined) return
        counters.packets += 1
        onAudio(timestamp / 2, pcm, { atMs, audioLevel, packet: payload })
      },
      tick: () => {},
      passOver: () => {},
      isSilent: () => true,
      isWaiting: () => false,
      isDecoding: () => false,
      next: () => undefined,
      settle: () => undefined,
      counters,
      close: () => {}
    }
  }
})
