/**
 * A participant with a microphone: publishes Opus through Janus with werift and says words when told to, silence otherwise.
 */
import { randomInt } from "node:crypto"
import { Effect, Schema, type Scope } from "effect"
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket } from "werift"
import * as DtlsGoodbye from "../../src/layers/DtlsGoodbye.ts"
import * as SrtpIndex from "../../src/layers/SrtpIndex.ts"
import * as HpbClient from "./HpbClient.ts"
import type { Ledger } from "./Ledger.ts"
import * as Metronome from "./Metronome.ts"
import type { NextcloudFake } from "./NextcloudFake.ts"
import * as PhoneBridge from "./PhoneBridge.ts"
import { attempt, type ProofError, until } from "./ProofError.ts"
import * as RoughNetwork from "./RoughNetwork.ts"
import * as Speech from "./Speech.ts"

export interface SpeakerOptions {
  readonly nextcloud: Pick<NextcloudFake, "backend" | "setInCall">
  readonly ledger: Ledger
  readonly room: string
  readonly name: string
  /** What others see, the name if absent. */
  readonly displayName?: string
  /** Which words are its own. */
  readonly number: number
  readonly roomType?: "video" | "screen"
  /** What it says, and again from the start; by default the words of its number. */
  readonly words?: ReadonlyArray<number>
  /** Between the microphone and Janus lies a bad connection. */
  readonly rough?: boolean
  /** What else lies there. */
  readonly through?: (write: (packet: RtpPacket) => void) => (packet: RtpPacket) => void
  /** Calls by phone: a SIP bridge publishes. */
  readonly phone?: boolean
}

export interface Speaker {
  readonly name: string
  readonly sessionId: () => string
  readonly client: HpbClient.HpbClient
  readonly ncSession: string
  /** Says the next `count` of its words; done when the last sound has left. */
  readonly say: (count: number, options?: { readonly fast?: boolean }) => Effect.Effect<void, ProofError>
  /** Nothing left to say. */
  readonly quiet: () => boolean
  readonly publish: Effect.Effect<void, ProofError>
  readonly unpublish: Effect.Effect<void>
  readonly enterCall: Effect.Effect<void, ProofError>
  readonly leaveCall: Effect.Effect<void, ProofError>
  /** A new session on the HPB, in the call again, published again. */
  readonly comeBack: Effect.Effect<void, ProofError>
}

/** IN_CALL and WITH_AUDIO. */
export const TALKING = 3

const FromMcu = Schema.Struct({
  type: Schema.Literals(["answer", "candidate"]),
  payload: Schema.Struct({
    sdp: Schema.optionalKey(Schema.String),
    candidate: Schema.optionalKey(
      Schema.Struct({
        candidate: Schema.String,
        sdpMid: Schema.optionalKey(Schema.NullOr(Schema.String)),
        sdpMLineIndex: Schema.optionalKey(Schema.NullOr(Schema.Finite))
      })
    )
  })
})
const isFromMcu = Schema.is(FromMcu)
type CandidateInit = NonNullable<(typeof FromMcu.Type)["payload"]["candidate"]>

/**
 * Counts the rounds of sequence numbers as RFC 3711 says, as browsers do: werift misses one that ends within a jump of the numbers, and Janus
 * refuses whatever is sent from then on.
 */
const countRounds = (peer: RTCPeerConnection | undefined) => {
  for (const { srtp } of peer?.dtlsTransports ?? []) {
    let rounds: SrtpIndex.SrtpIndex | undefined
    // Nothing but this microphone is sent.
    srtp.localContext.updateRolloverCount = (sequenceNumber, state) => {
      rounds ??= SrtpIndex.make(sequenceNumber)
      const index = rounds.guess(sequenceNumber)
      rounds.reach(index)
      state.rolloverCounter = Math.floor(index / 0x1_0000)
      state.lastSequenceNumber = sequenceNumber
    }
  }
}

/** The peer connection towards Janus, and the HPB's messages which belong to it. */
const makePublisher = (client: HpbClient.HpbClient, roomType: "video" | "screen") => {
  let peer: RTCPeerConnection | undefined
  let track: MediaStreamTrack | undefined
  let sid = ""
  let answered = false
  const early: Array<CandidateInit> = []
  const toMcu = (data: object) => client.tell(client.sessionId(), { to: client.sessionId(), sid, roomType, ...data })
  const add = async ({ candidate, sdpMLineIndex }: CandidateInit) => {
    if (candidate !== "")
      await peer?.addIceCandidate({ candidate, sdpMLineIndex: sdpMLineIndex ?? 0 }).catch(() => undefined)
  }
  client.onMessage(({ message }) => {
    if (message?.sender.sessionid !== client.sessionId() || !isFromMcu(message.data)) return
    const { payload, type } = message.data
    const { candidate, sdp } = payload
    if (type === "answer" && sdp !== undefined) {
      void peer?.setRemoteDescription({ type: "answer", sdp }).then(async () => {
        answered = true
        // werift throws when a candidate it cannot place waits for the answer: they wait here.
        for (const one of early.splice(0)) await add(one)
      })
    }
    if (type === "candidate" && candidate !== undefined) {
      if (answered) void add(candidate)
      else early.push(candidate)
    }
  })
  const open = async () => {
    early.length = 0
    answered = false
    sid = String(randomInt(1e12))
    const connection = new RTCPeerConnection({
      iceServers: [],
      codecs: {
        audio: [
          new RTCRtpCodecParameters({ mimeType: "audio/opus", clockRate: 48_000, channels: 2, payloadType: 111 })
        ],
        video: []
      }
    })
    peer = connection
    track = new MediaStreamTrack({ kind: "audio" })
    connection.addTransceiver(track, { direction: "sendonly" })
    await connection.setLocalDescription(await connection.createOffer())
    toMcu({ type: "offer", payload: { nick: "speaker", type: "offer", sdp: connection.localDescription?.sdp } })
  }
  return {
    open,
    connected: () => peer?.connectionState === "connected",
    close: async () => {
      // As a browser does: Janus hangs up at once.
      for (const { dtls, iceTransport } of peer?.dtlsTransports ?? [])
        if (dtls) void DtlsGoodbye.say(dtls, iceTransport)
      await peer?.close()
      peer = undefined
    },
    /** Before the first packet. */
    countRounds: () => countRounds(peer),
    write: (packet: RtpPacket) => track?.writeRtp(packet)
  }
}

