/**
 * One werift connection that listens to one publisher: answers, candidates, packets, state.
 *
 * werift speaks in promises and callbacks; nothing it throws leaves this file except as a `PeerError`.
 */
import { Effect } from "effect"
import {
  type RtpPacket as IncomingPacket,
  type RTCDtlsTransport,
  type RTCIceServer,
  type RTCIceTransport,
  RTCPeerConnection,
  RTCRtpCodecParameters,
  useAudioLevelIndication,
  useSdesMid
} from "werift"
import type { IceServer } from "../domain/Call.ts"
import { type PacketListener, PeerError, type PeerState } from "../services/PeerConnection.ts"
import type { Candidate } from "../services/Signaling.ts"
import * as DtlsGoodbye from "./DtlsGoodbye.ts"
import * as DtlsHandshake from "./DtlsHandshake.ts"
import type { IceConsents } from "./IceConsents.ts"
import { isUsable, type Offer } from "./OfferSdp.ts"
import type { SocketReader } from "./SocketReader.ts"
import * as WeriftMedia from "./WeriftMedia.ts"

export interface WeriftPeerOptions {
  /** Of several relays or STUN servers werift takes the first. */
  readonly iceServers: ReadonlyArray<IceServer>
  readonly useIpv6: boolean
  readonly hostAddresses: ReadonlyArray<string>
  /** See `WeriftPeerConnection.WeriftOptions`. */
  readonly mediaPath: "short" | "werift"
  /** Of all peers whose RTP takes the short way; `undefined`: Node reads each for itself. */
  readonly sockets: SocketReader | undefined
  /** The same of their consent; `undefined`: werift asks for each. */
  readonly consents: IceConsents | undefined
  readonly listener: PacketListener
  readonly onState: (state: PeerState) => void
  readonly onCandidate: (candidate: Candidate) => void
  /** ICE has found a way, the handshake begins. */
  readonly onHandshake: () => void
  /** The relay gave us an address. */
  readonly onRelay: () => void
  /** A candidate of the publisher cannot be used. */
  readonly onUnusable: () => void
  /** A packet of media was not authentic, or came a second time. */
  readonly onRefused: () => void
  /** Monotonic, in ms. */
  readonly now: () => number
  /** One of the callbacks above has thrown, or werift has. */
  readonly onDefect: () => void
}

export interface WeriftPeer {
  /** Takes an offer, the first or a further one; the answer holds the candidates known by then, `onCandidate` gets the others. */
  readonly accept: (offer: Offer) => Effect.Effect<string, PeerError>
  readonly addCandidate: (candidate: Candidate) => void
  readonly state: () => PeerState
  /** Whether the way that ICE has chosen leads through a relay. */
  readonly isRelayed: () => boolean
  /** Gives what is kept of silence to the listener. */
  readonly wake: () => void
  /** Gives what has come and waits for company. */
  readonly catchUp: () => void
  /** Tells the publisher's side and frees every socket. */
  readonly close: Effect.Effect<void>
}

/** Own addresses are found in 5 ms and a STUN server near us answers in this time; whatever comes later is trickled. */
const gatherPatience = "200 millis"
/** werift's own limits for servers that do not answer, in s; nobody waits for them, but sockets are kept. */
const stunTimeout = 2
const turnTimeout = 5
const closeTimeout = "1 second"
/**
 * A day. Every half minute werift would ask over the data channel whether the other side is there, sealed like all else, and it takes no notice of the
 * answer: consent tells that, and keeps the way open.
 */
const heartbeatSeconds = 86_400

