/** Reads the events of an engine's session. */
import { Effect, Fiber, Stream } from "effect"
import type { SpeechEvent } from "../../src/domain/Speech.ts"
import type { EngineSession } from "../../src/services/SpeechEngine.ts"

export const listen = Effect.fnUntraced(function* (session: EngineSession) {
  const events: Array<SpeechEvent> = []
  const reading = yield* session.events.pipe(
    Stream.runForEach((event) => Effect.sync(() => events.push(event))),
    Effect.flip,
    Effect.forkScoped
  )
  return {
    events: () => events,
    /** Texts of what was completed. */
    finals: () => events.flatMap((event) => (event._tag === "Completed" ? [event.text ?? ""] : [])),
    /** Why the session ended. */
    end: Effect.orDie(Fiber.join(reading))
  }
})
