/**
 * Calls of several runners, on this machine or on several: each call runs on the runner that has its seat, clicks for it may arrive anywhere,
 * and everybody sees all of them.
 */
import { Context, Effect, Fiber, Layer, Queue, type Redacted, Schedule, Scope, Stream } from "effect"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import type { Intent, RoomToken } from "../domain/Call.ts"
import { type CallStatus, Calls } from "../services/Calls.ts"
import { CaptionFeed } from "../services/CaptionFeed.ts"
import type { RunnerProcess } from "../services/Fleet.ts"
import { ViewerLanguages } from "../services/ViewerLanguages.ts"
import { ConfigurationError } from "./ConfigurationError.ts"
import * as Database from "./Database.ts"
import * as IntentRows from "./IntentRows.ts"
import * as KeptDatabase from "./KeptDatabase.ts"
import * as PartsElsewhere from "./PartsElsewhere.ts"
import * as PartsHere from "./PartsHere.ts"
import * as RunnerFleet from "./RunnerFleet.ts"
import { NotSeated, type Presence, RunnerEnds } from "./RunnerProtocol.ts"
import * as RunnerWork from "./RunnerWork.ts"
import * as SeatedCaptionFeed from "./SeatedCaptionFeed.ts"
import * as SeatedRequests from "./SeatedRequests.ts"
import * as SeatKeeping from "./SeatKeeping.ts"
import * as SeatMap from "./SeatMap.ts"
import * as SeatReview from "./SeatReview.ts"
import * as Seats from "./Seats.ts"
import * as StoredIntents from "./StoredIntents.ts"
import * as StoredViewerLanguages from "./StoredViewerLanguages.ts"
import * as TalkCall from "./TalkCall.ts"

export interface SeatedCallsOptions extends Partial<TalkCall.TalkCallOptions> {
  readonly database: Database.DatabasePlace
  readonly runner: RunnerProcess
  /** The same for all runners of the database: they talk to nobody who does not know it. */
  readonly secret: Redacted.Redacted
  /** Where other machines reach the first runner of this one. */
  readonly address?: { readonly host: string; readonly port: number }
  /** How many runners there are to be on this machine: calls that nobody runs wait a moment for those that still start. One if left out. */
  readonly ofMachine?: number
  /** What this runner has used of a processor so far. */
  readonly cpuMs?: () => number
}

const REVIEW_EVERY = "1 minute"
/** What others are told of this runner is no older. */
const LOOK_EVERY = "500 millis"
const LIST_LIMIT = "500 millis"
/** Nobody waits longer for a database that is to know that this runner has ended: it learns it from the others. */
const FAREWELL_LIMIT = "1500 millis"
const CONSEQUENCE =
  "Captions go on, every runner takes clicks, and a runner that is told to end gives its calls away. But who has asked for captions is forgotten if this process ends now, and no other runner takes its calls if it is killed."
const ALONE =
  "LT_RUNNER_ADDRESS is not set: no other machine may use this database, its runners could not reach those of this one."
const SILENT = "The runner of this call does not answer: what is shown is what it said last."

/**
 * Gives `Calls`, `ViewerLanguages` and the `CaptionFeed` of all runners, each on every runner. What runs is in the memory of its runner and goes on
 * without the database; when the scope closes, calls go to the other runners, and where there are none they end as those of one process do.
 */
export const layer = (options: SeatedCallsOptions) =>
  Layer.effectContext(
    Effect.catchTag(make(options), "ListenError", ({ message }) =>
      Effect.fail(
        new ConfigurationError({ detail: `LT_RUNNER_ADDRESS is where others reach this machine: ${message}` })
      )
    )
  )

