/**
 * What the other direction of SRTP costs: CPU time for each packet that is encrypted. Of media only the benchmark's publishers do that; the service
 * sends receiver reports, one every 5 s and voice.
 */
import { randomBytes } from "node:crypto"
import { Effect } from "effect"
import { RtcpReceiverInfo, RtcpRrPacket, RtpHeader, SrtcpSession, SrtpSession } from "werift"
import { AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 } from "../src/layers/SrtpKeys.ts"
import { cpuOf, type HearingCost } from "./hearing.ts"
import * as Speech from "./Speech.ts"

const profiles = [
  { name: "AES-GCM", profile: AEAD_AES_128_GCM, saltBytes: 12 },
  { name: "AES-CM", profile: AES_CM_128_HMAC_SHA1_80, saltBytes: 14 }
] as const
const VOICES = 100
/** 4 s, after 1 s to warm up. */
const PACKETS = 200
const WARM_UP = 50

/** Takes some seconds. */
export const protecting: Effect.Effect<ReadonlyArray<HearingCost>> = Effect.gen(function* () {
  const { phrases } = yield* Speech.load
  const speech = phrases.flat().map((packet) => Buffer.from(packet))
  const report = new RtcpRrPacket({
    ssrc: 1,
    reports: [new RtcpReceiverInfo({ ssrc: 7, fractionLost: 0, packetsLost: 0, highestSequence: 1, jitter: 1 })]
  }).serialize()
  const costs: Array<HearingCost> = []
  for (const { name, profile, saltBytes } of profiles) {
    const optionsOf = () => {
      const [localMasterKey, localMasterSalt] = [randomBytes(16), randomBytes(saltBytes)]
      const keys = {
        localMasterKey,
        localMasterSalt,
        remoteMasterKey: localMasterKey,
        remoteMasterSalt: localMasterSalt
      }
      return { keys, profile }
    }
    const media = Array.from({ length: VOICES }, () => new SrtpSession(optionsOf()))
    const control = Array.from({ length: VOICES }, () => new SrtcpSession(optionsOf()))
    const ofMedia = yield* cost(`protected by werift, ${name}`, (n, voice) => {
      const header = new RtpHeader({ payloadType: 111, sequenceNumber: n, timestamp: n * 960, ssrc: 7 })
      media[voice]?.encrypt(speech[n % speech.length] ?? report, header)
    })
    const ofControl = yield* cost(`receiver report protected by werift, ${name}`, (_, voice) => {
      control[voice]?.encrypt(report)
    })
    costs.push(ofMedia, ofControl)
  }
  return costs
})

const cost = Effect.fnUntraced(function* (what: string, protect: (n: number, voice: number) => void) {
  const play = (from: number, until: number) => {
    for (let n = from; n < until; n++) for (let voice = 0; voice < VOICES; voice++) protect(n, voice)
  }
  const microseconds = yield* cpuOf(play, { warmUp: WARM_UP, steps: PACKETS })
  return { what, microsecondsPerPacket: microseconds / (PACKETS * VOICES) }
})
