/**
 * The HPB's websocket protocol from the server's side: what an internal client may send to the simulated one, and what it gets.
 *
 * Written apart from `SpreedProtocol` on purpose: a simulator that shared the client's schemas would share its mistakes. Paragraphs:
 * https://nextcloud-spreed-signaling.readthedocs.io/en/latest/standalone-signaling-api-v1/
 */
import { Schema } from "effect"

/** The servers whose habits can be simulated. */
export type HpbVersion = "0.4.1" | "1.2.4" | "2.0.2"

const id = Schema.optionalKey(Schema.String)

const Hello = Schema.Struct({
  type: Schema.tag("hello"),
  id,
  hello: Schema.Struct({
    version: Schema.String,
    resumeid: Schema.optionalKey(Schema.String),
    features: Schema.optionalKey(Schema.Array(Schema.String)),
    auth: Schema.optionalKey(
      Schema.Struct({
        type: Schema.String,
        params: Schema.Struct({ random: Schema.String, token: Schema.String, backend: Schema.String })
      })
    )
  })
})
export type Hello = typeof Hello.Type

const Room = Schema.Struct({ type: Schema.tag("room"), id, room: Schema.Struct({ roomid: Schema.String }) })

const Message = Schema.Struct({
  type: Schema.tag("message"),
  id,
  message: Schema.Struct({
    recipient: Schema.Struct({ type: Schema.String, sessionid: Schema.optionalKey(Schema.String) }),
    /** Passed on untouched. */
    data: Schema.Record(Schema.String, Schema.Unknown)
  })
})
export type Message = typeof Message.Type

const InCall = Schema.Struct({
  type: Schema.tag("internal"),
  id,
  internal: Schema.Struct({ type: Schema.tag("incall"), incall: Schema.Struct({ incall: Schema.Int }) })
})

/** The status of a phone call, for a room of any id. */
const Status = Schema.Struct({
  type: Schema.tag("internal"),
  id,
  internal: Schema.Struct({
    type: Schema.tag("dialout"),
    dialout: Schema.Struct({
      type: Schema.tag("status"),
      roomid: Schema.String,
      status: Schema.Struct({
        callid: Schema.String,
        status: Schema.String,
        message: Schema.optionalKey(Schema.String)
      })
    })
  })
})

const Bye = Schema.Struct({ type: Schema.tag("bye"), id })

export const ClientFrame = Schema.Union([Hello, Room, Message, InCall, Status, Bye])
export type ClientFrame = typeof ClientFrame.Type
export const decodeFrame = Schema.decodeUnknownOption(Schema.fromJsonString(ClientFrame))
/** Enough to answer what is not understood. */
export const decodeEnvelope = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ id, type: Schema.optionalKey(Schema.String) }))
)

const roomType = Schema.Literals(["video", "screen"])
const sid = Schema.optionalKey(Schema.String)
/** What the HPB takes for itself instead of passing it on. */
export const MediaData = Schema.Union([
  Schema.Struct({ type: Schema.tag("requestoffer"), roomType, sid }),
  Schema.Struct({
    type: Schema.tag("answer"),
    roomType,
    sid,
    payload: Schema.Struct({ type: Schema.tag("answer"), sdp: Schema.String })
  }),
  Schema.Struct({
    type: Schema.tag("candidate"),
    roomType,
    sid,
    payload: Schema.Struct({
      candidate: Schema.Struct({
        candidate: Schema.String,
        sdpMid: Schema.optionalKey(Schema.String),
        sdpMLineIndex: Schema.optionalKey(Schema.Int)
      })
    })
  })
])
export type MediaData = typeof MediaData.Type
export const decodeMedia = Schema.decodeUnknownOption(MediaData)
export const mediaTypes: ReadonlySet<unknown> = new Set([
  "requestoffer",
  "offer",
  "answer",
  "candidate",
  "endOfCandidates",
  "selectStream",
  "sendoffer"
])

/** What Talk's page reads of a caption. */
export const TranscriptData = Schema.Struct({
  type: Schema.tag("transcript"),
  message: Schema.String,
  langId: Schema.String,
  speakerSessionId: Schema.String,
  final: Schema.optionalKey(Schema.Boolean)
})
export const decodeTranscript = Schema.decodeUnknownOption(TranscriptData)

/** Features of the hello, as the three servers were recorded to announce them to internal clients. */
export const featuresOf = (version: HpbVersion): ReadonlyArray<string> => {
  const common = ["mcu", "simulcast", "virtual-sessions"]
  if (version === "0.4.1") return common
  const since1 = [...common, "dialout", "hello-v2", "incall-all", "switchto", "transient-data", "update-sdp", "welcome"]
  return version === "1.2.4" ? since1 : [...since1, "federation", "join-features", "offer-codecs", "recipient-call"]
}

/** One message, one text frame. */
export const sendTo = (socket: { readonly send: (frame: string) => void }, message: object) =>
  socket.send(JSON.stringify(message))

/** An answer that refuses a request. */
export const failure = (requestId: string | undefined, code: string) => ({
  ...(requestId === undefined ? {} : { id: requestId }),
  type: "error",
  error: { code, message: code.replaceAll("_", " ") }
})

/** A message as its receiver gets it. */
export const relayed = (sender: string, data: object, recipient: "session" | "room" | "call" = "session") => ({
  type: "message",
  message: { sender: { type: recipient, sessionid: sender }, data }
})
