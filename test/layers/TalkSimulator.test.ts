import { createHmac } from "node:crypto"
import dns from "node:dns"
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, Redacted, type Scope } from "effect"
import { RTCPeerConnection, RTCRtpCodecParameters } from "werift"
import { WebSocket } from "ws"
import * as OpusCodec from "../../src/layers/OpusCodec.ts"
import * as TalkSimulator from "../../src/layers/TalkSimulator.ts"
import * as ToneModem from "../../src/layers/ToneModem.ts"

/** A message of the HPB, as loosely as a test needs it. */
interface Wire {
  readonly type?: string
  readonly id?: string
  readonly hello?: {
    readonly sessionid: string
    readonly resumeid: string
    readonly server: { readonly features: string[] }
  }
  readonly error?: { readonly code: string }
  readonly bye?: { readonly reason: string }
  readonly room?: { readonly roomid: string }
  readonly event?: {
    readonly target: string
    readonly type: string
    readonly join?: ReadonlyArray<{ readonly sessionid: string; readonly roomsessionid?: string }>
    readonly leave?: ReadonlyArray<string>
    readonly update?: { readonly all?: boolean; readonly users?: ReadonlyArray<Record<string, unknown>> }
  }
  readonly message?: {
    readonly sender: { readonly type: string; readonly sessionid: string }
    readonly data: {
      readonly type: string
      readonly sid?: string
      readonly payload?: { readonly sdp?: string; readonly candidate?: { readonly candidate: string } }
    }
  }
}

interface Client {
  readonly send: (message: object | string) => void
  readonly received: Array<Wire>
  /** The first message from now on that fits. */
  readonly next: (fits: (message: Wire) => boolean) => Effect.Effect<Wire>
  readonly socket: WebSocket
}

const connect = (url: string): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => new WebSocket(`${url.replace("http", "ws")}/spreed`).on("error", () => {})),
      (open) => Effect.sync(() => open.terminate())
    )
    const received: Array<Wire> = []
    socket.on("message", (data) => received.push(JSON.parse(String(data))))
    yield* Effect.callback<void>((resume) => {
      socket.on("open", () => resume(Effect.void))
    })
    let read = 0
    const find = (fits: (message: Wire) => boolean) => {
      const at = received.findIndex((message, i) => i >= read && fits(message))
      if (at < 0) return undefined
      read = at + 1
      return received[at]
    }
    return {
      socket,
      received,
      send: (message) => socket.send(typeof message === "string" ? message : JSON.stringify(message)),
      next: (fits) =>
        Effect.suspend(() => Effect.succeed(find(fits))).pipe(
          Effect.delay("5 millis"),
          Effect.repeat({ until: (found) => found !== undefined }),
          Effect.timeout("60 seconds"),
          Effect.orDie,
          Effect.map((found) => found ?? assert.fail("nothing"))
        )
    }
  })

const random = "0123456789abcdef0123456789abcdef"
const hello = (secret: string, backend = "https://cloud.example.com/") => ({
  id: "h",
  type: "hello",
  hello: {
    version: "1.0",
    features: ["internal-incall"],
    auth: {
      type: "internal",
      params: { random, token: createHmac("sha256", secret).update(random).digest("hex"), backend }
    }
  }
})

const join = Effect.fnUntraced(function* (talk: TalkSimulator.Simulation, room: string) {
  const client = yield* connect(talk.url)
  client.send(hello(Redacted.value(talk.internalSecret)))
  const { hello: answer } = yield* client.next(({ type }) => type === "hello")
  client.send({ id: "r", type: "room", room: { roomid: room } })
  yield* client.next(({ type }) => type === "room")
  return { ...client, self: answer?.sessionid ?? "", resumeId: answer?.resumeid ?? "" }
})

const isEvent = (target: string, type: string) => (message: Wire) =>
  message.event?.target === target && message.event.type === type
const isData = (type: string) => (message: Wire) => message.message?.data.type === type
const to = (sessionid: string, data: object, id = "m") => ({
  id,
  type: "message",
  message: { recipient: { type: "session", sessionid }, data }
})
const caption = (speakerSessionId: string, message: string) => ({
  type: "transcript",
  message,
  langId: "en",
  speakerSessionId,
  final: true
})

