/**
 * The runners that share one database, as one of them sees the others: who there is, how to ask them, who has certainly ended. On Effect's
 * cluster: its registry of runners, its health, its sockets, and its one singleton.
 */
import {
  Cause,
  Context,
  type Duration,
  Effect,
  Layer,
  Logger,
  Option,
  PubSub,
  RcMap,
  type Redacted,
  Schedule,
  type Scope,
  Stream
} from "effect"
import * as ClusterAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientError } from "effect/rpc/RpcClientError"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as SocketServer from "effect/socket/SocketServer"
import { SqlClient } from "effect/sql/SqlClient"
import { type Incarnation, RunnerAddress } from "../domain/Seat.ts"
import type { RunnerProcess } from "../services/Fleet.ts"
import type { ListenError } from "./ListenError.ts"
import { monotonicMs } from "./Monotonic.ts"
import * as RunnerCluster from "./RunnerCluster.ts"
import { type Presence, RunnerRpcs } from "./RunnerProtocol.ts"
import * as RunnerReach from "./RunnerReach.ts"
import * as RunnerSocket from "./RunnerSocket.ts"

export interface Runner {
  readonly address: RunnerAddress
  readonly incarnation: Incarnation
}

/** One that answers. */
export interface Peer extends Runner {
  readonly presence: Presence
}

export type RunnerClient = RpcClient.RpcClient<RpcGroup.Rpcs<typeof RunnerRpcs>, RpcClientError>
/** What a runner answers of its own calls. */
export type RunnerAnswers = Omit<RpcGroup.HandlersFrom<RpcGroup.Rpcs<typeof RunnerRpcs>>, "Hello">

export interface RunnerFleet {
  readonly me: Runner
  /** Does this runner's part for as long as the scope: once, and when the tables are there. Returns when the others know of it. */
  readonly join: (answers: RunnerAnswers) => Effect.Effect<void, never, Scope.Scope>
  /** The others that have answered within the last seconds, and take calls or not. */
  readonly peers: () => ReadonlyArray<Peer>
  /** Fails with what the other answers, or when it does not answer in time. */
  readonly ask: <A, E>(
    address: RunnerAddress,
    question: (client: RunnerClient) => Effect.Effect<A, E | RpcClientError>,
    within: Duration.Input
  ) => Effect.Effect<A, E | RunnerReach.Unanswered>
  /** For answers that go on: ends with the scope. */
  readonly reach: (address: RunnerAddress) => Effect.Effect<RunnerClient, never, Scope.Scope>
  /** Whether this runner has certainly ended: its process was seen to end, or another one is at its address, or nobody at all. */
  readonly hasEnded: (runner: Runner) => Effect.Effect<boolean>
  /**
   * Whether the cluster has given it up, as its registry is now: it may still run, and not be reached. Whoever has a seat was in the registry
   * before.
   */
  readonly isGivenUp: (runner: Runner) => Effect.Effect<boolean>
  /** Those that have just ended. */
  readonly ended: Stream.Stream<Incarnation>
  /** At most one runner leads; for some seconds it may be none. */
  readonly isLeading: () => boolean
}

export interface FleetOptions {
  readonly runner: RunnerProcess
  readonly sql: SqlClient
  /** The same for all runners that share a database, and for nobody else. */
  readonly secret: Redacted.Redacted
  /** Where the others reach this runner. Absent: on this machine alone, at any port. */
  readonly address?: { readonly host: string; readonly port: number }
}

/** How often everybody asks everybody how it is: what a click needs to know is no older. */
const LOOK_EVERY = "1 second"
const LOOK_LIMIT = "800 millis"
/** A runner that has not answered for so long is not counted on. Three looks. */
const PATIENCE_MS = 3_000
/** Until a runner that has just begun is in the registry. */
const JOIN_LIMIT = "5 seconds"

interface Look {
  readonly presence: Presence
  readonly atMs: number
}

