/**
 * The doors: every dialect's WebSocket addresses on one listener. A connection is accepted first and its client let in after, because only an
 * open socket can say why not in the words of its dialect. What no dialect could say anything to is refused as JSON: pages of other
 * origins, other methods, other protocols.
 */
import { randomUUID } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { Effect, type Scope } from "effect"
import { WebSocketServer } from "ws"
import type { Dialect } from "./Dialect.ts"
import type { DoorServices } from "./DoorClient.ts"
import { chooseSubprotocol, credentialIn } from "./DoorCredential.ts"
import * as DoorSessions from "./DoorSessions.ts"
import type { Upgrades } from "./Listener.ts"
import { isWelcome, provenanceOf } from "./Origin.ts"

export interface DoorOptions {
  /** Connections at a time, also of those who have not shown yet who they are. */
  readonly maxConnections: number
}

interface Entrance {
  readonly dialect: Dialect
  readonly server: WebSocketServer
}

/** Opens a door for each path of the dialects. Sessions that are left when the scope closes end without a word. */
export const make = Effect.fnUntraced(function* (
  dialects: ReadonlyArray<Dialect>,
  services: DoorServices,
  options: DoorOptions
): Effect.fn.Return<Upgrades, never, Scope.Scope> {
  const sessions = yield* DoorSessions.make(services)
  const entrances = new Map<string, Entrance>()
  for (const dialect of dialects) {
    const server = serverOf(dialect)
    for (const path of dialect.paths) entrances.set(path, { dialect, server })
  }
  let isClosing = false

  const refusalOf = (request: IncomingMessage): Refusal | undefined => {
    const provenance = provenanceOf(request.headers, request.socket.remoteAddress)
    if (request.method !== "GET")
      return { status: "405 Method Not Allowed", error: "this address takes GET", allow: "GET" }
    if (request.headers.upgrade?.toLowerCase() !== "websocket") return upgradeRequired
    if (!isWelcome(provenance, services.access.allowedOrigins)) {
      return { status: "403 Forbidden", error: "asked by a page of another origin" }
    }
    if (isClosing) return { status: "503 Service Unavailable", error: "shutting down" }
    if (sessions.count() >= options.maxConnections) {
      return { status: "503 Service Unavailable", error: "too many connections" }
    }
    return undefined
  }

  const clientOf = ({ headers, socket }: IncomingMessage, url: URL, dialect: Dialect) => ({
    dialect,
    provenance: provenanceOf(headers, socket.remoteAddress),
    credential: credentialIn({ headers, query: url.searchParams }, dialect.credentials),
    opening: {
      sessionId: randomUUID(),
      path: url.pathname,
      query: url.searchParams,
      sessionSeconds: services.limits.sessionSeconds,
      now: Date.now
    }
  })

  return {
    take: (request, socket, head) => {
      const url = URL.parse(request.url ?? "", "ws://door")
      const entrance = url === null ? undefined : entrances.get(url.pathname)
      if (url === null || entrance === undefined) return false
      socket.on("error", () => {})
      const refusal = refusalOf(request)
      if (refusal === undefined) {
        const client = { ...clientOf(request, url, entrance.dialect), received: countOf(request.socket) }
        entrance.server.handleUpgrade(request, socket, head, (accepted) =>
          sessions.open({ ...client, socket: accepted })
        )
      } else refuse(socket, refusal)
      return true
    },
    close: Effect.suspend(() => {
      isClosing = true
      return sessions.close
    })
  }
})

/** Bytes that come from now on. */
const countOf = (connection: Socket) => {
  const before = connection.bytesRead
  return () => connection.bytesRead - before
}

/** Nothing is compressed: it would cost each connection 300 KB and words are short. */
const serverOf = (dialect: Dialect): WebSocketServer => {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: dialect.maxMessageBytes,
    handleProtocols: (offered) => chooseSubprotocol(offered, dialect)
  })
  server.on("wsClientError", ({ message }, socket) => refuse(socket, { status: "400 Bad Request", error: message }))
  return server
}

interface Refusal {
  readonly status: string
  readonly error: string
  readonly allow?: string
}

const upgradeRequired: Refusal = { status: "426 Upgrade Required", error: "this address speaks WebSocket" }

const refuse = (socket: Duplex, { allow, error, status }: Refusal) => {
  const body = JSON.stringify({ error })
  const head = [
    `HTTP/1.1 ${status}`,
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(allow === undefined ? [] : [`Allow: ${allow}`]),
    ...(status === upgradeRequired.status ? ["Upgrade: websocket"] : [])
  ]
  socket.once("finish", () => socket.destroy())
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`)
}
