/**
 * One publisher, as cheap as it can be: ICE and DTLS are werift's; its packets are encrypted before anybody listens, and go straight to the socket.
 */
import type { Socket } from "node:dgram"
import {
  MediaStreamTrack,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  RtpHeader,
  StunProtocol,
  useAudioLevelIndication,
  useSdesMid,
  useVP8
} from "werift"
import { levelOf, type Material, QUIETEST } from "./Material.ts"

export interface Publisher {
  /** As Janus offers a publisher with camera and data channel, with all candidates. */
  readonly offer: string
  readonly accept: (answer: string) => Promise<void>
  /** A way that the answer did not name. */
  readonly add: (candidate: string) => Promise<void>
  /** Resolves when its packets could be sent; rejects after 20 s. */
  readonly connected: Promise<void>
  /** Encrypts what it is going to say next, from packet `first` on; what it said before the last time is forgotten. */
  readonly prepare: (part: Uint16Array, first: number) => void
  /** Sends packet `n` of what is prepared. */
  readonly send: (n: number) => void
  /** The profile that was negotiated. */
  readonly srtp: () => string
}

export interface PublisherOptions {
  readonly material: Material
  /** Offer RFC 6464 levels, and send them. */
  readonly levels: boolean
  /** Tells its packets from those of the others. */
  readonly number: number
}

/** Packets one behind the other, and where each begins. */
interface Prepared {
  readonly first: number
  readonly bytes: Buffer
  readonly starts: Uint32Array
}

const OPUS = 111
const LEVEL = 1
const TICKS = 960
const CONNECT_WITHIN_MS = 20_000
const PROFILES: Readonly<Record<number, string>> = { 1: "AES_CM_128_HMAC_SHA1_80", 7: "AEAD_AES_128_GCM" }

export const make = async ({ levels, material, number }: PublisherOptions): Promise<Publisher> => {
  const connection = new RTCPeerConnection({
    iceAdditionalHostAddresses: ["127.0.0.1"],
    iceUseIpv6: false,
    codecs: {
      audio: [new RTCRtpCodecParameters({ mimeType: "audio/opus", clockRate: 48_000, channels: 2, payloadType: OPUS })],
      video: [useVP8()]
    },
    headerExtensions: { audio: levels ? [useAudioLevelIndication(), useSdesMid()] : [useSdesMid()], video: [] },
    bundlePolicy: "max-bundle"
  })
  const track = new MediaStreamTrack({ kind: "audio" })
  const { dtlsTransport, sender } = connection.addTransceiver(track, { direction: "sendonly" })
  connection.addTransceiver(new MediaStreamTrack({ kind: "video" }), { direction: "sendonly" })
  connection.createDataChannel("status")
  // werift would ask a server of Google's.
  for (const { connection: ice } of connection.iceTransports) delete ice.stunServer
  await connection.setLocalDescription(await connection.createOffer())

  const { promise: connected, reject, resolve } = Promise.withResolvers<void>()
  connected.catch(() => {})
  const timeout = setTimeout(() => reject(new Error(`publisher ${number} did not connect`)), CONNECT_WITHIN_MS)
  dtlsTransport.onStateChange.subscribe((state) => {
    if (state !== "connected") return
    clearTimeout(timeout)
    resolve()
  })

  const accepted = Promise.withResolvers<void>()
  let socket: Socket | undefined
  let said: Prepared = { first: 0, bytes: Buffer.alloc(0), starts: new Uint32Array(1) }
  let next = said
  const encrypted = (packet: number, n: number) => {
    const level = levelOf(material.loudness[packet] ?? QUIETEST)
    const header = new RtpHeader({
      payloadType: OPUS,
      // somewhere else for everybody, so that some wrap around
      sequenceNumber: (number * 997 + n) & 0xffff,
      timestamp: (number * 100_003 + n * TICKS) >>> 0,
      // As the offer says: Janus takes no other for audio.
      ssrc: sender.ssrc,
      extension: levels,
      extensions: levels ? [{ id: LEVEL, payload: Buffer.from([level]) }] : []
    })
    return dtlsTransport.srtp.encrypt(Buffer.from(material.packets[packet] ?? []), header)
  }

  return {
    offer: connection.localDescription?.sdp ?? "",
    accept: (sdp) => connection.setRemoteDescription({ type: "answer", sdp }).finally(accepted.resolve),
    // werift cannot place a candidate before it has the answer.
    add: (candidate) => accepted.promise.then(() => connection.addIceCandidate({ candidate, sdpMLineIndex: 0 })),
    connected,
    prepare: (part, first) => {
      const all = Array.from(part, (packet, n) => encrypted(packet, first + n))
      const starts = new Uint32Array(all.length + 1)
      let at = 0
      for (const [n, { length }] of all.entries()) starts[n + 1] = at += length
      said = next
      next = { first, bytes: Buffer.concat(all), starts }
      socket ??= pinned(connection)
    },
    send: (n) => {
      const { bytes, first, starts } = n < next.first ? said : next
      const from = starts[n - first] ?? 0
      socket?.send(bytes, from, (starts[n - first + 1] ?? 0) - from)
    },
    srtp: () => PROFILES[dtlsTransport.dtls?.srtp.srtpProfile ?? 0] ?? "unknown"
  }
}

/**
 * The socket of the way that ICE has chosen, tied to its other end: an address per packet costs a look-up per packet. Where the other side has chosen
 * another way, one of some 2,000 on a full machine, its checks do not get through: consent is missing, media is not.
 */
const pinned = (connection: RTCPeerConnection): Socket => {
  const pair = connection.iceTransports[0]?.connection.nominated
  if (pair === undefined || !(pair.protocol instanceof StunProtocol)) throw new Error("no way was chosen")
  const { transport } = pair.protocol
  const { socket } = transport
  socket.connect(pair.remoteCandidate.port, pair.remoteCandidate.host)
  // What ICE still says and answers goes the same way.
  transport.send = async (data) => {
    socket.send(data)
  }
  return socket
}
