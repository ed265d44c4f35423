/**
 * Clicks, wherever they arrive: each goes to the runner that has the seat of its room. A room that nobody has gets a seat.
 */
import { Deferred, Effect, FiberSet, Option, Schedule, type Scope } from "effect"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import type { Intent, RoomToken } from "../domain/Call.ts"
import type { Seat } from "../domain/Seat.ts"
import type { Calls } from "../services/Calls.ts"
import type * as KeptDatabase from "./KeptDatabase.ts"
import type * as RunnerFleet from "./RunnerFleet.ts"
import { NotSeated, RunnerEnds } from "./RunnerProtocol.ts"
import * as RunnerWork from "./RunnerWork.ts"
import type { SeatKeeping } from "./SeatKeeping.ts"
import type { SeatMap } from "./SeatMap.ts"
import type * as StoredIntents from "./StoredIntents.ts"

export interface SeatedRequestsOptions {
  readonly fleet: RunnerFleet.RunnerFleet
  readonly keeping: SeatKeeping
  readonly map: SeatMap
  readonly intents: StoredIntents.StoredIntents
  readonly kept: KeptDatabase.KeptDatabase
  readonly isEnding: () => boolean
}

export interface SeatedRequests {
  readonly calls: Omit<Calls["Service"], "list">
  readonly answers: Pick<RunnerFleet.RunnerAnswers, "Start" | "Stop" | "End" | "EndAll" | "SetLanguage">
}

type StartOptions = Parameters<Calls["Service"]["start"]>[1]

/** Talk's patience is three seconds; a call that changes hands does so within one. */
const ANSWER_LIMIT = "1 second"
const PATIENCE = "2200 millis"
const AGAIN = Schedule.min([Schedule.exponential("100 millis", 1.15), Schedule.spaced("1 second")])
/** What could not be delivered by then is still tried for so long: its runner is given up by then, and another one has the call. */
const LATER = "1 minute"
const RECORD_LIMIT = "500 millis"

interface Request<A> {
  readonly here: Effect.Effect<A>
  readonly there: (client: RunnerFleet.RunnerClient) => Effect.Effect<A, NotSeated | RpcClientError>
  /** Nobody has the room, or whoever had it has ended. */
  readonly nowhere: (dead: Seat | undefined) => Effect.Effect<A, NotSeated>
  /** The answer while it is on its way. */
  readonly meanwhile: A
}

