/**
 * Marks: what the HPB remembers of what it has read from us.
 *
 * The HPB acknowledges no message. But an internal client may tell it the status of a phone call in a room of any id; it keeps that in
 * memory and tells the sessions of that room what it was before and what it is now. So one session of ours, the keeper, sits alone in a
 * room that nobody else knows. Every call writes numbers there behind its captions, on its own socket, so in the order of the wire. After a
 * cut the resumed session writes a question instead: the HPB reads nothing more from the former socket then, so what the question
 * replaces is the last number that was read.
 *
 * Nextcloud is not asked and nobody else is told. All calls share the keeper, for as long as there is one.
 * Nothing is known while it is away, and where the HPB cannot keep (before 1.2).
 */
import { randomBytes } from "node:crypto"
import { Deferred, Effect, Latch, Option, RcRef, type Scope, Stream } from "effect"
import { RoomToken } from "../domain/Call.ts"
import type { SignalingSession } from "../services/Signaling.ts"
import type { SpreedRoom } from "./SpreedRoom.ts"
import { decodePhoneStatus, type TransientChange } from "./SpreedStatus.ts"

export interface SpreedMarks {
  /** The marks of one call, forgotten with its scope. */
  readonly open: (room: Writer) => Effect.Effect<CallMarks, never, Scope.Scope>
}

export type CallMarks = Pick<SignalingSession, "mark" | "recall">
type Writer = Pick<SpreedRoom, "entered" | "canKeep" | "keep">

/** Joins a room for as long as the scope, and hands over what the HPB keeps for it. */
type Join = (
  room: RoomToken,
  onTransient: (change: TransientChange) => void
) => Effect.Effect<SpreedRoom["session"], never, Scope.Scope>

interface Keeper {
  readonly room: RoomToken
  /** Whether the HPB has its room, with or without a socket of ours. */
  readonly isThere: () => boolean
  /** Open while it has a socket. */
  readonly hears: Latch.Latch
  /** By call: the newest number that was seen kept. */
  readonly seen: Map<string, number>
  /** By call and question. */
  readonly asked: Map<string, Deferred.Deferred<number | undefined>>
  /** What calls do when the room is new, and so empty. */
  readonly onNew: Set<() => void>
}

/** A socket that was cut with ours is back about as soon as ours. */
const recallTimeout = "2 seconds"

export const make = Effect.fnUntraced(function* (join: Join): Effect.fn.Return<SpreedMarks, never, Scope.Scope> {
  const keeper = yield* RcRef.make({ acquire: keep(join) })
  return { open: (room) => open(keeper, room) }
})

const keep = Effect.fnUntraced(function* (join: Join): Effect.fn.Return<Keeper, never, Scope.Scope> {
  // No token of Talk has a dash.
  const room = RoomToken.make(`parlance-${randomBytes(16).toString("hex")}`)
  const hears = yield* Latch.make(false)
  const seen: Keeper["seen"] = new Map()
  const asked: Keeper["asked"] = new Map()
  const onNew: Keeper["onNew"] = new Set()

  const take = ({ oldvalue, value }: TransientChange) => {
    const status = Option.getOrUndefined(decodePhoneStatus(value))
    if (status === undefined) return
    const { callid, message } = status
    const number = numberOf(message) ?? numberOf(Option.getOrUndefined(decodePhoneStatus(oldvalue))?.message)
    if (message === undefined) seen.delete(callid)
    else if (number !== undefined) seen.set(callid, Math.max(number, seen.get(callid) ?? 0))
    const answer = asked.get(`${callid}${message}`)
    if (answer !== undefined) Deferred.doneUnsafe(answer, Effect.succeed(seen.get(callid)))
  }
  const session = yield* Effect.annotateLogs(join(room, take), { room: "marks" })
  yield* session.events.pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        if (event._tag === "Dropped") hears.closeUnsafe()
        if (event._tag === "Joined") seen.clear()
        if (event._tag === "Joined" || event._tag === "Resumed") hears.openUnsafe()
        if (event._tag === "Joined") for (const begin of onNew) begin()
      })
    ),
    Effect.forkScoped
  )
  const isThere = () => session.state()._tag === "Joined" || session.state()._tag === "Dropped"
  return { room, isThere, hears, seen, asked, onNew }
})

const open = Effect.fnUntraced(function* (
  keepers: RcRef.RcRef<Keeper>,
  { canKeep, entered, keep }: Writer
): Effect.fn.Return<CallMarks, never, Scope.Scope> {
  const callId = randomBytes(8).toString("hex")
  let keeper: Keeper | undefined
  let questions = 0

  const write = (text: string | undefined): boolean => keeper?.isThere() === true && keep(keeper.room, callId, text)
  /** Where this number is not kept nothing is asked either. */
  const begin = () => {
    write("0")
  }
  yield* Effect.gen(function* () {
    yield* entered
    if (!canKeep()) return
    const found = yield* RcRef.get(keepers)
    keeper = found
    found.onNew.add(begin)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        write(undefined)
        found.onNew.delete(begin)
        found.seen.delete(callId)
      })
    )
    begin()
  }).pipe(Effect.forkScoped)

  const ask = Effect.fnUntraced(function* (of: Keeper) {
    if (!of.seen.has(callId)) return undefined
    yield* of.hears.await
    const question = `?${++questions}`
    const answer = yield* Deferred.make<number | undefined>()
    of.asked.set(`${callId}${question}`, answer)
    const answered = write(question) ? Deferred.await(answer) : Effect.undefined
    return yield* Effect.ensuring(
      answered,
      Effect.sync(() => of.asked.delete(`${callId}${question}`))
    )
  })
  return {
    mark: (number) => {
      write(String(number))
    },
    recall: Effect.suspend(() => (keeper === undefined ? Effect.undefined : ask(keeper))).pipe(
      Effect.timeoutOrElse({ duration: recallTimeout, orElse: () => Effect.undefined })
    )
  }
})

/** Questions are no numbers. */
const numberOf = (text: string | undefined): number | undefined => {
  const number = Number(text)
  return text === undefined || Number.isNaN(number) ? undefined : number
}
