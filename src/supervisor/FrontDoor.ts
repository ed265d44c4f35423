/**
 * Listeners whose connections are given away, unread, each to the runner that has least to do.
 */
import { rmSync, statSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { codeOf } from "../layers/ErrorCode.ts"
import type { Address, Answers } from "./Messages.ts"
import type { RunnerChild } from "./RunnerChild.ts"

export interface FrontDoor {
  /** Opens the listener where it is not open yet. */
  readonly open: (name: string, address: Address) => Promise<Answers["Listen"]>
  /** Gives a connection to somebody; one that nobody takes now waits. */
  readonly give: (name: string, socket: Socket) => void
  /** Somebody takes connections who did not before: those that wait are given away. */
  readonly retry: () => void
  /** Ends the listener and what waits there. */
  readonly close: (name: string) => void
}

export interface FrontDoorOptions {
  /** In the order in which they are to be given connections. */
  readonly takers: (name: string) => ReadonlyArray<RunnerChild>
}

/** Who waits longer is somewhere else by now; where nobody takes anything, more would only be descriptors. */
const MOST_WAITING = 1000

export const make = ({ takers }: FrontDoorOptions): FrontDoor => {
  const servers = new Map<string, Server>()
  const waiting = new Map<Socket, string>()

  const give = (name: string, socket: Socket) => {
    if (socket.destroyed) return
    const taker = takers(name)[0]
    if (taker !== undefined) taker.give(name, socket)
    else if (servers.has(name) && waiting.size < MOST_WAITING) waiting.set(socket, name)
    else socket.destroy()
  }
  const listen = (name: string, address: Address) =>
    new Promise<Answers["Listen"]>((resolve) => {
      if ("path" in address) removeStaleSocket(address.path)
      // Nothing is read here: whoever gets the connection finds all of it. Small frames leave at once, as from a server of HTTP.
      const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
        socket.on("error", () => waiting.delete(socket))
        give(name, socket)
      })
      // Also later, when it means that a connection could not be accepted: whoever it was asks again.
      server.on("error", (error) => resolve({ _tag: "NotListening", code: codeOf(error) ?? "unknown reason" }))
      server.listen(address, () => {
        servers.set(name, server)
        resolve({ _tag: "Listening", at: server.address() ?? "", isFirst: true })
      })
    })

  return {
    open: async (name, address) => {
      const at = servers.get(name)?.address()
      return at === undefined || at === null ? listen(name, address) : { _tag: "Listening", at, isFirst: false }
    },
    give,
    retry: () => {
      const all = [...waiting]
      waiting.clear()
      for (const [socket, name] of all) give(name, socket)
    },
    close: (name) => {
      servers.get(name)?.close()
      servers.delete(name)
      for (const [socket, of] of waiting) {
        if (of !== name) continue
        waiting.delete(socket)
        socket.destroy()
      }
    }
  }
}

/** Only what is a socket: a mistyped path must not cost anybody a file. */
const removeStaleSocket = (path: string) => {
  try {
    if (statSync(path).isSocket()) rmSync(path)
  } catch {
    // There is none, or listening will say what is wrong with it.
  }
}