describe("TalkSimulator: signaling", () => {
  it.live("lets in who knows the secret and names the backend, and says why it does not", () =>
    Effect.gen(function* () {
      const talk = yield* TalkSimulator.make({ backend: "https://cloud.example.com" })
      const secret = Redacted.value(talk.internalSecret)
      const client = yield* connect(talk.url)
      client.send({ id: "1", type: "room", room: { roomid: "a" } })
      assert.strictEqual((yield* client.next(({ type }) => type === "error")).error?.code, "hello_expected")
      client.send(hello("wrong"))
      assert.strictEqual((yield* client.next(({ type }) => type === "error")).error?.code, "invalid_token")
      client.send(hello(secret, "http://cloud.example.com/"))
      assert.strictEqual((yield* client.next(({ type }) => type === "error")).error?.code, "invalid_backend")
      client.send("{nonsense")
      assert.strictEqual((yield* client.next(({ type }) => type === "error")).error?.code, "invalid_format")
      client.send({ type: "unheard-of" })
      client.send(hello(secret))
      const answer = yield* client.next(({ type }) => type === "hello")
      assert.isTrue(answer.hello?.server.features.includes("recipient-call"))
      assert.deepStrictEqual(
        client.received.map(({ type }) => type),
        ["welcome", "error", "error", "error", "error", "hello"]
      )
      const silent = yield* connect(talk.url)
      assert.strictEqual((yield* silent.next(({ type }) => type === "bye")).bye?.reason, "hello_timeout")
    })
  )

  it.live("tells who comes, is in the call, and goes", () =>
    Effect.gen(function* () {
      const talk = yield* TalkSimulator.make()
      const viewer = yield* talk.addViewer({ name: "Vera", room: "room" })
      const client = yield* join(talk, "room")
      const others = yield* client.next(isEvent("room", "join"))
      assert.deepStrictEqual(others.event?.join?.[0]?.roomsessionid, viewer.nextcloudSession())
      const list = yield* client.next(isEvent("participants", "update"))
      assert.deepStrictEqual(
        list.event?.update?.users?.map(({ inCall, internal, nextcloudSessionId, sessionId }) => ({
          inCall,
          internal,
          nextcloudSessionId,
          sessionId
        })),
        [
          {
            inCall: 1,
            internal: undefined,
            nextcloudSessionId: viewer.nextcloudSession(),
            sessionId: viewer.sessionId()
          },
          { inCall: 0, internal: true, nextcloudSessionId: undefined, sessionId: client.self }
        ]
      )
      const before = viewer.sessionId()
      viewer.leave()
      const left = yield* client.next(isEvent("participants", "update"))
      assert.strictEqual(left.event?.update?.users?.find(({ sessionId }) => sessionId === before)?.["inCall"], 0)
      assert.deepStrictEqual((yield* client.next(isEvent("room", "leave"))).event?.leave, [before])
    })
  )

  it.live("delivers captions to one session and to the whole call", () =>
    Effect.gen(function* () {
      const talk = yield* TalkSimulator.make()
      const vera = yield* talk.addViewer({ name: "Vera", room: "room" })
      const vic = yield* talk.addViewer({ name: "Vic", room: "room" })
      const client = yield* join(talk, "room")
      client.send(to(vera.sessionId(), caption("s", "only vera")))
      client.send({
        type: "message",
        message: { recipient: { type: "call" }, data: caption("s", "everybody") }
      })
      client.send(to("nobody", caption("s", "nobody")))
      yield* Effect.sleep("5 millis").pipe(Effect.repeat({ until: () => vic.captions().length > 0 }))
      assert.deepStrictEqual(
        vera.captions().map(({ message }) => message),
        ["only vera", "everybody"]
      )
      assert.deepStrictEqual(
        vic.captions().map(({ message }) => message),
        ["everybody"]
      )
      assert.closeTo(vic.captions()[0]?.atMs ?? 0, Date.now(), 60_000)
    })
  )

  it.live("refuses what older versions refuse", () =>
    Effect.gen(function* () {
      const old = yield* TalkSimulator.make({ version: "1.2.4" })
      const viewer = yield* old.addViewer({ name: "Vera", room: "room" })
      const client = yield* join(old, "room")
      client.send(to(viewer.sessionId(), caption("s", "untyped")))
      assert.strictEqual((yield* client.next(({ type }) => type === "error")).error?.code, "invalid_format")
      client.send(to(viewer.sessionId(), { ...caption("s", "typed"), roomType: "video" }))
      yield* Effect.sleep("5 millis").pipe(Effect.repeat({ until: () => viewer.captions().length > 0 }))
      const older = yield* TalkSimulator.make({ version: "0.4.1" })
      const first = yield* join(older, "room")
      assert.notInclude(
        first.received.map(({ type }) => type),
        "welcome"
      )
      const list = yield* first.next(isEvent("participants", "update"))
      assert.strictEqual(list.event?.update?.users?.[0]?.["inCall"], 3)
    })
  )

  it.live("keeps a session that lost its socket, with what it misses, and forgets it in the end", () =>
    Effect.gen(function* () {
      const talk = yield* TalkSimulator.make({ resumeMs: 3000 })
      const client = yield* join(talk, "room")
      talk.dropSockets()
      yield* Effect.sleep("50 millis")
      const viewer = yield* talk.addViewer({ name: "Vera", room: "room" })
      const again = yield* connect(talk.url)
      again.send({ id: "2", type: "hello", hello: { version: "1.0", resumeid: client.resumeId } })
      assert.strictEqual((yield* again.next(({ type }) => type === "hello")).hello?.sessionid, client.self)
      assert.strictEqual((yield* again.next(isEvent("room", "join"))).event?.join?.[0]?.sessionid, viewer.sessionId())
      assert.strictEqual(talk.servicesIn("room"), 1)
      talk.dropSockets()
      yield* Effect.sleep("5 millis").pipe(Effect.repeat({ until: () => talk.servicesIn("room") === 0 }))
      const late = yield* connect(talk.url)
      late.send({ id: "3", type: "hello", hello: { version: "1.0", resumeid: client.resumeId } })
      assert.strictEqual((yield* late.next(({ type }) => type === "error")).error?.code, "no_such_session")
    })
  )

  it.live("ends calls, deletes rooms, dies and comes back with everybody in it", () =>
    Effect.gen(function* () {
      const talk = yield* TalkSimulator.make()
      const viewer = yield* talk.addViewer({ name: "Vera", room: "room" })
      const client = yield* join(talk, "room")
      talk.endCall("room")
      assert.isTrue((yield* client.next((message) => message.event?.update?.all === true)).event?.update?.all)
      talk.deleteRoom("room")
      yield* client.next(isEvent("room", "delete"))
      assert.strictEqual((yield* client.next(({ type }) => type === "room")).room?.roomid, "")
      const before = viewer.sessionId()
      const nextcloudBefore = viewer.nextcloudSession()
      yield* talk.restart(50)
      assert.notStrictEqual(client.socket.readyState, WebSocket.OPEN)
      assert.notStrictEqual(viewer.sessionId(), before)
      assert.strictEqual(viewer.nextcloudSession(), nextcloudBefore)
      const back = yield* join(talk, "room")
      assert.strictEqual((yield* back.next(isEvent("room", "join"))).event?.join?.[0]?.sessionid, viewer.sessionId())
      back.send({ id: "b", type: "bye", bye: {} })
      yield* back.next(({ type }) => type === "bye")
      assert.strictEqual(talk.servicesIn("room"), 0)
    })
  )
})

