/**
 * PeerConnection on werift: full ICE, DTLS-SRTP, Opus only.
 */
import { Deferred, Effect, Exit, Layer, Scope } from "effect"
import { type Peer, PeerConnection, type PeerError, type PeerOptions } from "../services/PeerConnection.ts"
import * as DtlsCurve from "./DtlsCurve.ts"
import * as IceConsents from "./IceConsents.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as OfferSdp from "./OfferSdp.ts"
import * as OwnAddresses from "./OwnAddresses.ts"
import * as RelayChoice from "./RelayChoice.ts"
import * as SetUpPace from "./SetUpPace.ts"
import * as SocketReader from "./SocketReader.ts"
import * as WeriftPeer from "./WeriftPeer.ts"

export interface WeriftOptions {
  /** Also offer addresses of IPv6; only where Janus has no other. Default `false`: a socket less per peer. */
  readonly useIpv6?: boolean
  /** Own addresses offered besides those of the network interfaces; `127.0.0.1` where the other side is on this machine, which is the default where there is no network. */
  readonly hostAddresses?: ReadonlyArray<string>
  /**
   * The way of RTP: past werift's own SRTP, parsers and receivers, or through all of them at a multiple of the cost; and `batched`, the default: past Node's
   * sockets too. Where that cannot be (see `SocketReader.take`, `WeriftMedia.take`), a peer takes the next by itself.
   */
  readonly mediaPath?: "batched" | "short" | "werift"
}

/** Checks and the handshake take 150–180 ms against Janus on the same machine; whoever needs longer than this never arrives. */
const setUpTimeout = "15 seconds"
/** After ICE has found a way, in steps of 1 s, so that the time in which this process stood still counts as one of them: three repetitions by then. */
const handshakeSteps = 4
/**
 * A relay answers in two round trips, by TLS in four; werift gives up after 5 s. Who is not connected by then and could try another relay
 * does not wait any longer.
 */
const relayTimeout = "6 seconds"

/**
 * Peers over UDP or, with a TURN server, over a relay. A peer that is not connected 15 s after its answer closes, 4 s after ICE has found
 * a way, and after 6 s where its relay gave nothing and there is another; so does one whose other side says goodbye or is not heard of for 30 s.
 */
export const layer = (options: WeriftOptions = {}): Layer.Layer<PeerConnection> =>
  Layer.effect(
    PeerConnection,
    Effect.gen(function* () {
      const pace = yield* SetUpPace.make()
      DtlsCurve.useNative()
      const unusable = yield* Metrics.countsOf(Metrics.unknownMessages, { source: "ice_candidate" })
      const defects = yield* Metrics.countsOf(Metrics.drops, { reason: "peer_callback_failed" })
      const refused = yield* Metrics.countsOf(Metrics.drops, { reason: "srtp_refused" })
      const now = yield* monotonicMs
      const relays = RelayChoice.make()
      const { hostAddresses = OwnAddresses.unlisted(), mediaPath = "batched", useIpv6 = false } = options

      const sockets = mediaPath === "batched" ? SocketReader.make({ now }) : undefined
      const consents = mediaPath === "werift" ? undefined : IceConsents.make({ now })

      const open = Effect.fnUntraced(function* (wanted: PeerOptions): Effect.fn.Return<Peer, PeerError, Scope.Scope> {
        const offer = yield* readOffer(wanted.sdp, unusable)
        const setUp = yield* Scope.fork(yield* Effect.scope)
        yield* Scope.provide(pace.begin, setUp)
        const settled = yield* Deferred.make<void>()
        const handshake = yield* Deferred.make<void>()
        const { relay, servers } = relays.choose(wanted.iceServers, now())
        let hasRelay = false
        const peer = yield* Effect.acquireRelease(
          Effect.sync(() =>
            WeriftPeer.make({
              iceServers: servers,
              useIpv6,
              hostAddresses,
              mediaPath: mediaPath === "werift" ? "werift" : "short",
              sockets,
              consents,
              listener: wanted,
              onState: (state) => {
                if (state !== "connecting") Deferred.doneUnsafe(settled, Effect.void)
                wanted.onState(state)
              },
              onCandidate: wanted.onCandidate,
              onHandshake: () => Deferred.doneUnsafe(handshake, Effect.void),
              onRelay: () => {
                hasRelay = true
                if (relay !== undefined) relays.tried(relay, true, now())
              },
              onUnusable: unusable,
              onRefused: refused,
              now,
              onDefect: defects
            })
          ),
          (peer) => peer.close
        )
        const lateHandshake = Effect.sleep("1 second").pipe(Effect.repeat({ times: handshakeSteps - 1 }))
        yield* Deferred.await(settled).pipe(
          Effect.raceFirst(Effect.andThen(Deferred.await(handshake), lateHandshake)),
          Effect.timeoutOption(setUpTimeout),
          Effect.andThen(Effect.suspend(() => (peer.state() === "connecting" ? peer.close : Effect.void))),
          Effect.ensuring(Scope.close(setUp, Exit.void)),
          Effect.forkScoped
        )
        const giveRelayUp = Effect.suspend(() => {
          if (hasRelay || relay === undefined) return Effect.void
          relays.tried(relay, false, now())
          const isAlone = relays.choose(wanted.iceServers, now()).relay === relay
          return isAlone || peer.state() !== "connecting" ? Effect.void : peer.close
        })
        if (relay !== undefined) yield* Effect.forkScoped(Effect.delay(giveRelayUp, relayTimeout))
        const answer = yield* peer.accept(offer).pipe(Effect.tapError(() => peer.close))
        return {
          answer,
          addCandidate: peer.addCandidate,
          renegotiate: (sdp) => Effect.flatMap(readOffer(sdp, unusable), peer.accept),
          state: peer.state,
          isRelayed: peer.isRelayed,
          wake: peer.wake,
          catchUp: peer.catchUp
        }
      })
      return { open }
    })
  )

const readOffer = Effect.fnUntraced(function* (sdp: string, unusable: (amount: number) => void) {
  const offer = yield* Effect.fromResult(OfferSdp.read(sdp))
  if (offer.unusable > 0) unusable(offer.unusable)
  return offer
})
