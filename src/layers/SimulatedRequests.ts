/**
 * What a service says to the simulated HPB, and what comes of it. Plain and synchronous, but for media.
 */
import { type Effect, Option } from "effect"
import type { WebSocket } from "ws"
import { withId } from "./SimulatedHello.ts"
import type { SimulatedMcu } from "./SimulatedMcu.ts"
import * as Protocol from "./SimulatedProtocol.ts"
import type { SimulatedRoom } from "./SimulatedRoom.ts"
import type { Service, SimulatedServices } from "./SimulatedServices.ts"

/** Every room by its token. */
export interface Rooms {
  readonly get: (token: string) => SimulatedRoom
  /** Where this session is. */
  readonly of: (sessionId: string) => SimulatedRoom | undefined
}

/** What a message of a service may lead to. */
export interface Parts {
  readonly version: Protocol.HpbVersion
  readonly rooms: Rooms
  readonly services: SimulatedServices
  readonly mcu: SimulatedMcu
  readonly release: (service: Service) => void
  readonly end: (service: Service) => void
  readonly fork: (effect: Effect.Effect<void>) => void
}

export interface Received {
  readonly socket: WebSocket
  readonly service: Service | undefined
  /** Undefined when it was binary. */
  readonly text: string | undefined
}

const understood: ReadonlySet<string> = new Set(["hello", "room", "message", "bye"])

/** Acts on one frame; gives the service that the socket belongs to from then on. */
export const receive = (parts: Parts, { service, socket, text }: Received): Service | undefined => {
  const frame = text === undefined ? undefined : Option.getOrUndefined(Protocol.decodeFrame(text))
  if (frame === undefined) {
    const envelope = Option.getOrUndefined(Protocol.decodeEnvelope(text))
    // Unknown types are ignored without a word.
    const isIgnored = envelope?.type !== undefined && !understood.has(envelope.type)
    if (!isIgnored) Protocol.sendTo(socket, Protocol.failure(envelope?.id, "invalid_format"))
    return service
  }
  if (frame.type === "hello") return service ?? parts.services.greet(socket, frame)
  if (service === undefined) {
    Protocol.sendTo(socket, Protocol.failure(frame.id, "hello_expected"))
    return undefined
  }
  if (frame.type === "room") enter(parts, service, frame.room.roomid, frame.id)
  else if (frame.type === "internal") {
    if (parts.version === "0.4.1") return service
    if (frame.internal.type === "dialout") {
      const { roomid, status } = frame.internal.dialout
      parts.rooms.get(roomid).keep(`callstatus_${status.callid}`, status)
      return service
    }
    service.inCall = frame.internal.incall.incall
    service.room?.setInCall(service.session.id, service.inCall)
  } else if (frame.type === "bye") {
    parts.end(service)
    Protocol.sendTo(socket, { ...withId(frame.id), type: "bye" })
    socket.close()
  } else pass(parts, service, frame)
  return service
}

const enter = ({ release, rooms, version }: Parts, service: Service, token: string, id: string | undefined) => {
  const { session } = service
  if (token !== "" && service.room?.token === token) {
    // 0.4.1 does not answer at all.
    if (version !== "0.4.1") session.send(Protocol.failure(id, "already_joined"))
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

const pass = ({ fork, mcu, rooms, services, version }: Parts, service: Service, { id, message }: Protocol.Message) => {
  const { session } = service
  const { data, recipient } = message
  const isNamed = typeof data["type"] === "string" && data["type"] !== ""
  const isTyped = version !== "1.2.4" || data["roomType"] !== undefined
  const reachesCall = Protocol.featuresOf(version).includes("recipient-call")
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