/** Answers one offer and gives what is heard. */
const listen = Effect.fnUntraced(function* (client: Client & { readonly self: string }, publisher: string) {
  client.send(to(publisher, { type: "requestoffer", roomType: "video" }))
  const offer = yield* client.next(isData("offer"))
  const { payload, sid } = offer.message?.data ?? assert.fail("no offer")
  const peer = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new RTCPeerConnection({
          iceServers: [],
          iceLite: true,
          bundlePolicy: "max-bundle",
          codecs: {
            audio: [new RTCRtpCodecParameters({ mimeType: "audio/opus", clockRate: 48_000, channels: 2 })],
            video: []
          }
        })
    ),
    (open) => Effect.promise(() => open.close())
  )
  const packets: Array<{ readonly sequenceNumber: number; readonly timestamp: number; readonly payload: Buffer }> = []
  peer.onTrack.subscribe((track) => {
    track.onReceiveRtp.subscribe(({ header, payload: opus }) => {
      packets.push({ sequenceNumber: header.sequenceNumber, timestamp: header.timestamp, payload: opus })
    })
  })
  const answer = yield* Effect.promise(async () => {
    await peer.setRemoteDescription({ type: "offer", sdp: payload?.sdp ?? "" })
    await peer.setLocalDescription(await peer.createAnswer())
    return peer.localDescription?.sdp
  })
  client.send(
    to(publisher, { type: "answer", to: publisher, roomType: "video", sid, payload: { type: "answer", sdp: answer } })
  )
  yield* Effect.sleep("5 millis").pipe(
    Effect.repeat({ until: () => packets.length > 0 }),
    Effect.timeout("60 seconds"),
    Effect.orDie
  )
  return { packets, sid }
})