export const make = Effect.fnUntraced(function* ({
  address: wanted,
  runner,
  secret,
  sql
}: FleetOptions): Effect.fn.Return<RunnerFleet, ListenError, Scope.Scope> {
  const now = yield* monotonicMs
  const server = yield* RunnerSocket.server(secret, {
    host: wanted === undefined ? "127.0.0.1" : wanted.host,
    port: wanted === undefined ? 0 : wanted.port + runner.slot
  })
  const port = "port" in server.address ? server.address.port : 0
  const me: Runner = {
    address: addressOf(wanted?.host ?? "127.0.0.1", port),
    incarnation: runner.incarnation
  }
  const serialization = Layer.build(RpcSerialization.layerNdjsonWith({ maxBufferSize: 16 * 1024 * 1024 }))
  const wire = yield* serialization
  const protocols = yield* Layer.build(RunnerSocket.protocol(secret)).pipe(Effect.provideContext(wire))
  const clients = yield* RcMap.make({
    lookup: (address: RunnerAddress) =>
      Context.get(protocols, Runners.RpcClientProtocol)
        .make(clusterAddress(address))
        .pipe(
          Effect.flatMap((protocol) =>
            RpcClient.make(RunnerRpcs, { disableTracing: true }).pipe(
              Effect.provideService(RpcClient.Protocol, protocol)
            )
          )
        ),
    idleTimeToLive: "1 minute"
  })
  const reach = (address: RunnerAddress) => RcMap.get(clients, address)
  const ask: RunnerFleet["ask"] = (address, question, within) =>
    reach(address).pipe(
      Effect.flatMap(question),
      Effect.scoped,
      Effect.timeoutOrElse({
        duration: within,
        orElse: () => Effect.fail(new RunnerReach.Unanswered({ address, detail: "no answer in time" }))
      }),
      // A runner that ends breaks off what it was asked.
      Effect.catchCause((cause) => {
        const answer = answerIn(cause)
        if (Option.isSome(answer)) return Effect.fail(answer.value)
        const unanswered = new RunnerReach.Unanswered({ address, detail: Cause.pretty(cause) })
        return Effect.andThen(RcMap.invalidate(clients, address), Effect.fail(unanswered))
      })
    )

  const looks = new Map<RunnerAddress, Look>()
  // One entry for each process that has ended while this one ran.
  const gone = new Set<Incarnation>()
  const news = yield* PubSub.unbounded<Incarnation>()
  /** Whether the cluster takes it for healthy; by the word of one runner, which may be the one that is cut off. */
  let registered: ReadonlyMap<RunnerAddress, boolean> | undefined
  let register: Effect.Effect<void> = Effect.void
  let isLeading = false
  const isFresh = (look: Look | undefined) =>
    look !== undefined && now() - look.atMs < PATIENCE_MS && !gone.has(look.presence.incarnation)

  yield* runner.gone.pipe(
    Stream.runForEach((incarnation) =>
      Effect.suspend(() => {
        gone.add(incarnation)
        return PubSub.publish(news, incarnation)
      })
    ),
    Effect.forkScoped
  )

  const look = (address: RunnerAddress) =>
    ask(address, (client) => client.Presence(), LOOK_LIMIT).pipe(
      Effect.flatMap((presence) => Effect.sync(() => looks.set(address, { presence, atMs: now() }))),
      Effect.ignore
    )
  const loggers = yield* Logger.CurrentLoggers
  const health = RunnerHealth.RunnerHealth.of({
    isAlive: (one) => {
      const address = addressOf(one.host, one.port)
      if (address === me.address || isFresh(looks.get(address))) return Effect.succeed(true)
      return look(address).pipe(
        // What the cluster says itself is for nobody; that a runner has another secret is said once, and for the admin.
        Effect.provideService(Logger.CurrentLoggers, loggers),
        Effect.andThen(Effect.sync(() => isFresh(looks.get(address))))
      )
    }
  })

  const join = Effect.fnUntraced(function* (answers: RunnerAnswers) {
    const context = yield* Layer.build(
      RunnerCluster.layer({
        address: clusterAddress(me.address),
        answers: { ...answers, Hello: ({ address }) => look(address) },
        health
      }).pipe(
        Layer.provide(Layer.succeed(SocketServer.SocketServer, server)),
        Layer.provide(Layer.succeed(SqlClient, sql)),
        Layer.provide(Layer.succeedContext(Context.merge(wire, protocols)))
      )
    )
    yield* Context.get(context, Sharding.Sharding).registerSingleton(
      "placement",
      Effect.acquireUseRelease(
        Effect.sync(() => {
          isLeading = true
        }),
        () => Effect.never,
        () =>
          Effect.sync(() => {
            isLeading = false
          })
      )
    )
    const storage = Context.get(context, RunnerStorage.RunnerStorage)
    register = storage.getRunners.pipe(
      Effect.timeout("2 seconds"),
      Effect.flatMap((all) =>
        Effect.sync(() => {
          registered = new Map(
            all.map(([{ address }, isHealthy]) => [addressOf(address.host, address.port), isHealthy])
          )
        })
      ),
      // Who was there is still there, as far as anybody knows.
      Effect.ignore
    )
    const review = Effect.gen(function* () {
      const others = [...(registered?.keys() ?? [])].filter((address) => address !== me.address)
      for (const known of looks.keys())
        if (registered?.has(known) === false && !isFresh(looks.get(known))) looks.delete(known)
      yield* Effect.forEach(new Set([...others, ...looks.keys()]), look, { concurrency: "unbounded", discard: true })
    })
    yield* register.pipe(
      Effect.repeat({ until: () => registered?.has(me.address) === true, schedule: Schedule.spaced("50 millis") }),
      Effect.timeoutOption(JOIN_LIMIT)
    )
    yield* review
    const greet = (address: RunnerAddress) =>
      Effect.ignore(ask(address, (client) => client.Hello({ address: me.address }), LOOK_LIMIT))
    yield* Effect.forEach(looks.keys(), greet, { concurrency: "unbounded", discard: true })
    // Beside each other: a database that does not answer makes nobody look away from the others.
    yield* Effect.forEach([register, review], (one) =>
      Effect.forkScoped(Effect.repeat(one, Schedule.spaced(LOOK_EVERY)))
    )
  })

  return {
    me,
    join,
    peers: () =>
      [...looks].flatMap(([address, found]) =>
        isFresh(found) ? [{ address, incarnation: found.presence.incarnation, presence: found.presence }] : []
      ),
    ask,
    reach,
    hasEnded: ({ address, incarnation }) =>
      Effect.suspend(() => {
        if (incarnation === me.incarnation) return Effect.succeed(false)
        if (gone.has(incarnation) || address === me.address) return Effect.succeed(true)
        const found = looks.get(address)
        if (found !== undefined && isFresh(found)) return Effect.succeed(found.presence.incarnation !== incarnation)
        return RunnerReach.isDeserted(address)
      }),
    isGivenUp: ({ address }) =>
      Effect.suspend(() => (isFresh(looks.get(address)) ? Effect.void : register)).pipe(
        Effect.map(() => registered !== undefined && registered.get(address) !== true && !isFresh(looks.get(address)))
      ),
    ended: Stream.fromPubSub(news),
    isLeading: () => isLeading
  }
})

/** What the other one answered, if it was an answer. */
const answerIn = <E>(cause: Cause.Cause<E | RpcClientError>): Option.Option<E> =>
  Option.flatMap(Cause.findErrorOption(cause), (error) =>
    error instanceof RpcClientError ? Option.none() : Option.some(error)
  )

const addressOf = (host: string, port: number): RunnerAddress => RunnerAddress.make(`${host}:${port}`)

/** The inverse; a host may have colons of its own. */
const clusterAddress = (address: RunnerAddress): ClusterAddress.RunnerAddress => {
  const colon = address.lastIndexOf(":")
  return ClusterAddress.RunnerAddress.make({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) })
}