export const make = (options: WeriftPeerOptions): WeriftPeer => {
  const servers = serversFor(options.iceServers)
  const connection = new RTCPeerConnection({
    iceServers: servers,
    iceUseIpv6: options.useIpv6,
    iceAdditionalHostAddresses: [...options.hostAddresses],
    iceStunGatherTimeout: stunTimeout,
    iceTurnConnectTimeout: turnTimeout,
    bundlePolicy: "max-bundle",
    codecs: {
      audio: [new RTCRtpCodecParameters({ mimeType: "audio/opus", clockRate: 48_000, channels: 2 })],
      video: []
    },
    headerExtensions: { audio: [useSdesMid(), useAudioLevelIndication()], video: [] }
  })
  const hasStun = servers.some(({ urls }) => [urls].flat().some((url) => /^stun:/i.test(url)))
  const listened = new Set<RTCDtlsTransport>()
  const gatherings = new Map<RTCIceTransport, Promise<void>>()
  let state: PeerState = "connecting"
  let offer: Offer | undefined
  let media: WeriftMedia.WeriftMedia | undefined

  const guarded =
    <A extends ReadonlyArray<unknown>>(callback: (...args: A) => void) =>
    (...args: A): void => {
      try {
        callback(...args)
      } catch {
        options.onDefect()
      }
    }
  const become = guarded((next: PeerState) => {
    if (state === next || state === "closed") return
    state = next
    options.onState(next)
  })

  const { onPacket, silence } = options.listener
  const guardedListener: PacketListener = {
    onPacket: guarded(onPacket),
    ...(silence === undefined ? {} : { silence })
  }
  const hear = guarded(({ header, payload }: IncomingPacket) => {
    if (state === "closed" || offer === undefined || !offer.opus.has(header.payloadType)) return
    const audioLevel = levelOf(header.extensions, offer.levelId)
    onPacket({
      sequenceNumber: header.sequenceNumber,
      timestamp: header.timestamp,
      ssrc: header.ssrc,
      payload,
      atMs: options.now(),
      audioLevel
    })
  })

  const takeMedia = guarded((transport: RTCDtlsTransport) => {
    media = WeriftMedia.take(transport, {
      now: options.now,
      sockets: options.sockets,
      consents: options.consents,
      onDefect: options.onDefect,
      listener: guardedListener,
      offer: () => (state === "closed" ? undefined : offer),
      onRefused: options.onRefused
    })
  })

  /** Not the connection's own state: that one waits for the data channel, which a publisher may never open. */
  const listen = (transport: RTCDtlsTransport) => {
    if (listened.has(transport)) return
    listened.add(transport)
    transport.onRtp.subscribe(hear)
    transport.onStateChange.subscribe((dtls) => {
      if (dtls === "connecting") {
        // werift says so just before it makes what does the handshake, which waits 100 ms then.
        queueMicrotask(guarded(() => transport.dtls && DtlsHandshake.tend(transport.dtls)))
        guarded(options.onHandshake)()
      }
      if (dtls === "connected") {
        connection.sctpTransport?.sctp.setHeartbeatInterval(heartbeatSeconds)
        if (options.mediaPath === "short") takeMedia(transport)
        become("connected")
      }
      if (dtls === "closed" || dtls === "failed") become("closed")
    })
  }
  connection.connectionStateChange.subscribe((whole) => {
    if (whole === "failed" || whole === "closed") become("closed")
  })
  connection.onIceCandidate.subscribe(
    guarded((found) => {
      if (found === undefined || found.candidate === "" || state === "closed") return
      const { candidate, sdpMLineIndex, sdpMid } = found
      if (/ typ relay /.test(candidate)) {
        options.onRelay()
        for (const transport of connection.iceTransports) pairAgain(transport)
      }
      options.onCandidate({
        candidate,
        ...(sdpMid === undefined ? {} : { sdpMid }),
        ...(sdpMLineIndex === undefined ? {} : { sdpMLineIndex })
      })
    })
  )

  const gather = Effect.suspend(() => {
    for (const transport of connection.iceTransports) {
      if (transport.gatheringState !== "new") continue
      // werift would ask a STUN server of Google's where none is configured: docs/decisions/0002-no-third-party-stun.md
      if (!hasStun) delete transport.connection.stunServer
      gatherings.set(transport, transport.gather().catch(options.onDefect))
    }
    return Effect.promise(() => Promise.all(gatherings.values()))
  })

  const accept = Effect.fnUntraced(function* (next: Offer) {
    // werift 0.25 answers it with the old way's credentials and candidates; another connection is there in 0.2 s.
    if (offer !== undefined && wayOf(offer) !== wayOf(next))
      return yield* new PeerError({ reason: "Failed", detail: "the way has changed" })
    yield* attempt(() => connection.setRemoteDescription({ type: "offer", sdp: next.sdp }))
    offer = next
    for (const { dtlsTransport, kind } of connection.getTransceivers()) if (kind === "audio") listen(dtlsTransport)
    yield* Effect.timeoutOption(gather, gatherPatience)
    yield* attempt(async () => connection.setLocalDescription(await connection.createAnswer()))
    const answer = connection.localDescription?.sdp
    if (answer === undefined) return yield* new PeerError({ reason: "Failed", detail: "no answer" })
    return answer
  })

  const close = Effect.suspend(() => {
    const goodbyes = Array.from(listened, ({ dtls, iceTransport }) =>
      dtls === undefined ? Promise.resolve() : DtlsGoodbye.say(dtls, iceTransport)
    )
    become("closed")
    // What a server answers only after the end would stay open for good.
    for (const [{ connection: ice }, gathered] of gatherings) {
      void gathered.then(() => ice.close()).catch(options.onDefect)
    }
    return Effect.promise(() =>
      Promise.allSettled(goodbyes)
        .then(() => connection.close())
        .catch(options.onDefect)
    )
  }).pipe(Effect.timeoutOption(closeTimeout), Effect.asVoid)

  return {
    accept,
    addCandidate: ({ candidate }) => {
      if (state === "closed") return
      if (!isUsable(candidate)) return options.onUnusable()
      // Janus bundles: whichever section a candidate names, or fails to name, it is the way to the one transport.
      const sdpMLineIndex = offer?.audioIndex ?? 0
      connection.addIceCandidate({ candidate, sdpMLineIndex }).catch(options.onUnusable)
    },
    state: () => state,
    wake: () => media?.wake(),
    catchUp: () => media?.catchUp(),
    isRelayed: () =>
      connection.iceTransports.some(({ connection: ice }) => ice.nominated?.localCandidate.type === "relay"),
    close
  }
}

