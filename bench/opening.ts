/**
 * What the protection of media costs: CPU time per packet of speech, from the datagram to its payload, here and in werift.
 */
import { readFileSync } from "node:fs"
import { Effect } from "effect"
import { RtpHeader, RtpPacket, SrtpSession } from "werift"
import * as RtpDatagram from "../src/layers/RtpDatagram.ts"
import * as SrtpCipher from "../src/layers/SrtpCipher.ts"
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from "../src/layers/SrtpKeys.ts"
import * as SrtpReceiver from "../src/layers/SrtpReceiver.ts"
import { cpuOf, type HearingCost } from "./hearing.ts"

const profiles = [
  { name: "AES-GCM", profile: AEAD_AES_128_GCM, saltBytes: 12 },
  { name: "AES-CM", profile: AES_CM_128_HMAC_SHA1_80, saltBytes: 14 }
]
/** The second is the first once more where there is no addon. */
const ciphers = [
  { what: "", make: SrtpCipher.make },
  { what: " by node:crypto", make: SrtpCipher.makeScript }
]
const VOICES = 100
/** 10 s, after 2 s to warm up. */
const PACKETS = 500
const WARM_UP = 100
const levelId = 1

/** Takes some seconds; of each profile first what the peers use. */
export const opening: Effect.Effect<ReadonlyArray<HearingCost>> = Effect.gen(function* () {
  const recordings = JSON.parse(readFileSync(new URL("../test/fixtures/opus.json", import.meta.url), "utf8"))
  const speech: ReadonlyArray<Buffer> = recordings.mono20.map((one: string) => Buffer.from(one, "base64"))
  const costs: Array<HearingCost> = []
  for (const { name, profile, saltBytes } of profiles) {
    const key = Buffer.alloc(16, 1)
    const salt = Buffer.alloc(saltBytes, 2)
    const keys = { localMasterKey: key, localMasterSalt: salt, remoteMasterKey: key, remoteMasterSalt: salt }
    const sender = new SrtpSession({ keys, profile })
    const sealed = Array.from({ length: WARM_UP + PACKETS }, (_, n) =>
      sender.encrypt(
        speech[n % speech.length] ?? Buffer.alloc(0),
        new RtpHeader({
          payloadType: 111,
          sequenceNumber: n,
          timestamp: n * 960,
          ssrc: 7,
          extension: true,
          extensions: [{ id: levelId, payload: Buffer.from([0x80 | 40]) }]
        })
      )
    )
    const own = ciphers.map(({ make, what }) => ({
      what,
      receivers: Array.from({ length: VOICES }, () => SrtpReceiver.make({ profile, key, salt }, make))
    }))
    const theirs = Array.from({ length: VOICES }, () => new SrtpSession({ keys, profile }))
    let heard = 0
    for (const { receivers, what } of own) {
      const ours = yield* cost(`opened${what}, ${name}`, sealed, (packet, voice) => {
        const payload = receivers[voice]?.open(packet)
        if (payload !== undefined && RtpDatagram.audioLevel(packet, levelId) === 40) heard++
      })
      costs.push(ours)
    }
    const werifts = yield* cost(`opened by werift, ${name}`, sealed, (packet, voice) => {
      const { header } = RtpPacket.deSerialize(theirs[voice]?.decrypt(packet) ?? packet)
      if (header.extensions[0]?.payload.length === 1) heard++
    })
    if (heard !== (ciphers.length + 1) * VOICES * sealed.length) throw new Error("a packet was not opened")
    costs.push(werifts)
  }
  return costs
})

const cost = Effect.fnUntraced(function* (
  what: string,
  sealed: ReadonlyArray<Buffer>,
  open: (packet: Buffer, voice: number) => void
) {
  const play = (from: number, until: number) => {
    for (const packet of sealed.slice(from, until)) {
      for (let voice = 0; voice < VOICES; voice++) open(packet, voice)
    }
  }
  const microseconds = yield* cpuOf(play, { warmUp: WARM_UP, steps: PACKETS })
  return { what, microsecondsPerPacket: microseconds / (PACKETS * VOICES) }
})
