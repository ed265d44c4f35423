/**
 * The services known to the simulated HPB: admitted by a hello, kept for a while without a socket, gone after a bye. Plain and synchronous.
 */
import type { WebSocket } from "ws"
import * as SimulatedHello from "./SimulatedHello.ts"
import { failure, type Hello, sendTo } from "./SimulatedProtocol.ts"
import type { SimulatedRoom } from "./SimulatedRoom.ts"
import * as SimulatedSession from "./SimulatedSession.ts"

/** A service and where it is. */
export interface Service {
  readonly session: SimulatedSession.SimulatedSession
  inCall: number
  room: SimulatedRoom | undefined
}

export interface SimulatedServices {
  /** Answers a hello on this socket; undefined when it was refused. */
  readonly greet: (socket: WebSocket, hello: Hello) => Service | undefined
  readonly find: (sessionId: string) => Service | undefined
  readonly all: () => ReadonlyArray<Service>
  readonly remove: (service: Service) => void
  readonly clear: () => void
}

export const make = (rules: SimulatedHello.HelloRules): SimulatedServices => {
  const services = new Map<string, Service>()

  const resume = (socket: WebSocket, hello: Hello): Service | undefined => {
    const service = [...services.values()].find(({ session }) => session.resumeId === hello.hello.resumeid)
    if (service === undefined) return refuse(socket, hello, "no_such_session")
    service.session.attach(socket)
    sendTo(socket, SimulatedHello.answerTo(hello, service.session, rules.version))
    // Whoever missed nothing is shown the list of participants all the same.
    if (!service.session.replay()) service.room?.repeatParticipants(service.session.id)
    return service
  }

  const admit = (socket: WebSocket, hello: Hello): Service | undefined => {
    const refusal = SimulatedHello.refusalOf(hello, rules)
    if (refusal !== undefined) return refuse(socket, hello, refusal)
    const managesInCall = rules.version !== "0.4.1" && hello.hello.features?.includes("internal-incall") === true
    const session = SimulatedSession.make(SimulatedHello.randomId(), SimulatedHello.randomId())
    // Without the feature the HPB takes a service for somebody in the call with audio.
    const service: Service = { session, inCall: managesInCall ? 0 : 3, room: undefined }
    services.set(session.id, service)
    session.attach(socket)
    sendTo(socket, SimulatedHello.answerTo(hello, session, rules.version))
    return service
  }

  return {
    greet: (socket, hello) => (hello.hello.resumeid === undefined ? admit(socket, hello) : resume(socket, hello)),
    find: (sessionId) => services.get(sessionId),
    all: () => [...services.values()],
    remove: ({ session }) => {
      services.delete(session.id)
    },
    clear: () => services.clear()
  }
}

const refuse = (socket: WebSocket, { id }: Hello, code: string): undefined => {
  sendTo(socket, failure(id, code))
}