/** werift cannot use a relay without credentials. */
const serversFor = (servers: ReadonlyArray<IceServer>): Array<RTCIceServer> =>
  servers.flatMap(({ credential, urls, username }) => {
    const isKnown = username !== undefined && credential !== undefined
    const used = urls.filter((url) => /^stun:/i.test(url) || isKnown)
    return used.length === 0 ? [] : [{ urls: used, ...(isKnown ? { username, credential } : {}) }]
  })

/** By its ICE credentials an offer says whether it is about the same way. */
const wayOf = ({ sdp }: Offer): string | undefined => /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1]

const levelOf = (
  extensions: ReadonlyArray<{ readonly id: number; readonly payload: Uint8Array }>,
  id: number | undefined
): number | undefined => {
  if (id === undefined) return undefined
  for (const extension of extensions) {
    // The first bit says whether the sender takes it for speech (RFC 6464 §3); the gate judges for itself.
    if (extension.id === id) return extension.payload[0] === undefined ? undefined : extension.payload[0] & 0x7f
  }
  return undefined
}

/** werift pairs a relay it gets late only with candidates that come after it; told again, it makes the missing pairs. */
const pairAgain = ({ connection }: RTCIceTransport) => {
  for (const candidate of [...connection.remoteCandidates]) {
    if (candidate.type !== "prflx") void connection.addRemoteCandidate(candidate)
  }
}

/** werift's own messages may quote the SDP, which holds keys: only its kind of error is told. */
const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, PeerError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) =>
      new PeerError({ reason: "BadOffer", detail: cause instanceof Error ? cause.name : "werift refused it" })
  })
