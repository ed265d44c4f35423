/**
 * The websocket messages of Talk's High-Performance Backend, as an internal client reads and writes them: one schema per message.
 *
 * Paragraphs are those of https://nextcloud-spreed-signaling.readthedocs.io/en/latest/standalone-signaling-api-v1/ ; where the document
 * and recorded traffic disagree (`update` is an object, `resumeid` comes again), the traffic is right. Lists of people are decoded entry
 * by entry (`joinEntry`, `userEntry`), so that one unreadable entry does not hide the others.
 */
import { Schema } from "effect"
import { NextcloudSessionId, SessionId } from "../domain/Call.ts"
import { RankData } from "./SpreedRank.ts"
import { StatusMessage, TransientMessage } from "./SpreedStatus.ts"

/** 64 KiB: the HPB itself accepts no larger message from anybody. */
const Sdp = Schema.String.check(Schema.isMaxLength(64 * 1024))
/** A candidate line has some 100 characters. */
const CandidateLine = Schema.String.check(Schema.isMaxLength(2048))
const RequestId = Schema.String.check(Schema.isMaxLength(64))
const SubscriptionId = Schema.String.check(Schema.isMaxLength(128))
const StreamType = Schema.Literals(["video", "screen"])
const Features = Schema.Array(Schema.String)

// ---- What the HPB sends

/** #welcome-message: since 1.0, before the hello. */
const Welcome = Schema.Struct({
  type: Schema.tag("welcome"),
  welcome: Schema.Struct({ version: Schema.optionalKey(Schema.String), features: Schema.optionalKey(Features) })
})

/** #establish-connection and #resuming-sessions: the answer to a hello. */
const HelloResponse = Schema.Struct({
  type: Schema.tag("hello"),
  id: Schema.optionalKey(RequestId),
  hello: Schema.Struct({
    sessionid: SessionId,
    resumeid: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(4096))),
    server: Schema.optionalKey(
      Schema.Struct({ version: Schema.optionalKey(Schema.String), features: Schema.optionalKey(Features) })
    )
  })
})
export type HelloResponse = typeof HelloResponse.Type

/** #errors: carries the id of the request, never the session it was about. */
const ErrorResponse = Schema.Struct({
  type: Schema.tag("error"),
  id: Schema.optionalKey(RequestId),
  error: Schema.Struct({ code: Schema.String.check(Schema.isMaxLength(128)) })
})

/** #releasing-sessions: the answer to our bye, or the HPB ends the session; the body may be missing (2.0). */
const Bye = Schema.Struct({
  type: Schema.tag("bye"),
  bye: Schema.optionalKey(Schema.Struct({ reason: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(128))) }))
})

/** #join-room: the answer to a join, changed properties, or (`roomid` empty) we are out. */
const RoomResponse = Schema.Struct({
  type: Schema.tag("room"),
  id: Schema.optionalKey(RequestId),
  room: Schema.Struct({ roomid: Schema.String })
})

/** #room-events */
const RoomJoin = Schema.Struct({
  target: Schema.tag("room"),
  type: Schema.tag("join"),
  join: Schema.Array(Schema.Unknown)
})
const RoomChange = Schema.Struct({
  target: Schema.tag("room"),
  type: Schema.tag("change"),
  change: Schema.Array(Schema.Unknown)
})
const RoomLeave = Schema.Struct({
  target: Schema.tag("room"),
  type: Schema.tag("leave"),
  leave: Schema.Array(Schema.Unknown)
})
/** Only internal clients get it; a `room` message with an empty id follows. */
const RoomDelete = Schema.Struct({ target: Schema.tag("room"), type: Schema.tag("delete") })

