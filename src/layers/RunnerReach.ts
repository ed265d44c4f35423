/**
 * Whether a runner can be reached, and what it means when it cannot.
 */
import { connect } from "node:net"
import { Effect, Schema } from "effect"
import { RunnerAddress } from "../domain/Seat.ts"
import { isLoopback } from "./Loopback.ts"

/** The runner did not answer in time, or not at all. It may have done what was asked. */
export class Unanswered extends Schema.TaggedError<Unanswered>()("Unanswered", {
  address: RunnerAddress,
  detail: Schema.String
}) {
  override get message() {
    return `the runner at ${this.address} does not answer: ${this.detail}`
  }
}

const LIMIT_MS = 500

/**
 * Whether certainly no process listens there. Runners listen for as long as they live, and this machine's own system knows who does:
 * where the address is another machine's, silence and refusals prove nothing.
 */
export const isDeserted = (address: RunnerAddress): Effect.Effect<boolean> => {
  const colon = address.lastIndexOf(":")
  const host = address.slice(0, colon)
  if (!isLoopback(host)) return Effect.succeed(false)
  return Effect.callback<boolean>((resume) => {
    const socket = connect({ host, port: Number(address.slice(colon + 1)), timeout: LIMIT_MS })
    const answer = (isRefused: boolean) => {
      socket.destroy()
      resume(Effect.succeed(isRefused))
    }
    socket.once("connect", () => answer(false))
    socket.once("timeout", () => answer(false))
    socket.once("error", (error: NodeJS.ErrnoException) => answer(error.code === "ECONNREFUSED"))
    return Effect.sync(() => socket.destroy())
  })
}
