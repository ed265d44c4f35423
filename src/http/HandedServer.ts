/**
 * A server that does not accept its connections but is handed them, already accepted and unread, by whoever listens for it.
 */
import type { Server } from "node:http"
import { Server as SecureServer } from "node:https"
import type { Socket } from "node:net"
import { Effect, Schedule } from "effect"
import type { Bound } from "../supervisor/Messages.ts"

export interface HandedServer {
  readonly take: (socket: Socket) => void
  /** From now on `server.listen` succeeds, at this address, without listening. Before it is called. */
  readonly listenAt: (at: Bound) => void
  /** Takes nothing more; completes when the last connection is gone, those on which nothing is under way at once. */
  readonly close: Effect.Effect<void>
}

/** How often it is looked whether an answer has ended its connection's work. */
const LOOK_EVERY = "20 millis"

export const make = (server: Server, onClosing: () => void): HandedServer => {
  const open = new Set<Socket>()
  let isClosing = false
  // Time limits of requests and the list of connections begin with this.
  server.emit("listening")
  return {
    take: (socket) => {
      if (isClosing) {
        socket.destroy()
        return
      }
      open.add(socket)
      socket.once("close", () => open.delete(socket))
      // As of a connection that a server of HTTP has accepted: who has sent all of a request still gets its answer.
      if (!(server instanceof SecureServer)) socket.allowHalfOpen = true
      server.emit("connection", socket)
    },
    listenAt: (at) => {
      Object.assign(server, {
        address: () => at,
        listen: (_options: unknown, onListening: () => void) => {
          onListening()
          return server
        }
      })
    },
    close: Effect.suspend(() => {
      isClosing = true
      onClosing()
      server.close()
      return Effect.sync(() => {
        server.closeIdleConnections()
        return open.size === 0
      }).pipe(Effect.repeat({ until: (isEmpty) => isEmpty, schedule: Schedule.spaced(LOOK_EVERY) }), Effect.asVoid)
    })
  }
}