/** #participants-list-events. `users` is all that Nextcloud knew of, with `changed` merged in. */
const ParticipantsUpdate = Schema.Struct({
  target: Schema.tag("participants"),
  type: Schema.tag("update"),
  update: Schema.Struct({ users: Schema.Array(Schema.Unknown) })
})
/** #all-participants-incall-changed-events: Talk only uses it to end a call for everybody. */
const EndForAll = Schema.Struct({
  target: Schema.tag("participants"),
  type: Schema.tag("update"),
  update: Schema.Struct({ all: Schema.Literal(true), incall: Schema.Literals([0, false]) })
})
/** Virtual sessions only: 1 muted speaking, 2 muted listening, 4 talking. */
const ParticipantsFlags = Schema.Struct({
  target: Schema.tag("participants"),
  type: Schema.tag("flags"),
  flags: Schema.Struct({ sessionid: SessionId, flags: Schema.Int })
})
/** #room-list-events, #room-messages and what concerns federation: not for us. */
const OtherEvent = Schema.Union([
  Schema.Struct({ target: Schema.tag("room"), type: Schema.Literals(["message", "switchto"]) }),
  Schema.Struct({
    target: Schema.tag("room"),
    type: Schema.Literals(["federation_interrupted", "federation_resumed"])
  }),
  Schema.Struct({ target: Schema.tag("roomlist"), type: Schema.Literals(["invite", "disinvite", "update"]) })
])
const EventMessage = Schema.Struct({
  type: Schema.tag("event"),
  event: Schema.Union([
    RoomJoin,
    RoomChange,
    RoomLeave,
    RoomDelete,
    ParticipantsUpdate,
    EndForAll,
    ParticipantsFlags,
    OtherEvent
  ])
})
export type RoomEvent = (typeof EventMessage.Type)["event"]

/** A publisher's media; `sid` since 0.5. */
const OfferData = Schema.Struct({
  type: Schema.tag("offer"),
  roomType: StreamType,
  sid: Schema.optionalKey(SubscriptionId),
  payload: Schema.Struct({ type: Schema.tag("offer"), sdp: Sdp })
})
/** Janus leaves `sdpMid` empty on candidates which overtake its own SDP; browsers say `null`. */
const CandidateData = Schema.Struct({
  type: Schema.tag("candidate"),
  roomType: StreamType,
  sid: Schema.optionalKey(SubscriptionId),
  payload: Schema.Struct({
    candidate: Schema.NullOr(
      Schema.Struct({
        candidate: CandidateLine,
        sdpMid: Schema.optionalKey(Schema.NullOr(Schema.String.check(Schema.isMaxLength(64)))),
        sdpMLineIndex: Schema.optionalKey(
          Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
        )
      })
    )
  })
})
/** What Talk's clients tell each other about their devices. */
const MuteData = Schema.Struct({
  type: Schema.Literals(["mute", "unmute"]),
  payload: Schema.Struct({ name: Schema.String.check(Schema.isMaxLength(64)) })
})
/** Whatever else clients say: nicknames, raised hands, reactions, captions. */
const OtherData = Schema.Struct({
  type: Schema.String.check(Schema.isPattern(/^(?!(offer|candidate|mute|unmute)$)/))
})
/** #sending-messages-between-clients. `sender` is written by the HPB; everything in `data` may be made up by a participant. */
const ClientToClient = Schema.Struct({
  type: Schema.tag("message"),
  message: Schema.Struct({
    sender: Schema.Struct({ type: Schema.String, sessionid: SessionId }),
    data: Schema.Union([OfferData, CandidateData, MuteData, RankData, OtherData])
  })
})
export type PeerMessage = (typeof ClientToClient.Type)["message"]

/** #control-messages, other #transient-data and what only SIP bridges need. */
const OtherMessage = Schema.Struct({ type: Schema.Literals(["control", "transient", "internal", "dialout"]) })

export const ServerMessage = Schema.Union([
  Welcome,
  HelloResponse,
  ErrorResponse,
  Bye,
  RoomResponse,
  EventMessage,
  ClientToClient,
  TransientMessage,
  OtherMessage
])
export type ServerMessage = typeof ServerMessage.Type

/** A text frame as a message; none when it is not one we know. */
export const decodeFrame = Schema.decodeUnknownOption(Schema.fromJsonString(ServerMessage))

const DisplayName = Schema.String
/** One entry of `join`; `roomsessionid` (since 0.4.1) is the participant's Nextcloud session. */
export const JoinEntry = Schema.Struct({
  sessionid: SessionId,
  userid: Schema.optionalKey(Schema.String),
  user: Schema.optionalKey(Schema.NullOr(Schema.Struct({ displayname: Schema.optionalKey(DisplayName) }))),
  roomsessionid: Schema.optionalKey(NextcloudSessionId)
})
export const decodeJoinEntry = Schema.decodeUnknownOption(JoinEntry)

