/**
 * The thread in which `NodeSqlite` works with its file: node:sqlite is synchronous, and a disk may take seconds.
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite"
import { parentPort } from "node:worker_threads"

/** What the thread is asked; answered in order, one after the other. */
export type Question =
  | { readonly _tag: "Open"; readonly id: number; readonly file: string }
  | { readonly _tag: "Close"; readonly id: number }
  | {
      readonly _tag: "Run"
      readonly id: number
      readonly sql: string
      readonly parameters: ReadonlyArray<SQLInputValue>
      /** Rows as arrays in place of records. */
      readonly asArrays: boolean
      /** Integers as bigint. */
      readonly bigInts: boolean
    }

export type Row = Readonly<Record<string, SQLOutputValue>> | ReadonlyArray<SQLOutputValue>

export interface Answer {
  readonly id: number
  readonly rows: ReadonlyArray<Row>
  readonly fault?: Fault
  /** Whether a transaction is open now. */
  readonly inTransaction: boolean
}

/** `code` is SQLite's own (https://sqlite.org/rescode.html), or the system's where a folder or a file could not be made. */
export interface Fault {
  readonly message: string
  readonly code: number | string | undefined
}

/** SQLITE_CORRUPT, SQLITE_MISUSE. */
const CORRUPT = 11
const MISUSE = 21

let database: DatabaseSync | undefined

/**
 * Opens the file for this process alone. The lock is the system's: it is gone with the process, however that ends. Exclusive before WAL, so
 * that there is no file of shared memory either; FULL, so that what was written outlives a power cut: the thread may wait for the disk.
 */
const open = (file: string): DatabaseSync => {
  prepare(file)
  const opened = new DatabaseSync(file, { timeout: 0 })
  try {
    opened.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    const answer = opened.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]
    if (answer !== "ok") throw new Torn(String(answer))
    opened.exec("BEGIN IMMEDIATE; COMMIT")
    return opened
  } catch (error) {
    opened.close()
    throw error
  }
}

/** What the check of a file found. */
class Torn extends Error {
  readonly errcode = CORRUPT
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

const run = ({ asArrays, bigInts, parameters, sql }: Extract<Question, { readonly _tag: "Run" }>) => {
  if (database === undefined) throw Object.assign(new Error("the file is not open"), { errcode: MISUSE })
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

const answer = (question: Question): ReadonlyArray<Row> => {
  if (question._tag === "Run") return run(question)
  database?.close()
  database = undefined
  if (question._tag === "Open") database = open(question.file)
  return []
}

const faultOf = (error: unknown): Fault => {
  if (!(error instanceof Error)) return { message: String(error), code: undefined }
  const code = "errcode" in error ? error.errcode : "code" in error ? error.code : undefined
  return { message: error.message, code: typeof code === "number" || typeof code === "string" ? code : undefined }
}

parentPort?.on("message", (question: Question) => {
  const reply = (rows: ReadonlyArray<Row>, fault?: Fault) => {
    const { id } = question
    const inTransaction = database?.isTransaction === true
    const told: Answer = fault === undefined ? { id, rows, inTransaction } : { id, rows, inTransaction, fault }
    parentPort?.postMessage(told)
  }
  try {
    reply(answer(question))
  } catch (error) {
    reply([], faultOf(error))
  }
})
