/**
 * Janus as a subscriber sees it: offers audio, video and a data channel with werift, and sends RTP that looks like Opus.
 */
import { Effect, type Scope } from "effect"
import {
  MediaStreamTrack,
  RTCCertificate,
  type RTCIceServer,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  RtpHeader,
  useAudioLevelIndication,
  useSdesMid,
  useVP8
} from "werift"
import type { Candidate } from "../../src/services/Signaling.ts"

export interface Publisher {
  readonly offer: string
  readonly answer: (sdp: string) => Effect.Effect<void>
  readonly addCandidate: (candidate: Candidate) => void
  /** Sends packet number `sequence`; `audioLevel` as RFC 6464. */
  readonly send: (sequence: number, options?: { readonly audioLevel?: number; readonly payloadType?: number }) => void
  /** A further offer of the same connection, with one more video track. */
  readonly offerAgain: Effect.Effect<string>
  readonly isConnected: () => boolean
  /** The other side said goodbye. */
  readonly isHungUp: () => boolean
  /** Says nothing more, as a process that was killed. */
  readonly close: Effect.Effect<void>
}

export interface PublisherOptions {
  readonly certificate?: { readonly certPem: string; readonly keyPem: string }
  readonly iceServers?: ReadonlyArray<RTCIceServer>
}

export const ssrc = 116_505_825
export const opusPayloadType = 111
export const levelId = 1

const opus = () =>
  new RTCRtpCodecParameters({
    mimeType: "audio/opus",
    clockRate: 48_000,
    channels: 2,
    payloadType: opusPayloadType,
    rtcpFeedback: [{ type: "transport-cc" }]
  })

/** A publisher's connection, closed with its scope. */
export const make = (options: PublisherOptions = {}): Effect.Effect<Publisher, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => open(options)),
    ({ close }) => close
  )

const open = async ({ certificate, iceServers }: PublisherOptions): Promise<Publisher> => {
  const connection = new RTCPeerConnection({
    // Discards what it gets: werift would otherwise ask a server of Google's.
    iceServers: [...(iceServers ?? [{ urls: "stun:127.0.0.1:9" }])],
    iceStunGatherTimeout: 0.001,
    iceAdditionalHostAddresses: ["127.0.0.1"],
    iceUseIpv6: false,
    codecs: { audio: [opus()], video: [useVP8()] },
    headerExtensions: { audio: [useAudioLevelIndication(), useSdesMid()], video: [] },
    bundlePolicy: "max-bundle",
    ...(certificate === undefined
      ? {}
      : {
          certificates: [
            new RTCCertificate(certificate.keyPem, certificate.certPem, {
              // RSA with SHA-256, the numbers of RFC 5246 §7.4.1.4.1
              hash: 4,
              signature: 1
            })
          ]
        })
  })
  const audio = new MediaStreamTrack({ kind: "audio" })
  const sender = connection.addTransceiver(audio, { direction: "sendonly" }).sender
  connection.addTransceiver(new MediaStreamTrack({ kind: "video" }), { direction: "sendonly" })
  connection.createDataChannel("status")
  const offer = async () => {
    await connection.setLocalDescription(await connection.createOffer())
    return connection.localDescription?.sdp ?? ""
  }
  const first = await offer()
  return {
    offer: first,
    answer: (sdp) => Effect.promise(() => connection.setRemoteDescription({ type: "answer", sdp })),
    addCandidate: (candidate) => {
      connection.addIceCandidate({ candidate: candidate.candidate, sdpMLineIndex: 0 }).catch(() => undefined)
    },
    send: (sequence, { audioLevel, payloadType = opusPayloadType } = {}) => {
      const header = new RtpHeader({
        payloadType,
        sequenceNumber: sequence,
        timestamp: sequence * 960,
        ssrc,
        marker: false,
        extension: audioLevel !== undefined,
        extensions: audioLevel === undefined ? [] : [{ id: levelId, payload: Buffer.from([0x80 | audioLevel]) }]
      })
      void sender.dtlsTransport.sendRtp(Buffer.from([0x78, sequence & 0xff, 1, 2, 3]), header)
    },
    offerAgain: Effect.promise(() => {
      connection.addTransceiver(new MediaStreamTrack({ kind: "video" }), { direction: "sendonly" })
      return offer()
    }),
    isConnected: () => sender.dtlsTransport.state === "connected",
    isHungUp: () => sender.dtlsTransport.state === "closed",
    close: Effect.promise(() => connection.close())
  }
}
