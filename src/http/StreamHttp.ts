/**
 * What a client of the streaming sockets may use, and what it would get: asked over HTTP before it opens one.
 */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Engines } from "../services/Engines.ts"
import { Asking, ServiceApi } from "./Api.ts"
import { Quotas } from "./Quotas.ts"

/** Handlers of the stream group. */
export const layer = HttpApiBuilder.group(
  ServiceApi,
  "stream",
  Effect.fnUntraced(function* (handlers) {
    const engines = yield* Engines
    const quotas = yield* Quotas
    return handlers.handleAll({
      limits: Effect.fnUntraced(function* () {
        const grant = yield* Asking
        const { activeStreams, refusal, spentSeconds } = yield* quotas.usage(grant)
        const { concurrentStreams, isAdmin, minutesPerDay = null, subject } = grant
        const used = minutesOf(spentSeconds)
        const canStart = refusal === undefined
        return {
          user_id: subject,
          tier: isAdmin ? ("admin" as const) : ("standard" as const),
          limits: { daily_minutes: minutesPerDay, concurrent_streams: concurrentStreams },
          used_today_minutes: used,
          remaining_minutes: minutesPerDay === null ? null : Math.max(0, minutesOf(minutesPerDay * 60 - spentSeconds)),
          active_streams: activeStreams,
          can_start_stream: canStart,
          _can_start_stream: canStart
        }
      }),
      streamStatus: () =>
        Effect.sync(() => {
          const usable = engines.filter(({ health }) => health().state !== "Failing")
          const known = engines.map(({ engine }) => engine.capabilities)
          return {
            status: usable.length > 0 ? ("available" as const) : ("unavailable" as const),
            available_models: known.map(({ model, name }) => model ?? name),
            websocket_endpoint: "/api/v1/audio/stream/transcribe" as const,
            supported_features: {
              partial_results: known.some(({ partials }) => partials !== "none"),
              multiple_languages: known.some(({ languages }) => Object.keys(languages).length > 1),
              concurrent_streams: true,
              segment_metadata: true,
              live_insights: false,
              meeting_notes: false,
              speaker_diarization: false,
              audio_persistence: false
            }
          }
        })
    })
  })
)

/** To the hundredth, as such pages show them. */
const minutesOf = (seconds: number) => Math.round(seconds / 0.6) / 100
