/**
 * Calls in this process, nothing stored: for tests, embedding and the demo.
 */
import { Cause, Effect, FiberSet, Layer, Metric, Schedule } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { LanguageId } from "../domain/Language.ts"
import { type CallStatus, Calls } from "../services/Calls.ts"
import * as CallIntents from "./CallIntents.ts"
import * as Metrics from "./Metrics.ts"
import * as TalkCall from "./TalkCall.ts"

/** Runs every call in this process. When its scope closes, every call delivers its last words and says bye. */
export const layer = (options: Partial<TalkCall.TalkCallOptions> = {}) =>
  Layer.effect(
    Calls,
    Effect.gen(function* () {
      const program = yield* TalkCall.make({ ...TalkCall.defaultOptions, ...options })
      const fork = yield* FiberSet.makeRuntime<never, void, never>()
      const rooms = new Map<RoomToken, Room>()
      const statuses = () => [...rooms.values()].map((room) => room.status())

      /** While there are intents, run; the last look at them and forgetting the room are one step, so no click falls between. */
      const keep = Effect.fnUntraced(function* (room: Room) {
        while (room.intents.list().length > 0) {
          yield* program(room.intents, {
            report: (read) => {
              room.status = read
            },
            heardElsewhere: () =>
              total(statuses(), (status) => (status.room === room.intents.room ? 0 : status.speakers))
          }).pipe(Effect.catchDefect(startAgain))
        }
        rooms.delete(room.intents.room)
      })
      const roomFor = (token: RoomToken, language: LanguageId): Room => {
        const running = rooms.get(token)
        if (running !== undefined) return running
        const intents = CallIntents.make(token, language)
        const room: Room = { intents, status: () => connecting(intents) }
        rooms.set(token, room)
        // Starts at the next turn, when the intent is in.
        fork(Effect.andThen(Effect.yieldNow, keep(room)))
        return room
      }

      yield* Effect.suspend(() => sample(statuses())).pipe(
        Effect.repeat(Schedule.spaced("1 second")),
        Effect.forkScoped
      )

      return Calls.of({
        start: (intent, given) =>
          Effect.sync(() => roomFor(intent.room, intent.language).intents.add(intent, given?.iceServers)),
        stop: (token, viewer) => Effect.sync(() => rooms.get(token)?.intents.remove(viewer)),
        end: (token) =>
          Effect.sync(() => {
            const intents = rooms.get(token)?.intents
            const wasWanted = intents !== undefined && intents.list().length > 0
            intents?.clear()
            return wasWanted
          }),
        endAll: Effect.sync(() => {
          for (const room of rooms.values()) room.intents.clear()
        }),
        setLanguage: (token, language) =>
          Effect.sync(() => {
            const intents = rooms.get(token)?.intents
            if (intents === undefined || intents.list().length === 0) return false
            intents.setLanguage(language)
            return true
          }),
        list: Effect.sync(statuses)
      })
    })
  )

interface Room {
  readonly intents: CallIntents.CallIntents
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
