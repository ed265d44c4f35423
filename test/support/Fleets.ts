/**
 * Several runners in one process, each with its own connection to one shared file.
 */
import { join } from "node:path"
import { Effect, Exit, PubSub, Redacted, Scope, Stream } from "effect"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import { Incarnation } from "../../src/domain/Seat.ts"
import * as Database from "../../src/layers/Database.ts"
import * as RunnerFleet from "../../src/layers/RunnerFleet.ts"
import type { RunnerProcess } from "../../src/services/Fleet.ts"
import { temporaryFolder } from "./TemporaryFolder.ts"

/** Answers what the others ask each second; all else breaks. */
export const answersOf = (incarnation: Incarnation, isEnding = false): RunnerFleet.RunnerAnswers => ({
  Presence: () => Effect.succeed({ incarnation, isEnding, work: 0, speakers: 0, calls: [] }),
  Statuses: () => Effect.succeed([]),
  Start: () => Effect.die("not asked here"),
  Stop: () => Effect.die("not asked here"),
  End: () => Effect.die("not asked here"),
  EndAll: () => Effect.die("not asked here"),
  SetLanguage: () => Effect.die("not asked here"),
  Take: () => Effect.die("not asked here"),
  Move: () => Effect.die("not asked here"),
  Give: () => Effect.die("not asked here"),
  Captions: () => Stream.die("not asked here"),
  FindPart: () => Effect.succeedNone,
  OpenPart: () => Effect.die("not asked here"),
  TellPart: () => Effect.die("not asked here"),
  ListenToPart: () => Stream.die("not asked here"),
  GivePart: () => Effect.die("not asked here"),
  KeptInPart: () => Effect.die("not asked here"),
  TakeInPart: () => Effect.die("not asked here"),
  FinishPart: () => Effect.die("not asked here")
})

/** What supervisors tell; everybody hears all. */
export const supervisor = Effect.map(PubSub.unbounded<Incarnation>(), (news) => ({
  tell: (incarnation: Incarnation) => PubSub.publish(news, incarnation),
  processOf: (slot: number): RunnerProcess => ({
    slot,
    incarnation: Incarnation.make(`runner-${slot}-${crypto.randomUUID().slice(0, 8)}`),
    gone: Stream.fromPubSub(news)
  })
}))

/** What all runners here know. */
export const SECRET = Redacted.make("of-all-runners")

export const sharedFile = Effect.map(temporaryFolder, (folder) => join(folder, "calls.sqlite"))

/** One runner's view of the others; `end` is an orderly end. */
export const fleet = Effect.fnUntraced(function* (
  file: string,
  runner: RunnerProcess,
  answers: Partial<RunnerFleet.RunnerAnswers> = {},
  secret = SECRET
) {
  const scope = yield* Scope.make()
  const end = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => end)
  const made = yield* Effect.gen(function* () {
    const database = yield* Database.make({ _tag: "File", file, isShared: true })
    yield* database.open
    yield* database.migrate([{ table: "cluster_runner_migrations", loader: SqlRunnerStorage.migrations({}) }])
    return yield* RunnerFleet.make({ runner, sql: database.sql, secret })
  }).pipe(Scope.provide(scope))
  return {
    fleet: made,
    join: made.join({ ...answersOf(runner.incarnation), ...answers }).pipe(Scope.provide(scope)),
    end
  }
})
