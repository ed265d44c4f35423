/**
 * A High-Performance Backend on loopback: hello, resumption, rooms, messages and media requests over a real websocket, for services
 * (internal clients). People are in the same process and need no socket.
 */
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { Effect, FiberSet, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as LocalServer from "./LocalServer.ts"
import type { HelloRules } from "./SimulatedHello.ts"
import * as SimulatedMcu from "./SimulatedMcu.ts"
import * as Protocol from "./SimulatedProtocol.ts"
import * as SimulatedRequests from "./SimulatedRequests.ts"
import * as SimulatedRoom from "./SimulatedRoom.ts"
import * as SimulatedServices from "./SimulatedServices.ts"

export interface SimulatedHpbOptions extends HelloRules {
  readonly port: number
  /** How long a session outlives its socket, ms. */
  readonly resumeMs: number
  /** How long a request for an offer waits for its publisher, ms. */
  readonly mcuTimeoutMs: number
}

export interface SimulatedHpb {
  readonly port: number
  readonly mcu: SimulatedMcu.SimulatedMcu
  readonly room: (token: string) => SimulatedRoom.SimulatedRoom
  /** Sessions of services in this room, attached or waiting for their resumption. */
  readonly servicesIn: (token: string) => number
  readonly dropSockets: () => void
  /** The process dies: sockets, sessions and rooms are gone, and nobody gets in before `start`. */
  readonly stop: () => void
  readonly start: () => void
}

type Service = SimulatedServices.Service

/** A hello must come within this. */
const helloTimeout = "2 seconds"
/** 64 KiB: a larger message closes the socket. */
const maxPayload = 65_536

/** Serves until its scope closes. */
export const make = (
  options: SimulatedHpbOptions
): Effect.Effect<SimulatedHpb, LocalServer.LocalServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* FiberSet.makeRuntime<never, void, never>()
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload })
    const rooms = makeRooms()
    const services = SimulatedServices.make(options)
    const mcu = SimulatedMcu.make({
      isKnown: (id) => services.find(id) !== undefined || rooms.of(id) !== undefined,
      timeoutMs: options.mcuTimeoutMs,
      namesSubscriptions: options.version !== "0.4.1"
    })
    const release = (service: Service) => {
      service.room?.leave(service.session.id)
      service.room = undefined
      fork(mcu.release(service.session.id))
    }
    const end = (service: Service) => {
      services.remove(service)
      release(service)
    }
    const parts: SimulatedRequests.Parts = { version: options.version, rooms, services, mcu, release, end, fork }
    let isDown = false

    const connected = (socket: WebSocket) => {
      let service: Service | undefined
      const deadline = fork(
        Effect.sync(() => {
          if (service !== undefined) return
          Protocol.sendTo(socket, { type: "bye", bye: { reason: "hello_timeout" } })
          socket.close()
        }).pipe(Effect.delay(helloTimeout))
      )
      const features = Protocol.featuresOf(options.version)
      if (options.version !== "0.4.1") {
        Protocol.sendTo(socket, { type: "welcome", welcome: { version: options.version, features } })
      }
      socket.ping()
      socket.on("error", () => {})
      socket.on("message", (data, isBinary) => {
        const text = isBinary ? undefined : String(data)
        if (service?.session.owns(socket) === false) service = undefined
        service = SimulatedRequests.receive(parts, { socket, service, text })
      })
      socket.on("close", () => {
        deadline.interruptUnsafe()
        const absence = service?.session.detach(socket)
        if (service !== undefined && absence !== undefined) fork(expire(service, absence))
      })
    }
    const expire = (service: Service, absence: number) =>
      Effect.sync(() => {
        if (service.session.absence() === absence) end(service)
      }).pipe(Effect.delay(options.resumeMs))

    const dropSockets = () => {
      for (const socket of sockets.clients) socket.terminate()
    }
    const port = yield* LocalServer.listen(options.port, {
      onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => {
        if (isDown) socket.destroy()
        else if (request.url?.endsWith("/spreed") !== true) LocalServer.refuseUpgrade(socket, "404 Not Found")
        else sockets.handleUpgrade(request, socket, head, connected)
      },
      onRequest: (_, response) =>
        LocalServer.respond(response, 200, { "nextcloud-spreed-signaling": "Welcome", version: options.version })
    })
    return {
      port,
      mcu,
      room: rooms.get,
      servicesIn: (token) => services.all().filter(({ room }) => room?.token === token).length,
      dropSockets,
      stop: () => {
        isDown = true
        for (const service of services.all()) end(service)
        rooms.clear()
        dropSockets()
      },
      start: () => {
        isDown = false
      }
    }
  })

const makeRooms = (): SimulatedRequests.Rooms & { readonly clear: () => void } => {
  const rooms = new Map<string, SimulatedRoom.SimulatedRoom>()
  return {
    get: (token) => {
      const room = rooms.get(token) ?? SimulatedRoom.make(token)
      rooms.set(token, room)
      return room
    },
    of: (sessionId) => [...rooms.values()].find((room) => room.has(sessionId)),
    clear: () => rooms.clear()
  }
}
