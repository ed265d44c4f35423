/**
 * A service of several processes as seen from outside: whose a call is, by the table of seats and /proc, and what it tells whoever asks.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { Effect, Schema, type Scope } from "effect"
import type { Seat } from "../../src/domain/Seat.ts"
import * as ClusterCalls from "../../src/layers/ClusterCalls.ts"
import * as Database from "../../src/layers/Database.ts"
import * as Seats from "../../src/layers/Seats.ts"
import { attempt, because, failure, type ProofError } from "./ProofError.ts"

/** Of its own API: any process may get the connection. */
const API_PORT = 8095

/** What it says of itself, by one of its doors. */
export interface Told {
  readonly rooms: number
  readonly speakers: number
  readonly viewers: number
}

export interface SharedService {
  readonly seatOf: (room: string) => Effect.Effect<Seat | undefined, ProofError>
  /** The process that a seat is of. */
  readonly pidOf: (seat: Seat) => Effect.Effect<number, ProofError>
  /** What status and metrics say, each asked twice over a connection of its own. */
  readonly told: Effect.Effect<ReadonlyArray<Told>, ProofError>
}

const Status = Schema.Struct({ rooms: Schema.Int, speakers: Schema.Int, viewers: Schema.Int })

export const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)

/** proc(5), net/tcp: local address, and 0A for one that listens; the inode is the tenth field. */
const listensOn = (pid: number, port: number): boolean => {
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  try {
    const inodes = ["tcp", "tcp6"].flatMap((table) =>
      readFileSync(`/proc/${pid}/net/${table}`, "utf8")
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .filter(([, local = "", , state]) => local.endsWith(`:${hex}`) && state === "0A")
        .map((fields) => `socket:[${fields[9]}]`)
    )
    return readdirSync(`/proc/${pid}/fd`).some((fd) => inodes.includes(readlinkSync(`/proc/${pid}/fd/${fd}`)))
  } catch {
    // gone, or a descriptor that was closed between listing and looking
    return false
  }
}

const fetched = (path: string) =>
  attempt(path, () =>
    fetch(`http://127.0.0.1:${API_PORT}${path}`, { headers: { connection: "close" } }).then((answer) => answer.text())
  )

const status = Effect.flatMap(fetched("/api/v1/status"), (text) =>
  Effect.mapError(Schema.decodeEffect(Schema.fromJsonString(Status))(text), because("status"))
)

const metrics = Effect.map(fetched("/metrics"), (text): Told => {
  const gauge = (name: string) => Number(new RegExp(`^transcription_${name}_active (\\S+)`, "m").exec(text)?.[1])
  return { rooms: gauge("rooms"), speakers: gauge("speakers"), viewers: gauge("viewers") }
})

/** Environment of a service that `observe` can look into. */
export const environment = (storage: string, runners: number): Readonly<Record<string, string>> => ({
  LT_RUNNERS: String(runners),
  APP_PERSISTENT_STORAGE: storage,
  PORT: String(API_PORT)
})

/** Looks into what a service that was started with `environment` keeps; for as long as the scope. */
export const observe = (storage: string, supervisor: number): Effect.Effect<SharedService, ProofError, Scope.Scope> =>
  Effect.gen(function* () {
    const database = yield* Database.make({ _tag: "File", file: join(storage, ClusterCalls.FILE), isShared: true })
    yield* Effect.mapError(database.open, because("the table of seats"))
    const seats = Effect.mapError(Seats.make(database.sql).all, because("the table of seats"))
    return {
      seatOf: (room) => Effect.map(seats, (all) => all.find((seat) => seat.room === room)),
      pidOf: ({ address }) =>
        Effect.suspend(() => {
          const port = Number(address.slice(address.lastIndexOf(":") + 1))
          const pid = childrenOf(supervisor).find((child) => listensOn(child, port))
          return pid === undefined
            ? Effect.fail(failure(`no process of the service listens at ${address}`))
            : Effect.succeed(pid)
        }),
      told: Effect.all([status, metrics, status, metrics])
    }
  })
