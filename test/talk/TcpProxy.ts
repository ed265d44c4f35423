/**
 * A door in front of the HPB that the proof can slam: it cuts what is connected, and can refuse newcomers.
 */
import { connect, createServer, type Socket } from "node:net"
import { Transform } from "node:stream"
import { Effect, type Scope } from "effect"
import { because, type ProofError } from "./ProofError.ts"

export interface TcpProxy {
  /** Connections that stand now. */
  readonly open: () => number
  /** Until the next cut, what clients say (or what is said to them) gets lost here. */
  readonly swallow: (what: "requests" | "answers") => void
  /** Resets every connection. */
  readonly cut: () => void
  /** While refused, newcomers are reset at once. */
  readonly refuse: (refused: boolean) => void
}

/** `tap` sees everything that clients send. */
export const make = (
  port: number,
  target: number,
  tap: (sent: Buffer) => void = () => undefined
): Effect.Effect<TcpProxy, ProofError, Scope.Scope> => {
  const pairs = new Set<readonly [Socket, Socket]>()
  let refused = false
  let swallowed: "requests" | "answers" | undefined
  const unless = (what: "requests" | "answers") =>
    new Transform({
      transform: (chunk, _, done) => {
        if (swallowed === what) done()
        else done(null, chunk)
      }
    })
  const server = createServer({ noDelay: true }, (near) => {
    if (refused) {
      near.resetAndDestroy()
      return
    }
    const far = connect({ port: target, host: "127.0.0.1", noDelay: true })
    const pair = [near, far] as const
    pairs.add(pair)
    near.on("data", tap)
    const [up, down] = [unless("requests"), unless("answers")]
    near.pipe(up)
    up.pipe(far)
    far.pipe(down)
    down.pipe(near)
    for (const one of pair) {
      one.on("error", () => undefined)
      one.on("close", () => {
        near.destroy()
        far.destroy()
        pairs.delete(pair)
      })
    }
  })
  const cut = () => {
    swallowed = undefined
    for (const [near, far] of pairs) {
      near.resetAndDestroy()
      far.destroy()
    }
  }
  const listening = Effect.callback<TcpProxy, ProofError>((resume) => {
    server.on("error", (error) => resume(Effect.fail(because("proxy")(error))))
    server.listen(port, "0.0.0.0", () =>
      resume(
        Effect.succeed({
          open: () => pairs.size,
          swallow: (what) => {
            swallowed = what
          },
          cut,
          refuse: (on) => {
            refused = on
          }
        })
      )
    )
  })
  return Effect.acquireRelease(listening, () =>
    Effect.sync(() => {
      server.close()
      cut()
    })
  )
}
