/**
 * A TCP connection's way through a network that can stop carrying bytes: nobody is told, and what was held back arrives later.
 */
import { connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

export interface Wire {
  /** Of the loopback. */
  readonly port: number
  /** No byte passes, nor that a connection has begun or ended; or all passes again, with what was held. `old`: only what is connected now. */
  readonly hold: (what: "all" | "old" | "nothing") => void
}

/** To this port of the loopback. */
export const make = (target: number): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Wire & { readonly close: () => void }>((resume) => {
      const pairs = new Set<readonly [Socket, Socket]>()
      const held = new Set<Socket>()
      let isHeld = false
      const end = (pair: readonly [Socket, Socket]) => {
        for (const socket of pair) {
          held.delete(socket)
          socket.destroy()
        }
        pairs.delete(pair)
      }
      const holdPair = (pair: readonly [Socket, Socket]) => {
        for (const socket of pair) held.add(socket.pause())
      }
      const server = createServer({ noDelay: true }, (near) => {
        const far = connect({ port: target, host: "127.0.0.1", noDelay: true })
        const pair = [near, far] as const
        pairs.add(pair)
        for (const [from, to] of [pair, [far, near] as const]) {
          from.on("data", (bytes) => void to.write(bytes))
          from.on("error", () => undefined)
          from.on("close", () => {
            if (!held.has(from)) end(pair)
          })
        }
        if (isHeld) holdPair(pair)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(
          Effect.succeed({
            port: typeof address === "object" && address !== null ? address.port : 0,
            hold: (what) => {
              isHeld = what === "all"
              if (what !== "nothing") return pairs.forEach(holdPair)
              held.clear()
              for (const pair of pairs) {
                if (pair.some(({ destroyed }) => destroyed)) end(pair)
                else for (const socket of pair) socket.resume()
              }
            },
            close: () => {
              server.close()
              pairs.forEach(end)
            }
          })
        )
      })
    }),
    ({ close }) => Effect.sync(close)
  )
