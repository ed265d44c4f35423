/**
 * A Talk without sockets, whose rooms are joined and left as slowly as a test wants: each phase of a call can be held.
 */
import { Effect, Latch, Layer, Logger, Stream } from "effect"
import { type Intent, NextcloudSessionId, participant, RoomToken, SessionId } from "../../src/domain/Call.ts"
import { defaultLanguage, kyutaiLanguages } from "../../src/domain/Language.ts"
import * as CallPresence from "../../src/layers/CallPresence.ts"
import * as NoNextcloud from "../../src/layers/NoNextcloud.ts"
import * as OpusDecoder from "../../src/layers/OpusDecoder.ts"
import { PeerConnection } from "../../src/services/PeerConnection.ts"
import { Signaling } from "../../src/services/Signaling.ts"
import { Transcriber } from "../../src/services/Transcriber.ts"
import * as TranscriptSink from "../../src/services/TranscriptSink.ts"

export interface CallPhases {
  /** Rooms joined so far. */
  readonly joins: () => number
  /** In the room now, or on the way in or out. */
  readonly present: (room: RoomToken) => number
  /** Most at a time in one room: more than one would caption twice. */
  readonly most: () => number
  /** Closed: the next one that comes there waits, and `reached` says so. */
  readonly joining: Gate
  readonly delivering: Gate
  readonly leaving: Gate
}

interface Gate {
  readonly hold: Effect.Effect<void>
  readonly release: Effect.Effect<void>
  /** Somebody waits here. */
  readonly reached: () => boolean
  readonly pass: Effect.Effect<void>
}

export const room = RoomToken.make("phases")
export const viewer = participant(NextcloudSessionId.make("nc-vera"))
export const wish: Intent = { room, viewer, language: defaultLanguage }

const gate = (): Gate => {
  const latch = Latch.makeUnsafe(true)
  let waiting = 0
  return {
    hold: Effect.asVoid(latch.close),
    release: Effect.asVoid(latch.open),
    reached: () => waiting > 0,
    pass: Effect.suspend(() => {
      waiting++
      return Effect.ensuring(
        latch.await,
        Effect.sync(() => {
          waiting--
        })
      )
    })
  }
}

/** `lines` is what is logged. `isDeserted`: nobody is in any call. */
export const make = (options: { readonly isDeserted?: boolean } = {}) => {
  const lines: Array<string> = []
  const inside = new Map<RoomToken, number>()
  let joins = 0
  let most = 0
  const phases: CallPhases = {
    joins: () => joins,
    present: (token) => inside.get(token) ?? 0,
    most: () => most,
    joining: gate(),
    delivering: gate(),
    leaving: gate()
  }
  const count = (token: RoomToken, by: number) => {
    const now = phases.present(token) + by
    inside.set(token, now)
    most = Math.max(most, now)
  }
  const vera = {
    session: SessionId.make("hpb-vera"),
    nextcloudSession: NextcloudSessionId.make("nc-vera"),
    inCall: 1,
    internal: false,
    virtual: false
  }
  const roster = {
    self: SessionId.make("hpb-self"),
    participants: new Map(options.isDeserted === true ? [] : [[vera.session, vera]])
  }
  const signaling = Layer.succeed(Signaling, {
    refusal: () => undefined,
    join: (token) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          joins++
          count(token, 1)
        }),
        () =>
          Effect.andThen(
            phases.leaving.pass,
            Effect.sync(() => count(token, -1))
          )
      ).pipe(
        Effect.andThen(Effect.interruptible(phases.joining.pass)),
        Effect.as({
          room: token,
          events: Stream.concat(Stream.succeed({ _tag: "RosterChanged" as const, roster }), Stream.never),
          roster: () => roster,
          state: () => ({ _tag: "Joined" as const }),
          canReachCall: () => true,
          keepsFailed: () => false,
          requestOffer: () => {},
          answer: () => {},
          sendCandidate: () => {},
          sendTranscript: () => true,
          confirm: Effect.succeed(true),
          mark: () => {},
          recall: Effect.undefined
        })
      )
  })
  const sink = Layer.succeed(TranscriptSink.TranscriptSink, {
    open: (call) =>
      Effect.map(TranscriptSink.each(() => {}).open(call), (made) => ({ ...made, drain: phases.delivering.pass }))
  })
  const layer = Layer.mergeAll(
    signaling,
    sink,
    NoNextcloud.layer,
    Layer.mock(PeerConnection, {}),
    OpusDecoder.layerWasm,
    Layer.mock(Transcriber, { languages: kyutaiLanguages, prepare: () => Effect.void }),
    Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
  )
  return { phases, layer, lines }
}

/** Nobody waits long in a test. */
export const presence = { ...CallPresence.defaultLimits, graceMs: 50, absenceMs: 500 }
