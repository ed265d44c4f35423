/**
 * NodeSqlite: Effect's SqlClient over the SQLite that Node brings, in a thread of its own.
 */
import type { SQLInputValue } from "node:sqlite"
import { fileURLToPath } from "node:url"
import { Worker } from "node:worker_threads"
import { Context, Effect, Fiber, type Scope, Semaphore, Stream } from "effect"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { Answer, Asking, Fault, Question, Row } from "./NodeSqliteThread.ts"

export interface NodeSqlite {
  /** Statements run one after the other; while no file is open they fail. */
  readonly sql: SqlClient.SqlClient
  /**
   * Opens the file anew, makes it where it is missing, and checks it. From then on no other process can use it until this one ends or closes
   * it; where it is shared, only processes that share it can. Only we may read it.
   */
  readonly open: Effect.Effect<void, SqlError>
  readonly close: Effect.Effect<void>
  /** Closes it and gives it another name, and what belongs to it. Of several processes that want that one does. */
  readonly putAside: (aside: string) => Effect.Effect<void, SqlError>
  /**
   * One transaction, all of it in the thread: however long this process stands still, it holds up no other one. Gives the rows of each
   * statement.
   */
  readonly atOnce: (
    statements: ReadonlyArray<Statement.Statement<unknown>>
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<unknown>>, SqlError>
}

export interface NodeSqliteOptions {
  /** Several processes of this machine work with the file. */
  readonly isShared?: boolean
}

/** A `Question` without its number. */
type Asked = Question extends infer One ? (One extends Question ? Omit<One, "id"> : never) : never

/** The same file, from the sources or from what they were compiled to. */
const THREAD = fileURLToPath(new URL(import.meta.url.replace("NodeSqlite", "NodeSqliteThread")))
/** Closing writes what the log still has into the file. A disk that takes longer loses nothing: the next one to open it does that. */
const LEAVE_LIMIT = "1 second"

/** No statement holds up the thread that asks. The file is closed with the scope. */
export const make = Effect.fnUntraced(function* (
  file: string,
  { isShared = false }: NodeSqliteOptions = {}
): Effect.fn.Return<NodeSqlite, never, Scope.Scope> {
  const asked = new Map<number, (answer: Answer) => void>()
  let worker: Worker | undefined
  let questions = 0
  let inTransaction = false

  const hire = (): Worker => {
    // No secrets of ours in it. Node 24 calls node:sqlite experimental, on the standard error.
    const hired = new Worker(THREAD, { env: {}, execArgv: ["--disable-warning=ExperimentalWarning"] })
    hired.unref()
    hired.on("message", (answer: Answer) => {
      inTransaction = answer.inTransaction
      asked.get(answer.id)?.(answer)
      asked.delete(answer.id)
    })
    const lost = (message: string) => {
      if (worker !== hired) return
      worker = undefined
      inTransaction = false
      for (const [id, tell] of asked) tell({ id, rows: [], inTransaction, fault: { message, code: undefined } })
      asked.clear()
    }
    hired.on("error", (error) => lost(error instanceof Error ? error.message : String(error)))
    hired.on("exit", () => lost("the thread of the database has ended"))
    return hired
  }

  // Not to be interrupted: whoever asked has to know whether a transaction began.
  const ask = (question: Asked, operation: string): Effect.Effect<ReadonlyArray<ReadonlyArray<Row>>, SqlError> =>
    Effect.uninterruptible(
      Effect.callback((resume) => {
        worker ??= hire()
        const id = ++questions
        asked.set(id, ({ fault, rows }) =>
          resume(fault === undefined ? Effect.succeed(rows) : Effect.fail(errorOf(fault, operation)))
        )
        const numbered: Question = { ...question, id }
        worker.postMessage(numbered)
      })
    )

  const run = (sql: string, parameters: ReadonlyArray<unknown>, asArrays: boolean) =>
    Effect.withFiber<ReadonlyArray<Row>, SqlError>((fiber) =>
      Effect.map(
        ask(
          {
            _tag: "Run",
            sql,
            parameters: parameters.map(inputOf),
            asArrays,
            bigInts: Context.get(fiber.context, SqlClient.SafeIntegers)
          },
          "execute"
        ),
        ([rows]) => rows ?? []
      )
    )
  const records = (sql: string, parameters: ReadonlyArray<unknown>) =>
    Effect.map(run(sql, parameters, false), (rows) => rows.filter((row) => !isValues(row)))
  const values = (sql: string, parameters: ReadonlyArray<unknown>) =>
    Effect.map(run(sql, parameters, true), (rows) => rows.filter(isValues))
  const execute: Connection["execute"] = (sql, parameters, transform) =>
    transform === undefined ? records(sql, parameters) : Effect.map(records(sql, parameters), transform)
  const connection: Connection = {
    execute,
    executeUnprepared: execute,
    executeRaw: records,
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, parameters, transform) =>
      Stream.unwrap(Effect.map(execute(sql, parameters, transform), Stream.fromIterable))
  }
  const sql = yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connection),
      semaphore: yield* Semaphore.make(1),
      isTransaction: () => inTransaction
    }),
    compiler: Statement.makeCompilerSqlite(),
    beginTransaction: "BEGIN IMMEDIATE",
    driver: "node-sqlite",
    spanAttributes: [["db.system.name", "sqlite"]]
  }).pipe(Effect.provide(Reactivity.layer))

  const atOnce: NodeSqlite["atOnce"] = (statements) => {
    const asked = statements.map((statement): Asking => {
      const [text, parameters] = statement.compile()
      return { sql: text, parameters: parameters.map(inputOf) }
    })
    // a transaction that is under way is not to be joined
    return Effect.scoped(Effect.andThen(sql.reserve, ask({ _tag: "Batch", statements: asked }, "execute")))
  }

  const close = Effect.ignore(ask({ _tag: "Close" }, "close"))
  yield* Effect.addFinalizer(() =>
    Effect.gen(function* () {
      const leaving = worker
      if (leaving === undefined) return
      // in the background: the thread may wait for a disk that does not answer
      const closing = yield* Effect.forkDetach(close)
      yield* Effect.timeoutOption(Effect.interruptible(Fiber.await(closing)), LEAVE_LIMIT)
      yield* Effect.forkDetach(Effect.promise(() => leaving.terminate()))
    })
  )
  return {
    sql,
    open: Effect.asVoid(ask({ _tag: "Open", file, isShared }, "open")),
    close,
    putAside: (aside) => Effect.asVoid(ask({ _tag: "PutAside", file, aside }, "close")),
    atOnce
  }
})

