/**
 * The calls of this process: their intents, and the loops that run while there are any.
 */
import { Cause, Deferred, Effect, Fiber, FiberSet, Metric, Schedule } from "effect"
import type { IceServer, Intent, RoomToken } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import type { CallStatus, Calls } from "../services/Calls.ts"
import * as CallIntents from "./CallIntents.ts"
import type { CallParts } from "./CallPart.ts"
import type { CallSeat } from "./CallSeat.ts"
import * as Metrics from "./Metrics.ts"
import * as TalkCall from "./TalkCall.ts"

export interface CallKeeping {
  /** What HTTP talks to. Every change is made at once, in memory. */
  readonly calls: Calls["Service"]
  /**
   * Runs the call of a room, or waits for the loop that does; returns when the room is forgotten, or nobody ever asked for it. A call
   * goes on when whoever waits is interrupted; it ends, with its last words, when the scope of the keeping closes.
   */
  readonly run: (room: RoomToken) => Effect.Effect<void>
  /** Rooms that are wanted and that nobody has run yet. */
  readonly waiting: () => ReadonlyArray<RoomToken>
  /** What an earlier process knew, the oldest wish first. Wakes nobody: see `waiting`. */
  readonly restore: (intents: ReadonlyArray<Intent>, iceServers?: ReadonlyArray<IceServer>) => void
  /** What is wanted of a room here. */
  readonly wishes: (room: RoomToken) => Pick<CallIntents.CallIntents, "list" | "language" | "iceServers"> | undefined
  /**
   * Another runner has the call: it is not run again, and what is wanted of it is forgotten here, but not what was recorded. `abandon` leaves a
   * program that still runs to itself; `leave` ends it, with its last words, and returns when that is done.
   */
  readonly abandon: (room: RoomToken) => void
  readonly leave: (room: RoomToken) => Effect.Effect<void>
}

export interface KeepingOptions {
  /** A room has its first intent: somebody has to `run` it. Called once, synchronously. */
  readonly wake: (room: RoomToken) => void
  readonly record?: CallIntents.RecordIntent
  /** No call joins its room before. */
  readonly gate?: Effect.Effect<void>
  /** As what a call runs, where there are several runners; asked each time it begins. */
  readonly seatOf?: (room: RoomToken) => CallSeat | undefined
  /** Voices that other runners hear. */
  readonly heardByOthers?: () => number
  /** With seats: who else may hear voices of a call of this runner. */
  readonly parts?: CallParts
}