/** One entry of `users`: as Nextcloud says it, of our own kind (`internal`), or a phone caller (`virtual`). */
export const UserEntry = Schema.Struct({
  sessionId: Schema.optionalKey(SessionId),
  /** Older servers write it small. */
  sessionid: Schema.optionalKey(SessionId),
  nextcloudSessionId: Schema.optionalKey(NextcloudSessionId),
  /** Flags; older Talk says `true` or `false`. */
  inCall: Schema.optionalKey(Schema.Union([Schema.Int, Schema.Boolean])),
  internal: Schema.optionalKey(Schema.Boolean),
  virtual: Schema.optionalKey(Schema.Boolean),
  userId: Schema.optionalKey(Schema.String),
  displayName: Schema.optionalKey(DisplayName),
  lastPing: Schema.optionalKey(Schema.Finite)
})
export type UserEntry = typeof UserEntry.Type
export const decodeUserEntry = Schema.decodeUnknownOption(UserEntry)

export const decodeSessionId = Schema.decodeUnknownOption(SessionId)

// ---- What we send

/** #client-type-internal. Version 1.0 is accepted by every HPB; with the feature our in-call flag stays 0. */
const InternalHello = Schema.Struct({
  id: Schema.String,
  type: Schema.tag("hello"),
  hello: Schema.Struct({
    version: Schema.tag("1.0"),
    features: Schema.Array(Schema.Literals(["internal-incall"])),
    auth: Schema.Struct({
      type: Schema.tag("internal"),
      params: Schema.Struct({ random: Schema.String, token: Schema.String, backend: Schema.String })
    })
  })
})
/** #resuming-sessions */
const ResumeHello = Schema.Struct({
  id: Schema.String,
  type: Schema.tag("hello"),
  hello: Schema.Struct({ version: Schema.tag("1.0"), resumeid: Schema.String })
})
/** #join-room, without `sessionid`: with one, the HPB would report us to Nextcloud as a participant. */
const JoinRequest = Schema.Struct({
  id: Schema.String,
  type: Schema.tag("room"),
  room: Schema.Struct({ roomid: Schema.String })
})
/** #releasing-sessions */
const ByeRequest = Schema.Struct({ id: Schema.String, type: Schema.tag("bye"), bye: Schema.Struct({}) })

const RequestOfferData = Schema.Struct({ type: Schema.tag("requestoffer"), roomType: StreamType })
const AnswerData = Schema.Struct({
  type: Schema.tag("answer"),
  to: Schema.String,
  roomType: StreamType,
  sid: Schema.optionalKey(Schema.String),
  payload: Schema.Struct({ type: Schema.tag("answer"), sdp: Schema.String })
})
const OwnCandidateData = Schema.Struct({
  type: Schema.tag("candidate"),
  to: Schema.String,
  roomType: StreamType,
  sid: Schema.optionalKey(Schema.String),
  payload: Schema.Struct({
    candidate: Schema.Struct({
      candidate: Schema.String,
      sdpMid: Schema.optionalKey(Schema.String),
      sdpMLineIndex: Schema.optionalKey(Schema.Int)
    })
  })
})
/** Talk's caption. `roomType` means nothing to Talk; HPB 1.x before 1.3 refuses data without it. */
const TranscriptData = Schema.Struct({
  type: Schema.tag("transcript"),
  message: Schema.String,
  langId: Schema.String,
  speakerSessionId: Schema.String,
  final: Schema.Boolean,
  roomType: Schema.optionalKey(Schema.Literals(["video"]))
})
/** #sending-messages-between-clients; recipient `call` needs the feature `recipient-call` (2.0.2). */
const OwnMessage = Schema.Struct({
  id: Schema.String,
  type: Schema.tag("message"),
  message: Schema.Struct({
    recipient: Schema.Union([
      Schema.Struct({ type: Schema.tag("session"), sessionid: Schema.String }),
      Schema.Struct({ type: Schema.tag("call") })
    ]),
    data: Schema.Union([RequestOfferData, AnswerData, OwnCandidateData, TranscriptData, RankData])
  })
})
export type OwnMessage = (typeof OwnMessage.Type)["message"]

export const ClientMessage = Schema.Union([
  InternalHello,
  ResumeHello,
  JoinRequest,
  ByeRequest,
  OwnMessage,
  StatusMessage
])
export type ClientMessage = typeof ClientMessage.Type

export const encodeFrame = Schema.encodeSync(Schema.fromJsonString(ClientMessage))
