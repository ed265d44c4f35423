/**
 * Intents in the database: one row for each (room, viewer), there before a request is acknowledged. The next process begins with them, and
 * of several processes each has the rooms that are its own.
 */
import { Clock, Deferred, Effect, Option, type Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Intent, RoomToken, Viewer } from "../domain/Call.ts"
import type { RecordIntent } from "./CallIntents.ts"
import type { Database } from "./Database.ts"
import { EVERYTHING, entryOf, keyOf, type Mine, roomsOf, type Entry as Stored, statementsOf } from "./IntentRows.ts"
import * as Metrics from "./Metrics.ts"
import { monotonicMs } from "./Monotonic.ts"
import { unwaited } from "./Unwaited.ts"

export interface StoredIntents {
  readonly record: RecordIntent
  /** A viewer, a room or everything is not wanted any more: counts for what has not been read yet. */
  readonly dismiss: (room?: RoomToken, viewer?: Viewer) => void
  /** Reads what an earlier process left, oldest wish first; only the first time: later files get what this process knows. */
  readonly load: Effect.Effect<ReadonlyArray<Intent>, SqlError>
  /** The same for one room, which is ours from now on: it has been taken over, or was asked for while the database was away. */
  readonly loadRoom: (room: RoomToken) => Effect.Effect<ReadonlyArray<Intent>, SqlError>
  /** Another process has the room now: it is forgotten here, and nothing is deleted. Gives what that process cannot find in the database. */
  readonly release: (room: RoomToken) => ReadonlyArray<Intent>
  /** The rooms that are to be run by somebody. */
  readonly wanted: Effect.Effect<ReadonlyArray<RoomToken>, SqlError>
  /** Writes what has changed. */
  readonly write: Effect.Effect<void, SqlError>
  /** Returns when what was recorded so far is written, or could not be. */
  readonly written: Effect.Effect<void>
  /** Whoever reads in these rooms is there: their intents live on. */
  readonly renew: (rooms: ReadonlySet<RoomToken>) => void
  /** Those whose time is over. */
  readonly expired: () => ReadonlyArray<Intent>
}

/**
 * A viewer whose presence nobody has seen for so long is forgotten. While the room is joined that takes a minute (`CallPresence`); this
 * is for outages of the HPB or of this service. Twelve hours: longer than a working day's call, and than an outage after which a page
 * could still stand open in the same call; short enough that nobody finds captions the next day that were asked for on this one.
 */
export const LIFETIME_MS = 12 * 3_600_000
/** A crash shortens a life by no more than this, and a disk has no more to do. */
const RENEW_MS = LIFETIME_MS / 12
interface Entry extends Stored {
  /** Monotonic: a clock that is set right ends no call. */
  readonly renewedMs: number
}

export interface StoredIntentsOptions {
  /**
   * Each process has rooms of its own: what it has to say about others is not written, and kept until they are its own or released. Left
   * out, this one has all.
   */
  readonly mine?: Mine
}