export const make = Effect.fnUntraced(function* (options: Partial<TalkCall.TalkCallOptions>, keeping: KeepingOptions) {
  const {
    gate = Effect.void,
    heardByOthers = () => 0,
    parts,
    record = () => {},
    seatOf = () => undefined,
    wake
  } = keeping
  const program = yield* TalkCall.make({ ...TalkCall.defaultOptions, ...options })
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const rooms = new Map<RoomToken, Room>()
  const statuses = () => [...rooms.values()].map((room) => room.status())
  const intentsOf = (token: RoomToken) => rooms.get(token)?.intents

  /** While there are intents, run; the last look at them and forgetting the room are one step, so no click falls between. */
  const keep = Effect.fnUntraced(function* (room: Room) {
    yield* gate
    while (room.intents.list().length > 0 && !room.isLeft) {
      const seat = seatOf(room.intents.room)
      yield* program(room.intents, {
        report: (read) => {
          room.status = read
        },
        heardElsewhere: () =>
          total(statuses(), (status) => (status.room === room.intents.room ? 0 : status.speakers)) + heardByOthers(),
        ...(seat === undefined ? {} : { seat }),
        ...(parts === undefined ? {} : { parts })
      }).pipe(Effect.catchDefect(startAgain))
    }
    forget(room)
  })

  const forget = (room: Room) => {
    const { room: token } = room.intents
    if (rooms.get(token) === room) rooms.delete(token)
    Deferred.doneUnsafe(room.forgotten, Effect.void)
  }

  const abandon = (token: RoomToken): Room | undefined => {
    const room = rooms.get(token)
    if (room === undefined) return undefined
    room.isLeft = true
    forget(room)
    return room
  }

  const open = (token: RoomToken, language: LanguageId): Room => {
    const intents = CallIntents.make(token, language, (intent, isWanted) => {
      if (!room.isLeft) record(intent, isWanted)
    })
    const room: Room = {
      intents,
      forgotten: Deferred.makeUnsafe(),
      running: undefined,
      isLeft: false,
      status: () => connecting(intents)
    }
    rooms.set(token, room)
    return room
  }

  yield* Effect.suspend(() => sample(statuses())).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)

  const made: CallKeeping = {
    calls: {
      start: (intent, given) =>
        Effect.sync(() => {
          const known = rooms.get(intent.room)
          const room = known ?? open(intent.room, intent.language)
          room.intents.add(intent, given?.iceServers)
          if (known === undefined) wake(intent.room)
        }),
      stop: (token, viewer) => Effect.sync(() => intentsOf(token)?.remove(viewer)),
      end: (token) =>
        Effect.sync(() => {
          const intents = intentsOf(token)
          const wasWanted = intents !== undefined && intents.list().length > 0
          intents?.clear()
          return wasWanted
        }),
      endAll: Effect.sync(() => {
        for (const room of rooms.values()) room.intents.clear()
      }),
      setLanguage: (token, language) =>
        Effect.sync(() => {
          const intents = intentsOf(token)
          if (intents === undefined || intents.list().length === 0) return false
          intents.setLanguage(language)
          return true
        }),
      list: Effect.sync(statuses)
    },
    run: (token) =>
      Effect.suspend(() => {
        const room = rooms.get(token)
        if (room === undefined) return Effect.void
        room.running ??= fork(keep(room))
        return Deferred.await(room.forgotten)
      }),
    waiting: () => [...rooms].flatMap(([token, room]) => (room.running === undefined ? [token] : [])),
    restore: (intents, iceServers) => {
      // the newest wish says in which language a room is heard, unless it was asked for meanwhile
      for (const intent of intents.toReversed()) {
        const room = rooms.get(intent.room) ?? open(intent.room, intent.language)
        room.intents.restore(intent, iceServers)
      }
    },
    wishes: intentsOf,
    abandon: (token) => {
      abandon(token)
    },
    leave: (token) =>
      Effect.suspend(() => {
        const running = abandon(token)?.running
        return running === undefined ? Effect.void : Fiber.interrupt(running)
      })
  }
  return made
})

interface Room {
  readonly intents: CallIntents.CallIntents
  readonly forgotten: Deferred.Deferred<void>
  running: Fiber.Fiber<void> | undefined
  /** Another runner has it. */
  isLeft: boolean
  status: TalkCall.ReadStatus
}

/** A defect is ours; the people in the call should notice a pause at most. */
const startAgain = (defect: unknown) =>
  Effect.logError("call failed, joining anew", Cause.die(defect)).pipe(Effect.andThen(Effect.sleep("1 second")))

const connecting = (intents: CallIntents.CallIntents): CallStatus => ({
  room: intents.room,
  state: "Connecting",
  viewers: intents.list().length,
  speakers: 0,
  language: intents.language()
})

const total = (statuses: ReadonlyArray<CallStatus>, of: (status: CallStatus) => number): number =>
  statuses.reduce((sum, status) => sum + of(status), 0)

const sample = Effect.fnUntraced(function* (statuses: ReadonlyArray<CallStatus>) {
  yield* Metric.update(Metrics.roomsActive, statuses.length)
  yield* Metric.update(
    Metrics.speakersActive,
    total(statuses, (status) => status.speakers)
  )
  yield* Metric.update(
    Metrics.viewersActive,
    total(statuses, (status) => status.viewers)
  )
})
