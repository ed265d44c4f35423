/**
 * What Node keeps behind a UDP socket. None of it is documented: whoever asks has another way where it is missing, and
 * `test/layers/SocketReader.test.ts` fails where another Node has changed it.
 */
import type { Socket } from "node:dgram"

export interface DgramHandle {
  /** Of the system; valid until the socket is closed. */
  readonly fd: number
  /** Node reads it no more, and for its sake this process goes on no longer; 0: done. */
  readonly recvStop: () => unknown
}

/** Of a socket that is bound; `undefined`: closed, not bound, or not as expected. */
export const of = (socket: Socket): DgramHandle | undefined => {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === "state symbol")
  const state: unknown = symbol === undefined ? undefined : Reflect.get(socket, symbol)
  const handle: unknown = typeof state === "object" && state !== null ? Reflect.get(state, "handle") : undefined
  if (typeof handle !== "object" || handle === null) return undefined
  const fd: unknown = Reflect.get(handle, "fd")
  const recvStop: unknown = Reflect.get(handle, "recvStop")
  if (typeof fd !== "number" || fd < 0 || typeof recvStop !== "function") return undefined
  return { fd, recvStop: () => Reflect.apply(recvStop, handle, []) }
}

/** Runs something before the socket is closed, by whomever; Node's own event comes when its descriptor may be another's already. */
export const beforeClose = (socket: Socket, run: () => void): void => {
  const close = socket.close
  socket.close = (callback) => {
    run()
    return close.call(socket, callback)
  }
  socket.once("close", run)
}
