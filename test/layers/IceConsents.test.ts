/**
 * Two agents of werift's over loopback, of which one gives its consent into our hands; these fail when another werift keeps it another way.
 */
import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { Connection, StunProtocol } from "werift"
import * as IceConsents from "../../src/layers/IceConsents.ts"
import * as StunMessage from "../../src/layers/StunMessage.ts"
import * as WeriftConsent from "../../src/layers/WeriftConsent.ts"
import { until } from "../support/WeriftScene.ts"

const agent = (isControlling: boolean) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const ice = new Connection(isControlling, { useIpv6: false, additionalHostAddresses: ["127.0.0.1"] })
      // werift would ask a server of Google's.
      delete ice.stunServer
      return ice
    }),
    (ice) => Effect.promise(() => ice.close())
  )

const introduce = async (one: Connection, other: Connection) => {
  const { localCandidates, localPassword: password, localUsername: usernameFragment } = other
  one.setRemoteParams({ iceLite: false, usernameFragment, password })
  for (const candidate of localCandidates) await one.addRemoteCandidate(candidate)
  await one.addRemoteCandidate(undefined)
}

/** The socket of the way that an agent has chosen. */
const wayOf = ({ nominated }: Connection) => {
  if (!(nominated?.protocol instanceof StunProtocol)) throw new Error("no way was chosen")
  return { protocol: nominated.protocol, transport: nominated.protocol.transport, to: nominated.remoteAddr }
}

/** A publisher's side and ours, which knows its time and its turns from the test. */
const connect = Effect.fnUntraced(function* (isControlling = false) {
  const theirs = yield* agent(!isControlling)
  const ours = yield* agent(isControlling)
  yield* Effect.promise(async () => {
    await Promise.all([theirs.gatherCandidates(), ours.gatherCandidates()])
    await Promise.all([introduce(theirs, ours), introduce(ours, theirs)])
    await Promise.all([theirs.connect(), ours.connect()])
  })
  // It asks when the test does.
  WeriftConsent.of(theirs)?.takeOver()
  let nowMs = 1000
  let heardMs = Number.NEGATIVE_INFINITY
  let look: (() => void) | undefined
  const consents = IceConsents.make({
    now: () => nowMs,
    every: (next) => {
      look = next
      return () => {
        look = undefined
      }
    }
  })
  const kept = consents.keep(ours, () => heardMs)
  const { transport } = wayOf(ours)
  const handUp = transport.onData
  const done: Array<number> = []
  transport.onData = (datagram, from) => {
    if (kept?.take(datagram, from) === true) done.push(datagram.readUInt16BE(0))
    else handUp(datagram, from)
  }
  return {
    theirs,
    ours,
    kept,
    /** The kinds of what came to our socket and was done with here; some may be checks from before. */
    done,
    isLooking: () => look !== undefined,
    /** Media comes. */
    hear: () => {
      heardMs = nowMs
    },
    /** So many looks of 100 ms. */
    pass: (looks: number) => {
      for (let n = 0; n < looks; n++) {
        nowMs += 100
        look?.()
      }
    },
    /** This process stands still; `first` is what it does then. */
    stall: (ms: number, first = Effect.void) =>
      Effect.suspend(() => {
        nowMs += ms
        return Effect.andThen(
          first,
          Effect.sync(() => look?.())
        )
      })
  }
})

/** A check of the publisher's side, as it would send it. */
const check = (theirs: Connection, ours: Connection, others: ReadonlyArray<Uint8Array> = []) => {
  const name = Buffer.from(`${ours.localUsername}:${theirs.localUsername}`)
  const role = theirs.iceControlling ? StunMessage.ICE_CONTROLLING : StunMessage.ICE_CONTROLLED
  return [
    attribute(StunMessage.USERNAME, name),
    attribute(role, randomBytes(8)),
    attribute(StunMessage.PRIORITY, Buffer.from([110, 0, 1, 255])),
    ...others
  ]
}
const attribute = (type: number, value: Uint8Array) => {
  const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
  bytes.writeUInt16BE(type, 0)
  bytes.writeUInt16BE(value.length, 2)
  bytes.set(value, 4)
  return bytes
}
const request = (attributes: ReadonlyArray<Uint8Array>, password: string) =>
  StunMessage.write(
    StunMessage.BINDING_REQUEST,
    randomBytes(12),
    Buffer.concat(attributes),
    StunMessage.keyOf(password)
  )

