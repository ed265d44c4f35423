/**
 * Our place in one room, whichever socket carries it: what the HPB's messages mean. `SpreedSender` says what we say.
 *
 * Everything here is synchronous; `SpreedSignaling` opens sockets and hands over their messages one by one.
 */
import { type Cause, Effect, FiberMap, Latch, Queue, type Scope, Stream } from "effect"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import { emptyRoster } from "../domain/Roster.ts"
import { type VoiceKey, voiceId } from "../domain/Speaker.ts"
import type { Candidate, SignalingEvent, SignalingSession, SignalingState } from "../services/Signaling.ts"
import * as Metrics from "./Metrics.ts"
import * as RoomFence from "./RoomFence.ts"
import type { HpbSession } from "./SpreedHello.ts"
import * as SpreedOffers from "./SpreedOffers.ts"
import type { PeerMessage, RoomEvent, ServerMessage } from "./SpreedProtocol.ts"
import * as SpreedRoster from "./SpreedRoster.ts"
import * as SpreedSender from "./SpreedSender.ts"
import { SocketLost, type SpreedSocket } from "./SpreedSocket.ts"
import type { TransientChange } from "./SpreedStatus.ts"

export interface SpreedRoom {
  /** All of `SignalingSession` but what `SpreedMarks` adds. */
  readonly session: Omit<SignalingSession, "mark" | "recall">
  /** Completes when the room has been joined for the first time. */
  readonly entered: Effect.Effect<void>
  /** See `SpreedSender`. */
  readonly canKeep: () => boolean
  readonly keep: SpreedSender.SpreedSender["keep"]
  /** A new session of the HPB: asks to join. */
  readonly enter: (socket: SpreedSocket, hpb: HpbSession) => void
  /** The session goes on over a new socket. */
  readonly resume: (socket: SpreedSocket) => void
  /** What a message means; the reason when the socket is of no more use after it. */
  readonly take: (message: ServerMessage) => SocketLost | undefined
  readonly isJoined: () => boolean
  /** The session of the HPB which is in the room, if there is one. */
  readonly resumeId: () => string | undefined
  /** That session is no longer there. */
  readonly forget: () => void
  /** The socket is gone. `true`: with it a joined session, of which others have been told. */
  readonly drop: (lost: SocketLost) => boolean
  readonly refuse: (refusal: { readonly code: string; readonly advice: string }) => void
}

/** Two phases of 10 s each may pass in the HPB, but a publisher who is there is offered at once; asking again is harmless. */
const offerTimeout = "12 seconds"
/** Nobody falls so far behind who still reads. */
const maxUnread = 10_000

export interface RoomOptions {
  /** Takes what the HPB keeps for this room. */
  readonly onTransient?: (change: TransientChange) => void
  /** Where others of ours may be in the room, of which one counts. */
  readonly fence?: RoomFence.RoomFenceOptions
}