const make = Effect.fnUntraced(function* ({
  address,
  cpuMs = RunnerWork.cpuMs,
  database: place,
  ofMachine = 1,
  runner,
  secret,
  ...options
}: SeatedCallsOptions) {
  // What is made first ends last: the database outlives the calls, and the fleet what they say to each other.
  const database = yield* Database.make(place)
  const { sql } = database
  const seats = Seats.make(sql)
  const intents = yield* StoredIntents.make(database, {
    mine: (rooms) =>
      sql`SELECT room FROM call_seats WHERE incarnation = ${runner.incarnation} AND ${sql.in("room", rooms)}`
  })
  const viewers = yield* StoredViewerLanguages.make(database, () => kept.wantWrite())
  const kept = yield* KeptDatabase.make({
    database,
    consequence: CONSEQUENCE,
    write: Effect.andThen(intents.write, viewers.write),
    prepare: Effect.andThen(
      database.migrate([
        { table: "calls_migrations", loader: IntentRows.migrations },
        { table: "call_seats_migrations", loader: Seats.migrations },
        { table: "cluster_runner_migrations", loader: SqlRunnerStorage.migrations({}) }
      ]),
      viewers.load
    )
  })
  if (place._tag === "Server" && address === undefined) yield* Effect.logWarning(ALONE)
  const fleetScope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) =>
    Effect.flatMap(Effect.forkDetach(Scope.close(scope, exit)), (closing) =>
      Effect.timeoutOption(Effect.interruptible(Fiber.await(closing)), FAREWELL_LIMIT)
    )
  )
  const fleet = yield* RunnerFleet.make({ runner, sql, secret, ...(address === undefined ? {} : { address }) }).pipe(
    Scope.provide(fleetScope)
  )

  let isEnding = false
  let run: ReadonlyArray<CallStatus> = []
  const busy = yield* RunnerWork.make(cpuMs)
  const speakers = () => total(run, (status) => status.speakers)
  const heardByOthers = () => total(fleet.peers(), (peer) => peer.presence.speakers)
  const { maxVoices, screenShares } = { ...TalkCall.defaultOptions, ...options }
  const here = yield* PartsHere.make({
    ...{ incarnation: runner.incarnation, maxVoices, screenShares, isEnding: () => isEnding },
    heard: () => speakers() + heardByOthers()
  })
  const presence = (): Presence => {
    // Whom others hear of a call is their work; as voices they are the call's.
    const known = run.map((call) =>
      RunnerWork.workOf({ ...call, speakers: call.speakers - elsewhere.heardOf(call.room) })
    )
    const { calls, work } = RunnerWork.shared(known, here.work(), busy())
    return { incarnation: runner.incarnation, isEnding, work, speakers: speakers(), calls }
  }
  // One for each reader of calls that have just gone elsewhere: as many as wished, and none may be dropped.
  const unsaid = yield* Queue.unbounded<Intent>()
  const map = yield* SeatMap.make(seats, fleet, presence)
  const elsewhere = yield* PartsElsewhere.make({ fleet, map, here })
  const keeping = yield* SeatKeeping.make({
    calls: options,
    parts: elsewhere,
    fleet,
    seats,
    intents,
    kept,
    forward: (wishes) => Queue.offerAllUnsafe(unsaid, wishes),
    isEnding: () => isEnding
  })
  const requests = yield* SeatedRequests.make({ fleet, keeping, map, intents, kept, isEnding: () => isEnding })
  const reviews = yield* SeatReview.make({ fleet, keeping, map, intents, kept, presence, ofMachine })
  yield* Queue.take(unsaid).pipe(
    Effect.flatMap((intent) => requests.calls.start(intent)),
    Effect.forever,
    Effect.forkScoped
  )
  const look = Effect.map(keeping.calls.list, (statuses) => {
    run = statuses
  })
  yield* look.pipe(Effect.repeat(Schedule.spaced(LOOK_EVERY)), Effect.forkScoped)
  yield* renewal(keeping, intents, kept).pipe(Effect.repeat(Schedule.spaced(REVIEW_EVERY)), Effect.forkScoped)

  const captions = yield* CaptionFeed
  const answers: RunnerFleet.RunnerAnswers = {
    ...requests.answers,
    ...here.answers,
    Presence: () => Effect.map(look, presence),
    Statuses: () => listHere,
    Take: ({ vacancy, ...wishes }) =>
      Effect.gen(function* () {
        if (isEnding) return yield* new RunnerEnds()
        if (!(yield* keeping.take(vacancy, wishes))) return yield* new NotSeated()
        keeping.run(vacancy.room)
      }).pipe(Effect.uninterruptible),
    // A runner that cannot take it leaves it where it is.
    Move: ({ room, to }) => Effect.ignore(reviews.move(room, to)),
    Give: ({ epoch, room }) => Effect.uninterruptible(keeping.give(room, epoch)),
    Captions: ({ room }) => Stream.unwrap(captions.subscribe(room))
  }
  const listHere = Effect.map(keeping.calls.list, (all) => all.map((status) => advised(status, kept.advice())))
  const join = fleet.join(answers).pipe(Scope.provide(fleetScope))
  yield* kept.tried
  if (kept.state()._tag === "Open") yield* join
  else {
    yield* Effect.sync(() => kept.state()._tag).pipe(
      Effect.repeat({ until: (tag) => tag === "Open", schedule: Schedule.spaced("100 millis") }),
      Effect.andThen(join),
      Effect.forkIn(fleetScope)
    )
  }
  // The first to run: everything that a call needs on its way to another runner still works.
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      isEnding = true
      // As the calls are now. Parts need longer than calls: some of their leads may be moving themselves.
      return here.leave.pipe(Effect.andThen(look), Effect.andThen(reviews.leave))
    })
  )

  const list = yield* makeList(fleet, map, listHere)
  return Context.make(Calls, { ...requests.calls, list }).pipe(
    Context.add(ViewerLanguages, viewers.languages),
    Context.add(CaptionFeed, SeatedCaptionFeed.make(captions, fleet, map))
  )
})