const answersIn = (types: ReadonlyArray<number>) => types.filter((type) => type === StunMessage.BINDING_RESPONSE).length

const live = (name: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.scoped(body), 60_000)

describe("IceConsents", () => {
  for (const isControlling of [false, true]) {
    live(
      `asks every five seconds, and is answered as werift would be${isControlling ? ", in the other role too" : ""}`,
      Effect.gen(function* () {
        const { done, ours, pass } = yield* connect(isControlling)
        const { protocol } = wayOf(ours)
        const { sendData } = protocol
        const askedAt: Array<number> = []
        for (let seconds = 0; seconds < 60; seconds += 0.1) {
          protocol.sendData = (datagram, to) => {
            if (datagram.readUInt16BE(0) === StunMessage.BINDING_REQUEST) askedAt.push(seconds)
            return sendData.call(protocol, datagram, to)
          }
          pass(1)
          yield* until("each is answered", () => answersIn(done) === askedAt.length)
        }
        const pauses = askedAt.map((seconds, n) => seconds - (askedAt[n - 1] ?? 0))
        assert.isTrue(pauses.every((pause) => pause > 3.9 && pause < 6.2))
        assert.isAtLeast(pauses.length, 9)
        assert.notStrictEqual(ours.state, "failed")
      })
    )
  }

  live(
    "answers what the other side asks, and werift hears nothing of it",
    Effect.gen(function* () {
      const { ours, theirs } = yield* connect()
      const { protocol, to } = wayOf(theirs)
      const before = ours.nominated?.requestsReceived
      const nominating = check(theirs, ours, [attribute(StunMessage.USE_CANDIDATE, Buffer.alloc(0))])
      const withNews = check(theirs, ours, [attribute(0xc057, Buffer.from([0, 1, 0, 10]))])
      const answers: Array<Buffer> = []
      const { transport } = protocol
      const handUp = transport.onData
      transport.onData = (datagram, from) => {
        answers.push(datagram)
        handUp(datagram, from)
      }
      const asked = [check(theirs, ours), nominating, withNews].map((said) => request(said, ours.localPassword))
      for (const each of asked) yield* Effect.promise(() => protocol.sendData(each, to))
      const answerTo = (message: Buffer) =>
        answers.find((answer) => answer.subarray(8, 20).equals(message.subarray(8, 20)))
      yield* until("three answers", () => asked.every((message) => answerTo(message) !== undefined))
      assert.strictEqual(ours.nominated?.requestsReceived, before)
      const key = StunMessage.keyOf(ours.localPassword)
      for (const each of asked) {
        const answer = answerTo(each) ?? Buffer.alloc(0)
        const message = StunMessage.read(answer)
        assert.strictEqual(message?.type, StunMessage.BINDING_RESPONSE)
        assert.isTrue(message !== undefined && StunMessage.isProven(answer, message, key))
        const mapped = Buffer.from(message?.attributes.get(StunMessage.XOR_MAPPED_ADDRESS) ?? [])
        assert.strictEqual(mapped.readUInt16BE(2) ^ 0x2112, transport.port)
      }
    })
  )

  live(
    "leaves to werift what is not usual: another password, name, role or way, something it does not know, no proof",
    Effect.gen(function* () {
      const { kept, ours, theirs } = yield* connect()
      const from = ours.nominated?.remoteAddr ?? ["", 0]
      const usual = check(theirs, ours)
      const take = (datagram: Buffer, [address, port] = from) => kept?.take(datagram, [address, port])
      assert.isTrue(take(request(usual, ours.localPassword)))
      assert.isFalse(take(request(usual, theirs.localPassword)))
      assert.isFalse(take(request(usual, ours.localPassword), [from[0], from[1] + 1]))
      assert.isFalse(take(request(usual, ours.localPassword), ["127.0.0.9", from[1]]))
      assert.isFalse(take(request(usual.slice(1), ours.localPassword)))
      const anotherName = attribute(StunMessage.USERNAME, Buffer.from("a:b"))
      assert.isFalse(take(request([anotherName, ...usual.slice(1)], ours.localPassword)))
      const ourRole = attribute(StunMessage.ICE_CONTROLLED, randomBytes(8))
      assert.isFalse(take(request([...usual, ourRole].toSpliced(1, 1), ours.localPassword)))
      assert.isFalse(take(request([...usual, attribute(0x7f01, randomBytes(4))], ours.localPassword)))
      assert.isFalse(take(request(usual, ours.localPassword).subarray(0, -8)))
      assert.isFalse(take(Buffer.from([20, 0xfe, 0xfd, 0, 0])))
      const unasked = StunMessage.write(
        StunMessage.BINDING_RESPONSE,
        randomBytes(12),
        Buffer.alloc(0),
        StunMessage.keyOf(theirs.localPassword)
      )
      assert.isFalse(take(unasked))
    })
  )

  live(
    "is over after 30 s without an answer, and not because this process stood still",
    Effect.gen(function* () {
      const { done, isLooking, ours, pass, stall, theirs } = yield* connect()
      wayOf(theirs).transport.onData = () => {}
      pass(250)
      yield* stall(60_000)
      assert.notStrictEqual(ours.state, "failed")
      pass(40)
      assert.notStrictEqual(ours.state, "failed")
      pass(20)
      assert.strictEqual(ours.state, "failed")
      assert.isFalse(isLooking())
      assert.strictEqual(answersIn(done), 0)
    })
  )

  live(
    "nobody who still sends is left because no answer comes: nothing is sent then, and again when one does",
    Effect.gen(function* () {
      const { done, hear, isLooking, ours, pass, theirs } = yield* connect()
      const heard: Array<string> = []
      theirs.onData.subscribe((datagram) => heard.push(String(datagram[1])))
      const say = (what: number) => Effect.promise(() => ours.send(Buffer.from([0x80, what])))
      const { transport } = wayOf(theirs)
      const { onData } = transport
      transport.onData = () => {}
      for (let seconds = 0; seconds < 60; seconds++) {
        hear()
        pass(10)
      }
      assert.notStrictEqual(ours.state, "failed")
      transport.onData = onData
      const answered = answersIn(done)
      yield* say(1)
      pass(70)
      yield* until("it is answered", () => answersIn(done) > answered)
      yield* say(2)
      yield* until("what is sent again is heard", () => heard.length > 0)
      assert.deepStrictEqual(heard, ["2"])
      transport.onData = () => {}
      hear()
      pass(290)
      assert.notStrictEqual(ours.state, "failed")
      pass(20)
      assert.strictEqual(ours.state, "failed")
      assert.isFalse(isLooking())
    })
  )

  live(
    "is over no later where an answer was waiting when this process went on",
    Effect.gen(function* () {
      const { done, ours, pass, stall, theirs } = yield* connect()
      pass(62)
      yield* stall(
        60_000,
        until("it is answered", () => answersIn(done) === 1)
      )
      wayOf(theirs).transport.onData = () => {}
      pass(350)
      assert.strictEqual(ours.state, "failed")
    })
  )

  live(
    "ends with its way, and what is sent by it goes on until then",
    Effect.gen(function* () {
      const { isLooking, kept, ours, pass, theirs } = yield* connect()
      const heard: Array<string> = []
      theirs.onData.subscribe((datagram) => heard.push(String(datagram)))
      yield* Effect.promise(() => ours.send(Buffer.from([0x80, 200])))
      yield* until("it is heard", () => heard.length === 1)
      const usual = request(check(theirs, ours), ours.localPassword)
      const from = ours.nominated?.remoteAddr ?? ["", 0]
      yield* Effect.promise(() => ours.restart())
      assert.isFalse(kept?.take(usual, [from[0], from[1]]))
      assert.isTrue(isLooking())
      pass(1)
      assert.isFalse(isLooking())
    })
  )

  live(
    "takes nothing from a werift that keeps it another way, or that was not answered itself",
    Effect.gen(function* () {
      const { ours } = yield* connect()
      const consents = IceConsents.make({ now: () => 0, every: () => () => {} })
      for (const name of ["stopConsentLifecycle", "buildRequest", "setState", "consentFresh"]) {
        Reflect.set(ours, name, name === "consentFresh" ? false : undefined)
        assert.isUndefined(consents.keep(ours, () => 0))
        Reflect.deleteProperty(ours, name)
        if (name === "consentFresh") Reflect.set(ours, name, true)
      }
      assert.isDefined(consents.keep(ours, () => 0))
      const other = yield* agent(true)
      assert.isUndefined(consents.keep(other, () => 0))
    })
  )
})
