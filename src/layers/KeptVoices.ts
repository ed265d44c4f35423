/**
 * Voices that another runner still hears: they are subscribed to here, and what comes is kept until it is known from where on it is to be heard.
 */
import type * as HandOver from "../domain/HandOver.ts"
import { joinText } from "../domain/Segment.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import type { PacketListener, RtpPacket } from "../services/PeerConnection.ts"
import type { UnsaidText } from "../services/SpeechJournal.ts"
import type { Begun } from "../services/Transcriber.ts"
import * as VoiceSplice from "./VoiceSplice.ts"

/** 15 s of one voice: more than a hand-over takes. */
const MOST_PACKETS = 750

/** What a voice hears first. */
export interface Before {
  readonly packets: ReadonlyArray<VoiceSplice.KeptPacket>
  readonly begun?: Begun
}

export interface KeptVoicesOptions {
  readonly now: () => number
  readonly nextId: (key: VoiceKey) => string
  /** A voice goes on: who is given its packets from now on. */
  readonly begin: (key: VoiceKey, id: string, before: Before) => PacketListener
}

/** How a voice goes on behind what another has given of it. */
export interface GoingOn {
  readonly id: string
  readonly unsaid: UnsaidText | undefined
  /** When the other stopped. */
  readonly askedMs: number
  /** Of one that has died: what it left ends somewhere, and only equal packets tell where. */
  readonly isLeft: boolean
}

export interface KeptVoices {
  readonly isKept: (key: VoiceKey) => boolean
  readonly start: (key: VoiceKey) => PacketListener
  /** Its publisher is gone. */
  readonly end: (key: VoiceKey) => void
  /** Whether the voice goes on here, exactly where the other stopped; otherwise what was given of it is still to be said. */
  readonly goOn: (left: HandOver.LeftVoice, how: GoingOn) => boolean
  /** Only these are kept from now on. Whoever else was goes on with what there is of it, where it is heard here. */
  readonly keep: (isKept: (key: VoiceKey) => boolean, isOurs: (key: VoiceKey) => boolean) => void
}

interface KeptVoice {
  readonly key: VoiceKey
  readonly packets: ReadonlyArray<VoiceSplice.KeptPacket>
  /** From now on `listener` has what comes. */
  readonly pass: (listener: PacketListener) => void
}

export const make = ({ begin, nextId, now }: KeptVoicesOptions): KeptVoices => {
  const voices = new Map<string, KeptVoice>()
  let isKept: (key: VoiceKey) => boolean = () => false

  const spliced = (key: VoiceKey, splice: VoiceSplice.SplicedVoice, { id, unsaid }: GoingOn): PacketListener => {
    const said = { said: joinText(splice.begun?.said ?? "", unsaid?.ahead ?? ""), segments: unsaid?.texts.length ?? 0 }
    const begun = splice.begun === undefined ? {} : { begun: { ...splice.begun, ...said } }
    const listener = begin(key, id, { packets: splice.packets, ...begun })
    let isBehind = false
    return {
      ...listener,
      onPacket: (packet: RtpPacket) => {
        isBehind ||= splice.isBehind(packet, packet.atMs ?? now())
        if (isBehind) listener.onPacket(packet)
      }
    }
  }

  return {
    isKept: (key) => isKept(key),
    start: (key) => {
      const packets: Array<VoiceSplice.KeptPacket> = []
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
          mayWait: () => heir?.silence?.mayWait?.()
        }
      }
    },
    end: (key) => {
      voices.delete(voiceId(key))
    },
    goOn: (left, how) => {
      const own = left.isOver ? undefined : voices.get(voiceId(left.key))
      if (own === undefined) return false
      const splice = VoiceSplice.make(left, own.packets, how.askedMs)
      if (how.isLeft && !splice.isExact) return false
      voices.delete(voiceId(left.key))
      own.pass(spliced(own.key, splice, how))
      return true
    },
    keep: (next, isOurs) => {
      isKept = next
      for (const [id, { key, packets, pass }] of voices) {
        // who is not heard here any more is ended by whoever is subscribed to them, or is back before that
        if (isKept(key) || !isOurs(key)) continue
        voices.delete(id)
        pass(begin(key, nextId(key), { packets }))
      }
    }
  }
}