/** Everybody's calls; of a runner that does not answer what it said last. */
const makeList = (
  fleet: RunnerFleet.RunnerFleet,
  map: SeatMap.SeatMap,
  here: Effect.Effect<ReadonlyArray<CallStatus>>
) =>
  Effect.sync(() => {
    let last: ReadonlyMap<RoomToken, CallStatus> = new Map()
    return Effect.gen(function* () {
      const said = yield* Effect.forEach(
        fleet.peers(),
        ({ address, incarnation }) =>
          fleet
            .ask(address, (client) => client.Statuses(), LIST_LIMIT)
            .pipe(
              Effect.map((statuses) => [{ incarnation, statuses }]),
              Effect.orElseSucceed(() => [])
            ),
        { concurrency: "unbounded" }
      )
      const answered = [...said.flat(), { incarnation: fleet.me.incarnation, statuses: yield* here }]
      const heard = new Set(answered.map(({ incarnation }) => incarnation))
      const all = new Map(answered.flatMap(({ statuses }) => statuses.map((status) => [status.room, status])))
      for (const { incarnation, room } of map.all()) {
        const known = last.get(room)
        if (heard.has(incarnation) || all.has(room) || known === undefined) continue
        all.set(room, { ...known, state: "Reconnecting", speakers: 0, advice: SILENT })
      }
      last = all
      return [...all.values()]
    })
  })

/** As for one process: who was not seen for too long is forgotten. */
const renewal = Effect.fnUntraced(function* (
  { calls }: SeatKeeping.SeatKeeping,
  intents: StoredIntents.StoredIntents,
  kept: KeptDatabase.KeptDatabase
) {
  const joined = (yield* calls.list).filter(({ state }) => state === "Captioning")
  intents.renew(new Set(joined.map(({ room }) => room)))
  for (const { room, viewer } of intents.expired()) yield* calls.stop(room, viewer)
  kept.wantWrite()
})

const advised = (status: CallStatus, advice: string | undefined): CallStatus =>
  advice === undefined || status.advice !== undefined ? status : { ...status, advice }

const total = <A>(all: ReadonlyArray<A>, of: (one: A) => number): number => all.reduce((sum, one) => sum + of(one), 0)
