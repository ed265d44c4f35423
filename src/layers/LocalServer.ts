/**
 * An HTTP server of a simulator: on loopback only, gone with its scope.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { Server } from "node:net"
import type { Duplex } from "node:stream"
import { Effect, Schema, type Scope } from "effect"

/** The port is taken or may not be used. */
export class LocalServerError extends Schema.TaggedError<LocalServerError>()("LocalServerError", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

export interface LocalServerHandlers {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void
}

/**
 * Serves HTTP and what it is upgraded to on 127.0.0.1 (port 0: any free one) and gives the port. Connections that are still open when the scope
 * closes are cut.
 */
export const listen = (
  port: number,
  handlers: LocalServerHandlers
): Effect.Effect<number, LocalServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = createServer(handlers.onRequest)
    // Node no longer counts an upgraded socket as a connection of the server.
    const upgraded = new Set<Duplex>()
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      upgraded.add(socket)
      socket.on("close", () => upgraded.delete(socket)).on("error", () => {})
      handlers.onUpgrade(request, socket, head)
    })
    return yield* bind(server, port, () => {
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    })
  })

/** The same for a server of any kind; `cut` ends all connections it has. */
export const bind = (
  server: Server,
  port: number,
  cut: () => void
): Effect.Effect<number, LocalServerError, Scope.Scope> =>
  Effect.acquireRelease(open(server, port), () =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      cut()
    })
  ).pipe(
    Effect.map(() => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : port
    })
  )

const open = (server: Server, port: number) =>
  Effect.callback<void, LocalServerError>((resume) => {
    server.once("error", (error) => resume(Effect.fail(new LocalServerError({ detail: error.message }))))
    server.listen(port, "127.0.0.1", () => resume(Effect.void))
  })

/** Answers with JSON. */
export const respond = (response: ServerResponse, status: number, body: unknown) => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
}

/** Answers an upgrade request with an HTTP status instead. */
export const refuseUpgrade = (socket: Duplex, status: string) => {
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
}

/** The whole body of a request as text, at most 256 KiB. */
export const readBody = (request: IncomingMessage, onBody: (text: string) => void) => {
  const chunks: Array<Buffer> = []
  let size = 0
  request.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > 262_144) request.destroy()
    else chunks.push(chunk)
  })
  request.on("end", () => onBody(Buffer.concat(chunks).toString()))
}
