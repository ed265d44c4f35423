/**
 * Where the calls of this runner get their parts from: the other runners. The one that has least to do hears the next part, a lead tells each of its
 * parts something every second, and takes as gone whoever certainly hears nobody any more.
 */
import { Deferred, Effect, Latch, Option, Schedule, type Scope, Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import { leastBusy } from "../domain/Placement.ts"
import type { Rank } from "../domain/Seat.ts"
import type { CallParts, PartEnd, PartLink, PartOrder } from "./CallPart.ts"
import { monotonicMs } from "./Monotonic.ts"
import type { FoundPart } from "./PartProtocol.ts"
import * as PartsHere from "./PartsHere.ts"
import type { Runner, RunnerFleet } from "./RunnerFleet.ts"
import type { SeatMap } from "./SeatMap.ts"

export interface PartsElsewhere extends CallParts {
  /** Voices that others hear of a call of this runner. */
  readonly heardOf: (room: RoomToken) => number
}

export interface PartsElsewhereOptions {
  readonly fleet: RunnerFleet
  readonly map: Pick<SeatMap, "runners">
  /** What this runner hears itself: as a lead it may have found a part of its own. */
  readonly here: Pick<PartsHere.PartsHere, "find">
}

const TOLD_EVERY = "1 second"
const ANSWER_LIMIT = "1 second"
const AGAIN = "200 millis"
/** A new lead does not wait longer for a runner that is frozen; what that hears ends by itself. */
const FOUND_WITHIN = "300 millis"
/** Half a second more than it takes at most. */
const KEPT_WITHIN = "2 seconds"
const TAKEN_WITHIN = "3 seconds"
const OPENED_WITHIN = "2500 millis"
/** After its last words, and the way there and back. */
const FINISHED_WITHIN = "14 seconds"
/** Since the last answer: its lease is over, also where it looks at that once a second. */
const ENDED_BY_ITSELF_MS = PartsHere.LEASE_MS + 1_500

interface Link extends PartLink {
  readonly room: RoomToken
}

export const make = Effect.fnUntraced(function* ({
  fleet,
  here,
  map
}: PartsElsewhereOptions): Effect.fn.Return<PartsElsewhere> {
  const now = yield* monotonicMs
  const links = new Set<Link>()
  const linksOf = (room: RoomToken) => [...links].filter((one) => one.room === room)

  const linkTo = Effect.fnUntraced(function* (
    { address, incarnation }: Runner,
    room: RoomToken,
    { hears, life }: FoundPart
  ): Effect.fn.Return<PartLink, never, Scope.Scope> {
    const gone = Deferred.makeUnsafe<PartEnd>()
    const leaving = Deferred.makeUnsafe<void>()
    const news = Latch.makeUnsafe(true)
    let order: PartOrder | undefined
    let isTold = true
    let taken: ReadonlyArray<number> = []
    let connected = 0
    let answeredMs = now()
    /** Done when it breaks: what was under way there comes again on the next. */
    let way = Deferred.makeUnsafe<void>()
    const isEnded = Effect.map(fleet.hasEnded({ address, incarnation }), (hasDied): PartEnd | undefined => {
      if (hasDied) return "Died"
      return now() - answeredMs > ENDED_BY_ITSELF_MS ? "Left" : undefined
    })
    const tell = Effect.gen(function* () {
      yield* Effect.timeoutOption(news.await, TOLD_EVERY)
      news.closeUnsafe()
      const said = taken
      const told = isTold ? undefined : order
      isTold = true
      const answer = yield* Effect.result(
        fleet.ask(
          address,
          (client) => client.TellPart({ room, life, taken: said, ...(told === undefined ? {} : { order: told }) }),
          ANSWER_LIMIT
        )
      )
      if (answer._tag === "Success") {
        connected = answer.success.connected
        answeredMs = now()
        taken = taken.slice(said.length)
        if (answer.success.isLeaving) yield* Deferred.succeed(leaving, undefined)
        return
      }
      if (answer.failure._tag === "NoSuchPart") return yield* end("Left")
      if (told !== undefined) isTold = false
      Deferred.doneUnsafe(way, Effect.void)
      way = Deferred.makeUnsafe()
      const ended = yield* isEnded
      if (ended !== undefined) return yield* end(ended)
      yield* Effect.sleep(AGAIN)
      news.openUnsafe()
    })
    const link: Link = {
      room,
      incarnation,
      leaving,
      gone,
      hears: () => order?.hears ?? hears,
      connected: () => connected,
      order: (next) => {
        order = next
        isTold = false
        news.openUnsafe()
      },
      acknowledge: (numbers) => {
        taken = [...taken, ...numbers]
        news.openUnsafe()
      },
      listen: (lead, resumed) =>
        Stream.unwrap(
          Effect.map(fleet.reach(address), (client) => client.ListenToPart({ room, life, lead, resumed }))
        ).pipe(
          Stream.map((all) => {
            if (all.length === 0) news.openUnsafe()
            return all.map((said) => PartsHere.aged(said, now()))
          }),
          Stream.interruptWhen(Deferred.await(way)),
          // whatever broke it off, the next answer tells what it means
          Stream.catchCause(() => Stream.empty),
          Stream.ensuring(Effect.sync(news.openUnsafe))
        ),
      kept: (voices) =>
        Effect.orElseSucceed(
          fleet.ask(address, (client) => client.KeptInPart({ room, life, voices }), KEPT_WITHIN),
          () => []
        ),
      given: (voices) =>
        Effect.orElseSucceed(
          fleet.ask(address, (client) => client.GivePart({ room, life, voices }), ANSWER_LIMIT),
          () => undefined
        ),
      take: (given) =>
        fleet
          .ask(address, (client) => client.TakeInPart({ room, life, given }), ANSWER_LIMIT)
          .pipe(
            Effect.retry({ while: ({ _tag }) => _tag !== "NoSuchPart", schedule: Schedule.spaced(AGAIN) }),
            Effect.timeout(TAKEN_WITHIN),
            Effect.orElseSucceed(() => given.map(({ id }) => id))
          ),
      finish: Effect.suspend(() => (order === undefined ? Effect.void : finish(order.lead)))
    }
    const finish = (lead: Rank) =>
      Effect.raceFirst(
        Effect.ignore(fleet.ask(address, (client) => client.FinishPart({ room, life, lead }), FINISHED_WITHIN)),
        Deferred.await(gone)
      ).pipe(Effect.asVoid)
    const forget = Effect.sync(() => {
      links.delete(link)
    })
    const end = (how: PartEnd) => Effect.andThen(forget, Effect.asVoid(Deferred.succeed(gone, how)))
    links.add(link)
    yield* Effect.addFinalizer(() => forget)
    const died = Stream.runHead(Stream.filter(fleet.ended, (one) => one === incarnation))
    const telling = Effect.repeat(tell, { until: () => Deferred.isDoneUnsafe(gone) })
    yield* Effect.forkScoped(Effect.raceFirst(Effect.asVoid(telling), Effect.andThen(died, end("Died"))))
    return link
  })

  return {
    heardOf: (room) => linksOf(room).reduce((sum, one) => sum + one.connected(), 0),
    running: Effect.fnUntraced(function* (room) {
      const found = yield* Effect.forEach(
        fleet.peers(),
        (peer) =>
          fleet
            .ask(peer.address, (client) => client.FindPart({ room }), FOUND_WITHIN)
            .pipe(
              Effect.orElseSucceed(() => Option.none<FoundPart>()),
              Effect.map((part) => ({ runner: peer, part }))
            ),
        { concurrency: "unbounded" }
      )
      const all = [{ runner: fleet.me, part: here.find(room) }, ...found]
      return yield* Effect.forEach(
        all.flatMap(({ part, runner }) => (Option.isSome(part) ? [{ runner, part: part.value }] : [])),
        ({ part, runner }) => linkTo(runner, room, part)
      )
    }),
    open: Effect.fnUntraced(function* (room) {
      const busy = new Set([fleet.me.incarnation, ...linksOf(room).map(({ incarnation }) => incarnation)])
      const others = map.runners().filter(({ incarnation }) => !busy.has(incarnation))
      const least = leastBusy(others)
      const runner = others.find(({ incarnation }) => incarnation === least)
      if (runner === undefined) return undefined
      const opened = yield* Effect.option(
        fleet.ask(runner.address, (client) => client.OpenPart({ room }), OPENED_WITHIN)
      )
      return Option.isNone(opened) ? undefined : yield* linkTo(runner, room, opened.value)
    })
  }
})
