/**
 * The sending end of one subscription: what Janus is towards one subscriber of one publisher. A real WebRTC peer (ICE, DTLS, SRTP).
 */
import { randomInt } from "node:crypto"
import { Effect, Schema, type Scope } from "effect"
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket } from "werift"
import type { Candidate } from "../services/Signaling.ts"
import * as OwnAddresses from "./OwnAddresses.ts"

/** The subscriber's answer or candidate could not be used. */
export class PublicationError extends Schema.TaggedError<PublicationError>()("PublicationError", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

export interface SimulatedPublication {
  /** Without candidates: they are sent one by one, as Janus does with full trickle. */
  readonly offer: string
  readonly candidates: ReadonlyArray<Candidate>
  readonly answer: (sdp: string) => Effect.Effect<void, PublicationError>
  readonly addCandidate: (candidate: Candidate) => Effect.Effect<void, PublicationError>
  /** Sends one packet of Opus; nothing while the peer is not connected. */
  readonly send: (payload: Uint8Array, timestamp: number) => void
  /** From now on nothing is sent and nobody is told, as when Janus loses a publisher. */
  readonly abandon: () => void
  readonly isConnected: () => boolean
}

export interface PublicationOptions {
  /** The publisher also has a camera and a data channel: their sections are in the offer, without media. */
  readonly camera: boolean
  /** The first packet was sent: from now on the subscriber hears. */
  readonly onHeard?: (() => void) | undefined
}

const opus = new RTCRtpCodecParameters({
  mimeType: "audio/opus",
  clockRate: 48_000,
  channels: 2,
  payloadType: 111,
  parameters: "useinbandfec=1"
})
const vp8 = new RTCRtpCodecParameters({ mimeType: "video/VP8", clockRate: 90_000, payloadType: 96 })

/** Opens a peer that offers its audio; it closes with its scope. Contacts nobody but the subscriber. */
export const make = ({
  camera,
  onHeard
}: PublicationOptions): Effect.Effect<SimulatedPublication, never, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new RTCPeerConnection({
            iceServers: [],
            bundlePolicy: "max-bundle",
            iceUseIpv6: false,
            iceAdditionalHostAddresses: [...OwnAddresses.unlisted()],
            codecs: { audio: [opus], video: camera ? [vp8] : [] }
          })
      ),
      (open) => Effect.promise(() => open.close())
    )
    const track = new MediaStreamTrack({ kind: "audio" })
    const { dtlsTransport } = connection.addTransceiver(track, { direction: "sendonly" })
    /** Not the connection's own state: that one waits for the data channel, which the subscriber need not open. */
    const isConnected = () => dtlsTransport.state === "connected"
    if (camera) {
      connection.addTransceiver("video", { direction: "sendonly" })
      connection.createDataChannel("status")
    }
    const candidates: Array<Candidate> = []
    connection.onIceCandidate.subscribe((found) => {
      if (found !== undefined) candidates.push({ candidate: found.candidate, sdpMid: "0", sdpMLineIndex: 0 })
    })
    yield* Effect.promise(async () => {
      const offer = await connection.createOffer()
      // werift asks a public STUN server when none is configured; a host address is all that is needed here.
      for (const transport of connection.iceTransports) delete transport.connection.stunServer
      await connection.setLocalDescription(offer)
    })
    let sequenceNumber = randomInt(0x10000)
    let isAbandoned = false
    let isHeard = false
    return {
      offer: withoutCandidates(connection.localDescription?.sdp ?? ""),
      candidates,
      answer: (sdp) => attempt(() => connection.setRemoteDescription({ type: "answer", sdp })),
      addCandidate: (candidate) => attempt(() => connection.addIceCandidate(candidate)),
      send: (payload, timestamp) => {
        if (isAbandoned || !isConnected()) return
        if (!isHeard) onHeard?.()
        isHeard = true
        sequenceNumber = (sequenceNumber + 1) & 0xffff
        const header = new RtpHeader({ payloadType: 111, sequenceNumber, timestamp })
        track.writeRtp(new RtpPacket(header, Buffer.from(payload)))
      },
      abandon: () => {
        isAbandoned = true
      },
      isConnected
    }
  })

const attempt = (run: () => Promise<unknown>) =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new PublicationError({ detail: cause instanceof Error ? cause.message : String(cause) })
  }).pipe(Effect.asVoid)

const withoutCandidates = (sdp: string): string =>
  sdp
    .split("\r\n")
    .filter((line) => !line.startsWith("a=candidate:") && line !== "a=end-of-candidates")
    .join("\r\n")