export const make = Effect.fnUntraced(function* (
  { atOnce, sql }: Pick<Database, "atOnce" | "sql">,
  { mine }: StoredIntentsOptions = {}
): Effect.fn.Return<StoredIntents, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const now = yield* monotonicMs
  const unstored = yield* Effect.map(
    Effect.context<never>(),
    (context) => () => Metrics.intentsUnstored.updateUnsafe(changed.size + refused.size, context)
  )
  const entries = new Map<string, Entry>()
  /** What stands otherwise in the database, by key. */
  let changed = new Map<string, Intent>()
  /** The same of rooms that were not ours when it was tried: whoever waits does not wait for these. */
  let refused = new Map<string, Intent>()
  /** Rooms, or everything, of which nothing that stands in the database counts. */
  let rewritten = new Set<string>()
  /** Rooms, or everything: what was read. */
  const loaded = new Set<string>()
  /** Viewers, rooms or everything: what is not to be read. */
  const dismissed = new Set<string>()
  /** Wall clock: what nobody has read here and was asked for by then is to go. */
  let endedMs: number | undefined
  /** What the write that is under way is about. */
  let writing: ReadonlyMap<string, Intent> = new Map()
  /** Since it began. */
  const released = new Set<string>()
  /** Done when what has changed since the last attempt was tried. */
  let attempt = Deferred.makeUnsafe<void>()
  let underWay: Deferred.Deferred<void> | undefined

  const touch = (intent: Intent) => {
    changed.set(keyOf(intent), intent)
    unstored()
  }
  const isTouched = (key: string) => [changed, refused, writing].some((some) => some.has(key))
  const keep = (intent: Intent, askedMs: number) =>
    entries.set(keyOf(intent), {
      intent,
      askedMs,
      expiresMs: clock.currentTimeMillisUnsafe() + LIFETIME_MS,
      renewedMs: now()
    })
  const isDismissed = ({ askedMs, intent: { room, viewer } }: Stored) =>
    [EVERYTHING, room, keyOf({ room, viewer })].some((what) => dismissed.has(what)) ||
    (endedMs !== undefined && askedMs <= endedMs)
  const isLoaded = (room: RoomToken) => loaded.has(EVERYTHING) || loaded.has(room)

  const restore = (what: string, rows: ReadonlyArray<unknown>): ReadonlyArray<Intent> => {
    loaded.add(what)
    const wallMs = clock.currentTimeMillisUnsafe()
    const found = rows.flatMap((row) => Option.toArray(entryOf(row)))
    const alive = found.filter((entry) => entry.expiresMs > wallMs && !isDismissed(entry))
    if (alive.length < rows.length) rewritten.add(what)
    const restored = alive.filter(({ intent }) => !entries.has(keyOf(intent)) && !isTouched(keyOf(intent)))
    for (const { askedMs, expiresMs, intent } of restored) {
      const leftMs = Math.min(expiresMs - wallMs, LIFETIME_MS)
      entries.set(keyOf(intent), { intent, askedMs, expiresMs, renewedMs: now() + leftMs - LIFETIME_MS })
    }
    return restored.map(({ intent }) => intent)
  }
  const load = Effect.gen(function* () {
    if (loaded.has(EVERYTHING)) {
      rewritten.add(EVERYTHING)
      return []
    }
    const restored = restore(EVERYTHING, yield* sql`SELECT * FROM call_intents ORDER BY asked_ms`)
    dismissed.clear()
    return restored
  })
  const loadRoom = Effect.fnUntraced(function* (room: RoomToken) {
    if (isLoaded(room)) {
      rewritten.add(room)
      return []
    }
    const restored = restore(
      room,
      yield* unwaited(sql`SELECT * FROM call_intents WHERE room = ${room} ORDER BY asked_ms`)
    )
    for (const what of dismissed) if (isOf(room, what)) dismissed.delete(what)
    return restored
  })

  const write = Effect.suspend(() => {
    if (changed.size + refused.size + rewritten.size === 0 && endedMs === undefined) return Effect.void
    const ended = endedMs === undefined ? undefined : { byMs: endedMs, except: [...loaded] }
    const batch = { changed: new Map([...refused, ...changed]), rewritten, ended }
    const done = attempt
    changed = new Map()
    refused = new Map()
    rewritten = new Set()
    endedMs = undefined
    attempt = Deferred.makeUnsafe()
    underWay = done
    writing = batch.changed
    released.clear()
    const unwritten = (isRefused: (room: string) => boolean) => {
      const isUnwritten = (room: string) => isRefused(room) && !released.has(room)
      for (const what of batch.rewritten) if (isUnwritten(what)) rewritten.add(what)
      return [...batch.changed].filter(([, { room }]) => isUnwritten(room))
    }
    return atOnce(statementsOf(sql, batch, entries, mine)).pipe(
      Effect.tap(([own]) =>
        Effect.sync(() => {
          if (mine === undefined) return
          const written = new Set<string>(roomsOf(own ?? []))
          refused = new Map(unwritten((room) => !written.has(room)))
        })
      ),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (exit._tag === "Failure") {
            changed = new Map([...unwritten(() => true), ...changed])
            endedMs ??= ended?.byMs
          }
          unstored()
          writing = new Map()
          underWay = undefined
          Deferred.doneUnsafe(done, Effect.void)
        })
      ),
      Effect.asVoid
    )
  })

  const made: StoredIntents = {
    record: (intent, isWanted) => {
      if (isWanted) keep(intent, clock.currentTimeMillisUnsafe())
      else entries.delete(keyOf(intent))
      touch(intent)
    },
    dismiss: (room, viewer) => {
      if (room !== undefined) {
        if (!isLoaded(room)) dismissed.add(viewer === undefined ? room : keyOf({ room, viewer }))
      } else if (mine !== undefined) endedMs = clock.currentTimeMillisUnsafe()
      else if (!loaded.has(EVERYTHING)) dismissed.add(EVERYTHING)
    },
    load,
    loadRoom,
    release: (room) => {
      const unwritten = [...new Set([writing, refused, changed].flatMap((some) => [...some.keys()]))].flatMap((key) => {
        const entry = entries.get(key)
        return entry?.intent.room === room ? [entry.intent] : []
      })
      for (const kept of [entries, refused, changed])
        for (const key of kept.keys()) if (isOf(room, key)) kept.delete(key)
      for (const what of [...dismissed]) if (isOf(room, what)) dismissed.delete(what)
      rewritten.delete(room)
      loaded.delete(room)
      released.add(room)
      unstored()
      return unwritten
    },
    wanted: Effect.suspend(() =>
      Effect.map(
        unwaited(sql`SELECT DISTINCT room FROM call_intents WHERE expires_ms > ${clock.currentTimeMillisUnsafe()}`),
        roomsOf
      )
    ),
    write,
    written: Effect.suspend(() => {
      if (changed.size > 0) return Deferred.await(attempt)
      return underWay === undefined ? Effect.void : Deferred.await(underWay)
    }),
    renew: (rooms) => {
      for (const { askedMs, intent, renewedMs } of [...entries.values()]) {
        if (!rooms.has(intent.room) || now() - renewedMs < RENEW_MS) continue
        keep(intent, askedMs)
        touch(intent)
      }
    },
    expired: () =>
      [...entries.values()].flatMap(({ intent, renewedMs }) => (now() - renewedMs < LIFETIME_MS ? [] : [intent]))
  }
  return made
})

/** Whether a key is that of a room, or of a viewer in it. */
const isOf = (room: RoomToken, key: string): boolean => key === room || key.startsWith(`${room} `)
