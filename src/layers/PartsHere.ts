/**
 * The parts that this runner hears of calls of others: one of each room at most, each for as long as a lead wants it.
 */
import { Clock, Deferred, Effect, Exit, FiberSet, Option, Schedule, Scope, Semaphore, Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { CallWork } from "../domain/Placement.ts"
import { type Incarnation, outranks, type Rank } from "../domain/Seat.ts"
import { Stopping } from "../services/Stopping.ts"
import type { PartSaid, RunningPart } from "./CallPart.ts"
import { monotonicMs } from "./Monotonic.ts"
import { type FoundPart, NoSuchPart, PartRefused } from "./PartProtocol.ts"
import * as RunnerCluster from "./RunnerCluster.ts"
import type { RunnerAnswers } from "./RunnerFleet.ts"
import * as TalkPart from "./TalkPart.ts"

export interface PartsHereOptions {
  readonly incarnation: Incarnation
  readonly screenShares: boolean
  /** Most voices heard at a time over all calls, and those that are, these here included. */
  readonly maxVoices: number
  readonly heard: () => number
  readonly isEnding: () => boolean
}

export interface PartsHere {
  readonly answers: Pick<
    RunnerAnswers,
    "FindPart" | "OpenPart" | "TellPart" | "ListenToPart" | "GivePart" | "KeptInPart" | "TakeInPart" | "FinishPart"
  >
  /** The part of this room that is heard here. */
  readonly find: (room: RoomToken) => Option.Option<FoundPart>
  /** Voices of others' calls with a connected peer. */
  readonly work: () => ReadonlyArray<CallWork>
  /** All end when their leads have others hear their voices; returns at once. What is left of the time is for their last words. */
  readonly leave: Effect.Effect<void>
}

/**
 * A part of which no lead has wanted anything for so long ends. A dead machine's calls have new leads by then, also where it led the runners:
 * besides the lease a second each until another one leads, until that looks at the seats, and since the part was told something. One that only
 * cannot be reached is back by then, or not soon. `PartsElsewhere` counts on it.
 */
export const LEASE_MS = RunnerCluster.LEASE_MS + 3_000
/** A part that ends waits no longer for its lead, also where the service has more time. */
const RELIEVED_WITHIN = "6 seconds"
const LOOK = "20 millis"

interface Part {
  readonly life: number
  readonly running: RunningPart
  readonly isNeeded: () => boolean
  readonly leaving: Deferred.Deferred<void>
  readonly over: Deferred.Deferred<void>
  /** Who gave the newest order. */
  lead: Rank | undefined
  toldMs: number
}

/** Parts leave their rooms with the scope. */
export const make = Effect.fnUntraced(function* (
  options: PartsHereOptions
): Effect.fn.Return<PartsHere, never, TalkPart.Dependencies | Scope.Scope> {
  const { heard, incarnation, isEnding, maxVoices, screenShares } = options
  const context = yield* Effect.context<TalkPart.Dependencies>()
  // Made now: what the scope around it is told first to do when it closes is done last, and parts end after calls were given away.
  const scope = yield* Effect.acquireRelease(Scope.make(), Scope.close)
  const now = yield* monotonicMs
  const fork = yield* FiberSet.makeRuntime<never, void, never>()
  const opening = Semaphore.makeUnsafe(1)
  const leaving = Semaphore.makeUnsafe(1)
  const stopping = yield* Stopping
  const parts = new Map<RoomToken, Part>()
  // none that the process before this one had: who still listens to that would be taken for listening to another part
  let lives = yield* Clock.currentTimeMillis

  const begin = Effect.fnUntraced(function* (room: RoomToken): Effect.fn.Return<Part> {
    const life = ++lives
    const own = yield* Scope.fork(scope)
    const made = yield* TalkPart.make(room, {
      ...{ incarnation, life, screenShares },
      maxVoices: () => maxVoices - heard() + (parts.get(room)?.running.connected() ?? 0),
      isLed: () => now() - (parts.get(room)?.toldMs ?? now()) < LEASE_MS
    }).pipe(Scope.provide(own), Effect.provideContext(context))
    const [leaving, over] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()]
    const part = { life, running: made.part, isNeeded: made.isNeeded, leaving, over, lead: undefined, toldMs: now() }
    parts.set(room, part)
    // not before it is closed: until then somebody is heard
    const end = Effect.ensuring(
      Scope.close(own, Exit.void),
      Effect.suspend(() => {
        parts.delete(room)
        return Deferred.succeed(part.over, undefined)
      })
    )
    fork(
      Effect.logInfo("a part of a call is heard here").pipe(
        Effect.andThen(made.run),
        Effect.andThen(Effect.logInfo("the part of the call has ended")),
        Effect.ensuring(end),
        Effect.annotateLogs({ room })
      )
    )
    return part
  })
  const find = (room: RoomToken, life: number): Effect.Effect<Part, NoSuchPart> =>
    Effect.suspend(() => {
      const part = parts.get(room)
      return part?.life === life ? Effect.succeed(part) : Effect.fail(new NoSuchPart())
    })
  const found = (room: RoomToken) => Option.map(Option.fromUndefinedOr(parts.get(room)), foundOf)
  const isOutranked = ({ lead }: Part, by: Rank) => lead !== undefined && outranks(lead, by)

  const leaveOne = ({ isNeeded, leaving: told, over, running }: Part) =>
    Effect.gen(function* () {
      yield* Deferred.succeed(told, undefined)
      const relieved = Effect.repeat(Effect.sync(isNeeded), {
        while: (is) => is,
        schedule: Schedule.spaced(LOOK)
      })
      const isOver = Effect.raceAllFirst([Effect.asVoid(relieved), Deferred.await(over), stopping.until("Words")])
      yield* Effect.timeoutOption(isOver, RELIEVED_WITHIN)
      yield* running.finish
      yield* Deferred.await(over)
    })
  const leave = leaving.withPermits(1)(
    Effect.suspend(() => Effect.forEach(parts.values(), leaveOne, { concurrency: "unbounded", discard: true }))
  )
  yield* Effect.addFinalizer(() => Effect.timeoutOption(leave, LEASE_MS))

  return {
    answers: {
      FindPart: ({ room }) => Effect.sync(() => found(room)),
      OpenPart: ({ room }) =>
        Effect.gen(function* () {
          if (isEnding()) return yield* new PartRefused()
          const part = parts.get(room) ?? (yield* begin(room))
          part.toldMs = now()
          return foundOf(part)
        }).pipe(opening.withPermits(1), Effect.uninterruptible),
      TellPart: Effect.fnUntraced(function* ({ life, order, room, taken }) {
        const part = yield* find(room, life)
        if (order !== undefined && isOutranked(part, order.lead)) return yield* new NoSuchPart()
        part.toldMs = now()
        part.running.acknowledge(taken)
        if (order !== undefined) {
          part.lead = order.lead
          part.running.order(order)
        }
        return { connected: part.running.connected(), isLeaving: Deferred.isDoneUnsafe(part.leaving) }
      }),
      ListenToPart: ({ lead, life, resumed, room }) =>
        Stream.unwrap(
          Effect.map(find(room, life), ({ leaving, over, running }) =>
            running.listen(lead, resumed).pipe(
              Stream.map((all) => all.map((said) => aged(said, now()))),
              Stream.merge(Stream.fromEffect(Effect.as(Deferred.await(leaving), []))),
              Stream.interruptWhen(Deferred.await(over))
            )
          )
        ),
      GivePart: Effect.fnUntraced(function* ({ life, room, voices }) {
        const { running } = yield* find(room, life)
        return (yield* running.given(voices)) ?? []
      }),
      KeptInPart: ({ life, room, voices }) => Effect.flatMap(find(room, life), ({ running }) => running.kept(voices)),
      TakeInPart: ({ given, life, room }) => Effect.flatMap(find(room, life), ({ running }) => running.take(given)),
      FinishPart: Effect.fnUntraced(function* ({ lead, life, room }) {
        const part = yield* find(room, life)
        if (isOutranked(part, lead)) return yield* new NoSuchPart()
        yield* part.running.finish
        yield* Deferred.await(part.over)
      })
    },
    find: found,
    work: () => [...parts].map(([room, { running }]) => ({ room, work: running.connected() })),
    leave: Effect.asVoid(Effect.forkDetach(leave))
  }
})

const foundOf = ({ life, running }: Part): FoundPart => ({ life, hears: running.hears() })

/** With the ages of tokens instead of when they came, and the other way round: `ms` on a clock of this machine. */
export const aged = (batch: PartSaid, ms: number): PartSaid => ({
  ...batch,
  said: batch.said.map((one) =>
    one._tag === "Segment" ? { ...one, segment: { ...one.segment, tokenAtMs: ms - one.segment.tokenAtMs } } : one
  )
})
