/**
 * The session of one service on the simulated HPB: it outlives its socket and keeps what it misses. Plain and synchronous.
 */
import type { WebSocket } from "ws"
import { sendTo } from "./SimulatedProtocol.ts"

export interface SimulatedSession {
  readonly id: string
  readonly resumeId: string
  /** To the socket, or kept for the resumption. */
  readonly send: (message: object) => void
  /** This socket is the session's from now on; the one before is told `session_resumed`. */
  readonly attach: (socket: WebSocket) => void
  /** Whether this socket is the session's still: nothing is read from one that was replaced. */
  readonly owns: (socket: WebSocket) => boolean
  /** Sends what was missed; whether there was anything. */
  readonly replay: () => boolean
  /** This socket is gone; the number of the absence that begins, unless another socket has taken over. */
  readonly detach: (socket: WebSocket) => number | undefined
  /** The absence that goes on; undefined while attached. */
  readonly absence: () => number | undefined
}

export const make = (id: string, resumeId: string): SimulatedSession => {
  let socket: WebSocket | undefined
  let absences = 0
  // Unbounded, as in the real server; a session is kept for 30 s.
  let missed: Array<object> = []

  return {
    id,
    resumeId,
    send: (message) => {
      if (socket === undefined) missed.push(message)
      else sendTo(socket, message)
    },
    attach: (next) => {
      const before = socket
      socket = next
      if (before === undefined) return
      sendTo(before, { type: "bye", bye: { reason: "session_resumed" } })
      before.close()
    },
    owns: (one) => one === socket,
    replay: () => {
      const kept = missed
      missed = []
      if (socket !== undefined) for (const message of kept) sendTo(socket, message)
      return kept.length > 0
    },
    detach: (gone) => {
      if (socket !== gone) return undefined
      socket = undefined
      return ++absences
    },
    absence: () => (socket === undefined ? absences : undefined)
  }
}
