import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Metric, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import { vi } from "vitest"
import * as Metrics from "../../src/layers/Metrics.ts"
import * as OfferSdp from "../../src/layers/OfferSdp.ts"
import * as Subscriptions from "../../src/layers/Subscriptions.ts"
import { chromiumOffer } from "../fixtures/janusOffer.ts"
import * as SubscriptionScene from "../support/SubscriptionScene.ts"
import * as WeriftPublisher from "../support/WeriftPublisher.ts"
import { connect, layer, listen, pause, until } from "../support/WeriftScene.ts"

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope | Layered>) =>
  it.live(
    name,
    () => body.pipe(Effect.scoped, Effect.provide(layer), Effect.provideService(Metric.MetricRegistry, new Map())),
    180_000
  )
type Layered = Effect.Services<ReturnType<typeof listen>>

const sectionsOf = (sdp: string) => sdp.split(/^(?=m=)/m).slice(1)
const withoutCandidates = (sdp: string) =>
  sdp
    .split("\r\n")
    .filter((line) => !/^a=(candidate|end-of-candidates)/.test(line))
    .join("\r\n")
const candidatesOf = (sdp: string) =>
  [...new Set([...sdp.matchAll(/^a=(candidate:.*)$/gm)].map(([, candidate]) => candidate?.trim() ?? ""))].map(
    (candidate) => ({
      candidate
    })
  )
const unusable = Effect.map(
  Metric.value(Metric.withAttributes(Metrics.unknownMessages, { source: "ice_candidate" })),
  ({ count }) => count
)
const udpSockets = () => process.getActiveResourcesInfo().filter((name) => name === "UDPWrap").length

const certificateOf = (kind: "rsa" | "ecdsa"): WeriftPublisher.Certificate => {
  const folder = mkdtempSync(join(tmpdir(), "parlance-certificate-"))
  const key = join(folder, "key.pem")
  const cert = join(folder, "cert.pem")
  const algorithm = kind === "rsa" ? ["rsa:2048"] : ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
  const request = ["req", "-x509", "-nodes", "-subj", "/CN=janus", "-days", "2", "-newkey", ...algorithm]
  execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" })
  const read = { kind, certPem: readFileSync(cert, "utf8"), keyPem: readFileSync(key, "utf8") }
  rmSync(folder, { recursive: true })
  return read
}