export const make = Effect.fnUntraced(function* (
  room: RoomToken,
  { fence: fencing, onTransient }: RoomOptions = {}
): Effect.fn.Return<SpreedRoom, never, Scope.Scope> {
  // Unbounded, since a lost event would leave its reader with a wrong picture for good; from `maxUnread` on the session starts afresh.
  const events = yield* Effect.acquireRelease(Queue.unbounded<SignalingEvent, Cause.Done>(), (queue) =>
    Queue.end(queue)
  )
  const timers = yield* FiberMap.make<string, void>()
  const after = yield* FiberMap.runtime(timers)()
  const unwanted = yield* Metrics.countsOf(Metrics.unknownMessages, { source: "hpb" })
  const unread = yield* Metrics.countsOf(Metrics.drops, { reason: "signaling_events_unread" })
  const resumes = yield* Metrics.countsOf(Metrics.signalingReconnects, { kind: "resume" })
  const rejoins = yield* Metrics.countsOf(Metrics.signalingReconnects, { kind: "rejoin" })
  const firstRequests = yield* Metrics.countsOf(Metrics.offerRequests, { cause: "first" })
  const repeatedRequests = yield* Metrics.countsOf(Metrics.offerRequests, { cause: "again" })

  let state: SignalingState = { _tag: "Connecting" }
  let people: SpreedRoster.RosterState | undefined
  let wasJoined = false
  let isOut = false
  let hpbResumeId: string | undefined
  /** `hpbResumeId` while that session is in the room. */
  let resumeId: string | undefined
  /** The join that is not answered yet. */
  let joinId: string | undefined
  const entered = yield* Latch.make(false)
  const offers = SpreedOffers.make()
  const sender = SpreedSender.make()
  const fence = yield* RoomFence.make(fencing, {
    room,
    roster: () => people?.roster ?? emptyRoster,
    sender,
    onOutranked: (by) => emit({ _tag: "Outranked", by })
  })

  const emit = (event: SignalingEvent) => {
    if (Queue.sizeUnsafe(events) >= maxUnread) unread()
    else Queue.offerUnsafe(events, event)
  }

  const joined = () => {
    if (people?.roster.self === undefined || state._tag === "Joined") return
    state = { _tag: "Joined" }
    entered.openUnsafe()
    joinId = undefined
    resumeId = hpbResumeId
    if (wasJoined) rejoins()
    fence?.doubt()
    emit({ _tag: "Joined", roster: people.roster, again: wasJoined })
    wasJoined = true
  }

  const become = (next: SpreedRoster.RosterState) => {
    const before = people
    people = next
    if (before === undefined) return
    if (next.unreadable > before.unreadable) unwanted(next.unreadable - before.unreadable)
    if (next.roster === before.roster) return
    for (const session of before.roster.participants.keys()) {
      if (!next.roster.participants.has(session)) offers.forget(session)
    }
    fence?.follow()
    emit({ _tag: "RosterChanged", roster: next.roster })
  }

  const out = () => {
    if (isOut || people === undefined) return
    isOut = true
    become(SpreedRoster.apply(people, { target: "room", type: "delete" }))
    emit({ _tag: "CallEnded", reason: "RoomDeleted" })
  }

  const takeEvent = (event: RoomEvent) => {
    if (people === undefined) return
    if (event.target === "room" && event.type === "delete") return out()
    become(SpreedRoster.apply(people, event))
    if (event.target === "participants" && event.type === "update" && "all" in event.update) {
      emit({ _tag: "CallEnded", reason: "EndedForAll" })
    }
  }

  const takeMessage = ({ data, sender }: PeerMessage) => {
    if ("seal" in data) return fence?.take(sender.sessionid, data)
    if (!("payload" in data)) return
    if (!("roomType" in data)) return takeMute(sender.sessionid, data.payload.name, data.type === "mute")
    // Only the HPB itself answers for a publisher: what a participant sends to a room or user says so in `sender.type`.
    if (sender.type !== "session") return unwanted()
    const voice: VoiceKey = { publisher: sender.sessionid, roomType: data.roomType }
    const sid = data.sid === undefined ? {} : { sid: data.sid }
    if (data.type === "offer") {
      if (!offers.offered(voice)) return unwanted()
      return emit({ _tag: "Offered", voice, ...sid, sdp: data.payload.sdp })
    }
    if (!offers.wants(voice)) return unwanted()
    const candidate = candidateOf(data.payload.candidate)
    if (candidate !== undefined) emit({ _tag: "CandidateFound", voice, ...sid, candidate })
  }

  const takeMute = (session: SessionId, device: string, muted: boolean) => {
    if (people === undefined || device !== "audio") return
    const next = SpreedRoster.mute(people, session, muted)
    if (next.roster === people.roster) return
    emit({ _tag: "MuteChanged", speaker: session, muted })
    become(next)
  }

  const takeError = (id: string | undefined, code: string): SocketLost | undefined => {
    if (id === undefined) return undefined
    if (id === joinId) {
      if (code !== "already_joined") return new SocketLost({ reason: "Ended", detail: `join refused: ${code}` })
      joined()
      return undefined
    }
    sender.refused(id, code)
    const refused = offers.answerOf(id)
    if (refused === undefined) failRequest(id, code)
    else emit({ _tag: "AnswerRefused", ...refused, code })
    return undefined
  }

  const failRequest = (id: string, code: string) => {
    const voice = offers.fail(id)
    if (voice !== undefined) emit({ _tag: "RequestFailed", voice, code })
  }

  const requestOffer = (voice: VoiceKey) => {
    const id = sender.nextId("offer")
    const request = offers.request(voice, id)
    if (request === undefined) return
    if (!sender.requestOffer(id, voice)) return failRequest(id, "not_connected")
    if (request.isFirst) firstRequests()
    else repeatedRequests()
    after(
      voiceId(voice),
      Effect.andThen(
        Effect.sleep(offerTimeout),
        Effect.sync(() => failRequest(id, "timeout"))
      )
    )
  }

  return {
    session: {
      room,
      events: Stream.fromQueue(events),
      roster: () => people?.roster ?? emptyRoster,
      state: () => state,
      canReachCall: sender.canReachCall,
      keepsFailed: sender.keepsFailed,
      requestOffer,
      answer: (voice, sid, sdp) => offers.answered(sender.answer(voice, sid, sdp), voice, sid),
      sendCandidate: sender.candidate,
      sendTranscript: (to, transcript) =>
        state._tag === "Joined" && !isOut && fence?.isMuted() !== true && sender.transcript(to, transcript),
      confirm: sender.confirm,
      ...(fence === undefined ? {} : { fence })
    },
    entered: entered.await,
    canKeep: sender.canKeep,
    keep: sender.keep,
    enter: (socket, hpb) => {
      sender.attach(socket, hpb)
      people = SpreedRoster.enter(hpb.self)
      isOut = false
      offers.clear()
      resumeId = undefined
      hpbResumeId = hpb.resumeId
      joinId = sender.nextId("join")
      sender.join(joinId, room)
    },
    resume: (socket) => {
      sender.attach(socket)
      resumes()
      state = { _tag: "Joined" }
      fence?.doubt()
      emit({ _tag: "Resumed" })
    },
    take: (message) => {
      if (message.type === "event") takeEvent(message.event)
      else if (message.type === "message") takeMessage(message.message)
      else if (message.type === "transient" && "transient" in message) onTransient?.(message.transient)
      else if (message.type === "error") {
        const lost = takeError(message.id, message.error.code)
        if (lost !== undefined) return lost
      } else if (message.type === "room") {
        if (message.room.roomid === "") out()
        else if (joinId !== undefined && message.id === joinId) joined()
      } else if (message.type === "bye") {
        return new SocketLost({ reason: "Ended", detail: message.bye?.reason ?? "bye" })
      }
      if (Queue.sizeUnsafe(events) < maxUnread) return undefined
      while (Queue.sizeUnsafe(events) > 0) Queue.takeUnsafe(events)
      unread(maxUnread)
      return new SocketLost({ reason: "Unread", detail: `${maxUnread} events wait for their reader` })
    },
    isJoined: () => state._tag === "Joined",
    resumeId: () => resumeId,
    forget: () => {
      resumeId = undefined
    },
    drop: (lost) => {
      sender.detach()
      offers.drop()
      if (!lost.resumable) resumeId = undefined
      if (state._tag !== "Joined") return false
      state = { _tag: "Dropped" }
      emit({ _tag: "Dropped" })
      return true
    },
    refuse: ({ advice, code }) => {
      sender.detach()
      resumeId = undefined
      state = { _tag: "Refused", code, advice }
    }
  }
})

/** An end-of-candidates mark is nothing; an empty or null `sdpMid` is absent. */
const candidateOf = (
  read: {
    readonly candidate: string
    readonly sdpMid?: string | null
    readonly sdpMLineIndex?: number | null
  } | null
): Candidate | undefined => {
  if (read === null || read.candidate === "") return undefined
  return {
    candidate: read.candidate,
    ...(read.sdpMid ? { sdpMid: read.sdpMid } : {}),
    ...(typeof read.sdpMLineIndex === "number" ? { sdpMLineIndex: read.sdpMLineIndex } : {})
  }
}
