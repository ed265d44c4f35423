/**
 * Captions for everybody in a call, for callers without Nextcloud.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Everyone } from "../domain/Call.ts"
import { known } from "../domain/Language.ts"
import { Calls } from "../services/Calls.ts"
import { BadRequest, NotFound, ServiceApi } from "./Api.ts"
import { Deployment, requireConfiguration, requireRunning } from "./Deployment.ts"
import { languages, status } from "./HealthHttp.ts"

/** Handlers of the calls group. */
export const layer = HttpApiBuilder.group(
  ServiceApi,
  "calls",
  Effect.fnUntraced(function* (handlers) {
    const calls = yield* Calls
    const deployment = yield* Deployment
    const running = yield* requireRunning
    return handlers.handleAll({
      languages: () => languages,
      status,
      start: Effect.fnUntraced(function* ({ payload: { languageId, privacy, roomToken, turnServers } }) {
        const language = languageId ? known(deployment.languages, languageId) : deployment.defaultLanguage
        if (language === undefined) {
          return yield* new BadRequest({ error: "languageId: not one of those that /api/v1/languages lists" })
        }
        yield* requireConfiguration
        yield* running
        const wasRunning = (yield* calls.list).some(({ room }) => room === roomToken)
        yield* calls.start(
          { room: roomToken, viewer: Everyone, language, ...(privacy ? { privacy } : {}) },
          turnServers ? { iceServers: turnServers } : undefined
        )
        const message = wasRunning ? "transcription was already running" : "transcription started"
        return { status: "started" as const, roomToken, message }
      }),
      stop: Effect.fnUntraced(function* ({ params: { roomToken } }) {
        if (!(yield* calls.end(roomToken))) {
          return yield* new NotFound({ error: "there is no transcription in this room" })
        }
        return { status: "stopped" as const, roomToken, message: "transcription stopped" }
      })
    })
  })
)
