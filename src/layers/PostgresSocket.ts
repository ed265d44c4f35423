/**
 * A connection to PostgreSQL that ends when the server says nothing: whoever waits for an answer is told.
 */
import { connect, type NetConnectOpts } from "node:net"
import { Duplex } from "node:stream"

export interface PostgresSocketOptions {
  readonly to: NetConnectOpts
  /** The longest time without a byte from the server while it owes us an answer. */
  readonly patienceMs: number
}

/**
 * Every message of ours is answered: silence means that the server, its machine or the network hangs. A statement that is interrupted is
 * no way out, as its connection waits for the server to take note.
 */
export const open = ({ patienceMs, to }: PostgresSocketOptions): Duplex => {
  const socket = connect(to)
  let waiting: NodeJS.Timeout | undefined
  const heard = () => {
    clearTimeout(waiting)
    waiting = undefined
  }
  const asked = () => {
    waiting ??= setTimeout(() => socket.destroy(new Error("the server does not answer")), patienceMs)
  }
  // Not the socket itself: TLS would take over what is under it, and nobody here would see a byte.
  const duplex = new Duplex({
    allowHalfOpen: false,
    read: () => void socket.resume(),
    write: (chunk, _encoding, done) => {
      asked()
      socket.write(chunk, (error) => done(error))
    },
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      heard()
      socket.destroy()
      done(error)
    }
  })
  socket.on("data", (chunk) => {
    heard()
    if (!duplex.push(chunk)) socket.pause()
  })
  socket.on("end", () => duplex.push(null))
  socket.on("error", (error) => duplex.destroy(error))
  socket.on("close", () => duplex.destroy())
  return duplex
}
