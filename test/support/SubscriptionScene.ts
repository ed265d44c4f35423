/**
 * Subscriptions of one call with a scripted session and scripted peers around them.
 */
import { Effect, Layer, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type IceServer, RoomToken, SessionId } from "../../src/domain/Call.ts"
import { InCall, type Participant, type Roster } from "../../src/domain/Roster.ts"
import { type VoiceKey, voiceId } from "../../src/domain/Speaker.ts"
import * as Subscriptions from "../../src/layers/Subscriptions.ts"
import {
  Signaling,
  type SignalingEvent,
  type SignalingSession,
  type SignalingState
} from "../../src/services/Signaling.ts"
import * as ScriptedPeers from "./ScriptedPeers.ts"

export const id = (name: string): SessionId => SessionId.make(name)
export const voiceOf = (name: string, roomType: VoiceKey["roomType"] = "video"): VoiceKey => ({
  publisher: id(name),
  roomType
})
export const talking = InCall.IN_CALL | InCall.WITH_AUDIO

export interface Spare {
  readonly events: Queue.Queue<SignalingEvent>
  readonly requests: Array<string>
  /** As "voice sid". */
  readonly answers: Array<string>
  isOver: boolean
}

export const make = Effect.fnUntraced(function* (
  options: {
    readonly maxVoices?: number
    readonly screenShares?: boolean
    readonly iceServers?: Effect.Effect<ReadonlyArray<IceServer>>
    /** The HPB is one before 2.0.3. */
    readonly keepsFailed?: boolean
  } = {}
) {
  const peers = ScriptedPeers.make()
  const people = new Map<SessionId, Participant>()
  const requests: Array<string> = []
  const answers: Array<string> = []
  const ownCandidates: Array<string> = []
  const heard: Array<string> = []
  const voices: Array<string> = []
  let state: SignalingState = { _tag: "Joined" }
  let isSpeaking = false
  let roster: Roster = { self: id("parlance"), participants: new Map() }

  const session: SignalingSession = {
    room: RoomToken.make("room1"),
    events: Stream.never,
    roster: () => roster,
    state: () => state,
    canReachCall: () => false,
    keepsFailed: () => options.keepsFailed ?? false,
    requestOffer: (voice) => requests.push(voiceId(voice)),
    answer: (voice, sid, sdp) => answers.push(`${voiceId(voice)} ${sid}: ${sdp}`),
    sendCandidate: (voice, sid, { candidate }) => ownCandidates.push(`${voiceId(voice)} ${sid}: ${candidate}`),
    sendTranscript: () => true,
    confirm: Effect.succeed(true),
    mark: () => {},
    recall: Effect.undefined
  }
  const spares: Array<Spare> = []
  const signaling = Layer.succeed(Signaling, {
    refusal: () => undefined,
    join: () =>
      Effect.gen(function* () {
        const events = yield* Queue.unbounded<SignalingEvent>()
        const spare: Spare = { events, requests: [], answers: [], isOver: false }
        yield* Effect.acquireRelease(
          Effect.sync(() => spares.push(spare)),
          () =>
            Effect.sync(() => {
              spare.isOver = true
            })
        )
        return {
          ...session,
          events: Stream.fromQueue(events),
          state: () => ({ _tag: "Joined" as const }),
          requestOffer: (voice: VoiceKey) => spare.requests.push(voiceId(voice)),
          answer: (voice: VoiceKey, sid: string | undefined) => spare.answers.push(`${voiceId(voice)} ${sid}`)
        }
      })
  })
  const make = Subscriptions.make({
    session,
    iceServers: options.iceServers ?? Effect.succeed([]),
    screenShares: options.screenShares ?? false,
    maxVoices: () => options.maxVoices ?? 100,
    onVoice: (voice) => {
      voices.push(`start ${voiceId(voice)}`)
      return { onPacket: ({ sequenceNumber }) => heard.push(`${voice.publisher} ${sequenceNumber}`) }
    },
    onVoiceEnd: (voice) => voices.push(`end ${voiceId(voice)}`),
    isSpeaking: () => isSpeaking
  }).pipe(Effect.provide([peers.layer, signaling]))
  const subscriptions = yield* make

  /** Everything that can run without time passing has run. */
  const settle = TestClock.adjust(0)
  const tell = (event: SignalingEvent) => Effect.andThen(subscriptions.handle(event), settle)
  const tellRoster = Effect.suspend(() => {
    roster = { ...roster, participants: new Map(people) }
    return tell({ _tag: "RosterChanged", roster })
  })
  const change = (name: string, news: Partial<Participant>) =>
    Effect.suspend(() => {
      const before = people.get(id(name)) ?? { session: id(name), inCall: 0, internal: false, virtual: false }
      people.set(id(name), { ...before, ...news })
      return tellRoster
    })
  const taken = <A>(list: Array<A>) => list.splice(0)

  return {
    subscriptions,
    /** Others of the same call, which were told nothing yet. */
    later: make,
    peers,
    session,
    signaling,
    settle,
    tell,
    change,
    enter: (...names: ReadonlyArray<string>) =>
      Effect.forEach(names, (name) => change(name, { inCall: talking }), { discard: true }),
    leave: (name: string) =>
      Effect.suspend(() => {
        people.delete(id(name))
        return tellRoster
      }),
    offer: (name: string, sid?: string, roomType: VoiceKey["roomType"] = "video") =>
      tell({
        _tag: "Offered",
        voice: voiceOf(name, roomType),
        ...(sid === undefined ? {} : { sid }),
        sdp: `offer ${sid ?? "without sid"}`
      }),
    candidate: (name: string, sid: string | undefined, candidate: string) =>
      tell({
        _tag: "CandidateFound",
        voice: voiceOf(name),
        ...(sid === undefined ? {} : { sid }),
        candidate: { candidate }
      }),
    fail: (name: string, roomType: VoiceKey["roomType"] = "video", code = "client_not_found") =>
      tell({ _tag: "RequestFailed", voice: voiceOf(name, roomType), code }),
    /** Every further place that was taken in the room, oldest first. */
    spares: () => spares,
    tellSpare: (spare: Spare | undefined, event: SignalingEvent) =>
      Effect.suspend(() => {
        if (spare !== undefined) Queue.offerUnsafe(spare.events, event)
        return settle
      }),
    setState: (next: SignalingState) => {
      state = next
    },
    setSpeaking: (speaks: boolean) => {
      isSpeaking = speaks
    },
    /** Our place in the room is another one. */
    joinAnew: Effect.suspend(() => tell({ _tag: "Joined", roster, again: true })),
    /** The ids of everybody are void, nobody is there yet. */
    forgetEverybody: () => {
      people.clear()
      roster = { self: id("parlance-again"), participants: new Map() }
    },
    requests: () => taken(requests),
    answers: () => taken(answers),
    ownCandidates: () => taken(ownCandidates),
    /** Packets handed on since the last look, as "publisher sequence". */
    heard: () => taken(heard),
    voices: () => taken(voices)
  }
})
