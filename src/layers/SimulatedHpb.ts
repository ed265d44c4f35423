/**
 * A High-Performance Backend on loopback: hello, resumption, rooms, messages and media requests over a real websocket, for services
 * (internal clients). People are in the same process and need no socket.
 */
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { Effect, FiberSet, Option, type Scope } from "effect"
import { type WebSocket, WebSocketServer } from "ws"
import * as LocalServer from "./LocalServer.ts"
import { type HelloRules, withId } from "./SimulatedHello.ts"
import * as SimulatedMcu from "./SimulatedMcu.ts"
import * as Protocol from "./SimulatedProtocol.ts"
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
    const routes: Routes = { options, rooms, services, mcu, release, end, fork }
    let isDown = false

    const connected = (socket: WebSocket) => {
      let service: Service | undefined
      const deadline = fork(
        Effect.sync(() => {
          if (service !== undefined) return
          reply(socket, { type: "bye", bye: { reason: "hello_timeout" } })
          socket.close()
        }).pipe(Effect.delay(helloTimeout))
      )
      const features = Protocol.featuresOf(options.version)
      if (options.version !== "0.4.1") {
        reply(socket, { type: "welcome", welcome: { version: options.version, features } })
      }
      socket.ping()
      socket.on("error", () => {})
      socket.on("message", (data, isBinary) => {
        service = isBinary ? invalid(socket, service) : receive(routes, { socket, service, text: String(data) })
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

interface Rooms {
  readonly get: (token: string) => SimulatedRoom.SimulatedRoom
  /** Where this session is. */
  readonly of: (sessionId: string) => SimulatedRoom.SimulatedRoom | undefined
  readonly clear: () => void
}

const makeRooms = (): Rooms => {
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

/** What a message of a service may lead to. */
interface Routes {
  readonly options: SimulatedHpbOptions
  readonly rooms: Rooms
  readonly services: SimulatedServices.SimulatedServices
  readonly mcu: SimulatedMcu.SimulatedMcu
  readonly release: (service: Service) => void
  readonly end: (service: Service) => void
  readonly fork: (effect: Effect.Effect<void>) => void
}

interface Received {
  readonly socket: WebSocket
  readonly service: Service | undefined
  readonly text: string
}

const understood: ReadonlySet<string> = new Set(["hello", "room", "message", "control", "bye"])

/** Acts on one frame; gives the service that the socket belongs to from then on. */
const receive = (routes: Routes, { service, socket, text }: Received): Service | undefined => {
  const frame = Option.getOrUndefined(Protocol.decodeFrame(text))
  if (frame === undefined) {
    const envelope = Option.getOrUndefined(Protocol.decodeEnvelope(text))
    // Unknown types are ignored without a word.
    const isIgnored = envelope?.type !== undefined && !understood.has(envelope.type)
    return isIgnored ? service : invalid(socket, service, envelope?.id)
  }
  if (frame.type === "hello") return service ?? routes.services.greet(socket, frame)
  if (service === undefined) {
    reply(socket, Protocol.failure(frame.id, "hello_expected"))
    return undefined
  }
  if (frame.type === "room") enter(routes, service, frame.room.roomid, frame.id)
  else if (frame.type === "internal") {
    if (routes.options.version === "0.4.1") return service
    service.inCall = frame.internal.incall.incall
    service.room?.setInCall(service.session.id, service.inCall)
  } else if (frame.type === "bye") {
    routes.end(service)
    reply(socket, { ...withId(frame.id), type: "bye" })
    socket.close()
  } else pass(routes, service, frame)
  return service
}

const enter = ({ options, release, rooms }: Routes, service: Service, token: string, id: string | undefined) => {
  const { session } = service
  if (token !== "" && service.room?.token === token) {
    // 0.4.1 does not answer at all.
    if (options.version !== "0.4.1") session.send(Protocol.failure(id, "already_joined"))
    return
  }
  const wasInRoom = service.room !== undefined
  release(service)
  if (token !== "" || wasInRoom) session.send({ ...withId(id), type: "room", room: { roomid: token } })
  if (token === "") return
  service.room = rooms.get(token)
  const onRemoved = () => {
    service.room = undefined
  }
  service.room.join({ sessionId: session.id, deliver: session.send, onRemoved }, service.inCall)
}

const pass = ({ fork, mcu, options, rooms, services }: Routes, service: Service, { id, message }: Protocol.Message) => {
  const { session } = service
  const { data, recipient } = message
  const isNamed = typeof data["type"] === "string" && data["type"] !== ""
  const isTyped = options.version !== "1.2.4" || data["roomType"] !== undefined
  const reachesCall = Protocol.featuresOf(options.version).includes("recipient-call")
  if (!isNamed || !isTyped) return session.send(Protocol.failure(id, "invalid_format"))
  const { sessionid: target, type: kind } = recipient
  if (kind === "session" && target !== undefined) {
    if (Protocol.mediaTypes.has(data["type"])) return fork(mcu.handle(session, { requestId: id, target, data }))
    if (target === session.id) return
    const relayed = Protocol.relayed(session.id, data)
    const other = services.find(target)
    if (other === undefined) rooms.of(target)?.tell(target, relayed)
    else other.session.send(relayed)
  } else if (kind === "room" || (kind === "call" && reachesCall)) {
    service.room?.broadcast(session.id, Protocol.relayed(session.id, data, kind), kind)
  } else session.send(Protocol.failure(id, "invalid_format"))
}

const reply = (socket: WebSocket, message: object) => socket.send(JSON.stringify(message))

const invalid = (socket: WebSocket, service: Service | undefined, id?: string): Service | undefined => {
  reply(socket, Protocol.failure(id, "invalid_format"))
  return service
}
