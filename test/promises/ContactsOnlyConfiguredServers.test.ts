/**
 * A peer contacts the ICE servers it was given, and where the publisher says it is: nobody else is asked for anything, by name or address.
 */
import { createSocket, Socket as UdpSocket } from "node:dgram"
import dns from "node:dns"
import { Socket as TcpSocket } from "node:net"
import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { RTCPeerConnection } from "werift"
import type { PeerConnection } from "../../src/services/PeerConnection.ts"
import { chromiumOffer } from "../fixtures/janusOffer.ts"
import * as WeriftPublisher from "../support/WeriftPublisher.ts"
import { connect, layer, listen, until } from "../support/WeriftScene.ts"

/** Where a datagram or a connection went, or a name that was looked up. */
const contacts = new Set<string>()
const sendDatagram = UdpSocket.prototype.send
const destinationOf = (args: ReadonlyArray<unknown>) =>
  `${args.findLast((arg) => typeof arg === "string")}:${args.findLast((arg) => typeof arg === "number")}`

beforeEach(() => {
  contacts.clear()
  vi.spyOn(UdpSocket.prototype, "send").mockImplementation(function (this: UdpSocket, ...args: Array<unknown>) {
    contacts.add(destinationOf(args))
    Reflect.apply(sendDatagram, this, args)
  })
  vi.spyOn(TcpSocket.prototype, "connect").mockImplementation(function (this: TcpSocket, ...args: Array<unknown>) {
    contacts.add(`tcp ${JSON.stringify(args)}`)
    queueMicrotask(() => this.destroy(new Error("no connections in this test")))
    return this
  })
  // Nothing leaves the machine, not even in the control below.
  vi.spyOn(dns.promises, "lookup").mockImplementation((name: string) => {
    contacts.add(name)
    return Promise.reject(new Error("no names in this test"))
  })
  vi.spyOn(dns, "lookup").mockImplementation((name: string) => {
    contacts.add(name)
  })
})
afterEach(() => {
  vi.restoreAllMocks()
})

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope | PeerConnection>) =>
  it.live(name, () => body.pipe(Effect.scoped, Effect.provide(layer)))

/** A server that only counts. */
const server = Effect.acquireRelease(
  Effect.callback<{ readonly address: string; readonly received: () => number; readonly close: () => void }>(
    (resume) => {
      const socket = createSocket("udp4")
      let received = 0
      socket.on("message", () => {
        received++
      })
      socket.bind(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            address: `127.0.0.1:${socket.address().port}`,
            received: () => received,
            close: () => socket.close()
          })
        )
      )
    }
  ),
  ({ close }) => Effect.sync(close)
)

/** Addresses in candidates of the publisher. */
const candidateAddresses = (sdp: string) =>
  new Set(
    [...sdp.matchAll(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ/gm)].map(([, address, port]) => `${address}:${port}`)
  )

describe("Contacts only configured servers", () => {
  live(
    "with no ICE servers: nobody but the publisher, which is heard",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const { packets, peer } = yield* connect(publisher)
      publisher.send(1)
      yield* until("a packet", () => packets.length === 1)
      const known = [...candidateAddresses(publisher.offer), ...candidateAddresses(peer.answer)]
      // A socket of one interface is also seen under the address of another.
      const addresses = new Set(known.map((address) => address.split(":")[0]))
      const ports = new Set(known.map((address) => address.split(":")[1]))
      assert.isAbove(contacts.size, 0)
      for (const contact of contacts) {
        const [address, port] = contact.split(":")
        assert.isTrue(addresses.has(address) && ports.has(port), contact)
      }
    })
  )

  live(
    "with no ICE servers, before the publisher has said where it is: nobody at all",
    Effect.gen(function* () {
      const { peer } = yield* listen(chromiumOffer)
      yield* peer.renegotiate(chromiumOffer)
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual([...contacts], [])
    })
  )

  live(
    "candidates with names, in the offer or after it, are looked up nowhere",
    Effect.gen(function* () {
      const named = (name: string) => `candidate:1 1 udp 2015363327 ${name} 5000 typ host`
      const { peer } = yield* listen(`${chromiumOffer}a=${named("11111111-2222.local")}\r\n`)
      peer.addCandidate({ candidate: named("33333333-4444.local"), sdpMLineIndex: 0 })
      peer.addCandidate({ candidate: named("example.org"), sdpMLineIndex: 0 })
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual([...contacts], [])
    })
  )

  live(
    "this test would notice: werift by itself asks Google",
    Effect.gen(function* () {
      const bare = new RTCPeerConnection({ iceServers: [], iceStunGatherTimeout: 0.1 })
      yield* Effect.promise(async () => {
        bare.addTransceiver("audio")
        await bare.setLocalDescription(await bare.createOffer())
        await bare.close()
      })
      assert.deepStrictEqual([...contacts], ["stun.l.google.com"])
    })
  )

  live(
    "with a STUN server: that one",
    Effect.gen(function* () {
      const stun = yield* server
      yield* listen(chromiumOffer, [{ urls: [`stun:${stun.address}`] }])
      yield* until("asked", () => stun.received() > 0)
      assert.deepStrictEqual([...contacts], [stun.address])
    })
  )

  live(
    "with TURN over TCP and TLS: those",
    Effect.gen(function* () {
      const account = { username: "name", credential: "password" }
      yield* listen(chromiumOffer, [{ urls: ["turn:127.0.0.1:3479?transport=tcp"], ...account }])
      yield* listen(chromiumOffer, [{ urls: ["turns:127.0.0.1:5350?transport=tcp"], ...account }])
      yield* until("both", () => contacts.size >= 2)
      assert.isTrue([...contacts].every((contact) => contact.startsWith("tcp ") && contact.includes("127.0.0.1")))
      assert.isTrue([...contacts].some((contact) => contact.includes("3479")))
      assert.isTrue([...contacts].some((contact) => contact.includes("5350")))
    })
  )

  // The last one: werift goes on asking a silent relay for some seconds after the peer was closed.
  live(
    "with a TURN server alone: that one, and only with credentials",
    Effect.gen(function* () {
      const turn = yield* server
      yield* listen(chromiumOffer, [{ urls: ["turn:127.0.0.1:9"] }, { urls: [] }])
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual([...contacts], [])
      const url = `turn:${turn.address}?transport=udp`
      yield* listen(chromiumOffer, [{ urls: [url], username: "name", credential: "password" }])
      yield* until("asked", () => turn.received() > 0)
      assert.deepStrictEqual([...contacts], [turn.address])
    })
  )
})
