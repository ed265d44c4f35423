/**
 * Janus as a subscriber sees it: offers audio, video and a data channel with werift, and sends RTP that looks like Opus.
 */
import { Effect, type Scope } from "effect"
import {
  MediaStreamTrack,
  RTCCertificate,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  type RtcpPacket,
  RtcpSenderInfo,
  RtcpSrPacket,
  RtpHeader,
  useAudioLevelIndication,
  useSdesMid,
  useVP8
} from "werift"
import * as DtlsGoodbye from "../../src/layers/DtlsGoodbye.ts"
import type { Candidate } from "../../src/services/Signaling.ts"

export interface Publisher {
  readonly offer: string
  readonly answer: (sdp: string) => Effect.Effect<void>
  readonly addCandidate: (candidate: Candidate) => void
  /** Sends packet number `sequence`; `audioLevel` as RFC 6464. */
  readonly send: (sequence: number, options?: { readonly audioLevel?: number; readonly payloadType?: number }) => void
  /** A sender report, of the moment `reportedAt`. */
  readonly sendReport: () => void
  /** What the other side told of its reception, oldest first. */
  readonly heardRtcp: ReadonlyArray<RtcpPacket>
  /** A further offer of the same connection, with one more video track. */
  readonly offerAgain: Effect.Effect<string>
  /** A further offer with new ICE credentials, as when a network changed. */
  readonly offerOverNewWay: Effect.Effect<string>
  readonly isConnected: () => boolean
  /** The other side said goodbye. */
  readonly isHungUp: () => boolean
  /** Says goodbye, as Janus does when a subscription is over. */
  readonly hangUp: () => void
  /** None of its words of the handshake arrives. */
  readonly loseHandshake: () => void
  /** Says nothing more, as a process that was killed. */
  readonly close: Effect.Effect<void>
}

export interface Certificate {
  readonly kind: "rsa" | "ecdsa"
  readonly certPem: string
  readonly keyPem: string
}

export interface PublisherOptions {
  /** Default: a fresh one of werift's, ECDSA. */
  readonly certificate?: Certificate
}

export const ssrc = 116_505_825
export const opusPayloadType = 111
export const levelId = 1
/** The time in a sender report, and as receivers repeat it (RFC 3550 §6.4.1, LSR). */
export const reportedAt = { ntp: 0x0123_4567_89ab_cdefn, compact: 0x4567_89ab }

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

/** SHA-256 with it, the numbers of RFC 5246 §7.4.1.4.1. */
const signatures = { rsa: { hash: 4, signature: 1 }, ecdsa: { hash: 4, signature: 3 } } as const

const open = async ({ certificate }: PublisherOptions): Promise<Publisher> => {
  const connection = new RTCPeerConnection({
    iceAdditionalHostAddresses: ["127.0.0.1"],
    iceUseIpv6: false,
    codecs: { audio: [opus()], video: [useVP8()] },
    headerExtensions: { audio: [useAudioLevelIndication(), useSdesMid()], video: [] },
    bundlePolicy: "max-bundle",
    ...(certificate === undefined
      ? {}
      : { certificates: [new RTCCertificate(certificate.keyPem, certificate.certPem, signatures[certificate.kind])] })
  })
  const audio = new MediaStreamTrack({ kind: "audio" })
  const sender = connection.addTransceiver(audio, { direction: "sendonly" }).sender
  connection.addTransceiver(new MediaStreamTrack({ kind: "video" }), { direction: "sendonly" })
  connection.createDataChannel("status")
  // werift would ask a server of Google's.
  for (const { connection: ice } of connection.iceTransports) delete ice.stunServer
  const heardRtcp: Array<RtcpPacket> = []
  sender.dtlsTransport.onRtcp.subscribe((packet) => heardRtcp.push(packet))
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
    sendReport: () => {
      const senderInfo = new RtcpSenderInfo({
        ntpTimestamp: reportedAt.ntp,
        rtpTimestamp: 0,
        packetCount: 0,
        octetCount: 0
      })
      void sender.dtlsTransport.sendRtcp([new RtcpSrPacket({ ssrc, senderInfo })])
    },
    heardRtcp,
    offerAgain: Effect.promise(() => {
      connection.addTransceiver(new MediaStreamTrack({ kind: "video" }), { direction: "sendonly" })
      return offer()
    }),
    offerOverNewWay: Effect.promise(async () => {
      connection.restartIce()
      return offer()
    }),
    isConnected: () => sender.dtlsTransport.state === "connected",
    isHungUp: () => sender.dtlsTransport.state === "closed",
    hangUp: () => {
      const { dtls, iceTransport } = sender.dtlsTransport
      if (dtls !== undefined) void DtlsGoodbye.say(dtls, iceTransport)
    },
    loseHandshake: () => {
      // Checks of ICE go another way.
      sender.dtlsTransport.iceTransport.connection.send = async () => {}
    },
    close: Effect.promise(() => connection.close())
  }
}
