/**
 * SpeechJournal in a file beside the calls' database: written behind the calls every 40 ms while there is something new, read by the process
 * that comes after one that was killed.
 *
 * The file is sealed (`JournalSeal`), holds little more than what is not said, and is removed at an orderly end. It outlives the process, not
 * a power cut: nothing waits for the disk. Of several processes each has a file of its own (`JournalFolder`).
 */
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Clock, Effect, Exit, FileSystem, Latch, Layer, Redacted, Schedule, Scope, Stream } from "effect"
import type { RoomToken } from "../domain/Call.ts"
import type { RunnerProcess } from "../services/Fleet.ts"
import { SpeechJournal } from "../services/SpeechJournal.ts"
import { wordsOf } from "./DiskTrouble.ts"
import * as JournalBook from "./JournalBook.ts"
import * as JournalFolder from "./JournalFolder.ts"
import * as JournalSeal from "./JournalSeal.ts"
import * as PrivateFile from "./PrivateFile.ts"

export interface FileJournalOptions {
  /** Folder of the file; made where it is missing. */
  readonly storage: string
  /** The file can only be read with it. */
  readonly secret: Redacted.Redacted
  /** One of several processes: who it is, and who is gone. */
  readonly runner?: Pick<RunnerProcess, "incarnation" | "gone">
}

/** In the folder, of the one process there is. */
export const FILE = JournalFolder.FILE

/** What a killed process had heard and not written: nobody says a word within it. */
const WRITE_EVERY = "40 millis"
/**
 * A file that has grown by so much is written anew, with what is not said: after a minute in which five speak, and where many do, when it has grown
 * by so many times what it began with. Whoever speaks without a pause is not written again and again.
 */
const GROWTH = 1_048_576
const GROWTH_OF_MUCH = 3
/** Written at a time when the file is written anew; between two parts everybody else has a turn. */
const PART = GROWTH / 4
/** Waits for the disk at most; with more, the file is written anew when the disk is back. */
const MOST_WAITING = 8 * GROWTH
const AGAIN = "5 seconds"
/** Others see by that that this process is there; what is too old is removed now and then. */
const TOUCH_EVERY = "3 seconds"
const CLEAR_EVERY = "30 seconds"

/** Keeps what all calls of this process have heard. Where the file cannot be used that is logged, and it is tried again. */
export const layer = (options: FileJournalOptions) =>
  Layer.effect(SpeechJournal, make(options)).pipe(Layer.provide(NodeFileSystem.layer))

