/**
 * `GET /health` of the service while something is measured: how long its event loop keeps others waiting.
 */
import { createServer } from "node:net"
import { Effect, Schedule } from "effect"

export interface HealthAnswer {
  /** When it was asked, ms since 1970; how long the answer took. */
  readonly askedMs: number
  readonly ms: number
  /** It came, and in time. */
  readonly isHealthy: boolean
}

const EVERY = "100 millis"
/** As long as a load balancer waits. */
const PATIENCE_MS = 5000

/** Asks ten times a second, until interrupted, each time from another connection, as a load balancer would. */
export const ask = (port: number, answers: Array<HealthAnswer>): Effect.Effect<unknown> =>
  Effect.gen(function* () {
    const beganMs = performance.now()
    const isHealthy = yield* Effect.tryPromise((signal) =>
      fetch(`http://127.0.0.1:${port}/health`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)])
      }).then((answer) => answer.text().then(() => answer.ok))
    ).pipe(Effect.orElseSucceed(() => false))
    answers.push({ askedMs: performance.timeOrigin + beganMs, ms: performance.now() - beganMs, isHealthy })
  }).pipe(Effect.repeat(Schedule.spaced(EVERY)))

/** A port that was free just now. */
export const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})