/** The error of a statement, as the thread told it. */
export class SqliteFault extends Error {
  override readonly name = "SqliteFault"
  /** By this name Effect finds out what kind of error it is. */
  readonly errno: number | undefined
  /** The system's, where a file or a folder could not be made. */
  readonly code: string | undefined

  constructor({ code, message }: Fault) {
    super(message)
    this.errno = typeof code === "number" ? code : undefined
    this.code = typeof code === "string" ? code : undefined
  }
}

/** SQLite's code of an error without its extension (https://sqlite.org/rescode.html), or the system's. */
export const codeOf = ({ reason: { cause } }: SqlError): number | string | undefined => {
  if (!(cause instanceof SqliteFault)) return undefined
  return cause.errno === undefined ? cause.code : cause.errno & 0xff
}

const errorOf = (fault: Fault, operation: string): SqlError =>
  new SqlError({ reason: classifySqliteError(new SqliteFault(fault), { message: fault.message, operation }) })

const isValues = (row: Row): row is Extract<Row, ReadonlyArray<unknown>> => Array.isArray(row)

/** SQLite knows neither truth nor dates. */
const inputOf = (value: unknown): SQLInputValue => {
  if (typeof value === "boolean") return value ? 1 : 0
  if (value instanceof Date) return value.toISOString()
  if (typeof value === "string" || typeof value === "number" || typeof value === "bigint") return value
  if (value === null || value === undefined) return null
  return value instanceof Uint8Array ? value : JSON.stringify(value)
}
