/**
 * The thread in which `NodeSqlite` works with its file: node:sqlite is synchronous, and a disk may take seconds.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite"
import { parentPort } from "node:worker_threads"

export interface Asking {
  readonly sql: string
  readonly parameters: ReadonlyArray<SQLInputValue>
}

/** What the thread is asked; answered in order, one after the other. */
export type Question =
  | { readonly _tag: "Open"; readonly id: number; readonly file: string; readonly isShared: boolean }
  | { readonly _tag: "Close"; readonly id: number }
  /** Gives a damaged file another name, unless another process has done so meanwhile. */
  | { readonly _tag: "PutAside"; readonly id: number; readonly file: string; readonly aside: string }
  /** One transaction. Rows as records, integers as numbers; those of each statement. */
  | { readonly _tag: "Batch"; readonly id: number; readonly statements: ReadonlyArray<Asking> }
  | ({
      readonly _tag: "Run"
      readonly id: number
      /** Rows as arrays in place of records. */
      readonly asArrays: boolean
      /** Integers as bigint. */
      readonly bigInts: boolean
    } & Asking)

export type Row = Readonly<Record<string, SQLOutputValue>> | ReadonlyArray<SQLOutputValue>

export interface Answer {
  readonly id: number
  /** Of each statement. */
  readonly rows: ReadonlyArray<ReadonlyArray<Row>>
  readonly fault?: Fault
  /** Whether a transaction is open now. */
  readonly inTransaction: boolean
}

/** `code` is SQLite's own (https://sqlite.org/rescode.html), or the system's where a folder or a file could not be made. */
export interface Fault {
  readonly message: string
  readonly code: number | string | undefined
}

/** SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CORRUPT, SQLITE_MISUSE, SQLITE_READONLY_DBMOVED. */
const BUSY = 5
const LOCKED = 6
const CORRUPT = 11
const MISUSE = 21
const MOVED = 1032
/**
 * So long one of several processes waits for the others. Each holds the file for a millisecond; a disk that is busy with something else
 * makes that hundreds.
 */
const SHARED_PATIENCE_MS = 1500
const SHARED_AGAIN_MS = 20

interface Opened {
  readonly database: DatabaseSync
  readonly file: string
  /** Of the file that is open; 0: nobody but us can have put it aside. */
  readonly inode: number
}

let opened: Opened | undefined
/** Of the file that was looked at last, open or not. */
let seen = 0

/**
 * Opens the file for this process alone. The lock is the system's: it is gone with the process, however that ends. Exclusive before WAL, so
 * that there is no file of shared memory either; FULL, so that what was written outlives a power cut: the thread may wait for the disk.
 */
const openAlone = (file: string): Opened => {
  prepare(file)
  const database = new DatabaseSync(file, { timeout: 0 })
  return { database: checked(database, "PRAGMA locking_mode = EXCLUSIVE"), file, inode: 0 }
}

/** For several processes of this machine, each of which reads at any time and writes when no other does. */
const openShared = (file: string): Opened => {
  const until = performance.now() + SHARED_PATIENCE_MS
  for (;;) {
    try {
      prepare(file)
      seen = statSync(file).ino
      const database = new DatabaseSync(file, { timeout: SHARED_PATIENCE_MS })
      return { database: checked(database, "PRAGMA locking_mode = NORMAL"), file, inode: seen }
    } catch (error) {
      // Others begin with the same new file: not every lock is waited for.
      if (!isLocked(error) || performance.now() > until) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SHARED_AGAIN_MS)
    }
  }
}

const checked = (database: DatabaseSync, locking: string): DatabaseSync => {
  try {
    database.exec(`${locking}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`)
    const answer = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]
    if (answer !== "ok") throw coded(CORRUPT, String(answer))
    database.exec("BEGIN IMMEDIATE; COMMIT")
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

const coded = (errcode: number, message: string) => Object.assign(new Error(message), { errcode })

const isLocked = (error: unknown): boolean => {
  const { code } = faultOf(error)
  return typeof code === "number" && [BUSY, LOCKED].includes(code & 0xff)
}

/** SQLite would let everybody read; the files beside it get the permissions of this one. */
const prepare = (file: string) => {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  if (!existsSync(file)) closeSync(openSync(file, "a", 0o600))
  else {
    try {
      chmodSync(file, 0o600)
    } catch {
      // somebody else's file, which we may use all the same
    }
  }
}

/** What belongs to the file goes with it. */
const rename = (file: string, aside: string) => {
  renameSync(file, aside)
  for (const end of ["-wal", "-shm"]) if (existsSync(file + end)) renameSync(file + end, aside + end)
}

/** The damaged file may be put aside by several processes at once: the first one does, the others find a new file in its place. */
const putAside = (file: string, aside: string) => {
  if (seen === 0) return rename(file, aside)
  // Its lock alone is wanted: the system ends it with the process.
  const turn = new DatabaseSync(`${file}-mending`, { timeout: SHARED_PATIENCE_MS })
  try {
    turn.exec("BEGIN EXCLUSIVE")
    if (statSync(file, { throwIfNoEntry: false })?.ino === seen) rename(file, aside)
  } finally {
    turn.close()
  }
}

const current = (): DatabaseSync => {
  if (opened === undefined) throw coded(MISUSE, "the file is not open")
  if (opened.inode !== 0 && statSync(opened.file, { throwIfNoEntry: false })?.ino !== opened.inode) {
    throw coded(MOVED, "another process has put the file aside")
  }
  return opened.database
}

const run = (
  database: DatabaseSync,
  { asArrays, bigInts, parameters, sql }: Omit<Extract<Question, { readonly _tag: "Run" }>, "_tag" | "id">
): ReadonlyArray<Row> => {
  const statement = database.prepare(sql)
  if (statement.columns().length === 0) {
    // The last row id comes along, and may be larger than a number can be: run() would throw after the deed.
    statement.setReadBigInts(true)
    statement.run(...parameters)
    return []
  }
  statement.setReadBigInts(bigInts)
  statement.setReturnArrays(asArrays)
  return statement.all(...parameters)
}

const batch = (statements: ReadonlyArray<Asking>): ReadonlyArray<ReadonlyArray<Row>> => {
  const database = current()
  database.exec("BEGIN IMMEDIATE")
  try {
    const rows = statements.map((statement) => run(database, { ...statement, asArrays: false, bigInts: false }))
    database.exec("COMMIT")
    return rows
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK")
    throw error
  }
}

const answer = (question: Question): ReadonlyArray<ReadonlyArray<Row>> => {
  if (question._tag === "Run") return [run(current(), question)]
  if (question._tag === "Batch") return batch(question.statements)
  opened?.database.close()
  opened = undefined
  if (question._tag === "Open") opened = question.isShared ? openShared(question.file) : openAlone(question.file)
  if (question._tag === "PutAside") putAside(question.file, question.aside)
  return []
}

const faultOf = (error: unknown): Fault => {
  if (!(error instanceof Error)) return { message: String(error), code: undefined }
  const code = "errcode" in error ? error.errcode : "code" in error ? error.code : undefined
  return { message: error.message, code: typeof code === "number" || typeof code === "string" ? code : undefined }
}

parentPort?.on("message", (question: Question) => {
  const reply = (rows: ReadonlyArray<ReadonlyArray<Row>>, fault?: Fault) => {
    const { id } = question
    const inTransaction = opened?.database.isTransaction === true
    const told: Answer = fault === undefined ? { id, rows, inTransaction } : { id, rows, inTransaction, fault }
    parentPort?.postMessage(told)
  }
  try {
    reply(answer(question))
  } catch (error) {
    reply([], faultOf(error))
  }
})
