/**
 * What the runners of one database keep there: who reads in which room, and what viewers last read in. Each writes about its own rooms.
 */
import { Effect, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type * as Database from "./Database.ts"
import * as IntentRows from "./IntentRows.ts"
import * as KeptDatabase from "./KeptDatabase.ts"
import * as SharedViewerLanguages from "./SharedViewerLanguages.ts"
import * as StoredIntents from "./StoredIntents.ts"

export interface SharedStore {
  readonly kept: KeptDatabase.KeptDatabase
  /** `wantWrite` of `kept` after each record. */
  readonly intents: StoredIntents.StoredIntents
  readonly viewers: SharedViewerLanguages.SharedViewerLanguages
  /** Whether the tables are there: once true, always true. */
  readonly isReady: () => boolean
  /** Nobody wants anything that was asked for until now; fails where the database cannot be told now, and is done when it can. */
  readonly dismissAll: Effect.Effect<void, SqlError>
}

export interface SharedStoreOptions {
  readonly database: Database.Database
  /** Tables beside ours. */
  readonly tables: ReadonlyArray<Database.Tables>
  /** Selects those of these rooms whose seat this runner has. */
  readonly mine: IntentRows.Mine
  /** Each time the database was opened, when the tables are there; what is ours is written afterwards. */
  readonly opened: (intents: StoredIntents.StoredIntents) => Effect.Effect<void, Error>
  /** What follows when it cannot be used; a sentence. */
  readonly consequence: string
}

export const make = Effect.fnUntraced(function* ({
  consequence,
  database,
  mine,
  opened,
  tables
}: SharedStoreOptions): Effect.fn.Return<SharedStore, never, Scope.Scope> {
  const intents = yield* StoredIntents.make(database, { mine })
  const viewers = yield* SharedViewerLanguages.make(database, () => kept.wantWrite())
  let isReady = false
  const kept: KeptDatabase.KeptDatabase = yield* KeptDatabase.make({
    database,
    consequence,
    prepare: Effect.gen(function* () {
      yield* database.migrate([{ table: "calls_migrations", loader: IntentRows.migrations }, ...tables])
      isReady = true
      yield* opened(intents)
    }),
    write: Effect.andThen(intents.write, viewers.write)
  })
  return {
    kept,
    intents,
    viewers,
    isReady: () => isReady,
    dismissAll: Effect.suspend(() => {
      intents.dismiss()
      return Effect.tapError(intents.write, () => Effect.sync(kept.wantWrite))
    })
  }
})
