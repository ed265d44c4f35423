/**
 * The message that wakes a call: Effect's cluster keeps it for as long as the call runs, and delivers it again to the next process.
 */
import { randomUUID } from "node:crypto"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import { Effect, Layer, Option, Schema, type Scope } from "effect"
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as Snowflake from "effect/cluster/Snowflake"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as Rpc from "effect/rpc/Rpc"
import type * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { RoomToken } from "../domain/Call.ts"

export interface CallMailbox {
  /** Returns when the message is stored; what it runs comes later. Fails when it cannot be stored. */
  readonly wake: (room: RoomToken) => Effect.Effect<void, Error>
}

export interface MailboxOptions {
  /** With the tables of `migrations`. */
  readonly sql: SqlClient
  /** No message is delivered before. */
  readonly isReady: () => boolean
  /** What a message is for: runs the call of a room while there are intents. May be interrupted, and asked for again. */
  readonly run: (room: RoomToken) => Effect.Effect<void>
}

/**
 * Answered when the call is over, so that a stored message without an answer means that the call runs. It says nothing about the call:
 * intents do. `wake` is new each time, as the answer to an old one would be given again for ever. A process that ends leaves it
 * unanswered, at once; who sent it waits for no answer.
 */
const Start = Rpc.make("Start", { payload: { wake: Schema.String }, primaryKey: ({ wake }) => wake })
  .annotate(ClusterSchema.Persisted, true)
  .annotate(ClusterSchema.InterruptOnTermination, true)
  .annotate(ClusterSchema.Uninterruptible, "client")

/** Its id is the room's token. */
const Call = Entity.make("Call", [Start])
const decodeRoom = Schema.decodeUnknownOption(RoomToken)

export const migrations: Migrator.Loader = SqlMessageStorage.migrations()

/** The cluster in its form for one process: delivery and its order, no network. */
export const make = Effect.fnUntraced(function* ({
  isReady,
  run,
  sql
}: MailboxOptions): Effect.fn.Return<CallMailbox, never, Scope.Scope> {
  const calls = Call.toLayer(
    Effect.map(Entity.CurrentAddress, ({ entityId }) =>
      Call.of({
        Start: () =>
          Option.match(decodeRoom(entityId), { onNone: () => Effect.void, onSome: (room) => Effect.orDie(run(room)) })
      })
    ),
    // The messages of a call run beside each other, and all end with it.
    { concurrency: "unbounded" }
  )
  const cluster = Sharding.layer.pipe(
    Layer.provide([Runners.layerNoop, RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provideMerge(messages(isReady)),
    Layer.provide(Layer.succeed(SqlClient, sql)),
    Layer.provide(
      ShardingConfig.layer({
        shardsPerGroup: 1,
        simulateRemoteSerialization: false,
        // Whoever sends a message has it delivered at once; this is for those of an earlier process.
        entityMessagePollInterval: "5 seconds",
        // The calls are not in here: there is nothing to wait for.
        entityTerminationTimeout: "1 second"
      })
    )
  )
  const context = yield* Layer.build(calls.pipe(Layer.provideMerge(cluster)))
  const client = yield* Effect.provideContext(Call.client, context)
  return { wake: (room) => client(room).Start({ wake: randomUUID() }, { discard: true }) }
})

/**
 * The cluster's messages in the file. An answer that cannot be written is given up: its message is delivered again, and finds nothing to
 * do. What cannot be read is read later.
 */
const messages = (isReady: () => boolean) =>
  Layer.effect(
    MessageStorage.MessageStorage,
    Effect.flatMap(SqlMessageStorage.makeEncodedStorage(), (stored) =>
      MessageStorage.makeEncoded({
        ...stored,
        saveReply: (reply) => Effect.ignore(stored.saveReply(reply)),
        unprocessedMessages: (shards, now, options) =>
          Effect.suspend(() =>
            isReady() ? stored.unprocessedMessages(shards, now, options) : Effect.succeed([])
          ).pipe(Effect.orElseSucceed(() => []))
      })
    )
  ).pipe(Layer.provide([Snowflake.layerGenerator, NodeCrypto.layerDigest]))

/** Whatever the process before had taken up is to be delivered to this one. */
export const reopen = (sql: SqlClient) => sql`UPDATE cluster_messages SET last_read = NULL WHERE NOT processed`

/** Calls that are over leave nothing. */
export const purge = (sql: SqlClient) =>
  Effect.andThen(
    sql`DELETE FROM cluster_replies WHERE request_id IN (SELECT request_id FROM cluster_messages WHERE processed)`,
    sql`DELETE FROM cluster_messages WHERE processed`
  ).pipe(sql.withTransaction)