export const make = Effect.fnUntraced(function* (
  options: SeatedRequestsOptions
): Effect.fn.Return<SeatedRequests, never, Scope.Scope> {
  const { fleet, intents, isEnding, keeping, kept, map } = options
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const recorded = Effect.suspend(() =>
    kept.state()._tag === "Open" ? Effect.asVoid(Effect.timeoutOption(intents.written, RECORD_LIMIT)) : Effect.void
  )
  const readSeat = (room: RoomToken) =>
    Effect.suspend(() => (kept.state()._tag === "Open" ? map.read(room) : Effect.succeed(map.of(room)))).pipe(
      Effect.timeoutOption(RECORD_LIMIT),
      Effect.orElseSucceed(() => Option.none<Seat | undefined>()),
      Effect.map(Option.getOrElse(() => map.of(room)))
    )

  const once = Effect.fnUntraced(function* <A>(room: RoomToken, request: Request<A>): Effect.fn.Return<A, NotSeated> {
    if (keeping.has(room)) return yield* request.here
    const seat = map.of(room) ?? (yield* readSeat(room)) ?? map.told(room)
    if (seat === undefined) return yield* request.nowhere(undefined)
    if (seat.incarnation === fleet.me.incarnation) {
      map.forget(room)
      // It is being given away, or back.
      const read = keeping.isMoving(room) ? undefined : yield* readSeat(room)
      if (keeping.has(room)) return yield* request.here
      return read?.incarnation === seat.incarnation ? yield* request.nowhere(read) : yield* new NotSeated()
    }
    if (yield* fleet.hasEnded(seat)) {
      const read = yield* readSeat(room)
      return read?.epoch === seat.epoch ? yield* request.nowhere(read) : yield* new NotSeated()
    }
    return yield* fleet.ask(seat.address, request.there, ANSWER_LIMIT).pipe(
      // Without a database what is known is all there is, until that runner says something else.
      Effect.tapError((error) =>
        Effect.sync(() => {
          if (error._tag === "NotSeated" || kept.state()._tag === "Open") map.forget(room)
        })
      ),
      Effect.mapError(() => new NotSeated())
    )
  })
  // What was begun is finished, whoever stops waiting: half of it would be a seat that nobody runs.
  const route = Effect.fnUntraced(function* <A>(room: RoomToken, request: Request<A>): Effect.fn.Return<A> {
    const answer = yield* Deferred.make<A>()
    const tried = Effect.orDie(Effect.retry(once(room, request), AGAIN))
    fork(Effect.asVoid(Effect.timeoutOption(Deferred.into(tried, answer), LATER)))
    return yield* Effect.timeoutOrElse(Deferred.await(answer), {
      duration: PATIENCE,
      orElse: () =>
        Effect.as(
          Effect.logWarning("the runner of a call does not answer, it is asked again", { room }),
          request.meanwhile
        )
    })
  })

  const startHere = (intent: Intent, given: StartOptions) =>
    keeping.calls
      .start(intent, given)
      .pipe(Effect.andThen(Effect.sync(() => keeping.run(intent.room))), Effect.andThen(recorded))
  const stopHere = (room: RoomToken, viewer: Intent["viewer"]) =>
    Effect.andThen(keeping.calls.stop(room, viewer), recorded)
  const endHere = (room: RoomToken) => Effect.tap(keeping.calls.end(room), recorded)
  const setLanguageHere = (room: RoomToken, language: Intent["language"]) =>
    Effect.tap(keeping.calls.setLanguage(room, language), recorded)
  const endAllHere = Effect.sync(() => intents.dismiss()).pipe(
    Effect.andThen(keeping.calls.endAll),
    Effect.andThen(Effect.sync(kept.wantWrite)),
    Effect.andThen(recorded)
  )

  /** Only if somebody has wanted it: what was asked before its runner ended is in the database. */
  const whereWanted =
    <A>(room: RoomToken, here: Effect.Effect<A>, otherwise: A) =>
    (dead: Seat | undefined): Effect.Effect<A, NotSeated> =>
      Effect.gen(function* () {
        if (kept.state()._tag !== "Open") return otherwise
        const wanted = yield* Effect.orElseSucceed(
          Effect.timeout(intents.wanted, RECORD_LIMIT),
          (): ReadonlyArray<RoomToken> => []
        )
        if (dead === undefined && !wanted.includes(room)) return otherwise
        if (!(yield* keeping.take(vacancyOf(room, dead)))) return yield* new NotSeated()
        return yield* Effect.ensuring(
          here,
          Effect.sync(() => keeping.run(room))
        )
      })
  const startSomewhere = (intent: Intent, given: StartOptions) => (dead: Seat | undefined) =>
    Effect.gen(function* () {
      const { room } = intent
      const vacancy = vacancyOf(room, dead)
      const target = map.place(room, RunnerWork.EXPECTED) ?? fleet.me
      if (target.incarnation !== fleet.me.incarnation) {
        const asked = yield* Effect.result(
          fleet.ask(target.address, (client) => client.Start({ intent, ...given, vacancy }), ANSWER_LIMIT)
        )
        if (asked._tag === "Success") return
        if (asked.failure._tag === "NotSeated") return yield* asked.failure
      }
      map.placed(room, fleet.me.incarnation, RunnerWork.EXPECTED)
      if (!(yield* keeping.take(vacancy))) return yield* new NotSeated()
      yield* startHere(intent, given)
    })

  const whereSeated = <A>(room: RoomToken, here: Effect.Effect<A>): Effect.Effect<A, NotSeated> =>
    Effect.suspend(() => (keeping.has(room) ? here : Effect.fail(new NotSeated())))

  return {
    calls: {
      start: (intent, given) =>
        route(intent.room, {
          here: startHere(intent, given),
          there: (client) => Effect.catchTag(client.Start({ intent, ...given }), "RunnerEnds", () => new NotSeated()),
          nowhere: startSomewhere(intent, given),
          meanwhile: undefined
        }),
      stop: (room, viewer) =>
        route(room, {
          here: stopHere(room, viewer),
          there: (client) => client.Stop({ room, viewer }),
          nowhere: whereWanted(room, stopHere(room, viewer), undefined),
          meanwhile: undefined
        }),
      end: (room) =>
        route(room, {
          here: endHere(room),
          there: (client) => client.End({ room }),
          nowhere: whereWanted(room, endHere(room), false),
          meanwhile: true
        }),
      endAll: Effect.suspend(() =>
        Effect.forEach(
          fleet.peers(),
          ({ address }) => Effect.ignore(fleet.ask(address, (client) => client.EndAll(), ANSWER_LIMIT)),
          { concurrency: "unbounded", discard: true }
        )
      ).pipe(Effect.andThen(endAllHere)),
      setLanguage: (room, language) =>
        route(room, {
          here: setLanguageHere(room, language),
          there: (client) => client.SetLanguage({ room, language }),
          nowhere: whereWanted(room, setLanguageHere(room, language), false),
          meanwhile: true
        })
    },
    // Whoever asks may stop waiting: what was begun is finished all the same.
    answers: {
      Start: ({ iceServers, intent, vacancy }) =>
        Effect.gen(function* () {
          const given = iceServers === undefined ? undefined : { iceServers }
          if (vacancy !== undefined && !keeping.has(intent.room)) {
            if (isEnding()) return yield* new RunnerEnds()
            if (!(yield* keeping.take(vacancy))) return yield* new NotSeated()
          }
          return yield* whereSeated(intent.room, startHere(intent, given))
        }).pipe(Effect.uninterruptible),
      Stop: ({ room, viewer }) => whereSeated(room, stopHere(room, viewer)),
      End: ({ room }) => whereSeated(room, endHere(room)),
      EndAll: () => endAllHere,
      SetLanguage: ({ language, room }) => whereSeated(room, setLanguageHere(room, language))
    }
  }
})

const vacancyOf = (room: RoomToken, known: Seat | undefined) => ({
  room,
  ...(known === undefined ? {} : { known }),
  isAlive: false
})
