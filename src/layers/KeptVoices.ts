/**
 * The voices of a call that another runner still has: they are subscribed to here, and what comes is kept until it is known from where on it
 * is to be heard.
 */
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import type { PacketListener } from "../services/PeerConnection.ts"
import type { KeptPacket } from "./VoiceSplice.ts"

/** 15 s of one voice: more than a hand-over takes. */
const MOST_PACKETS = 750

export interface KeptVoice {
  readonly key: VoiceKey
  readonly packets: ReadonlyArray<KeptPacket>
  /** From now on `listener` has what comes. */
  readonly pass: (listener: PacketListener) => void
}

export interface KeptVoices {
  readonly start: (key: VoiceKey) => PacketListener
  /** Its publisher is gone. */
  readonly end: (key: VoiceKey) => void
  /** All of them, once; nothing is kept any more. */
  readonly take: () => ReadonlyArray<KeptVoice>
}

export const make = (now: () => number): KeptVoices => {
  const voices = new Map<string, KeptVoice>()
  return {
    start: (key) => {
      const packets: Array<KeptPacket> = []
      let heir: PacketListener | undefined
      const pass = (listener: PacketListener) => {
        heir = listener
      }
      voices.set(voiceId(key), { key, packets, pass })
      return {
        onPacket: (packet) => {
          if (heir !== undefined) return heir.onPacket(packet)
          const atMs = packet.atMs ?? now()
          packets.push({ packet: { ...packet, payload: Uint8Array.from(packet.payload) }, atMs })
          if (packets.length > MOST_PACKETS) packets.shift()
        },
        silence: {
          passage: (audioLevel, payloadBytes, atMs) => heir?.silence?.passage(audioLevel, payloadBytes, atMs) ?? "open",
          isSilent: (packet) => heir?.silence?.isSilent(packet) ?? false,
          quiet: () => heir?.silence?.quiet?.()
        }
      }
    },
    end: (key) => {
      voices.delete(voiceId(key))
    },
    take: () => {
      const all = [...voices.values()]
      voices.clear()
      return all
    }
  }
}