/** Says words of its own, each once before any comes again, one frame per tick. */
const makeMouth = (options: SpeakerOptions, voice: Speech.Voice, write: (packet: RtpPacket) => void) => {
  const vocabulary = options.words ?? Speech.vocabularyOf(options.number)
  let spoken = 0
  let sequenceNumber = randomInt(0xffff)
  let timestamp = randomInt(0xffffffff)
  const ssrc = randomInt(0xffffffff)
  return {
    tick: () => {
      const frame = voice.nextFrame()
      sequenceNumber = (sequenceNumber + 1) & 0xffff
      timestamp = (timestamp + 960) >>> 0
      const header = new RtpHeader({ payloadType: 111, sequenceNumber, timestamp, ssrc, marker: false })
      const now = HpbClient.machineMs()
      write(new RtpPacket(header, Buffer.from(frame.packet)))
      // A microphone would deliver the frame at its end: the sound is as old as what follows it in the frame.
      for (const { beforeEndMs, word } of frame.ends) {
        options.ledger.note({ word, speaker: options.name, atMs: now - beforeEndMs })
      }
    },
    say: (count: number, fast: boolean) => {
      const words = Array.from({ length: count }, (_, i) => vocabulary[(spoken + i) % vocabulary.length] ?? 0)
      const said = Speech.utterance(words, { speaker: options.number, firstSequence: spoken % 16, fast, paddingMs: 0 })
      spoken += count
      voice.say(said.pcm, said.words)
    },
    quiet: voice.quiet
  }
}

/** How a participant comes to be in the call under a name: in a browser, or by phone. */
const entrance = (options: SpeakerOptions, ncSession: string) =>
  Effect.gen(function* () {
    const { ledger, name, nextcloud, room } = options
    const { backend } = nextcloud
    if (options.phone === true) {
      const bridge = yield* PhoneBridge.join({ caller: name, room, backend })
      const enterCall = Effect.map(bridge.enterCall, (caller) => ledger.name(caller, name))
      return { client: bridge.client, enterCall }
    }
    const { displayName = name } = options
    const client = yield* HpbClient.join({ userId: name, displayName, room, ncSession, backend })
    const enterCall = Effect.suspend(() => {
      ledger.name(client.sessionId(), name)
      return Effect.asVoid(nextcloud.setInCall(room, ncSession, TALKING))
    })
    return { client, enterCall }
  })

/** In the call and publishing, for as long as the scope. */
export const make = (options: SpeakerOptions): Effect.Effect<Speaker, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const { name, nextcloud, room } = options
    const ncSession = `nc-${name}-${randomInt(1e9)}`
    const { client, enterCall } = yield* entrance(options, ncSession)
    const publisher = makePublisher(client, options.roomType ?? "video")
    const through = options.through ?? (options.rough === true ? RoughNetwork.through : undefined)
    const mouth = makeMouth(options, yield* Speech.voice, through?.(publisher.write) ?? publisher.write)
    const publish = attempt(`${name} publishes`, publisher.open).pipe(
      Effect.andThen(until(`${name} to publish`, publisher.connected)),
      Effect.andThen(Effect.sync(publisher.countRounds)),
      Effect.andThen(Effect.sync(() => Metronome.start(mouth.tick)))
    )
    const unpublish = Effect.promise(async () => {
      Metronome.stop(mouth.tick)
      await publisher.close()
    })
    yield* Effect.addFinalizer(() => unpublish)
    yield* enterCall
    yield* publish
    return {
      name,
      sessionId: client.sessionId,
      client,
      ncSession,
      say: (count, { fast = false } = {}) =>
        Effect.sync(() => mouth.say(count, fast)).pipe(
          Effect.andThen(until(`${name} to finish`, mouth.quiet, 120_000))
        ),
      quiet: mouth.quiet,
      publish: Effect.asVoid(publish),
      unpublish,
      enterCall,
      leaveCall: unpublish.pipe(Effect.andThen(nextcloud.setInCall(room, ncSession, 0))),
      comeBack: unpublish.pipe(
        Effect.andThen(client.rejoin),
        Effect.andThen(enterCall),
        Effect.andThen(publish),
        Effect.asVoid
      )
    }
  })