describe("WeriftPeerConnection", () => {
  live(
    "answers what Janus offers with audio only",
    Effect.gen(function* () {
      const { peer } = yield* listen(chromiumOffer)
      const [audio = "", video = "", data = ""] = sectionsOf(peer.answer)
      assert.match(audio, /^m=audio 9 UDP\/TLS\/RTP\/SAVPF 111\r\n/)
      assert.match(audio, /^a=recvonly\r$/m)
      assert.match(audio, /^a=setup:active\r$/m)
      assert.match(audio, /^a=candidate:.* typ host/m)
      assert.match(video, /^m=video 0 /)
      assert.match(data, /^m=application /)
      assert.notInclude(peer.answer, "transport-cc\r\na=fmtp")
      assert.notMatch(audio, /transport-cc/)
      assert.deepStrictEqual(
        [...peer.answer.matchAll(/^a=extmap:\d+ (\S+)\r$/gm)].map(([, uri]) => uri),
        ["urn:ietf:params:rtp-hdrext:ssrc-audio-level", "urn:ietf:params:rtp-hdrext:sdes:mid"]
      )
    })
  )

  live(
    "hands on each packet of Opus once, in order, with its level, and none of another payload type",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const { packets, peer, states } = yield* connect(publisher)
      publisher.send(65_534, { audioLevel: 42 })
      publisher.send(65_535, { audioLevel: 127 })
      publisher.send(7, { payloadType: 97 })
      publisher.send(0)
      yield* until("three packets", () => packets.length >= 3)
      assert.deepStrictEqual(
        packets.map(({ audioLevel, sequenceNumber, ssrc, timestamp }) => [sequenceNumber, timestamp, ssrc, audioLevel]),
        [
          [65_534, 65_534 * 960, WeriftPublisher.ssrc, 42],
          [65_535, 65_535 * 960, WeriftPublisher.ssrc, 127],
          [0, 0, WeriftPublisher.ssrc, undefined]
        ]
      )
      assert.deepStrictEqual([...(packets[0]?.payload ?? [])], [0x78, 254, 1, 2, 3])
      assert.deepStrictEqual(states, ["connected"])
      assert.strictEqual(peer.state(), "connected")
    })
  )

  for (const kind of ["rsa", "ecdsa"] as const) {
    live(
      `hears a publisher whose certificate is ${kind.toUpperCase()}`,
      Effect.gen(function* () {
        const publisher = yield* WeriftPublisher.make({ certificate: certificateOf(kind) })
        const { packets } = yield* connect(publisher)
        publisher.send(1)
        yield* until("a packet", () => packets.length === 1)
      })
    )
  }

  live(
    "connects by candidates that come after the answer, with an empty, a wrong and no section; unusable ones are counted",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const { peer } = yield* listen(withoutCandidates(publisher.offer))
      for (const candidate of [
        "",
        "nonsense",
        "candidate:1 1 udp 1 printer.local 5000 typ host",
        "candidate:1 1 udp 1 example.org 5000 typ host",
        "candidate:1 1 udp 1 10.0.0.1 99999 typ host",
        `candidate:${"9".repeat(100_000)}`
      ]) {
        peer.addCandidate({ candidate })
      }
      assert.strictEqual(yield* unusable, 6)
      yield* publisher.answer(withoutCandidates(peer.answer))
      const sections = [{ sdpMid: "" }, { sdpMid: "nobody's", sdpMLineIndex: 12 }, {}]
      for (const section of sections) {
        for (const { candidate } of candidatesOf(publisher.offer)) peer.addCandidate({ candidate, ...section })
      }
      yield* until("connected", () => peer.state() === "connected")
    })
  )

  live(
    "a renegotiation is answered on the same connection and media goes on",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const { packets, peer, states } = yield* connect(publisher)
      publisher.send(1)
      const offer = yield* publisher.offerAgain
      const answer = yield* peer.renegotiate(offer)
      const passwordOf = (sdp: string) => /^a=ice-pwd:(\S+)/m.exec(sdp)?.[1]
      assert.strictEqual(passwordOf(answer), passwordOf(peer.answer))
      assert.match(answer, /^m=audio 9 /m)
      yield* publisher.answer(answer)
      publisher.send(2)
      yield* until("both packets", () => packets.length === 2)
      assert.deepStrictEqual(states, ["connected"])
      const refused = yield* Effect.flip(peer.renegotiate("v=1"))
      assert.strictEqual(refused.reason, "BadOffer")
    })
  )

  live(
    "an offer over a new way, as when a network changed, is refused: werift would stay on the old one",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const { peer } = yield* connect(publisher)
      const refused = yield* Effect.flip(peer.renegotiate(yield* publisher.offerOverNewWay))
      assert.deepInclude(refused, { reason: "Failed", detail: "the way has changed" })
    })
  )

  live(
    "closing says goodbye, so that the publisher's side hangs up at once",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const scope = yield* Scope.make()
      const { peer, states } = yield* connect(publisher).pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([peer.state(), ...states], ["closed", "connected", "closed"])
      yield* until("hung up", publisher.isHungUp)
      peer.addCandidate({ candidate: "candidate:1 1 udp 1 127.0.0.1 5000 typ host" })
    })
  )

  live(
    "the data channel is open, and nobody asks by it whether the other side is there",
    Effect.gen(function* () {
      const timers = vi.spyOn(globalThis, "setTimeout")
      yield* Effect.addFinalizer(() => Effect.sync(() => timers.mockRestore()))
      yield* connect(yield* WeriftPublisher.make())
      const hasTimer = (fromMs: number, toMs: number) => () =>
        timers.mock.calls.some(([, ms = 0]) => ms >= fromMs && ms < toMs)
      yield* until("the publisher's, every half minute", hasTimer(30_000, 80_000_000))
      yield* until("ours, once a day", hasTimer(86_400_000, 86_460_000))
    })
  )

  live(
    "a publisher's goodbye closes the peer at once",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const { peer, states } = yield* connect(publisher)
      publisher.hangUp()
      yield* until("closed", () => peer.state() === "closed")
      assert.deepStrictEqual(states, ["connected", "closed"])
    })
  )

  it.effect("a peer that is not connected after 15 s closes", () =>
    Effect.gen(function* () {
      const { peer, states } = yield* listen(chromiumOffer)
      yield* TestClock.adjust("14 seconds")
      assert.deepStrictEqual(states, [])
      yield* TestClock.adjust("1 second")
      yield* until("closed", () => peer.state() === "closed")
      assert.deepStrictEqual(states, ["closed"])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  live(
    "a peer whose handshake does not end closes long before that",
    Effect.gen(function* () {
      const publisher = yield* WeriftPublisher.make()
      const { peer, states } = yield* listen(publisher.offer)
      publisher.loseHandshake()
      yield* publisher.answer(peer.answer)
      yield* until("closed", () => peer.state() === "closed", 12)
      assert.deepStrictEqual(states, ["closed"])
    })
  )

  it.effect("at most 8 are set up at a time, the next begins when one is connected, closed or given up", () =>
    Effect.gen(function* () {
      const first = yield* Scope.make()
      yield* listen(chromiumOffer).pipe(Scope.provide(first))
      const publisher = yield* WeriftPublisher.make()
      const second = yield* listen(publisher.offer)
      for (let n = 2; n < 8; n++) yield* listen(chromiumOffer)
      const waiting = [yield* Effect.forkChild(listen(chromiumOffer)), yield* Effect.forkChild(listen(chromiumOffer))]
      waiting.push(yield* Effect.forkChild(listen(chromiumOffer)))
      const done = () => waiting.filter((fiber) => fiber.pollUnsafe() !== undefined).length
      yield* pause(300)
      assert.strictEqual(done(), 0)
      yield* Scope.close(first, Exit.void)
      yield* until("one is set up", () => done() === 1)
      yield* publisher.answer(second.peer.answer)
      yield* until("two are set up", () => done() === 2)
      yield* TestClock.adjust("15 seconds")
      yield* until("all are set up", () => done() === 3)
      yield* Fiber.interruptAll(waiting)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  live(
    "offers that cannot be answered are refused by reason, without a word of their contents",
    Effect.gen(function* () {
      const opusAt = chromiumOffer.replaceAll("opus/48000/2", "G722/8000")
      const long = `${chromiumOffer}${"a=x\r\n".repeat(13_000)}`
      const many = `${chromiumOffer}${"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(20)}`
      const refusals = [
        [opusAt, "NoOpus"],
        [chromiumOffer.replace("m=audio", "m=video"), "NoOpus"],
        [chromiumOffer.replace("m=audio 9", "m=audio 0"), "NoOpus"],
        ["", "BadOffer"],
        ["{}", "BadOffer"],
        [long, "BadOffer"],
        [many, "BadOffer"],
        [chromiumOffer.replace("m=application", "m=bananas"), "BadOffer"]
      ] as const
      for (const [sdp, reason] of refusals) {
        const error = yield* Effect.flip(listen(sdp))
        assert.strictEqual(error.reason, reason)
        assert.notInclude(error.message, "aIcy")
        assert.notInclude(error.message, "CyO5lW7x")
      }
      // None of them kept a place.
      yield* listen(chromiumOffer)
    })
  )

  live(
    "broken offers are answered or refused, and never end anything",
    Effect.gen(function* () {
      const defects: Array<unknown> = []
      const note = (cause: unknown) => defects.push(cause)
      process.on("unhandledRejection", note)
      process.on("uncaughtException", note)
      let seed = 7
      const random = (below: number) => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
        return seed % below
      }
      let refused = 0
      for (let round = 0; round < 60; round++) {
        const lines = chromiumOffer.split("\r\n")
        for (let change = 0; change <= random(6); change++) {
          const at = 1 + random(lines.length - 1)
          const line = lines[at] ?? ""
          const cut = random(line.length + 1)
          const broken = [
            "",
            line.slice(0, cut),
            `${line.slice(0, cut)}${random(1e9)}`,
            lines[random(lines.length)] ?? ""
          ]
          lines[at] = broken[random(4)] ?? ""
        }
        const result = yield* Effect.result(Effect.scoped(listen(lines.join("\r\n"))))
        if (Result.isFailure(result)) refused++
      }
      yield* pause(100)
      process.off("unhandledRejection", note)
      process.off("uncaughtException", note)
      assert.deepStrictEqual(defects, [])
      assert.isAbove(refused, 5)
      assert.isBelow(refused, 55)
    })
  )

  live(
    "fifty peers, opened and closed in every phase, leave no socket behind",
    Effect.gen(function* () {
      const before = udpSockets()
      const publisher = yield* WeriftPublisher.make()
      yield* Effect.scoped(connect(publisher))
      yield* publisher.close
      yield* until("the first is gone", () => udpSockets() <= before)
      const silent = [{ urls: ["stun:127.0.0.1:9", "turn:127.0.0.1:9?transport=udp"], username: "u", credential: "c" }]
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) => {
          const open = listen(chromiumOffer, n % 5 === 0 ? silent : [])
          // Some are interrupted while they still look for addresses.
          return Effect.timeoutOption(Effect.scoped(open), n % 2 === 0 ? 5_000 : n % 10)
        },
        { concurrency: 8 }
      )
      yield* until("no sockets", () => udpSockets() <= before, 15)
    })
  )

  live(
    "Subscriptions change to a new offer without a gap and without a packet twice",
    Effect.gen(function* () {
      const heard: Array<number> = []
      const answers = new Map<string | undefined, string>()
      const voice = SubscriptionScene.voiceOf("alice")
      const scripted = yield* SubscriptionScene.make()
      const subscriptions = yield* Subscriptions.make({
        session: { ...scripted.session, answer: (_voice, sid, sdp) => answers.set(sid, sdp) },
        iceServers: Effect.succeed([]),
        screenShares: false,
        maxVoices: () => 10,
        onVoice: () => ({ onPacket: ({ sequenceNumber }) => heard.push(sequenceNumber) }),
        onVoiceEnd: () => {},
        isSpeaking: () => false
      }).pipe(Effect.provide(scripted.signaling))
      yield* subscriptions.setHearing(true)
      const alice = { session: voice.publisher, inCall: SubscriptionScene.talking, internal: false, virtual: false }
      yield* subscriptions.handle({
        _tag: "RosterChanged",
        roster: { participants: new Map([[alice.session, alice]]) }
      })
      const publish = Effect.fnUntraced(function* (sid: string) {
        const publisher = yield* WeriftPublisher.make()
        yield* subscriptions.handle({ _tag: "Offered", voice, sid, sdp: withoutCandidates(publisher.offer) })
        for (const candidate of candidatesOf(publisher.offer)) {
          yield* subscriptions.handle({ _tag: "CandidateFound", voice, sid, candidate })
        }
        yield* until("an answer", () => answers.has(sid))
        yield* publisher.answer(answers.get(sid) ?? "")
        return publisher
      })

      const first = yield* publish("s1")
      yield* until("heard", () => subscriptions.heard(voice) && first.isConnected())
      first.send(1)
      yield* until("the first packet", () => heard.length === 1)
      let second = yield* publish("s2")
      first.send(2)
      // a publisher of werift's repeats nothing of a handshake that it takes for ended: one that came to nothing here is asked for again
      for (const sid of ["s3", "s4"]) {
        yield* Effect.exit(until("the goodbye to the first", first.isHungUp, 6))
        if (!first.isHungUp()) second = yield* publish(sid)
      }
      yield* until("the goodbye to the first", first.isHungUp)
      first.send(3)
      second.send(101)
      second.send(102)
      yield* until("the last packet", () => heard.includes(102))
      assert.deepStrictEqual(heard, [1, 2, 101, 102])
      assert.strictEqual(subscriptions.connected(), 1)
    })
  )
})

describe("OfferSdp", () => {
  it("finds the audio wherever it stands and takes out what must not be negotiated", () => {
    const [session = "", ...sections] = chromiumOffer.split(/^(?=m=)/m)
    const mixed = [session, ...sections.toReversed()].join("")
    const read = OfferSdp.read(
      `${mixed}a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\na=candidate:1 1 udp 1 a.local 5000 typ host\r\na=end-of-candidates\r\n`
    )
    assert.isTrue(Result.isSuccess(read))
    if (!Result.isSuccess(read)) return
    const { success: offer } = read
    assert.strictEqual(offer.audioIndex, 2)
    assert.deepStrictEqual([...offer.opus], [111])
    assert.strictEqual(offer.levelId, 1)
    assert.strictEqual(offer.unusable, 1)
    assert.include(offer.sdp, "10.0.0.1 5000")
    assert.notInclude(offer.sdp, "a.local")
    assert.notInclude(offer.sdp, "end-of-candidates")
    assert.notMatch(offer.sdp, /a=rtcp-fb:\d+ transport-cc/)
  })
})