/** For as long as the scope is open; what is not said at its end stays in the file. */
export const make = Effect.fnUntraced(function* ({ runner, storage, ...options }: FileJournalOptions) {
  const secret = Redacted.value(options.secret)
  const files = yield* FileSystem.FileSystem
  const name = JournalFolder.fileOf(runner?.incarnation)
  const folder = yield* JournalFolder.make(storage, secret, name)
  const file = join(storage, name)
  const draft = `${file}.new`
  const filled = Latch.makeUnsafe(false)
  const urgent = Latch.makeUnsafe(false)
  const book = JournalBook.make((isUrgent) => {
    filled.openUnsafe()
    if (isUrgent) urgent.openUnsafe()
    if (book.waiting() <= MOST_WAITING) return
    isSpoilt = true
    book.pause()
  })
  /** The file lacks something. */
  let isSpoilt = false
  /** No other process has it. */
  let isOurs = false
  let isInTrouble = false
  let current: Written | undefined

  const restore = (from: string) =>
    Effect.map(folder.read(from), book.restore).pipe(
      Effect.catchReason("PlatformError", "NotFound", () => Effect.void),
      Effect.catch((error) => Effect.logWarning(`${join(storage, from)} cannot be read: ${wordsOf(error)}.`))
    )
  /** Files of others whose rooms are in the book: removed when they are in ours. */
  let taken: ReadonlyArray<string> = []
  const load = Effect.gen(function* () {
    isOurs = true
    // a runner is new, and takes room by room
    if (runner !== undefined) return
    yield* folder.clear
    taken = yield* folder.others
    for (const one of taken) yield* restore(one)
    yield* restore(name)
  })

  const close = Effect.suspend(() => {
    const scope = current?.scope
    current = undefined
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })
  const append = Effect.fnUntraced(function* (to: Written) {
    const sealed = to.seal.batch(yield* Clock.currentTimeMillis, book.take())
    to.grown += sealed.length
    yield* to.file.writeAll(sealed)
  })
  /** The new file takes the old one's place when it is whole; until then the old one has what is new. */
  const renew = Effect.gen(function* () {
    const old = isSpoilt ? undefined : current
    yield* PrivateFile.makeFolder(storage)
    yield* files.remove(draft, { force: true })
    const scope = yield* Scope.make()
    const fill = Effect.gen(function* () {
      const opened = yield* files.open(draft, { flag: "wx", mode: 0o600 }).pipe(Scope.provide(scope))
      const seal = JournalSeal.make(secret)
      const next: Written = { file: opened, scope, seal, began: 0, grown: 0 }
      isSpoilt = false
      yield* opened.writeAll(seal.header)
      const rewrite = book.rewrite()
      for (let isLast = false; !isLast; ) {
        const atMs = yield* Clock.currentTimeMillis
        // valid until the book is told something: sealed in the same step
        const given = rewrite.next(PART)
        isLast = given.isLast
        const sealed = seal.batch(atMs, given.part)
        next.began += sealed.length
        yield* opened.writeAll(sealed)
        // too much came meanwhile: once more
        if (isSpoilt) return yield* Scope.close(scope, Exit.void)
        if (!isLast && old !== undefined) yield* append(old)
      }
      yield* files.rename(draft, file)
      yield* close
      current = next
    })
    yield* Effect.onError(fill, () => Scope.close(scope, Exit.void))
  }).pipe(Effect.provideService(FileSystem.FileSystem, files))
  const write = Effect.suspend(() =>
    current === undefined || isSpoilt || current.grown > Math.max(GROWTH, GROWTH_OF_MUCH * current.began)
      ? renew
      : append(current)
  ).pipe(
    Effect.tap(() => {
      const others = taken
      taken = []
      return Effect.forEach(others, (one) => Effect.ignore(files.remove(join(storage, one), { force: true })))
    }),
    Effect.tap(() => {
      const was = isInTrouble
      isInTrouble = false
      return was ? Effect.logInfo(`${file} can be written now`) : Effect.void
    }),
    Effect.catch(
      Effect.fnUntraced(function* (error) {
        book.pause()
        yield* close
        if (!isInTrouble) yield* Effect.logWarning(`${file} cannot be written: ${wordsOf(error)}. ${CONSEQUENCE}`)
        isInTrouble = true
        yield* Effect.sleep(AGAIN)
      })
    )
  )

  yield* Effect.addFinalizer(() => {
    const remove = Effect.andThen(files.remove(file, { force: true }), files.remove(draft, { force: true }))
    const last = book.isEmpty() ? remove : renew
    return isOurs ? close.pipe(Effect.andThen(last), Effect.andThen(close), Effect.ignore) : Effect.void
  })
  yield* Effect.gen(function* () {
    yield* filled.await
    yield* Effect.timeoutOption(urgent.await, WRITE_EVERY)
    // whoever tells the book has not told all that belongs to it yet
    yield* Effect.yieldNow
    filled.closeUnsafe()
    urgent.closeUnsafe()
    yield* write
  }).pipe(Effect.forever, Effect.forkScoped)

  // not before the first call: a process that still runs may have the file
  const loaded = yield* Effect.cached(load)
  const open = (room: RoomToken) =>
    Effect.acquireRelease(Effect.as(loaded, book.call(room)), () => Effect.sync(() => book.close(room)))
  if (runner === undefined) return SpeechJournal.of({ open })

  const gone = new Set<string>()
  yield* runner.gone.pipe(
    Stream.runForEach((one) => Effect.sync(() => gone.add(JournalFolder.fileOf(one)))),
    Effect.forkScoped
  )
  const touch = Effect.gen(function* () {
    const now = new Date(yield* Clock.currentTimeMillis)
    yield* files.utimes(file, now, now)
  }).pipe(
    // somebody took us for gone
    Effect.catchReason("PlatformError", "NotFound", () =>
      Effect.sync(() => {
        isSpoilt = true
        filled.openUnsafe()
      })
    ),
    Effect.ignore,
    Effect.when(Effect.sync(() => current !== undefined))
  )
  yield* Effect.forkScoped(Effect.repeat(touch, Schedule.spaced(TOUCH_EVERY)))
  yield* Effect.forkScoped(Effect.repeat(folder.clear, Schedule.spaced(CLEAR_EVERY)))
  return SpeechJournal.of({
    open,
    leftBy: (room, one) =>
      Effect.map(
        folder.take(room, (file) => file === JournalFolder.fileOf(one)),
        ({ voices }) => voices
      ),
    find: Effect.fnUntraced(function* (room, before) {
      const former = before === undefined ? undefined : JournalFolder.fileOf(before)
      const left = yield* folder.take(room, (one) => one === former || gone.has(one))
      if (left.voices.length + left.unsaid.length === 0) return
      book.restore(new Map([[room, left]]))
      // all of it has to be in our file
      isSpoilt = true
      filled.openUnsafe()
      yield* Effect.logInfo("the journal of a runner that is gone has speech of this room", {
        voices: left.voices.length
      })
    })
  })
})

const CONSEQUENCE = "Captions go on; if the process is killed, the last words are lost."

interface Written {
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
  readonly seal: JournalSeal.Seal
  /** Bytes it was begun with. */
  began: number
  /** Bytes behind them. */
  grown: number
}
