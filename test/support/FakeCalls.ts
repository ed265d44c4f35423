/**
 * Calls that only remember what was asked of them.
 */
import { Effect, Layer } from "effect"
import type { IceServer, Intent, RoomToken, Viewer } from "../../src/domain/Call.ts"
import type { LanguageId } from "../../src/domain/Language.ts"
import { type CallStatus, Calls } from "../../src/services/Calls.ts"

export interface FakeCalls {
  readonly started: Array<Intent & { readonly iceServers?: ReadonlyArray<IceServer> | undefined }>
  readonly stopped: Array<{ readonly room: RoomToken; readonly viewer: Viewer }>
  readonly ended: Array<RoomToken>
  endedAll: number
  readonly rooms: Map<RoomToken, LanguageId>
}

export const make = (): FakeCalls => ({ started: [], stopped: [], ended: [], endedAll: 0, rooms: new Map() })

const statusOf = ([room, language]: readonly [RoomToken, LanguageId]): CallStatus => ({
  room,
  state: "Captioning",
  viewers: 1,
  speakers: 2,
  language
})

export const layer = (fake: FakeCalls): Layer.Layer<Calls> =>
  Layer.succeed(Calls, {
    start: (intent, options) =>
      Effect.sync(() => {
        fake.started.push({ ...intent, iceServers: options?.iceServers })
        fake.rooms.set(intent.room, intent.language)
      }),
    stop: (room, viewer) =>
      Effect.sync(() => {
        fake.stopped.push({ room, viewer })
      }),
    end: (room) =>
      Effect.sync(() => {
        fake.ended.push(room)
        return fake.rooms.delete(room)
      }),
    endAll: Effect.sync(() => {
      fake.endedAll++
      fake.rooms.clear()
    }),
    setLanguage: (room, language) =>
      Effect.sync(() => {
        if (!fake.rooms.has(room)) return false
        fake.rooms.set(room, language)
        return true
      }),
    list: Effect.sync(() => [...fake.rooms].map(statusOf))
  })
