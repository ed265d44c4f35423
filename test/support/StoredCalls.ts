/**
 * ClusterCalls as one process after another has it, all with the same folder.
 */
import { join } from "node:path"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import * as ClusterCalls from "../../src/layers/ClusterCalls.ts"
import * as NodeSqlite from "../../src/layers/NodeSqlite.ts"
import { Calls } from "../../src/services/Calls.ts"
import { ViewerLanguages } from "../../src/services/ViewerLanguages.ts"
import * as CallPhases from "./CallPhases.ts"
import * as CallScene from "./CallScene.ts"

export const fileIn = (folder: string) => join(folder, ClusterCalls.FILE)

/** Begins with what the folder has; `end` is what SIGTERM does. */
export const boot = Effect.fnUntraced(function* (storage: string, options: { readonly isDeserted?: boolean } = {}) {
  const { layer, lines, phases } = CallPhases.make(options)
  const scope = yield* Scope.make()
  const end = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => end)
  const calls = ClusterCalls.layer({ presence: CallPhases.presence, storage }).pipe(Layer.provide(layer))
  const context = yield* Layer.build(calls).pipe(Scope.provide(scope))
  return { calls: Context.get(context, Calls), languages: Context.get(context, ViewerLanguages), phases, lines, end }
})

export type Process = Effect.Success<ReturnType<typeof boot>>

/** Waits until this room is captioned, for so many viewers. */
export const captions = ({ calls }: Process, viewers = 1, room = CallPhases.room) =>
  CallScene.until(() =>
    Effect.map(calls.list, (all) =>
      all.some((call) => call.room === room && call.state === "Captioning" && call.viewers === viewers)
    )
  )

/** What stands in the file while no process has it. */
export const inFile = <A, E>(folder: string, look: (sql: SqlClient) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { open, sql } = yield* NodeSqlite.make(fileIn(folder))
      yield* open
      return yield* look(sql)
    })
  )
