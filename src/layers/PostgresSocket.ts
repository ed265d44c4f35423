/**
 * Connections to PostgreSQL that end when the server says nothing: whoever waits for an answer is told.
 */
import { connect, type NetConnectOpts } from "node:net"
import { Duplex } from "node:stream"

export interface PostgresSockets {
  readonly open: () => Duplex
  /** Ends those whose answer is still to come, as if the server had said nothing for long enough. */
  readonly cutOff: () => void
}

export interface PostgresSocketsOptions {
  readonly to: NetConnectOpts
  /** The longest time without a byte from the server while it owes us an answer. */
  readonly patienceMs: number
}

/**
 * Every message of ours is answered: silence means that the server, its machine or the network hangs. A statement that is interrupted is
 * no way out, as its connection waits for the server to take note.
 */
export const make = ({ patienceMs, to }: PostgresSocketsOptions): PostgresSockets => {
  const waiting = new Map<Duplex, NodeJS.Timeout>()
  const cut = (duplex: Duplex) => duplex.destroy(new Error("the server does not answer"))
  const heard = (duplex: Duplex) => {
    clearTimeout(waiting.get(duplex))
    waiting.delete(duplex)
  }
  const asked = (duplex: Duplex) => {
    if (!waiting.has(duplex)) waiting.set(duplex, setTimeout(cut, patienceMs, duplex))
  }
  return {
    open: () => {
      const socket = connect(to)
      // Not the socket itself: TLS would take over what is under it, and nobody here would see a byte.
      const duplex = new Duplex({
        allowHalfOpen: false,
        read: () => void socket.resume(),
        write: (chunk, _encoding, done) => {
          asked(duplex)
          socket.write(chunk, (error) => done(error))
        },
        final: (done) => void socket.end(done),
        destroy: (error, done) => {
          heard(duplex)
          socket.destroy()
          done(error)
        }
      })
      socket.on("data", (chunk) => {
        heard(duplex)
        if (!duplex.push(chunk)) socket.pause()
      })
      socket.on("end", () => duplex.push(null))
      socket.on("error", (error) => duplex.destroy(error))
      socket.on("close", () => duplex.destroy())
      return duplex
    },
    cutOff: () => {
      for (const duplex of [...waiting.keys()]) cut(duplex)
    }
  }
}
