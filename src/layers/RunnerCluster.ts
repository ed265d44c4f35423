/**
 * Effect's cluster as runners use it: who there is, who leads, and their questions to each other on one socket. No entities, no messages in
 * storage.
 */
import { type Duration, Effect, Fiber, Layer, Logger, LogLevel, Option, References } from "effect"
import * as ClusterError from "effect/cluster/ClusterError"
import * as MessageStorage from "effect/cluster/MessageStorage"
import type * as ClusterAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerServer from "effect/cluster/RunnerServer"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcServer from "effect/rpc/RpcServer"
import { RunnerRpcs } from "./RunnerProtocol.ts"

/** Bounds how long a dead machine is believed to be alive, where it led; measured: see the decision. */
export const LEASE_MS = 6_000

const settings = {
  shardsPerGroup: 1,
  shardLockExpiration: LEASE_MS,
  shardLockRefreshInterval: "2 seconds",
  refreshAssignmentsInterval: "1 second",
  runnerHealthCheckInterval: "1 second",
  entityTerminationTimeout: "1 second",
  // A restart of PostgreSQL takes every lock that hangs on a connection.
  shardLockDisableAdvisory: true,
  simulateRemoteSerialization: false
} as const

/** A second longer than the database's own limits allow a statement. */
const STORAGE_LIMIT = "4 seconds"
/** What is not taken back at the end expires by itself. */
const GIVE_BACK_LIMIT = "1 second"

export interface ClusterOptions {
  readonly address: ClusterAddress.RunnerAddress
  readonly health: RunnerHealth.RunnerHealth["Service"]
  readonly answers: RpcGroup.HandlersFrom<RpcGroup.Rpcs<typeof RunnerRpcs>>
}

/** Answers on the socket that it is given, and takes part in the cluster. */
export const layer = ({ address, answers, health }: ClusterOptions) =>
  RpcServer.layer(Runners.Rpcs.merge(RunnerRpcs), { disableTracing: true, disableFatalDefects: true }).pipe(
    Layer.provide([RunnerServer.layerHandlers, RunnerRpcs.toLayer(Effect.succeed(answers))]),
    Layer.provideMerge(Layer.provide(Sharding.layer, Layer.effect(Logger.CurrentLoggers, demoted))),
    Layer.provide([RpcServer.layerProtocolSocketServer, Runners.layerRpc]),
    Layer.provide(Layer.succeed(RunnerHealth.RunnerHealth, health)),
    Layer.provide(MessageStorage.layerNoop),
    Layer.provideMerge(storage),
    Layer.provide(ShardingConfig.layer({ ...settings, runnerAddress: Option.some(address) }))
  )

/**
 * Where the cluster keeps who there is and who leads: in the database. Every operation ends, also where it cannot be interrupted, as at the
 * cluster's end: a pool may wait for ever for connections that cannot be made.
 */
const storage = Layer.effect(
  RunnerStorage.RunnerStorage,
  Effect.map(RunnerStorage.RunnerStorage, (kept) =>
    RunnerStorage.RunnerStorage.of({
      getRunners: within(STORAGE_LIMIT, kept.getRunners),
      register: (runner, isHealthy) => within(STORAGE_LIMIT, kept.register(runner, isHealthy)),
      setRunnerHealth: (runner, isHealthy) => within(STORAGE_LIMIT, kept.setRunnerHealth(runner, isHealthy)),
      acquire: (runner, shards) => within(STORAGE_LIMIT, kept.acquire(runner, shards)),
      refresh: (runner, shards) => within(STORAGE_LIMIT, kept.refresh(runner, shards)),
      release: (runner, shard) => within(GIVE_BACK_LIMIT, kept.release(runner, shard)),
      releaseAll: (runner) => within(GIVE_BACK_LIMIT, kept.releaseAll(runner)),
      unregister: (runner) => within(GIVE_BACK_LIMIT, kept.unregister(runner))
    })
  )
).pipe(Layer.provide(SqlRunnerStorage.layerStorage({})))

const within = <A>(limit: Duration.Input, operation: Effect.Effect<A, ClusterError.PersistenceError>) =>
  Effect.acquireUseRelease(
    Effect.forkDetach(Effect.interruptible(operation)),
    (asked) =>
      Effect.timeoutOrElse(Effect.interruptible(Fiber.join(asked)), {
        duration: limit,
        orElse: () => Effect.fail(new ClusterError.PersistenceError({ cause: new Error("the database is silent") }))
      }),
    // Nobody waits until it has taken note.
    (asked) => Effect.sync(() => asked.interruptUnsafe())
  )

/** The cluster says of a database that is away, again and again, that it is: once is enough for an admin, and `KeptDatabase` says it. */
const demoted = Effect.map(Logger.CurrentLoggers, (loggers) => {
  const demote = Logger.make<unknown, void>((line) => {
    if (LogLevel.isGreaterThan(line.fiber.getRef(References.MinimumLogLevel), "Debug")) return
    for (const logger of loggers) logger.log({ ...line, logLevel: "Debug" })
  })
  return new Set([demote])
})
