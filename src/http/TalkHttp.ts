/**
 * Talk's side of an ExApp: a viewer wants captions, a moderator changes the language. Talk gives us three seconds and never asks twice,
 * so every answer says that the wish is recorded, not that it is fulfilled.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { participant, type RoomToken } from "../domain/Call.ts"
import { known } from "../domain/Language.ts"
import { Calls } from "../services/Calls.ts"
import { ViewerLanguages } from "../services/ViewerLanguages.ts"
import { BadRequest, ExAppApi, NoTranslation, NotFound } from "./Api.ts"
import { userOf } from "./Auth.ts"
import { Deployment, requireConfiguration, requireRunning } from "./Deployment.ts"
import { Enablement } from "./Enablement.ts"
import { languages, status } from "./HealthHttp.ts"

/** Handlers of the talk group. */
export const layer = HttpApiBuilder.group(
  ExAppApi,
  "talk",
  Effect.fnUntraced(function* (handlers) {
    const calls = yield* Calls
    const deployment = yield* Deployment
    const enablement = yield* Enablement
    const running = yield* requireRunning
    const viewerLanguages = yield* ViewerLanguages

    /** For a request that names none: what this user read in, what the call is heard in, what the admin has set. */
    const usual = Effect.fnUntraced(function* (room: RoomToken, user: string | undefined) {
      const last = known(deployment.languages, yield* viewerLanguages.last(room, user))
      if (last !== undefined) return last
      const running = (yield* calls.list).find((call) => call.room === room && call.viewers > 0)
      return running?.language ?? deployment.defaultLanguage
    })
    return handlers.handleAll({
      languages: () => languages,
      status,
      transcribe: Effect.fnUntraced(function* ({ payload: { enable, langId, ncSessionId, roomToken }, request }) {
        const viewer = participant(ncSessionId)
        if (!enable) {
          yield* calls.stop(roomToken, viewer)
          return { message: "transcription stopped" }
        }
        yield* enablement.require
        yield* requireConfiguration
        yield* running
        // A room may still have a language of another app, and failing would only show that something failed.
        const named = known(deployment.languages, langId ?? undefined)
        const user = userOf(request.headers)
        const language = named ?? (yield* usual(roomToken, user))
        if (named !== undefined && user !== undefined) yield* viewerLanguages.choose(roomToken, user, named)
        yield* calls.start({ room: roomToken, viewer, language })
        return { message: "transcription started" }
      }),
      setLanguage: Effect.fnUntraced(function* ({ payload: { langId, roomToken } }) {
        const language = known(deployment.languages, langId)
        if (language === undefined) return yield* new BadRequest({ error: "langId: not a language of this app" })
        yield* viewerLanguages.chooseForAll(roomToken, language)
        if (!(yield* calls.setLanguage(roomToken, language))) {
          return yield* new NotFound({ error: "nobody reads along in this room" })
        }
        return { message: "language changed" }
      }),
      leave: ({ payload: { roomToken } }) =>
        Effect.map(calls.end(roomToken), (wasThere) => ({
          message: wasThere ? "left the call" : "there was no call to leave"
        })),
      setTargetLanguage: () => Effect.fail(new NoTranslation({ error: "this app does not translate" }))
    })
  })
)
