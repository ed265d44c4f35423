/**
 * Two UDP sockets on this machine: what the one sends is there for the other when `send` returns.
 */
import { createSocket, type Socket } from "node:dgram"
import { once } from "node:events"
import { Effect } from "effect"

export interface UdpPair {
  readonly socket: Socket
  readonly send: (datagram: Uint8Array) => void
  readonly port: number
}

const bound = async (type: "udp4" | "udp6" = "udp4") => {
  const socket = createSocket(type)
  socket.bind(0, type === "udp4" ? "127.0.0.1" : "::1")
  await once(socket, "listening")
  return socket
}

const closed = (socket: Socket) => {
  try {
    socket.close()
  } catch {
    // It was already.
  }
}

/** Both are closed with the scope. */
export const make = (type: "udp4" | "udp6" = "udp4") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const [socket, sender] = [await bound(type), await bound(type)]
      // Connected, so that nothing is looked up.
      sender.connect(socket.address().port, socket.address().address)
      await once(sender, "connect")
      return { socket, sender }
    }),
    ({ sender, socket }) =>
      Effect.sync(() => {
        closed(socket)
        closed(sender)
      })
  ).pipe(
    Effect.map(
      ({ sender, socket }): UdpPair => ({
        socket,
        send: (datagram) => sender.send(datagram),
        port: sender.address().port
      })
    )
  )
