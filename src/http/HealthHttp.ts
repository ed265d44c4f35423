/**
 * Health, status, languages: the same on both listeners.
 */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { type CallStatus, Calls } from "../services/Calls.ts"
import { ExAppApi, ServiceApi } from "./Api.ts"
import { Deployment } from "./Deployment.ts"

const sum = (calls: ReadonlyArray<CallStatus>, of: (call: CallStatus) => number) =>
  calls.reduce((total, call) => total + of(call), 0)

const counts = Effect.gen(function* () {
  const calls = yield* (yield* Calls).list
  const nowMs = yield* Clock.currentTimeMillis
  return {
    calls,
    rooms: calls.length,
    speakers: sum(calls, (call) => call.speakers),
    viewers: sum(calls, (call) => call.viewers),
    timestamp: Math.floor(nowMs / 1000)
  }
})

const health = Effect.fnUntraced(function* () {
  const { rooms, speakers, timestamp } = yield* counts
  return { status: "healthy" as const, rooms, speakers, timestamp }
})

const healthHandlers = {
  heartbeat: () => Effect.succeed({ status: "ok" as const }),
  health,
  healthz: health
}

/** What is known, in the order of Talk's menu. */
export const languages = Deployment.useSync((deployment) => deployment.languages)

/** All calls, and what the admin has left to do. */
export const status = Effect.fnUntraced(function* () {
  const { missing, version } = yield* Deployment
  const { calls, rooms, speakers, timestamp, viewers } = yield* counts
  return {
    status: missing.length === 0 ? ("ready" as const) : ("unconfigured" as const),
    version,
    rooms,
    speakers,
    viewers,
    timestamp,
    missing: missing.map(({ description, name }) => ({ name, description })),
    calls: calls.map(({ advice, language, room, speakers, state, viewers }) => ({
      roomToken: room,
      state,
      ...(advice === undefined ? {} : { advice }),
      viewers,
      speakers,
      languageId: language
    }))
  }
})

/** For Nextcloud and the container's health check. */
export const layerExApp = HttpApiBuilder.group(ExAppApi, "health", (handlers) => handlers.handleAll(healthHandlers))

/** For everybody else. */
export const layerService = HttpApiBuilder.group(ServiceApi, "health", (handlers) => handlers.handleAll(healthHandlers))