describe("TalkSimulator: media", () => {
  it.live("sends what a speaker says, every 20 ms and complete, and asks no server on the way", () =>
    Effect.gen(function* () {
      // werift would look up a public STUN server.
      const lookups = vi.spyOn(dns.promises, "lookup")
      const talk = yield* TalkSimulator.make()
      const speaker = yield* talk.addSpeaker({ name: "Ada", room: "room", camera: true })
      const client = yield* join(talk, "room")
      const { packets } = yield* listen(client, speaker.sessionId())
      const words = [5, 6, 7, 8, 9]
      assert.deepStrictEqual(lookups.mock.calls, [])
      lookups.mockRestore()
      const { pcm } = ToneModem.speak(words, { speaker: 1, sampleRate: 48_000, format: ToneModem.fast })
      const { startedAtMs } = yield* speaker.say(pcm)
      // Later only where the machine is late.
      assert.isAtLeast(Date.now() - startedAtMs, (pcm.length / 48_000) * 1000 - 400)
      yield* Effect.sleep("200 millis")
      const codec = (yield* OpusCodec.wasm).make()
      const heard: Array<number> = []
      const decoder = ToneModem.toneDecoder(
        24_000,
        (event) => heard.push(event._tag === "Word" ? event.word : -1),
        ToneModem.fast
      )
      for (const { payload } of packets) decoder.push(codec.decode(payload) ?? assert.fail("not Opus"))
      assert.deepStrictEqual(heard, words)
      for (const [i, packet] of packets.slice(1).entries()) {
        assert.strictEqual(((packet.timestamp - (packets[i]?.timestamp ?? 0)) >>> 0) % 960, 0)
      }
      const spokenPackets = packets.length
      speaker.mute()
      yield* Effect.sleep("100 millis")
      const muted = packets.length
      yield* Effect.sleep("100 millis")
      assert.isAtMost(packets.length - muted, 1)
      speaker.unmute()
      yield* Effect.sleep("5 millis").pipe(Effect.repeat({ until: () => packets.length > muted + 2 }))
      assert.isAbove(packets.length, spokenPackets)
    })
  )

  it.live("goes silent without a word when the microphone is published anew, and offers it on request", () =>
    Effect.gen(function* () {
      const talk = yield* TalkSimulator.make({ mcuTimeoutMs: 200 })
      const speaker = yield* talk.addSpeaker({ name: "Ada", room: "room" })
      const client = yield* join(talk, "room")
      const first = yield* listen(client, speaker.sessionId())
      speaker.republish("silently")
      yield* Effect.sleep("100 millis")
      const count = first.packets.length
      yield* Effect.sleep("150 millis")
      assert.strictEqual(first.packets.length, count)
      const second = yield* listen(client, speaker.sessionId())
      assert.notStrictEqual(second.sid, first.sid)
      client.send(
        to(speaker.sessionId(), {
          type: "candidate",
          roomType: "video",
          sid: first.sid,
          payload: { candidate: { candidate: "candidate:1 1 udp 1 127.0.0.1 9 typ host" } }
        })
      )
      assert.strictEqual((yield* client.next(({ type }) => type === "error")).error?.code, "processing_failed")
      speaker.leaveCall()
      client.send(to(speaker.sessionId(), { type: "requestoffer", roomType: "video" }, "q"))
      const refused = yield* client.next(({ type }) => type === "error")
      assert.deepStrictEqual([refused.id, refused.error?.code], ["q", "client_not_found"])
    })
  )
})
