/**
 * What the lead of a call that is heard in parts asks of the runners of its parts; see `CallPart`. On the socket of `RunnerProtocol`.
 */
import { Schema } from "effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { IceServer, RoomToken, SessionId } from "../domain/Call.ts"
import * as HandOver from "../domain/HandOver.ts"
import { LanguageId } from "../domain/Language.ts"
import { Privacy } from "../domain/Privacy.ts"
import { Incarnation } from "../domain/Seat.ts"

/** Nobody is heard here for that part any more: it has ended, or another lead has it. */
export class NoSuchPart extends Schema.TaggedError<NoSuchPart>()("NoSuchPart", {}) {
  override get message() {
    return "the part of the call does not run on this runner"
  }
}

/** This runner hears for nobody else: it ends. */
export class PartRefused extends Schema.TaggedError<PartRefused>()("PartRefused", {}) {
  override get message() {
    return "the runner hears no part of another call"
  }
}

export const SegmentSchema = Schema.Struct({
  id: Schema.String,
  revision: Schema.Finite,
  committed: Schema.String,
  open: Schema.String,
  startMs: Schema.optionalKey(Schema.Finite),
  endMs: Schema.optionalKey(Schema.Finite),
  tokenAtMs: Schema.Finite,
  final: Schema.optionalKey(
    Schema.Literals([
      "EngineFinal",
      "Silence",
      "SentenceEnd",
      "MaxLength",
      "Commit",
      "StreamEnd",
      "EngineLost",
      "Rotation"
    ])
  )
})

const RankSchema = Schema.Struct({ epoch: Schema.Finite, incarnation: Incarnation })
const VoiceKeySchema = Schema.Struct({ publisher: SessionId, roomType: Schema.Literals(["video", "screen"]) })

const OrderSchema = Schema.Struct({
  lead: RankSchema,
  hears: Schema.Array(VoiceKeySchema),
  keeps: Schema.Array(VoiceKeySchema),
  moved: Schema.Array(Schema.String),
  isHearing: Schema.Boolean,
  turn: Schema.Int,
  language: LanguageId,
  privacy: Privacy,
  /** Only what came with a request; it is shown in no log. */
  iceServers: Schema.UndefinedOr(Schema.RedactedFromValue(Schema.Array(IceServer)))
})

const TranscribedSchema = Schema.Union([
  Schema.Struct({ _tag: Schema.tag("Segment"), segment: SegmentSchema }),
  Schema.Struct({ _tag: Schema.tag("Settled"), position: Schema.Finite }),
  Schema.Struct({ _tag: Schema.tag("Marked"), position: Schema.Finite, said: Schema.String }),
  Schema.Struct({ _tag: Schema.tag("Interrupted"), position: Schema.Finite, samples: Schema.Finite })
])

/** As `PartSaid`; `tokenAtMs` of its segments is how long ago that was: each machine has a clock of its own. */
const SaidSchema = Schema.Struct({
  number: Schema.Int,
  turn: Schema.Int,
  voice: Schema.String,
  key: VoiceKeySchema,
  said: Schema.Array(TranscribedSchema),
  isOver: Schema.Boolean
})

const ResumedSchema = Schema.Struct({
  voice: Schema.String,
  position: Schema.Finite,
  said: Schema.String,
  segments: Schema.Int
})

/** Which one: a runner hears one part of a room at a time, each life of it has a number. */
const which = { room: RoomToken, life: Schema.Int }

/** A part as it runs. */
export const FoundPart = Schema.Struct({ life: Schema.Int, hears: Schema.Array(VoiceKeySchema) })
export type FoundPart = typeof FoundPart.Type

export const PartRpcs = RpcGroup.make(
  /** Whether the runner hears a part of the room. */
  Rpc.make("FindPart", { payload: { room: RoomToken }, success: Schema.Option(FoundPart) }),
  /** It is to hear a part of the room; the one that it hears already is the answer too. */
  Rpc.make("OpenPart", { payload: { room: RoomToken }, success: FoundPart, error: PartRefused }),
  /** At least once a second: a part of which no lead wants anything ends. `order`: what has changed; `taken`: what was said, as acknowledged. */
  Rpc.make("TellPart", {
    payload: { ...which, order: Schema.optionalKey(OrderSchema), taken: Schema.Array(Schema.Int) },
    success: Schema.Struct({ connected: Schema.Int, isLeaving: Schema.Boolean }),
    error: NoSuchPart
  }),
  /** An answer without anything said: ask how it is. */
  Rpc.make("ListenToPart", {
    payload: { ...which, lead: RankSchema, resumed: Schema.Array(ResumedSchema) },
    success: Schema.Array(SaidSchema),
    error: NoSuchPart,
    stream: true
  }),
  /** What it has heard of these and may not have said. */
  Rpc.make("GivePart", {
    payload: { ...which, voices: Schema.Array(VoiceKeySchema) },
    success: Schema.Array(HandOver.LeftVoice),
    error: NoSuchPart
  }),
  /** Which of these it has kept for long enough; see `Heir`. */
  Rpc.make("KeptInPart", {
    payload: { ...which, voices: Schema.Array(VoiceKeySchema) },
    success: Schema.Array(VoiceKeySchema),
    error: NoSuchPart
  }),
  /** They go on there; the ids of those that do not. May be repeated. */
  Rpc.make("TakeInPart", {
    payload: { ...which, given: Schema.Array(HandOver.LeftVoice) },
    success: Schema.Array(Schema.String),
    error: NoSuchPart
  }),
  /** Its last words are said; answered when they were acknowledged, and nobody is heard any more. */
  Rpc.make("FinishPart", { payload: { ...which, lead: RankSchema }, error: NoSuchPart })
)
