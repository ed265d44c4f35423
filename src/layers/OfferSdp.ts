/**
 * What is read in a publisher's offer, and taken out of it, before werift sees it.
 */
import { isIP } from "node:net"
import { Result } from "effect"
import { PeerError } from "../services/PeerConnection.ts"

export interface Offer {
  /** Without what must not be negotiated and candidates that cannot be used. */
  readonly sdp: string
  /** Which media section carries the audio; Talk's clients put theirs in any order. */
  readonly audioIndex: number
  /** Payload types of Opus. */
  readonly opus: ReadonlySet<number>
  /** Number of the RFC 6464 header extension, where it is offered. */
  readonly levelId: number | undefined
  /** Candidates that were taken out. */
  readonly unusable: number
}

/** Janus' offers have 1 to 3 kB and three sections. */
const maxLength = 65_536
const maxSections = 16

/** The offer, or why it cannot be answered. Says nothing of its contents: they hold keys. */
export const read = (sdp: string): Result.Result<Offer, PeerError> => {
  if (sdp.length > maxLength) return refused("BadOffer", `longer than ${maxLength} characters`)
  const lines = sdp.split(/\r?\n/)
  if (lines[0] !== "v=0") return refused("BadOffer", "not an SDP")
  const sections = lines.join("\n").split(/^(?=m=)/m)
  if (sections.length > maxSections + 1) return refused("BadOffer", `more than ${maxSections} sections`)

  const media = sections.slice(1)
  const heard = media.map((section) => (isAudio(section) ? payloadTypesOfOpus(section) : []))
  const audioIndex = heard.findIndex((payloadTypes) => payloadTypes.length > 0)
  if (audioIndex < 0) return refused("NoOpus", media.some(isAudio) ? "audio, but not Opus" : "no audio")

  const unusable = lines.filter((line) => line.startsWith("a=candidate:") && !isUsable(line.slice(2)))
  const unwanted = new Set(unusable)
  const kept = lines.filter((line) => !unwanted.has(line) && !isLeftOut(line))
  return Result.succeed({
    sdp: `${kept.filter((line) => line !== "").join("\r\n")}\r\n`,
    audioIndex,
    opus: new Set(heard.flat()),
    levelId: levelIdOf(media[audioIndex] ?? ""),
    unusable: unusable.length
  })
}

/** Whether a candidate is well-formed and names an address: a host name would be looked up somewhere (mDNS, DNS). */
export const isUsable = (candidate: string): boolean => {
  const [foundation, component, , priority, address, port, , type] = candidate.slice(0, 512).split(/\s+/)
  return (
    foundation !== undefined &&
    /^(candidate:)?[\w+/.-]{1,64}$/.test(foundation) &&
    component === "1" &&
    /^\d{1,10}$/.test(priority ?? "") &&
    isIP(address ?? "") !== 0 &&
    /^\d{1,5}$/.test(port ?? "") &&
    Number(port) > 0 &&
    Number(port) < 65_536 &&
    ["host", "srflx", "relay"].includes(type ?? "")
  )
}

const isAudio = (section: string): boolean => /^m=audio (?!0 )/.test(section)

const payloadTypesOfOpus = (section: string): Array<number> =>
  [...section.matchAll(/^a=rtpmap:(\d{1,3}) opus\/48000/gim)].map(([, payloadType]) => Number(payloadType))

const levelIdOf = (section: string): number | undefined => {
  const id = /^a=extmap:(\d{1,3})(?:\/\w+)? urn:ietf:params:rtp-hdrext:ssrc-audio-level\b/m.exec(section)?.[1]
  return id === undefined ? undefined : Number(id)
}

/**
 * Transport-wide congestion control costs a packet back for every few received, and slows nobody down: we send nothing. Told that no
 * candidates follow, werift would not try a relay of ours that is found late.
 */
const isLeftOut = (line: string): boolean =>
  /^a=rtcp-fb:\S+ transport-cc/.test(line) || line.startsWith("a=end-of-candidates")

const refused = (reason: "BadOffer" | "NoOpus", detail: string) => Result.fail(new PeerError({ reason, detail }))
