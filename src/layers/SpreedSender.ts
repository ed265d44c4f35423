/**
 * What we say to the HPB over whichever socket there is: requests with ids of their own, and captions in the form this HPB accepts.
 */
import { Effect } from "effect"
import type { RoomToken, SessionId } from "../domain/Call.ts"
import type { VoiceKey } from "../domain/Speaker.ts"
import type { Candidate, Recipient, Transcript } from "../services/Signaling.ts"
import type { HpbSession } from "./SpreedHello.ts"
import type { ClientMessage, OwnMessage } from "./SpreedProtocol.ts"
import type { RankMessage } from "./SpreedRank.ts"
import type { SpreedSocket } from "./SpreedSocket.ts"

export interface SpreedSender {
  /** From now on over this socket; `hpb` with a new session. */
  readonly attach: (socket: SpreedSocket, hpb?: HpbSession) => void
  readonly detach: () => void
  /** An id no other request of this room has. */
  readonly nextId: (kind: "join" | "offer") => string
  readonly join: (id: string, room: RoomToken) => void
  readonly requestOffer: (id: string, voice: VoiceKey) => boolean
  /** Gives the id of the message. */
  readonly answer: (voice: VoiceKey, sid: string | undefined, sdp: string) => string
  readonly candidate: (voice: VoiceKey, sid: string | undefined, candidate: Candidate) => void
  readonly transcript: (to: Recipient, transcript: Transcript) => boolean
  /** A request was refused; an HPB which calls a caption invalid wants another form. */
  readonly refused: (id: string, code: string) => void
  readonly canReachCall: () => boolean
  /** Whether the HPB keeps the status of phone calls (since 1.2). */
  readonly canKeep: () => boolean
  /** Has the HPB keep a text for the sessions of `room`, or forget it: as the status of a phone call with this id. */
  readonly keep: (room: RoomToken, callId: string, text: string | undefined) => boolean
  readonly keepsFailed: () => boolean
  readonly confirm: Effect.Effect<boolean>
  /** The same, and everything that the HPB had sent by then was taken. */
  readonly roundTrip: Effect.Effect<boolean>
  /** To another session of ours. */
  readonly rank: (to: SessionId, message: RankMessage) => boolean
}

/** HPBs from 1.0 until 1.3 refuse captions without a `roomType`; unreadable versions get one too, it never hurts. */
const needsRoomType = (version: string): boolean => !/^(0\.|1\.([3-9]|\d\d)|[2-9]|\d\d)/.test(version)
/** Until 2.0.2 an HPB keeps subscriptions that came to nothing. */
const keepsFailed = (version: string): boolean => /^([01]\.|2\.0\.[0-2](?!\d))/.test(version)

export const make = (): SpreedSender => {
  let socket: SpreedSocket | undefined
  let features: ReadonlySet<string> = new Set()
  let version = ""
  let addsRoomType = false
  let sent = 0

  const nextId = (kind: string) => `${kind}-${++sent}`
  const send = (message: ClientMessage): boolean => socket?.send(message) ?? false
  const message = (id: string, recipient: OwnMessage["recipient"], data: OwnMessage["data"]): boolean =>
    send({ id, type: "message", message: { recipient, data } })
  const toPublisher = (id: string, { publisher }: VoiceKey, data: OwnMessage["data"]): boolean =>
    message(id, { type: "session", sessionid: publisher }, data)

  return {
    attach: (opened, hpb) => {
      socket = opened
      if (hpb === undefined) return
      features = hpb.features
      version = hpb.version
      addsRoomType = needsRoomType(version)
    },
    detach: () => {
      socket = undefined
    },
    nextId,
    join: (id, room) => {
      send({ id, type: "room", room: { roomid: room } })
    },
    requestOffer: (id, voice) => toPublisher(id, voice, { type: "requestoffer", roomType: voice.roomType }),
    answer: (voice, sid, sdp) => {
      const id = nextId("answer")
      toPublisher(id, voice, { type: "answer", ...subscription(voice, sid), payload: { type: "answer", sdp } })
      return id
    },
    candidate: (voice, sid, candidate) => {
      toPublisher(nextId("candidate"), voice, {
        type: "candidate",
        ...subscription(voice, sid),
        payload: { candidate }
      })
    },
    transcript: (to, transcript) => {
      if (to._tag === "Call" && !features.has("recipient-call")) return false
      return message(
        nextId("transcript"),
        to._tag === "Call" ? { type: "call" } : { type: "session", sessionid: to.session },
        { type: "transcript", ...transcript, ...(addsRoomType ? { roomType: "video" } : {}) }
      )
    },
    refused: (id, code) => {
      if (id.startsWith("transcript-") && code === "invalid_format") addsRoomType = true
    },
    canReachCall: () => features.has("recipient-call"),
    canKeep: () => features.has("dialout") && features.has("transient-data"),
    keep: (room, callid, text) => {
      const status =
        text === undefined
          ? { callid, status: "cleared" as const }
          : { callid, status: "connected" as const, message: text }
      return send({
        id: nextId("keep"),
        type: "internal",
        internal: { type: "dialout", dialout: { type: "status", roomid: room, status } }
      })
    },
    keepsFailed: () => keepsFailed(version),
    confirm: Effect.suspend(() => socket?.confirm ?? Effect.succeed(false)),
    roundTrip: Effect.suspend(() => socket?.roundTrip ?? Effect.succeed(false)),
    rank: (to, data) => message(nextId("rank"), { type: "session", sessionid: to }, data)
  }
}

const subscription = ({ publisher, roomType }: VoiceKey, sid: string | undefined) => ({
  to: publisher,
  roomType,
  ...(sid === undefined ? {} : { sid })
})
