/**
 * What runners ask of each other, beside what Effect's cluster asks: on the same socket. Every answer is small.
 */
import { Schema } from "effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { IceServer, NextcloudSessionId, RoomToken, SessionId } from "../domain/Call.ts"
import * as HandOver from "../domain/HandOver.ts"
import { LanguageId } from "../domain/Language.ts"
import { Privacy } from "../domain/Privacy.ts"
import { Incarnation, RunnerAddress } from "../domain/Seat.ts"
import { NoSuchCall, ReaderBehind } from "../services/CaptionFeed.ts"
import { PartRpcs, SegmentSchema } from "./PartProtocol.ts"

/** The call does not run here, or is being given away: whoever has its seat is to be asked, in a moment. */
export class NotSeated extends Schema.TaggedError<NotSeated>()("NotSeated", {}) {
  override get message() {
    return "the call does not run on this runner"
  }
}

/** This runner takes no more calls: it ends. */
export class RunnerEnds extends Schema.TaggedError<RunnerEnds>()("RunnerEnds", {}) {
  override get message() {
    return "the runner takes no more calls"
  }
}

const SeatSchema = Schema.Struct({
  room: RoomToken,
  part: Schema.Int,
  address: RunnerAddress,
  incarnation: Incarnation,
  epoch: Schema.Finite
})

const ViewerSchema = Schema.Union([
  Schema.Struct({ _tag: Schema.tag("Participant"), session: NextcloudSessionId }),
  Schema.Struct({ _tag: Schema.tag("Everyone") })
])

const IntentSchema = Schema.Struct({
  room: RoomToken,
  viewer: ViewerSchema,
  language: LanguageId,
  privacy: Schema.optionalKey(Privacy)
})

const StatusSchema = Schema.Struct({
  room: RoomToken,
  state: Schema.Literals(["Connecting", "Captioning", "Reconnecting", "Leaving", "Refused"]),
  advice: Schema.optionalKey(Schema.String),
  viewers: Schema.Int,
  speakers: Schema.Int,
  language: LanguageId
})

const CaptionSchema = Schema.Struct({
  room: RoomToken,
  speaker: SessionId,
  speakerName: Schema.optionalKey(Schema.String),
  language: LanguageId,
  segment: SegmentSchema,
  interrupted: Schema.optionalKey(Schema.Struct({ atMs: Schema.Finite, lengthMs: Schema.Finite }))
})

/** A runner as others see it, once a second. */
export const Presence = Schema.Struct({
  incarnation: Incarnation,
  /** It ends, and takes no calls. */
  isEnding: Schema.Boolean,
  /** All that it does, in voices. */
  work: Schema.Finite,
  /** Voices heard now. */
  speakers: Schema.Int,
  /** What its calls are of that. */
  calls: Schema.Array(Schema.Struct({ room: RoomToken, work: Schema.Finite }))
})
export type Presence = typeof Presence.Type

/** What goes with a call to another runner, and is in no database. */
const iceServers = Schema.optionalKey(Schema.Array(IceServer))

/** A call that another runner is to run. `known`: the seat that it takes; absent: nobody has one. `isAlive`: whoever has it will give it. */
export const Vacancy = Schema.Struct({
  room: RoomToken,
  known: Schema.optionalKey(SeatSchema),
  isAlive: Schema.Boolean
})
export type Vacancy = typeof Vacancy.Type

/** A call as it is given away; from then on the giver changes nothing in it. */
export const Given = Schema.Struct({ left: HandOver.Left, intents: Schema.Array(IntentSchema), iceServers })
export type Given = typeof Given.Type

/** The other runner goes on. */
export class NotGiven extends Schema.TaggedError<NotGiven>()("NotGiven", {}) {
  override get message() {
    return "the call is not given away"
  }
}

export const RunnerRpcs = RpcGroup.make(
  Rpc.make("Presence", { success: Presence }),
  /** From one that has just begun: it is looked at now and not at the next look, and has its share of what is asked for next. */
  Rpc.make("Hello", { payload: { address: RunnerAddress } }),
  Rpc.make("Statuses", { success: Schema.Array(StatusSchema) }),
  /** `vacancy`: nobody runs the room, and this runner is to. */
  Rpc.make("Start", {
    payload: { intent: IntentSchema, iceServers, vacancy: Schema.optionalKey(Vacancy) },
    error: Schema.Union([NotSeated, RunnerEnds])
  }),
  Rpc.make("Stop", { payload: { room: RoomToken, viewer: ViewerSchema }, error: NotSeated }),
  Rpc.make("End", { payload: { room: RoomToken }, success: Schema.Boolean, error: NotSeated }),
  Rpc.make("EndAll"),
  Rpc.make("SetLanguage", {
    payload: { room: RoomToken, language: LanguageId },
    success: Schema.Boolean,
    error: NotSeated
  }),
  /** To whoever is to run a call; answered when it is this runner's business, before anything is heard. */
  Rpc.make("Take", {
    payload: { vacancy: Vacancy, intents: Schema.Array(IntentSchema), iceServers },
    error: Schema.Union([NotSeated, RunnerEnds])
  }),
  /** To whoever runs a call: another one should. */
  Rpc.make("Move", { payload: { room: RoomToken, to: RunnerAddress }, error: NotSeated }),
  /** To whoever runs a call, from the one that goes on with it. */
  Rpc.make("Give", {
    payload: { room: RoomToken, epoch: Schema.Finite },
    success: Given,
    error: Schema.Union([NotSeated, NotGiven])
  }),
  Rpc.make("Captions", {
    payload: { room: RoomToken },
    success: CaptionSchema,
    error: Schema.Union([NoSuchCall, ReaderBehind]),
    stream: true
  })
).merge(PartRpcs)
